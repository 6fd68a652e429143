# SPDX-License-Identifier: Apache-2.0
"""Enclaves through real engines: Docker and Podman, seen from the side of who types `docker run`.  The PAL is one of
tests/pal, whose process is just another process."""
import os
import subprocess

import pytest

from conftest import wait_for
from engines import IMAGE, Terminal, running_docker, running_podman, runtime_under_test, short_folder


@pytest.fixture(scope="module")
def pals(build_dir):
    folder = build_dir / "tests/pal"
    if not (folder / "libtest-pal-v2.so").is_file():
        pytest.skip(f"no PALs in {folder}")
    return folder


@pytest.fixture(scope="module")
def docker(build_dir, pals):
    runtime = runtime_under_test(build_dir)
    settings = {"runtimes": {"rune": {"path": runtime, "runtimeArgs": ["--pal-path", str(pals)]}}}
    with short_folder() as folder, running_docker(folder, runtime, config=settings) as engine:
        yield engine


@pytest.fixture(scope="module")
def options(pals):
    """docker run's words for an enclave."""
    def make(version="v2", words=""):
        return ["-e", "ENCLAVE_TYPE=vm", "-e", f"ENCLAVE_RUNTIME_PATH={pals}/libtest-pal-{version}.so", "-e",
                f"ENCLAVE_RUNTIME_ARGS={words}"]
    return make


@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
def test_docker_run_of_an_enclave(docker, options, version):
    assert docker("run", "--rm", *options(version, "debug"), IMAGE, "sh") == \
        f'"/bin/sh" by "sh": version {version[1]}, arguments "debug"'
    assert docker.run("run", "--rm", *options(version), IMAGE, "x", "exit", "9").returncode == 9


def test_docker_run_interactive_with_a_terminal(docker, options):
    with Terminal(docker, "run", "--rm", "-it", *options(), IMAGE, "x", "tty", rows=31, columns=77) as terminal:
        terminal.expect("tty ")
        terminal.resize_until(12, 34, "tty 34x12")
    docker("rm", "-f", docker("ps", "-q"))


def test_docker_input_reaches_the_enclave(docker, options):
    text = "line\n" * 50000
    assert docker.run("run", "--rm", "-i", *options(), IMAGE, "x", "cat", input=text).stdout == text


def test_docker_exec_stop_and_kill(docker, options):
    with docker.started(*options(), command=("x", "wait")) as box:
        wait_for(lambda: docker("logs", box) == "ready", "its handlers")
        assert docker("exec", box, "sh", "args", "two words", "") == "sh\nargs\ntwo words"
        assert docker.run("exec", box, "x", "exit", "7").returncode == 7
        assert docker.run("exec", "-i", box, "x", "cat", input="abc").stdout == "abc"
        docker("kill", "-s", "USR1", box)
        docker("stop", box)
        assert docker.inspect(box, "{{.State.ExitCode}}") == "7"
        assert docker("logs", box) == "ready\nSIGUSR1\nSIGTERM"


def test_docker_tells_why_an_enclave_did_not_start(docker, options, pals):
    for words, call in (("init=say:no_room", "pal_init"), ("create_process=say:no_room", "pal_create_process")):
        done = docker.run("run", "--rm", *options(words=words), IMAGE, "sh")
        assert done.returncode in (125, 126, 127)
        assert f"PAL {pals}/libtest-pal-v2.so: {call}: no room" in done.stderr


@pytest.mark.parametrize("deed, text", [("crash", "it ended the process by signal 11 (Segmentation fault)"),
                                        ("exit:3", "it ended the process with status 3")])
@pytest.mark.parametrize("call", ["init", "create_process"])
def test_docker_tells_how_a_pal_ended_the_process(docker, options, pals, call, deed, text):
    """Its shim waits for the process as well, and is often faster."""
    done = docker.run("run", "--rm", *options(words=f"{call}={deed}"), IMAGE, "sh")
    assert done.returncode in (125, 126, 127)
    assert f"PAL {pals}/libtest-pal-v2.so: pal_{call}: {text}" in done.stderr


def test_docker_shows_what_the_enclave_is(docker, options):
    """The report of a running enclave, by rune itself on the engine's state folder."""
    with docker.started(*options("v3"), command=("x", "wait")) as box:
        rune = docker("info", "--format", "{{(index .Runtimes \"rune\").Path}}")
        report = subprocess.run([rune, "--root", docker.state_folder(box).parent, "attest", box], capture_output=True, text=True,
                                check=True).stdout
        assert report == b"R".hex() * 432 + "\n"


@pytest.mark.parametrize("rootless", [False, True], ids=["root", "rootless"])
def test_podman_run_and_exec_of_an_enclave(build_dir, pals, options, rootless, tmp_path):
    """A user without privilege loads PALs of root's, too: they are only readable."""
    if rootless and not os.access(pals, os.X_OK):
        pytest.skip("the build folder is not everybody's to read")
    flags = ["--runtime-flag", f"pal-path={pals}"]
    cgroups = "disabled" if rootless else "enabled"
    with short_folder() as folder, running_podman(folder, runtime_under_test(build_dir), rootless=rootless, cgroups=cgroups,
                                                  netns="slirp4netns" if rootless else "bridge") as podman:
        podman.command += flags
        assert podman("run", "--rm", *options(), IMAGE, "x", "args", "two words") == "x\nargs\ntwo words"
        name = podman("run", "-d", *options(), IMAGE, "x", "wait")
        wait_for(lambda: podman("logs", name) == "ready", "its handlers")
        assert podman("exec", name, "x", "args", "a b") == "x\nargs\na b"
        podman("stop", name)
        assert podman.inspect(name, "{{.State.ExitCode}}") == "7"
