# SPDX-License-Identifier: Apache-2.0
"""Bundles with a busybox root, and the built rune on a state folder of its own.

Test modules take the fixtures by name: `from bundles import bundle, rune  # noqa: F401`.
"""
import contextlib
import copy
import json
import os
import pathlib
import shutil
import subprocess
import uuid

import pytest

from conftest import need_program, wait_for

TIMEOUT = 60  # seconds that one command may take

CAPABILITIES = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]

DEFAULT = {
    "ociVersion": "1.2.0",
    "process": {
        "terminal": False,
        "user": {"uid": 0, "gid": 0},
        "args": ["sh"],
        "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
        "cwd": "/",
        "capabilities": {"bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES},
        "noNewPrivileges": True,
    },
    "root": {"path": "rootfs", "readonly": True},
    "hostname": "rune",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
         "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
         "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
         "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]},
    ],
    "linux": {
        "resources": {"devices": [{"allow": False, "access": "rwm"}]},
        "namespaces": [{"type": t} for t in ("pid", "network", "ipc", "uts", "mount", "cgroup")],
        "maskedPaths": ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                        "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    },
}


def make_rootfs(path):
    """A root file system with busybox and a few files that programs expect."""
    for folder in ("bin", "dev", "etc", "home/user", "mnt", "proc", "root", "run", "sys", "tmp", "var"):
        (path / folder).mkdir(parents=True)
    (path / "tmp").chmod(0o1777)
    busybox = need_program("busybox")
    shutil.copy(busybox, path / "bin/busybox")
    for applet in subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split():
        if applet != "busybox":
            os.symlink("busybox", path / "bin" / applet)
    (path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n")
    (path / "etc/group").write_text("root:x:0:\nuser:x:1000:\n")


class Bundle:
    """A bundle whose `config` is written by each command that takes it."""

    def __init__(self, path):
        self.path = path
        self.rootfs = path / "rootfs"
        make_rootfs(self.rootfs)
        self.config = copy.deepcopy(DEFAULT)
        # Below a group of our own: what is left there is the test's.
        self.config["linux"]["cgroupsPath"] = f"/rune-e2e/{uuid.uuid4().hex[:12]}"

    @property
    def process(self):
        return self.config["process"]

    @property
    def linux(self):
        return self.config["linux"]

    def args(self, *args):
        self.process["args"] = list(args)
        return self

    def shell(self, script):
        return self.args("sh", "-c", script)

    def namespace(self, kind, path=None):
        """Adds the namespace, or gives it a path."""
        self.without_namespace(kind)
        self.linux["namespaces"].append({"type": kind, "path": str(path)} if path else {"type": kind})

    def without_namespace(self, kind):
        self.linux["namespaces"] = [n for n in self.linux["namespaces"] if n["type"] != kind]

    def write(self):
        (self.path / "config.json").write_text(json.dumps(self.config))
        return self.path


class Rune:
    """The built rune with --root of its own."""

    def __init__(self, program, root):
        self.program = str(program)
        self.root = root
        self.globals = []
        self.environment = dict(os.environ)

    def command(self, *args):
        return [self.program, "--root", str(self.root), *self.globals, *[str(a) for a in args]]

    def __call__(self, *args, check=True, text=True, timeout=TIMEOUT, **options):
        """Runs a command to its end; its output is kept. A failure fails the test unless check is False."""
        if "input" not in options:
            options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("env", self.environment)
        if "stdout" not in options and "stderr" not in options:
            options["capture_output"] = True
        result = subprocess.run(self.command(*args), text=text, timeout=timeout, **options)
        if check and result.returncode != 0:
            raise AssertionError(f"rune {' '.join(map(str, args))}: {result.returncode}: {result.stderr}")
        return result

    def start_process(self, *args, **options):
        """Starts a command and doesn't wait for it."""
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("env", self.environment)
        return subprocess.Popen(self.command(*args), **options)

    def run(self, bundle, name="c", *flags, **options):
        """`rune run`, its result."""
        bundle.write()
        return self("run", *flags, "--bundle", bundle.path, name, **options)

    def output(self, bundle, name="c", *flags):
        """What the container's process of a `run` that succeeds writes."""
        return self.run(bundle, name, *flags).stdout

    def create(self, bundle, name="c", *flags, **options):
        """`rune create`; the container gets our standard input, and its output goes to a file in the bundle."""
        bundle.write()
        check = options.pop("check", True)
        with open(bundle.path / f"{name}.out", "wb") as out, open(bundle.path / f"{name}.err", "w+b") as err:
            result = self("create", *flags, "--bundle", bundle.path, name, check=False, stdout=out, stderr=err)
            err.seek(0)
            result.stderr = err.read().decode()
        if check and result.returncode != 0:
            raise AssertionError(f"rune create: {result.returncode}: {result.stderr}")
        return result

    def start(self, bundle, name="c", *flags):
        """create and start: the container runs."""
        self.create(bundle, name, *flags)
        self("start", name)

    def state(self, name="c"):
        return json.loads(self("state", name).stdout)

    def status(self, name="c"):
        """Its status, None where there is no such container."""
        result = self("state", name, check=False)
        return json.loads(result.stdout)["status"] if result.returncode == 0 else None

    def wait_status(self, status, name="c"):
        return wait_for(lambda: self.status(name) == status, f"{name} {status}")

    def clear(self):
        """Deletes all that is there of containers."""
        if not self.root.is_dir():
            return
        for folder in self.root.iterdir():
            if not folder.name.startswith("."):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self("delete", "--force", folder.name, check=False)


@pytest.fixture
def rune(build_dir, tmp_path):
    """rune with a state folder of its own; what a test leaves is deleted."""
    program = build_dir / "rune/rune"
    if not program.exists():
        pytest.skip(f"{program} is not built")
    rune = Rune(program, tmp_path / "state")
    yield rune
    rune.clear()


@pytest.fixture
def bundle(tmp_path):
    """A bundle of the template that `rune spec` writes, without a terminal."""
    return Bundle(tmp_path / "bundle")


def cgroup_folders(path):
    """The folders of a cgroup in all hierarchies of this host."""
    base = pathlib.Path("/sys/fs/cgroup")
    below = path.lstrip("/")
    candidates = [base / below, *(h / below for h in base.iterdir() if h.is_dir())]
    return [folder for folder in candidates if folder.is_dir()]
