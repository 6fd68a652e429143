# SPDX-License-Identifier: Apache-2.0
"""enclave-init in real virtual machines: what the workload gets, how its end is told, and what happens when something
is missing."""
import base64
import contextlib
import pathlib
import re
import shutil
import tempfile
import threading

import pytest

import cpio
from conftest import wait_for
from guestvm import BUSYBOX, GuestVM, application, bootstrap, configuration

SIGUSR1, SIGQUIT, SIGSEGV = 10, 3, 11
ENOENT, EACCES = 2, 13
PIPE_SIZE = 65536


@pytest.fixture
def boot(build_dir):
    """boot(argv, files=..., xattrs=..., raw_config=..., **rest): a booted guest; GuestVM's options in vm={...}."""
    with contextlib.ExitStack() as stack:
        def start(argv=None, files=(), xattrs=None, raw_config=None, modules=True, vm=None,
                  **rest):
            config = raw_config if argv is None else configuration(argv, **rest)
            ramdisk = bootstrap(build_dir, modules) + application(files, config, xattrs)
            # Names of Unix sockets are short, so their folder's has to be.
            folder = pathlib.Path(tempfile.mkdtemp(prefix="guest"))
            stack.callback(shutil.rmtree, folder)
            machine = GuestVM(build_dir, folder, ramdisk, **(vm or {}))
            stack.callback(machine.close)
            return machine
        yield start


def script(name, text):
    return cpio.file(f"rootfs/{name}", "#!/bin/sh\n" + text, 0o755)


# --- what the workload gets ---

def test_workload_gets_what_the_image_says(boot):
    arguments = ["", "two\nlines", "sp ace", "é\x01", "*"]
    machine = boot(
        ["show", *arguments],
        env=["PATH=/srv/bin:/bin", "MULTI=a\nb=c\n", "EMPTY="], cwd="/srv/made/for it", uid=1234, gid=2345,
        groups=[3456, 4567],
        files=[cpio.directory("rootfs/srv"), cpio.directory("rootfs/srv/bin"), cpio.directory("rootfs/etc"),
               cpio.file("rootfs/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nme:x:1234:2345::/home/me:/bin/sh\n"),
               script("srv/bin/show", 'for a; do echo "arg $(echo -n "$a" | base64)"; done\n'
                      'echo "multi $(echo -n "$MULTI." | base64)"\n'
                      'echo "home $HOME host $HOSTNAME empty [${EMPTY-unset}] cwd $(pwd)"\n'
                      'grep -E "^(Uid|Gid|Groups|SigBlk|SigIgn)" /proc/self/status\n'
                      'echo "stdin $(readlink /proc/self/fd/0) session $(awk \'{print $6, $7}\' /proc/$$/stat) pid $$"\n'
                      'echo "umask $(umask) files $(ulimit -n) $(ulimit -Hn)"\n'
                      'echo written > /dev/stdout\n'
                      'exit 7\n')])
    assert machine.outcome() == ("EXITED", 7)
    assert [m[0] for m in machine.messages] == ["HELLO", "STARTED", "EXITED"]
    assert machine.messages[0] == ("HELLO", 1)
    assert machine.heartbeats == 1
    lines = machine.lines()
    assert [base64.b64decode(line[4:]).decode() for line in lines if line.startswith("arg ")] == arguments
    assert base64.b64encode(b"a\nb=c\n.").decode() in machine.text()
    assert "home /home/me host enclave empty [] cwd /srv/made/for it" in lines
    status = {line.split(":")[0]: line.split()[1:] for line in lines if re.match(r"[A-Z]\w+:\t", line)}
    assert status["Uid"] == ["1234"] * 4
    assert status["Gid"] == ["2345"] * 4
    assert status["Groups"] == ["3456", "4567"]
    assert status["SigIgn"] == status["SigBlk"] == ["0000000000000000"]
    (pid,) = (line.split()[-1] for line in lines if line.startswith("stdin "))
    assert f"stdin /dev/null session {pid} 0 pid {pid}" in lines, "session leader without a terminal"
    assert machine.messages[1] == ("STARTED", int(pid))
    assert "umask 0022 files 1024 524288" in lines
    assert "written" in lines
    assert b"\r\n" not in machine.console[machine.console.index(b"arg "):machine.console.index(b"written")]


