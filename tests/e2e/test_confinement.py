# SPDX-License-Identifier: Apache-2.0
"""What the processes of an enclave are kept from: each is made to try (inject.py), while it is at work."""
import contextlib
import errno
import os
import shutil
import signal
import socket
import subprocess

import pytest

from conftest import end_process, wait_for
from enclaves import ImageFolder, Qt, children_of, kill_all, shell
from inject import ENDED, WALL, Puppet, wait_until_idle
from kill_at import Tracer, in_child, send
from test_eif_oracle import make_pair
from test_first_enclave import read_from

AT_FDCWD, O_RDONLY, O_WRONLY, O_CREAT = -100, 0, 1, 0o100
NEW_USER, NEW_NET = 0x10000000, 0x40000000
# Each call by its x86_64 number, with arguments that would do something where it was allowed.
CALLS = {
    "read /etc/shadow": (257, AT_FDCWD, b"/etc/shadow\0", O_RDONLY),
    "write into /etc": (257, AT_FDCWD, b"/etc/coffer-was-here\0", O_WRONLY | O_CREAT, 0o600),
    "write into /tmp": (257, AT_FDCWD, b"/tmp/coffer-was-here\0", O_WRONLY | O_CREAT, 0o600),
    "a socket of the internet": (41, 2, 1, 0),
    "a socket for packets": (41, 17, 3, 0),
    "a netlink socket": (41, 16, 3, 0),
    "trace its parent": (101, 16, os.getpid(), 0, 0),
    "read the memory of another": (310, os.getpid(), 0, 0, 0, 0, 0),
    "take a descriptor of another": (438, 0, 0, 0),
    "run a program": (59, b"/bin/true\0", 0, 0),
    "bpf": (321, 0, 0, 0),
    "io_uring": (425, 1, 0),
    "mount": (165, b"none\0", b"/tmp\0", b"tmpfs\0", 0, 0),
    "fsopen": (430, b"tmpfs\0", 0),
    "unmount": (166, b"/proc\0", 2),
    "chroot": (161, b"/tmp\0"),
    "unshare": (272, NEW_USER),
    "clone into namespaces": (56, NEW_USER | NEW_NET | signal.SIGCHLD, 0, 0, 0, 0),
    "join a namespace": (308, 0, 0),
    "load a module": (313, 0, b"\0", 0),
    "set the clock": (227, 0, b"\0" * 16),
    "reboot": (169, 0, 0, 0, 0),
    "add a key": (248, b"user\0", b"x\0", b"y\0", 1, -3),
    "performance counters": (298, b"\0" * 128, 0, -1, -1, 0),
    "userfaultfd": (323, 0),
    "open by handle": (304, 0, b"\0" * 16, 0),
    "signal process 1": (62, 1, 0),
}
# What the process needs for its work, and so may do.
MAY = {"supervisor": {"signal process 1"}}
# QEMU's own filter ends the thread that tries one of these, whatever ours says.
DEADLY = {"run a program", "mount", "reboot", "unshare", "clone into namespaces", "join a namespace"}
WRITE = 1
DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, KILL = 1 << 1, 1 << 2, 1 << 3, 1 << 5
REFUSED = (-errno.EPERM, -errno.EACCES, -errno.ENOSYS)


@pytest.fixture
def signing(enclave, tmp_path):
    """Arguments of sign-eif, for an image of its own."""
    (tmp_path / "me").mkdir()
    certificate, key, _ = make_pair(tmp_path / "me", "P-384", 1)
    image = tmp_path / "image.eif"
    shutil.copy(enclave.image, image)
    return image, ["sign-eif", "--eif", image, "--signing-certificate", certificate, "--private-key", key]


