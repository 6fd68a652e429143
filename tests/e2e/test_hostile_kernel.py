# SPDX-License-Identifier: Apache-2.0
"""A guest kernel that breaks the rules of virtio and vsock themselves (tests/hostile-kernel), in real machines: what breaks its
rings ends its own enclave with a reason that says how, all else its supervisor bears; a neighbour notices nothing of either.

The guest speaks honestly to the parent before and after each attack, so that one which doesn't arrive is no success."""
import contextlib
import os
import resource
import select
import socket
import threading

import pytest

import eif_maker
from conftest import wait_for
from enclaves import Qt
from test_enclave import kernel, made, runner  # noqa: F401
from test_hostile_guest import MIB, answers_and_stops, neighbour  # noqa: F401

ECHO_PORT, UNREAD_PORT, SOURCE_PORT, GUEST_PORT = 6000, 6001, 6002, 7000
ROUNDS = 2

TX, RX = "guest's transmit ring is broken: ", "guest's receive ring is broken: "
# What the device has to say of each; no other layer says these words.
BREAKS = {
    "outside": TX + "descriptor of 64 bytes at 0x10000000000 leaves the guest's memory",
    "wraparound": TX + "descriptor of 64 bytes at 0xffffffffffffffdf leaves the guest's memory",
    "registers": TX + "descriptor of 64 bytes at 0xfeb00000 leaves the guest's memory",
    "four-gib": TX + "descriptor of 4294967295 bytes",
    "loop": TX + "descriptors go in circles",
    "no-such-next": TX + "descriptor 200 in a table of 128",
    "no-such-head": TX + "descriptor 200 in a ring of 128",
    "index-jump": "buffers in a ring of 128",
    "written-in-tx": TX + "descriptor for the device to write in a queue that it reads",
    "too-many-pieces": TX + "buffer in more than 128 pieces",
    "table-in-itself": TX + "indirect descriptor inside of a chain",
    "table-in-a-chain": TX + "indirect descriptor inside of a chain",
    "table-with-successor": TX + "indirect descriptor with a successor",
    "half-a-table": TX + "indirect table of 24 bytes",
    "huge-table": TX + "indirect table of 4294967280 bytes",
    "table-outside": TX + "indirect table at 0x10000000000 leaves the guest's memory",
    "loop-in-a-table": TX + "descriptors go in circles",
    "read-in-rx": RX + "descriptor for the device to read in a queue that it writes",
    "no-room-in-rx": RX + "a buffer of 44 bytes is too small for a packet",
    "rx-outside": RX + "descriptor of 4096 bytes at 0x10000000000 leaves the guest's memory",
    "rx-over-the-ring": RX,
    "queues-in-the-firmware": "lies outside of the guest's memory",
    "one-ring-for-both": "256 buffers in a ring of 128",
    "odd-size": "a ring of 3 descriptors is not supported",
}
# Attacks after which guest and parent go on, and KiB of anonymous memory that the supervisor may have.
BORNE = {
    "nothing": 8 * MIB, "resets": 8 * MIB, "resets-while-sending": 8 * MIB, "features": 8 * MIB, "queues-outside": 8 * MIB,
    "sizes": 8 * MIB, "changes": 8 * MIB, "kicks": 8 * MIB, "cids": 8 * MIB, "types": 8 * MIB, "operations": 8 * MIB,
    "lengths": 8 * MIB, "short-packets": 8 * MIB, "answers": 8 * MIB, "shutdowns": 8 * MIB, "pieces": 8 * MIB,
    "flicker": 8 * MIB, "credit-backwards": 8 * MIB,
    "overrun": 8 * MIB, "credit-requests": 8 * MIB, "strays": 8 * MIB, "rst-storm": 8 * MIB, "requests": 12 * MIB,
}