def test_the_root_is_a_containers(boot):
    machine = boot(["/check"], hostname="web-1", files=[
        cpio.directory("rootfs/run"), cpio.file("rootfs/run/kept", "kept"), cpio.directory("rootfs/etc"),
        cpio.file("rootfs/etc/hosts", ""), cpio.file("rootfs/etc/resolv.conf", "nameserver 192.0.2.1\n"),
        script("check", 'cat /proc/mounts | awk \'{print "mount", $2, $3}\'\n'
               'for n in null zero full random urandom tty vsock; do stat -c "node %n %a" /dev/$n; done\n'
               'for l in fd stdin stdout stderr; do echo "link $l $(readlink /dev/$l)"; done\n'
               'stat -c "folder %n %a" /tmp /run /var/tmp /dev/shm\n'
               'echo "run $(cat /run/kept) init $(ls /init /modules /enclave 2>/dev/null)"\n'
               'cat /etc/hosts; echo "resolv $(cat /etc/resolv.conf) name $(hostname) $(cat /etc/hostname)"\n'
               'ip addr show lo\n'
               'echo ping | nc -l -p 5000 & until echo | nc 127.0.0.1 5000; do :; done\n'
               '(sleep 0.01 &); (sleep 0.02 &)\n'
               'while [ -n "$(ps -o stat,args | grep -E "^Z|sleep 0.0[1]|sleep 0.0[2]")" ]; do :; done\n'
               'echo "reaped"\n')])
    assert machine.outcome() == ("EXITED", 0)
    lines = machine.lines()
    for target, kind in (("/", "rootfs"), ("/proc", "proc"), ("/sys", "sysfs"), ("/dev", "devtmpfs"),
                         ("/dev/pts", "devpts"), ("/dev/shm", "tmpfs"), ("/dev/mqueue", "mqueue"),
                         ("/sys/fs/cgroup", "cgroup2")):
        assert lines.count(f"mount {target} {kind}") == 1
    assert sum(line.startswith("mount ") for line in lines) == 8, "nothing else is mounted, nothing twice"
    for name in ("null", "zero", "full", "random", "urandom", "tty", "vsock"):
        assert f"node /dev/{name} 666" in lines
    assert {"link fd /proc/self/fd", "link stdin /proc/self/fd/0", "link stdout /proc/self/fd/1",
            "link stderr /proc/self/fd/2"} <= set(lines)
    assert {"folder /tmp 1777", "folder /run 755", "folder /var/tmp 1777", "folder /dev/shm 1777"} <= set(lines)
    assert "run kept init " in lines
    assert "127.0.1.1\tweb-1" in lines, "an empty /etc/hosts is filled"
    assert "resolv nameserver 192.0.2.1 name web-1 web-1" in lines, "a resolv.conf of the image stays"
    assert "inet 127.0.0.1/8" in machine.text() and "inet6 ::1/128" in machine.text()
    assert "ping" in lines and "reaped" in lines
    assert "warning" not in machine.text()


def test_extended_attributes_are_set(boot):
    # struct vfs_ns_cap_data, version 2, effective: cap_net_raw (13)
    capability = "01000002" + "00200000" + "00000000" * 3
    machine = boot(["/capped/grep", "CapEff", "/proc/self/status"], uid=1000, gid=1000,
                   files=[cpio.directory("rootfs/capped"),
                          cpio.file("rootfs/capped/grep", pathlib.Path(BUSYBOX).read_bytes(), 0o755)],
                   xattrs=f"capped/grep\0security.capability\0{capability}\0/absent\0security.x\0" + "00\0")
    assert machine.outcome() == ("EXITED", 0)
    assert "CapEff:\t0000000000002000" in machine.lines()
    assert "enclave-init: warning: cannot set security.x of /absent: No such file or directory" in machine.lines()


# --- signals and ends ---

def test_signals_reach_the_workload_and_shutdown_sends_its_stop_signal(boot):
    machine = boot(["sh", "-c", 'trap "echo got usr1" USR1; trap "echo got quit; exit 5" QUIT; echo ready\n'
                    'while :; do sleep 0.05; done'], stop_signal=SIGQUIT)
    machine.wait_console("ready")
    machine.send_signal(SIGUSR1)
    machine.wait_console("got usr1")
    machine.send_shutdown()
    assert machine.outcome() == ("EXITED", 5)
    assert "got quit" in machine.lines()


def test_a_deadly_signal_is_told(boot):
    machine = boot(["sh", "-c", "(sleep 1000 &); kill -SEGV $$"])
    assert machine.outcome() == ("SIGNALED", SIGSEGV, False)


