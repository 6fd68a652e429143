# SPDX-License-Identifier: Apache-2.0
"""A real containerd with its own shim and rune behind it: by ctr, and by the interface that Kubernetes calls."""
import contextlib
import json
import os
import pathlib

import grpc
import pytest

from conftest import wait_for
from cri import Cri
from engines import (IMAGE, Terminal, cgroup_file, remove_groups, running_containerd, runtime_under_test, short_folder,
                     status_field)

NODE = 2  # NamespaceMode
RUNNING, EXITED = 1, 2


@pytest.fixture(scope="module")
def containerd(build_dir):
    with short_folder() as folder, running_containerd(folder, runtime_under_test(build_dir)) as engine:
        yield engine


@pytest.fixture(scope="module")
def cri(containerd):
    client = Cri(containerd.socket)
    yield client
    client.close()


# ---- ctr

def test_run(containerd):
    assert containerd.box("--rm", "--env", "A=b c", name="hello", command=["sh", "-c", "echo $A"]) == "b c"
    done = containerd.run("run", "--rm", "--snapshotter", "native", "--runc-binary", containerd.runtime, IMAGE,
                          "status", "sh", "-c", "exit 42")
    assert done.returncode == 42


def test_run_of_a_missing_program_says_so_and_leaves_nothing(containerd):
    done = containerd.run("run", "--rm", "--snapshotter", "native", "--runc-binary", containerd.runtime, IMAGE,
                          "missing", "no-such-program")
    assert done.returncode != 0 and "no-such-program" in done.stderr
    assert "missing" not in containerd("tasks", "ls")


def test_terminal(containerd):
    with Terminal(containerd, "run", "--rm", "-t", "--snapshotter", "native", "--runc-binary", containerd.runtime, IMAGE,
                  "terminal", "sh", rows=31, columns=97) as terminal:
        terminal.send("tty; echo $((6 * 7))\n")
        assert "/dev/pts/0" in terminal.expect("\n42\r")
        terminal.send("exit 0\n")
        assert terminal.wait() == 0


def test_tasks(containerd):
    with containerd.started(name="boxed") as box:
        assert "RUNNING" in containerd("tasks", "ls")
        assert containerd("tasks", "exec", "--exec-id", "one", "--cwd", "/tmp", "--user", "1000", box, "sh", "-c",
                          "pwd; id -u") == "/tmp\n1000"
        assert containerd.error("tasks", "exec", "--exec-id", "two", box, "sh", "-c", "exit 9")[0] == 9
        with Terminal(containerd, "tasks", "exec", "-t", "--exec-id", "three", box, "tty") as terminal:
            terminal.expect("/dev/pts/")
            assert terminal.wait() == 0
        containerd("tasks", "pause", box)
        assert "PAUSED" in containerd("tasks", "ls")
        containerd("tasks", "resume", box)
        assert "RUNNING" in containerd("tasks", "ls")
        assert len(containerd("tasks", "ps", box).splitlines()) == 2
        metrics = json.loads(containerd("tasks", "metrics", "--format", "json", box))
        assert metrics
        containerd("tasks", "kill", "-s", "TERM", box)
        containerd("tasks", "kill", "-s", "KILL", box)
        wait_for(lambda: "STOPPED" in containerd("tasks", "ls"), "the end")


def test_options_of_ctr(containerd):
    got = containerd.box("--rm", "--read-only", "--memory-limit", str(32 << 20), "--seccomp", "--cap-add", "CAP_NET_ADMIN",
                         "--cpus", "0.5", "--mount", "type=bind,src=/etc/hostname,dst=/bound,options=rbind:ro",
                         name="options", command=["sh", "-c", "touch /x 2>/dev/null || echo refused; "
                                                              "test -s /bound && echo bound; cat /proc/self/status"])
    assert got.split()[:2] == ["refused", "bound"]
    assert status_field(got, "Seccomp") == "2"
    assert int(status_field(got, "CapEff"), 16) & 1 << 12


