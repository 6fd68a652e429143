# SPDX-License-Identifier: Apache-2.0
"""A real Docker engine whose default runtime is rune: what people do with `docker`, seen from their side."""
import json
import os
import pathlib
import signal
import subprocess

import pytest

import leaks
from conftest import wait_for
from engines import (IMAGE, Terminal, cgroup_file, remove_groups, running_docker, runtime_under_test, short_folder,
                     status_field)


@pytest.fixture(scope="module")
def runtime(build_dir):
    return runtime_under_test(build_dir)


@pytest.fixture(scope="module")
def docker(runtime):
    with short_folder() as folder, running_docker(folder, runtime, path_programs=["runc"]) as engine:
        yield engine


def last_caps(status):
    return int(status_field(status, "CapEff"), 16)


# ---- run

def test_engine_lists_the_runtime(docker):
    info = json.loads(docker("info", "--format", "{{json .}}"))
    assert "rune" in info["Runtimes"]
    assert info["DefaultRuntime"] == "rune"


def test_run_by_name_and_by_default(docker):
    for options in (["--runtime=rune"], []):
        with docker.started(*options) as box:
            assert docker.inspect(box, "{{.HostConfig.Runtime}} {{.State.Status}}") == "rune running"


def test_output_error_and_arguments_arrive_unchanged(docker):
    done = docker.run("run", "--rm", "-e", "A=b c=d", IMAGE, "sh", "-c", 'echo "$A|$1|$2"; echo err >&2', "sh",
                      "two words", "$HOME'\"\\")
    assert done.returncode == 0
    assert done.stdout == "b c=d|two words|$HOME'\"\\\n"
    assert done.stderr == "err\n"


