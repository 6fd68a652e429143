# SPDX-License-Identifier: Apache-2.0
"""Fixtures that several end-to-end tests share: where the built programs are, real registries, a real Docker engine.

Everything started here is stopped by its pid, keeps its state in a temporary folder and listens on loopback or a
Unix socket only.
"""
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

# A shell that starts us in the background has us ignore SIGINT and SIGQUIT, nohup(1) SIGHUP, and so would all that we start,
# to the programs in containers.  What a handler takes, and drops, is theirs again.
signal.signal(signal.SIGINT, signal.default_int_handler)
for ignored in (signal.SIGQUIT, signal.SIGHUP):
    if signal.getsignal(ignored) == signal.SIG_IGN:
        signal.signal(ignored, lambda *_: None)

DEADLINE = 60  # seconds that a state may take to come about


def wait_for(condition, what, deadline=DEADLINE):
    """Polls `condition` until it gives something true, which is returned."""
    end = time.monotonic() + deadline
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not happen within {deadline} s")
        time.sleep(0.02)


def copy_sources(folder):
    """The project's own files, as they are in the working tree, in a folder that is made."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True,
                            capture_output=True).stdout
    for name in filter(None, listed.split(b"\0")):
        target = folder / os.fsdecode(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / os.fsdecode(name), target, follow_symlinks=False)


def need_program(name):
    """The program's path; skips the test where it is not installed."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if not path:
        pytest.skip(f"{name} is not installed")
    return path


CLAIMS = []  # sockets that hold the names of the ports which tests were given, as long as this process lives


def given_out_by_chance():
    """The ports of which the kernel gives one to whoever asks for any, and to whoever connects."""
    first, last = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    return range(int(first), int(last) + 1)


def claim(port):
    """Whether nobody listens there, and no other test was given it: an abstract socket's name is as unique as a port, and goes
    with the process."""
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0coffer-test-port-{port}")
        with socket.create_server(("127.0.0.1", port)):
            pass
    except OSError:
        name.close()
        return False
    CLAIMS.append(name)
    return True


def free_port():
    """A port of 127.0.0.1 for a program that must be told one, and will take it a while later: where there are such, one that
    nobody gets without naming it."""
    chance = given_out_by_chance()
    return next(filter(claim, [*range(chance.start - 1, 1023, -1), *range(chance.stop, 65536), *chance]))


def end_process(process, grace=20):
    """SIGTERM, then SIGKILL; reaps."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def build_dir():
    """The build tree under test: COFFER_BUILD, else build/."""
    path = pathlib.Path(os.environ.get("COFFER_BUILD", ROOT / "build")).resolve()
    if not path.is_dir():
        pytest.skip(f"no build in {path}")
    return path


class Registry:
    """A running docker-registry."""

    def __init__(self, port, user=None, password=None):
        self.host = f"127.0.0.1:{port}"
        self.user, self.password = user, password

    def push(self, layout, tag, name, *more, preserve=True):
        """Copies an OCI layout's image into the registry as `name`; its digests stay unless preserve is False."""
        if preserve:
            more += ("--preserve-digests",)
        command = [need_program("skopeo"), "copy", "--insecure-policy", "--quiet", "--dest-tls-verify=false", *more,
                   f"oci:{layout}:{tag}", f"docker://{self.host}/{name}"]
        if self.user:
            command[-2:-2] = ["--dest-creds", f"{self.user}:{self.password}"]
        subprocess.run(command, check=True, timeout=DEADLINE)


def http_status(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


@contextlib.contextmanager
def running_registry(folder, user=None, password=None):
    """A docker-registry over `folder`; with user and password it asks for them (htpasswd, bcrypt)."""
    program = need_program("docker-registry")
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    auth = ""
    if user:
        htpasswd = subprocess.run([need_program("htpasswd"), "-Bbn", user, password], check=True,
                                  capture_output=True).stdout
        (folder / "htpasswd").write_bytes(htpasswd)
        auth = f"auth:\n  htpasswd:\n    realm: test\n    path: {folder}/htpasswd\n"
    config = folder / "config.yml"
    config.write_text("version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\n"
                      f"storage:\n  filesystem:\n    rootdirectory: {folder}/data\n"
                      f"http:\n  addr: 127.0.0.1:{port}\n{auth}")
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen([program, "serve", str(config)], stdout=log, stderr=log,
                                   stdin=subprocess.DEVNULL)
    try:
        wait_for(lambda: process.poll() is not None or http_status(f"http://127.0.0.1:{port}/v2/"),
                 "docker-registry answering")
        assert process.poll() is None, (folder / "log").read_text()
        yield Registry(port, user, password)
    finally:
        end_process(process)


@pytest.fixture(scope="session")
def registry(tmp_path_factory):
    """A docker-registry that anybody may use."""
    with running_registry(tmp_path_factory.mktemp("registry")) as one:
        yield one


@pytest.fixture(scope="session")
def password_registry(tmp_path_factory):
    """A docker-registry that asks for Basic authentication."""
    with running_registry(tmp_path_factory.mktemp("registry-auth"), "alice", "correct horse:battery") as one:
        yield one


class DockerEngine:
    """A running dockerd with a state of its own."""

    def __init__(self, folder):
        self.socket = folder / "docker.sock"
        self.host = f"unix://{self.socket}"
        self.env = dict(os.environ, DOCKER_HOST=self.host, DOCKER_CONFIG=str(folder / "client"))

    def docker(self, *arguments, **rest):
        """Runs the docker client against this engine."""
        return subprocess.run([need_program("docker"), *arguments], check=True, env=self.env, timeout=DEADLINE,
                              capture_output=True, **rest)

    def load(self, archive):
        """Loads a docker-archive."""
        with open(archive, "rb") as source:
            return self.docker("load", stdin=source)

    def answers(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            try:
                s.connect(str(self.socket))
                s.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
                return b" 200 " in s.recv(4096)
            except OSError:
                return False


@pytest.fixture(scope="session")
def docker_engine(tmp_path_factory):
    """A real Docker engine: own data, own socket, no network set-up. Needs root."""
    if os.geteuid() != 0:
        pytest.skip("dockerd needs root")
    program = need_program("dockerd")
    folder = tmp_path_factory.mktemp("docker")
    engine = DockerEngine(folder)
    (folder / "daemon.json").write_text("{}")  # not the machine's own
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            [program, "--data-root", str(folder / "data"), "--exec-root", str(folder / "exec"),
             "--pidfile", str(folder / "pid"), "-H", engine.host, "--config-file", str(folder / "daemon.json"),
             "--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver", "vfs"],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        wait_for(lambda: process.poll() is not None or engine.answers(), "dockerd answering")
        if process.poll() is not None:
            pytest.skip("dockerd does not run here: " + (folder / "log").read_text()[-500:])
        yield engine
    finally:
        end_process(process)
        leave_no_containerd(folder)


def leave_no_containerd(folder):
    """dockerd's own containerd ends with it; where dockerd had to be killed, it must go too."""
    with contextlib.suppress(OSError, ValueError):
        pid = int((folder / "exec" / "containerd" / "containerd.pid").read_text())
        # The file may have outlived it, and its number be another's by now.
        if str(folder).encode() in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