@pytest.fixture(scope="module")
def enclave(build_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("confined")
    qt = Qt(build_dir, folder / "state")
    # The kernel may have nothing to say on a console.
    qt.image = ImageFolder(qt, folder).eif("server", shell("echo ready; exec nc -ll -p 7000 -e /bin/echo hello",
                                                           ExposedPorts={"7000/tcp": {}}))
    qt.one = qt.start(qt.image, "--debug-mode")
    yield qt
    kill_all(qt)


def what_works(pid, spared=(), call=None):
    """The first call that wasn't refused, but those spared; the others aren't tried then, since they would do what they
    say.  `pid` may be a thread's."""
    wait_until_idle(pid, call)
    worked = []
    with Puppet(pid) as puppet:
        assert puppet.call(186) == pid  # gettid: calls arrive
        for name, call in CALLS.items():
            if name not in spared and (result := puppet.call(*call)) not in REFUSED:
                worked.append((name, result))
                break
    return worked


def status_of(pid):
    return dict(line.split(":\t", 1) for line in open(f"/proc/{pid}/status", encoding="ascii").read().splitlines())


def is_alive_and_confined(pid):
    status = status_of(pid)
    assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")
    return status


def test_supervisor_is_refused_all_that_it_does_not_need(enclave):
    pid = enclave.one["ProcessID"]
    worked = dict(what_works(pid))
    assert set(worked) <= MAY["supervisor"], worked
    status = is_alive_and_confined(pid)
    assert int(status["CapEff"], 16) in (0, KILL) and status["CapBnd"]
    assert enclave.list() == [enclave.one]


def test_qemu_is_refused_all_that_it_does_not_need(enclave):
    [pid] = children_of(enclave.one["ProcessID"])
    worked = dict(what_works(pid, DEADLY))
    assert worked == {}, worked
    assert int(is_alive_and_confined(pid)["CapEff"], 16) == 0
    if os.geteuid() == 0:
        for name in ("net", "ipc", "uts"):
            assert os.readlink(f"/proc/{pid}/ns/{name}") != os.readlink(f"/proc/self/ns/{name}"), name
    assert enclave.list() == [enclave.one]


def test_qemu_that_would_run_a_program_is_at_its_end_and_can_be_stopped(enclave):
    """Its own filter kills the thread that tries, and the others may go on without it."""
    other = enclave.start(enclave.image)
    [pid] = children_of(other["ProcessID"])
    wait_until_idle(pid)
    with Puppet(pid) as puppet:
        assert puppet.call(*CALLS["run a program"]) == ENDED
    stopping = enclave.start_process("stop", "--enclave-id", other["EnclaveID"])
    # Its end is told to us, who traced it, before it is to its parent, unless it was told while the call was made.
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, WALL)
    _, err = stopping.communicate(timeout=60)
    assert stopping.returncode == 0, err
    assert enclave.list() == [enclave.one]


# ---- qt ----


@contextlib.contextmanager
def blocked(qt, *arguments):
    """A command that has done its work, and waits to write its result into a pipe that is full."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(write, bytes(4096))
    os.set_blocking(write, True)
    process = subprocess.Popen([qt.program, "enclave", *map(str, arguments)], env=qt.env, stdin=subprocess.DEVNULL, stdout=write,
                               stderr=subprocess.PIPE, text=True)
    os.close(write)
    try:
        with open(read, "rb") as pipe:
            yield process
            pipe.read()
        assert process.wait(30) == 0, process.stderr.read()
    finally:
        end_process(process)
        process.stderr.close()


def what_works_in_any_thread(pid, spared=(), call=None):
    """Landlock is each thread's own, and a thread that was left out would do for all."""
    worked = what_works(pid, spared, call)
    for thread in os.listdir(f"/proc/{pid}/task"):
        if int(thread) != pid:
            worked += what_works(int(thread), spared)
    return without_capabilities(worked)


def without_capabilities(worked):
    """Of what a process of root's may do, what it could do as anybody: signals are no matter of confinement here."""
    return {name: result for name, result in worked if name != "signal process 1"}


@pytest.mark.parametrize("command", [["query"], ["query-eif", "--eif", "IMAGE"]], ids=["query", "query-eif"])
def test_qt_that_reads_what_others_made_can_do_nothing_else(enclave, command):
    command = [enclave.image if word == "IMAGE" else word for word in command]
    with blocked(enclave, *command) as process:
        assert what_works_in_any_thread(process.pid, call=WRITE) == {}
        assert int(is_alive_and_confined(process.pid)["CapEff"], 16) in (0, DAC_READ_SEARCH)


class Reading(Tracer):
    """Notes whether a command is confined whenever it reads a file, or maps it."""
    CALLS = ("0", "17", "19", "9")  # read, pread64, readv, mmap
    MMAP = "9"

    def __init__(self, path):
        super().__init__(which=-1, step=0)
        self.path, self.confined = os.path.realpath(path), []

    def stopped(self, pid, status):
        with contextlib.suppress(OSError, IndexError):
            with open(f"/proc/{pid}/syscall", encoding="ascii") as file:
                words = file.read().split()
            descriptor = int(words[5 if words[0] == self.MMAP else 1], 16)
            if words[0] in self.CALLS and os.readlink(f"/proc/{pid}/fd/{descriptor}") == self.path:
                self.confined.append(status_of(pid)["Seccomp"] == "2")
        super().stopped(pid, status)


