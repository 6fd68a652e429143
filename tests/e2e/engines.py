# SPDX-License-Identifier: Apache-2.0
"""Container engines of the distribution with the runtime under test: Docker, Podman, containerd.

Each engine lives in namespaces of its own (network, mounts), with its state in a temporary folder, so that nothing
that it makes is seen outside or stays.  Images are made here, from a static busybox.
"""
import contextlib
import fcntl
import json
import os
import pathlib
import pty
import select
import shlex
import shutil
import signal
import stat
import subprocess
import tempfile
import time

import pytest

import images
from conftest import DEADLINE, end_process, leave_no_containerd, need_program, wait_for

BUSYBOX = "/bin/busybox"
IMAGE = "localhost/busybox:test"
PAUSE = "localhost/pause:test"

PASSWD = """root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
alice:x:1000:1000:Alice:/home/alice:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false
"""
GROUP = """root:x:0:
daemon:x:1:
tty:x:5:
team:x:50:alice
alice:x:1000:
nobody:x:65534:
"""


def need_distribution_program(name):
    """As need_program, but the distribution's own where the machine has others as well."""
    path = shutil.which(name, path="/usr/bin:/usr/sbin:/bin:/sbin")
    return path or need_program(name)


def busybox_entries():
    """A root file system: busybox with all of its names, two users, usual folders."""
    names = subprocess.run([need_program("busybox"), "--list"], check=True, capture_output=True, text=True).stdout
    entries = [images.directory(name) for name in
               ("bin", "sbin", "dev", "etc", "proc", "sys", "root", "usr", "usr/bin", "var", "home")]
    entries += [images.directory("tmp", mode=0o1777), images.directory("home/alice", uid=1000, gid=1000)]
    entries.append(images.file("bin/busybox", pathlib.Path(BUSYBOX).read_bytes(), mode=0o755))
    entries += [images.symlink("bin/" + name, "busybox") for name in names.split() if name != "busybox"]
    entries += [images.file("etc/passwd", PASSWD), images.file("etc/group", GROUP),
                images.file("etc/not-a-program", "plain text\n"),
                images.file("bin/busybox-suid", pathlib.Path(BUSYBOX).read_bytes(), mode=0o4755)]
    return entries


def write_busybox_archive(path):
    """A docker-archive that every engine loads: busybox, and the same as what holds a pod together."""
    tar = images.layer_tar(busybox_entries())
    env = ["PATH=/bin:/sbin:/usr/bin"]
    one, pause = (images.image(None, config={"Env": env, **config}, tars=[tar], compression="none", docker_types=True)
                  for config in ({"Cmd": ["/bin/sh"]}, {"Entrypoint": ["/bin/sleep", "100000"],
                                                            "StopSignal": "SIGKILL"}))
    return images.write_docker_archive(path, {IMAGE: one, PAUSE: pause}, {IMAGE: [tar], PAUSE: [tar]}, links=True)


def runtime_under_test(build_dir):
    """COFFER_TEST_RUNTIME (another OCI runtime, to see whether a test is right), else the built rune."""
    path = pathlib.Path(os.environ.get("COFFER_TEST_RUNTIME", build_dir / "rune" / "rune"))
    if not path.is_file():
        pytest.skip(f"no runtime {path}")
    return str(path.resolve())


@contextlib.contextmanager
def short_folder():
    """A temporary folder that every user may pass through, with a name short enough for sockets below it."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="coffer-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_groups(*names):
    """Removes the empty control groups that an engine leaves for its next containers."""
    for top in [path for name in names for pattern in (name, "*/" + name)
                for path in pathlib.Path("/sys/fs/cgroup").glob(pattern)]:
        for folder, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)


# Below these control groups engines make those of their containers, whichever test they are of.
SHARED_GROUPS = ("libpod_parent", "default", "k8s.io")


@contextlib.contextmanager
def shared_groups():
    """Meanwhile an engine makes groups where those of other tests do.  The last one removes them: a group that is empty may
    be one whose first process is just on its way in."""
    lock = os.open("/sys/fs/cgroup", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_groups(*SHARED_GROUPS)
    finally:
        os.close(lock)


def remove_plain_folders():
    """Removes the empty folders beside the hierarchies of v1 that other runtimes have left for controllers that the
    machine hasn't: Podman takes each for a hierarchy."""
    top = pathlib.Path("/sys/fs/cgroup")
    if (top / "cgroup.procs").exists():
        return
    for folder in top.iterdir():
        if folder.is_dir() and not folder.is_symlink() and not os.path.ismount(folder):
            with contextlib.suppress(OSError):
                folder.rmdir()


