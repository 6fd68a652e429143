# SPDX-License-Identifier: Apache-2.0
"""A real Podman whose runtime is rune, as root and as a user without privilege."""
import json
import os
import pathlib
import subprocess

import pytest

from conftest import wait_for
from engines import (IMAGE, ROOTLESS_ID, Terminal, cgroup_file, running_podman, runtime_under_test, short_folder,
                     status_field)


@pytest.fixture(scope="module")
def runtime(build_dir):
    return runtime_under_test(build_dir)


@pytest.fixture(scope="module")
def podman(runtime):
    with short_folder() as folder, running_podman(folder, runtime) as one:
        yield one


@pytest.fixture(scope="module")
def rootless(runtime):
    """As on a machine that delegates no control groups to users."""
    with short_folder() as folder, running_podman(folder, runtime, rootless=True, cgroups="disabled",
                                                  netns="private") as one:
        yield one


# ---- root

def test_info_names_the_runtime(podman):
    info = json.loads(podman("info", "--format", "json"))
    assert info["host"]["ociRuntime"]["name"] == "rune"
    assert info["host"]["ociRuntime"]["version"]


@pytest.mark.parametrize("command, status", [
    (["true"], 0), (["sh", "-c", "exit 42"], 42), (["/etc/not-a-program"], 126), (["no-such-program"], 127),
    (["/no/such/program"], 127)])
def test_exit_status(podman, command, status):
    podman("run", "--rm", IMAGE, *command, status=status)


def test_output_and_input(podman):
    done = podman.run("run", "--rm", "-i", "-e", "A=b c", IMAGE, "sh", "-c", 'cat; echo "$A"; echo err >&2',
                      input="in\n" * 1000)
    assert done.stdout == "in\n" * 1000 + "b c\n"
    assert done.stderr == "err\n"


def test_interactive_terminal(podman):
    with Terminal(podman, "run", "--rm", "-it", IMAGE, "sh", rows=33, columns=99) as terminal:
        terminal.send("tty; echo $((6 * 7))\n")
        assert "/dev/pts/0" in terminal.expect("42\r\n")

        def size():
            terminal.send("echo size=$(stty size)=\n")
            terminal.expect("\r\nsize=")
            return terminal.expect("=")
        wait_for(lambda: size() == "33 99=", "the window's size")
        terminal.send("exit 5\n")
        assert terminal.wait() == 5


def test_exec(podman):
    with podman.started() as box:
        assert podman("exec", "-e", "B=2", "-w", "/tmp", "-u", "alice", box, "sh", "-c", "echo $B $PWD; id -un") == \
            "2 /tmp\nalice"
        assert podman("exec", "-i", box, "cat", input="in\nput") == "in\nput"
        podman("exec", box, "sh", "-c", "exit 9", status=9)
        podman("exec", box, "no-such-program", status=127)
        podman("exec", box, "/etc/not-a-program", status=126)
        with Terminal(podman, "exec", "-it", box, "sh", "-c", "tty; exit 3") as terminal:
            terminal.expect("/dev/pts/")
            assert terminal.wait() == 3


def test_preserved_descriptors(podman, tmp_path):
    """`podman run --preserve-fds` and `podman exec --preserve-fds`."""
    (tmp_path / "file").write_text("through a descriptor")
    command = [*podman.command, "run", "--rm", "--preserve-fds", "1", IMAGE, "sh", "-c", "cat <&3"]
    done = subprocess.run(["sh", "-c", 'exec "$@" 3<"$0"', tmp_path / "file", *command], env=podman.env, text=True,
                          capture_output=True, check=False)
    assert done.stdout == "through a descriptor", done.stderr


def test_stop_kill_restart_and_logs(podman):
    script = "trap 'echo asked; exit 4' TERM; echo ready; while :; do sleep 0.1; done"
    with podman.started(command=["sh", "-c", script]) as box:
        wait_for(lambda: "ready" in podman("logs", box), "the trap")
        podman("stop", "-t", "20", box)
        assert podman.inspect(box, "{{.State.ExitCode}}") == "4"
        assert podman("logs", box) == "ready\nasked"
        podman("start", box)
        wait_for(lambda: podman("logs", box) == "ready\nasked\nready", "the second start")
        podman("kill", "--signal", "KILL", box)
        assert podman("wait", box) == "137"
        podman("restart", "-t", "0", box)
        assert podman.inspect(box, "{{.State.Status}}") == "running"


