# SPDX-License-Identifier: Apache-2.0
"""create, start, run, exec, kill, pause and delete, as engines call them."""
import array
import contextlib
import fcntl
import json
import os
import pathlib
import platform
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import time
import uuid

import pytest

from bundles import bundle, cgroup_folders, rune  # noqa: F401
from conftest import need_program, wait_for
from kill_at import calls_of

FOREVER = "trap 'exit 0' TERM; while :; do sleep 0.1; done"


@pytest.fixture
def running(rune, bundle):
    bundle.shell(FOREVER)
    rune.start(bundle)
    return rune


def leftovers(rune, bundle):
    """Whatever is still there of containers."""
    folders = [f for f in rune.root.iterdir() if not f.name.startswith(".")] if rune.root.is_dir() else []
    mounts = [line for line in pathlib.Path("/proc/self/mounts").read_text().splitlines() if str(bundle.path) in line]
    return folders + mounts + cgroup_folders(bundle.linux["cgroupsPath"])


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@contextlib.contextmanager
def helper(*args):
    """A process that is there meanwhile."""
    process = subprocess.Popen(args, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


# ---- run ----------------------------------------------------------------------------------------------------


def test_run_gives_output_and_exit_status_and_leaves_nothing(rune, bundle):
    result = rune.run(bundle.shell("echo out; echo err >&2; exit 42"), check=False)
    assert (result.returncode, result.stdout, result.stderr) == (42, "out\n", "err\n")
    assert leftovers(rune, bundle) == []


def test_a_signal_that_ends_the_process_is_in_the_exit_status(rune, bundle):
    bundle.without_namespace("pid")  # a first process of a PID namespace can't send itself one
    assert rune.run(bundle.shell("kill -9 $$"), check=False).returncode == 128 + signal.SIGKILL


def test_a_missing_command_is_an_error_and_leaves_nothing(rune, bundle):
    result = rune.run(bundle.args("/bin/no-such-command"), check=False)
    assert result.returncode != 0
    assert "no such file or directory" in result.stderr
    assert leftovers(rune, bundle) == []


def test_run_passes_signals_on(rune, bundle):
    bundle.shell("trap 'echo got it; exit 3' USR1; echo ready; while :; do sleep 0.05; done")
    bundle.write()
    process = rune.start_process("run", "--bundle", bundle.path, "c", stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGUSR1)
    assert process.communicate(timeout=30)[0] == "got it\n"
    assert process.returncode == 3


def test_run_reads_its_standard_input(rune, bundle):
    bundle.args("cat").write()
    result = rune("run", "--bundle", bundle.path, "c", stdin=None, input="some text", capture_output=True)
    assert result.stdout == "some text"


def test_run_keep_leaves_the_stopped_container(rune, bundle):
    rune.run(bundle.args("true"), "c", "--keep")
    assert rune.status() == "stopped"
    rune("delete", "c")
    assert leftovers(rune, bundle) == []


def test_run_detached_returns_while_it_runs(rune, bundle, tmp_path):
    bundle.shell(FOREVER).write()
    rune("run", "--detach", "--pid-file", tmp_path / "pid", "--bundle", bundle.path, "c",
         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert rune.status() == "running"
    assert int((tmp_path / "pid").read_text()) == rune.state()["pid"]


def test_many_runs_at_once(rune, bundle):
    bundle.shell("echo $$").write()
    del bundle.linux["cgroupsPath"]
    bundle.write()
    word = f"many{uuid.uuid4().hex[:10]}"  # their groups have these names
    processes = [rune.start_process("run", "--bundle", bundle.path, f"{word}-{i}", stdout=subprocess.PIPE, text=True)
                 for i in range(12)]
    assert [p.communicate(timeout=60)[0] for p in processes] == ["1\n"] * 12
    assert [p.returncode for p in processes] == [0] * 12


# ---- create and start ---------------------------------------------------------------------------------------


def test_create_start_kill_delete(rune, bundle, tmp_path):
    bundle.shell("trap 'exit 0' TERM; echo started; " + FOREVER)
    rune.create(bundle, "c", "--pid-file", tmp_path / "pid")
    state = rune.state()
    assert state["status"] == "created"
    assert state["pid"] == int((tmp_path / "pid").read_text())
    assert state["bundle"] == str(bundle.path)
    assert (bundle.path / "c.out").read_text() == ""
    rune("start", "c")
    wait_for(lambda: (bundle.path / "c.out").read_text() == "started\n", "output")
    assert rune.status() == "running"
    assert "not stopped: running" in rune("delete", "c", check=False).stderr
    rune("kill", "c", "TERM")
    rune.wait_status("stopped")
    rune("delete", "c")
    assert rune.status() is None
    assert leftovers(rune, bundle) == []


def test_create_fails_for_a_missing_command_and_leaves_nothing(rune, bundle):
    result = rune.create(bundle.args("no-such-command"), check=False)
    assert result.returncode != 0
    assert "executable file not found" in result.stderr or "no such file" in result.stderr.lower()
    assert leftovers(rune, bundle) == []


def test_an_id_is_taken_once(rune, bundle):
    rune.create(bundle.shell(FOREVER))
    assert "already exists" in rune.create(bundle, check=False).stderr
    assert rune.status() == "created"


@pytest.mark.parametrize("name", ["", ".hidden", "../up", "a/b", "ä", "a b"])
def test_an_id_that_is_no_plain_name_is_refused(rune, bundle, name):
    assert rune.create(bundle, name, check=False).returncode != 0 if "/" not in name else True
    result = rune("state", "--", name, check=False)
    assert result.returncode != 0


def test_start_wants_a_created_container(running):
    assert "cannot start an already running container" in running("start", "c", check=False).stderr
    running("kill", "c", "KILL")
    running.wait_status("stopped")
    assert "cannot start a container that has stopped" in running("start", "c", check=False).stderr


def test_start_of_a_container_whose_process_was_killed(rune, bundle):
    rune.create(bundle)
    os.kill(rune.state()["pid"], signal.SIGKILL)
    rune.wait_status("stopped")
    assert rune("start", "c", check=False).returncode != 0
    rune("delete", "c")


def test_start_tells_why_the_payload_cannot_be_executed(rune, bundle):
    script = bundle.rootfs / "bin/script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    rune.create(bundle.args("/bin/script"))
    result = rune("start", "c", check=False)
    assert result.returncode != 0
    assert "/bin/script" in result.stderr


def test_a_fifo_that_a_killed_start_left_does_not_hide_that_it_runs(running, bundle):
    os.mkfifo(running.root / "c/exec.fifo")
    assert running.status() == "running"
    assert "already running" in running("start", "c", check=False, timeout=20).stderr


def test_a_created_container_can_be_asked_to_end(rune, bundle):
    """The first process of a PID namespace hears only of signals that it has a handler for."""
    rune.create(bundle)
    rune("kill", "c", "TERM")
    rune.wait_status("stopped")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers of the system calls are of x86_64")
def test_a_created_container_heeds_signals_before_create_is_told(rune, bundle):
    """Else one that is sent as soon as `create` returns is lost."""
    sendmsg, sigaction = 46, 13
    bundle.write()
    calls = calls_of(rune.command("create", "--bundle", bundle.path, "c"), 1)
    last_message = len(calls) - 1 - calls[::-1].index(sendmsg)
    assert sigaction in calls[:last_message], calls


def test_output_of_a_terminal_of_ours_has_plain_newlines(rune, bundle):
    bundle.process["terminal"] = True
    bundle.shell("echo one; echo two").write()
    assert rune.output(bundle) == "one\ntwo\n"


@pytest.mark.parametrize("script, said", [
    ("exec cat", "one\ntwo"),
    ("cat; cat; read -r line || echo nothing left; exec sh -i", "one\ntwonothing left\n"),
], ids=["one reader", "one after the other"])
def test_an_input_that_ends_is_ended_on_a_terminal(rune, bundle, script, said):
    """Otherwise `rune run` of a bundle that has a terminal, as those of `rune spec` do, never ends in a script."""
    bundle.process["terminal"] = True
    bundle.shell(f"stty -echo; echo ready; {script}").write()
    process = rune.start_process("run", "--bundle", bundle.path, "c", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"ready\n"
        output, _ = process.communicate(b"one\ntwo", timeout=30)
    except subprocess.TimeoutExpired:
        rune("kill", "c", "KILL")
        raise
    assert output.decode().startswith(said)
    assert process.returncode == 0


def test_an_input_that_ends_does_not_end_what_reads_nothing(rune, bundle):
    bundle.process["terminal"] = True
    bundle.shell("sleep 2; echo still here; exit 3").write()
    result = rune("run", "--bundle", bundle.path, "c", stdin=subprocess.DEVNULL, check=False)
    assert (result.returncode, result.stdout) == (3, "still here\n")


def test_all_cpus_whatever_the_starter_is_confined_to(rune, bundle):
    bundle.shell("grep Cpus_allowed_list: /proc/self/status").write()
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        text = rune.output(bundle)
    finally:
        os.sched_setaffinity(0, before)
    first, last = min(before), max(before)
    if before == set(range(first, last + 1)):
        assert text.split()[-1] == (f"{first}-{last}" if last > first else str(first))


def test_delete_of_a_created_container(rune, bundle):
    rune.create(bundle)
    pid = rune.state()["pid"]
    rune("delete", "c")
    assert not alive(pid)
    assert leftovers(rune, bundle) == []


def test_state_has_the_annotations_and_survives_odd_ones(rune, bundle):
    bundle.config["annotations"] = {"org.example": "ü \" \\ \n", "empty": ""}
    rune.create(bundle)
    assert rune.state()["annotations"] == bundle.config["annotations"]


def test_the_configuration_at_create_is_what_counts(rune, bundle):
    bundle.shell(FOREVER)
    bundle.process["env"].append("A=first")
    rune.start(bundle)
    (bundle.path / "config.json").write_text("{}")
    assert rune("exec", "c", "sh", "-c", "echo $A").stdout == "first\n"


# ---- kill, pause --------------------------------------------------------------------------------------------


def test_kill_of_a_stopped_container(running):
    running("kill", "c", "KILL")
    running.wait_status("stopped")
    result = running("kill", "c", "TERM", check=False)
    assert result.returncode != 0 and "container not running" in result.stderr


def test_kill_all_reaches_every_process_where_pids_are_shared(rune, bundle):
    bundle.without_namespace("pid")
    rune.start(bundle.shell("sleep 1000 & sleep 1000 & exec sleep 1000"))
    pids = wait_for(lambda: (lambda p: p if len(p) == 3 else None)(json.loads(rune("ps", "--format=json", "c").stdout)),
                    "three processes")
    os.kill(rune.state()["pid"], signal.SIGKILL)
    rune.wait_status("stopped")
    rune("kill", "--all", "c", "KILL")
    wait_for(lambda: not any(alive(p) for p in pids), "the end of all")
    rune("delete", "c")
    assert leftovers(rune, bundle) == []


def test_delete_ends_what_an_ended_process_left_where_pids_are_shared(rune, bundle):
    bundle.without_namespace("pid")
    rune.start(bundle.shell("sleep 1000 & echo $!"))
    rune.wait_status("stopped")
    rune("delete", "c")
    assert not alive(int((bundle.path / "c.out").read_text()))
    assert leftovers(rune, bundle) == []


def test_pause_and_resume(running):
    running("pause", "c")
    assert running.status() == "paused"
    assert "cannot exec in a paused container" in running("exec", "c", "true", check=False).stderr
    running("resume", "c")
    assert running.status() == "running"
    assert running("resume", "c", check=False).returncode != 0
    assert running("exec", "c", "true").returncode == 0


def test_a_paused_container_can_be_killed_and_deleted(running, bundle):
    running("pause", "c")
    running("kill", "c", "KILL")
    running.wait_status("stopped")
    running("delete", "c")
    assert leftovers(running, bundle) == []


def test_delete_force_of_a_paused_container(running, bundle):
    running("pause", "c")
    running("delete", "--force", "c")
    assert leftovers(running, bundle) == []


# ---- delete --force -----------------------------------------------------------------------------------------


def test_delete_of_what_is_not_there(rune):
    assert "does not exist" in rune("delete", "nothing", check=False).stderr
    rune("delete", "--force", "nothing")


def test_delete_force_of_a_half_made_folder(rune, bundle):
    bundle.write()
    folder = rune.root / "half"
    folder.mkdir(parents=True)
    assert rune("delete", "half", check=False).returncode != 0
    (folder / "config.json").write_text(json.dumps(bundle.config))
    made = pathlib.Path("/sys/fs/cgroup/pids") / bundle.linux["cgroupsPath"].lstrip("/")
    if made.parent.parent.is_dir():
        made.mkdir(parents=True)
    rune("delete", "--force", "half")
    assert leftovers(rune, bundle) == []


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"id": 3}'])
def test_delete_force_of_a_damaged_state(rune, bundle, damage):
    folder = rune.root / "bad"
    folder.mkdir(parents=True)
    (folder / "state.json").write_text(damage)
    assert rune("state", "bad", check=False).returncode != 0
    rune("list")
    rune("delete", "--force", "bad")
    assert not folder.exists()


def test_a_number_of_another_process_is_not_killed(rune, bundle):
    """A state whose pid was given to a process that started later."""
    rune.create(bundle)
    path = rune.root / "c/state.json"
    state = json.loads(path.read_text())
    rune("kill", "c", "KILL")
    rune.wait_status("stopped")
    # Start times are told apart by clock ticks, a hundredth of a second each.
    tick = os.sysconf("SC_CLK_TCK")
    wait_for(lambda: time.clock_gettime(time.CLOCK_BOOTTIME) * tick > state["startTime"] + 2, "the next tick of the clock")
    with helper("sleep", "1000") as other:
        state["pid"] = other.pid
        path.write_text(json.dumps(state))
        assert rune.status() == "stopped"
        rune("kill", "c", "KILL", check=False)
        rune("delete", "--force", "c")
        assert other.poll() is None


# ---- exec ---------------------------------------------------------------------------------------------------


def test_exec_is_inside(running):
    assert running("exec", "c", "hostname").stdout == "rune\n"
    pid = running.state()["pid"]
    script = "for n in pid net ipc uts mnt cgroup; do readlink /proc/self/ns/$n; done"
    ours = running("exec", "c", "sh", "-c", script).stdout.split()
    theirs = [os.readlink(f"/proc/{pid}/ns/{n}") for n in ("pid", "net", "ipc", "uts", "mnt", "cgroup")]
    assert ours == theirs


def test_exec_is_in_the_cgroups(running, bundle):
    lines = running("exec", "c", "cat", "/proc/1/cgroup", "/proc/self/cgroup").stdout.splitlines()
    assert sorted(lines[:len(lines) // 2]) == sorted(lines[len(lines) // 2:])


def test_exec_exit_status_and_streams(running):
    result = running("exec", "c", "sh", "-c", "cat; echo err >&2; exit 9", stdin=None, input="in", check=False,
                     capture_output=True)
    assert (result.returncode, result.stdout, result.stderr) == (9, "in", "err\n")


def test_exec_options(running):
    script = "id -u; id -g; id -G; pwd; echo $A$B; grep CapEff /proc/self/status"
    out = running("exec", "--user", "1000:1001", "--additional-gids", "7", "--cwd", "/tmp", "--env", "A=1", "--env",
                  "B=2", "c", "sh", "-c", script).stdout.splitlines()
    assert out[:5] == ["1000", "1001", "1001 7", "/tmp", "12"]
    capability = running("exec", "--cap", "CAP_SYS_ADMIN", "c", "grep", "CapEff", "/proc/self/status").stdout
    assert int(capability.split()[1], 16) & 1 << 21


@pytest.mark.parametrize("user", ["x", "1000:", ":5", "-1", "1 ", "4294967295", "0x1", "99999999999999999999"])
def test_exec_refuses_users_that_are_no_numbers(running, user):
    """CVE-2026-30892: a user that can't be parsed must not become root."""
    result = running("exec", "--user", user, "c", "id", check=False)
    assert result.returncode != 0 and "uid=" not in result.stdout


def test_exec_process_file(running, tmp_path):
    process = {"args": ["sh", "-c", "echo $X; pwd; exit 4"], "env": ["X=y", "PATH=/bin"], "cwd": "/etc",
               "user": {"uid": 1000, "gid": 1000}}
    (tmp_path / "process.json").write_text(json.dumps(process))
    result = running("exec", "--process", tmp_path / "process.json", "c", check=False)
    assert (result.returncode, result.stdout) == (4, "y\n/etc\n")


def test_exec_detached_with_pid_file(running, tmp_path):
    running("exec", "--detach", "--pid-file", tmp_path / "pid", "c", "sleep", "1000", stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
    pid = int((tmp_path / "pid").read_text())
    assert pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() == b"sleep\x001000\x00"
    assert os.readlink(f"/proc/{pid}/ns/pid") == os.readlink(f"/proc/{running.state()['pid']}/ns/pid")
    running("delete", "--force", "c")
    assert not alive(pid)


def test_exec_of_a_missing_command(running):
    result = running("exec", "c", "no-such-command", check=False)
    assert result.returncode == 255 or result.returncode in (126, 127)
    assert "no-such-command" in result.stderr


def test_exec_in_a_stopped_container(running):
    running("kill", "c", "KILL")
    running.wait_status("stopped")
    assert "cannot exec in a stopped container" in running("exec", "c", "true", check=False).stderr


def test_exec_in_a_created_container(rune, bundle):
    rune.create(bundle)
    assert rune("exec", "c", "echo", "early").stdout == "early\n"


def test_exec_where_pids_are_shared(rune, bundle):
    bundle.without_namespace("pid")
    rune.start(bundle.shell(FOREVER))
    assert rune("exec", "c", "echo", "here").stdout == "here\n"


def test_the_processes_hold_no_descriptor_of_ours(rune, bundle):
    """CVE-2024-21626: a descriptor of the host that is open in a container is a way out."""
    script = "ls /proc/self/fd | wc -l; for f in /proc/self/fd/*; do readlink $f; done; true"
    leaked = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.set_inheritable(leaked, True)
        bundle.shell("exec 0</dev/null; " + script + "; " + FOREVER).write()
        with open(bundle.path / "c.out", "wb") as out:
            rune("run", "--detach", "--bundle", bundle.path, "c", close_fds=False, stdout=out, stderr=out)
        wait_for(lambda: (bundle.path / "c.out").read_text().count("\n") >= 4, "the list")
        # ls has the folder open on top of the three.
        assert (bundle.path / "c.out").read_text().splitlines()[0] == "4"
        result = rune("exec", "c", "sh", "-c", script, close_fds=False)
        assert result.stdout.splitlines()[0] == "4"
    finally:
        os.close(leaked)


@pytest.mark.parametrize("cwd", ["/proc/self/fd/7", "/proc/self/fd/8/../..", "/proc/1/fd/7"])
def test_a_working_directory_does_not_lead_out(rune, bundle, cwd):
    """CVE-2024-21626."""
    bundle.process["cwd"] = cwd
    result = rune.run(bundle.shell("cat /proc/self/mountinfo | wc -l; ls"), check=False)
    assert result.returncode != 0


def test_the_executable_of_a_container_is_no_file_of_the_host(rune, bundle, build_dir):
    """CVE-2019-5736: while it waits, its executable is in memory and sealed."""
    rune.create(bundle)
    pid = rune.state()["pid"]
    assert os.readlink(f"/proc/{pid}/exe") == "/memfd:container-init (deleted)"
    with pytest.raises(OSError):
        os.close(os.open(f"/proc/{pid}/exe", os.O_WRONLY))
    with open(f"/proc/{pid}/exe", "rb") as executable:
        assert fcntl.fcntl(executable, 1034) & 0xf == 0xf  # F_GET_SEALS: seal, shrink, grow, write


# ---- descriptors that are handed on -------------------------------------------------------------------------


def test_preserve_fds(rune, bundle):
    read_end, write_end = os.pipe()
    try:
        # They are to be 3 and 4.
        bundle.shell("echo through >&4; ls /proc/self/fd | wc -l").write()
        command = rune.command("run", "--preserve-fds", "2", "--bundle", bundle.path, "c")
        script = f'exec 3<&{read_end} 4>&{write_end}; exec "$@"'
        result = subprocess.run(["bash", "-c", script, "bash", *command], pass_fds=(read_end, write_end), timeout=60,
                                stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        assert os.read(read_end, 100) == b"through\n"
        missing = rune("run", "--preserve-fds", "9", "--bundle", bundle.path, "c", check=False)
        assert "unable to stat preserved-fd" in missing.stderr
    finally:
        os.close(read_end)
        os.close(write_end)


def test_socket_activation(rune, bundle):
    bundle.shell("echo $LISTEN_FDS $LISTEN_PID; readlink /proc/self/fd/3").write()
    command = rune.command("run", "--bundle", bundle.path, "c")
    script = 'exec 3</etc/hostname; LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'
    result = subprocess.run(["sh", "-c", script, "sh", *command], timeout=60, stdin=subprocess.DEVNULL,
                            capture_output=True, text=True)
    assert result.stdout.splitlines() == ["1 1", "/etc/hostname"], result.stderr


def receive_fd(server):
    connection, _ = server.accept()
    with connection:
        data, control, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(4))
        fds = array.array("i")
        for level, kind, payload in control:
            assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
            fds.frombytes(payload)
        return data, fds[0]


@pytest.fixture
def listener(tmp_path):
    # Longer than a sockaddr_un takes.
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    here = os.open(folder, os.O_PATH)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"/proc/self/fd/{here}/socket")
        server.listen()
        server.settimeout(30)
        yield folder / "socket", server
    os.close(here)


def test_console_socket_gets_the_terminal(rune, bundle, listener):
    path, server = listener
    bundle.process["terminal"] = True
    bundle.process["consoleSize"] = {"height": 30, "width": 100}
    bundle.shell("stty size; tty; read line; echo got $line")
    rune.create(bundle, "c", "--console-socket", path)
    _, master = receive_fd(server)
    with open(master, "r+b", buffering=0) as terminal:
        assert os.isatty(terminal.fileno())
        rune("start", "c")
        terminal.write(b"word\n")
        text = b""
        with contextlib.suppress(OSError):
            while chunk := terminal.read(4096):
                text += chunk
    assert b"30 100\r\n" in text and b"got word\r\n" in text


def test_exec_with_console_socket(running, listener):
    path, server = listener
    running("exec", "--detach", "--tty", "--console-socket", path, "c", "sh", "-c", "tty; echo done")
    _, master = receive_fd(server)
    with open(master, "r+b", buffering=0) as terminal:
        text = b""
        with contextlib.suppress(OSError):
            while chunk := terminal.read(4096):
                text += chunk
    assert b"done\r\n" in text and b"not a tty" not in text


def test_terminal_options_that_make_no_sense(rune, bundle, listener):
    path, _ = listener
    bundle.process["terminal"] = True
    assert "cannot allocate tty" in rune.create(bundle, check=False).stderr
    bundle.process["terminal"] = False
    assert "cannot use console socket" in rune.create(bundle, "c", "--console-socket", path, check=False).stderr
    assert leftovers(rune, bundle) == []


def test_pidfd_socket(rune, bundle, listener):
    path, server = listener
    rune.create(bundle, "c", "--pidfd-socket", path)
    _, pidfd = receive_fd(server)
    info = pathlib.Path(f"/proc/self/fdinfo/{pidfd}").read_text()
    os.close(pidfd)
    assert int(re.search(r"^Pid:\s+(\d+)", info, re.M)[1]) == rune.state()["pid"]


def test_signals_are_passed_on_before_the_container_is_ready(rune, bundle, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "manager"))
        rune.environment["NOTIFY_SOCKET"] = str(tmp_path / "manager")
        bundle.shell("trap 'exit 3' TERM; echo ready; " + FOREVER.replace("exit 0", "exit 3")).write()
        process = rune.start_process("run", "--bundle", bundle.path, "c", stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "ready\n"
        wait_for(lambda: process.poll() is not None or process.send_signal(signal.SIGTERM), "the end")
        assert process.returncode == 3


@pytest.mark.parametrize("how", ["start", "run"])
def test_readiness_reaches_the_service_manager(rune, bundle, tmp_path, how):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "manager"))
        manager.settimeout(30)
        rune.environment["NOTIFY_SOCKET"] = str(tmp_path / "manager")
        bundle.shell("ls -l $NOTIFY_SOCKET; read line; " + FOREVER)
        bundle.process["env"].append("A=B")
        if how == "start":
            rune.create(bundle)
            process = rune.start_process("start", "c")
        else:
            bundle.write()
            process = rune.start_process("run", "--detach", "--bundle", bundle.path, "c", stdout=subprocess.DEVNULL)
        rune.wait_status("running")
        path = wait_for(lambda: next(iter((rune.root / "c/notify").glob("*")), None), "the socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as container:
            here = os.open(path.parent, os.O_PATH)
            container.connect(f"/proc/self/fd/{here}/{path.name}")
            container.send(b"STATUS=working\nMAINPID=1")
            container.send(b"STATUS=done\nREADY=1\nSTOPPING=1")
            os.close(here)
        assert manager.recv(4096) == b"READY=1\n"
        assert manager.recv(4096) == f"MAINPID={rune.state()['pid']}\n".encode()
        data, fds, _, _ = socket.recv_fds(manager, 4096, 1)
        assert data == b"BARRIER=1"
        assert process.poll() is None
        os.close(fds[0])
        assert process.wait(timeout=30) == 0
        mounts = rune("exec", "c", "cat", "/proc/mounts").stdout
        assert any(line.split()[1] == "/run/notify" and "ro" in line.split()[3].split(",") for line in mounts.splitlines())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_exec_that_waits_for_its_container_can_be_ended(running, number):
    """In a paused one; the container's root can stop a process that comes in as well.  It never runs then."""
    running("pause", "c")
    process = running.start_process("exec", "--ignore-paused", "c", "touch", "/dev/shm/ran")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1)
    process.send_signal(number)
    try:
        assert process.wait(timeout=30) == -number
    finally:
        process.kill()
        process.wait()
    running("resume", "c")
    wait_for(lambda: len(running("ps", "c").stdout.splitlines()) <= 3, "the end of what was to be the process")
    assert running("exec", "c", "ls", "/dev/shm").stdout == ""


def test_an_exec_whose_process_is_killed_before_it_runs_ends(running, tmp_path):
    """It waits to be let go while rune is held up by whoever is to get a descriptor of it."""
    path = tmp_path / "pidfd.sock"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(str(path))
        listener.listen(0)
        first.connect(str(path))  # the queue is full
        process = running.start_process("exec", "--pidfd-socket", path, "c", "true")
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
        syscall = pathlib.Path(f"/proc/{process.pid}/syscall")
        connect = {"x86_64": "42", "aarch64": "203"}[platform.machine()]
        wait_for(lambda: syscall.read_text().split()[0] == connect, "rune's connecting")
        os.kill(int(children.read_text()), signal.SIGKILL)
        wait_for(lambda: "Z" in pathlib.Path(f"/proc/{children.read_text().strip()}/stat").read_text().split(") ")[1][:1],
                 "its end")
        for _ in range(2):
            listener.accept()[0].close()
    try:
        assert process.wait(timeout=30) == 128 + signal.SIGKILL
    finally:
        process.kill()
        process.wait()


THREAD_STAYS = """
#include <pthread.h>
#include <unistd.h>

static void *stay(void *none)
{
        for (;;)
                pause();
        return none;
}

int main(void)
{
        pthread_t thread;
        pthread_create(&thread, NULL, stay, NULL);
        pthread_exit(NULL);
}
"""


def test_a_process_runs_for_as_long_as_one_of_its_threads(rune, bundle, tmp_path):
    """Though its first thread has ended, and the kernel calls it a zombie: it can be paused, and killed."""
    (tmp_path / "stay.c").write_text(THREAD_STAYS)
    subprocess.run([need_program("cc"), "-static", "-pthread", "-o", bundle.rootfs / "bin/stay", tmp_path / "stay.c"],
                   check=True)
    rune.start(bundle.args("stay"))
    stat = pathlib.Path(f"/proc/{rune.state()['pid']}/stat")
    wait_for(lambda: stat.read_text().split(") ")[1].startswith("Z"), "the end of its first thread")
    assert rune.status() == "running"
    assert rune("delete", "c", check=False).returncode == 1
    rune("pause", "c")
    rune("resume", "c")
    rune("kill", "c", "KILL")
    rune.wait_status("stopped")
    rune("delete", "c")


READ_ONLY_GROUPS = ("for m in /sys/fs/cgroup /sys/fs/cgroup/*; do "
                    "mountpoint -q $m && mount -o remount,bind,ro $m; done; exec \"$@\"")


@pytest.mark.parametrize("flags", [[], ["--force"]])
def test_a_container_whose_cgroup_cannot_be_removed_can_be_deleted_later(rune, bundle, tmp_path, flags):
    """Here by one who sees the groups read-only; a group above that is frozen does the same."""
    log = tmp_path / "hooks"
    bundle.config["hooks"] = {"poststop": [{"path": "/bin/sh", "args": ["sh", "-c", f"echo poststop >>{log}"]}]}
    bundle.args("true")
    rune.start(bundle)
    rune.wait_status("stopped")
    refused = subprocess.run(["unshare", "--mount", "sh", "-c", READ_ONLY_GROUPS, "sh",
                              *rune.command("delete", *flags, "c")], capture_output=True, text=True, timeout=60)
    assert refused.returncode == 1 and "cgroup" in refused.stderr and "once more" in refused.stderr
    assert rune.status() == "stopped" and cgroup_folders(bundle.linux["cgroupsPath"]) and not log.exists()
    rune("delete", *flags, "c")
    assert leftovers(rune, bundle) == [] and log.read_text() == "poststop\n"


# ---- terminal in the foreground -----------------------------------------------------------------------------


class Terminal:
    """rune in the foreground of a terminal of ours."""

    def __init__(self, rune, *args):
        self.master, slave = pty.openpty()
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.process = rune.start_process(*args, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        self.text = b""

    def read(self):
        assert select.select([self.master], [], [], 30)[0], self.text
        chunk = os.read(self.master, 65536)
        self.text += chunk
        return chunk

    def read_until(self, text):
        while text not in self.text:
            self.read()

    def read_all(self):
        with contextlib.suppress(OSError):
            while self.read():
                pass
        return self.process.wait(timeout=30)

    def close(self):
        os.close(self.master)


def test_run_in_a_terminal(rune, bundle):
    bundle.process["terminal"] = True
    bundle.shell("stty size; read line; echo got $line; stty size; exit 5").write()
    terminal = Terminal(rune, "run", "--bundle", bundle.path, "c")
    terminal.read_until(b"40 120")
    fcntl.ioctl(terminal.master, termios.TIOCSWINSZ, struct.pack("HHHH", 41, 121, 0, 0))
    terminal.process.send_signal(signal.SIGWINCH)
    os.write(terminal.master, b"word\r")
    assert terminal.read_all() == 5
    terminal.close()
    assert b"got word" in terminal.text and b"41 121" in terminal.text


def test_no_output_of_a_terminal_is_lost_at_the_end(rune, bundle):
    bundle.process["terminal"] = True
    bundle.shell("seq 1 20000").write()
    terminal = Terminal(rune, "run", "--bundle", bundle.path, "c")
    assert terminal.read_all() == 0
    terminal.close()
    assert terminal.text.split() == [str(i).encode() for i in range(1, 20001)]


@contextlib.contextmanager
def full_pipe():
    """A pipe that takes nothing until it is read, and the size of what is in it."""
    reader, writer = os.pipe()
    size = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writer, b"." * size)
    with open(reader, "rb") as out, open(writer, "wb") as into:
        yield out, into, size


def test_no_output_of_a_terminal_is_lost_to_a_slow_reader(running):
    """The process ends while nobody reads: what was on its way waits until somebody does."""
    with full_pipe() as (out, into, size):
        process = running.start_process("exec", "--tty", "c", "seq", "1", "1500", stdout=into)
        into.close()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=2)
        assert out.read()[size:].split() == [str(i).encode() for i in range(1, 1501)]
        assert process.wait(timeout=30) == 0


def test_who_waits_for_a_slow_reader_can_be_ended(running):
    with full_pipe() as (_, into, _):
        process = running.start_process("exec", "--tty", "c", "sh", "-c", "echo word; exit 3", stdout=into)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=2)
        process.terminate()
        assert process.wait(timeout=30) == 3


