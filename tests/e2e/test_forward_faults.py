# SPDX-License-Identifier: Apache-2.0
"""What goes wrong around `qt enclave forward`: the enclave here is a folder, and its supervisor this process."""
import fcntl
import json
import os
import re
import resource
import socket
import subprocess
import threading
import time

import pytest

from conftest import end_process, wait_for

TICKS = os.sysconf("SC_CLK_TCK")
STATE = {"id": 0, "name": "fake", "pid": 0, "cid": 4, "cpus": 1, "mem_mib": 64, "debug_mode": False, "state": "running",
         "exit_status": -1, "signal": 0, "isolation": "emulated", "started_at": "2026-11-20T16:08:21Z", "has_pcr8": False,
         **{f"pcr{n}": "00" * 48 for n in (0, 1, 2, 8)}, "ports": [7000], "reason": ""}


class FakeEnclave:
    """An entry in a registry, held; `answers` is what its supervisor does with a client of its control socket."""

    def __init__(self, state_dir, answers):
        entry = state_dir / "enclaves/0"
        for folder in (state_dir, state_dir / "enclaves", entry):
            folder.mkdir(mode=0o700)
        self.lock = (entry / "lock").open("w")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        (entry / "state.json").write_text(json.dumps({**STATE, "vsock_path": str(entry / "vsock.sock")}))
        self.vsock = self.listen(entry / "vsock.sock")  # nobody ever answers here
        self.control = self.listen(entry / "control.sock")
        self.clients = []
        threading.Thread(target=self.serve, args=(answers,), daemon=True).start()

    @staticmethod
    def listen(path):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen(128)
        return listener

    def serve(self, answers):
        while True:
            try:
                client = self.control.accept()[0]
            except OSError:
                return
            answers(self, client)

    def keep_waiting(self, client):
        self.clients.append(client)

    @staticmethod
    def hang_up(client):
        client.close()

    def close(self):
        self.control.shutdown(socket.SHUT_RDWR)
        for held in (self.control, self.vsock, self.lock, *self.clients):
            held.close()


@pytest.fixture
def forward(build_dir, tmp_path):
    """Starts it for a fake enclave, with so many descriptors at most."""
    held = []

    def start(answers, descriptors=1024):
        held.append(FakeEnclave(tmp_path / "state", answers))
        errors = (tmp_path / "stderr").open("w+")
        process = subprocess.Popen(
            [build_dir / "qt/qt", "enclave", "forward", "--enclave-id", "0", "0:7000"], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=errors, env=dict(os.environ, COFFER_STATE_DIR=str(tmp_path / "state")),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors)))
        held.append(process)
        return process, (tmp_path / "stderr").read_text

    yield start
    end_process(held[1])
    held[0].close()


def processor_time(process):
    fields = open(f"/proc/{process.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def test_clients_that_take_all_descriptors_while_the_enclave_is_silent_neither_spin_nor_flood(forward):
    process, errors = forward(FakeEnclave.keep_waiting, descriptors=40)
    port = int(wait_for(lambda: re.search(r"127\.0\.0\.1:(\d+) to", errors()), "the port").group(1))
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(60)]
    wait_for(lambda: "no more connections at once" in errors(), "the descriptors' end")
    before = processor_time(process)
    time.sleep(1)  # a span to measure, not a state to wait for
    assert processor_time(process) - before < 0.3
    assert errors().count("no more connections at once") == 1
    for client in clients:
        client.close()


def test_supervisor_that_hangs_up_is_not_taken_for_the_enclaves_end(forward):
    process, errors = forward(lambda enclave, client: FakeEnclave.hang_up(client))
    assert process.wait(30) == 1
    assert "did not say how it ended" in errors() and "has ended" not in errors()