def test_pause_top_and_stats(podman):
    script = "while :; do echo x >>/tmp/ticks; sleep 0.02; done"
    with podman.started("--memory", "64m", command=["sh", "-c", script]) as box:
        ticks = pathlib.Path(f"/proc/{podman.pid(box)}/root/tmp/ticks")
        wait_for(lambda: ticks.exists() and ticks.stat().st_size > 4, "ticks")
        assert "ticks" in podman("top", box, "args")
        stats = json.loads(podman("stats", "--no-stream", "--format", "json", box))[0]
        assert "67.11MB" in stats["mem_usage"] and int(stats["pids"]) >= 1
        podman("pause", box)
        assert podman.inspect(box, "{{.State.Status}}") == "paused"
        size = ticks.stat().st_size
        assert podman.error("exec", box, "true")
        assert ticks.stat().st_size == size
        podman("unpause", box)
        wait_for(lambda: ticks.stat().st_size > size, "ticks after unpause")


def test_limits(podman):
    with podman.started("--memory", "64m", "--cpus", "0.25", "--pids-limit", "40", "--cpuset-cpus", "0",
                        "--cpu-shares", "512") as box:
        pid = podman.pid(box)
        assert cgroup_file(pid, "memory", "memory.limit_in_bytes", "memory.max") == str(64 << 20)
        assert cgroup_file(pid, "cpu", "cpu.cfs_quota_us", "cpu.max").split()[0] == "25000"
        assert cgroup_file(pid, "pids", "pids.max", "pids.max") == "40"
        assert cgroup_file(pid, "cpuset", "cpuset.cpus", "cpuset.cpus") == "0"


def test_update(podman):
    with podman.started("--memory", "64m", "--memory-swap", "-1") as box:
        podman("update", "--memory", "96m", "--cpus", "0.5", box)
        pid = podman.pid(box)
        assert cgroup_file(pid, "memory", "memory.limit_in_bytes", "memory.max") == str(96 << 20)
        assert cgroup_file(pid, "cpu", "cpu.cfs_quota_us", "cpu.max").split()[0] == "50000"


def test_healthcheck(podman):
    with podman.started("--health-cmd", "test -e /tmp/well", "--health-interval", "disable", "--health-retries", "1",
                        command=["sh", "-c", "touch /tmp/well; exec sleep 1000"]) as box:
        wait_for(lambda: podman.run("healthcheck", "run", box).returncode == 0, "health")
        podman("exec", box, "rm", "/tmp/well")
        podman("healthcheck", "run", box, status=1)


def test_restart_policy(podman):
    with podman.started("--restart", "on-failure:2", command=["false"]) as box:
        wait_for(lambda: podman.inspect(box, "{{.RestartCount}} {{.State.Status}}") == "2 exited", "two restarts")


def test_files(podman, tmp_path):
    (tmp_path / "file").write_text("outside")
    got = podman.sh("-v", f"{tmp_path}:/rw", "-v", f"{tmp_path}:/ro:ro", "--tmpfs", "/scratch:size=1m,mode=1750",
                    "--read-only", "--shm-size", "2m", "-v", "named:/data",
                    "cat /rw/file; echo; echo in >/rw/made; touch /ro/x 2>/dev/null || echo refused; "
                    "touch /x 2>/dev/null || echo refused; touch /data/x /scratch/x && stat -c %a /scratch")
    assert got.split() == ["outside", "refused", "refused", "1750"]
    assert (tmp_path / "made").read_text() == "in\n"
    podman("volume", "rm", "named")


def test_mount_options_of_podman(podman):
    """tmpcopyup, image volumes and devices."""
    assert podman.sh("--mount", "type=tmpfs,destination=/home", "ls /home") == "alice"
    assert podman.sh("--mount", f"type=image,source={IMAGE},destination=/image", "ls /image/bin/busybox") == \
        "/image/bin/busybox"
    assert podman.sh("--device", "/dev/full:/dev/no-room:w", "stat -c '%t %T' /dev/no-room") == "1 7"


