# SPDX-License-Identifier: Apache-2.0
"""Boots enclave-init in a QEMU microvm, without qt or its supervisor: ramdisks and configuration are written here, by
hand, and this side of the control channel is spoken here.  So init is held to the documented formats, not to our own
code's idea of them."""
import array
import ctypes
import fcntl
import functools
import mmap
import os
import pathlib
import platform
import socket
import struct
import subprocess
import termios
import threading
import time

import cpio
from conftest import ROOT, need_program

BUSYBOX = "/bin/busybox"
APPLETS = ("sh cat echo env id sleep kill nc ls pwd ps grep stat hostname ip mount base64 chmod seq awk dd md5sum true "
           "readlink tr head sort tail yes").split()
MODULES = ("drivers/virtio/virtio_ring", "drivers/virtio/virtio", "drivers/virtio/virtio_mmio", "net/vmw_vsock/vsock",
           "net/vmw_vsock/vmw_vsock_virtio_transport_common", "net/vmw_vsock/vmw_vsock_virtio_transport")
CMDLINE = "console=ttyS0 quiet loglevel=4 reboot=t panic=-1 pci=off cryptomgr.notests random.trust_cpu=on"
DEADLINE = 60
CONTROL_PORT_BASE = 0xC0FF0000
HEARTBEAT_PORT = 9000
MESSAGES = {0x01: "HELLO", 0x02: "STARTED", 0x03: "EXITED", 0x04: "SIGNALED", 0x05: "FAILED"}


@functools.cache
def kernel_folder():
    made = subprocess.run([ROOT / "tools/fetch-kernel", "cloud"], check=True, capture_output=True, text=True)
    return pathlib.Path(made.stdout.strip())


@functools.cache
def tsc_khz():
    """The frequency of the time-stamp counter, which an emulated guest can't measure reliably on a busy machine."""
    if platform.machine() != "x86_64":
        return None
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes.fromhex("0f31 48c1e220 4809d0 c3"))  # rdtsc; rax |= rdx << 32; ret
    rdtsc = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(code)))

    def look():
        before, ticks, after = time.monotonic_ns(), rdtsc(), time.monotonic_ns()
        return after - before, before, ticks

    # Of many looks at both clocks the quickest: one between which we were held up says nothing.
    _, start_ns, start = min(look() for _ in range(100))
    time.sleep(0.05)
    _, end_ns, end = min(look() for _ in range(100))
    return (end - start) * 1_000_000 // (end_ns - start_ns)


def serving():
    """enclave/config of an image that runs what its parent asks for."""
    return "coffer-guest-config 1\0serve=processes\0cwd=/\0uid=0\0gid=0\0stop-signal=15\0hostname=enclave\0end\0"


def configuration(argv, env=(), cwd="/", uid=0, gid=0, groups=(), stop_signal=15, ports=(), hostname="enclave"):
    """enclave/config as lib/enclave/guest-config.h writes it down."""
    records = ["coffer-guest-config 1", *(f"arg={a}" for a in argv), *(f"env={e}" for e in env), f"cwd={cwd}",
               f"uid={uid}", f"gid={gid}", *(f"group={g}" for g in groups), f"stop-signal={stop_signal}",
               *(f"port={p}" for p in ports), f"hostname={hostname}", "end"]
    return "".join(record + "\0" for record in records)


def bootstrap(build, modules=True):
    entries = [cpio.file("init", (build / "guest/enclave-init").read_bytes(), 0o755), cpio.directory("dev")]
    if modules:
        entries.append(cpio.directory("modules"))
        for i, name in enumerate(MODULES):
            content = (kernel_folder() / "modules/kernel" / f"{name}.ko").read_bytes()
            entries.append(cpio.file(f"modules/{i:02}-{os.path.basename(name)}.ko", content))
    return cpio.write(entries)


def application(files=(), config=None, xattrs=None):
    """An image with busybox in it, and `files`; the configuration last, as in real ones."""
    entries = [cpio.directory("enclave", 0o700)]
    if xattrs is not None:
        entries.append(cpio.file("enclave/xattrs", xattrs, 0o600))
    entries += [cpio.directory("rootfs"), cpio.directory("rootfs/bin"),
                cpio.file("rootfs/bin/busybox", pathlib.Path(BUSYBOX).read_bytes(), 0o755)]
    entries += [cpio.symlink(f"rootfs/bin/{name}", "busybox") for name in APPLETS]
    entries += files
    if config is not None:
        entries.append(cpio.file("enclave/config", config, 0o600))
    return cpio.write(entries)