def own_namespaces(*command, over=None, beside=None):
    """The command line that runs `command` with own networks and mounts, the latter shared among each other as
    init systems set them up.  over: {path: file that is seen there instead}; beside: {folder: one whose files are seen
    there as well}."""
    binds = "".join(f"mount --bind {shlex.quote(str(file))} {path} && " for path, file in (over or {}).items())
    binds += "".join(f"mount -t overlay -o lowerdir={folder}:{path} overlay {path} && "
                     for path, folder in (beside or {}).items())
    # Podman makes plain folders beside the hierarchies of control groups, for those which the machine has not.
    script = (binds + "mount --make-rshared / && ip link set lo up && "
              "{ [ -e /sys/fs/cgroup/cgroup.procs ] || mount -o remount,bind,ro /sys/fs/cgroup; } && exec \"$@\"")
    return [need_program("unshare"), "--net", "--mount", "--propagation", "private", "--", "/bin/sh", "-c", script,
            "sh", *command]


class Client:
    """An engine's command-line client."""

    def __init__(self, command, env):
        self.command, self.env = [str(word) for word in command], env

    def run(self, *arguments, timeout=DEADLINE, **rest):
        """Runs to the end, whatever the exit status."""
        return subprocess.run([*self.command, *map(str, arguments)], env=self.env, timeout=timeout, text=True,
                              capture_output=True, **({"stdin": subprocess.DEVNULL} if "input" not in rest else {}),
                              **rest)

    def __call__(self, *arguments, status=0, **rest):
        """Standard output without the last newline; the exit status must be `status`."""
        done = self.run(*arguments, **rest)
        assert done.returncode == status, \
            f"{' '.join(map(str, arguments))}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout.rstrip("\n")

    def error(self, *arguments, **rest):
        """Standard error of what must fail, and the exit status."""
        done = self.run(*arguments, **rest)
        assert done.returncode, f"{' '.join(map(str, arguments))} succeeded\n{done.stdout}\n{done.stderr}"
        return done.returncode, done.stderr

    def popen(self, *arguments, **rest):
        return subprocess.Popen([*self.command, *map(str, arguments)], env=self.env, **rest)


