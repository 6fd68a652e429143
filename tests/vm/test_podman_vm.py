# SPDX-License-Identifier: Apache-2.0
"""Podman on control groups of v2, in the test host VM: as root with systemd, and as a user to whom a group is
delegated.  Both in one VM, since it boots and runs slowly where it is emulated; no image is loaded for the same
reason."""
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("COFFER_BUILD", ROOT / "build"))

SET_UP = """
rune=$1
folder=/run/podman-test
group=/sys/fs/cgroup/user
export PATH=/usr/sbin:/usr/bin:/sbin:/bin CONTAINERS_CONF=$folder/conf CONTAINERS_STORAGE_CONF=$folder/storage.conf
podman="podman --runtime $rune --cgroup-manager"
options="--network none --memory 64m --pids-limit 20 --rootfs $folder/rootfs"

set_up() {
    mkdir -p $folder
    cd $folder
    mkdir -p rootfs/bin rootfs/dev rootfs/etc rootfs/proc rootfs/sys rootfs/tmp
    cp /bin/busybox rootfs/bin
    for name in cat dd sh sleep; do ln -s busybox rootfs/bin/$name; done
    printf '[engine]\\nevents_logger = "none"\\n' >conf
    printf '[storage]\\ndriver = "vfs"\\ngraphroot = "%s"\\nrunroot = "%s"\\n' $folder/storage $folder/run >storage.conf
}

# Under a systemd that manages the control groups.
system() {
    set_up
    $podman systemd run -d --name box $options sleep 1000 >id
    scope=libpod-$(cat id).scope
    systemctl show --property=ActiveState,Description $scope
    cd /sys/fs/cgroup/machine.slice/$scope
    cat memory.max pids.max
    $podman systemd exec box sh -c 'cat /proc/self/cgroup; exit 3'
    echo "status $?"
    wc -l <cgroup.procs
    $podman systemd stats --no-stream --format 'stats {{.MemLimit}} {{.PIDs}} {{.Name}}' box
    $podman systemd pause box
    grep frozen cgroup.events
    $podman systemd unpause box
    grep frozen cgroup.events
    cd $folder
    $podman systemd rm -f -t 0 box
    systemctl list-units --no-legend --all $scope
    ls -d /sys/fs/cgroup/machine.slice/$scope
}

# With what the root of the machine has delegated: the group `user`, in which the user's session is.
user() {
    rm -rf $folder
    set_up
    mkdir -p $group/session $folder/home
    echo "podman-test:x:61234:61234::$folder/home:/bin/sh" >>/etc/passwd
    echo podman-test:x:61234: >>/etc/group
    echo podman-test:700000:65536 | tee /etc/subuid >/etc/subgid
    chown -R 61234:61234 $folder $group
    echo '+memory +pids' >$group/cgroup.subtree_control
    echo $$ >$group/session/cgroup.procs
    export HOME=$folder/home XDG_RUNTIME_DIR=$folder
    setpriv --reuid 61234 --regid 61234 --clear-groups --inh-caps=-all -- $podman cgroupfs run --rm $options sh -c '
        cat /proc/self/cgroup /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max /proc/self/uid_map
        (dd if=/dev/zero of=/dev/null bs=200M count=1; echo dd $?)
        for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21; do sleep 100 & done'
    echo "status $?"
    ls -d $group/*/
}
$2
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What both parts write."""
    folder = tmp_path_factory.mktemp("podman")
    (folder / "script").write_text(SET_UP)
    script = f"""{ROOT}/tests/vm/with-systemd bash {folder}/script {BUILD}/rune/rune system >{folder}/system 2>&1
                 bash {folder}/script {BUILD}/rune/rune user >{folder}/user 2>&1"""
    result = subprocess.run([ROOT / "tests/vm/run", "--mem", "1024", "--share", folder, "--timeout", "400", "--",
                             "bash", "-c", script],
                            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=500)
    assert result.returncode == 0, result.stdout + result.stderr
    return {name: (folder / name).read_text() for name in ("system", "user")}


def test_systemd_has_the_scope_of_a_container(said):
    text = said["system"]
    print(text)
    lines = text.splitlines()
    scope = re.fullmatch(r"Description=\S+ container ([0-9a-f]{64})", lines[0])
    assert lines[1:4] == ["ActiveState=active", "67108864", "20"]
    # An exec in the scope, which is the container's "/"; the payload alone in it; its numbers; frozen and not; gone.
    assert lines[4:-1] == ["0::/", "status 3", "1", "stats 67108864 1 box", "box", "frozen 1", "box", "frozen 0", "box"]
    assert lines[-1].endswith(f"/libpod-{scope[1]}.scope': No such file or directory")


def test_a_users_container_has_limits_in_a_delegated_group(said):
    text = said["user"]
    print(text)
    for line in ("0::/", "67108864", "20", "dd 137", "status 2", "/sys/fs/cgroup/user/session/"):
        assert line in text.splitlines()
    assert re.search(r"0 +61234 +1\n +1 +700000 +65536\n", text)
    assert "can't fork: Resource temporarily unavailable" in text
    assert text.count("/sys/fs/cgroup/user/") == 1
