# SPDX-License-Identifier: Apache-2.0
"""What runc does where the specification leaves it open, and engines have come to rely on it."""
import contextlib
import ctypes
import errno
import os
import pathlib
import struct
import subprocess
import threading

import pytest

from bundles import bundle, cgroup_folders, rune  # noqa: F401
from conftest import wait_for

FOREVER = "trap 'exit 0' TERM; while :; do sleep 0.1; done"


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def members(bundle):
    """The processes in the container's groups."""
    found = set()
    for folder in cgroup_folders(bundle.linux["cgroupsPath"]):
        found.update(int(line) for line in (folder / "cgroup.procs").read_text().split())
    return {pid for pid in found if alive(pid)}


def command_line(pid):
    """Its words; none of a process that has ended meanwhile."""
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


# ---- mounts -------------------------------------------------------------------------------------------------


def test_a_tmpfs_where_the_image_has_no_folder_is_everybodys(rune, bundle):
    bundle.config["mounts"].append({"destination": "/not/there", "type": "tmpfs", "source": "tmpfs",
                                    "options": ["nosuid"]})
    bundle.config["mounts"].append({"destination": "/mnt", "type": "tmpfs", "source": "tmpfs"})
    (bundle.rootfs / "mnt").chmod(0o750)
    assert rune.output(bundle.args("stat", "-c", "%a", "/not/there", "/not", "/mnt")).split() == ["1777", "755", "750"]


# ---- the host's /dev ----------------------------------------------------------------------------------------

# A /dev to lose: in a mount namespace whose / is a small tree, so that it is the host's to rune there.
HOST = r"""
set -e
folder=$1
shift
mount -t tmpfs tmpfs /dev
make() { mknod -m 666 /dev/$1 c $2 $3; }
make null 1 3; make zero 1 5; make tty 5 0; make ptmx 5 2; make console 5 1
mkdir /dev/pts
mount -t devpts -o newinstance,ptmxmode=0,mode=620 devpts /dev/pts
list() { find /dev -path /dev/pts -prune -o -printf '%p %y %m %i %l\n' | sort; grep ' /dev' /proc/self/mountinfo; }
list >"$folder/before"
"$@" || echo failed $?
list >"$folder/after"
"""


def with_a_dev(rune, folder, *command):
    """Runs `rune COMMAND` where /dev is such a tmpfs: what it prints, and /dev before and after."""
    result = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", HOST, "sh", folder,
                             *rune.command(*command)],
                            capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, result.stderr
    return result.stdout, (folder / "before").read_text(), (folder / "after").read_text()


@pytest.mark.parametrize("mounts", ["own", "of the host"])
@pytest.mark.parametrize("terminal", [True, False])
def test_a_start_in_the_hosts_root_leaves_the_hosts_dev_alone(rune, bundle, tmp_path, mounts, terminal):
    bundle.config["root"] = {"path": "/", "readonly": False}
    bundle.config["mounts"] = []
    bundle.process["terminal"] = terminal
    if mounts == "of the host":
        bundle.without_namespace("mount")
        bundle.linux["maskedPaths"] = bundle.linux["readonlyPaths"] = []
    bundle.linux["resources"] = {}
    bundle.args("/bin/sh", "-c", "test -t 1 && echo on a terminal; echo done").write()
    text, before, after = with_a_dev(rune, tmp_path, "run", "--bundle", bundle.path, "c")
    assert "done" in text and "failed" not in text
    assert ("on a terminal" in text) == terminal
    assert before == after and "/dev/ptmx c 666" in before


def test_a_container_in_the_hosts_mount_namespace_has_a_terminal_and_its_root(rune, bundle, tmp_path):
    bundle.without_namespace("mount")
    bundle.linux["maskedPaths"] = bundle.linux["readonlyPaths"] = []
    bundle.process["terminal"] = True
    bundle.shell("test -t 0 && test -t 1 && echo on a terminal; test -e /bin/busybox && ls -d /bin/[a-b]*; ls /dev")
    bundle.write()
    text, before, after = with_a_dev(rune, tmp_path, "run", "--bundle", bundle.path, "c")
    assert "on a terminal" in text and "/bin/busybox" in text and before == after
    assert list((bundle.rootfs / "dev").iterdir()) == [], "it has no mounts, and nothing is made in its root"


def test_exec_is_in_the_root_of_a_container_in_the_hosts_mount_namespace(rune, bundle):
    bundle.without_namespace("mount")
    bundle.linux["maskedPaths"] = bundle.linux["readonlyPaths"] = []
    (bundle.rootfs / "inside").touch()
    rune.start(bundle.args("sleep", "1000"))
    assert rune("exec", "c", "ls", "/").stdout.split() == sorted(p.name for p in bundle.rootfs.iterdir())
    assert rune("exec", "c", "/bin/busybox", "test", "-e", "/inside").returncode == 0