class Terminal:
    """A process on a pseudo terminal of ours."""

    def __init__(self, client, *arguments, rows=24, columns=80):
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.process = client.popen(*arguments, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        self.text = ""

    def resize(self, rows, columns):
        import struct
        import termios
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize_inside(self, rows, columns):
        """Resizes and tells the client until a shell at the other end sees it: Docker's client copies the size before it
        waits for the signal, so one that comes in between is lost."""
        self.resize(rows, columns)

        def arrived():
            self.process.send_signal(signal.SIGWINCH)  # it is nobody's controlling terminal
            return self.size_inside() == f"{rows} {columns}"
        wait_for(arrived, f"a terminal of {rows} rows and {columns} columns inside")

    def resize_until(self, rows, columns, wanted):
        """As above, where what is at the other end tells of a change by itself: until it says what is wanted."""
        self.resize(rows, columns)

        def told():
            self.process.send_signal(signal.SIGWINCH)
            self.read(0.1)
            return wanted in self.text
        wait_for(told, wanted)
        self.expect(wanted)

    def size_inside(self):
        """What a shell at the other end sees."""
        self.send("echo size=$(stty size)=\n")
        self.expect("\r\nsize=")
        return self.expect("=").rstrip("=")

    def send(self, text):
        os.write(self.master, text.encode())

    def expect(self, wanted, deadline=DEADLINE):
        """Reads until `wanted` came; returns all that came up to there since the last expect()."""
        end = time.monotonic() + deadline
        while wanted not in self.text:
            left = end - time.monotonic()
            if left <= 0 or not self.read(left):
                raise AssertionError(f"no {wanted!r} in {self.text!r}")
        before, self.text = self.text.split(wanted, 1)
        return before + wanted

    def read(self, timeout):
        if not select.select([self.master], [], [], timeout)[0]:
            return False
        try:
            data = os.read(self.master, 4096)
        except OSError:  # EIO: nobody has the other end any more
            data = b""
        self.text += data.decode(errors="replace")
        return bool(data)

    def wait(self, deadline=DEADLINE):
        end = time.monotonic() + deadline
        while self.process.poll() is None and time.monotonic() < end:
            self.read(0.05)
        return self.process.wait(0.1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)


class Docker(Client):
    """A running dockerd and the client to it."""

    def __init__(self, folder):
        self.folder, self.socket = folder, folder / "docker.sock"
        self.process = None
        self.groups = folder.name  # the control group that its containers' are in
        super().__init__([need_distribution_program("docker")],
                         dict(os.environ, DOCKER_HOST=f"unix://{self.socket}", DOCKER_CONFIG=str(folder / "client"),
                              DOCKER_BUILDKIT="0"))

    def inspect(self, name, template):
        return self("inspect", "--format", template, name)

    def pid(self, name):
        return int(self.inspect(name, "{{.State.Pid}}"))

    def state_folder(self, name):
        """Of the runtime, for one container."""
        return next((self.folder / "exec").glob(f"runtime-*/moby/{name}"))

    def in_network(self, *command):
        """A command in the engine's network namespace."""
        return subprocess.run([need_program("nsenter"), "-t", str(self.process.pid), "-n", "--", *command],
                              capture_output=True, text=True, timeout=DEADLINE, check=False)

    def sh(self, *options_and_script, status=0):
        """`docker run --rm OPTIONS image sh -c SCRIPT`."""
        *options, script = options_and_script
        return self("run", "--rm", *options, IMAGE, "sh", "-c", script, status=status)

    @contextlib.contextmanager
    def started(self, *options, command=("sleep", "1000")):
        """A container in the background."""
        name = self("run", "-d", *options, IMAGE, *command)
        try:
            yield name
        finally:
            self.run("rm", "-f", name)


@contextlib.contextmanager
def running_docker(folder, runtime, config=None, path_programs=(), subordinate=None, libraries=None,
                   library_folder="/usr/lib", before=()):
    """A Docker engine whose default runtime, named rune, is `runtime`.  path_programs: names under which the
    runtime is found in the engine's PATH, too.  subordinate: what the engine sees as /etc/subuid and /etc/subgid.
    libraries: a folder whose files it sees in library_folder as well.  before: words before the engine's own."""
    if os.geteuid() != 0:
        pytest.skip("dockerd needs root")
    folder = pathlib.Path(folder)
    engine = Docker(folder)
    programs = folder / "programs"
    programs.mkdir()
    for name in path_programs:
        (programs / name).symlink_to(runtime)
    (folder / "client").mkdir()
    (folder / "daemon.json").write_text(json.dumps({
        "runtimes": {"rune": {"path": runtime}}, "default-runtime": "rune", "storage-driver": "vfs",
        "data-root": str(folder / "data"), "exec-root": str(folder / "exec"), "pidfile": str(folder / "pid"),
        "hosts": [engine.env["DOCKER_HOST"]], "cgroup-parent": f"/{engine.groups}", **(config or {})}))
    env = dict(os.environ, PATH=f"{programs}:/usr/sbin:/usr/bin:/sbin:/bin")
    command = own_namespaces(*before, need_distribution_program("dockerd"), "--config-file", str(folder / "daemon.json"),
                             over={name: subordinate for name in ("/etc/subuid", "/etc/subgid") if subordinate},
                             beside={library_folder: libraries} if libraries else None)
    with open(folder / "log", "wb") as log:
        process = engine.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=env)
    try:
        wait_for(lambda: process.poll() is not None or engine.run("version").returncode == 0, "dockerd answering")
        if process.poll() is not None:
            pytest.skip("dockerd does not run here: " + (folder / "log").read_text()[-800:])
        write_busybox_archive(folder / "image.tar")
        engine("load", "-i", folder / "image.tar")
        yield engine
        left = engine.run("ps", "-aq").stdout.split()
        if left:
            engine.run("rm", "-f", *left)
    finally:
        end_process(process)
        leave_no_containerd(folder)
        remove_groups(engine.groups)


def cgroup_file(pid, v1_controller, v1_name, v2_name):
    """The content of a control file of the process's group, in whichever hierarchy has the controller."""
    for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if v1_controller in controllers.split(","):
            mount = next(line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
                         if " - cgroup " in line and v1_controller in line.split()[-1].split(","))
            return pathlib.Path(mount + path, v1_name).read_text().strip()
    return pathlib.Path("/sys/fs/cgroup" + path, v2_name).read_text().strip()


def status_field(text, name):
    """A field of /proc/PID/status."""
    return next(line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith(name + ":"))