def test_who_writes_to_a_terminal_for_ever_holds_no_exec(running):
    process = running.start_process("exec", "--tty", "c", "sh", "-c", "trap '' HUP; yes & exit 3",
                                    stdout=subprocess.DEVNULL)
    try:
        assert process.wait(timeout=30) == 3
    finally:
        process.kill()
        process.wait()


def test_exec_in_a_terminal(running):
    terminal = Terminal(running, "exec", "--tty", "c", "sh", "-c", "tty; exit 6")
    assert terminal.read_all() == 6
    terminal.close()
    assert b"/dev/pts/" in terminal.text or b"/dev/console" in terminal.text


# ---- hooks --------------------------------------------------------------------------------------------------


def hook(path, script, **more):
    return {"path": "/bin/sh", "args": ["sh", "-c", script, str(path)], **more}


def test_hooks_get_the_state_in_order(rune, bundle, tmp_path):
    kinds = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"]
    log = tmp_path / "log"
    bundle.config["hooks"] = {k: [hook(log, f'(printf "%s " {k}; cat; echo) >> $0')] for k in kinds}
    bundle.shell(FOREVER)
    rune.create(bundle)
    created = [line.split(" ", 1) for line in log.read_text().splitlines()]
    assert [k for k, _ in created] == kinds[:3]
    pid = rune.state()["pid"]
    for _, text in created:
        state = json.loads(text)
        assert state["id"] == "c" and state["status"] == "creating" and state["bundle"] == str(bundle.path)
        assert state["pid"] == pid
    rune("start", "c")
    assert json.loads(log.read_text().splitlines()[3].split(" ", 1)[1])["status"] == "running"
    rune("delete", "--force", "c")
    last = json.loads(log.read_text().splitlines()[4].split(" ", 1)[1])
    assert last["status"] == "stopped" and last["id"] == "c"


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer"])
def test_a_failing_hook_fails_the_create(rune, bundle, tmp_path, kind):
    bundle.config["hooks"] = {kind: [hook("", "echo because >&2; exit 3")],
                              "poststop": [hook(tmp_path / "stopped", "touch $0")]}
    result = rune.create(bundle, check=False)
    assert result.returncode != 0
    assert kind in result.stderr and "because" in result.stderr
    assert (tmp_path / "stopped").exists()
    assert leftovers(rune, bundle) == []


