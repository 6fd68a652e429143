# SPDX-License-Identifier: Apache-2.0
"""Stops and forwards that are killed on their way, with supervisor and QEMU meanwhile: what is left can be seen, a second stop
works and leaves nothing, and a forward takes nothing with it.

An enclave that only starts yet is enough for most, and costs nothing: its QEMU is a shell that ends as soon as it is asked to.
There every step is taken.  Of an enclave that runs they are chosen, where one call follows another for the first time."""
import os
import signal
import socket
import threading

import pytest

from conftest import free_port, wait_for
from enclaves import ImageFolder, Qt, children_of, kill_all, shell
from kill_at import calls_of, kill_at, killed_while, turns_of
from test_enclave_faults import faulty  # pylint: disable=unused-import
from test_first_enclave import read_from

QT = 0
MOST_STEPS = 3000
NEVER = 0
QMP_FD = 6


@pytest.fixture
def starting(faulty):  # pylint: disable=redefined-outer-name
    """qt whose enclaves boot for ever, until they are asked to end."""
    program = faulty.state.parent / "bin/qemu-system-x86_64"
    program.write_text(f"#!/bin/bash\nexec -a {program} head -c 1 <&{QMP_FD} >/dev/null\n")
    faulty.starts = []

    def begin():
        """Supervisor and QEMU of a start that is under way."""
        faulty.starts.append(faulty.start_process(*faulty.arguments))
        wait_for(lambda: (faulty.state / "enclaves/0/control.sock").exists(), "the supervisor's socket")
        return wait_for(lambda: machine_of(faulty), "QEMU")
    faulty.begin = begin
    yield faulty
    for process in faulty.starts:
        process.communicate(timeout=60)


def machine_of(qt):
    """The supervisor that has a QEMU, and this."""
    processes = qt.processes()
    qemus = [pid for pid, line in processes.items() if b"qemu-system" in line[0]]
    return next(((pid, child) for pid in processes for child in children_or_none(pid) if child in qemus), None)


def children_or_none(pid):
    try:
        return children_of(pid)
    except OSError:
        return []


def on_disk(qt):
    return [path for part in ("enclaves", "ended") for path in (qt.state / part).iterdir()]


def a_second_stop_leaves_nothing(qt, at):
    """Also where the first one came to its end: then there is nothing to stop any more."""
    assert len(qt.list()) <= 1
    result = qt.run("stop", "--enclave-id", 0)
    assert result.returncode == 0 or "no enclave 0" in result.stderr, f"killed {at}: {result.stderr}"
    wait_for(lambda: not qt.has_processes(), f"the end of all, killed {at}")
    assert qt.list() == [] and on_disk(qt) == [], f"killed {at}"


def stop_of(qt):
    return [qt.program, "enclave", "stop", "--enclave-id", "0"]


def test_qt_killed_at_each_step_of_a_stop_leaves_it_to_the_next(starting):
    starting.begin()
    steps = turns_of(calls_of(stop_of(starting), QT), times=3)
    assert len(steps) > 40
    a_second_stop_leaves_nothing(starting, "never")
    for step in steps:
        if not machine_of(starting):
            a_second_stop_leaves_nothing(starting, f"before step {step}")
            starting.begin()
        kill_at(stop_of(starting), QT, step)
        # Where it had not asked yet, the enclave has noticed nothing, and does for the next step.
        if [one["State"] for one in starting.list()] != ["starting"]:
            a_second_stop_leaves_nothing(starting, f"at step {step}")
    a_second_stop_leaves_nothing(starting, "at the last step")


@pytest.mark.parametrize("victim", ["supervisor", "qemu"])
def test_stop_of_an_enclave_killed_at_each_step_leaves_nothing(starting, victim):
    for step in range(1, MOST_STEPS):
        supervisor, qemu = starting.begin()
        killed, _ = stop_while(starting, supervisor, supervisor if victim == "supervisor" else qemu, step)
        a_second_stop_leaves_nothing(starting, f"at step {step}")
        if not killed:
            break
    assert MOST_STEPS > step > 10


def stop_while(qt, supervisor, victim, step):
    """Stops enclave 0 while `victim` is killed at this step of its supervisor.  Whether it was, and the supervisor's calls."""
    with killed_while(supervisor, victim, step) as result:
        status = qt.run("stop", "--enclave-id", 0, timeout=60)
    killed, calls = result
    assert status.returncode == 0 or "ERROR: " in status.stderr, f"killed at step {step}: {status}"
    if status.returncode == 0:
        # A start that was under way may be about to clean up, too.
        wait_for(lambda: on_disk(qt) == [], f"the end of the entry, killed at step {step}")
    return killed, calls


# ---- of one that runs ----


@pytest.fixture(scope="module")
def running(build_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("running")
    qt = Qt(build_dir, folder / "state")
    qt.image = ImageFolder(qt, folder).eif("server", shell("exec nc -ll -p 7000 -e /bin/echo hello",
                                                           ExposedPorts={"7000/tcp": {}}))
    yield qt
    kill_all(qt)


@pytest.mark.parametrize("victim", ["supervisor", "qemu"])
def test_stop_of_a_running_enclave_killed_where_it_turns_leaves_nothing(running, victim):
    supervisor = running.start(running.image)["ProcessID"]
    _, calls = stop_while(running, supervisor, supervisor, NEVER)
    a_second_stop_leaves_nothing(running, "never")
    for step in spread(turns_of(calls), 8):
        supervisor = running.start(running.image)["ProcessID"]
        [qemu] = children_of(supervisor)
        stop_while(running, supervisor, supervisor if victim == "supervisor" else qemu, step)
        a_second_stop_leaves_nothing(running, f"at step {step}")


def spread(steps, most):
    """At most so many of them, from the first to the last."""
    if len(steps) <= most:
        return steps
    return [steps[i * (len(steps) - 1) // (most - 1)] for i in range(most)]


# ---- forward ----


def test_forward_killed_at_each_step_frees_its_port_and_harms_no_enclave(running, monkeypatch):
    monkeypatch.setenv("COFFER_STATE_DIR", str(running.state))
    one = running.start(running.image)
    port = free_port()
    arguments = [running.program, "enclave", "forward", "--enclave-id", "0", f"{port}:7000"]

    def use(pid):
        """Speaks through it where it comes that far, and ends it."""
        wait_for(lambda: not is_alive(pid) or answers(port), "an answer, or its end")
        end(pid)
    for step in turns_of(calls_of(arguments, QT, use), times=2):
        kill_at(arguments, QT, step, use)
        with socket.create_server(("127.0.0.1", port)):  # nobody has it
            pass
        assert running.list() == [one], f"killed at step {step}"
    killed, status, text = kill_at(arguments, QT, MOST_STEPS, use)
    assert (killed, status) == (False, 0) and "Forwarding" in text, text
    running.ok("stop", "--enclave-id", 0)
    running.nothing_is_left()


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def answers(port):
    try:
        return read_from(port) == b"hello\n"
    except OSError:
        return False


def end(pid):
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        pass
