# SPDX-License-Identifier: Apache-2.0
"""The life cycle of enclaves with real machines, without qt and without Coffer's own image writer: the files are made
here, and the calls of lib/enclave/enclave.h are made by a small program of the test build."""
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess

import pytest

import eif_maker
from conftest import ROOT, need_program, wait_for
from enclaves import children_of, ending
from engines import short_folder

OURS = "console=ttyS0 reboot=t panic=-1 coffer.parent_cid=2"
SERVER = ("trap 'echo bye; exit 0' TERM; while :; do nc -l -p 7000 -e echo hello; done & echo ready; "
          "while :; do sleep 1 & wait $!; done")


class Runner:
    """enclave-runner with a registry of its own."""

    def __init__(self, build, state):
        self.program = build / "supervisor" / "enclave-runner"
        self.supervisor = build / "supervisor" / "coffer-enclave"
        self.state = state
        self.env = dict(os.environ, COFFER_STATE_DIR=str(state))

    def popen(self, *arguments, **rest):
        return subprocess.Popen([self.program, *map(str, arguments)], env={**self.env, **rest.pop("env", {})},
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **rest)

    def start_process(self, eif, mem=256, cpus=1, cid=0, mode="normal", timeout=0, **rest):
        return self.popen("start", self.supervisor, eif, mem, cpus, cid, mode, timeout, **rest)

    def run(self, *arguments):
        process = self.popen(*arguments)
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        return out

    def start(self, eif, **options):
        process = self.start_process(eif, **options)
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        return json.loads(out)

    def fails(self, process):
        out, err = process.communicate(timeout=300)
        assert (process.returncode, out) == (1, ""), (out, err)
        return err

    def find(self, number):
        process = self.popen("find", number)
        out, _ = process.communicate(timeout=60)
        return json.loads(out) if process.returncode == 0 else None

    def list(self):
        return [json.loads(line) for line in self.run("list").splitlines()]

    def processes(self):
        """Live supervisors and QEMUs of this registry, by pid."""
        found = {}
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                environment = (folder / "environ").read_bytes().split(b"\0")
                line = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if f"COFFER_STATE_DIR={self.state}".encode() in environment and \
                    any(name in line[0] for name in (b"coffer-enclave", b"qemu-system")):
                found[int(folder.name)] = line
        return found

    def qemu(self):
        return self.qemus()[0]

    def qemus(self):
        return [pid for pid, line in self.processes().items() if b"qemu-system" in line[0]]

    def nothing_is_left(self):
        wait_for(lambda: not self.processes() and not ending(), "the end of supervisor and QEMU")
        assert self.list() == []
        assert not any((self.state / "enclaves").iterdir())


@pytest.fixture
def runner(build_dir, tmp_path):
    one = Runner(build_dir, tmp_path / "state")
    if not one.program.exists():
        pytest.skip("the test programs were not built")
    need_program("qemu-system-x86_64")
    yield one
    for pid in one.processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def kernel():
    result = subprocess.run([ROOT / "tools/fetch-kernel", "cloud"], check=True, capture_output=True, text=True)
    return pathlib.Path(result.stdout.strip())


@pytest.fixture(scope="session")
def made(build_dir, kernel, tmp_path_factory):
    """Makes an image whose workload is a shell script, once per name."""
    need_program("busybox")
    folder = tmp_path_factory.mktemp("eif")

    def make(name, script, cmdline=OURS, init=None, argv=None, ports=(7000,)):
        path = folder / f"{name}.eif"
        if not path.exists():
            metadata = {"ImageName": name, "DockerInfo": {"Config": {"ExposedPorts": {f"{p}/tcp": {} for p in ports}}}}
            config = eif_maker.guest_config(argv or ["/bin/sh", "-c", script], ports)
            first = eif_maker.bootstrap(init or build_dir / "guest" / "enclave-init", kernel)
            path.write_bytes(eif_maker.eif([
                (eif_maker.KERNEL, (kernel / "vmlinuz").read_bytes()), (eif_maker.CMDLINE, cmdline.encode()),
                (eif_maker.METADATA, json.dumps(metadata).encode()), (eif_maker.RAMDISK, first),
                (eif_maker.RAMDISK, eif_maker.application(config))]))
        return path
    return make