def test_standard_input_is_carried_to_its_end(docker):
    text = "line\n" * 20000
    assert docker.run("run", "--rm", "-i", IMAGE, "md5sum", input=text).stdout == subprocess.run(
        ["md5sum"], input=text, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("command, status", [
    (["true"], 0), (["false"], 1), (["sh", "-c", "exit 42"], 42), (["/etc/not-a-program"], 126), (["/etc"], 126),
    (["no-such-program"], 127), (["/no/such/program"], 127), (["sh", "-c", "kill -KILL -1; exit 3"], 3)])
def test_exit_status(docker, command, status):
    docker("run", "--rm", IMAGE, *command, status=status)


@pytest.mark.parametrize("signal_name, status", [("KILL", 137), ("TERM", 143), ("HUP", 129), ("USR1", 138)])
def test_exit_status_of_a_container_that_a_signal_ends(docker, signal_name, status):
    with docker.started("--init", command=["sh", "-c", "echo ready; exec sleep 1000"]) as box:
        # Before its child is there docker-init has nobody to pass a signal on to.
        wait_for(lambda: docker("logs", box) == "ready", "the child")
        docker("kill", "--signal", signal_name, box)
        assert docker("wait", box) == str(status)


def test_error_of_a_missing_program_names_it(docker):
    _, text = docker.error("run", "--rm", IMAGE, "no-such-program")
    assert "no-such-program" in text and "executable file not found in $PATH" in text
    assert docker("ps", "-aq") == ""


def test_working_directory_is_made_and_used(docker):
    assert docker.sh("--workdir", "/made/for/this", "pwd; touch x") == "/made/for/this"


@pytest.mark.parametrize("user, wanted", [
    ("1000", "uid=1000(alice) gid=1000(alice) groups=1000(alice),50(team)"), ("alice", None), ("1000:50", "gid=50(team)"),
    ("4711:4712", "uid=4711 gid=4712"), ("nobody", "uid=65534(nobody)")])
def test_user(docker, user, wanted):
    got = docker.sh("--user", user, "id; touch /root/x 2>/dev/null && echo wrote; true")
    assert (wanted or "uid=1000(alice)") in got.replace("50(team),1000(alice)", "1000(alice),50(team)")
    assert "wrote" not in got


def test_additional_groups(docker):
    got = docker.sh("--user", "1000", "--group-add", "777", "--group-add", "daemon", "id -G")
    assert set(got.split()) == {"1000", "1", "50", "777"}


def test_host_and_domain_name(docker):
    assert docker.sh("--hostname", "box", "--domainname", "example.test",
                     "hostname; cat /proc/sys/kernel/domainname") == "box\nexample.test"


def test_init_reaps_and_forwards(docker):
    script = "trap 'exit 7' TERM; echo ready; (sleep 0 &) ; while :; do sleep 0.1; done"
    with docker.started("--init", command=["sh", "-c", script]) as box:
        wait_for(lambda: docker("logs", box) == "ready", "the trap")
        assert "init" in docker("exec", box, "cat", "/proc/1/cmdline")
        docker("stop", "-t", "20", box)
        assert docker("wait", box) == "7"


# ---- exec and terminals

def test_exec(docker):
    with docker.started("-e", "A=1") as box:
        assert docker("exec", "-e", "B=2", "-w", "/tmp", box, "sh", "-c", "echo $A $B $PWD") == "1 2 /tmp"
        assert docker("exec", "-u", "alice", box, "id", "-un") == "alice"
        assert docker("exec", "-i", box, "cat", input="in\nput") == "in\nput"
        docker("exec", box, "sh", "-c", "exit 9", status=9)
        docker("exec", box, "sh", "-c", "kill -9 $$", status=137)
        done = docker.run("exec", box, "no-such-program")
        assert done.returncode in (126, 127)  # old engines say 126, and the reason on standard output
        assert "executable file not found in $PATH" in done.stdout + done.stderr
        docker("exec", box, "/etc/not-a-program", status=126)
        docker("exec", "-d", box, "touch", "/tmp/detached")
        wait_for(lambda: docker.run("exec", box, "test", "-e", "/tmp/detached").returncode == 0, "a detached exec")


def test_exec_enters_every_namespace_and_limit(docker):
    with docker.started("--pids-limit", "50", "--cap-drop", "ALL") as box:
        same = "for n in pid net mnt ipc uts cgroup; do for p in 1 self; do readlink /proc/$p/ns/$n; done; done"
        links = docker("exec", box, "sh", "-c", same).split()
        assert links[::2] == links[1::2]
        groups = docker("exec", box, "sh", "-c", "cmp /proc/1/cgroup /proc/self/cgroup && echo same")
        assert groups == "same"
        assert last_caps(docker("exec", box, "cat", "/proc/self/status")) == 0
        assert last_caps(docker("exec", "--privileged", box, "cat", "/proc/self/status")) != 0


def test_interactive_terminal(docker):
    with Terminal(docker, "run", "--rm", "-it", IMAGE, "sh", rows=31, columns=97) as terminal:
        terminal.send("tty; stty size; echo $((6 * 7))\n")
        assert "/dev/pts/0" in terminal.expect("42\r\n")
        wait_for(lambda: terminal.size_inside() == "31 97", "the first size")
        terminal.resize_inside(40, 132)
        terminal.send("sleep 100\n")
        wait_for(lambda: "sleep" in docker("top", docker("ps", "-lq")), "sleep running")
        terminal.send("\x03")
        terminal.send("echo status $?\n")
        terminal.expect("status 130")
        terminal.send("exit 5\n")
        assert terminal.wait() == 5


def test_exec_on_a_terminal(docker):
    with docker.started() as box:
        with Terminal(docker, "exec", "-it", box, "sh", "-c", "tty; id -u; exit 3") as terminal:
            assert "/dev/pts/" in terminal.expect("\n")
            assert terminal.wait() == 3


def test_detach_and_attach_again(docker):
    with Terminal(docker, "run", "-it", "--name", "attached", IMAGE, "sh") as terminal:
        terminal.send("A=kept; echo A is $A\n")
        terminal.expect("A is kept")
        terminal.send("\x10\x11")
        assert terminal.wait() == 0
    with Terminal(docker, "attach", "attached") as terminal:
        terminal.send("echo still $A\n")
        terminal.expect("still kept")
        terminal.send("exit 0\n")
        assert terminal.wait() == 0
    docker("rm", "attached")


def test_console_belongs_to_the_user(docker):
    with Terminal(docker, "run", "--rm", "-it", "--user", "1000", IMAGE, "sh", "-c",
                  "stat -c '%u %t' /dev/pts/0; echo x >/dev/tty; echo y >/dev/console; echo end") as terminal:
        text = terminal.expect("end")
        assert "1000 88" in text and "x" in text and "y" in text


# ---- life cycle

def test_stop_asks_then_kills(docker):
    script = "trap 'echo asked; exit 4' TERM; echo ready; while :; do sleep 0.1; done"
    with docker.started(command=["sh", "-c", script]) as box:
        wait_for(lambda: "ready" in docker("logs", box), "the trap")
        docker("stop", "-t", "20", box)
        assert docker.inspect(box, "{{.State.ExitCode}}") == "4"
        assert docker("logs", box) == "ready\nasked"
    with docker.started(command=["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"]) as box:
        wait_for(lambda: "ready" in docker("logs", box), "the trap")
        docker("stop", "-t", "1", box)
        assert docker.inspect(box, "{{.State.ExitCode}}") == "137"


def test_start_restart_and_remove(docker):
    with docker.started(command=["sh", "-c", "echo up; exec sleep 1000"]) as box:
        docker("restart", "-t", "0", box)
        wait_for(lambda: docker("logs", box) == "up\nup", "the second start")
        docker("kill", box)
        docker("wait", box)
        docker("start", box)
        wait_for(lambda: docker("logs", box) == "up\nup\nup", "the third start")
        assert "You cannot remove a running container" in docker.error("rm", box)[1]
        docker("rm", "-f", box)
        assert docker.run("inspect", box).returncode


def test_pause_stops_everything_until_unpause(docker):
    script = "while :; do echo x >>/tmp/ticks; sleep 0.02; done"
    with docker.started("--tmpfs", "/tmp", command=["sh", "-c", script]) as box:
        pid = docker.pid(box)
        ticks = pathlib.Path(f"/proc/{pid}/root/tmp/ticks")
        wait_for(lambda: ticks.exists() and ticks.stat().st_size > 4, "ticks")
        docker("pause", box)
        assert docker.inspect(box, "{{.State.Status}}") == "paused"
        size = ticks.stat().st_size
        assert "is paused" in docker.error("exec", box, "true")[1]
        assert ticks.stat().st_size == size
        docker("unpause", box)
        wait_for(lambda: ticks.stat().st_size > size, "ticks after unpause")


def test_top_stats_and_diff(docker):
    with docker.started("--memory", "64m", command=["sh", "-c", "touch /new; exec sleep 1000"]) as box:
        wait_for(lambda: "A /new" in docker("diff", box), "the file")
        wait_for(lambda: "touch" not in docker("top", box, "-o", "pid,comm"), "the end of touch")
        assert "sleep 1000" in docker("top", box)
        stats = json.loads(docker("stats", "--no-stream", "--format", "{{json .}}", box))
        assert stats["PIDs"] == "1" and stats["MemUsage"].endswith("/ 64MiB")
        assert not stats["MemUsage"].startswith("0B")


def test_update_changes_the_limits_of_a_running_container(docker):
    with docker.started("--memory", "64m", "--memory-swap", "64m", "--cpus", "1", "--pids-limit", "20") as box:
        docker("update", "--memory", "96m", "--memory-swap", "96m", "--cpus", "0.5", "--pids-limit", "30",
               "--cpu-shares", "512", box)
        pid = docker.pid(box)
        assert cgroup_file(pid, "memory", "memory.limit_in_bytes", "memory.max") == str(96 << 20)
        assert cgroup_file(pid, "cpu", "cpu.cfs_quota_us", "cpu.max").split()[0] == "50000"
        assert cgroup_file(pid, "pids", "pids.max", "pids.max") == "30"
        assert cgroup_file(pid, "cpu", "cpu.shares", "cpu.weight") in ("512", "20", "59")


def test_restart_policy(docker):
    with docker.started("--restart", "on-failure:2", command=["false"]) as box:
        wait_for(lambda: docker.inspect(box, "{{.RestartCount}} {{.State.Running}}") == "2 false", "two restarts")
    with docker.started("--restart", "always") as box:
        first = docker.pid(box)
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: docker.pid(box) not in (0, first), "the restart")


