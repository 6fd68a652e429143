# SPDX-License-Identifier: Apache-2.0
"""A guest whose init is out to harm its parent (tests/hostile-guest.c), with real machines: its supervisor stays up, answers
and keeps its memory in bounds, and an enclave beside it doesn't notice."""
import contextlib
import os
import pathlib
import signal
import socket
import threading

import pytest

from conftest import wait_for
from test_enclave import OURS, SERVER, Runner, kernel, made, runner  # noqa: F401

HELD_PORT, UNREAD_PORT = 6000, 6001
MIB = 1024
DESCRIPTORS = 4096 + 256  # what a supervisor raises its limit to (supervisor/descriptors.c)
PINGS = 10


def memory_of(pid):
    """KiB that a process has had at most in anonymous memory and now has."""
    status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(status["RssAnon"].split()[0])


class Listener:
    """Holds what connects to `path`, and reads nothing."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen(4096)
        self.held = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                self.held.append(self.socket.accept()[0])

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        for one in [self.socket, *self.held]:
            one.close()


class Neighbour:
    """An enclave beside, of the same user, which answers."""

    def __init__(self, build, state, eif):
        self.runner = Runner(build, state)
        self.runner.start(eif)
        self.ping()

    def ping(self):
        wait_for(lambda: self.runner.popen("connect", 0, 7000).communicate()[0] == "hello\n", "the neighbour's answer")


@pytest.fixture(scope="module")
def neighbour(build_dir, made, tmp_path_factory):  # noqa: F811
    one = Neighbour(build_dir, tmp_path_factory.mktemp("neighbour") / "state", made("server", SERVER))
    yield one
    one.runner.run("stop", 0, 0)
    one.runner.nothing_is_left()


@pytest.fixture
def attack(runner, made, build_dir):  # noqa: F811
    """Starts a guest with these attacks and gives it, and a function that waits for a text on its console."""
    consoles = []
    listeners = []

    def start(*attacks, cpus=1):
        eif = made("hostile-" + "-".join(attacks), "", init=build_dir / "tests/hostile-guest",
                   cmdline=f"{OURS} quiet hostile={','.join(attacks)}")
        process = runner.start_process(eif, mode="debug", cpus=cpus)
        entry = wait_for(lambda: list((runner.state / "enclaves").glob("0/vsock.sock")), "the hostile guest's entry")[0].parent
        for port in (HELD_PORT, UNREAD_PORT):
            listeners.append(Listener(entry / f"vsock.sock_{port}"))
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        one = runner.find(0)
        console = runner.popen("console", 0)
        consoles.append(console)
        os.set_blocking(console.stdout.fileno(), False)
        text = bytearray()

        def seen(word):
            with contextlib.suppress(BlockingIOError):
                while chunk := os.read(console.stdout.fileno(), 65536):
                    text.extend(chunk)
                    del text[:-200000]
            return word.encode() in text
        return one, lambda word: wait_for(lambda: seen(word), f"{word!r} on the console")

    yield start
    for each in listeners:
        each.close()
    for each in consoles:
        each.kill()
        each.wait()
        each.stdout.close()
        each.stderr.close()


def answers_and_stops(runner, one, neighbour, limit_kib):  # noqa: F811
    """While the attack goes on: the neighbour answers, the supervisor too, in bounded memory; then it stops."""
    most = 0
    for _ in range(PINGS):
        neighbour.ping()
        assert [each["pid"] for each in runner.list()] == [one["pid"]]
        most = max(most, memory_of(one["pid"]))
    assert len(os.listdir(f"/proc/{one['pid']}/fd")) <= DESCRIPTORS
    assert most < limit_kib, f"{most} KiB"
    print(f"supervisor: {most} KiB anonymous memory")
    runner.run("stop", 0, 1000)
    assert runner.find(0) is None
    neighbour.ping()
    runner.nothing_is_left()


@pytest.mark.parametrize("attacks,sign,limit", [
    (["ports"], "100 rounds of garbage", 8 * MIB),
    (["churn"], "1000 connections came and went", 8 * MIB),
    (["console"], "pieces of noise", 8 * MIB),
    (["messages"], "10000 messages were taken", 8 * MIB),
    (["streams"], "streams are full", 8 * MIB),
    (["ports", "churn", "messages", "streams", "console"], "pieces of noise", 12 * MIB),
], ids=lambda value: "+".join(value) if isinstance(value, list) else "")
def test_flood_of_a_guest_is_its_own_problem(runner, attack, neighbour, attacks, sign, limit):  # noqa: F811
    one, wait_console = attack(*attacks)
    wait_console(sign)
    answers_and_stops(runner, one, neighbour, limit)


def test_ten_thousand_connections_are_held_refused_and_forgotten(runner, attack, neighbour):  # noqa: F811
    one, wait_console = attack("connections")
    wait_console("of 10000 connections were taken")
    answers_and_stops(runner, one, neighbour, 32 * MIB)


def test_half_a_message_and_then_none_ends_the_enclave_alone(runner, attack, neighbour):  # noqa: F811
    attack("protocol")
    ended = wait_for(lambda: (found := runner.find(0)) and found["state"] == "failed" and found, "the end of the hostile guest")
    assert "the enclave's init vanished" in ended["reason"], ended
    neighbour.ping()
    runner.nothing_is_left()


def test_guest_that_is_killed_while_it_floods_leaves_nothing(runner, attack, neighbour):  # noqa: F811
    one, wait_console = attack("ports", "churn")
    wait_console("100 rounds of garbage")
    os.kill(one["pid"], signal.SIGKILL)
    neighbour.ping()
    runner.nothing_is_left()
