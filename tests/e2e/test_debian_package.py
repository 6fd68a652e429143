# SPDX-License-Identifier: Apache-2.0
"""The Debian package: made of this tree, installed by apt into a small Debian of its own, used, upgraded, removed.

The small Debian is a folder; what runs in it runs in namespaces that end with it, without network but for apt.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

import images
from conftest import ROOT, copy_sources, need_program
from enclaves import busybox_image


def suite_and_mirror():
    """Of this machine's own packages, as apt has them: the suite that updates and security fixes belong to."""
    made = subprocess.run(["apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)", "Created-By: Packages"],
                          check=True, capture_output=True, text=True)
    suites = dict(line.split() for line in made.stdout.splitlines() if len(line.split()) == 2)
    shortest = min(suites, key=len, default=None)
    if shortest is None:
        pytest.skip("apt knows no suite to make a small Debian of")
    return shortest, suites[shortest]


def build_deb(tree, folder, **environment):
    result = subprocess.run(["nice", tree / "tools/build-deb", "--output", folder], capture_output=True, text=True,
                            env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000", **environment})
    assert result.returncode == 0, result.stderr
    return pathlib.Path(result.stdout.strip())


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return build_deb(ROOT, tmp_path_factory.mktemp("package"))


def test_package_built_elsewhere_is_the_same_to_the_byte(package, tmp_path):
    tree = tmp_path / "another/folder"
    subprocess.run(["git", "clone", "--quiet", "--no-checkout", ROOT, tree], check=True)  # for the commit that rune names
    copy_sources(tree)
    again = build_deb(tree, tmp_path, TZ="Asia/Tokyo", LC_ALL="C")
    assert again.read_bytes() == package.read_bytes()


class Debian:
    """A folder with a Debian in it."""

    def __init__(self, folder):
        self.folder = folder

    def run(self, *command, network=False, **rest):
        """Runs a command in it, as root, in namespaces of its own."""
        spaces = ["--mount", "--pid", "--fork", "--ipc"] + ([] if network else ["--net"])
        inside = "mount -t proc proc /proc && mount -t tmpfs tmpfs /run && exec \"$@\""
        return subprocess.run(["unshare", *spaces, "--kill-child", "chroot", self.folder, "/bin/sh", "-c", inside, "sh",
                               *map(str, command)], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive",
                                   "LC_ALL": "C.UTF-8", "HOME": "/root"}, **rest)

    def ok(self, *command, **rest):
        result = self.run(*command, **rest)
        assert result.returncode == 0, f"{command}: {result.stdout} {result.stderr}"
        return result.stdout

    def apt(self, *arguments):
        return self.ok("apt-get", "-y", "-q", "--no-install-recommends", *arguments, network=True)

    def files(self):
        """Every path below the folders that a package may touch, but for what apt and dpkg write down for themselves."""
        own = ("/var/lib/dpkg", "/var/lib/apt", "/var/cache", "/var/log", "/proc", "/run", "/tmp", "/sys", "/dev")
        found = set()
        for top, folders, names in os.walk(self.folder):
            path = "/" + os.path.relpath(top, self.folder)
            if path.startswith(own):
                folders[:] = []
                continue
            found.update(os.path.join(path, name) for name in [*folders, *names])
        return found