def test_healthcheck(docker):
    with docker.started("--health-cmd", "test -e /tmp/well", "--health-interval", "200ms", "--health-retries", "1",
                        command=["sh", "-c", "touch /tmp/well; exec sleep 1000"]) as box:
        wait_for(lambda: docker.inspect(box, "{{.State.Health.Status}}") == "healthy", "health")
        docker("exec", box, "rm", "/tmp/well")
        wait_for(lambda: docker.inspect(box, "{{.State.Health.Status}}") == "unhealthy", "the end of health")


def test_logs_and_cp(docker, tmp_path):
    with docker.started(command=["sh", "-c", "echo out; echo err >&2; echo in >/file; exec sleep 1000"]) as box:
        wait_for(lambda: docker("logs", box) == "out", "output")
        wait_for(lambda: docker.run("logs", box).stderr == "err\n", "what goes another way than the output")
        wait_for(lambda: docker.run("exec", box, "test", "-s", "/file").returncode == 0, "the file")
        docker("cp", f"{box}:/file", tmp_path / "got")
        assert (tmp_path / "got").read_text() == "in\n"
        docker("cp", tmp_path / "got", f"{box}:/tmp/put")
        assert docker("exec", box, "cat", "/tmp/put") == "in"


# ---- files

def test_bind_mounts_and_volumes(docker, tmp_path):
    (tmp_path / "file").write_text("from outside")
    got = docker.sh("-v", f"{tmp_path}:/rw", "-v", f"{tmp_path}:/ro:ro", "-v", f"{tmp_path}/file:/etc/one:ro",
                    "cat /rw/file /etc/one; echo inside >/rw/made; echo x 2>/dev/null >/ro/bad || echo refused")
    assert got == "from outsidefrom outsiderefused"
    assert (tmp_path / "made").read_text() == "inside\n"
    docker.sh("-v", "kept:/data", "echo kept >/data/file")
    assert docker.sh("--mount", "type=volume,src=kept,dst=/other,readonly",
                     "cat /other/file; touch /other/x 2>/dev/null || echo refused") == "kept\nrefused"
    docker("volume", "rm", "kept")
    docker("run", "--rm", "-v", "/no/such/folder:/x", IMAGE, "rmdir", "/x/y", status=1)
    os.rmdir("/no/such/folder") if os.path.isdir("/no/such/folder") else None