def test_privileges(podman, tmp_path):
    none = podman.sh("--cap-drop", "all", "--security-opt", "no-new-privileges", "cat /proc/self/status")
    assert int(status_field(none, "CapEff"), 16) == 0 and status_field(none, "NoNewPrivs") == "1"
    one = podman.sh("--cap-drop", "all", "--cap-add", "net_admin", "cat /proc/self/status")
    assert int(status_field(one, "CapEff"), 16) == 1 << 12
    assert status_field(one, "Seccomp") == "2"
    full = int(status_field(pathlib.Path("/proc/self/status").read_text(), "CapBnd"), 16)
    assert int(status_field(podman.sh("--privileged", "cat /proc/self/status"), "CapEff"), 16) == full
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]}))
    assert "not implemented" in podman.sh("--security-opt", f"seccomp={profile}", "mkdir /x 2>&1; true")


def test_identity(podman):
    got = podman.sh("--hostname", "box", "--user", "alice", "--workdir", "/tmp", "--sysctl", "kernel.msgmax=4321",
                    "--ulimit", "core=0", "--ulimit", "nofile=100:200", "--ulimit", "nproc=1000", "--init", "--init-path", "/usr/bin/tini-static",
                    "hostname; id -un; pwd; cat /proc/sys/kernel/msgmax; ulimit -c; tr '\\0' ' ' </proc/1/cmdline | "
                    "grep -o init")
    assert got.split()[:5] == ["box", "alice", "/tmp", "4321", "0"]
    assert got.endswith("init")


def test_user_namespaces(podman):
    got = podman.sh("--uidmap", "0:100000:5000", "--gidmap", "0:100000:5000", "cat /proc/self/uid_map; id -u; "
                    "stat -c %u /home/alice")
    assert got.split() == ["0", "100000", "5000", "0", "1000"]
    with podman.started("--uidmap", "0:100000:5000") as box:
        assert os.stat(f"/proc/{podman.pid(box)}").st_uid == 100000
        assert podman("exec", "-u", "1000", box, "id", "-u") == "1000"


def test_shared_namespaces(podman):
    with podman.started("--name", "other", "--ipc", "shareable", command=["sleep", "4711"]) as box:
        assert "sleep 4711" in podman.sh("--pid=container:other", "ps -o args")
        script = "for n in net ipc; do readlink /proc/self/ns/$n; done"
        assert podman.sh("--net=container:other", "--ipc=container:other", script) == \
            podman("exec", box, "sh", "-c", script)
    assert podman.sh("--pid=host", "--ipc=host", "--uts=host", "readlink /proc/self/ns/pid") == \
        os.readlink("/proc/self/ns/pid")


def test_published_port(podman):
    with podman.started("-p", "127.0.0.1:18080:8080", command=["sh", "-c", "mkdir /www; echo served >/www/index.html; "
                                                                "exec httpd -f -p 8080 -h /www"]):
        get = [*podman.command[:podman.command.index("--") + 1], "busybox", "wget", "-qO-", "http://127.0.0.1:18080/"]
        wait_for(lambda: subprocess.run(get, capture_output=True, text=True, check=False).stdout == "served\n",
                 "the server behind the port")


def test_pod(podman):
    pod = podman("pod", "create", "--name", "pod", "--hostname", "podhost")
    try:
        first = podman("run", "-d", "--pod", "pod", "--stop-signal", "KILL", IMAGE, "sh", "-c",
                       "mkdir /www; echo podded >/www/index.html; exec httpd -f -p 8080 -h /www")
        wait_for(lambda: podman.run("run", "--rm", "--pod", "pod", IMAGE, "wget", "-qO-", "http://127.0.0.1:8080/"
                                    ).stdout == "podded\n", "the other container of the pod")
        assert podman("exec", first, "hostname") == "podhost"
        podman("pod", "pause", pod)
        assert podman("pod", "inspect", "--format", "{{.State}}", pod) == "Paused"
        podman("pod", "unpause", pod)
        podman("pod", "restart", pod)
        assert podman.inspect(first, "{{.State.Status}}") == "running"
    finally:
        podman("pod", "rm", "-f", "-t", "0", pod)


