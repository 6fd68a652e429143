# SPDX-License-Identifier: Apache-2.0
"""What other runtimes were broken by while they made a container's file system, each by its number.

Where the attack is a race, another process swaps names as fast as it can for a bounded number of tries.
"""
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import sys

import pytest

from bundles import bundle, rune  # noqa: F401
from conftest import need_program

TRIES = 25  # containers that a racing test starts

SWAPPER = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
a, b = (p.encode() for p in sys.argv[1:3])
print("swapping", flush=True)
while True:
    if libc.renameat2(-100, a, -100, b, 2):  # RENAME_EXCHANGE
        sys.exit(os.strerror(ctypes.get_errno()))
"""


@contextlib.contextmanager
def swapping(a, b):
    """Two names whose content is exchanged without end."""
    process = subprocess.Popen([sys.executable, "-c", SWAPPER, a, b], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "swapping\n"
        yield
        assert process.poll() is None, "it swapped until the end"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()


def tree(path):
    """All that is below a folder, with what files hold."""
    return {str(p.relative_to(path)): p.read_bytes() if p.is_file() and not p.is_symlink() else None
            for p in sorted(pathlib.Path(path).rglob("*"))}


@pytest.fixture
def outside(tmp_path):
    """A folder of the host beside the rootfs, with something to lose."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_text("of the host")
    return folder


def without_mounts(bundle, *destinations):
    bundle.config["mounts"] = [m for m in bundle.config["mounts"] if m["destination"] not in destinations]


def without_dev(bundle):
    """What a bundle is like whose image, or whose volume, is all that there is of /dev."""
    without_mounts(bundle, "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue")
    bundle.config["root"]["readonly"] = False


def bind(bundle, source, destination, *options):
    bundle.config["mounts"].append({"destination": destination, "type": "bind", "source": str(source),
                                    "options": ["bind", *options]})


# ---- CVE-2019-16884: a false procfs takes what should protect the container --------------------------------------


@pytest.mark.parametrize("destination", ["/proc", "/proc/", "/link", "/mnt/../proc", "/proc/self", "/proc/self/attr"])
@pytest.mark.parametrize("kind", ["bind", "tmpfs"])
def test_cve_2019_16884_a_volume_over_proc(rune, bundle, outside, destination, kind):
    os.symlink("proc", bundle.rootfs / "link")
    (outside / "self/attr").mkdir(parents=True)
    if kind == "bind":
        bind(bundle, outside, destination)
    else:
        bundle.config["mounts"].append({"destination": destination, "type": "tmpfs", "source": "tmpfs"})
    result = rune.run(bundle.args("echo", "executed"), check=False)
    assert result.returncode != 0 and result.stdout == ""
    assert "cannot be mounted because it is" in result.stderr


def test_cve_2019_16884_a_volume_over_proc_before_procfs(rune, bundle, outside):
    without_mounts(bundle, "/proc")
    bind(bundle, outside, "/proc")
    result = rune.run(bundle.args("echo", "executed"), check=False)
    assert result.returncode != 0 and result.stdout == "" and "not of type proc" in result.stderr


# ---- CVE-2021-30465, CVE-2024-45310: the destination of a mount becomes a symlink to the host ---------------------


def racing_volume(bundle, outside):
    """A volume of which another container swaps a folder and a symlink out of the root."""
    volume = bundle.path.parent / "volume"
    (volume / "x").mkdir(parents=True)
    os.symlink("../" * 12 + str(outside).lstrip("/"), volume / "link")
    bind(bundle, volume, "/mnt", "rw")
    bundle.config["root"]["readonly"] = False
    return volume


def test_cve_2021_30465_a_racing_symlink_for_a_destination(rune, bundle, outside):
    volume = racing_volume(bundle, outside)
    (outside / "y").mkdir()
    bundle.config["mounts"].append({"destination": "/mnt/x/y", "type": "tmpfs", "source": "raced"})
    before = tree(outside)
    with swapping(volume / "x", volume / "link"):
        for i in range(TRIES):
            result = rune.run(bundle.shell("grep -c ' raced ' /proc/self/mountinfo; ls /mnt/x/../../../../..; "
                                           f"cat {outside}/secret"), f"c{i}", check=False)
            # All that the container has is below its own root, and so are its mounts.
            assert "of the host" not in result.stdout
            if result.returncode == 1 and result.stdout:
                assert result.stdout.startswith("1\n")
    assert tree(outside) == before
    assert "raced" not in pathlib.Path("/proc/self/mountinfo").read_text()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_cve_2024_45310_no_stray_files_on_the_host(rune, bundle, outside, kind):
    volume = racing_volume(bundle, outside)
    source = bundle.path.parent / "source"
    if kind == "file":
        source.write_text("bound")
    else:
        source.mkdir()
    bind(bundle, source, "/mnt/x/new/deep")
    before = tree(outside)
    with swapping(volume / "x", volume / "link"):
        for i in range(TRIES):
            rune.run(bundle.args("true"), f"c{i}", check=False)
            assert tree(outside) == before
            for made in (volume / "x/new", volume / "link/new"):
                if made.is_dir() and not volume.joinpath("x").is_symlink():
                    shutil.rmtree(made, ignore_errors=True)