def test_volume_takes_what_the_image_has_there(docker):
    assert docker.sh("-v", "filled:/home", "ls /home") == "alice"
    docker("volume", "rm", "filled")


def test_tmpfs_and_shared_memory_size(docker):
    got = docker.sh("--tmpfs", "/scratch:size=1m,mode=1750,noexec", "--shm-size", "2m",
                    "df -k /scratch /dev/shm | awk 'NR>1 {print $2}'; stat -c %a /scratch; "
                    "grep ' /scratch ' /proc/mounts | grep -c noexec")
    assert got.split() == ["1024", "2048", "1750", "1"]


def test_read_only_root(docker):
    assert docker.sh("--read-only", "--tmpfs", "/run", "touch /x 2>/dev/null && echo bad; "
                     "touch /run/x && echo good; echo x >/dev/shm/x && echo good") == "good\ngood"


def test_devices_of_the_container(docker):
    """A device is there under its new name, with just the access that was asked for."""
    got = docker.sh("--device", "/dev/kmsg:/dev/log-too:w",
                    ": >/dev/log-too && echo opened; (: </dev/log-too) 2>/dev/null || echo refused")
    assert got == "opened\nrefused"
    assert docker.sh("--device", "/dev/kmsg:/dev/log-too:r", "(: >/dev/log-too) 2>/dev/null || echo refused") == "refused"
    got = docker.sh("--device", "/dev/full:/dev/no-room", "stat -c '%t %T' /dev/no-room; echo x >/dev/no-room || true")
    assert got == "1 7"


