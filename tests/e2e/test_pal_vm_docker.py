# SPDX-License-Identifier: Apache-2.0
"""`docker run -e ENCLAVE_TYPE=vm`, as somebody types it."""
import subprocess

import pytest

from conftest import ROOT, wait_for
from engines import IMAGE, Terminal, running_docker, runtime_under_test, short_folder


@pytest.fixture(scope="module")
def docker(build_dir):
    pal = build_dir / "pal/vm/libpal_vm.so"
    if not pal.is_file():
        pytest.skip(f"no {pal}")
    subprocess.run([ROOT / "tools/fetch-kernel", "cloud"], check=True, capture_output=True)
    runtime = runtime_under_test(build_dir)
    settings = {"runtimes": {"rune": {"path": runtime, "runtimeArgs": ["--pal-path", str(pal.parent)]}}}
    with short_folder() as folder, running_docker(folder, runtime, config=settings) as engine:
        yield engine


@pytest.fixture(scope="module")
def options(build_dir):
    return ["-e", "ENCLAVE_TYPE=vm", "-e", f"ENCLAVE_RUNTIME_PATH={build_dir}/pal/vm/libpal_vm.so", "-m", "256m"]


def test_docker_run_exec_and_stop(docker, options):
    done = docker.run("run", "--rm", "-i", "-h", "box", "-u", "alice", "-w", "/tmp", "-e", "X=a b", *options, IMAGE, "sh", "-c",
                      'hostname; id -un; pwd; echo "$X"; cat; cat /etc/hosts | grep -c box; exit 7', input="typed\n")
    assert (done.returncode, done.stdout.split("\n")[:6]) == (7, ["box", "alice", "/tmp", "a b", "typed", "1"]), done.stderr
    script = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.1; done"
    with docker.started(*options, command=("sh", "-c", script)) as box:
        wait_for(lambda: docker("logs", box) == "ready", "the trap")
        assert docker("exec", box, "sh", "-c", "echo inside $(cat /proc/1/comm)") == "inside sh"
        assert docker.run("exec", box, "sh", "-c", "exit 3").returncode == 3
        assert docker("exec", "-u", "alice:team", "-w", "/tmp", "-e", "Y=1", box, "sh", "-c",
                      "id -un; id -gn; pwd; echo $Y") == "alice\nteam\n/tmp\n1"
        docker("stop", box)
        assert docker.inspect(box, "{{.State.ExitCode}}") == "5"


def test_docker_run_interactive_with_a_terminal(docker, options):
    with Terminal(docker, "run", "--rm", "-it", *options, IMAGE, "sh", rows=31, columns=77) as terminal:
        terminal.expect("# ")
        wait_for(lambda: terminal.size_inside() == "31 77", "the first size")
        terminal.resize_inside(12, 34)
        terminal.expect("# ")
        terminal.send("echo $((40 + 2)); exec sleep 100 & wait\n")
        terminal.expect("42")
        terminal.send("\x03")
        terminal.expect("# ")
        terminal.send("exit 9\n")
        assert terminal.wait() == 9


def test_docker_says_why_a_volume_is_refused(docker, options):
    done = docker.run("run", "--rm", "-v", "/tmp:/v", *options, IMAGE, "true")
    assert done.returncode == 125 and "mount of /tmp on /v: files of the host can't be shared with an enclave" in done.stderr


def test_dockers_limits_hold_inside_and_stay_as_they_are(docker, options):
    with docker.started(*options, "--pids-limit", "30", "--cpus", "0.5", "--read-only", "--tmpfs", "/tmp:size=1m",
                        command=("sleep", "1000")) as box:
        assert docker("exec", box, "sh", "-c", "cd /sys/fs/cgroup; cat pids.max cpu.max; touch /x; echo > /tmp/y && echo written") \
            .split() == ["30", "50000", "100000", "written"]
        for command in (("pause", box), ("update", "--pids-limit", "40", box)):
            done = docker.run(*command)
            assert done.returncode and 'an enclave of type "vm" can\'t' in done.stderr.replace('\\"', '"'), done
        assert docker.inspect(box, "{{.State.Status}}") == "running"
    done = docker.run("run", "--rm", "--security-opt", "seccomp=unconfined", "--cap-drop", "ALL", *options, IMAGE, "sh", "-c",
                      "grep -E '^(CapEff|Seccomp):' /proc/self/status")
    assert done.stdout.split() == ["CapEff:", "0" * 16, "Seccomp:", "0"], done.stderr
    done = docker.run("run", "--rm", "--oom-kill-disable", *options, IMAGE, "true")
    assert done.returncode == 125 and "resources.memory.disableOOMKiller: an enclave can't have this" in done.stderr
    done = docker.run("run", "--rm", "--device", "/dev/zero:/dev/other", *options, IMAGE, "true")
    assert done.returncode == 125 and "device /dev/other: an enclave can't have this" in done.stderr
