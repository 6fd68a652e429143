# SPDX-License-Identifier: Apache-2.0
"""What bench/boot and bench/start share: images, starts by qt in a registry of its own, and starts of the same kernel and
ramdisks by a bare QEMU command line."""
import contextlib
import os
import pathlib
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(os.environ.get("COFFER_BUILD", ROOT / "build")).resolve()
sys.path.insert(0, str(ROOT / "tests/e2e"))
import images  # noqa: E402
from eif_reader import read_eif  # noqa: E402
from enclaves import busybox_image, private_shares  # noqa: E402

QT = BUILD / "qt/qt"
CONTROL_PORT_BASE = 0xC0FF0000
HEARTBEAT_PORT = 9000
STARTED = 0x02


@contextlib.contextmanager
def work_folder():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def kernel_folder(name):
    """The folder of the kernel `name`: coffer, cloud, or a path."""
    if "/" in name:
        return pathlib.Path(name)
    command = [ROOT / "tools/build-kernel"] if name == "coffer" else [ROOT / "tools/fetch-kernel", name]
    return pathlib.Path(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip())


class Starter:
    """qt, with a registry of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.env = dict(os.environ, COFFER_STATE_DIR=str(folder / "state"))

    def qt(self, *arguments):
        done = subprocess.run([QT, "enclave", *map(str, arguments)], check=False, env=self.env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"qt enclave {arguments[0]}: {done.stderr}")
        return done.stdout

    def make_image(self, name, kernel):
        """An image of busybox that sleeps, for the kernel in a folder."""
        layout = self.folder / "layout"
        if not layout.exists():
            images.write_oci_layout(layout, busybox_image(Entrypoint=["/bin/sleep", "100000"]))
        eif = self.folder / f"{name}.eif"
        self.qt("make-img", "--docker-uri", f"oci:{layout}:latest", "--eif", eif, "--kernel", kernel)
        return eif

    def start(self, eif, memory, *arguments):
        """Starts it; seconds until qt has its answer, which is that the workload runs."""
        begin = time.monotonic()
        self.qt("start", "--eif", eif, "--mem", memory, *arguments)
        return time.monotonic() - begin

    def stop(self, number=0):
        self.qt("stop", "--enclave-id", number)

    def processes(self):
        """Ids of supervisors and QEMUs of this registry, by name."""
        found = {}
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                name = (process / "comm").read_text().strip()
                if name in ("coffer-enclave", "qemu-system-x86") and \
                        str(self.folder).encode() in (process / "environ").read_bytes():
                    found.setdefault(name, []).append(int(process.name))
        return found

    def qemu_command(self):
        """The command line of the one QEMU that runs."""
        (pid,) = self.processes()["qemu-system-x86"]
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]


def memory_beside_guest(pid):
    """MiB of a process (proportional shares) without its guest's memory."""
    return private_shares(pathlib.Path(f"/proc/{pid}/smaps").read_text()) / 1024


class Bare:
    """The kernel and ramdisks of an image, started by the command line that a person would type: the same machine, and
    no supervisor, no measurement and no confinement. Its vsock device is the one of our tests, a process of its own, and
    the parent's side of the control channel is here."""

    def __init__(self, folder, eif, command):
        """`command` is that of a QEMU that qt has started; what it says of its own surroundings is left out."""
        self.folder = folder / "bare"
        self.folder.mkdir()
        image = read_eif(eif)
        (self.folder / "kernel").write_bytes(image.payloads("kernel")[0])
        (self.folder / "ramdisk").write_bytes(b"".join(image.payloads("ramdisk")))
        self.command = self.machine_of(command)
        self.started = threading.Event()
        self.listeners = [self.listen(CONTROL_PORT_BASE ^ 77, self.serve_control),
                          self.listen(HEARTBEAT_PORT, lambda stream: stream.sendall(stream.recv(1)))]

    def machine_of(self, command):
        """-M, -cpu and the like are as they were; kernel, ramdisk, console and vsock are files and sockets of ours."""
        kept, words = [command[0]], iter(command[1:])
        replaced = {"-kernel": self.folder / "kernel", "-initrd": self.folder / "ramdisk"}
        for word in words:
            if word in ("-nodefaults", "-no-user-config", "-no-reboot"):
                kept.append(word)
                continue
            value = next(words)
            if word in replaced:
                kept += [word, str(replaced[word])]
            elif word in ("-M", "-accel", "-cpu", "-smp", "-m", "-object", "-append", "-display"):
                kept += [word, value]
        return kept

    def unpack_kernel(self):
        """The kernel proper, out of the bzImage (Linux, Documentation/arch/x86/boot.rst), where LZ4 packed it."""
        image = (self.folder / "kernel").read_bytes()
        offset, size = struct.unpack_from("<II", image, 0x248)
        start = (image[0x1f1] + 1) * 512 + offset
        with open(self.folder / "unpacked", "wb") as out:
            subprocess.run(["lz4", "-dc"], input=image[start:start + size - 4], stdout=out, check=True)

    def listen(self, port, serve):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.folder / f"vsock.sock_{port}"))
        listener.listen()

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    serve(listener.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        return listener

    def serve_control(self, stream):
        self.control = stream
        while header := stream.recv(5, socket.MSG_WAITALL):
            kind, size = struct.unpack(">BI", header)
            if size:
                stream.recv(size, socket.MSG_WAITALL)
            if kind == STARTED:
                self.started.set()

    def start(self, unpacked=False):
        """Seconds until init says that the workload runs; `unpacked`: with the kernel of unpack_kernel()."""
        self.started.clear()
        begin = time.monotonic()
        # Sessions of their own, as qt's processes have: a kernel may share out its processors by session.
        ours, theirs = socket.socketpair()
        self.device = subprocess.Popen([BUILD / "lib/vsock/vsock-device-runner", "77", self.folder / "vsock.sock",
                                        str(theirs.fileno())], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL, start_new_session=True)
        kernel = ["-kernel", str(self.folder / "unpacked")] if unpacked else []
        command = [*self.command, *kernel, "-serial", "stdio", "-chardev", f"socket,id=vsock,fd={ours.fileno()}", "-device",
                   "vhost-user-vsock-device,chardev=vsock"]
        self.qemu = subprocess.Popen(command, pass_fds=[ours.fileno()], stdin=subprocess.DEVNULL,
                                     stdout=subprocess.DEVNULL, start_new_session=True)
        ours.close()
        theirs.close()
        if not self.started.wait(120):
            raise TimeoutError("the bare machine did not start its workload")
        return time.monotonic() - begin

    def stop(self):
        for process in self.qemu, self.device:
            process.kill()
            process.wait()
        (self.folder / "vsock.sock").unlink(missing_ok=True)


def row(name, values):
    return f"{name:34} {statistics.median(values) * 1000:7.0f} ms   (least {min(values) * 1000:.0f}, n {len(values)})"
