# SPDX-License-Identifier: Apache-2.0
"""What other runtimes were broken by, each by its number."""
import fcntl
import os
import pathlib
import re
import subprocess

import pytest

from bundles import bundle, rune  # noqa: F401
from conftest import need_program

F_GET_SEALS = 1034
SEALED = 0x1 | 0x2 | 0x4 | 0x8  # F_SEAL_SEAL, _SHRINK, _GROW, _WRITE


def status_of(text, field):
    return re.search(rf"^{field}:\s*(.*)$", text, re.M).group(1)


# ---- CVE-2019-5736: the runtime's own executable is overwritten through /proc/self/exe --------------------------


def test_cve_2019_5736_what_waits_in_a_container_is_no_file_of_the_host(rune, bundle):
    rune.create(bundle.args("true"))
    exe = f"/proc/{rune.state()['pid']}/exe"
    assert os.readlink(exe).startswith("/memfd:")
    fd = os.open(exe, os.O_RDONLY)
    try:
        assert fcntl.fcntl(fd, F_GET_SEALS) & SEALED == SEALED
    finally:
        os.close(fd)
    with pytest.raises(OSError):
        os.open(exe, os.O_WRONLY)


def test_cve_2019_5736_a_payload_that_is_the_runtime_itself(rune, bundle):
    """An image whose command has /proc/self/exe for its interpreter, or is a link to it."""
    before = pathlib.Path(rune.program).read_bytes()
    (bundle.rootfs / "bin/trap").write_text("#!/proc/self/exe\n")
    (bundle.rootfs / "bin/trap").chmod(0o755)
    os.symlink("/proc/self/exe", bundle.rootfs / "bin/itself")
    for command in ("/bin/trap", "/bin/itself"):
        assert rune.run(bundle.args(command), check=False).returncode != 0
    assert pathlib.Path(rune.program).read_bytes() == before


# ---- CVE-2024-21626: descriptors of the host as a working folder, or on the way to a program --------------------


@pytest.mark.parametrize("below", ["", "/..", "/../../..", "/planted"])
def test_cve_2024_21626_working_folder_through_a_descriptor(rune, bundle, below):
    for fd in range(3, 24):
        bundle.process["cwd"] = f"/proc/self/fd/{fd}{below}"
        result = rune.run(bundle.args("pwd"), check=False)
        assert result.returncode != 0 and result.stdout == ""
        assert "chdir to cwd" in result.stderr or "outside of container mount namespace root" in result.stderr
    assert not list(bundle.path.rglob("planted"))


def test_cve_2024_21626_working_folder_of_an_exec(rune, bundle):
    rune.start(bundle.args("sleep", "1000"))
    for fd in range(3, 24):
        result = rune("exec", "--cwd", f"/proc/self/fd/{fd}", "c", "pwd", check=False)
        assert result.returncode != 0 and result.stdout == ""


def test_cve_2024_21626_a_link_in_the_image_to_a_descriptor(rune, bundle):
    for fd in range(3, 24):
        link = bundle.rootfs / "work"
        link.unlink(missing_ok=True)
        os.symlink(f"/proc/self/fd/{fd}/", link)
        bundle.process["cwd"] = "/work"
        assert rune.run(bundle.args("pwd"), check=False).returncode != 0


def test_cve_2024_21626_a_program_through_a_descriptor(rune, bundle):
    program = os.path.realpath(need_program("busybox"))  # static: it would run there
    for fd in range(3, 24):
        for way in (program, "/../../../../../../../../.." + program, "/1/root" + program):
            assert rune.run(bundle.args(f"/proc/self/fd/{fd}{way}", "true"), check=False).returncode != 0


def test_cve_2024_21626_users_are_not_looked_up_through_a_descriptor(rune, bundle, tmp_path):
    """HOME would tell what is in files of the host."""
    (tmp_path / "passwd").write_text("root:x:0:0::/leaked:/bin/sh\n")
    passwd = bundle.rootfs / "etc/passwd"
    for fd in range(3, 16):
        for way in (f"/{os.getpid()}/root{tmp_path}/passwd", "/../../../passwd"):
            passwd.unlink()
            os.symlink(f"/proc/self/fd/{fd}{way}", passwd)
            assert rune.run(bundle.shell("echo $HOME"), f"c{fd}").stdout == "/\n"
    rune.start(bundle.args("sleep", "1000"))
    for fd in range(3, 16):
        passwd.unlink()
        os.symlink(f"/proc/self/fd/{fd}/{os.getpid()}/root{tmp_path}/passwd", passwd)
        assert rune("exec", "c", "sh", "-c", "echo $HOME").stdout == "/\n"


def test_cve_2024_21626_nothing_that_the_caller_left_open_gets_in(rune, bundle):
    fd = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        listing = "for f in /proc/self/fd/*; do echo ${f##*/}; done"  # the shell's own, with what globbing opens
        with_fd = rune.run(bundle.shell(listing), "leak", pass_fds=[fd])
        without = rune.run(bundle.shell(listing), "plain")
        assert with_fd.stdout == without.stdout
        rune.start(bundle.args("sleep", "1000"))
        inside = rune("exec", "c", "sh", "-c", listing, pass_fds=[fd])
        assert inside.stdout == without.stdout
    finally:
        os.close(fd)