def test_privileged(containerd):
    full = int(status_field(pathlib.Path("/proc/self/status").read_text(), "CapBnd"), 16)
    got = containerd.box("--rm", "--privileged", name="privileged", command=["cat", "/proc/self/status"])
    assert int(status_field(got, "CapEff"), 16) == full


# ---- Container Runtime Interface

def pod_config(folder, name, hostname="", **linux):
    """hostname: kubelet gives none to a pod on the node's network."""
    return {"metadata": {"name": name, "uid": name, "namespace": "test", "attempt": 0}, "hostname": hostname,
            "log_directory": str(folder), "linux": {"cgroup_parent": "/coffer-test-pods", **linux}}


@contextlib.contextmanager
def pod(cri, config):
    """A running sandbox."""
    sandbox = cri("RunPodSandbox", config=config)["id"]
    try:
        yield sandbox
    finally:
        cri("StopPodSandbox", pod_sandbox_id=sandbox)
        cri("RemovePodSandbox", pod_sandbox_id=sandbox)
        remove_groups("coffer-test-pods")


def start(cri, sandbox, config, name="main", command=("sleep", "1000"), security=None, resources=None, **more):
    """A started container in the sandbox."""
    container = cri("CreateContainer", pod_sandbox_id=sandbox, sandbox_config=config, config={
        "metadata": {"name": name, "attempt": 0}, "image": {"image": IMAGE}, "command": list(command),
        "log_path": f"{name}.log", "linux": {"resources": resources or {}, "security_context": {
            "namespace_options": config["linux"].get("security_context", {}).get("namespace_options", {}),
            **(security or {})}}, **more})["id"]
    cri("StartContainer", container_id=container)
    return container


def execute(cri, container, *command):
    return cri("ExecSync", container_id=container, cmd=list(command), timeout=30)


def state(cri, container):
    return cri("ContainerStatus", container_id=container)["status"]


def on_the_nodes_network():
    return {"security_context": {"namespace_options": {"network": NODE}}}


def test_pod_with_two_containers(cri, tmp_path):
    config = pod_config(tmp_path, "two", **on_the_nodes_network())
    with pod(cri, config) as sandbox:
        one = start(cri, sandbox, config, "one", ["sh", "-c", "echo logged; exec sleep 4711"])
        two = start(cri, sandbox, config, "two", envs=[{"key": "A", "value": "b c"}], working_dir="/tmp")
        assert state(cri, one)["state"] == RUNNING
        answer = execute(cri, two, "sh", "-c", "echo $A $PWD; echo err >&2; exit 7")
        assert answer == {"stdout": "b c /tmp\n", "stderr": "err\n", "exit_code": 7}
        script = "for n in ipc net uts; do readlink /proc/self/ns/$n; done"
        assert execute(cri, one, "sh", "-c", script) == execute(cri, two, "sh", "-c", script)
        wait_for(lambda: "logged" in (tmp_path / "one.log").read_text(), "the log")
        cri("StopContainer", container_id=one, timeout=1)
        assert state(cri, one)["state"] == EXITED and state(cri, one)["exit_code"] == 137
        cri("RemoveContainer", container_id=one)
        with pytest.raises(grpc.RpcError):
            state(cri, one)


def test_pod_with_a_network_of_its_own(cri, tmp_path):
    config = pod_config(tmp_path, "net", hostname="podhost")
    with pod(cri, config) as sandbox:
        start(cri, sandbox, config, "server", ["sh", "-c", "mkdir /www; echo served >/www/index.html; "
                                               "exec httpd -f -p 8080 -h /www"])
        client = start(cri, sandbox, config, "client")
        assert execute(cri, client, "hostname").get("stdout") == "podhost\n"
        assert "10.99.7." in execute(cri, client, "ip", "addr")["stdout"]
        wait_for(lambda: execute(cri, client, "wget", "-qO-", "http://127.0.0.1:8080/").get("stdout") == "served\n",
                 "the other container's server")


