# SPDX-License-Identifier: Apache-2.0
"""Programs for Nitro Enclaves under ne-emulator: the driver's documented flow, its rules, vsock, and the end of it all."""
import os
import pathlib
import signal
import subprocess
import textwrap

import pytest

from conftest import wait_for
from enclaves import ImageFolder, Qt, shell

HERE = pathlib.Path(__file__).parent
PYTHON = "/usr/bin/python3"
PONG = ("trap 'exit 0' TERM; nc -ll -p 7000 -e /bin/sh -c 'read l; [ $l = PING ] && echo PONG' & "
        "while :; do sleep 1 & wait $!; done")


@pytest.fixture(scope="session")
def made(build_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    return ImageFolder(Qt(build_dir, folder / "state"), folder)


@pytest.fixture(scope="session")
def pong(made):
    return made.eif("pong", shell(PONG, ExposedPorts={"7000/tcp": {}}))


@pytest.fixture(scope="session")
def short(made):
    return made.eif("short", shell("echo hello from inside; exit 5"))


class Emulator:
    """ne-emulator, by default without huge pages, and programs under it."""

    def __init__(self, build):
        self.program = build / "ne-emulator" / "ne-emulator"
        self.sample = build / "ne-emulator" / "ne-sample"

    def popen(self, *command, options=("--no-huge-pages",), **rest):
        return subprocess.Popen([self.program, *options, "--", *map(str, command)], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env={**os.environ, "PYTHONPATH": str(HERE)}, **rest)

    def run(self, *command, timeout=200, **rest):
        process = self.popen(*command, **rest)
        try:
            process.out, process.err = process.communicate(timeout=timeout)
        finally:
            process.kill()
        return process

    def python(self, script, *arguments, **rest):
        """Runs a script that has all of nitro.py; it must succeed. What it printed."""
        text = "import os, sys, errno, socket\nfrom nitro import *\n" + textwrap.dedent(script)
        process = self.run(PYTHON, "-c", text, *arguments, **rest)
        assert process.returncode == 0, process.err
        return process.out


@pytest.fixture
def emulator(build_dir):
    one = Emulator(build_dir)
    if not one.sample.exists():
        pytest.skip("the test programs were not built")
    return one


def descendants(pid):
    """All processes below pid, by pid, with their command lines."""
    found = {}
    for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found[int(child)] = pathlib.Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        found.update(descendants(int(child)))
    return found


def is_running(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# ---- the documented flow


def test_the_drivers_documented_flow_runs_and_the_enclave_answers(emulator, pong):
    process = emulator.run(emulator.sample, pong, 256, 2, "port=7000", "hold")
    assert (process.returncode, process.err) == (0, "")
    assert process.out.splitlines() == ["vcpu 2", "vcpu 3", "cid 16", "heartbeat", "PONG", "holding"]


def test_poll_says_pollhup_when_the_enclave_ends_and_the_console_shows_it(emulator, short):
    process = emulator.run(emulator.sample, short, 256, 2, "debug", "cid=77")
    assert process.returncode == 0, process.err
    assert "cid 77" in process.out and "hello from inside" in process.out
    assert process.out.splitlines()[-1] == "revents 0x10"


def test_without_debug_mode_there_is_no_console(emulator, pong):
    emulator.python("""
        fd, cid = boot(sys.argv[1])
        try:
            socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).connect((0, 10000 + cid))
        except ConnectionResetError:
            sys.exit(0)
        sys.exit(1)
        """, pong)


@pytest.fixture
def huge_pages():
    """72 of 2 MiB; given back afterwards."""
    setting = pathlib.Path("/proc/sys/vm/nr_hugepages")
    before = int(setting.read_text())
    if os.geteuid() != 0:
        pytest.skip("reserving huge pages needs root")
    try:
        setting.write_text(str(before + 72))
        if int(setting.read_text()) < before + 72:
            pytest.skip("this machine's memory has no room for 72 huge pages")
        yield
    finally:
        setting.write_text(str(before))


def test_with_huge_pages_nothing_is_relaxed(emulator, short, huge_pages):
    process = emulator.run(emulator.sample, short, 128, 2, options=())
    assert process.returncode == 0 and "revents 0x10" in process.out, process.err


# ---- the driver's rules


def test_huge_pages_are_insisted_on(emulator):
    out = emulator.python("""
        memory = Memory(8 * PAGE, huge=False)
        at = memory.address + -memory.address % PAGE
        print(set_memory(create(), at, PAGE))
        """, options=())
    assert out == "263\n"


def test_errors_are_the_drivers(emulator):
    emulator.python("""
        fd = create()
        assert call(fd, LOAD_INFO, 0, 0) == 274 and call(fd, LOAD_INFO, 2, 0) == 274
        assert call(fd, LOAD_INFO, 1, 0) == (1, 8 * 2**20)
        assert start(fd) == 266 and start(fd, flags=2) == 274
        assert [start(fd, cid) for cid in (1, 2, 3, 2**32 - 1, 2**32, 2**63)] == [275] * 6
        memory = Memory(80 * 2**20)
        assert set_memory(fd, memory.address, PAGE, flags=1) == 274
        assert set_memory(fd, memory.address, PAGE + 4096) == 259
        assert set_memory(fd, memory.address + 4096, PAGE) == 261
        assert set_memory(fd, 2**47, PAGE) == 260
        assert set_memory(fd, memory.address, PAGE) == (0, PAGE, memory.address)
        assert set_memory(fd, memory.address, PAGE) == 262
        assert start(fd) == 268
        assert isinstance(set_memory(fd, memory.address + PAGE, memory.size - PAGE), tuple)
        assert start(fd) == 267
        assert add_vcpu(fd, 1000) == 271 and add_vcpu(fd, 1) == 257
        assert add_vcpu(fd, 5) == (5,) and add_vcpu(fd, 5) == 256
        assert start(fd) == 269
        assert add_vcpu(fd) == (4,)
        assert start(fd) == errno.EINVAL        # there is no image
        assert call(fd, 0xC004AE25, 0) == errno.ENOTTY
        """)


def test_another_process_may_not_add_to_an_enclave(emulator):
    emulator.python("""
        fd = create()
        memory = Memory(64 * 2**20)
        pid = os.fork()
        if pid == 0:
            good = add_vcpu(fd) == errno.EIO and memory.give(fd) == errno.EIO
            os._exit(0 if good else 1)
        assert os.waitpid(pid, 0)[1] == 0
        assert isinstance(memory.give(fd), tuple) and isinstance(add_vcpu(fd), tuple)
        """)


def test_the_pool_is_shared_and_comes_back_when_an_enclave_is_closed(emulator):
    out = emulator.python("""
        print(open("/sys/module/nitro_enclaves/parameters/ne_cpus").read().strip())
        one, other = create(), create()
        assert [add_vcpu(one) for _ in range(4)] == [(2,), (3,), (4,), (5,)]
        assert add_vcpu(other) == 272 and add_vcpu(other, 3) == 257
        try:
            create()
            sys.exit(1)
        except OSError as error:
            assert error.errno == 272
        os.close(one)
        assert add_vcpu(other) == (2,)
        """, options=("--no-huge-pages", "--cpus", "2-5"))
    assert out == "2-5\n"


def test_so_many_enclaves_and_no_more(emulator):
    emulator.python("""
        fds = [create() for _ in range(2)]
        try:
            create()
            sys.exit(1)
        except OSError as error:
            assert error.errno == errno.ENOSPC
        """, options=("--enclaves", "2"))


def test_a_started_enclave_takes_nothing_more_and_its_cid_is_taken(emulator, pong):
    emulator.python("""
        fd, cid = boot(sys.argv[1], cid=40)
        assert add_vcpu(fd) == 270 and set_memory(fd, 0, PAGE) == 270 and start(fd) == 270
        assert call(fd, LOAD_INFO, 1, 0) == 270
        try:
            boot(sys.argv[1], cid=40)
            sys.exit(1)
        except AssertionError as error:
            assert error.args[0] == errno.EADDRINUSE
        """, pong)


def test_a_bad_image_does_not_start_and_the_reason_is_told(emulator, pong, tmp_path):
    data = bytearray(pong.read_bytes())
    data[100000] ^= 1
    (tmp_path / "bad.eif").write_bytes(data)
    process = emulator.run(emulator.sample, tmp_path / "bad.eif", 256, 2)
    assert process.returncode == 1 and "NE_START_ENCLAVE: errno 22" in process.err
    assert "CRC" in process.err


# ---- files


def test_the_device_looks_like_one(emulator):
    out = emulator.run("sh", "-c", "cd /dev && stat -c '%F %t' nitro_enclaves /dev/./nitro_enclaves && test -w nitro_enclaves && "
                       "realpath nitro_enclaves && ! test -e /tmp/nitro_enclaves && ! test -x nitro_enclaves").out
    assert out == "character special file a\ncharacter special file a\n/dev/nitro_enclaves\n"


def test_the_parents_cid_is_three(emulator):
    assert emulator.python("""
        import fcntl
        with open("/dev/vsock", "rb", buffering=0) as device:
            cid = bytearray(4)
            fcntl.ioctl(device.fileno(), 0x7b9, cid)
            print(cid[0])
        """) == "3\n"


# ---- vsock


def test_addresses_of_vsock_sockets_are_right(emulator, pong):
    emulator.python("""
        listener = listen(9000)
        assert listener.getsockname() == (socket.VMADDR_CID_ANY, 9000)
        assert listener.family == socket.AF_VSOCK
        fd, cid = boot(sys.argv[1])
        connection, peer = listener.accept()
        assert peer[0] == cid and connection.getpeername() == peer
        assert connection.getsockname() == (3, 9000)
        assert connection.recv(1) == b"\\xb7" and connection.send(b"\\xb7") == 1
        dialled = dial(cid, 7000)
        assert dialled.getpeername() == (cid, 7000) and dialled.getsockname()[0] == 3
        dialled.sendall(b"PING\\n")
        dialled.shutdown(socket.SHUT_WR)
        assert read_all(dialled) == b"PONG\\n"
        """, pong)


def test_ports_are_taken_once_and_free_after_the_close(emulator):
    emulator.python("""
        for cid in (2, 3, socket.VMADDR_CID_ANY):
            with listen(9000, cid) as listener:
                try:
                    listen(9000)
                    sys.exit(1)
                except OSError as error:
                    assert error.errno == errno.EADDRINUSE
        try:
            listen(9001, 99)
            sys.exit(1)
        except OSError as error:
            assert error.errno == errno.EADDRNOTAVAIL
        """)


def test_sockets_of_the_command_reach_each_other(emulator):
    emulator.python("""
        listener = listen(5000)
        client = dial(3, 5000)
        server, peer = listener.accept()
        assert peer == client.getsockname() and client.getpeername() == (3, 5000)
        client.sendall(b"x" * 100000); client.close()
        assert len(read_all(server)) == 100000
        """)


def test_accept_waits_and_can_be_interrupted(emulator):
    emulator.python("""
        import signal, threading, time
        listener = listen(5000)
        listener.settimeout(0.2)
        try:
            listener.accept(); sys.exit(1)
        except TimeoutError:
            pass
        listener.settimeout(None)
        class Alarm(Exception): pass
        def ring(*_): raise Alarm
        signal.signal(signal.SIGALRM, ring)
        main = threading.get_ident()
        def interrupt():
            while open(f"/proc/self/task/{os.getpid()}/syscall").read().split()[0] not in ("43", "288", "202", "242"):
                time.sleep(0.01)    # until it is in accept() or accept4()
            signal.pthread_kill(main, signal.SIGALRM)
        threading.Thread(target=interrupt).start()
        try:
            listener.accept(); sys.exit(1)
        except Alarm:
            pass
        threading.Timer(0.3, lambda: dial(3, 5000)).start()
        listener.accept()
        """)


def test_ten_enclaves_at_once_share_the_heartbeats_port(emulator, pong):
    emulator.python("""
        listener = listen(9000, 3)
        cids = {}
        for i in range(10):
            fd, cid = boot(sys.argv[1], mib=128, vcpus=2)
            cids[cid] = fd
        assert len(cids) == 10
        beating = set()
        while len(beating) < 10:
            connection, (cid, port) = listener.accept()
            assert connection.recv(1) == b"\\xb7"
            connection.send(b"\\xb7")
            beating.add(cid)
        assert beating == set(cids)
        assert all(alive(fd) for fd in cids.values())
        """, pong, timeout=500)


# ---- ends


def test_the_exit_status_is_the_commands(emulator):
    assert emulator.run("sh", "-c", "exit 7").returncode == 7
    assert emulator.run("sh", "-c", "kill -SEGV $$").returncode == 128 + signal.SIGSEGV
    missing = emulator.run("/no/such/command")
    assert missing.returncode == 127 and "/no/such/command" in missing.err


def test_wrong_arguments_are_refused(emulator):
    for options in (["--cpus", "0-3"], ["--cpus", "4"]):
        process = emulator.run("true", options=options)
        assert process.returncode == 125 and "CPU" in process.err
    assert emulator.run("true", options=["--accel", "magic"]).returncode == 2


def test_signals_reach_the_command(emulator):
    process = emulator.popen("sh", "-c", "trap 'echo got it; exit 3' TERM; echo ready; while :; do sleep 0.05; done")
    assert process.stdout.readline() == "ready\n"
    process.terminate()
    assert process.communicate(timeout=20)[0] == "got it\n" and process.returncode == 3


def running_enclave(emulator, pong):
    process = emulator.popen("sh", "-c", f"sleep 1000 & {emulator.sample} {pong} 128 2 port=7000")
    for line in process.stdout:
        if line == "PONG\n":
            break
    below = descendants(process.pid)
    qemu = [pid for pid, line in below.items() if b"qemu-system" in line[0]]
    assert len(qemu) == 1 and any(line[0] == b"sleep" for line in below.values())
    return process, below, qemu[0]


@pytest.mark.parametrize("victim", ["emulator", "guard", "command"])
def test_whoever_is_killed_all_ends(emulator, pong, victim):
    process, below, _ = running_enclave(emulator, pong)
    guard = next(pid for pid, line in below.items() if line[0].endswith(b"ne-emulator"))
    command = next(pid for pid, line in below.items() if line[0] == b"sh")
    os.kill({"emulator": process.pid, "guard": guard, "command": command}[victim], signal.SIGKILL)
    process.communicate(timeout=20)
    wait_for(lambda: not any(map(is_running, below)), "the end of all")


def test_a_killed_machine_is_the_end_of_its_enclave(emulator, pong):
    process, _, qemu = running_enclave(emulator, pong)
    os.kill(qemu, signal.SIGKILL)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "revents 0x10\n")
    assert "killed by signal 9" in err


def test_an_enclave_ends_when_its_descriptor_is_closed(emulator, pong):
    emulator.python("""
        fd, cid = boot(sys.argv[1], mib=128, cid=50)
        copy = os.dup(fd)
        os.close(fd)
        assert alive(copy)
        os.close(copy)
        boot(sys.argv[1], mib=128, cid=50)
        """, pong)


def test_one_emulator_in_another_is_refused(emulator):
    process = emulator.run(emulator.program, "--", "true")
    assert process.returncode == 125 and "cannot run in another" in process.err