# ---- CVE-2016-9962: a container's processes look into one that is just coming in ---------------------------------


def test_cve_2016_9962_who_waits_is_not_for_others_to_look_into(rune, bundle):
    rune.create(bundle.args("true"))
    pid = rune.state()["pid"]
    # The same user with more capabilities than it has, but without that to look into anybody.
    peek = ["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace", "readlink", f"/proc/{pid}/cwd"]
    result = subprocess.run(peek, capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stdout) == (1, "")
    rune("kill", "c", "KILL")


def test_cve_2016_9962_nor_for_the_containers_user(rune, bundle):
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    rune.create(bundle.args("true"))
    proc = pathlib.Path(f"/proc/{rune.state()['pid']}")
    assert status_of((proc / "status").read_text(), "Uid").split()[0] == "1000"
    # The kernel gives what belongs to a process that isn't dumpable to root.
    assert (proc / "fd").stat().st_uid == 0


@pytest.mark.parametrize("user_namespace", [False, True])
def test_cve_2016_9962_who_comes_in_by_exec_is_not_for_the_container_to_look_into(rune, bundle, user_namespace):
    """The container's root looks at all that comes, as fast as it can: all it may see is payloads."""
    if user_namespace:  # there it may look into everything of its own
        bundle.namespace("user")
        bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        for kind in ("bounding", "permitted", "effective"):
            bundle.process["capabilities"][kind] = [*bundle.process["capabilities"][kind], "CAP_SYS_PTRACE"]
    rune.start(bundle.shell("while :; do for p in /proc/[0-9]*; do test $p = /proc/$$ || test ! -e $p || "
                            "echo $p $(cat $p/comm) $(ls -l $p/exe $p/root $p/cwd $p/fd/); done; done 2>/dev/null"))
    out = bundle.path / "c.out"
    for tries in range(1000):  # until both kinds were met, and often enough
        rune("exec", "c", "usleep", "10000")
        if tries > 30 and "rune:init" in out.read_text():
            break
    rune("kill", "c", "KILL")
    rune.wait_status("stopped")
    seen = out.read_text()
    assert "-> /bin/busybox" in seen, "a payload was looked into"
    assert "rune:init" in seen, "somebody was met on the way in"
    for stranger in ("container-init", "rune-plan", "-> /proc\n", "-> /proc ", "socket:", "/tasks", "cgroup"):
        assert [line for line in seen.splitlines(True) if stranger in line] == []


# ---- CVE-2022-29162: inheritable capabilities that nobody asked for ---------------------------------------------


def test_cve_2022_29162_no_inheritable_capabilities(rune, bundle):
    text = rune.output(bundle.args("cat", "/proc/self/status"), "one")
    assert int(status_of(text, "CapInh"), 16) == 0 and int(status_of(text, "CapAmb"), 16) == 0
    assert int(status_of(text, "CapEff"), 16) == 0x20000420
    rune.start(bundle.args("sleep", "1000"))
    text = rune("exec", "--cap", "CAP_NET_RAW", "c", "cat", "/proc/self/status").stdout
    assert int(status_of(text, "CapInh"), 16) == 0 and int(status_of(text, "CapAmb"), 16) == 0
    assert int(status_of(text, "CapEff"), 16) == 0x20000420 | 1 << 13


# ---- CVE-2026-30892: `exec --user 1` is root -------------------------------------------------------------------


@pytest.mark.parametrize("user, ids", [("1", (1, 0)), ("7", (7, 0)), ("1000", (1000, 0)), ("1:2", (1, 2)), ("0:5", (0, 5)),
                                       ("4294967294", (4294967294, 0)), ("0", (0, 0))])
def test_cve_2026_30892_the_user_of_an_exec(rune, bundle, user, ids):
    rune.start(bundle.args("sleep", "1000"))
    text = rune("exec", "--user", user, "c", "cat", "/proc/self/status").stdout
    assert [status_of(text, field).split() for field in ("Uid", "Gid")] == [[str(i)] * 4 for i in ids]
    if ids[0] != 0:
        assert [int(status_of(text, field), 16) for field in ("CapPrm", "CapEff", "CapAmb")] == [0, 0, 0]


def test_cve_2026_30892_a_number_alone_leaves_the_group_of_the_container(rune, bundle):
    bundle.process["user"] = {"uid": 1000, "gid": 1001}
    rune.start(bundle.args("sleep", "1000"))
    text = rune("exec", "--user", "3", "c", "cat", "/proc/self/status").stdout
    assert (status_of(text, "Uid").split()[0], status_of(text, "Gid").split()[0]) == ("3", "1001")


@pytest.mark.parametrize("user", ["root", "1x", "x1", "-1", "+1", " 1", "1 ", "0x1", "1:", ":1", "1:x", "1:2:3", "4294967295",
                                  "4294967296", "18446744073709551617", "1:4294967295", "01a", ":"])
def test_cve_2026_30892_what_is_no_number_is_nobody(rune, bundle, user):
    """No half of it counts, and nothing becomes 0."""
    rune.start(bundle.args("sleep", "1000"))
    result = rune("exec", "--user", user, "c", "id", check=False)
    assert result.returncode != 0 and result.stdout == "" and "--user" in result.stderr
