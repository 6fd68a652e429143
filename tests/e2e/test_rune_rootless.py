# SPDX-License-Identifier: Apache-2.0
"""rune by hand of a user without privilege: ids from newuidmap(1), or only the user's own; no right to make groups.

The user exists for the test's processes only: files of users with one more are bound over the machine's.
"""
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess

import pytest

from bundles import Bundle, Rune
from conftest import end_process, need_program
from engines import ROOTLESS_ID, Client, Terminal, short_folder, user_files
from test_rune_lifecycle import alive, receive_fd


class UserRune(Rune):
    """rune as the user runs it: no --root unless there is a folder for it."""

    def __init__(self, program, folder, holder):
        super().__init__(program, None)
        self.folder, self.holder = folder, holder
        self.environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder / "home"), "USER": "engine-test"}

    def user(self, *args):
        """The command line that runs another program as the user."""
        return [need_program("nsenter"), "-t", str(self.holder.pid), "-m", "--", need_program("setpriv"), "--reuid",
                str(ROOTLESS_ID), "--regid", str(ROOTLESS_ID), "--clear-groups", "--inh-caps=-all", "--",
                *map(str, args)]

    def command(self, *args):
        root = ["--root", self.root] if self.root else []
        return self.user(self.program, *root, *self.globals, *args)


@pytest.fixture(scope="module")
def user(build_dir):
    """The user, with a home and a folder for what runs."""
    if os.geteuid() != 0:
        pytest.skip("making a user needs root")
    need_program("newuidmap")
    program = build_dir / "rune/rune"
    if not program.exists():
        pytest.skip(f"{program} is not built")
    with short_folder() as folder:
        for name in ("home", "run"):
            (folder / name).mkdir(mode=0o700)
            os.chown(folder / name, ROOTLESS_ID, ROOTLESS_ID)
        shutil.copy(program, folder / "rune")  # where the build tree is, not everybody may look
        binds = "".join(f"mount --bind {file} {path} && " for path, file in user_files(folder, ROOTLESS_ID).items())
        holder = subprocess.Popen([need_program("unshare"), "--mount", "--propagation", "private", "sh", "-c",
                                   binds + "echo && exec sleep 100000"], stdout=subprocess.PIPE)
        try:
            assert holder.stdout.read(1) == b"\n"
            yield UserRune(folder / "rune", folder, holder)
        finally:
            holder.stdout.close()
            end_process(holder)


@pytest.fixture
def rune(user, tmp_path):
    """rune with $XDG_RUNTIME_DIR; what a test leaves is deleted."""
    one = UserRune(user.program, user.folder, user.holder)
    one.environment["XDG_RUNTIME_DIR"] = str(user.folder / "run")
    yield one
    one.root = user.folder / "run/rune"
    one.clear()


@pytest.fixture
def bundle(user):
    """A bundle of the user's, with what `rune spec --rootless` writes but for the terminal."""
    path = user.folder / "home/bundle"
    one = Bundle(path)
    for folder, names, files in os.walk(path):
        for name in (".", *names, *files):
            os.chown(os.path.join(folder, name), ROOTLESS_ID, ROOTLESS_ID, follow_symlinks=False)
    user("spec", "--rootless", "--bundle", path)
    one.config = json.loads((path / "config.json").read_text())
    one.process["terminal"] = False
    yield one
    shutil.rmtree(path)


def with_subordinate_ids(bundle):
    """The user is root inside, and the subordinate ids are all others."""
    for name in ("uidMappings", "gidMappings"):
        bundle.linux[name] = [{"containerID": 0, "hostID": ROOTLESS_ID, "size": 1},
                              {"containerID": 1, "hostID": 700000, "size": 65536}]
    return bundle


def containers(rune):
    return sorted(p.name for p in (rune.folder / "run/rune").iterdir() if not p.name.startswith("."))


FOREVER = "trap 'exit 0' TERM; while :; do sleep 0.1; done"


# ---- run ----------------------------------------------------------------------------------------------------


def test_run_as_the_template_has_it(rune, bundle):
    bundle.shell("id -u; id -g; cat /proc/self/uid_map /proc/self/setgroups; hostname; touch /x")
    result = rune.run(bundle, check=False)
    assert result.stdout.split() == ["0", "0", "0", str(ROOTLESS_ID), "1", "deny", "rune"]
    assert "Read-only file system" in result.stderr
    assert containers(rune) == []


def test_run_with_subordinate_ids(rune, bundle):
    with_subordinate_ids(bundle).shell("id; cat /proc/self/uid_map; touch /tmp/x && chown 1000:50 /tmp/x")
    bundle.config["root"]["readonly"] = False
    bundle.process["user"] = {"uid": 0, "gid": 0, "additionalGids": [5, 50]}
    for kind in ("bounding", "effective", "permitted"):
        bundle.process["capabilities"][kind].append("CAP_CHOWN")
    result = rune.run(bundle)
    first, *maps = result.stdout.splitlines()
    assert first == "uid=0(root) gid=0(root) groups=5,50"
    assert [line.split() for line in maps] == [["0", str(ROOTLESS_ID), "1"], ["1", "700000", "65536"]]
    there = os.stat(bundle.rootfs / "tmp/x")
    assert (there.st_uid, there.st_gid) == (700999, 700049)