# ---- hooks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("no_new_privileges", [True, False])
def test_start_container_hooks_run_under_the_filter(rune, bundle, no_new_privileges):
    bundle.process["noNewPrivileges"] = no_new_privileges
    bundle.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW",
                               "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL"}]}
    bundle.config["hooks"] = {"startContainer": [
        {"path": "/bin/sh", "args": ["sh", "-c", "exec mkdir /dev/shm/foo"]}]}
    result = rune.run(bundle.args("true"), check=False)
    assert result.returncode != 0
    assert "startContainer" in result.stderr
    assert "bad system call" in result.stderr.lower()


# ---- filters ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("no_new_privileges", [True, False])
@pytest.mark.parametrize("action", ["SCMP_ACT_ERRNO", "SCMP_ACT_KILL"])
def test_a_filter_may_forbid_getcwd(rune, bundle, no_new_privileges, action):
    """The working folder is checked with it (CVE-2024-21626)."""
    bundle.process["noNewPrivileges"] = no_new_privileges
    bundle.process["cwd"] = "/home"
    bundle.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["getcwd"], "action": action}]}
    rune.start(bundle.args("sleep", "1000"))
    assert rune("exec", "c", "readlink", "/proc/self/cwd").stdout == "/home\n"
    assert rune("exec", "c", "realpath", ".", check=False).returncode != 0, "the filter is there"


# ---- without a PID namespace --------------------------------------------------------------------------------


@pytest.fixture
def headless(rune, bundle):
    """A stopped container whose first process was killed while others of it live; their ids."""
    bundle.without_namespace("pid")
    rune.start(bundle.shell(FOREVER))
    for _ in range(3):
        rune("exec", "--detach", "c", "sleep", "1000", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    first = rune.state()["pid"]
    os.kill(first, 9)
    rune.wait_status("stopped")
    # Without the shell's `sleep 0.1`, which comes to its own end at any moment.
    left = {pid for pid in members(bundle) if "1000" in command_line(pid)}
    assert len(left) == 3
    return left


def test_kill_kills_what_its_first_process_left(rune, bundle, headless):
    rune("kill", "c", "KILL")
    wait_for(lambda: not any(alive(pid) for pid in headless), "their end")
    assert rune.status() == "stopped"
    wait_for(lambda: "container not running" in rune("kill", "c", "KILL", check=False).stderr, "nobody left")


def test_a_signal_other_than_kill_wants_the_first_process(rune, bundle, headless):
    assert "container not running" in rune("kill", "c", "TERM", check=False).stderr
    assert all(alive(pid) for pid in headless)


@pytest.mark.parametrize("flags", [(), ("--force",)])
def test_delete_kills_what_its_first_process_left(rune, bundle, headless, flags):
    rune("delete", *flags, "c")
    assert not any(alive(pid) for pid in headless)
    assert cgroup_folders(bundle.linux["cgroupsPath"]) == []


# ---- the order of mounts ------------------------------------------------------------------------------------


def in_user_namespace(bundle):
    """Gives the container a user namespace, and its root file system to the root of it."""
    bundle.namespace("user")
    bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    for path in [bundle.path, *bundle.path.parents]:
        if path.stat().st_mode & 0o001 == 0:
            path.chmod(path.stat().st_mode | 0o011)
    for folder, _, files in os.walk(bundle.rootfs):
        os.lchown(folder, 100000, 100000)
        for name in files:
            os.lchown(os.path.join(folder, name), 100000, 100000)


def bind(bundle, source, destination, *options):
    bundle.config["mounts"].append({"destination": str(destination), "type": "bind", "source": str(source),
                                    "options": list(options) or ["bind"]})


@pytest.fixture
def closed(bundle, tmp_path):
    """Folders a and b with a file each, in one that only the host's root may enter."""
    closed = tmp_path / "closed"
    for name in "ab":
        (closed / name / "inner").mkdir(parents=True)
        (closed / name / "file").write_text(name)
    closed.chmod(0o700)
    return closed


@pytest.mark.parametrize("user_namespace", [False, True])
@pytest.mark.parametrize("options", [["rbind"], ["rbind", "idmap"]])
def test_a_source_below_the_rootfs_is_what_earlier_mounts_made_of_it(rune, bundle, closed, user_namespace, options):
    if user_namespace:
        in_user_namespace(bundle)
    if "idmap" in options:
        bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = [
            {"containerID": 0, "hostID": 100000, "size": 65536}]
        if not user_namespace:
            uid = [{"containerID": 0, "hostID": 0, "size": 65536}]
            del bundle.linux["uidMappings"], bundle.linux["gidMappings"]
    bind(bundle, closed / "a", "/mnt")
    bind(bundle, closed / "b", "/mnt/inner")
    bind(bundle, bundle.rootfs / "mnt", "/var", *options)
    if "idmap" in options and not user_namespace:
        bundle.config["mounts"][-1].update(uidMappings=uid, gidMappings=uid)
    assert rune.output(bundle.shell("cat /var/file /var/inner/file")) == "ab"


def test_a_destination_may_begin_with_the_path_of_the_rootfs(rune, bundle, closed):
    bind(bundle, closed / "a", bundle.rootfs / "mnt")
    assert rune.output(bundle.args("cat", "/mnt/file")) == "a"


def test_flags_of_the_host_stay_locked_in_a_user_namespace(rune, bundle, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", source], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro,nosuid", source], check=True)
        in_user_namespace(bundle)
        bind(bundle, source, "/mnt", "bind", "nodev")
        line = next(line for line in rune.output(bundle.args("cat", "/proc/self/mounts")).splitlines()
                    if " /mnt " in line)
        assert {"ro", "nosuid", "nodev"} <= set(line.split()[3].split(","))
        bundle.config["mounts"][-1]["options"] = ["bind", "rw"]
        result = rune.run(bundle.args("true"), "two", check=False)
        assert result.returncode != 0 and "operation not permitted" in result.stderr.lower()
    finally:
        subprocess.run(["umount", source], check=True)