def test_cve_2024_45310_a_symlink_that_waits(rune, bundle, outside):
    """Without a race: what lies in the image leads out of it."""
    for name, target in (("up", "../" * 12 + str(outside).lstrip("/")), ("absolute", str(outside)),
                         ("proc-link", "/proc/self/root" + str(outside))):
        os.symlink(target, bundle.rootfs / name)
        bundle.config["mounts"].append({"destination": f"/{name}/made/deep", "type": "tmpfs", "source": "tmpfs"})
    bundle.config["root"]["readonly"] = False
    before = tree(outside)
    rune.run(bundle.args("true"), check=False)
    bundle.config["mounts"].pop()
    rune.run(bundle.args("true"), "second")
    assert tree(outside) == before


# ---- CVE-2023-25809: a container without rights gets the host's control groups to write to ----------------------


@pytest.mark.parametrize("namespace", [True, False])
def test_cve_2023_25809_control_groups_in_a_user_namespace(rune, bundle, namespace):
    bundle.namespace("user")
    bundle.linux["uidMappings"] = [{"containerID": 0, "hostID": 0, "size": 65536}]
    bundle.linux["gidMappings"] = [{"containerID": 0, "hostID": 0, "size": 65536}]
    if not namespace:
        bundle.without_namespace("cgroup")
    script = ("cd /sys/fs/cgroup; for d in . *; do mkdir $d/stray && echo made in $d; "
              "for f in cgroup.procs release_agent; do "
              "test -e $d/$f && echo 0 2>/dev/null >$d/$f && echo wrote $d/$f; done; done; echo end")
    result = rune.run(bundle.shell(script))
    assert result.stdout == "end\n"


def test_cve_2023_25809_sysfs_of_the_host(rune, bundle):
    """Without a network namespace a user namespace gets the host's sysfs, which has the control groups in it."""
    bundle.namespace("user")
    bundle.without_namespace("network")
    bundle.linux["uidMappings"] = [{"containerID": 0, "hostID": 0, "size": 65536}]
    bundle.linux["gidMappings"] = [{"containerID": 0, "hostID": 0, "size": 65536}]
    without_mounts(bundle, "/sys/fs/cgroup")
    result = rune.run(bundle.shell("for d in /sys/fs/cgroup /sys/fs/cgroup/*; do mkdir $d/stray && echo made in $d; "
                                   "done; echo end"))
    assert result.stdout == "end\n"


# ---- CVE-2023-27561, CVE-2023-28642: /proc or /sys is a symlink --------------------------------------------------


@pytest.mark.parametrize("name", ["proc", "sys"])
@pytest.mark.parametrize("target", ["tmp/real", "/tmp/real", "../outside"])
def test_cve_2023_27561_and_28642_a_symlink_for_procfs_or_sysfs(rune, bundle, outside, name, target):
    (bundle.rootfs / "tmp/real").mkdir()
    (bundle.rootfs / name).rmdir()
    os.symlink(target, bundle.rootfs / name)
    result = rune.run(bundle.args("echo", "executed"), check=False)
    assert result.returncode != 0 and result.stdout == ""
    assert "must be mounted on ordinary directory" in result.stderr


def test_cve_2023_27561_a_volume_with_a_racing_proc(rune, bundle, tmp_path):
    """The rootfs is shared: "/proc" is swapped with a symlink while the container is made."""
    (bundle.rootfs / "tmp/proc").mkdir()
    os.symlink("tmp/proc", bundle.rootfs / "other")
    with swapping(bundle.rootfs / "proc", bundle.rootfs / "other"):
        for i in range(TRIES):
            result = rune.run(bundle.shell("grep -E ' - (proc|sysfs) ' /*/self/mountinfo /tmp/proc/self/mountinfo"),
                              f"c{i}", check=False)
            assert " /tmp/proc " not in result.stdout


# ---- CVE-2025-24965, CVE-2026-47766: what the runtime writes into the root goes through a symlink ----------------


@pytest.mark.parametrize("target", ["{outside}", "../../outside", "../" * 12 + "{relative}", "/proc/self/cwd"])
def test_cve_2026_47766_a_symlink_for_dev(rune, bundle, outside, target):
    without_dev(bundle)
    (bundle.rootfs / "dev").rmdir()
    os.symlink(target.format(outside=outside, relative=str(outside).lstrip("/")), bundle.rootfs / "dev")
    bundle.linux["devices"] = [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o666}]
    before = tree(outside)
    rune.run(bundle.args("true"), check=False)
    assert tree(outside) == before