def test_other_devices_are_refused(docker):
    """Even one that the container makes by itself (mknod is allowed by default)."""
    got = docker.sh("mknod /dev/kmsg-too c 1 11 && cat /dev/kmsg-too 2>&1 | grep -o 'Operation not permitted'")
    assert got == "Operation not permitted"


def test_standard_devices_and_links(docker):
    got = docker.sh("cd /dev; for n in null zero full random urandom tty; do test -c $n && echo $n; done; "
                    "for n in fd stdin stdout stderr ptmx; do readlink $n; done; test -c ptmx && echo ptmx; ls -d mqueue")
    assert got.split() == ["null", "zero", "full", "random", "urandom", "tty", "/proc/self/fd", "/proc/self/fd/0",
                           "/proc/self/fd/1", "/proc/self/fd/2", "pts/ptmx", "ptmx", "mqueue"]


def test_masked_and_read_only_paths(docker):
    got = docker.sh("cat /proc/kcore | wc -c; ls -A /sys/firmware | wc -l; "
                    "for f in /proc/sys/kernel/panic /proc/sysrq-trigger /sys/kernel/mm/ksm/run; do "
                    "[ -e $f ] || continue; (echo 0 >$f) 2>/dev/null && echo wrote $f; done; echo end")
    assert got == "0\n0\nend"


# ---- privileges

def test_capabilities(docker):
    default = docker.sh("cat /proc/self/status")
    assert last_caps(default) == 0xa80425fb
    assert status_field(default, "CapBnd") == status_field(default, "CapEff")
    none = docker.sh("--cap-drop", "ALL", "cat /proc/self/status")
    assert last_caps(none) == 0 and int(status_field(none, "CapBnd"), 16) == 0
    one = docker.sh("--cap-drop", "ALL", "--cap-add", "NET_ADMIN", "cat /proc/self/status")
    assert last_caps(one) == 1 << 12
    docker.sh("--cap-add", "NET_ADMIN", "ip link set lo down && ip link set lo up")
    user = docker.sh("--user", "1000", "cat /proc/self/status")
    assert last_caps(user) == 0 and int(status_field(user, "CapBnd"), 16) == 0xa80425fb
    docker.sh("--cap-drop", "CHOWN", "chown 1 /tmp 2>/dev/null", status=1)


def test_no_new_privileges(docker):
    assert status_field(docker.sh("cat /proc/self/status"), "NoNewPrivs") == "0"
    got = docker.sh("--security-opt", "no-new-privileges", "--user", "1000",
                    "/bin/busybox-suid id -u; grep NoNewPrivs /proc/self/status")
    assert got.split() == ["1000", "NoNewPrivs:", "1"]


def test_seccomp_profiles(docker, tmp_path):
    assert status_field(docker.sh("cat /proc/self/status"), "Seccomp") == "2"
    unconfined = ["--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"]
    assert status_field(docker.sh(*unconfined, "cat /proc/self/status"), "Seccomp") == "0"
    docker.sh("unshare -U true 2>/dev/null || exit 5", status=5)  # refused by Docker's default profile
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
        {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5,
         "args": [{"index": 1, "value": 10, "op": "SCMP_CMP_EQ"}]}]}))
    got = docker.sh("--security-opt", f"seccomp={profile}",
                    "mkdir /x 2>&1; kill -USR1 $$ 2>&1; kill -0 $$ && echo unharmed")
    assert "Function not implemented" in got and "Input/output error" in got and got.endswith("unharmed")


def test_privileged(docker):
    known = (1 << 38) - 1  # what the oldest of the engines asks for
    full = int(status_field(pathlib.Path("/proc/self/status").read_text(), "CapBnd"), 16) & known
    got = docker.sh("--privileged", "cat /proc/self/status; mkdir /m && mount -t tmpfs none /m && echo mounted; "
                    "test -w /proc/sys/kernel/panic && echo writable; ls /dev | wc -l")
    assert last_caps(got) & known == full
    assert "mounted" in got and "writable" in got
    assert int(got.split()[-1]) > 15