def test_start_runs_the_workload_and_stop_leaves_nothing(runner, made):
    one = runner.start(made("server", SERVER), mode="debug")
    assert (one["id"], one["cid"], one["state"], one["name"], one["ports"]) == (0, 4, "running", "server", [7000])
    assert runner.list() == [one]
    assert wait_for(lambda: runner.popen("connect", 0, 7000).communicate()[0], "the greeting") == "hello\n"
    assert "nothing listening on port 7001" in runner.fails(runner.popen("connect", 0, 7001))
    console = runner.popen("console", 0)
    assert "ready" in map(str.strip, console.stdout), "it is shown before it ends"
    runner.run("stop", 0, 20000)
    assert "bye" in map(str.strip, console.stdout)
    console.communicate(timeout=60)
    assert runner.find(0) is None
    runner.nothing_is_left()


def status_of(pid):
    return dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())


def test_qemu_has_nothing_but_what_it_was_given(runner, made):
    server = made("server", SERVER)
    runner.start(server)
    runner.start(server)
    users = set()
    for pid in runner.qemus():
        status = status_of(pid)
        assert (status["Seccomp"], status["NoNewPrivs"], status["CapEff"]) == ("2", "1", "0" * 16)
        # ours and QEMU's own
        assert int(status["Seccomp_filters"]) >= 2
        users.add(status["Uid"])
        opened = {os.readlink(f"/proc/{pid}/fd/{n}").split(":")[0] for n in os.listdir(f"/proc/{pid}/fd")}
        files = {name for name in opened if name.startswith("/")}
        assert opened - files <= {"anon_inode", "pipe", "socket"}
        assert all(name in ("/dev/null", "/dev/kvm") or name.startswith("/memfd") or name.endswith(" (deleted)")
                   for name in files), files
        environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        assert {entry.split(b"=")[0] for entry in environment if entry} == {b"PATH", b"LC_ALL", b"COFFER_STATE_DIR"}
        mappings = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", pathlib.Path(f"/proc/{pid}/smaps").read_text(), flags=re.MULTILINE)
        memory = [block for block in mappings if "memory-backend-memfd" in block.split("\n")[0]]
        assert memory and all(" dd" in block.split("VmFlags:")[1] for block in memory), "guest memory in core dumps"
    if os.geteuid() == 0:
        assert len(users) == 2, "each as a user of its own"
        assert all(int(user) >= 0x70000000 for one in users for user in one.split())
    runner.run("stop", 0, 0)
    runner.run("stop", 1, 0)
    runner.nothing_is_left()


def test_supervisor_keeps_no_privilege_but_to_end_its_machine(runner, made):
    one = runner.start(made("server", SERVER))
    status = status_of(one["pid"])
    assert status["NoNewPrivs"] == "1"
    assert int(status["CapEff"], 16) in (0, 1 << 5) and status["CapEff"] == status["CapPrm"]
    runner.run("stop", 0, 0)
    runner.nothing_is_left()


def test_two_at_once_are_apart(runner, made):
    server = made("server", SERVER)
    starts = [runner.start_process(server) for _ in range(2)]
    found = [json.loads(process.communicate(timeout=300)[0]) for process in starts]
    assert sorted((one["id"], one["cid"]) for one in found) == [(0, 4), (1, 5)]
    for one in found:
        assert wait_for(lambda: runner.popen("connect", one["id"], 7000).communicate()[0], "hello") == "hello\n"
    message = runner.fails(runner.start_process(server, cid=5))
    assert "CID 5 is in use by enclave" in message and "6 is free" in message
    runner.run("stop", 0, 20000)
    assert [one["id"] for one in runner.list()] == [1]
    runner.run("stop", 1, 0)
    runner.nothing_is_left()


def test_exit_status_is_told_and_remembered(runner, made):
    runner.start(made("exit-7", "exit 7"), mode="debug")
    ended = json.loads(runner.run("wait", 0))
    assert (ended["state"], ended["exit_status"], ended["signal"]) == ("exited", 7, 0)
    runner.nothing_is_left()
    assert runner.find(0)["exit_status"] == 7
    assert "Linux version" in runner.run("console", 0)
    runner.run("stop", 0, 0)
    assert runner.find(0) is None


def test_workload_that_crashes_is_told(runner, made):
    runner.start(made("crash", "kill -SEGV $$"))
    ended = json.loads(runner.run("wait", 0))
    assert (ended["state"], ended["exit_status"], ended["signal"]) == ("exited", 139, 11)
    runner.nothing_is_left()


