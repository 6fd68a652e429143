# SPDX-License-Identifier: Apache-2.0
"""Our own guest kernel, tried from inside: what a workload may expect of a container host is there, and what must not be
there isn't."""
import os
import pathlib
import subprocess

import pytest

import images
from conftest import ROOT, need_program
from enclaves import ImageFolder, Qt, busybox_image

# What a shell can try. kernel-probe has the rest, and needs the ext4 that is mounted here.
SCRIPT = r"""
try() { name=$1; shift; if "$@" >/tmp/said 2>&1; then echo "ok $name"; else echo "FAILED $name: $(head -c 200 /tmp/said)"; fi; }
overlay() {
    mkdir -p /tmp/o/lower /tmp/o/upper /tmp/o/work /tmp/o/merged && echo below >/tmp/o/lower/file &&
    mount -t tmpfs tmpfs /tmp/o/upper && mkdir /tmp/o/upper/u /tmp/o/upper/w &&
    mount -t overlay -o lowerdir=/tmp/o/lower,upperdir=/tmp/o/upper/u,workdir=/tmp/o/upper/w overlay /tmp/o/merged &&
    echo above >>/tmp/o/merged/file && grep -q above /tmp/o/upper/u/file
}
ext4() { mkdir -p /tmp/ext4 && mount -t ext4 -o loop /disk /tmp/ext4 && echo x >/tmp/ext4/file; }
binfmt() {
    mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc && echo ':probe:E::probe::/bin/cat:' >/proc/sys/fs/binfmt_misc/register &&
    printf 'executed' >/tmp/x.probe && chmod +x /tmp/x.probe && test "$(/tmp/x.probe)" = executed
}
controllers() { cat /sys/fs/cgroup/cgroup.controllers; for c in cpuset cpu io memory hugetlb pids misc; do grep -qw $c /sys/fs/cgroup/cgroup.controllers || return 1; done; }
limit() {
    mkdir /sys/fs/cgroup/limited && echo '+memory +pids +cpu +io' >/sys/fs/cgroup/cgroup.subtree_control &&
    echo 10 >/sys/fs/cgroup/limited/pids.max && echo 8M >/sys/fs/cgroup/limited/memory.max && echo 0 >/sys/fs/cgroup/limited/memory.swap.max &&
    echo '50000 100000' >/sys/fs/cgroup/limited/cpu.max && test -e /sys/fs/cgroup/limited/memory.pressure
}
filesystems() {
    for f in tmpfs overlay ext4 erofs squashfs fuse fuseblk virtiofs cgroup cgroup2 mqueue hugetlbfs bpf binfmt_misc devpts; do
        grep -qw $f /proc/filesystems || { echo "no $f"; return 1; }
    done
}
misc() {
    for d in device-mapper cuse fuse loop-control tun vsock; do grep -qw $d /proc/misc || { echo "no $d"; return 1; }; done
}
modules() { ! test -e /sys/module/vsock/initstate && ! test -e /proc/modules; }
config() { test -s /proc/config.gz; }
try filesystems filesystems
try overlayfs overlay
try ext4 ext4
try binfmt_misc binfmt
try controllers controllers
try limits limit
try "devices of drivers" misc
try "no modules" modules
try configuration config
for type in dummy bridge veth macvlan; do
    case $type in macvlan) under="link d-dummy" ;; *) under= ;; esac
    try $type ip link add $under d-$type type $type
done
ip link show dev lo | grep -q UP && echo "ok loopback" || echo "FAILED loopback"
/kernel-probe
echo "end of the probe"
"""


def our_kernel():
    link = ROOT / "build/kernels/coffer"
    if not link.exists():
        pytest.skip("there is no kernel of ours: tools/build-kernel makes it")
    return link.resolve()


@pytest.fixture(scope="module")
def report(tmp_path_factory, build_dir):
    """What the probe says, line by line."""
    folder = tmp_path_factory.mktemp("probe")
    qt = Qt(build_dir, folder / "state")
    disk = folder / "disk"
    with open(disk, "wb") as file:
        file.truncate(8 << 20)
    subprocess.run([need_program("mke2fs"), "-q", "-t", "ext4", "-b", "4096", "-O", "encrypt,verity", disk], check=True)
    probe = (build_dir / "tests/guest-kernel/kernel-probe").read_bytes()
    more = [images.file("disk", disk.read_bytes()), images.file("kernel-probe", probe, mode=0o755),
            images.file("probe.sh", SCRIPT)]
    applets = ("mkdir", "grep", "chmod", "printf", "test", "losetup")
    more += [images.symlink(f"bin/{name}", "busybox") for name in applets]
    eif = ImageFolder(qt, folder).eif("probe", busybox_image([more], Entrypoint=["/bin/sh", "/probe.sh"]), "--kernel",
                                      our_kernel())
    attached = qt.run("start", "--eif", eif, "--mem", "256", "--attach-console")
    lines = attached.stdout.replace("\r", "").splitlines()
    qt.run("stop", "--all")
    assert "end of the probe" in lines, f"{attached.stdout}\n{attached.stderr}"
    return lines


def test_everything_that_a_container_host_has_is_there(report):
    assert [line for line in report if line.startswith("FAILED")] == []
    assert len([line for line in report if line.startswith("ok ")]) == 50, report


