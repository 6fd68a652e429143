# SPDX-License-Identifier: Apache-2.0
"""rune is one file that needs no other: no C library, no loader."""
import re
import shutil
import subprocess

import pytest

from bundles import bundle, rune  # noqa: F401
from conftest import need_program

# In a mount namespace of its own: a root with rune, a bundle, procfs and what is in a folder.
BARE_HOST = r"""
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
cd "$1"
mkdir proc run
mount -t proc proc proc
cp "$2" rune
cp -r "$3" bundle
cp -r "$4/." .
shift 4
exec chroot . /rune "$@"
"""


@pytest.fixture
def static_rune(rune):
    with open(rune.program, "rb") as file:
        if b"__asan_init" in file.read():
            pytest.skip("a build with sanitizers is dynamic")
    return rune


@pytest.fixture
def there(tmp_path):
    """The folder of what is on the bare host as well."""
    folder = tmp_path / "there"
    folder.mkdir()
    return folder


def on_a_bare_host(rune, bundle, there, *args):
    bundle.write()
    root = there.parent / "root"
    root.mkdir()
    return subprocess.run([need_program("unshare"), "--mount", "sh", "-c", BARE_HOST, "sh", root, rune.program,
                           bundle.path, there, *args],
                          capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)


def test_it_is_static_at_a_random_address_and_its_tables_are_read_only(static_rune):
    text = subprocess.run([need_program("readelf"), "-hldW", static_rune.program],
                          capture_output=True, text=True, check=True).stdout
    assert re.search(r"Type: +DYN ", text) and re.search(r"FLAGS_1\).* PIE", text)
    assert "GNU_RELRO" in text and re.search(r"FLAGS\).*BIND_NOW", text)
    assert re.search(r"GNU_STACK .* RW ", text)
    for word in ("INTERP", "NEEDED", "TEXTREL", "RWE"):
        assert word not in text


def test_its_address_is_another_at_each_start(static_rune, bundle):
    hook, maps = bundle.path / "hook", bundle.path / "maps"
    hook.write_text(f"#!/bin/sh\ngrep -m 1 \"/rune$\" /proc/$PPID/maps >>{maps}\n")
    hook.chmod(0o755)
    bundle.config["hooks"] = {"createRuntime": [{"path": str(hook)}]}
    for name in "abcd":
        static_rune.run(bundle.args("true"), name)
    lines = maps.read_text().splitlines()
    # Two could be the same by chance.
    assert len(lines) == 4 and len({line.split("-")[0] for line in lines}) > 1


def test_a_container_where_there_is_nothing_but_rune_and_a_bundle(static_rune, bundle, there):
    result = on_a_bare_host(static_rune, bundle.args("echo", "hello"), there,
                            "--cgroup-manager", "disabled", "run", "-b", "/bundle", "c")
    assert (result.returncode, result.stdout, result.stderr) == (0, "hello\n", "")


@pytest.mark.parametrize("libraries, words", [
    ([], "the loader of the C library that rune is built for is not here; install libsystemd"),
    (["loader"], "this host's C library can't load it: it says why above"),
    (["loader", "libc"], "systemd's control groups need its library: libsystemd.so.0: cannot open"),
])
def test_what_systemds_groups_need_is_named(static_rune, bundle, there, libraries, words):
    text = subprocess.run([need_program("ldd"), "/bin/true"], capture_output=True, text=True, check=True).stdout
    paths = {"loader": re.search(r"^\s*(/\S*/ld-\S+)", text, re.M)[1],
             "libc": re.search(r"libc\.so\.6 => (\S+)", text)[1]}
    for name in libraries:
        place = there / paths[name].lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(paths[name], place)
    (there / "dev").mkdir()
    (there / "dev/null").touch()
    bundle.linux["cgroupsPath"] = "a.slice:b:c"
    result = on_a_bare_host(static_rune, bundle, there, "--systemd-cgroup", "run", "-b", "/bundle", "c")
    assert result.returncode != 0 and words in result.stderr.splitlines()[-1]
