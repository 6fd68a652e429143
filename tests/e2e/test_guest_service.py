# SPDX-License-Identifier: Apache-2.0
"""The process service in real virtual machines: the container that SETUP asks for, and what its processes see."""
import contextlib
import pathlib
import shutil
import struct
import tempfile

import pytest

import cpio
from guest_service import (CREATE, CREATED, DATA, EXITED, FAILED, MOUNTS, PORT, SETUP, SHUTDOWN, SIGNAL, SIGNALED, START, Service,
                           mount, process, record, text)
from guestvm import GuestVM, application, bootstrap, serving

SIGKILL, SIGTERM = 9, 15
ENGINES_CAPABILITIES = 0xA80425FB  # what they give to containers


@pytest.fixture
def boot(build_dir):
    with contextlib.ExitStack() as stack:
        def start(files=(), xattrs=None, copies=()):
            ramdisk = bootstrap(build_dir) + application([*files], serving(), xattrs) + cpio.write(list(copies))
            folder = pathlib.Path(tempfile.mkdtemp(prefix="guest"))
            stack.callback(shutil.rmtree, folder)
            machine = GuestVM(build_dir, folder, ramdisk)
            stack.callback(machine.close)
            assert machine.wait_message("STARTED", "FAILED")[0] == "STARTED"
            return machine, Service(machine.connect(PORT))
        yield start


def test_a_container_is_one(boot):
    machine, service = boot(files=[cpio.directory("rootfs/etc"), cpio.directory("rootfs/srv"),
                                   cpio.file("rootfs/etc/hosts", "old"), cpio.symlink("rootfs/etc/link", "/srv/made")],
                            copies=[cpio.directory("copies"), cpio.directory("copies/0"),
                                    cpio.file("copies/0/data", "copied"), cpio.file("copies/1", "one file")])
    service.set_up(
        record(1, text("box-7")), record(2, text("example")), record(3), record(4, text("net/ipv4/ip_forward", "1")),
        *MOUNTS, mount("tmpfs", "/tmp", 2, "size=1m,mode=1777"), mount("copied", "/vol", 1, source="0"),
        mount("copied", "/srv/one", source="1"),
        record(6, text("/proc/kcore")), record(6, text("/sys/firmware")), record(7, text("/proc/sys")),
        record(8, struct.pack(">I", 0o640) + text("/etc/hosts") + b"127.0.0.1 localhost\n"),
        record(8, struct.pack(">I", 0o644) + text("/etc/link") + b"through a link"))
    script = ("echo pid $$; ps -o pid,args | grep -c [e]nclave-init; hostname; cat /proc/sys/kernel/domainname; "
              "cat /proc/sys/net/ipv4/ip_forward; cat /etc/hosts; stat -c %a /etc/hosts; cat /srv/made; echo; "
              "cat /vol/data; echo; cat /srv/one; echo; "
              "echo x > /vol/data; echo x > /file; echo x > /proc/sys/net/ipv4/ip_forward; echo x > /tmp/file && echo tmp; "
              "head -c 1 /proc/kcore | wc -c; ls /sys/firmware | wc -l; ls -d /copies /modules /rootfs /enclave; "
              "readlink /dev/ptmx; stat -c '%t %T %a' /dev/null; tty; ls /sys/fs/cgroup/cgroup.procs; "
              "sleep 100 & exit 3").replace("| wc -c", "| md5sum").replace("| wc -l", "| md5sum")
    status, out, err = service.run(1, script)
    lines = out.decode().splitlines()
    empty = "d41d8cd98f00b204e9800998ecf8427e  -"
    assert status == 3
    assert lines == ["pid 1", "0", "box-7", "example", "1", "127.0.0.1 localhost", "640", "through a link", "copied",
                     "one file", "tmp", empty, empty, "pts/ptmx", "1 3 666", "not a tty",
                     "/sys/fs/cgroup/cgroup.procs"], err.decode()
    assert err.decode().count("Read-only file system") == 3, err.decode()
    service.send(CREATE, 2, process(["true"]))
    assert service.receive()[:2] == (FAILED, 2), "behind the container's process nothing runs"
    service.send(SHUTDOWN, 0)
    assert machine.outcome() == ("EXITED", 3)


