# SPDX-License-Identifier: Apache-2.0
"""/etc/coffer/enclave.conf: one pool of memory and CPUs for the enclaves of all users."""
import contextlib
import os
import pathlib
import signal

import pytest

from conftest import wait_for
from enclaves import ImageFolder, Qt, children_of, kill_all, shell
from engines import short_folder
from machine import Machine, need_tools

ALICE, BOB = 54001, 54002


@pytest.fixture(scope="module")
def sleeper(build_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    return ImageFolder(Qt(build_dir, folder / "state"), folder).eif("sleeper", shell("exec sleep 1000"))


@pytest.fixture
def machine(build_dir):
    need_tools()
    with short_folder() as folder:
        one = Machine(build_dir, folder)
        one.users = []
        yield one
        for qt in one.users:
            kill_all(qt)
            qt.nothing_is_left()


def users(machine, *uids):
    machine.users = [machine.user(uid) for uid in uids]
    return machine.users


def start(qt, eif, mem=200):
    return qt.ok("start", "--eif", eif, "--mem", mem, "--cpus", 1)


def test_memory_of_the_pool_is_shared_by_all_users_and_comes_back_by_kill_9(machine, sleeper):
    machine.configure("memory_mib = 500\n")
    root, alice, bob = users(machine, 0, ALICE, BOB)
    eif = machine.publish(sleeper)
    first, second = start(root, eif), start(alice, eif)
    message = bob.fails("start", "--eif", eif, "--mem", 200, "--cpus", 1)
    for words in ("/etc/coffer/enclave.conf gives 500 MiB (memory_mib): 200 MiB wanted and 100 MiB left",
                  f"200 MiB by process {first['ProcessID']} of user 0", f"200 MiB by process {second['ProcessID']} of user {ALICE}",
                  "ask for less, stop an enclave"):
        assert words in message
    bob.nothing_is_left()
    os.kill(second["ProcessID"], signal.SIGKILL)
    alice.nothing_is_left()
    start(bob, eif)
    root.ok("stop", "--all")
    bob.ok("stop", "--all")
    start(alice, eif, 500)
    alice.ok("stop", "--all")


def test_two_starts_at_once_do_not_both_get_the_last_of_it(machine, sleeper):
    machine.configure("memory_mib = 700\nuser_max_enclaves = 2\n")
    alice, bob = users(machine, ALICE, BOB)
    eif = machine.publish(sleeper)
    starts = [qt.start_process("start", "--eif", eif, "--mem", 200, "--cpus", 1) for qt in (alice, bob) for _ in range(3)]
    results = [process.communicate(timeout=180) for process in starts]
    assert [process.returncode for process in starts].count(0) == 3, results
    assert all("enclave.conf gives" in err for process, (_, err) in zip(starts, results) if process.returncode)
    for qt in (alice, bob):
        assert len(qt.list()) <= 2
        qt.ok("stop", "--all")


def test_environment_does_not_lead_to_other_limits(machine, sleeper):
    machine.configure("max_enclaves = 0\n")
    [alice] = users(machine, ALICE)
    eif = machine.publish(sleeper)
    mine = machine.folder / "mine"
    mine.mkdir()
    (mine / "enclave.conf").write_text("max_enclaves = 100\n")
    alice.env.update({name: str(mine) for name in ("COFFER_CONFIG", "COFFER_CONFIG_DIR", "COFFER_ETC", "XDG_CONFIG_HOME")})
    assert "gives 0 (max_enclaves)" in alice.fails("start", "--eif", eif, "--mem", 200)


def test_listed_cpus_are_what_an_enclave_runs_on(machine, sleeper):
    last = max(os.sched_getaffinity(0))
    machine.configure(f"cpu_list = {last}\n")
    alice, bob = users(machine, ALICE, BOB)
    eif = machine.publish(sleeper)
    supervisor = start(alice, eif)["ProcessID"]
    for pid in (supervisor, *children_of(supervisor)):
        for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(ProcessLookupError):  # QEMU has some that come and go
                assert os.sched_getaffinity(int(thread.name)) == {last}
    assert "gives 1 (cpu_list): 1 wanted and 0 left" in bob.fails("start", "--eif", eif, "--mem", 200, "--cpus", 1)
    alice.ok("stop", "--all")
    machine.configure("cpu_list = 1000-1001\n")
    assert "cpu_list names CPUs that aren't online" in bob.fails("start", "--eif", eif, "--mem", 200, "--cpus", 1)


def test_configuration_with_a_mistake_starts_nothing_and_says_where(machine, sleeper):
    machine.configure("memory_mib = 500\ncpu = 2\n")
    [alice] = users(machine, ALICE)
    message = alice.fails("start", "--eif", machine.publish(sleeper), "--mem", 200)
    assert "/etc/coffer/enclave.conf: line 2: there is no setting 'cpu'; there are memory_mib, cpus, " in message
    (machine.etc / "coffer/enclave.conf").chmod(0o600)
    assert "/etc/coffer/enclave.conf: Permission denied" in alice.fails("start", "--eif", machine.publish(sleeper), "--mem", 200)
    wait_for(lambda: not alice.has_processes(), "the end of all")