def test_exec_that_fails_is_the_error_of_start(runner, made):
    message = runner.fails(runner.start_process(made("no-exec", "", argv=["/bin/none"])))
    assert "/bin/none" in message and "No such file or directory" in message
    assert runner.find(0) is None
    runner.nothing_is_left()


def test_kill_9_of_the_supervisor_takes_the_machine_along(runner, made):
    one = runner.start(made("server", SERVER))
    os.kill(one["pid"], signal.SIGKILL)
    wait_for(lambda: not runner.processes(), "the end of QEMU")
    runner.nothing_is_left()
    assert runner.find(0)["state"] == "failed" and "was killed" in runner.find(0)["reason"]
    assert runner.start(made("server", SERVER))["id"] == 0
    runner.run("stop", 0, 20000)
    runner.nothing_is_left()


def test_kill_9_of_qemu_is_a_failure(runner, made):
    one = runner.start(made("server", SERVER))
    waiting = runner.popen("wait", 0)
    [qemu] = children_of(one["pid"])
    os.kill(qemu, signal.SIGKILL)
    ended = json.loads(waiting.communicate(timeout=60)[0])
    assert ended["state"] == "failed" and "QEMU was killed by signal 9" in ended["reason"]
    runner.nothing_is_left()


@pytest.fixture(scope="session")
def silent(kernel, tmp_path_factory):
    path = tmp_path_factory.mktemp("silent") / "silent.eif"
    path.write_bytes(eif_maker.silent(kernel))
    return path


def test_supervisor_killed_during_the_boot_is_an_error_of_start(runner, silent):
    process = runner.start_process(silent)
    qemu = wait_for(lambda: [p for p, line in runner.processes().items() if b"qemu" in line[0]], "QEMU")[0]
    os.kill(next(p for p in runner.processes() if qemu in children_of(p)), signal.SIGKILL)
    assert "the supervisor was killed by signal 9 (Killed)" in runner.fails(process)
    wait_for(lambda: qemu not in runner.processes(), "the end of QEMU")
    assert runner.find(0) is None
    runner.nothing_is_left()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_start_that_is_interrupted_leaves_nothing(runner, silent, how):
    process = runner.start_process(silent)
    wait_for(lambda: any(b"qemu" in line[0] for line in runner.processes().values()), "QEMU")
    process.send_signal(how)
    process.communicate(timeout=60)
    runner.nothing_is_left()
    assert runner.find(0) is None


def test_kernel_that_panics_is_told_with_its_console_in_debug_mode(runner, made):
    broken = made("panics", "", init="/bin/busybox", cmdline=OURS + " rdinit=/none init=/none")
    message = runner.fails(runner.start_process(broken, mode="debug"))
    assert "did not start" in message and "Kernel panic" in message
    message = runner.fails(runner.start_process(broken))
    assert "--debug-mode" in message and "Kernel panic" not in message
    runner.nothing_is_left()


def test_qemu_that_cannot_run_is_told(runner, made):
    with short_folder() as folder:
        fake = folder / "qemu-system-x86_64"
        fake.write_text("#!/bin/sh\necho 'qemu-system-x86_64: out of luck' >&2\nexit 3\n")
        fake.chmod(0o755)
        message = runner.fails(runner.start_process(made("server", SERVER), env={"PATH": f"{folder}:{os.environ['PATH']}"}))
    assert "QEMU ended with status 3: qemu-system-x86_64: out of luck" in message
    runner.nothing_is_left()


def test_memory_that_start_asks_for_is_enough(runner, made):
    big = made("big", "exit 5")
    data = big.read_bytes()
    message = runner.fails(runner.start_process(big, mem=20))
    need = int(message.split("at least ")[1].split()[0])
    assert len(data) / 2**20 < need < 200
    runner.start(big, mem=need)
    assert json.loads(runner.run("wait", 0))["exit_status"] == 5


def test_numbers_out_of_range_are_refused_with_those_that_would_do(runner, made):
    server = made("server", SERVER)
    for options, words in [({"cid": 3}, ["4", "4294967294"]), ({"cid": 4294967295}, ["4294967294"]),
                           ({"mem": 0}, ["--mem"]), ({"mem": 4000000000}, ["no more than", "MiB"]),
                           ({"cpus": 0}, ["1 to"]), ({"cpus": 5000}, ["1 to"])]:
        message = runner.fails(runner.start_process(server, **options))
        assert all(word in message for word in words), message
    assert runner.list() == []
