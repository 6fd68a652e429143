# SPDX-License-Identifier: Apache-2.0
"""What a container, its image, its hooks or another user of the machine could make of rune's own doings."""
import os
import re
import resource
import stat
import subprocess

import pytest

from bundles import bundle, cgroup_folders, rune  # noqa: F401
from conftest import wait_for



# ---- descriptors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("log", [False, True])
def test_descriptors_that_nobody_gave_are_not_preserved(rune, bundle, n, log):
    """What rune itself has opened by then stands where the caller's would be."""
    if log:
        rune.globals = ["--log", bundle.path / "log"]
    result = rune.run(bundle.shell("ls -l /proc/self/fd"), "c", "--preserve-fds", n, check=False)
    assert result.returncode != 0 and result.stdout == ""
    assert "unable to stat preserved-fd" in result.stderr


def test_descriptors_that_nobody_gave_are_not_for_an_exec(rune, bundle):
    rune.start(bundle.args("sleep", "1000"))
    result = rune("exec", "--preserve-fds", 2, "c", "ls", "-l", "/proc/self/fd", check=False)
    assert result.returncode != 0 and result.stdout == ""


def test_preserved_descriptors_and_no_others_reach_the_payload(rune, bundle):
    bundle.shell("ls -l /proc/self/fd").write()
    for command in (["run", "--preserve-fds", 2, "--bundle", bundle.path, "run"],
                    ["exec", "--preserve-fds", 2, "c", "ls", "-l", "/proc/self/fd"]):
        if command[0] == "exec":
            rune.start(bundle.args("sleep", "1000"))
        line = " ".join(f"'{w}'" for w in rune.command(*command))
        result = subprocess.run(["bash", "-c", f"{line} 3</dev/null 4</dev/null 9</etc"], capture_output=True,
                                text=True, timeout=60, stdin=subprocess.DEVNULL)
        assert result.returncode == 0, result.stderr
        numbers = re.findall(r" (\d+) -> (\S+)", result.stdout)
        assert [t for n, t in numbers if n in "34"] == ["/dev/null"] * 2
        assert [n for n, t in numbers if int(n) > 4 and not t.startswith("/proc/")] == []


def hook(bundle, kind, script, path="/bin/sh"):
    bundle.config.setdefault("hooks", {}).setdefault(kind, []).append(
        {"path": path, "args": ["sh", "-c", script]})


KINDS = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]


