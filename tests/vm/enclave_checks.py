# SPDX-License-Identifier: Apache-2.0
"""What test_enclave_kvm.py runs inside the test host VM: enclaves under real KVM, over the kernel's vhost-vsock and over
our own device.  enclave_checks.py QT EIF [EIF-FOR-CID-3]; ends with "all good"."""
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import time

QT, EIF, *MORE = sys.argv[1:]
DEADLINE = 120
VHOST_VSOCK_SET_GUEST_CID = 0x4008AF60  # <linux/vhost.h>


def qt(*words):
    result = subprocess.run([QT, "enclave", *map(str, words)], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    sys.stderr.write(result.stderr)
    assert result.returncode == 0, (words, result.returncode, result.stdout)
    return result.stdout


def wait_for(condition, what):
    end = time.monotonic() + DEADLINE
    while not (result := condition()):
        assert time.monotonic() < end, what
        time.sleep(0.05)
    return result


def greeting(cid):
    """What the enclave's port 7000 says to an ordinary AF_VSOCK program on the parent."""
    with socket.socket(socket.AF_VSOCK) as s:
        s.settimeout(10)
        try:
            s.connect((cid, 7000))
            return s.makefile("rb").read()
        except OSError:
            return b""


def qemu_of(pid):
    children = open(f"/proc/{pid}/task/{pid}/children").read().split()
    return {child: open(f"/proc/{child}/cmdline").read().split("\0") for child in children}


def jump(seconds):
    time.clock_settime(time.CLOCK_REALTIME, time.time() + seconds)


def check_clock_jumps():
    """The clock is set while an enclave starts, runs and is stopped: only what it shows changes."""
    starting = subprocess.Popen([QT, "enclave", "start", "--eif", EIF, "--mem", "256", "--cpus", "1"], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
    for step in (86400, -3 * 86400, 2 * 86400):
        time.sleep(0.2)
        jump(step)
    out, err = starting.communicate(timeout=DEADLINE)
    assert starting.returncode == 0, err
    one = json.loads(out)
    assert wait_for(lambda: greeting(one["EnclaveCID"]), "the greeting") == b"hello\n"
    stopping = subprocess.Popen([QT, "enclave", "stop", "--enclave-id", "0"])
    jump(-86400)
    jump(86400)
    assert stopping.wait(DEADLINE) == 0
    assert json.loads(qt("query")) == []


def check_forward():
    """A confined forward still reaches an enclave by the kernel's vsock."""
    one = json.loads(qt("start", "--eif", EIF, "--mem", 256, "--cpus", 1))
    with subprocess.Popen([QT, "enclave", "forward", "--enclave-id", str(one["EnclaveID"]), "0:7000"], stderr=subprocess.PIPE,
                          text=True) as forward:
        port = int(forward.stderr.readline().split(":")[1].split()[0])

        def answer():
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
                    return s.makefile("rb").read()
            except OSError:
                return b""
        assert wait_for(answer, "the greeting") == b"hello\n"
        forward.terminate()
    qt("stop", "--all")


def check_kernel_vsock():
    one = json.loads(qt("start", "--eif", EIF, "--mem", 256, "--cpus", 1))
    assert one["Isolation"] == "kvm", one
    assert any("vhost-vsock-device" in word for line in qemu_of(one["ProcessID"]).values() for word in line)
    two = json.loads(qt("start", "--eif", EIF, "--mem", 256, "--cpus", 1))
    assert (one["EnclaveCID"], two["EnclaveCID"]) == (4, 5)
    for enclave in (one, two):
        assert wait_for(lambda: greeting(enclave["EnclaveCID"]), "the greeting") == b"hello\n"
    qt("stop", "--enclave-id", 0)
    assert [e["EnclaveID"] for e in json.loads(qt("query"))] == [1]
    os.kill(two["ProcessID"], 9)
    wait_for(lambda: json.loads(qt("query")) == [], "no entry")
    wait_for(lambda: not subprocess.run(["pgrep", "-f", "qemu-system"], capture_output=True).stdout, "no QEMU")


def check_cid_of_another():
    """A machine that isn't ours has the CID: the kernel knows it, our list doesn't."""
    with open("/dev/vhost-vsock", "r+b", buffering=0) as other:
        fcntl.ioctl(other, VHOST_VSOCK_SET_GUEST_CID, struct.pack("Q", 4))
        result = subprocess.run([QT, "enclave", "start", "--eif", EIF, "--mem", "256", "--cpus", "1", "--cid", "4"],
                                capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert result.returncode == 1 and "CID 4 is in use by a virtual machine that isn't ours" in result.stderr, result
        assert json.loads(qt("query")) == []
        assert json.loads(qt("start", "--eif", EIF, "--mem", 256, "--cpus", 1))["EnclaveCID"] == 5
    qt("stop", "--all")


def check_unprivileged_qemu():
    one = json.loads(qt("start", "--eif", EIF, "--mem", 256, "--cpus", 1))
    [child] = qemu_of(one["ProcessID"])
    uid = next(line.split()[1] for line in open(f"/proc/{child}/status") if line.startswith("Uid:"))
    assert uid != "0", "QEMU runs as root"
    qt("stop", "--all")


def check_own_device(eif):
    one = json.loads(qt("start", "--eif", eif, "--mem", 256, "--cpus", 1))
    assert one["Isolation"] == "kvm", one
    assert any("vhost-user-vsock-device" in word for line in qemu_of(one["ProcessID"]).values() for word in line)
    qt("stop", "--all")


check_kernel_vsock()
check_clock_jumps()
check_forward()
check_cid_of_another()
check_unprivileged_qemu()
for path in MORE:
    check_own_device(path)
print("all good")