KUBE = f"""
apiVersion: v1
kind: Pod
metadata:
  name: kube
spec:
  containers:
  - name: main
    image: {IMAGE}
    command: ["sh", "-c", "echo from kube; exec sleep 1000"]
    resources:
      limits:
        memory: 32Mi
    securityContext:
      readOnlyRootFilesystem: true
      runAsUser: 1000
"""


def test_play_kube(podman, tmp_path):
    (tmp_path / "pod.yaml").write_text(KUBE)
    podman("play", "kube", "--log-driver", "k8s-file", tmp_path / "pod.yaml")
    try:
        wait_for(lambda: podman("logs", "kube-main") == "from kube", "output")
        assert podman("exec", "kube-main", "id", "-u") == "1000"
        assert cgroup_file(podman.pid("kube-main"), "memory", "memory.limit_in_bytes", "memory.max") == str(32 << 20)
    finally:
        podman("pod", "rm", "-f", "-t", "0", "kube")


def test_cp_commit_and_build(podman, tmp_path):
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN echo built >/made\nUSER alice\nCMD cat /made; id -un\n")
    podman("build", "--runtime", runtime_of(podman), "--ulimit", "nofile=1000:1000", "-t", "built", tmp_path)
    assert podman("run", "--rm", "built").split() == ["built", "alice"]
    with podman.started() as box:
        podman("cp", tmp_path / "Dockerfile", f"{box}:/tmp/copied")
        assert podman("exec", box, "cat", "/tmp/copied").startswith("FROM")


def runtime_of(podman):
    return json.loads(podman("info", "--format", "json"))["host"]["ociRuntime"]["path"]


# ---- without privilege

def test_rootless_run(rootless):
    assert rootless.sh("id -u; awk '{print $2}' /proc/self/uid_map").split() == ["0", str(ROOTLESS_ID), "700000"]
    rootless.sh("exit 42", status=42)
    rootless("run", "--rm", IMAGE, "no-such-program", status=127)
    assert rootless.sh("--user", "1000", "touch /home/alice/x && stat -c %u /home/alice/x; id -u") == "1000\n1000"


def test_rootless_with_one_user_only(rootless):
    assert rootless.sh("--userns", "keep-id", "id -u") == str(ROOTLESS_ID)


def test_rootless_life_cycle(rootless, tmp_path):
    with rootless.started("--read-only", "--tmpfs", "/t", "--cap-drop", "all") as box:
        assert os.stat(f"/proc/{rootless.pid(box)}").st_uid == ROOTLESS_ID
        assert rootless("exec", box, "sh", "-c", "touch /t/x && echo $((6 * 7))") == "42"
        with Terminal(rootless, "exec", "-it", box, "sh", "-c", "tty; exit 3") as terminal:
            terminal.expect("/dev/pts/")
            assert terminal.wait() == 3
        rootless("stop", "-t", "0", box)
        assert rootless.inspect(box, "{{.State.ExitCode}}") == "137"
        rootless("start", box)
        assert rootless.inspect(box, "{{.State.Status}}") == "running"


def test_rootless_terminal(rootless):
    with Terminal(rootless, "run", "--rm", "-it", IMAGE, "sh", "-c", "tty; stat -c owner=%u= $(tty)") as terminal:
        terminal.expect("/dev/pts/0")
        terminal.expect("owner=0=")
        assert terminal.wait() == 0


def test_rootless_pod(rootless):
    pod = rootless("pod", "create", "--network", "none")
    try:
        box = rootless("run", "-d", "--pod", pod, IMAGE, "sleep", "1000")
        assert rootless("exec", box, "hostname")
    finally:
        rootless("pod", "rm", "-f", "-t", "0", pod)


def test_rootless_devices_are_the_hosts(rootless):
    """mknod is impossible there: device nodes are bound."""
    assert rootless.sh("echo x >/dev/null && head -c 2 /dev/zero | wc -c && test -c /dev/urandom && echo yes") == "2\nyes"


def test_rootless_privileged(rootless):
    got = rootless.sh("--privileged", "mkdir /m && mount -t tmpfs none /m && echo mounted")
    assert got == "mounted"