def test_security_context(cri, tmp_path):
    config = pod_config(tmp_path, "secure", **on_the_nodes_network())
    with pod(cri, config) as sandbox:
        tight = start(cri, sandbox, config, "tight", security={
            "capabilities": {"drop_capabilities": ["ALL"]}, "run_as_user": {"value": 1000}, "readonly_rootfs": 1,
            "no_new_privs": 1, "supplemental_groups": [77], "seccomp": {"profile_type": 0},
            "masked_paths": ["/proc/kcore", "/proc/keys"], "readonly_paths": ["/proc/sys"]})
        status = execute(cri, tight, "cat", "/proc/self/status")["stdout"]
        assert int(status_field(status, "CapBnd"), 16) == 0
        assert status_field(status, "NoNewPrivs") == "1" and status_field(status, "Seccomp") == "2"
        assert status_field(status, "Uid").split()[0] == "1000" and "77" in status_field(status, "Groups").split()
        assert "Read-only" in execute(cri, tight, "touch", "/tmp/x")["stderr"]
        assert execute(cri, tight, "cat", "/proc/keys").get("stdout", "") == ""


def test_privileged_pod(cri, tmp_path):
    config = pod_config(tmp_path, "free", security_context={"namespace_options": {"network": NODE, "pid": NODE},
                                                            "privileged": 1})
    with pod(cri, config) as sandbox:
        free = start(cri, sandbox, config, security={"privileged": 1})
        full = int(status_field(pathlib.Path("/proc/self/status").read_text(), "CapBnd"), 16)
        assert int(status_field(execute(cri, free, "cat", "/proc/self/status")["stdout"], "CapEff"), 16) == full
        assert execute(cri, free, "readlink", "/proc/self/ns/pid")["stdout"].strip() == \
            os.readlink("/proc/self/ns/pid")


def test_resources_and_their_update(cri, containerd, tmp_path):
    config = pod_config(tmp_path, "limits", **on_the_nodes_network())
    with pod(cri, config) as sandbox:
        box = start(cri, sandbox, config, resources={"memory_limit_in_bytes": 32 << 20, "cpu_quota": 25000,
                                                     "cpu_period": 100000, "cpu_shares": 512, "oom_score_adj": 900})
        pid = next(int(line.split()[1]) for line in containerd("--namespace", "k8s.io", "tasks", "ls").splitlines()
                   if line.startswith(box))
        assert cgroup_file(pid, "memory", "memory.limit_in_bytes", "memory.max") == str(32 << 20)
        assert cgroup_file(pid, "cpu", "cpu.cfs_quota_us", "cpu.max").split()[0] == "25000"
        assert pathlib.Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "900"
        assert "/coffer-test-pods/" in pathlib.Path(f"/proc/{pid}/cgroup").read_text()
        cri("UpdateContainerResources", container_id=box, linux={"memory_limit_in_bytes": 64 << 20, "cpu_quota": 50000,
                                                                 "cpu_period": 100000})
        assert cgroup_file(pid, "memory", "memory.limit_in_bytes", "memory.max") == str(64 << 20)
        assert cgroup_file(pid, "cpu", "cpu.cfs_quota_us", "cpu.max").split()[0] == "50000"
        stats = cri("ContainerStats", container_id=box)["stats"]
        assert stats["memory"]["working_set_bytes"]["value"] > 0


def test_mounts(cri, tmp_path):
    (tmp_path / "data").mkdir()
    config = pod_config(tmp_path, "mounts", **on_the_nodes_network())
    with pod(cri, config) as sandbox:
        box = start(cri, sandbox, config, mounts=[
            {"container_path": "/rw", "host_path": str(tmp_path / "data")},
            {"container_path": "/ro", "host_path": str(tmp_path / "data"), "readonly": 1}])
        assert execute(cri, box, "sh", "-c", "echo in >/rw/made").get("exit_code", 0) == 0
        assert execute(cri, box, "touch", "/ro/x")["exit_code"] == 1
        assert (tmp_path / "data" / "made").read_text() == "in\n"


def test_nothing_is_left(containerd):
    for namespace in ("default", "k8s.io"):
        assert len(containerd("--namespace", namespace, "tasks", "ls").splitlines()) == 1
    assert [path for path in (containerd.folder / "run").glob("runc/*/[!.]*")] == []