def test_a_console_that_nobody_reads_holds_up_the_workload_but_not_init(boot):
    machine = boot(["sh", "-c", "yes flood & while :; do sleep 0.05; done"], vm={"read_console": False})
    machine.wait_message("STARTED")
    wait_for(lambda: machine.console_backlog() >= PIPE_SIZE, "a full console")
    machine.send_signal(9)
    assert machine.wait_message("EXITED", "SIGNALED") == ("SIGNALED", 9, False)
    machine.read_console_on()
    machine.wait_end()
    assert "flood" in machine.lines()


@pytest.mark.parametrize("argv, errno, stage, path", [
    (["/srv/nothing", "x"], ENOENT, "execute the command", "/srv/nothing"),
    (["/text"], EACCES, "execute the command", "/text"),
    (["/script"], ENOENT, "execute /script: the image lacks its interpreter", "/usr/bin/python9"),
    (["nothing"], ENOENT, "find the command in PATH /sbin:/bin", "nothing"),
], ids=["missing", "not-executable", "no-interpreter", "not-in-path"])
def test_a_command_that_cannot_start_is_told_with_its_reason(boot, argv, errno, stage, path):
    machine = boot(argv, env=["PATH=/sbin:/bin"], files=[
        cpio.file("rootfs/text", "hello"), cpio.file("rootfs/script", "#! /usr/bin/python9 -I\n", 0o755)])
    assert machine.outcome() == ("FAILED", errno, stage, path)
    assert [m[0] for m in machine.messages] == ["HELLO", "FAILED"]
    assert f"enclave-init: cannot {stage}: {path}: " in machine.text()


# --- ports ---

def echo_through(machine, port, data):
    """Sends data, ends that direction, and returns all that comes back."""
    with machine.connect(port) as stream:
        sender = threading.Thread(target=lambda: (stream.sendall(data), stream.shutdown(1)))
        sender.start()
        received = b""
        while chunk := stream.recv(65536):
            received += chunk
        sender.join()
    return received


def test_exposed_ports_are_bridged(boot):
    machine = boot(["sh", "-c", "sleep 0.3; nc -ll -p 7000 -e cat"], ports=[7000, 7001])
    machine.wait_message("STARTED")
    data = bytes(range(256)) * 4096
    # The server listens only after a while: the first stream waits for it.
    assert echo_through(machine, 7000, b"early") == b"early"
    with machine.connect(7000) as idle:
        assert echo_through(machine, 7000, data) == data
        idle.sendall(b"still here")
        assert idle.recv(100) == b"still here"
    with pytest.raises(AssertionError, match="refused"):
        machine.connect(7002)
    machine.send_signal(9)
    assert machine.outcome() == ("SIGNALED", 9, False)


# --- other parents, and none ---

def test_without_vsock_the_workload_runs_and_the_console_tells(boot):
    machine = boot(["sh", "-c", "echo here; exit 3"], modules=False, vm={"vsock": False})
    machine.wait_end()
    assert "enclave-init: warning: no vsock device: there is no parent to report to" in machine.lines()
    assert "here" in machine.lines()
    assert "enclave-init: the command exited with status 3" in machine.lines()


def test_a_host_with_the_heartbeat_alone_will_do(boot):
    machine = boot(["echo", "here"], vm={"control": False, "parent_cid": 3})
    machine.wait_end()
    assert machine.heartbeats == 1
    assert "here" in machine.lines()


def test_a_host_without_heartbeat_gets_no_workload(boot):
    machine = boot(["echo", "here"], vm={"control": False, "heartbeat": False})
    machine.wait_end()
    assert "cannot reach the parent: nobody answers the heartbeat at CID 2 or 3" in machine.text()
    assert "here" not in machine.lines()


def test_a_silent_heartbeat_is_tolerated_where_the_control_channel_works(boot):
    machine = boot(["true"], vm={"heartbeat": False})
    assert machine.outcome() == ("EXITED", 0)


# --- broken images ---

def test_an_image_too_large_for_the_memory_is_told(boot):
    machine = boot(["true"], files=[cpio.file("rootfs/big", bytes(60 << 20))], vm={"memory": 176})
    kind, errno, stage, path = machine.outcome()
    assert (kind, errno, path) == ("FAILED", ENOENT, "/enclave/config")
    assert "the enclave's memory is too small" in stage


def test_a_damaged_configuration_is_told(boot):
    machine = boot(raw_config="coffer-guest-config 1\0arg=/bin/true\0uid=x\0end\0")
    assert machine.outcome() == ("FAILED", 0, "read the image's configuration: /enclave/config: record \"uid\": "
                                 "\"x\" is not a number from 0 to 4294967294", "")