def confined_while_reading(qt, path, *arguments):
    """Whether `qt enclave ARGUMENTS` was confined each time that it read this file."""
    def work(pipe):
        os.environ.update(qt.env)
        tracer = Reading(path)
        tracer.run([qt.program, "enclave", *map(str, arguments)], os.open(os.devnull, os.O_WRONLY))
        send(pipe, tracer.confined)
    with in_child(work) as answers:
        confined = next(answers)
    return confined != [] and all(confined)


def test_qt_that_starts_an_enclave_can_do_nothing_else(enclave):
    with blocked(enclave, "start", "--eif", enclave.image, "--mem", 256) as process:
        assert what_works_in_any_thread(process.pid, call=WRITE) == {}
        assert int(is_alive_and_confined(process.pid)["CapEff"], 16) == 0
    [started] = [one["EnclaveID"] for one in enclave.list() if one != enclave.one]
    enclave.ok("stop", "--enclave-id", started)


def test_qt_that_starts_gives_up_all_before_it_reads_the_image(enclave, tmp_path):
    damaged = tmp_path / "damaged.eif"
    damaged.write_bytes(enclave.image.read_bytes()[:-1] + b"?")
    assert confined_while_reading(enclave, damaged, "start", "--eif", damaged, "--mem", 256)
    assert enclave.list() == [enclave.one]


def test_qt_that_signs_can_do_nothing_else(enclave, signing):
    _, arguments = signing
    with blocked(enclave, *arguments) as process:
        assert what_works_in_any_thread(process.pid, call=WRITE) == {}
        assert int(is_alive_and_confined(process.pid)["CapEff"], 16) in (0, DAC_OVERRIDE | FOWNER)


@pytest.mark.parametrize("given", ["--eif", "--signing-certificate", "--private-key"])
def test_qt_that_signs_gives_up_the_rest_before_it_reads_anything(enclave, signing, given):
    _, arguments = signing
    assert confined_while_reading(enclave, arguments[arguments.index(given) + 1], *arguments)


def test_qt_that_queries_an_image_gives_up_all_before_it_reads_it(enclave):
    assert confined_while_reading(enclave, enclave.image, "query-eif", "--eif", enclave.image)


def test_qt_that_shows_a_console_can_do_nothing_else(enclave):
    process = enclave.start_process("console", "--enclave-id", enclave.one["EnclaveID"])
    try:
        assert process.stdout.readline()
        assert what_works_in_any_thread(process.pid) == {}
        assert int(is_alive_and_confined(process.pid)["CapEff"], 16) in (0, DAC_READ_SEARCH)
    finally:
        end_process(process)
        process.communicate()


def test_qt_that_forwards_can_only_carry_bytes(enclave):
    process = enclave.start_process("forward", "--enclave-id", enclave.one["EnclaveID"], "0:7000")
    try:
        line = next(line for line in process.stderr if line.startswith("Forwarding"))
        port = int(line.split(":")[1].split()[0])
        assert what_works_in_any_thread(process.pid) == {}
        assert int(is_alive_and_confined(process.pid)["CapEff"], 16) in (0, DAC_READ_SEARCH)
        wait_for(lambda: read_from(port) == b"hello\n", "the greeting, after all that was refused")
    finally:
        end_process(process)
        process.communicate()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gets into others' private folders")
def test_roots_enclaves_can_be_kept_in_a_private_folder_of_somebody_elses(enclave, build_dir, tmp_path):
    """What is given up is not what leads there."""
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o700)
    os.chown(theirs, 4711, 4711)
    qt = Qt(build_dir, theirs / "state")
    try:
        qt.start(enclave.image)
        process = qt.start_process("forward", "--enclave-id", 0, "0:7000")
        port = int(next(line for line in process.stderr if line.startswith("Forwarding")).split(":")[1].split()[0])
        wait_for(lambda: read_from(port) == b"hello\n", "the greeting")
        qt.ok("stop", "--enclave-id", 0)
        assert process.wait(20) == 0
        process.communicate()
        qt.nothing_is_left()
    finally:
        kill_all(qt)


def test_qt_that_builds_writes_where_its_file_goes_and_nowhere_else(enclave, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as registry:  # one that never answers
        process = enclave.start_process("make-img", "--docker-uri", f"docker://127.0.0.1:{registry.getsockname()[1]}/x", "--eif",
                                        tmp_path / "x.eif")
        try:
            connection, _ = registry.accept()
            allowed = {"read /etc/shadow", "a socket of the internet", "a socket for packets", "a netlink socket",
                       "run a program", "signal process 1"}
            if "TMPDIR" not in enclave.env:
                assert what_works_in_any_thread(process.pid, allowed) == {}
            is_alive_and_confined(process.pid)
            connection.close()
        finally:
            end_process(process)
            process.communicate()
