# SPDX-License-Identifier: Apache-2.0
"""The Nitro walk-through, command by command: an enclave image in a container's root, run as a bundle and by Docker.  This
machine has no Nitro Enclaves: as written the commands end with an error that names the way out, and under ne-emulator
they run."""
import json
import os
import shutil
import subprocess
import uuid

import pytest

from conftest import need_program
from enclaves import ImageFolder, Qt, shell
from engines import IMAGE, own_namespaces, running_docker, runtime_under_test, short_folder

HAS_NITRO = os.path.exists("/dev/nitro_enclaves")
TIMEOUT = 180


@pytest.fixture(scope="module")
def hello(build_dir, tmp_path_factory):
    """hello.eif: says hello and ends with status 5."""
    folder = tmp_path_factory.mktemp("images")
    return ImageFolder(Qt(build_dir, folder / "state"), folder).eif("hello", shell("echo hello from the enclave; exit 5"))


@pytest.fixture(scope="module")
def libraries(build_dir, tmp_path_factory):
    """cp libpal_ne.so /usr/lib64/libpal_ne.so: a folder that is seen there."""
    folder = tmp_path_factory.mktemp("libraries")
    folder.chmod(0o755)
    shutil.copy(build_dir / "pal/nitro/libpal_ne.so", folder)
    return folder


@pytest.fixture(scope="module")
def emulator(build_dir):
    return [str(build_dir / "ne-emulator/ne-emulator"), "--no-huge-pages", "--"]


@pytest.fixture
def bundle(build_dir, hello, tmp_path):
    """A bundle with the image at /root/hello.eif of its root, and the walk-through's annotations."""
    folder = tmp_path / "rune-container"
    (folder / "rootfs/root").mkdir(parents=True)
    for name in ("bin", "dev", "etc", "proc", "sys"):
        (folder / "rootfs" / name).mkdir()
    shutil.copy(need_program("busybox"), folder / "rootfs/bin/sh")
    shutil.copy(hello, folder / "rootfs/root/hello.eif")
    subprocess.run([runtime_under_test(build_dir), "spec"], cwd=folder, check=True)
    config = json.loads((folder / "config.json").read_text())
    config["annotations"] = {"enclave.type": "AwsNitroEnclaves", "enclave.runtime.path": "/usr/lib64/libpal_ne.so",
                             "enclave.runtime.args": "image=/root/hello.eif memory=256 vcpus=2"}
    config["process"]["terminal"] = False
    config["linux"]["cgroupsPath"] = f"/rune-e2e/{uuid.uuid4().hex[:12]}"  # not that of another test's container of this name
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def rune_run(build_dir, libraries, bundle, state, before=(), arguments=None):
    if arguments:
        config = json.loads((bundle / "config.json").read_text())
        config["annotations"]["enclave.runtime.args"] = arguments
        (bundle / "config.json").write_text(json.dumps(config))
    command = own_namespaces(*before, runtime_under_test(build_dir), "--root", str(state), "run",
                             "hello-nitro-enclave-container", beside={"/usr/lib64": libraries})
    return subprocess.run(command, cwd=bundle, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=TIMEOUT)


@pytest.mark.skipif(HAS_NITRO, reason="this machine has Nitro Enclaves")
def test_bundle_as_written_needs_the_hardware(build_dir, libraries, bundle, tmp_path):
    done = rune_run(build_dir, libraries, bundle, tmp_path / "state")
    assert done.returncode == 1 and "this machine has no Nitro Enclaves device (looked for /dev/nitro_enclaves)" in \
        done.stderr.replace('\\"', '"')
    assert "ne-emulator(1)" in done.stderr


def test_bundle_under_the_emulator(build_dir, libraries, bundle, emulator, tmp_path):
    done = rune_run(build_dir, libraries, bundle, tmp_path / "state", emulator)
    assert done.returncode == 5, done.stderr


def test_bundle_in_debug_mode_shows_the_console(build_dir, libraries, bundle, emulator, tmp_path):
    done = rune_run(build_dir, libraries, bundle, tmp_path / "state", emulator,
                    "image=/root/hello.eif,memory=256,vcpus=2,debug")
    assert done.returncode == 5, done.stderr
    assert "hello from the enclave" in done.stdout


def test_bundle_without_its_image_says_where_it_looked(build_dir, libraries, bundle, emulator, tmp_path):
    (bundle / "rootfs/root/hello.eif").unlink()
    done = rune_run(build_dir, libraries, bundle, tmp_path / "state", emulator)
    assert done.returncode == 1 and "PAL /usr/lib64/libpal_ne.so: pal_prepare: " in done.stderr
    assert "/root/hello.eif" in done.stderr and "No such file or directory" in done.stderr


def test_docker_run_under_the_emulator(build_dir, libraries, hello, emulator, tmp_path):
    """The whole engine has the device."""
    with short_folder() as folder, running_docker(folder, runtime_under_test(build_dir), libraries=libraries,
                                                  before=emulator, library_folder="/usr/lib64") as docker:
        (folder / "context").mkdir()
        shutil.copy(hello, folder / "context/hello.eif")
        (folder / "context/Dockerfile").write_text(f"FROM {IMAGE}\nCOPY hello.eif /root/hello.eif\n")
        docker("build", folder / "context", "-t", "hello", timeout=TIMEOUT)
        done = docker.run("run", "--rm", "--runtime=rune", "-e", "ENCLAVE_TYPE=AwsNitroEnclaves", "-e",
                          "ENCLAVE_RUNTIME_PATH=/usr/lib64/libpal_ne.so", "-e",
                          "ENCLAVE_RUNTIME_ARGS=image=/root/hello.eif memory=256 vcpus=2 debug", "hello", timeout=TIMEOUT)
        assert done.returncode == 5, done.stderr
        assert "hello from the enclave" in done.stdout