def test_cve_2026_47766_a_symlink_for_a_folder_of_devices(rune, bundle, outside):
    without_dev(bundle)
    os.symlink("../" * 12 + str(outside).lstrip("/"), bundle.rootfs / "dev/net")
    bundle.linux["devices"] = [{"path": "/dev/net/tun", "type": "c", "major": 10, "minor": 200, "fileMode": 0o666}]
    before = tree(outside)
    rune.run(bundle.args("true"), check=False)
    assert tree(outside) == before


def test_cve_2026_47766_a_racing_dev(rune, bundle, outside):
    without_dev(bundle)
    os.symlink("../" * 12 + str(outside).lstrip("/"), bundle.rootfs / "other")
    before = tree(outside)
    with swapping(bundle.rootfs / "dev", bundle.rootfs / "other"):
        for i in range(TRIES):
            rune.run(bundle.args("true"), f"c{i}", check=False)
            assert tree(outside) == before


def test_cve_2025_24965_nothing_is_written_through_a_symlink_of_the_image(rune, bundle, outside):
    """Everything below the root that a runtime may want to make leads to a file of the host."""
    without_dev(bundle)
    secret = outside / "secret"
    for name in ("dev/null", "dev/zero", "dev/ptmx", "dev/console", "dev/fd", "dev/core", ".dockerenv",
                 "run/secrets", "etc/hosts", "etc/hostname", "etc/mtab", ".krun_config.json"):
        (bundle.rootfs / name).parent.mkdir(exist_ok=True)
        os.symlink("../" * 12 + str(secret).lstrip("/"), bundle.rootfs / name)
    bundle.process["cwd"] = "/etc/hosts/made"
    before = tree(outside)
    rune.run(bundle.args("true"), check=False)
    bundle.process["cwd"] = "/"
    rune.run(bundle.args("true"), "second", check=False)
    assert tree(outside) == before and stat.S_ISREG(secret.stat().st_mode)


# ---- CVE-2025-31133: a masked path shows what the image has for /dev/null ----------------------------------------


@pytest.mark.parametrize("null", ["file", "symlink", "other device", "symlink to procfs"])
def test_cve_2025_31133_a_false_null(rune, bundle, null):
    without_dev(bundle)
    (bundle.rootfs / "masked").write_text("to be masked")
    (bundle.rootfs / "chosen").write_text("the attacker's")
    bundle.linux["maskedPaths"].append("/masked")
    path = bundle.rootfs / "dev/null"
    if null == "file":
        path.write_text("the attacker's")
    elif null == "symlink":
        os.symlink("/chosen", path)
    elif null == "symlink to procfs":
        os.symlink("/proc/sys/kernel/core_pattern", path)
    else:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
    result = rune.run(bundle.args("echo", "executed"), check=False)
    assert result.returncode != 0 and result.stdout == "" and "null" in result.stderr