def test_a_failing_start_container_hook_fails_the_start(rune, bundle):
    bundle.config["hooks"] = {"startContainer": [hook("", "echo because >&2; exit 3")]}
    rune.create(bundle)
    result = rune("start", "c", check=False)
    assert result.returncode != 0 and "because" in result.stderr


def test_a_start_container_hook_sees_a_created_container(rune, bundle):
    bundle.config["hooks"] = {"startContainer": [hook("", "cat >&2; exit 3")]}
    rune.create(bundle)
    assert '"status":"created"' in rune("start", "c", check=False).stderr.replace("\\", "")


def test_a_failing_poststart_hook_ends_the_container(rune, bundle):
    bundle.config["hooks"] = {"poststart": [hook("", "exit 3")]}
    rune.create(bundle.shell(FOREVER))
    assert "poststart" in rune("start", "c", check=False).stderr
    rune.wait_status("stopped")
    result = rune.run(bundle, "d", check=False)
    assert result.returncode != 0 and rune.status("d") is None


def test_a_failing_poststop_hook_is_a_warning(rune, bundle, tmp_path):
    bundle.config["hooks"] = {"poststop": [hook("", "exit 3"), hook(tmp_path / "second", "touch $0")]}
    result = rune.run(bundle.args("true"))
    assert "poststop" in result.stderr
    assert (tmp_path / "second").exists()
    assert leftovers(rune, bundle) == []


