# SPDX-License-Identifier: Apache-2.0
"""Users without privilege run enclaves of their own, and none can touch another's."""
import json
import os
import subprocess

import pytest

from conftest import wait_for
from enclaves import ImageFolder, Qt, children_of, kill_all, shell
from engines import short_folder
from machine import Machine, need_tools

ALICE, BOB = 54001, 54002

# What a stranger tries, each by itself; prints the names of those that worked.
ATTEMPTS = r"""
import ctypes, json, os, signal, socket, sys
supervisor, qemu, state = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
libc = ctypes.CDLL(None, use_errno=True)

def connect(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)

def read(path):
    with open(path, "rb") as f:
        f.read(1)

def called(result):
    if result < 0:
        raise OSError(ctypes.get_errno())

attempts = {}
for name, pid in (("supervisor", supervisor), ("qemu", qemu)):
    attempts.update({
        f"signal {name}": lambda pid=pid: os.kill(pid, 0),
        f"memory of {name}": lambda pid=pid: read(f"/proc/{pid}/mem"),
        f"mappings of {name}": lambda pid=pid: read(f"/proc/{pid}/maps"),
        f"environment of {name}": lambda pid=pid: read(f"/proc/{pid}/environ"),
        f"descriptors of {name}": lambda pid=pid: os.listdir(f"/proc/{pid}/fd"),
        f"root of {name}": lambda pid=pid: os.listdir(f"/proc/{pid}/root/"),
        f"trace {name}": lambda pid=pid: called(libc.ptrace(16, pid, 0, 0)),
        f"descriptor of {name}": lambda pid=pid: called(libc.syscall(438, os.pidfd_open(pid), 3, 0)),
    })
attempts.update({
    "list the state folder": lambda: os.listdir(state),
    "state": lambda: read(f"{state}/enclaves/0/state.json"),
    "control socket": lambda: connect(f"{state}/enclaves/0/control.sock"),
    "vsock": lambda: connect(f"{state}/enclaves/0/vsock.sock"),
    "remove the entry": lambda: os.rename(f"{state}/enclaves/0", f"{state}/enclaves/1"),
    # In this order: a supervisor whose QEMU is killed ends, and may have by the next line.
    "kill supervisor": lambda: os.kill(supervisor, signal.SIGKILL),
    "kill qemu": lambda: os.kill(qemu, signal.SIGKILL),
})
worked = []
for name, attempt in attempts.items():
    try:
        attempt()
        worked.append(name)
    except OSError:
        pass
print(json.dumps([len(attempts), worked]))
"""


@pytest.fixture(scope="module")
def server(build_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    script = "exec nc -ll -p 7000 -e /bin/echo hello"
    return ImageFolder(Qt(build_dir, folder / "state"), folder).eif("server", shell(script, ExposedPorts={"7000/tcp": {}}))


@pytest.fixture
def two_users(build_dir, server):
    """Alice and Bob, and root."""
    need_tools()
    with short_folder() as folder:
        machine = Machine(build_dir, folder)
        users = {uid: machine.user(uid) for uid in (ALICE, BOB, 0)}
        users["eif"] = machine.publish(server)
        yield users
        for uid in (ALICE, BOB, 0):
            kill_all(users[uid])
            wait_for(lambda: not users[uid].has_processes(), "the end of all")


def attempts_of(uid, pid, state):
    """What a user can do to the enclave of another's supervisor: how much was tried, and what worked."""
    command = ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--inh-caps=-all", "--",
               "/usr/bin/python3", "-c", ATTEMPTS, str(pid), str(children_of(pid)[0]), str(state)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)


def test_users_have_enclaves_of_their_own_and_no_way_to_anothers(two_users):
    alice, bob, root, eif = two_users[ALICE], two_users[BOB], two_users[0], two_users["eif"]
    owners = {ALICE: alice.start(eif), BOB: bob.start(eif), 0: root.start(eif)}
    for uid, started in owners.items():
        assert started["EnclaveID"] == 0
        assert os.stat(f"/proc/{started['ProcessID']}").st_uid == uid
        qemu = children_of(started["ProcessID"])[0]
        assert os.stat(f"/proc/{qemu}").st_uid in ([uid] if uid else range(0x70000000, 0x80000000))
    for uid, started in owners.items():
        for stranger in (ALICE, BOB):
            if stranger != uid:
                assert attempts_of(stranger, started["ProcessID"], two_users[uid].state) == [23, []]
    for uid in (ALICE, BOB):
        assert [one["ProcessID"] for one in two_users[uid].list()] == [owners[uid]["ProcessID"]]
    bob.env["COFFER_STATE_DIR"] = str(alice.state)
    for command in (["query"], ["stop", "--all"], ["stop", "--enclave-id", 0], ["console", "--enclave-id", 0],
                    ["forward", "--enclave-id", 0, "0:7000"], ["start", "--eif", eif, "--mem", 256]):
        message = bob.fails(*command)
        assert "Permission denied" in message or f"belongs to user {ALICE}" in message, message
    bob.env["COFFER_STATE_DIR"] = str(bob.state)
    for uid in owners:
        assert len(two_users[uid].list()) == 1
        two_users[uid].ok("stop", "--all")
        two_users[uid].nothing_is_left()


def test_attempts_are_such_that_the_owner_succeeds(two_users):
    """Else the test above would prove nothing: of all that a stranger is refused, what the owner may do works."""
    alice, eif = two_users[ALICE], two_users["eif"]
    started = alice.start(eif)
    tried, worked = attempts_of(ALICE, started["ProcessID"], alice.state)
    assert tried == 23
    assert {"signal supervisor", "kill supervisor", "list the state folder", "state", "control socket"} <= set(worked), worked
    wait_for(lambda: not alice.has_processes(), "the end of what was killed")
