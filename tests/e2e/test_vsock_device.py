# SPDX-License-Identifier: Apache-2.0
"""The vsock device with a real guest: QEMU's microvm, the distribution's cloud kernel, and its vsock driver."""

import contextlib
import hashlib
import os
import random
import socket
import subprocess
import sys
import threading

import pytest

from conftest import ROOT, end_process, need_program, wait_for

sys.path.insert(0, str(ROOT / "tests/vm"))
from boot import Modules, kernel_image, write_ramdisk  # noqa: E402

MODULES = ["virtio_mmio", "vmw_vsock_virtio_transport"]
ECHO, SINK, SOURCE, DIAL, OFF = 5000, 5001, 5002, 5003, 5004
CID = 77
TIMEOUT = 120  # for one answer of an emulated guest on a busy machine


def recv_line(sock):
    line = b""
    while not line.endswith(b"\n"):
        byte = sock.recv(1)
        if not byte:
            break
        line += byte
    return line.decode()


def recv_all(sock):
    parts = []
    while part := sock.recv(1 << 18):
        parts.append(part)
    return b"".join(parts)


def noise(size, seed):
    return random.Random(seed).randbytes(size)


def digest(data):
    return hashlib.sha256(data).hexdigest()


@contextlib.contextmanager
def sending(sock, data):
    """Meanwhile, all of data goes out, and then the end."""
    sender = threading.Thread(target=lambda: (sock.sendall(data), sock.shutdown(socket.SHUT_WR)))
    sender.start()
    yield
    sender.join()


def in_threads(function, arguments):
    """Calls function for each argument at once; raises what any of them raised."""
    failures = []

    def call(argument):
        try:
            function(argument)
        except BaseException as e:  # noqa: BLE001
            failures.append(e)

    threads = [threading.Thread(target=call, args=(a,)) for a in arguments]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failures:
        raise failures[0]


class Guest:
    def __init__(self, folder, device, qemu, console):
        self.folder, self.device, self.qemu, self.console = folder, device, qemu, console
        self.bridge = folder / "vsock.sock"

    def connect(self, port):
        """A stream to the guest's port; None where nothing listens there."""
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(TIMEOUT)
        sock.connect(str(self.bridge))
        sock.sendall(b"CONNECT %d\n" % port)
        if recv_line(sock).startswith("OK "):
            return sock
        sock.close()
        return None

    def dial(self, cid, port):
        """Lets the guest dial the parent: (stream through the guest, what the guest says)."""
        sock = self.connect(DIAL)
        sock.sendall(b"%d %d\n" % (cid, port))
        return sock, recv_line(sock).strip()

    @contextlib.contextmanager
    def listen(self, port):
        path = f"{self.bridge}_{port}"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(32)
            listener.settimeout(TIMEOUT)
            yield listener
        os.unlink(path)


@pytest.fixture(scope="module")
def ramdisk(tmp_path_factory, build_dir):
    kernel = subprocess.run([ROOT / "tools/fetch-kernel", "cloud"], check=True, capture_output=True, text=True)
    kernel = kernel.stdout.strip()
    path = tmp_path_factory.mktemp("vsock-ramdisk") / "initrd"
    init = (build_dir / "lib/vsock/vsock-test-guest").read_bytes()
    with open(path, "wb") as file:
        write_ramdisk(file, Modules(f"{kernel}/modules"), MODULES, {"init": (init, 0o755)})
    return kernel_image(kernel), path