class Podman(Client):
    """Podman with storage, configuration and namespaces of its own; as root or as a user without privilege."""

    def __init__(self, folder, holder, user=None):
        self.folder, self.holder = folder, holder
        enter = [need_program("nsenter"), "-t", str(holder.pid), "-m", "-n", "--"]
        become = [need_program("setpriv"), "--reuid", user, "--regid", user, "--clear-groups", "--inh-caps=-all",
                  "--"] if user else []
        super().__init__([*enter, *become, need_distribution_program("podman")],
                         {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(folder / "home"), "LANG": "C.UTF-8",
                          "CONTAINERS_CONF": str(folder / "containers.conf"), "TMPDIR": str(folder / "tmp"),
                          "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"), "TERM": "dumb",
                          "XDG_RUNTIME_DIR": str(folder / "run")})

    def inspect(self, name, template):
        return self("inspect", "--format", template, name)

    def pid(self, name):
        return int(self.inspect(name, "{{.State.Pid}}"))

    def sh(self, *options_and_script, status=0):
        """`podman run --rm OPTIONS image sh -c SCRIPT`."""
        *options, script = options_and_script
        return self("run", "--rm", *options, IMAGE, "sh", "-c", script, status=status)

    @contextlib.contextmanager
    def started(self, *options, command=("sleep", "1000")):
        """A container in the background."""
        name = self("run", "-d", *options, IMAGE, *command)
        try:
            yield name
        finally:
            self.run("rm", "-f", "-t", "0", name)


PODMAN_CONF = """
[containers]
default_ulimits = ["nofile=1000:1000", "nproc=2000:2000"]
cgroups = "{cgroups}"
netns = "{netns}"
log_driver = "k8s-file"
pids_limit = 0
[engine]
runtime = "rune"
cgroup_manager = "cgroupfs"
events_logger = "file"
infra_image = "{image}"
infra_command = ""
tmp_dir = "{folder}/run/libpod"
image_default_transport = "containers-storage:"
runtime_supports_json = ["rune", "runc", "crun"]
runtime_supports_nocgroup = ["rune", "crun"]
runtime_supports_nocgroups = ["rune", "crun"]
[engine.runtimes]
rune = ["{runtime}"]
[network]
network_backend = "cni"
network_config_dir = "{folder}/networks"
"""

STORAGE_CONF = """
[storage]
driver = "vfs"
graphroot = "{folder}/storage"
runroot = "{folder}/run/storage"
"""

ROOTLESS_ID = 61234  # of the user that is made for a rootless Podman


@contextlib.contextmanager
def running_podman(folder, runtime, rootless=False, cgroups="enabled", netns="bridge"):
    """Podman whose default runtime is `runtime`."""
    if os.geteuid() != 0:
        pytest.skip("a Podman apart from the machine's own needs root")
    with shared_groups(), podman_in_namespaces(folder, runtime, rootless, cgroups, netns) as podman:
        yield podman


@contextlib.contextmanager
def podman_in_namespaces(folder, runtime, rootless, cgroups, netns):
    folder = pathlib.Path(folder)
    for name in ("home", "tmp", "run", "networks", "storage"):
        (folder / name).mkdir()
    facts = {"runtime": runtime, "folder": folder, "image": PAUSE, "cgroups": cgroups, "netns": netns}
    (folder / "containers.conf").write_text(PODMAN_CONF.format(**facts))
    (folder / "storage.conf").write_text(STORAGE_CONF.format(**facts))
    write_busybox_archive(folder / "image.tar")
    remove_plain_folders()
    over = {}
    if rootless:
        over = user_files(folder, ROOTLESS_ID)
        subprocess.run(["chown", "-R", f"{ROOTLESS_ID}:{ROOTLESS_ID}", folder], check=True)
    holder = subprocess.Popen(own_namespaces("sh", "-c", "echo; exec sleep 100000", over=over), stdout=subprocess.PIPE)
    podman = Podman(folder, holder, user=str(ROOTLESS_ID) if rootless else None)
    try:
        assert holder.stdout.read(1) == b"\n"
        loaded = podman.run("load", "-i", folder / "image.tar")
        if loaded.returncode != 0:
            pytest.skip("Podman does not run here: " + loaded.stderr[-800:])
        yield podman
    finally:
        podman.run("pod", "rm", "-f", "-a", "-t", "0")
        podman.run("rm", "-f", "-a", "-t", "0")
        if rootless:
            podman.run("system", "migrate")  # ends the process that holds the user namespace
        holder.stdout.close()
        end_process(holder)


