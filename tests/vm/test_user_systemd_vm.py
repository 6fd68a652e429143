# SPDX-License-Identifier: Apache-2.0
"""A user's containers in scopes of the user's own systemd, in the test host VM: rune by hand over the bus and over
systemd's private socket, and Podman without root.  All in one VM, since it boots and runs slowly where it is
emulated."""
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("COFFER_BUILD", ROOT / "build"))

SCRIPT = r"""
rune=$1
say() { echo "$* ."; }
scopes() { systemctl --user list-units --all --no-legend '*.scope' | sed 's/^ *//; s/ .*//' | grep -v '^init.scope$'; }
group_of() { sed 's|^0::|/sys/fs/cgroup|' /proc/$1/cgroup; }
gone() { [ -e "$1" ] && say group stays || say group gone; }

make_bundle() {
    mkdir -p $HOME/box/rootfs/bin
    cd $HOME/box
    mkdir rootfs/dev rootfs/etc rootfs/proc rootfs/sys rootfs/tmp
    cp /bin/busybox rootfs/bin
    for name in cat sh sleep; do ln -s busybox rootfs/bin/$name; done
    $rune spec --rootless
    jq '.process.args = ["sleep", "1000"] | .process.terminal = false | .linux.resources = {
        memory: {limit: 67108864}, pids: {limit: 20}, cpu: {quota: 50000, period: 100000}}' config.json >with-limits
    mv with-limits config.json
}

by_hand() {
    $rune --systemd-cgroup run -d box </dev/null >/dev/null
    say run $?
    group=$(group_of $($rune state box | jq .pid))
    say group ${group##*.service/}
    for name in memory.max pids.max cpu.max; do say $name $(cat $group/$name); done
    systemctl --user show --property=Description,MemoryMax,TasksMax rune-box.scope
    $rune exec box cat /proc/self/cgroup
    say exec $?
    $rune update --memory 33554432 box
    say update $? $(cat $group/memory.max) $(systemctl --user show --property=MemoryMax rune-box.scope)
    $rune kill box KILL
    say kill $?
    until $rune state box | grep -q '"stopped"'; do sleep 0.1; done
    $rune delete box
    say delete $? $(scopes)
    gone $group
}

by_podman() {
    export CONTAINERS_CONF=$HOME/conf CONTAINERS_STORAGE_CONF=$HOME/storage.conf
    podman="podman --runtime $rune --cgroup-manager systemd"
    cd $HOME
    printf '[engine]\nevents_logger = "none"\n' >conf
    printf '[storage]\ndriver = "vfs"\ngraphroot = "%s"\nrunroot = "%s"\n' $HOME/storage $HOME/run >storage.conf
    $podman run -d --name box --network none --memory 64m --pids-limit 20 --rootfs $HOME/box/rootfs sleep 1000 >id
    say run $?
    group=$(group_of $($podman inspect --format '{{.State.Pid}}' box))
    say group ${group##*.service/}
    scopes
    for name in memory.max pids.max; do say $name $(cat $group/$name); done
    $podman exec box sh -c 'cat /proc/self/cgroup; exit 3'
    say exec $?
    $podman rm -f -t 0 box
    say rm $?
    scopes
    gone $group
}

make_bundle
exec 2>&1
echo "== bus"
by_hand
# Where there is no bus, systemd's own socket is left.
mv $XDG_RUNTIME_DIR/bus $XDG_RUNTIME_DIR/hidden
echo "== private"
(unset DBUS_SESSION_BUS_ADDRESS; by_hand)
mv $XDG_RUNTIME_DIR/hidden $XDG_RUNTIME_DIR/bus
echo "== podman"
by_podman
"""


@pytest.fixture(scope="module")
def said():
    """What each part writes."""
    result = subprocess.run([ROOT / "tests/vm/run", "--cgroup", "v2", "--mem", "1400", "--timeout", "400", "--",
                             ROOT / "tests/vm/with-systemd", ROOT / "tests/vm/with-user-systemd",
                             "bash", "-c", SCRIPT, "bash", BUILD / "rune/rune"],
                            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=500)
    assert result.returncode == 0, result.stdout + result.stderr
    return dict(part.split("\n", 1) for part in result.stdout.split("== ")[1:])


@pytest.mark.parametrize("way", ["bus", "private"])
def test_a_users_systemd_has_the_scope_of_a_container(said, way):
    print(said[way])
    assert said[way].splitlines() == [
        "run 0 .", "group user.slice/rune-box.scope .", "memory.max 67108864 .", "pids.max 20 .",
        "cpu.max 50000 100000 .", "MemoryMax=67108864", "TasksMax=20", "Description=rune container box", "0::/",
        "exec 0 .", "update 0 33554432 MemoryMax=33554432 .", "kill 0 .", "delete 0 .", "group gone ."]


def test_podman_without_root_has_the_users_systemd_make_the_scope(said):
    text = said["podman"]
    print(text)
    lines = text.splitlines()
    scope = re.search(r"^group user\.slice/(libpod-[0-9a-f]{64}\.scope) \.$", text, re.M)[1]
    assert scope in lines
    for line in ("run 0 .", "memory.max 67108864 .", "pids.max 20 .", "0::/", "exec 3 .", "rm 0 .", "group gone ."):
        assert line in lines
    # Podman's own scope for conmon goes when conmon does.
    assert scope not in lines[lines.index("rm 0 ."):]