class GuestVM:
    """A booted guest.  `control` and `heartbeat` say whether this parent has them; `vsock` whether there is a device."""

    def __init__(self, build, folder, ramdisk, cid=7, memory=192, vsock=True, control=True, heartbeat=True,
                 parent_cid=2, read_console=True):
        self.folder = folder
        self.cid = cid
        self.console = b""
        self.messages = []
        self.heartbeats = 0
        self.changed = threading.Condition()
        self.control = None
        self.listeners = []
        self.processes = []
        (folder / "ramdisk").write_bytes(ramdisk)
        self.start_time = time.monotonic()
        if control:
            self.listen(CONTROL_PORT_BASE ^ cid, self.serve_control)
        if heartbeat:
            self.listen(HEARTBEAT_PORT, self.serve_heartbeat)
        ends = self.start_device(build) if vsock else None
        self.start_qemu(memory, parent_cid, ends)
        if read_console:
            self.read_console_on()

    # --- what runs ---

    def start_device(self, build):
        qemu_end, device_end = socket.socketpair()
        with device_end:
            device = subprocess.Popen(
                [build / "lib/vsock/vsock-device-runner", str(self.cid), self.folder / "vsock.sock",
                 str(device_end.fileno())],
                pass_fds=[device_end.fileno()], stdin=subprocess.DEVNULL, stderr=open(self.folder / "device.log", "wb"))
        self.processes.append(device)
        return qemu_end

    def start_qemu(self, memory, parent_cid, vhost):
        command = [need_program("qemu-system-x86_64"), "-M",
                   "microvm,rtc=on,acpi=on,x-option-roms=off,auto-kernel-cmdline=off,memory-backend=m0",
                   "-accel", "tcg", "-cpu", "max", "-m", str(memory),
                   "-object", f"memory-backend-memfd,id=m0,size={memory}M,share=on",
                   "-kernel", kernel_folder() / "vmlinuz", "-initrd", self.folder / "ramdisk",
                   "-append", f"{CMDLINE} coffer.parent_cid={parent_cid} tsc_early_khz={tsc_khz()}",
                   "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot"]
        if vhost:
            command += ["-chardev", f"socket,id=c0,fd={vhost.fileno()}", "-device",
                        "vhost-user-vsock-device,chardev=c0"]
        self.qemu = subprocess.Popen(command, pass_fds=[vhost.fileno()] if vhost else [], stdin=subprocess.DEVNULL,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.processes.append(self.qemu)
        if vhost:
            vhost.close()

    def read_console_on(self):
        threading.Thread(target=self.read_console, daemon=True).start()

    def console_backlog(self):
        """Bytes that the machine has written and nobody has read."""
        size = array.array("i", [0])
        fcntl.ioctl(self.qemu.stdout.fileno(), termios.FIONREAD, size)
        return size[0]

    def read_console(self):
        while chunk := os.read(self.qemu.stdout.fileno(), 65536):
            with self.changed:
                self.console += chunk
                self.changed.notify_all()
        with self.changed:
            self.console += b"\n[end]"
            self.changed.notify_all()

    # --- the parent's side ---

    def listen(self, port, serve):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.folder / f"vsock.sock_{port}"))
        listener.listen()
        self.listeners.append(listener)

        def accept():
            try:
                while True:
                    serve(listener.accept()[0])
            except OSError:
                pass  # the listener was shut down

        threading.Thread(target=accept, daemon=True).start()

    def serve_heartbeat(self, stream):
        with stream:
            beat = stream.recv(1)
            if beat == b"\xb7":
                self.heartbeats += 1
                stream.sendall(beat)

    def serve_control(self, stream):
        self.control = stream
        while header := stream.recv(5, socket.MSG_WAITALL):
            kind, size = struct.unpack(">BI", header)
            payload = stream.recv(size, socket.MSG_WAITALL) if size else b""
            with self.changed:
                self.messages.append(self.decode(kind, payload))
                self.changed.notify_all()

    @staticmethod
    def decode(kind, payload):
        name = MESSAGES[kind]
        if name == "SIGNALED":
            return (name, *struct.unpack(">I?", payload))
        if name != "FAILED":
            return (name, *struct.unpack(">I", payload))
        errno, n = struct.unpack_from(">IH", payload)
        stage = payload[6:6 + n].decode()
        (m,) = struct.unpack_from(">H", payload, 6 + n)
        assert len(payload) == 8 + n + m
        return name, errno, stage, payload[8 + n:].decode()

    def send_signal(self, signal):
        self.control.sendall(struct.pack(">BII", 0x81, 4, signal))

    def send_shutdown(self):
        self.control.sendall(struct.pack(">BI", 0x82, 0))

    def connect(self, port):
        """A stream to a vsock port of the guest."""
        stream = socket.socket(socket.AF_UNIX)
        stream.settimeout(DEADLINE)
        stream.connect(str(self.folder / "vsock.sock"))
        stream.sendall(b"CONNECT %d\n" % port)
        answer = b""
        while not answer.endswith(b"\n"):
            byte = stream.recv(1)
            assert byte, f"port {port} refused"
            answer += byte
        assert answer.startswith(b"OK ")
        return stream

    # --- waiting ---

    def wait_until(self, condition, what):
        with self.changed:
            if not self.changed.wait_for(condition, DEADLINE):
                raise TimeoutError(f"no {what}; messages {self.messages}; console:\n{self.text()}")

    def wait_console(self, text):
        self.wait_until(lambda: text.encode() in self.console, f"{text!r} on the console")

    def wait_message(self, *kinds):
        """The first message of one of these kinds."""
        self.wait_until(lambda: any(m[0] in kinds for m in self.messages), f"message {kinds}")
        return next(m for m in self.messages if m[0] in kinds)

    def outcome(self):
        """The last message, once the machine has ended by itself: hangs up when init has said its last word, as our
        supervisor does."""
        if self.control or self.wait_message("HELLO"):
            last = self.wait_message("EXITED", "SIGNALED", "FAILED")
            self.control.shutdown(socket.SHUT_RDWR)
        self.wait_end()
        return last

    def wait_end(self):
        self.wait_until(lambda: self.console.endswith(b"\n[end]"), "end of the machine")
        assert self.qemu.wait(DEADLINE) == 0

    def text(self):
        return self.console.decode(errors="replace")

    def lines(self):
        return self.text().splitlines()

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        for listener in self.listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        if self.control:
            self.control.close()
        self.qemu.stdout.close()