def test_a_hook_over_its_timeout_is_killed(rune, bundle):
    bundle.config["hooks"] = {"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1}]}
    begin = time.monotonic()
    result = rune.create(bundle, check=False)
    assert result.returncode != 0 and "timeout" in result.stderr
    assert time.monotonic() - begin < 30
    assert leftovers(rune, bundle) == []


def test_a_hook_that_leaves_a_process_with_its_output_open_is_not_waited_for(rune, bundle):
    bundle.config["hooks"] = {"createRuntime": [hook("", "sleep 20 & exit 0")]}
    begin = time.monotonic()
    rune.create(bundle)
    assert time.monotonic() - begin < 15


# ---- namespaces ---------------------------------------------------------------------------------------------


def test_a_pid_namespace_that_is_joined(rune, bundle, tmp_path):
    with helper("unshare", "--pid", "--fork", "--kill-child", "sleep", "1000") as outer:
        inner = wait_for(lambda: pathlib.Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split(),
                         "the sleeper")[0]
        bundle.namespace("pid", f"/proc/{inner}/ns/pid")
        rune.start(bundle.shell(FOREVER))
        pid = rune.state()["pid"]
        assert os.readlink(f"/proc/{pid}/ns/pid") == os.readlink(f"/proc/{inner}/ns/pid")
        assert rune("exec", "c", "echo", "in").stdout == "in\n"
        rune("delete", "--force", "c")


def test_a_path_that_is_no_namespace_of_the_kind(rune, bundle):
    bundle.namespace("network", "/proc/self/ns/uts")
    assert "is no network namespace" in rune.create(bundle, check=False).stderr
    bundle.namespace("network", bundle.path / "config.json")
    assert rune.create(bundle, check=False).returncode != 0
    assert leftovers(rune, bundle) == []


@pytest.mark.parametrize("shared", [False, True])
def test_a_user_namespace(rune, bundle, shared):
    for folder, _, files in os.walk(bundle.rootfs):
        for path in [folder, *(os.path.join(folder, f) for f in files)]:
            os.lchown(path, 100000, 100000)
    bundle.namespace("user")
    if shared:
        bundle.namespace("uts", "/proc/self/ns/uts")
        del bundle.config["hostname"]
    for kind in ("uid", "gid"):
        bundle.linux[f"{kind}Mappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    bundle.path.chmod(0o755)
    for parent in bundle.path.parents:
        if parent.stat().st_uid == os.getuid() and parent != pathlib.Path("/"):
            parent.chmod(parent.stat().st_mode | 0o111)
    rune.start(bundle.shell("id -u; cat /proc/self/uid_map; " + FOREVER))
    wait_for(lambda: (bundle.path / "c.out").read_text().count("\n") >= 2, "output")
    assert (bundle.path / "c.out").read_text().split() == ["0", "0", "100000", "65536"]
    assert os.stat(f"/proc/{rune.state()['pid']}").st_uid == 100000
    assert rune("exec", "c", "sh", "-c", "id -u; readlink /proc/self/ns/user").stdout.split() == \
        ["0", os.readlink(f"/proc/{rune.state()['pid']}/ns/user")]


def test_a_user_namespace_without_maps_is_refused(rune, bundle):
    bundle.namespace("user")
    result = rune.create(bundle, check=False)
    assert result.returncode != 0 and "mapping" in result.stderr
    assert leftovers(rune, bundle) == []


def test_a_bind_source_that_only_the_host_root_can_reach(rune, bundle, tmp_path):
    """CVE-2019-16884's neighbour: rune opens it, and the container's root gets no further than to it."""
    secret = tmp_path / "closed"
    (secret / "open").mkdir(parents=True)
    (secret / "open/file").write_text("content\n")
    secret.chmod(0o700)
    bundle.namespace("user")
    for kind in ("uid", "gid"):
        bundle.linux[f"{kind}Mappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    for parent in list(bundle.path.parents)[:-1]:
        parent.chmod(parent.stat().st_mode | 0o111)
    secret.chmod(0o700)
    bundle.config["mounts"].append({"destination": "/mnt", "type": "bind", "source": str(secret / "open"),
                                    "options": ["rbind", "ro"]})
    assert rune.output(bundle.args("cat", "/mnt/file")) == "content\n"


@pytest.mark.parametrize("option", ["idmap", "ridmap"])
def test_an_id_mapped_mount(rune, bundle, tmp_path, option):
    source = tmp_path / "mapped"
    source.mkdir()
    (source / "file").write_text("")
    os.chown(source / "file", 1000, 1000)
    bundle.config["mounts"].append({
        "destination": "/mnt", "type": "bind", "source": str(source), "options": ["rbind", option],
        "uidMappings": [{"containerID": 0, "hostID": 5000, "size": 2000}],
        "gidMappings": [{"containerID": 0, "hostID": 7000, "size": 2000}]})
    assert rune.output(bundle.args("stat", "-c", "%u %g", "/mnt/file")) == "6000 8000\n"


# ---- faults -------------------------------------------------------------------------------------------------


def test_create_that_is_killed_in_a_hook_is_cleaned_by_delete_force(rune, bundle):
    bundle.config["hooks"] = {"createRuntime": [hook(bundle.path / "reached", "touch $0; sleep 1000")]}
    bundle.write()
    process = rune.start_process("create", "--bundle", bundle.path, "c", stderr=subprocess.PIPE)
    wait_for((bundle.path / "reached").exists, "the hook")
    pid = json.loads((rune.root / "c/state.json").read_text())["pid"]
    assert rune.status() == "creating"
    process.kill()
    process.communicate()
    wait_for(lambda: not alive(pid), "the end of the process that was being made")
    rune("delete", "--force", "c")
    assert leftovers(rune, bundle) == []


def test_delete_force_ends_a_create_that_hangs(rune, bundle):
    bundle.config["hooks"] = {"createContainer": [hook(bundle.path / "reached", "touch $0; sleep 1000")]}
    bundle.write()
    process = rune.start_process("create", "--bundle", bundle.path, "c", stderr=subprocess.PIPE)
    wait_for((bundle.path / "reached").exists, "the hook")
    rune("delete", "--force", "c", timeout=30)
    process.communicate(timeout=30)
    assert process.returncode != 0
    assert leftovers(rune, bundle) == []


def test_run_that_is_killed_leaves_a_container_that_can_be_deleted(rune, bundle):
    bundle.shell(FOREVER).write()
    process = rune.start_process("run", "--bundle", bundle.path, "c")
    rune.wait_status("running")
    process.kill()
    process.wait()
    rune("delete", "--force", "c")
    assert leftovers(rune, bundle) == []


def test_a_rootfs_below_a_folder_that_the_containers_root_may_not_enter(rune, bundle, tmp_path):  # noqa: F811
    tmp_path.chmod(0o700)
    bundle.namespace("user")
    bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    assert rune.output(bundle.shell("cat /proc/self/uid_map; ls -d /bin")).split() == ["0", "100000", "65536", "/bin"]
