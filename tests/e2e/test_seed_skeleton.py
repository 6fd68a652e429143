# SPDX-License-Identifier: Apache-2.0
"""The skeleton enclave's walk-through, command by command: build it, put it into an image, run it by Docker and as a
bundle.  This machine has no SGX: as written the commands end with an error that names the way out, and with "simulate"
among the arguments they run."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import uuid

import pytest

from conftest import copy_sources, need_program
from engines import IMAGE, Terminal, own_namespaces, running_docker, runtime_under_test, short_folder
from verifying import verify  # noqa: F401

ROOT = pathlib.Path(__file__).resolve().parents[2]
SUCCEEDED = "Enclave runtime skeleton initialization succeeded"
HAS_SGX = any(os.path.exists(path) for path in ("/dev/sgx_enclave", "/dev/sgx/enclave", "/dev/isgx"))

DOCKERFILE = f"""FROM {IMAGE}

RUN mkdir -p /run/rune
WORKDIR /run/rune

COPY encl.bin .
COPY encl.elf .
COPY encl.ss .
# if any
COPY encl.token .
"""


@pytest.fixture(scope="module")
def skeleton(tmp_path_factory):
    """`make` in a copy of the sources: the folder with what it leaves."""
    need_program("make")
    copy = tmp_path_factory.mktemp("skeleton") / "sources"
    copy_sources(copy)
    subprocess.run(["make", "-C", copy / "pal/skeleton"], check=True, capture_output=True, timeout=600)
    return copy / "pal/skeleton"


@pytest.fixture(scope="module")
def libraries(skeleton, tmp_path_factory):
    """cp liberpal-skeleton-v*.so /usr/lib: a folder that is seen there."""
    folder = tmp_path_factory.mktemp("libraries")
    folder.chmod(0o755)
    for path in skeleton.glob("liberpal-skeleton-v*.so"):
        shutil.copy(path, folder)
    assert sorted(path.name for path in folder.iterdir()) == [f"liberpal-skeleton-v{v}.so" for v in (1, 2, 3)]
    return folder


@pytest.fixture(scope="module")
def docker(build_dir, skeleton, libraries):
    with short_folder() as folder, running_docker(folder, runtime_under_test(build_dir), libraries=libraries) as engine:
        context = folder / "skeleton"
        context.mkdir()
        for name in ("encl.bin", "encl.elf", "encl.ss", "encl.token"):
            shutil.copy(skeleton / name, context)
        (context / "Dockerfile").write_text(DOCKERFILE)
        engine("build", context, "-t", "skeleton-enclave")
        yield engine


def words(version, arguments):
    return ["--rm", "--runtime=rune", "-e", "ENCLAVE_TYPE=intelSgx", "-e",
            f"ENCLAVE_RUNTIME_PATH=/usr/lib/liberpal-skeleton-v{version}.so", "-e", f"ENCLAVE_RUNTIME_ARGS={arguments}"]


def test_docker_knows_the_runtime(docker):
    assert "rune" in json.loads(docker("info", "--format", "{{json .Runtimes}}"))


@pytest.mark.skipif(HAS_SGX, reason="this machine has SGX")
def test_docker_run_as_written_needs_the_hardware(docker):
    done = docker.run("run", *words(1, "debug"), "skeleton-enclave")
    assert done.returncode and 'this machine has no SGX device' in done.stderr
    assert 'add "simulate" to ENCLAVE_RUNTIME_ARGS' in done.stderr.replace('\\"', '"')


@pytest.mark.parametrize("version", [1, 2, 3])
def test_docker_run_with_simulation(docker, version):
    with Terminal(docker, "run", "-it", *words(version, "debug,simulate"), "skeleton-enclave") as terminal:
        assert "simulated" in terminal.expect(SUCCEEDED)
        assert terminal.wait() == 0


def test_docker_run_without_the_enclaves_files_says_which(docker):
    done = docker.run("run", *words(2, "simulate"), IMAGE)
    assert done.returncode and "encl.bin" in done.stderr and "No such file or directory" in done.stderr


def test_docker_exec_and_stop(docker):
    name = docker("run", "-d", *words(2, "simulate"), "skeleton-enclave", "skeleton", "wait_timeout", "600")
    assert SUCCEEDED in docker.run("exec", name, "skeleton").stderr
    docker("stop", "-t", "20", name)


def test_docker_attest(docker, build_dir, verify, tmp_path):
    """A quote of the engine's container, by rune itself on the engine's state folder: a test quote, and refused as one."""
    name = docker("run", "-d", *words(3, "simulate"), "skeleton-enclave", "skeleton", "wait_timeout", "600")
    quote = tmp_path / "quote"
    done = subprocess.run([build_dir / "rune/rune", "--root", docker.state_folder(name).parent, "attest", "--isRA",
                           "--quote-type", "ecdsa", "--reportFile", quote, name], capture_output=True, text=True, check=True)
    assert "simulated: a test quote, evidence of nothing" in done.stderr
    assert "this is a test quote" in verify("--no-tcb", "--allow-debug", quote, status=1).stderr
    assert "TEST QUOTE" in verify("--accept-test-quotes", quote).stdout
    docker("rm", "-f", name)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_bundle(docker, build_dir, libraries, tmp_path, version):
    """docker export, rune spec, annotations, rune run."""
    bundle = tmp_path / "rune-container"
    (bundle / "rootfs").mkdir(parents=True)
    made = docker("create", "skeleton-enclave")
    docker("export", "-o", tmp_path / "image.tar", made)
    docker("rm", made)
    subprocess.run(["tar", "-C", bundle / "rootfs", "-xf", tmp_path / "image.tar"], check=True)
    rune = runtime_under_test(build_dir)
    subprocess.run([rune, "spec"], cwd=bundle, check=True)
    config = json.loads((bundle / "config.json").read_text())
    config["annotations"] = {"enclave.type": "intelSgx", "enclave.runtime.path": f"/usr/lib/liberpal-skeleton-v{version}.so",
                             "enclave.runtime.args": "debug,simulate"}
    config["process"].update(terminal=False, cwd="/run/rune")
    config["linux"]["cgroupsPath"] = f"/rune-e2e/{uuid.uuid4().hex[:12]}"  # not that of another test's container of this name
    (bundle / "config.json").write_text(json.dumps(config))
    done = subprocess.run(own_namespaces(rune, "--root", str(tmp_path / "state"), "run", "skeleton-enclave-container",
                                         beside={"/usr/lib": libraries}), cwd=bundle, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60)
    assert done.returncode == 0 and SUCCEEDED in done.stderr, done.stderr


def test_readme_s_lines_build_and_run_the_image(docker, skeleton):
    """As they stand there, in the folder that they are for; only the image to begin with is the tests' own."""
    readme = (ROOT / "README.md").read_text()
    build = re.search(r"^    (printf 'FROM debian.*?pal/skeleton\n)", readme, re.S | re.M).group(1)
    run = re.search(r"^    (docker run [^\n]*ENCLAVE_TYPE=intelSgx .*?skeleton-enclave\n)", readme, re.S | re.M).group(1)
    done = subprocess.run(["sh", "-ec", build.replace("debian", IMAGE) + run], cwd=skeleton.parent.parent, env=docker.env,
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "simulat" in done.stderr