def user_files(folder, number):
    """What stands over the machine's files about users, so that user `number` exists, with subordinate ids."""
    lines = {"passwd": f"engine-test:x:{number}:{number}::{folder}/home:/bin/sh\n",
             "group": f"engine-test:x:{number}:\n"}
    over = {}
    for name, line in lines.items():
        (folder / name).write_text(pathlib.Path("/etc", name).read_text() + line)
        over["/etc/" + name] = folder / name
    (folder / "ids").write_text("engine-test:700000:65536\n")
    tun = folder / "tun"
    os.mknod(tun, 0o666 | stat.S_IFCHR, os.makedev(10, 200))
    tun.chmod(0o666)  # as udev does it
    return {**over, "/dev/net/tun": tun, "/etc/subuid": folder / "ids", "/etc/subgid": folder / "ids"}


class Containerd(Client):
    """A running containerd and its client ctr."""

    def __init__(self, folder, runtime):
        self.folder, self.runtime, self.socket = folder, runtime, folder / "containerd.sock"
        super().__init__([need_distribution_program("ctr"), "--address", self.socket], dict(os.environ))

    def entered(self, process):
        """A client in the mount namespace of the daemon: both use pipes below /run/containerd."""
        self.command = [need_program("nsenter"), "-t", str(process.pid), "-m", "--", *self.command]

    def box(self, *options, name, command=("sleep", "1000")):
        """`ctr run` with the runtime under test."""
        return self("run", "--snapshotter", "native", "--runtime", "io.containerd.runc.v2", "--runc-binary", self.runtime,
                    *options, IMAGE, name, *command)

    @contextlib.contextmanager
    def started(self, *options, name, command=("sleep", "1000")):
        """A container in the background."""
        self.box("-d", *options, name=name, command=command)
        try:
            yield name
        finally:
            self.run("tasks", "kill", "-s", "KILL", "-a", name)
            wait_for(lambda: self.run("tasks", "rm", "-f", name).returncode == 0 or name not in self("tasks", "ls"),
                     "the end of the task")
            self("containers", "rm", name)


CONTAINERD_CONF = """
version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  disable_apparmor = true
  restrict_oom_score_adj = true
  disable_hugetlb_controller = true
  sandbox_image = "{pause}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}/networks"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
    default_runtime_name = "rune"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.rune]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.rune.options]
        BinaryName = "{runtime}"
"""

NETWORK = {"cniVersion": "0.4.0", "name": "pods", "plugins": [
    {"type": "bridge", "bridge": "pods0", "isGateway": True,
     "ipam": {"type": "host-local", "subnet": "10.99.7.0/24", "dataDir": "{folder}/addresses"}}]}


@contextlib.contextmanager
def running_containerd(folder, runtime):
    """A containerd whose runtime is `runtime`, in ctr and in its Container Runtime Interface."""
    if os.geteuid() != 0:
        pytest.skip("containerd needs root")
    with shared_groups(), containerd_in_namespaces(folder, runtime) as engine:
        yield engine


@contextlib.contextmanager
def containerd_in_namespaces(folder, runtime):
    folder = pathlib.Path(folder)
    engine = Containerd(folder, runtime)
    for name in ("networks", "run"):
        (folder / name).mkdir()
    (folder / "networks" / "10-pods.conflist").write_text(json.dumps(NETWORK).replace("{folder}", str(folder)))
    (folder / "config.toml").write_text(CONTAINERD_CONF.format(folder=folder, runtime=runtime, pause=PAUSE))
    pathlib.Path("/run/containerd").mkdir(exist_ok=True)  # where shims have their sockets, whatever the configuration
    command = own_namespaces(need_distribution_program("containerd"), "--config", str(folder / "config.toml"),
                             over={"/run/containerd": folder / "run"})
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        wait_for(lambda: process.poll() is not None or engine.run("version").returncode == 0, "containerd answering")
        if process.poll() is not None:
            pytest.skip("containerd does not run here: " + (folder / "log").read_text()[-800:])
        write_busybox_archive(folder / "image.tar")
        engine.entered(process)
        for namespace in ("default", "k8s.io"):
            engine("--namespace", namespace, "images", "import", "--snapshotter", "native", folder / "image.tar")
        yield engine
    finally:
        for namespace in ("default", "k8s.io"):
            for task in engine.run("--namespace", namespace, "tasks", "ls", "-q").stdout.split():
                engine.run("--namespace", namespace, "tasks", "rm", "-f", task)
        end_process(process)