@pytest.fixture(scope="module")
def guest(tmp_path_factory, build_dir, ramdisk):
    qemu = need_program("qemu-system-x86_64")
    folder = tmp_path_factory.mktemp("vsock")
    image, initrd = ramdisk
    khz = subprocess.run([build_dir / "lib/vsock/vsock-test-guest"], check=True, capture_output=True, text=True).stdout
    ours, theirs = socket.socketpair()
    console = folder / "console"
    with contextlib.ExitStack() as stack:
        with open(folder / "device.log", "wb") as log:
            device = subprocess.Popen([build_dir / "lib/vsock/vsock-device-runner", str(CID), folder / "vsock.sock",
                                       str(ours.fileno())], pass_fds=[ours.fileno()], stderr=log)
        stack.callback(end_process, device)
        vm = subprocess.Popen([
            qemu, "-M", "microvm,rtc=on,acpi=on,memory-backend=m0", "-accel", "tcg", "-cpu", "max", "-smp", "1",
            "-m", "256M", "-object", "memory-backend-memfd,id=m0,size=256M,share=on", "-nodefaults", "-no-user-config",
            "-display", "none", "-no-reboot", "-chardev", f"file,id=con,path={console}", "-serial", "chardev:con",
            "-chardev", f"socket,id=c0,fd={theirs.fileno()}", "-device", "vhost-user-vsock-device,chardev=c0",
            "-kernel", image, "-initrd", initrd, "-append",
            f"console=ttyS0 panic=-1 reboot=t quiet tsc_early_khz={khz.strip()}",
        ], pass_fds=[theirs.fileno()])
        stack.callback(end_process, vm)
        ours.close()
        theirs.close()
        wait_for(lambda: console.exists() and "guest: ready" in console.read_text(errors="replace") or
                 vm.poll() is not None, "the guest's start", TIMEOUT)
        assert vm.poll() is None, console.read_text(errors="replace")
        yield Guest(folder, device, vm, console)


def test_nothing_listening_in_the_guest_closes_the_stream(guest):
    assert guest.connect(4999) is None


@pytest.mark.parametrize("cid", [2, 3])
def test_nothing_listening_on_the_parent_resets_the_guest(guest, cid):
    stream, answer = guest.dial(cid, 6000)
    assert answer == "Connection reset by peer"
    stream.close()


def test_eight_streams_to_the_guest_and_back(guest):
    def one(seed):
        data = noise(10_000_000, seed)
        with guest.connect(ECHO) as stream, sending(stream, data):
            assert digest(recv_all(stream)) == digest(data)

    in_threads(one, range(8))


@pytest.mark.parametrize("cid", [2, 3])
def test_guest_dials_the_parent(guest, cid):
    data, reply = noise(3_000_000, cid), noise(1_000_000, cid + 10)
    with guest.listen(7000) as listener:
        stream, answer = guest.dial(cid, 7000)
        assert answer == "ok"
        peer, _ = listener.accept()
        peer.settimeout(TIMEOUT)
        with stream, peer:
            with sending(stream, data):
                assert digest(recv_all(peer)) == digest(data)
            # The other direction is still open.
            with sending(peer, reply):
                assert digest(recv_all(stream)) == digest(reply)


def test_slow_reader_on_the_parent_loses_nothing(guest):
    size = 4_000_000
    with guest.connect(SOURCE) as stream:
        stream.sendall(b"%d\n" % size)
        # The guest fills all buffers on the way, sends the rest as they drain, and closes long before we are through.
        total = 0
        while part := stream.recv(4096):
            total += len(part)
    assert total == size


def test_streams_that_are_dropped_leave_nothing_behind(guest):
    for _ in range(50):
        with guest.connect(SOURCE) as stream:
            stream.sendall(b"1000000\n")
            stream.recv(1)
    with guest.connect(ECHO) as stream:
        stream.sendall(b"still there\n")
        assert recv_line(stream) == "still there\n"


def test_bulk_data_crosses_whole_both_ways(guest):
    size = 64_000_000
    with guest.connect(SINK) as stream:
        for _ in range(size // 64000):
            stream.sendall(bytes(64000))
        stream.shutdown(socket.SHUT_WR)
        assert int(recv_line(stream)) == size
    with guest.connect(SOURCE) as stream:
        stream.sendall(b"%d\n" % size)
        assert len(recv_all(stream)) == size


def test_device_ends_with_the_guest(guest):
    stream = guest.connect(OFF)
    assert guest.qemu.wait(TIMEOUT) == 0
    assert guest.device.wait(TIMEOUT) == 0
    assert recv_all(stream) == b""
    assert not guest.bridge.exists()