def test_ulimits(docker):
    assert docker.sh("--ulimit", "nofile=123:456", "--ulimit", "core=0",
                     "ulimit -Sn; ulimit -Hn; ulimit -c").split() == ["123", "456", "0"]


def test_sysctls(docker):
    got = docker.sh("--sysctl", "net.ipv4.ip_unprivileged_port_start=77", "--sysctl", "kernel.msgmax=4321",
                    "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/msgmax")
    assert got.split() == ["77", "4321"]


def test_oom_score_adjustment(docker):
    assert docker.sh("--oom-score-adj", "321", "cat /proc/self/oom_score_adj") == "321"


# ---- namespaces

def test_shared_namespaces(docker):
    with docker.started("--ipc", "shareable", "--name", "other", command=["sleep", "4711"]) as box:
        assert "sleep 4711" in docker.sh("--pid=container:other", "ps -o args")
        script = "for n in net ipc; do readlink /proc/self/ns/$n; done"
        assert docker.sh("--net=container:other", "--ipc=container:other", script) == docker("exec", box, "sh", "-c",
                                                                                          script)
    pid = docker.process.pid
    host = [os.readlink(f"/proc/{pid}/ns/{name}") for name in ("pid", "net", "ipc", "uts")]
    assert docker.sh("--pid=host", "--net=host", "--ipc=host", "--uts=host",
                     "for n in pid net ipc uts; do readlink /proc/self/ns/$n; done").split() == host


def test_control_group_namespace(docker):
    host = os.readlink("/proc/self/ns/cgroup")
    assert docker.sh("--cgroupns=host", "readlink /proc/self/ns/cgroup") == host
    got = docker.sh("--cgroupns=private", "readlink /proc/self/ns/cgroup; cat /proc/self/cgroup").split("\n")
    assert got[0] != host
    assert all(line.endswith(":/") for line in got[1:])


def test_container_sees_its_own_control_groups_only_to_read(docker):
    got = docker.sh("--cgroupns=private", "ls /sys/fs/cgroup | head -1; mkdir /sys/fs/cgroup/pids/x /sys/fs/cgroup/x "
                    "2>/dev/null && echo made; echo end").split("\n")
    assert got[0] and "made" not in got and got[-1] == "end"


def test_control_group_parent(docker):
    with docker.started("--cgroup-parent", "/coffer-test-parent") as box:
        lines = pathlib.Path(f"/proc/{docker.pid(box)}/cgroup").read_text().split("\n")
        assert any(line.endswith(f"/coffer-test-parent/{box}") for line in lines)
    remove_groups("coffer-test-parent")


# ---- limits

def test_process_limit(docker):
    got = docker.sh("--pids-limit", "5", "for i in 1 2 3 4 5 6 7 8; do sleep 1000 & done 2>&1; exit 0", status=2)
    assert "can't fork" in got or "fork" in got


def test_memory_limit_kills_and_says_so(docker):
    name = docker("run", "-d", "--memory", "16m", "--memory-swap", "16m", IMAGE, "sh", "-c",
                  "x=$(head -c 200000000 /dev/zero | tr '\\0' x); echo survived")
    try:
        assert docker("wait", name, timeout=120) != "0"
        assert docker("logs", name) == ""
        # The kill and the end that it made reach the engine as two events.
        wait_for(lambda: docker.inspect(name, "{{.State.OOMKilled}}") == "true", "the cause of the end")
    finally:
        docker("rm", "-f", name)


def test_cpu_limits(docker):
    with docker.started("--cpus", "0.25", "--cpu-shares", "256", "--cpuset-cpus", "0") as box:
        pid = docker.pid(box)
        assert cgroup_file(pid, "cpu", "cpu.cfs_quota_us", "cpu.max").split()[0] == "25000"
        assert cgroup_file(pid, "cpuset", "cpuset.cpus", "cpuset.cpus") == "0"
        assert cgroup_file(pid, "cpu", "cpu.shares", "cpu.weight") in ("256", "10", "35")
        assert docker("exec", box, "nproc") == "1"


