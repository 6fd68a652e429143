# SPDX-License-Identifier: Apache-2.0
"""Driving qt from tests: a state folder of its own, images with a static busybox, and a look at what is left."""
import json
import os
import pathlib
import shutil
import signal
import subprocess

import images
from conftest import ROOT, need_program, wait_for

BUSYBOX = "/bin/busybox"
APPLETS = ("sh", "cat", "echo", "env", "id", "sleep", "kill", "nc", "ls", "pwd", "yes", "dd", "head", "true", "false",
           "hostname", "ip", "mount", "stat", "md5sum", "seq")


def guest_kernel():
    """The folder of our own kernel where tools/build-kernel has built one, else of the distribution's."""
    ours = ROOT / "build/kernels/coffer"
    if ours.exists():
        return str(ours.resolve())
    fetched = subprocess.run([ROOT / "tools/fetch-kernel", "cloud"], check=True, capture_output=True, text=True)
    return fetched.stdout.strip()


class Qt:
    """qt with a registry of enclaves of its own; `prefix` are words before its command lines."""

    def __init__(self, build, state, prefix=()):
        self.program = str(build / "qt" / "qt")
        self.prefix = prefix
        self.state = state
        self.env = dict(os.environ, COFFER_STATE_DIR=str(state), COFFER_KERNEL_DIR=guest_kernel(),
                        SOURCE_DATE_EPOCH="1700000000", DOCKER_HOST="unix:///nonexistent/docker.sock")

    def start_process(self, *arguments, **rest):
        return subprocess.Popen([*self.prefix, self.program, "enclave", *map(str, arguments)], env=self.env, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **rest)

    def run(self, *arguments, timeout=120, env=None):
        """Runs `qt enclave ARGUMENTS`; gives the finished process."""
        return subprocess.run([*self.prefix, self.program, "enclave", *map(str, arguments)], env={**self.env, **(env or {})},
                              text=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout)

    def ok(self, *arguments, **rest):
        """Runs it, expects success, gives what it printed (parsed where it is JSON)."""
        result = self.run(*arguments, **rest)
        assert result.returncode == 0, f"{arguments}: {result.stderr}"
        try:
            return json.loads(result.stdout)
        except ValueError:
            return result.stdout

    def fails(self, *arguments, status=1, **rest):
        """Runs it, expects failure and nothing on stdout, gives its stderr."""
        result = self.run(*arguments, **rest)
        assert (result.returncode, result.stdout) == (status, ""), f"{arguments}: {result}"
        return result.stderr

    def start(self, eif, *arguments):
        return self.ok("start", "--eif", eif, "--mem", "256", *arguments)

    def list(self):
        return self.ok("query")

    def processes(self):
        """Command lines of all live processes that mention this state folder or came from it."""
        found = {}
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if str(self.state).encode() in (folder / "environ").read_bytes():
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
        return {pid: line for pid, line in found.items()
                if any(name in line[0] for name in (b"coffer-enclave", b"qemu-system"))}

    def has_processes(self):
        """Whether any is there, or still on its way out."""
        return bool(self.processes() or ending())

    def nothing_is_left(self):
        """No process and no entry."""
        wait_for(lambda: not self.has_processes(), "the end of supervisor and QEMU")
        assert self.list() == []


def ending():
    """Supervisors and machines, whosever they are, that have given up their memory, and with it all that says whose they are, but
    maybe neither their files nor the locks on them."""
    return [int(folder.name) for folder in pathlib.Path("/proc").glob("[0-9]*") if is_ending(folder)]


def is_ending(folder):
    try:
        name, _, rest = (folder / "stat").read_bytes().partition(b" (")[2].rpartition(b") ")
        return name in (b"coffer-enclave", b"qemu-system-x86") and rest[:1] not in b"ZX" and not (folder / "environ").read_bytes()
    except OSError:
        return False


def memory_beside_guests(names=("coffer-enclave", "qemu-system-x86", "init-runelet")):
    """MiB that the processes of these names in this mount namespace have (proportional shares), less what their guests
    have; of runelets all, since each has a mount namespace of its own."""
    total = 0
    own = os.readlink("/proc/self/ns/mnt")
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            name = (folder / "comm").read_text().strip()
            if name in names and (name == "init-runelet" or os.readlink(folder / "ns/mnt") == own):
                total += private_shares((folder / "smaps").read_text())
        except OSError:
            continue
    return total / 1024


def private_shares(smaps):
    total, mapping = 0, ""
    for line in smaps.splitlines():
        name, value = line.split()[0], line.split()[1]
        if not name.endswith(":"):
            mapping = line
        elif name == "Pss:" and "memory-backend-memfd" not in mapping:
            total += int(value)
    return total


def children_of(pid):
    return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def kill_all(qt):
    for pid in qt.processes():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def busybox_layer():
    need_program("busybox")
    entries = [images.directory("bin"), images.directory("tmp", mode=0o1777), images.directory("etc"),
               images.file("bin/busybox", pathlib.Path(BUSYBOX).read_bytes(), mode=0o755)]
    return entries + [images.symlink(f"bin/{name}", "busybox") for name in APPLETS]


def busybox_image(layers=(), **config):
    """An image with busybox, more layers (lists of entries), and these members of the configuration."""
    return images.image([busybox_layer(), *layers], {"Env": ["PATH=/bin"], **config})


class ImageFolder:
    """Builds EIFs from images and keeps them by name."""

    def __init__(self, qt, folder):
        self.qt, self.folder = qt, folder

    def layout(self, name, image):
        path = self.folder / name
        if not path.exists():
            images.write_oci_layout(path, image)
        return f"oci:{path}:latest"

    def eif(self, name, image, *arguments):
        path = self.folder / f"{name}.eif"
        if not path.exists():
            self.qt.ok("make-img", "--docker-uri", self.layout(name, image), "--eif", path, *arguments)
        return path


def shell(script, **config):
    """An image whose workload is this shell script."""
    return busybox_image(Entrypoint=["/bin/sh", "-c", script], **config)


def have(program):
    return shutil.which(program) is not None