def test_further_processes_join_and_end_with_the_first(boot):
    machine, service = boot()
    service.set_up(*MOUNTS)
    service.start(1, ["/bin/sleep", "100"])
    assert service.run(2, "echo joined $$; ps -o pid,args; cat; exit 4", b"typed")[0] == 4
    status, out, _ = service.run(3, "tr a-z A-Z", b"stdin")
    assert (status, out) == (0, b"STDIN")
    assert service.run(4, "id -u; id -g; id -G; pwd; umask; grep CapEff /proc/self/status", uid=1000, gid=1001,
                       groups=[5, 6], cwd="/made/here", umask=0o77, capabilities=0) == (
        0, b"1000\n1001\n1001 5 6\n/made/here\n0077\nCapEff:\t0000000000000000\n", b"")
    service.start(5, ["/bin/sh", "-c", "tty; stty size 2>/dev/null; read x; echo got $x"], terminal=(24, 80))
    frame = service.expect(DATA, 5)
    assert frame.startswith(b"\x01/dev/pts/0")
    service.send(DATA, 5, b"\0line\n")
    assert service.collect(5)[0] == 0
    service.send(CREATE, 6, process(["/nonexistent"]))
    service.expect(CREATED, 6)
    service.send(START, 6)
    kind, number, payload = service.receive()
    assert (kind, number) == (FAILED, 6) and b"/nonexistent" in payload
    service.start(7, ["/bin/sleep", "100"])
    service.send(SIGNAL, 1, struct.pack(">I", SIGKILL))
    ended = [service.receive() for _ in range(6)]
    signaled = [(number, payload[:4]) for kind, number, payload in ended if kind == SIGNALED]
    assert sorted(signaled) == [(1, struct.pack(">I", SIGKILL)), (7, struct.pack(">I", SIGKILL))]
    service.stream.close()
    assert machine.outcome() == ("SIGNALED", SIGKILL, False)


def test_what_init_has_open_is_out_of_a_containers_reach_while_a_process_joins(boot):
    """Until it executes, what is to be a process of the container has init's connection and control group."""
    _, service = boot()
    service.set_up(*MOUNTS)
    service.start(1, ["/bin/sh", "-c", "trap 'exit 0' TERM; echo; while :; do "
                      "ls -l /proc/[0-9]*/fd 2>/dev/null | grep -B9 socket: && exit 1; done"], capabilities=ENGINES_CAPABILITIES)
    service.expect(DATA, 1)
    # Finding its program takes so long that the other one can't miss it.
    service.start(2, ["true"], env=["PATH=" + ":/x" * 2000 + ":/bin"], capabilities=ENGINES_CAPABILITIES)
    service.send(SIGNAL, 1, struct.pack(">I", SIGTERM))
    seen = b""
    while (frame := service.receive())[:2] != (EXITED, 1):
        seen += frame[2][1:] if frame[:2] == (DATA, 1) else b""
    assert (struct.unpack(">I", frame[2])[0], seen) == (0, b""), seen.decode()


def test_limits_hold_in_the_container_and_for_whoever_joins(boot):
    _, service = boot()
    deny_all = bytes.fromhex("b700000000000000" "9500000000000000")  # r0 = 0; exit
    service.set_up(*MOUNTS, record(9, text("pids.max", "4")), record(9, text("cpu.max", "50000 100000")), record(10, deny_all))
    service.start(1, ["/bin/sleep", "100"])
    assert service.run(2, "cat /proc/self/cgroup; cd /sys/fs/cgroup; cat pids.max cpu.max")[1] == b"0::/\n4\n50000 100000\n"
    _, _, err = service.run(3, "mount -o remount,rw /sys/fs/cgroup && echo max > /sys/fs/cgroup/pids.max")
    assert b"write error: Operation not permitted" in err, "its own limits aren't the container's to change"
    _, _, err = service.run(4, "mknod /zero c 1 5; sleep 9 & sleep 9 & sleep 9 &")
    assert b"/zero: Operation not permitted" in err and b"can't fork: Resource temporarily unavailable" in err, err


@pytest.mark.parametrize("limits, said", [
    ([record(9, text("no.such", "1"))], struct.pack(">I", 2) + b'limit the container to "1"\0no.such\0'),
    ([record(9, text("pids.max", "many"))], struct.pack(">I", 22) + b'limit the container to "many"\0pids.max\0'),
    ([record(10, bytes(8))], struct.pack(">I", 22) + b"load the device filter\0\0"),
], ids=["file", "value", "filter"])
def test_a_limit_that_this_kernel_cannot_keep_is_told(boot, limits, said):
    _, service = boot()
    service.send(SETUP, 0, b"".join([*MOUNTS, *limits]))
    assert service.receive() == (FAILED, 0, said)


@pytest.mark.parametrize("null", [cpio.symlink("rootfs/dev/null", "/etc/hosts"), cpio.file("rootfs/dev/null", "")],
                         ids=["link", "file"])
def test_an_image_does_not_choose_what_hides_a_path(boot, null):
    _, service = boot(files=[cpio.directory("rootfs/etc"), cpio.file("rootfs/etc/hosts", "seen"), cpio.directory("rootfs/dev"),
                             null])
    service.send(SETUP, 0, MOUNTS[0] + record(6, text("/proc/kcore")))
    assert service.receive() == (FAILED, 0, struct.pack(">I", 19) + b"hide paths by it: it is no null device\0/dev/null\0")


def test_a_setup_that_cannot_be_carried_out_is_told(boot):
    machine, service = boot()
    service.send(SETUP, 0, mount("nosuchfs", "/x"))
    kind, _, payload = service.receive()
    assert kind == FAILED and payload == struct.pack(">I", 19) + b"mount nosuchfs\0/x\0"
    service.stream.close()
    assert machine.outcome()[0] == "SIGNALED", "the machine ends with the connection"