# ---- network

def test_published_port(docker):
    with docker.started("-p", "127.0.0.1::8080", command=["sh", "-c",
                        "mkdir /www; echo served >/www/index.html; exec httpd -f -p 8080 -h /www"]) as box:
        address = docker("port", box, "8080")
        get = lambda: docker.in_network("busybox", "wget", "-qO-", f"http://{address}/").stdout
        wait_for(lambda: get() == "served\n", "the server behind the port")


def test_networks_and_names(docker):
    docker("network", "create", "lan")
    try:
        with docker.started("--network", "lan", "--name", "one"):
            assert "one" in docker.sh("--network", "lan", "ping -c 1 -W 5 one")
        assert docker.sh("--network", "none", "ls /sys/class/net") == "lo"
    finally:
        docker("network", "rm", "lan")


# ---- images

DOCKERFILE = f"""FROM {IMAGE}
ENV A=b
RUN echo $A >/made && id -u >>/made
RUN ["/bin/mkdir", "/folder"]
USER alice
WORKDIR /home/alice
RUN touch mine
CMD cat /made; stat -c %U mine
"""


@pytest.mark.parametrize("builder", ["0", "1"], ids=["legacy", "buildkit"])
def test_build(docker, tmp_path, builder):
    (tmp_path / "Dockerfile").write_text(DOCKERFILE.replace("=b", "=b" + builder))
    docker.env["DOCKER_BUILDKIT"] = builder
    try:
        docker("build", "--network", "none", "-t", "built", tmp_path)
    finally:
        docker.env["DOCKER_BUILDKIT"] = "0"
    assert docker("run", "--rm", "built").split() == ["b" + builder, "0", "alice"]


def test_failing_build_step_shows_its_status(docker, tmp_path):
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN exit 23\n")
    assert "23" in docker.error("build", tmp_path)[1]


# ---- many, and afterwards

def test_ten_at_once(docker):
    running = [docker.popen("run", "--rm", IMAGE, "echo", str(number), stdout=subprocess.PIPE, text=True)
               for number in range(10)]
    assert [process.communicate(timeout=120)[0].strip() for process in running] == list(map(str, range(10)))
    assert all(process.returncode == 0 for process in running)


def test_nothing_is_left(docker):
    """After all of the above: no state of the runtime, no control group, no mount."""
    left = docker("ps", "-aq").split()
    if left:
        docker("rm", "-f", *left)
    states = [path for path in (docker.folder / "exec").glob("runtime-*/moby/[!.]*")]
    assert states == []
    assert leaks.control_groups(docker.groups), "containers were below it"
    wait_for(lambda: not [path for path in leaks.control_groups(docker.groups) if len(os.path.basename(path)) == 64],
             "the end of control groups")


# ---- user namespaces

def test_remapped_users(runtime, tmp_path):
    """An engine with userns-remap: root inside is nobody outside."""
    subordinate = tmp_path / "sub"
    subordinate.write_text("nobody:300000:65536\n")
    with short_folder() as folder, running_docker(folder, runtime, {"userns-remap": "nobody:nogroup"},
                                                  subordinate=subordinate) as docker:
        with docker.started() as box:
            pid = docker.pid(box)
            assert os.stat(f"/proc/{pid}").st_uid == 300000
            assert docker("exec", box, "sh", "-c", "id -u; cat /proc/self/uid_map").split() == ["0", "0", "300000", "65536"]
        assert docker.sh("--user", "1000", "id -u; touch /home/alice/x && stat -c %u /home/alice/x") == "1000\n1000"
        assert docker.sh("--userns=host", "awk '{print $2}' /proc/self/uid_map") == "0"
        with Terminal(docker, "run", "--rm", "-it", IMAGE, "sh", "-c", "stat -c owner=%u= /dev/pts/0") as terminal:
            terminal.expect("owner=0=")
        docker.sh("-v", "vol:/data", "--tmpfs", "/t", "--read-only", "touch /data/x /t/y")