def test_it_is_small_and_has_no_modules():
    folder = our_kernel()
    assert (folder / "modules/modules.dep").read_bytes() == b""
    assert list(folder.glob("modules/**/*.ko*")) == []
    assert "# CONFIG_MODULES is not set" in (folder / "config").read_text().splitlines()
    assert (folder / "vmlinuz").stat().st_size < 8 << 20


def test_second_call_finds_the_kernel(tmp_path):
    """Without apt, make or a folder to write to: what was built with this configuration is found."""
    told = subprocess.run([ROOT / "tools/build-kernel"], check=True, capture_output=True, text=True)
    assert pathlib.Path(told.stdout.strip()) == our_kernel()
    assert told.stderr == ""


def fake_tools(folder, **scripts):
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/bin/bash\n{text}\n")
        (folder / name).chmod(0o755)
    return dict(os.environ, PATH=f"{folder}:{os.environ['PATH']}")


def test_line_that_does_not_come_true_is_an_error(tmp_path):
    """A configuration is refused, with the line, rather than built into something else."""
    config = tmp_path / "config"
    config.write_text("CONFIG_NO_SUCH_THING=y\n")
    result = build_with_fake_source(tmp_path, config)
    assert result.returncode == 1
    assert "CONFIG_NO_SUCH_THING=y does not come true" in result.stderr
    assert [p.name for p in (tmp_path / "kernels").iterdir()] == [".lock-coffer"]


def test_build_takes_nothing_from_its_surroundings(tmp_path):
    """Date, user, host, number of the build and environment would make each kernel another one."""
    config = tmp_path / "config"
    config.write_text("CONFIG_X=y\n")
    built = []
    for name, surroundings in ("a", {"KCFLAGS": "-g", "LOCALVERSION": "-mine", "TZ": "Asia/Tokyo"}), ("b", {}):
        folder = tmp_path / name
        folder.mkdir()
        result = build_with_fake_source(folder, config, **surroundings)
        assert result.returncode == 0, result.stderr
        built.append((pathlib.Path(result.stdout.strip()) / "vmlinuz").read_text())
    assert built[0] == built[1]
    for part in ("KBUILD_BUILD_TIMESTAMP=Thu, 01 Jan 2026 00:00:00 +0000", "KBUILD_BUILD_USER=coffer",
                 "KBUILD_BUILD_HOST=coffer", "KBUILD_BUILD_VERSION=1", "LOCALVERSION=", "TZ=UTC"):
        assert part in built[0].splitlines(), built[0]


MENDED = {"drivers/acpi/acpica/evhandler.c": "\tACPI_ADR_SPACE_SYSTEM_IO,\n\tACPI_ADR_SPACE_PCI_CONFIG,\n",
          "arch/x86/kernel/apic/apic.c": "unsigned int lapic_timer_period = 0;\n"}
MAKEFILE = """
allnoconfig:
\t@grep CONFIG_X $(KCONFIG_ALLCONFIG) >.config || echo '# nothing' >.config
bzImage:
\t@mkdir -p arch/x86/boot include/config; env | sort | grep -v -e PWD -e MAKE -e MFLAGS >arch/x86/boot/bzImage
\t@echo 6.1.0-fake >include/config/kernel.release; echo >System.map; echo kernel/x.ko >modules.builtin
modules.builtin:
\t@true
"""


def build_with_fake_source(folder, config, **surroundings):
    """Runs build-kernel with a source package whose build takes no time, and says what it was given."""
    tree, tools = folder / "package", folder / "tools"
    (tree / "usr/src").mkdir(parents=True)
    (tree / "usr/share/doc/linux-source-6.1").mkdir(parents=True)
    (tree / "DEBIAN").mkdir()
    tools.mkdir()
    source = folder / "linux-source-6.1"
    source.mkdir()
    (source / "Makefile").write_text(MAKEFILE)
    for name, text in MENDED.items():
        (source / name).parent.mkdir(parents=True)
        (source / name).write_text(text)
    subprocess.run(["tar", "-cJf", tree / "usr/src/linux-source-6.1.tar.xz", "-C", folder, source.name], check=True)
    changelog = tree / "usr/share/doc/linux-source-6.1/changelog.Debian"
    changelog.write_text("linux (6.1) x; urgency=low\n\n -- A <a@b>  Thu, 01 Jan 2026 00:00:00 +0000\n")
    subprocess.run(["gzip", "-n", changelog], check=True)
    (tree / "DEBIAN/control").write_text("Package: linux-source-6.1\nVersion: 6.1.999-1\nArchitecture: all\n"
                                         "Maintainer: A <a@b>\nDescription: x\n")
    sums = subprocess.run("find usr -type f -print0 | xargs -0 md5sum", shell=True, cwd=tree, check=True, capture_output=True)
    (tree / "DEBIAN/md5sums").write_bytes(sums.stdout)
    subprocess.run(["dpkg-deb", "--build", tree, folder / "source.deb"], check=True, stdout=subprocess.DEVNULL)
    env = fake_tools(tools, **{"apt-cache": "echo Package: linux-source-6.1",
                               "apt-get": f'case " $* " in *" download "*) cp {folder}/source.deb x.deb ;; esac'})
    return subprocess.run([ROOT / "tools/build-kernel", "--output", folder / "kernels", "--config", config, "--jobs", "1"],
                          env={**env, **surroundings}, capture_output=True, text=True)