class Server:
    """Serves what connects to `path`, a thread for each."""

    def __init__(self, path, serve):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen(4096)
        self.serve = serve
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.serve_one, args=(self.socket.accept()[0],), daemon=True).start()

    def serve_one(self, connection):
        with connection, contextlib.suppress(OSError):
            self.serve(connection)

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class Holder:
    """Holds what connects to `path` until it hangs up, and reads nothing."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen(4096)
        self.held = {}
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        listener = self.socket.fileno()
        with contextlib.suppress(OSError), select.epoll() as events:
            events.register(listener, select.EPOLLIN)
            while True:
                for number, _ in events.poll():
                    if number == listener:
                        one = self.socket.accept()[0]
                        events.register(one, select.EPOLLRDHUP)
                        self.held[one.fileno()] = one
                    else:
                        self.held.pop(number).close()

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        for one in [self.socket, *self.held.values()]:
            one.close()


def send_for_ever(connection):
    while True:
        connection.sendall(bytes(65536))


class Guest:
    """The parent's side of one hostile kernel: its listeners, what it said to them, and its console."""

    def __init__(self, runner, eif):  # noqa: F811
        self.heard, self.console_text, self.asking = set(), bytearray(), None
        process = runner.start_process(eif, mem=128, mode="debug")

        def find_entry():
            assert process.poll() in (None, 0), process.stderr.read()
            return list((runner.state / "enclaves").glob("0/vsock.sock"))
        entry = wait_for(find_entry, "the guest's entry")[0].parent
        self.bridge = entry / "vsock.sock"
        self.open = [Server(entry / f"vsock.sock_{ECHO_PORT}", self.echo),
                     Server(entry / f"vsock.sock_{SOURCE_PORT}", send_for_ever),
                     Holder(entry / f"vsock.sock_{UNREAD_PORT}")]
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        self.info = runner.find(0)
        self.console = runner.popen("console", 0)
        os.set_blocking(self.console.stdout.fileno(), False)

    def echo(self, connection):
        while data := connection.recv(65536):
            if len(data) < 100:
                self.heard.add(data.decode().strip())
            connection.sendall(data)

    def ask(self):
        """Connects to the guest again and again, which it has to answer."""
        def work():
            while not self.asking.is_set():
                with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as one:
                    one.settimeout(0.2)
                    one.connect(str(self.bridge))
                    one.sendall(b"CONNECT %d\n" % GUEST_PORT)
                    one.recv(100)
        self.asking = threading.Event()
        threading.Thread(target=work, daemon=True).start()

    def wait_to_hear(self, line):
        def check():
            with contextlib.suppress(BlockingIOError):
                while chunk := os.read(self.console.stdout.fileno(), 65536):
                    self.console_text.extend(chunk)
                    del self.console_text[:-4000]
            assert b"FAILED" not in self.console_text, self.console_text.decode()
            return line in self.heard
        wait_for(check, f"{line!r} from the guest")

    def close(self):
        if self.asking:
            self.asking.set()
        for one in self.open:
            one.close()
        self.console.kill()
        self.console.communicate()


@pytest.fixture
def image(build_dir, tmp_path):
    """Makes an image of the hostile kernel with this command line."""
    program = build_dir / "tests/hostile-kernel/hostile-kernel"
    if not program.exists():
        pytest.skip("the hostile kernel is for x86_64 with tests built")

    def make(cmdline):
        eif = tmp_path / "hostile.eif"
        eif.write_bytes(eif_maker.eif([
            (eif_maker.KERNEL, program.read_bytes()), (eif_maker.CMDLINE, cmdline.encode()),
            (eif_maker.METADATA, b'{"ImageName":"hostile"}'),
            (eif_maker.RAMDISK, eif_maker.cpio([("init", 0o100755, b"none: the kernel is all there is")]))]))
        return eif
    return make


@pytest.fixture
def attack(runner, image):  # noqa: F811
    """Starts the hostile kernel with an attack."""
    guests = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def start(name):
        guests.append(Guest(runner, image(f"hostile={name}")))
        return guests[0]

    yield start
    for each in guests:
        each.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("name", BORNE)
def test_guest_that_breaks_the_rules_of_vsock_or_of_its_device_is_borne(runner, attack, neighbour, name):  # noqa: F811
    guest = attack(name)
    if name == "answers":
        guest.ask()
    for number in range(1, ROUNDS + 1):
        guest.wait_to_hear(f"before {name} {number:03}")
        guest.wait_to_hear(f"after {name} {number:03}")
    answers_and_stops(runner, guest.info, neighbour, BORNE[name])


def test_guest_that_breaks_its_rings_before_it_has_started_fails_its_start(runner, image, neighbour):  # noqa: F811
    message = runner.fails(runner.start_process(image("hostile=loop when=early"), mem=128))
    assert "the vsock device failed: " + BREAKS["loop"] in message
    assert runner.find(0) is None
    neighbour.ping()
    runner.nothing_is_left()


def test_qt_shows_and_stops_a_guest_that_breaks_the_rules(runner, attack, build_dir):  # noqa: F811
    guest, qt = attack("resets"), Qt(build_dir, runner.state)
    guest.wait_to_hear("after resets 001")
    assert [(one["EnclaveID"], one["State"]) for one in qt.list()] == [(0, "running")]
    assert qt.ok("stop", "--enclave-id", 0) == "stop 0 success\n"
    runner.nothing_is_left()


def test_qt_shows_how_a_guest_ended_that_broke_its_rings(runner, attack, build_dir):  # noqa: F811
    attack("loop")
    qt = Qt(build_dir, runner.state)
    wait_for(lambda: qt.list() == [], "the end of the guest")
    ended = qt.ok("query", "--enclave-id", 0)
    assert (ended[0]["EnclaveID"], ended[0]["State"]) == (0, "failed") and "in circles" in ended[0]["Reason"], ended
    runner.nothing_is_left()


@pytest.mark.parametrize("name", BREAKS)
def test_guest_that_breaks_its_rings_ends_alone_and_the_reason_says_how(runner, attack, neighbour, name):  # noqa: F811
    guest = attack(name)
    ended = wait_for(lambda: (found := runner.find(0)) and found["state"] == "failed" and found, "the end of the guest")
    assert f"before {name} 001" in guest.heard and f"after {name} 001" not in guest.heard
    assert ended["reason"].startswith("the vsock device failed: ") and BREAKS[name] in ended["reason"], ended
    neighbour.ping()
    runner.nothing_is_left()
    runner.run("stop", 0, 0)
    assert runner.find(0) is None