class Fuse:
    """A file system of one empty folder, which tells nobody but us about it."""

    INIT, FORGET, GETATTR, BATCH_FORGET = 26, 2, 3, 42

    def __init__(self, folder):
        self.folder = folder
        self.fd = os.open("/dev/fuse", os.O_RDWR)
        libc = ctypes.CDLL(None, use_errno=True)
        options = f"fd={self.fd},rootmode=40755,user_id=0,group_id=0".encode()
        if libc.mount(b"test", os.fsencode(folder), b"fuse", 0, options) != 0:
            raise OSError(ctypes.get_errno(), "mount fuse")
        threading.Thread(target=self.serve, daemon=True).start()

    def answer(self, opcode):
        if opcode == self.INIT:
            return struct.pack("<IIIIHHII", 7, 31, 0, 0, 0, 0, 4096, 1).ljust(64, b"\0")
        if opcode == self.GETATTR:
            return struct.pack("<QII6Q10I", 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o40755, 2, 0, 0, 0, 4096, 0)
        return None

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                _, opcode, unique = struct.unpack_from("<IIQ", os.read(self.fd, 65536))
                if opcode in (self.FORGET, self.BATCH_FORGET):
                    continue
                body = self.answer(opcode)
                header = struct.pack("<IiQ", 16 + len(body or b""), 0 if body else -errno.ENOSYS, unique)
                os.write(self.fd, header + (body or b""))

    def close(self):
        subprocess.run(["umount", "--lazy", self.folder], check=True)
        os.close(self.fd)


def test_a_source_that_may_not_be_looked_at_is_mounted_in_a_user_namespace(rune, bundle, tmp_path):
    if not os.path.exists("/dev/fuse"):
        pytest.skip("no /dev/fuse")
    in_user_namespace(bundle)
    (tmp_path / "fuse").mkdir()
    fuse = Fuse(tmp_path / "fuse")
    try:
        bind(bundle, tmp_path / "fuse", "/mnt", "bind")
        assert "/mnt fuse" in rune.output(bundle.args("cat", "/proc/mounts"))
        bundle.config["mounts"][-1]["destination"] = "/not/there"
        assert "Permission denied" in rune.run(bundle, "d", check=False).stderr
    finally:
        fuse.close()


def test_a_folder_without_the_mounts_on_it_can_be_the_source_in_a_user_namespace(rune, bundle, closed):
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", closed / "a/inner"], check=True)
    try:
        in_user_namespace(bundle)
        bind(bundle, closed / "a", "/mnt", "bind")
        assert rune.output(bundle.args("cat", "/mnt/file")) == "a"
    finally:
        subprocess.run(["umount", closed / "a/inner"], check=True)


# ---- exec ---------------------------------------------------------------------------------------------------


def test_exec_takes_a_group_for_each_controller(rune, bundle):
    bundle.process["args"] = ["sh", "-c", FOREVER]
    rune.start(bundle)
    base = bundle.linux["cgroupsPath"]
    folders = [folder for folder in cgroup_folders(base) if not (folder / "cgroup.controllers").exists()]
    if len(folders) < 2:
        pytest.skip("the controllers are all in one hierarchy")
    for name in ("memory", "pids"):
        (pathlib.Path("/sys/fs/cgroup") / name / base.lstrip("/") / f"sub{name}").mkdir()
    lines = rune("exec", "--cgroup", "memory:submemory", "--cgroup", "pids:subpids", "c", "cat",
                 "/proc/self/cgroup").stdout.splitlines()
    paths = {line.split(":")[1]: line.split(":")[2] for line in lines}
    assert (paths["memory"], paths["pids"]) == ("/submemory", "/subpids")
    assert paths["freezer"] == "/"
    for groups, text in ((("memory:a", "memory:b"), "about the same controller"), (("memory:submemory", "b"), "needs its"),
                         (("memory:submemory", "nonsense:b"), "unknown controller")):
        words = [word for group in groups for word in ("--cgroup", group)]
        assert text in rune("exec", *words, "c", "true", check=False).stderr


# ---- the start ----------------------------------------------------------------------------------------------


def test_a_run_that_is_killed_while_it_starts_says_so_by_its_status(rune, bundle):
    script = "kill -KILL $(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/')"
    bundle.config["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]}
    result = rune.run(bundle.args("true"), check=False)
    assert (result.returncode, result.stderr) == (137, "")
    assert rune.status() is None
    assert cgroup_folders(bundle.linux["cgroupsPath"]) == []