def test_run_as_another_user_of_the_container(rune, bundle):
    with_subordinate_ids(bundle).shell("id -u; id -g; touch /dev/shm/x && stat -c %u /dev/shm/x; kill -9 $$")
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    result = rune.run(bundle, check=False)
    assert result.stdout.split() == ["1000", "1000", "1000"]


def test_devices_and_terminals_are_there(rune, bundle):
    bundle.shell("echo x >/dev/null && head -c 2 /dev/zero | wc -c && { (: >/dev/tty) 2>&- || echo none; }; "
                 "for i in full random urandom ptmx; do test -c /dev/$i && echo $i; done")
    assert rune.output(bundle).split() == ["2", "none", "full", "random", "urandom", "ptmx"]


@pytest.mark.parametrize("ids", ["own", "subordinate"])
def test_control_groups_are_seen_and_not_changed(rune, bundle, ids):
    if ids == "subordinate":
        with_subordinate_ids(bundle)
    bundle.shell("mkdir /sys/fs/cgroup/x || mkdir /sys/fs/cgroup/memory/x || mkdir /sys/fs/cgroup/unified/x")
    result = rune.run(bundle, check=False)
    assert result.returncode == 1 and result.stderr.count("mkdir: can't create") == 3, result.stderr


def test_the_hosts_network_and_a_network_of_its_own(rune, bundle):
    here = os.readlink("/proc/self/ns/net")
    assert rune.output(bundle.shell("readlink /proc/self/ns/net")).strip() == here
    bundle.namespace("network")
    out = rune.output(bundle.shell("readlink /proc/self/ns/net; ip addr show lo"))
    assert here not in out and "127.0.0.1" in out


def test_ids_that_are_not_the_users(rune, bundle):
    with_subordinate_ids(bundle)
    bundle.linux["uidMappings"][1] = {"containerID": 1, "hostID": 100, "size": 10}
    result = rune.run(bundle.shell("true"), check=False)
    assert result.returncode == 1
    assert "newuidmap refused the mapping; look into /etc/subuid for this user's ids" in result.stderr
    assert containers(rune) == []


# ---- where the state is -------------------------------------------------------------------------------------------


def test_without_a_folder_for_states_the_error_says_what_to_do(rune, bundle):
    del rune.environment["XDG_RUNTIME_DIR"]
    result = rune.run(bundle.shell("true"), check=False)
    assert result.returncode == 1
    assert re.search("/run/rune.*: Permission denied; set XDG_RUNTIME_DIR, or give --root a folder of this user's own",
                     result.stderr), result.stderr


def test_states_in_a_folder_that_is_given(rune, bundle):
    del rune.environment["XDG_RUNTIME_DIR"]
    rune.root = rune.folder / "home/states"
    rune.start(bundle.shell(FOREVER))
    try:
        assert rune.state()["status"] == "running"
        assert [line.split()[0] for line in rune("list").stdout.splitlines()] == ["ID", "c"]
        assert os.stat(rune.root).st_mode & 0o7777 == 0o700
    finally:
        rune("delete", "--force", "c")
    assert list(rune.root.iterdir()) == []
    rune.root.rmdir()


def test_states_in_the_runtime_folder_are_kept_from_being_tidied_away(rune, bundle):
    rune.start(bundle.shell(FOREVER))
    folder = rune.folder / "run/rune"
    assert os.stat(folder).st_mode & 0o7777 == 0o1700 and os.stat(folder).st_uid == ROOTLESS_ID
    assert containers(rune) == ["c"]


# ---- life cycle -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ids", ["own", "subordinate"])
def test_life_cycle(rune, bundle, ids):
    if ids == "subordinate":
        with_subordinate_ids(bundle)
    rune.create(bundle.shell(FOREVER))
    state = rune.state()
    assert state["status"] == "created"
    assert os.stat(f"/proc/{state['pid']}").st_uid in (0, ROOTLESS_ID)  # root's while it is not dumpable
    rune("start", "c")
    assert rune.status() == "running"
    assert rune("exec", "c", "sh", "-c", "id -u; readlink /proc/self/ns/user").stdout.split() == \
        ["0", os.readlink(f"/proc/{state['pid']}/ns/user")]
    assert rune("exec", "c", "sh", "-c", "exit 7", check=False).returncode == 7
    assert "no-such-command" in rune("exec", "c", "no-such-command", check=False).stderr
    rune("kill", "c", "TERM")
    rune.wait_status("stopped")
    rune("delete", "c")
    assert rune.status() is None and containers(rune) == []