def test_cve_2025_31133_a_racing_null(rune, bundle):
    without_dev(bundle)
    (bundle.rootfs / "masked").write_text("to be masked")
    (bundle.rootfs / "chosen").write_text("the attacker's")
    bundle.linux["maskedPaths"] = ["/masked"]
    os.mknod(bundle.rootfs / "dev/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.symlink("/chosen", bundle.rootfs / "dev/other")
    executed = 0
    with swapping(bundle.rootfs / "dev/null", bundle.rootfs / "dev/other"):
        for i in range(2 * TRIES):
            result = rune.run(bundle.args("cat", "/masked"), f"c{i}", check=False)
            assert result.stdout == ""
            executed += result.returncode == 0
    assert executed > 0, "the race was sometimes won by us"


# ---- CVE-2025-52565: the terminal is mounted on what /dev/console leads to ---------------------------------------


@contextlib.contextmanager
def console_socket(folder):
    """A socket that takes what terminals it is sent."""
    path = folder / "console.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(64)
        yield path


def with_terminal(bundle):
    without_mounts(bundle, "/dev", "/dev/shm", "/dev/mqueue")
    bundle.config["root"]["readonly"] = False
    bundle.process["terminal"] = True


@pytest.mark.parametrize("target", ["/target", "/proc/sysrq-trigger", "../../outside/secret"])
def test_cve_2025_52565_a_symlink_for_the_console(rune, bundle, outside, target):
    with_terminal(bundle)
    (bundle.rootfs / "target").write_text("a file")
    os.symlink(target, bundle.rootfs / "dev/console")
    before = tree(outside)
    with console_socket(bundle.path) as path:
        result = rune.create(bundle.args("true"), "c", "--console-socket", path, check=False)
    assert result.returncode != 0 and "/dev/console" in result.stderr
    assert tree(outside) == before


def test_cve_2025_52565_a_racing_console(rune, bundle):
    with_terminal(bundle)
    (bundle.rootfs / "target").write_text("a file")
    (bundle.rootfs / "dev/console").write_text("")
    os.symlink("/target", bundle.rootfs / "dev/other")
    created = 0
    with console_socket(bundle.path) as path, swapping(bundle.rootfs / "dev/console", bundle.rootfs / "dev/other"):
        for i in range(TRIES):
            result = rune.create(bundle.args("true"), f"c{i}", "--console-socket", path, check=False)
            if result.returncode != 0:
                continue
            created += 1
            mounts = pathlib.Path(f"/proc/{rune.state(f'c{i}')['pid']}/mountinfo").read_text()
            rune("delete", "--force", f"c{i}")
            assert " /target " not in mounts
    assert created > 0, "the race was sometimes won by us"


def test_cve_2025_52565_a_false_devpts(rune, bundle):
    with_terminal(bundle)
    without_mounts(bundle, "/dev/pts")
    (bundle.rootfs / "dev/pts").mkdir()
    os.mknod(bundle.rootfs / "dev/pts/ptmx", stat.S_IFCHR | 0o666, os.makedev(5, 2))
    with console_socket(bundle.path) as path:
        result = rune.create(bundle.args("true"), "c", "--console-socket", path, check=False)
    assert result.returncode != 0 and "/dev/pts/ptmx" in result.stderr


# ---- CVE-2025-52881: what is written to procfs goes elsewhere ----------------------------------------------------


def sysctl_of(rune, name, key):
    """The value that the kernel has for a container, by the host's procfs."""
    pid = rune.state(name)["pid"]
    return subprocess.run([need_program("nsenter"), "-t", str(pid), "-n", "cat", f"/proc/sys/{key}"],
                          capture_output=True, text=True, check=True).stdout


def test_cve_2025_52881_sysctls_go_to_the_kernel(rune, bundle):
    without_mounts(bundle, "/proc")
    (bundle.rootfs / "proc/sys/net/ipv4").mkdir(parents=True)
    false = bundle.rootfs / "proc/sys/net/ipv4/ip_forward"
    false.write_text("untouched")
    bundle.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    bundle.linux["maskedPaths"] = bundle.linux["readonlyPaths"] = []
    rune.create(bundle.args("true"))
    assert sysctl_of(rune, "c", "net/ipv4/ip_forward") == "1\n" and false.read_text() == "untouched"


def test_cve_2025_52881_a_sysctl_does_not_lead_elsewhere(rune, bundle):
    """The keys that a path walk could leave /proc/sys by; one of them would crash the host."""
    for key in ("net/../../self/comm", "../self/comm", "net/../../sysrq-trigger", "kernel/../../sysrq-trigger"):
        bundle.linux["sysctl"] = {key: "h"}
        result = rune.run(bundle.args("echo", "executed"), check=False)
        assert result.returncode != 0 and result.stdout == ""


@pytest.mark.parametrize("key", ["net/../vm/swappiness", "net.//.vm.swappiness", "net.ipv4.//.//.vm.swappiness",
                                 "net/ipv4/../../vm/swappiness", "user/../vm/swappiness", "user.//.vm.swappiness",
                                 "kernel/msgmax/../../vm/swappiness", "fs/mqueue/../../vm/swappiness"])
def test_cve_2025_52881_a_setting_of_the_host_by_way_of_the_containers(rune, bundle, key):
    """As kernel.core_pattern would be; vm.swappiness is what it was already."""
    bundle.namespace("user")
    bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = [{"containerID": 0, "hostID": 0, "size": 65536}]
    bundle.linux["sysctl"] = {key: pathlib.Path("/proc/sys/vm/swappiness").read_text().strip()}
    result = rune.run(bundle.args("echo", "executed"), check=False)
    assert result.returncode != 0 and result.stdout == "" and "linux.sysctl" in result.stderr


def test_cve_2025_52881_a_racing_proc_in_a_volume(rune, bundle):
    """Another container swaps what is to become /proc while sysctls are written."""
    (bundle.rootfs / "other/sys/net/ipv4").mkdir(parents=True)
    false = bundle.rootfs / "other/sys/net/ipv4/ip_forward"
    false.write_text("untouched")
    bundle.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    created = 0
    with swapping(bundle.rootfs / "proc", bundle.rootfs / "other"):
        for i in range(TRIES):
            if rune.create(bundle.args("true"), f"c{i}", check=False).returncode == 0:
                created += 1
                assert sysctl_of(rune, f"c{i}", "net/ipv4/ip_forward") == "1\n"
                rune("delete", "--force", f"c{i}")
    assert created > 0, "the race was sometimes won by us"
    for name in ("proc", "other"):
        path = bundle.rootfs / name / "sys/net/ipv4/ip_forward"
        if path.exists():
            assert path.read_text() == "untouched"