@pytest.mark.parametrize("kind", KINDS)
def test_hooks_get_no_descriptors_but_their_streams(rune, bundle, kind):
    inside = kind == "startContainer"
    if inside:
        bundle.config["root"]["readonly"] = False
    out = "/seen" if inside else str(bundle.path / "seen")
    hook(bundle, kind, f"ls -l /proc/self/fd >{out}")
    bundle.args("true").write()
    line = " ".join(f"'{w}'" for w in rune.command("run", "--preserve-fds", 2, "--bundle", bundle.path, "c"))
    result = subprocess.run(["bash", "-c", f"{line} 3</dev/null 4</etc 9</etc"], capture_output=True, text=True,
                            timeout=60, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, result.stderr
    seen = (bundle.rootfs / "seen" if inside else bundle.path / "seen").read_text()
    # The state, what the hook writes to, what it says, and what ls has opened.
    ours = re.compile(r"0 -> /memfd:state \(deleted\)|1 -> .*/seen|2 -> pipe:\[\d+\]|\d+ -> /proc/\d+/fd")
    lines = re.findall(r"\d+ -> .*", seen)
    assert len(lines) >= 3 and [line for line in lines if not ours.fullmatch(line)] == []


def test_what_waits_for_its_start_holds_nothing_of_the_host(rune, bundle):
    """Neither what the caller left open, nor the root, nor groups: others in its namespaces may get at them."""
    bundle.args("true").write()
    line = " ".join(f"'{w}'" for w in rune.command("create", "--preserve-fds", 1, "--bundle", bundle.path, "c"))
    subprocess.run(["bash", "-c", f"{line} 3</dev/zero 7</etc 30</dev/full >/dev/null 2>&1"], check=True, timeout=60,
                   stdin=subprocess.DEVNULL)
    folder = f"/proc/{rune.state()['pid']}/fd"
    held = {int(fd): os.readlink(f"{folder}/{fd}") for fd in os.listdir(folder)}
    assert held.pop(3) == "/dev/zero"
    assert [held.pop(fd) for fd in range(3)] == ["/dev/null"] * 3
    assert sorted(re.sub(r"\d+", "N", target) for target in held.values()) == sorted(
        ["/proc", re.sub(r"\d+", "N", str(rune.root / "c/exec.fifo")), "socket:[N]"])
    rune("start", "c")


def test_an_exec_holds_no_null_device_of_the_host(rune, bundle):
    """Its owner and mode would be the container's root's to change, for the whole host."""
    rune.start(bundle.args("sleep", "1000"))
    with open("/dev/null", "r+b") as null:
        held = rune("exec", "c", "stat", "-L", "-c", "%d %i %t", *(f"/proc/self/fd/{n}" for n in (0, 2)), "/dev/null",
                    stdin=null, stdout=subprocess.PIPE, stderr=null).stdout.splitlines()
    host = os.stat("/dev/null")
    assert held[0].endswith(" 1") and len(set(held)) == 1
    assert held[0].split()[:2] != [str(host.st_dev), str(host.st_ino)]


def test_an_exec_opens_nothing_that_a_container_has_in_place_of_null(rune, bundle):
    rune.start(bundle.shell("rm /dev/null && mkfifo /dev/null && sleep 1000"))
    wait_for(lambda: rune("exec", "c", "test", "-p", "/dev/null", input="", check=False).returncode == 0, "a fifo")
    result = rune("exec", "c", "true", check=False)
    assert result.returncode == 255 and "it is no null device" in result.stderr
    assert rune("exec", "c", "echo", "word", input="").stdout == "word\n"


# ---- modes of what is made --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_hooks_make_files_that_others_cannot_write(rune, bundle, kind):
    inside = kind == "startContainer"
    if inside:
        bundle.config["root"]["readonly"] = False
    out = "/made" if inside else str(bundle.path / "made")
    hook(bundle, kind, f"echo made >{out}")
    rune.run(bundle.args("true"))
    made = bundle.rootfs / "made" if inside else bundle.path / "made"
    assert stat.S_IMODE(made.stat().st_mode) & 0o022 == 0


@pytest.mark.parametrize("umask", [0, 0o077])
def test_the_callers_umask_opens_nothing(rune, bundle, umask, tmp_path):
    bundle.args("sleep", "1000")
    bundle.write()
    pid_file = tmp_path / "pid"
    rune("create", "--bundle", bundle.path, "--pid-file", pid_file, "c", umask=umask, stdout=subprocess.DEVNULL,
         stderr=subprocess.DEVNULL)
    folder = rune.root / "c"
    assert stat.S_IMODE(rune.root.stat().st_mode) & 0o077 == 0
    for name in ("config.json", "state.json"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) & 0o022 == 0
    assert stat.S_IMODE(pid_file.stat().st_mode) & 0o022 == 0
    for group in cgroup_folders(bundle.linux["cgroupsPath"]):
        assert stat.S_IMODE(group.stat().st_mode) & 0o022 == 0


# ---- what is the host's stays the host's ------------------------------------------------------------------------


@pytest.mark.parametrize("stream", ["device", "folder"])
def test_a_user_does_not_get_the_hosts_devices_or_folders(rune, bundle, tmp_path, stream):
    node = tmp_path / "node"
    if stream == "device":
        os.mknod(node, stat.S_IFCHR | 0o600, os.makedev(1, 5))
    else:
        node.mkdir(mode=0o700)
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    fd = os.open(node, os.O_RDONLY)
    try:
        rune.run(bundle.args("true"), stdin=fd)
        rune.start(bundle.args("sleep", "1000"), "two")
        rune("exec", "--user", "1001", "two", "true", stdin=fd)
    finally:
        os.close(fd)
    assert (node.stat().st_uid, node.stat().st_gid) == (0, 0)


def test_a_pid_file_does_not_go_through_what_waits_there(rune, bundle, tmp_path):
    """The temporary name of the file is another user's pipe, symlink or second name of a file."""
    victim = tmp_path / "victim"
    for plant in (lambda p: os.mkfifo(p), lambda p: os.symlink(victim, p), lambda p: os.link(victim, p)):
        victim.write_text("of the host")
        folder = tmp_path / "pids"
        folder.mkdir()
        plant(folder / ".pid")
        rune.run(bundle.args("true"), "c", "--pid-file", folder / "pid", timeout=20)
        assert victim.read_text() == "of the host"
        assert int((folder / "pid").read_text()) > 1 and (folder / "pid").stat().st_nlink == 1
        for p in folder.iterdir():
            p.unlink()
        folder.rmdir()


# ---- too little of everything -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["run", "create"])
def test_too_few_descriptors_leave_nothing(rune, bundle, mode):
    bundle.args("true").write()
    codes = {}
    for n in range(4, 40):
        with open(bundle.path / "err", "w") as err:  # what is created keeps it
            codes[n] = rune(mode, "--bundle", bundle.path, "c", check=False, stdout=subprocess.DEVNULL, stderr=err,
                            preexec_fn=lambda limit=n: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
                            ).returncode
        if codes[n] == 0:
            rune("delete", "--force", "c")
            continue
        text = (bundle.path / "err").read_text()
        assert text != ""
        assert not rune.root.is_dir() or list(rune.root.iterdir()) == [], f"{n}: {text}"
        assert cgroup_folders(bundle.linux["cgroupsPath"]) == [], f"{n}: {text}"
    assert codes[4] != 0 and codes[39] == 0


def test_too_few_descriptors_for_an_exec_leave_nothing(rune, bundle):
    rune.start(bundle.args("sleep", "1000"))
    codes = {}
    for n in range(4, 40):
        codes[n] = rune("exec", "c", "true", check=False, preexec_fn=lambda limit=n: resource.setrlimit(
            resource.RLIMIT_NOFILE, (limit, limit))).returncode
        assert len(rune("ps", "--format", "json", "c").stdout.split(",")) == 1, n
    assert codes[4] != 0 and codes[39] == 0


def test_too_little_memory_leaves_nothing(rune, bundle):
    bundle.args("true")
    for limit in (4096, 16384, 65536, 131072):
        bundle.linux["resources"]["memory"] = {"limit": limit}
        result = rune.run(bundle, check=False)
        assert result.returncode != 1 or result.stderr  # else the payload was killed for it, or managed
        assert list(rune.root.iterdir()) == [] and cgroup_folders(bundle.linux["cgroupsPath"]) == []


def test_too_few_processes_leave_nothing(rune, bundle):
    bundle.linux["resources"]["pids"] = {"limit": 1}
    result = rune.run(bundle.shell("true & echo $!"), check=False)
    assert result.stdout == "" and "fork" in result.stderr
    assert list(rune.root.iterdir()) == [] and cgroup_folders(bundle.linux["cgroupsPath"]) == []


@pytest.mark.parametrize("limit, value", [("RLIMIT_FSIZE", 0), ("RLIMIT_FSIZE", 5000), ("RLIMIT_AS", 20 << 20),
                                          ("RLIMIT_AS", 60 << 20), ("RLIMIT_DATA", 0), ("RLIMIT_STACK", 16384)])
def test_limits_of_runes_own_leave_nothing(rune, bundle, limit, value):
    result = rune.run(bundle.args("true"), check=False, preexec_fn=lambda: resource.setrlimit(
        getattr(resource, limit), (value, value)))
    assert result.returncode != 0
    assert not rune.root.is_dir() or list(rune.root.iterdir()) == []
    assert cgroup_folders(bundle.linux["cgroupsPath"]) == []