def test_exec_as_another_user_and_with_an_environment(rune, bundle):
    rune.start(with_subordinate_ids(bundle).shell(FOREVER))
    assert rune("exec", "--user", "1000:50", "--env", "A=b c", "--cwd", "/tmp", "c", "sh", "-c",
                'id -u; id -g; echo "$A"; pwd').stdout.splitlines() == ["1000", "50", "b c", "/tmp"]


def test_a_user_who_is_not_mapped(rune, bundle):
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    result = rune.run(bundle.shell("true"), check=False)
    assert result.returncode == 1 and "1000" in result.stderr
    assert containers(rune) == []


def test_groups_that_the_namespace_forbids_are_left_out(rune, bundle):
    bundle.process["user"]["additionalGids"] = [5]
    assert rune.output(bundle.shell("id -G")) == "0\n"


def test_kill_and_delete_of_a_container_without_a_pid_namespace(rune, bundle):
    bundle.without_namespace("pid")
    bundle.config["mounts"] = [m for m in bundle.config["mounts"] if m["type"] != "proc"] + [
        {"destination": "/proc", "type": "none", "source": "/proc", "options": ["rbind"]}]
    rune.start(bundle.shell(FOREVER))
    pid = rune.state()["pid"]
    rune("delete", "--force", "c")
    assert not alive(pid)


@pytest.mark.parametrize("command, text", [
    (["pause", "c"], "the container has no control group"), (["resume", "c"], "container not paused"),
    (["events", "--stats", "c"], "the container has no control group"),
    (["ps", "c"], "the container has no control group"),
    (["update", "--pids-limit", "10", "c"], "cannot set pids limit: container could not join or create cgroup")])
def test_what_needs_control_groups_says_so(rune, bundle, command, text):
    rune.start(bundle.shell(FOREVER))
    result = rune(*command, check=False)
    assert result.returncode == 1 and text in result.stderr


@pytest.mark.parametrize("change", [{"resources": {"memory": {"limit": 16 << 20}}},
                                    {"cgroupsPath": "/rune-e2e/rootless"}])
def test_limits_and_groups_that_cannot_be(rune, bundle, change):
    bundle.linux.update(change)
    result = rune.run(bundle.shell("true"), check=False)
    assert result.returncode == 1
    assert re.search("rootless needs no limits . no cgrouppath when no permission is granted for cgroups|"
                     "cannot set memory limit: container could not join or create cgroup|"
                     "mkdir .*/rune-e2e/?.*: Permission denied", result.stderr), result.stderr
    assert containers(rune) == []


def test_root_sees_and_ends_what_is_a_users(rune, bundle):
    rune.start(bundle.shell(FOREVER))
    as_root = Rune(rune.program, rune.folder / "run/rune")
    assert as_root.state()["status"] == "running"
    assert as_root("exec", "c", "id", "-u").stdout == "0\n"
    as_root("delete", "--force", "c")
    assert containers(rune) == []


# ---- terminals --------------------------------------------------------------------------------------------------


def test_a_terminal_in_the_foreground(rune, bundle):
    bundle.process["terminal"] = True
    bundle.shell("tty; stat -c owner=%u $(tty); echo x >/dev/console; exit 3").write()
    client = Client(rune.command(), rune.environment)
    with Terminal(client, "run", "--bundle", bundle.path, "c") as terminal:
        terminal.expect("/dev/pts/0")
        terminal.expect("owner=0")
        terminal.expect("x\r\n")
        assert terminal.wait() == 3


@pytest.mark.parametrize("ids", ["own", "subordinate"])
def test_a_terminal_by_a_console_socket(rune, bundle, ids):
    if ids == "subordinate":
        with_subordinate_ids(bundle)
        bundle.process["user"] = {"uid": 1000, "gid": 1000}
    bundle.process["terminal"] = True
    bundle.shell("tty; stat -c owner=%u $(tty); stty size; read line; echo got $line")
    bundle.process["consoleSize"] = {"height": 30, "width": 100}
    path = rune.folder / "run/console"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        path.chmod(0o666)
        server.listen()
        server.settimeout(30)
        rune.create(bundle, "c", "--console-socket", path)
        _, master = receive_fd(server)
        with open(master, "r+b", buffering=0) as terminal:
            rune("start", "c")
            terminal.write(b"word\n")
            text = b""
            with contextlib.suppress(OSError):
                while chunk := terminal.read(4096):
                    text += chunk
        assert b"owner=%d\r\n" % bundle.process["user"]["uid"] in text
        assert b"/dev/pts/0\r\n" in text and b"30 100\r\n" in text and b"got word\r\n" in text
        path.unlink()


def test_exec_with_a_terminal(rune, bundle):
    rune.start(with_subordinate_ids(bundle).shell(FOREVER))
    with Terminal(Client(rune.command(), rune.environment), "exec", "-t", "-u", "1000", "c", "sh", "-c",
                  "tty; stat -c owner=%u $(tty); exit 3") as terminal:
        terminal.expect("/dev/pts/0")
        terminal.expect("owner=1000")
        assert terminal.wait() == 3