@pytest.fixture(scope="module")
def debian(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("a root file system of its own needs root")
    program = need_program("debootstrap")
    folder = tmp_path_factory.mktemp("debian") / "root"
    suite, mirror = suite_and_mirror()
    result = subprocess.run([program, "--variant=minbase", suite, folder, mirror], capture_output=True, text=True)
    if result.returncode != 0:
        pytest.skip(f"debootstrap does not work here: {result.stdout[-500:]}")
    # Packages of the suite's updates are what programs built here are linked with.
    shutil.copytree("/etc/apt", folder / "etc/apt", dirs_exist_ok=True,
                    ignore=lambda _, names: [n for n in names if "debian" not in n and n.endswith((".list", ".sources"))])
    (folder / "etc/apt/sources.list").unlink(missing_ok=True)
    shutil.copy("/etc/resolv.conf", folder / "etc/resolv.conf")
    yield Debian(folder)
    shutil.rmtree(folder)


def contents(package):
    lines = subprocess.run(["dpkg-deb", "-c", package], check=True, capture_output=True, text=True).stdout.splitlines()
    return {line.split()[5].lstrip("."): line.split()[:2] for line in lines}


def test_holds_what_an_installation_has_and_nothing_that_is_somebodys(package):
    files = contents(package)
    for path in ("/usr/bin/qt", "/usr/sbin/rune", "/usr/lib/coffer/coffer-enclave", "/usr/lib/coffer/enclave-init",
                 "/usr/lib/coffer/fetch-kernel", "/usr/lib/coffer/libpal_vm.so", "/usr/share/man/man1/qt-enclave.1.gz",
                 "/usr/share/bash-completion/completions/qt.bash", "/usr/share/zsh/vendor-completions/_qt",
                 "/usr/share/fish/vendor_completions.d/qt.fish", "/usr/share/doc/coffer/copyright"):
        assert path in files
    assert {owner for _, owner in files.values()} == {"root/root"}
    assert not [path for path, (mode, _) in files.items() if mode[8] == "w" and mode[0] != "l"]
    allowed = re.compile(r"/(etc/coffer|usr(/(bin|sbin|lib|share))?|usr/lib/coffer|usr/share/(bash-completion|fish|zsh|doc/coffer|"
                         r"doc|lintian|man)).*")
    assert not [path for path in files if path != "/" and not allowed.fullmatch(path.rstrip("/"))]


def test_depends_on_what_its_programs_are_linked_with(package):
    depends = subprocess.run(["dpkg-deb", "-f", package, "Depends"], check=True, capture_output=True, text=True).stdout
    for name in ("libc6", "libssl3", "libcurl4", "libjansson4", "kmod"):
        assert re.search(rf"\b{name}\b", depends)


def test_lintian_has_nothing_to_say(package):
    result = subprocess.run([need_program("lintian"), "--fail-on", "error,warning", "--allow-root", package],
                            capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def newer(package, folder):
    """The same package with a higher version."""
    subprocess.run(["dpkg-deb", "-R", package, folder], check=True)
    control = folder / "DEBIAN/control"
    control.write_text(control.read_text().replace("Version: ", "Version: 1:"))
    target = folder.with_suffix(".deb")
    subprocess.run(["dpkg-deb", "-b", folder, target], check=True, capture_output=True)
    return target


def test_installs_works_upgrades_and_leaves_nothing(debian, package, qt_kernel, tmp_path):
    debian.apt("update")
    debian.apt("install", "busybox-static", *dependencies_of(package))
    before = debian.files()
    shutil.copy(package, debian.folder / "tmp/coffer.deb")
    debian.apt("install", "/tmp/coffer.deb")
    check_it_works(debian, qt_kernel)
    installed = debian.files()

    shutil.copy(newer(package, tmp_path / "newer"), debian.folder / "tmp/newer.deb")
    debian.apt("install", "/tmp/newer.deb")
    assert debian.files() == installed
    check_it_works(debian, qt_kernel)

    (debian.folder / "usr/lib/coffer/kernels/cloud").mkdir(parents=True)  # as fetch-kernel leaves it
    assert "coffer" in debian.apt("remove", "coffer")
    assert debian.files() == before
    debian.apt("install", "/tmp/newer.deb")
    output = debian.ok("dpkg", "--purge", "coffer")
    assert "warning" not in output
    assert debian.files() == before
    assert debian.run("dpkg", "-s", "coffer").returncode != 0


def dependencies_of(package):
    """Without them in, what is left behind by others would show as ours."""
    depends = subprocess.run(["dpkg-deb", "-f", package, "Depends"], check=True, capture_output=True, text=True).stdout
    return [re.split(r"[ (]", one.strip())[0] for one in depends.split(",")]


@pytest.fixture(scope="module")
def qt_kernel():
    return pathlib.Path(subprocess.run([ROOT / "tools/fetch-kernel", "cloud"], check=True, capture_output=True,
                                       text=True).stdout.strip()).resolve()


def check_it_works(debian, kernel):
    """What a first session does, as far as there is no QEMU in there."""
    for program in ("qt", "rune", "sgx-sign", "sgx-verify", "sgx-emulator", "ne-emulator"):
        assert debian.ok(program, "--version")
    assert json.loads(debian.ok("qt", "enclave", "query")) == []
    work = debian.folder / "tmp/demo"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    images.write_oci_layout(work / "layout", busybox_image(Cmd=["/bin/sh"]))
    shutil.copytree(kernel, work / "kernel", symlinks=True)
    made = json.loads(debian.ok("qt", "enclave", "make-img", "--docker-uri", "oci:/tmp/demo/layout:latest", "--eif",
                                "/tmp/demo/a.eif", "--kernel", "/tmp/demo/kernel"))
    shown = json.loads(debian.ok("qt", "enclave", "query-eif", "--eif", "/tmp/demo/a.eif"))
    assert shown["Measurements"]["PCR0"] == made["PCR0"] and shown["CheckCRC"] is True
    result = debian.run("qt", "enclave", "start", "--eif", "/tmp/demo/a.eif", "--mem", "256")
    assert (result.returncode, "install QEMU (qemu-system-x86)" in result.stderr) == (1, True), result.stderr
    no_kernel = debian.run("qt", "enclave", "make-img", "--docker-uri", "oci:/tmp/demo/layout:latest", "--eif", "/tmp/b.eif")
    assert "/usr/lib/coffer/fetch-kernel cloud" in no_kernel.stderr
    assert json.loads(debian.ok("sh", "-c", "cd /tmp/demo && rune spec && cat config.json"))["ociVersion"]
    debian.ok("sh", "-c", "bash -n /usr/share/bash-completion/completions/qt.bash")
