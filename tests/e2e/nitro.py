# SPDX-License-Identifier: Apache-2.0
"""The driver's ABI (linux/nitro_enclaves.h) for programs that run under ne-emulator: import it there."""
import fcntl
import mmap
import os
import socket
import struct

CREATE_VM, ADD_VCPU, LOAD_INFO, SET_MEMORY, START = 0x8008AE20, 0xC004AE21, 0xC010AE22, 0x4018AE23, 0xC010AE24
PAGE = 2 * 2**20
MAP_HUGETLB = 0x40000 | 21 << 26


def call(fd, request, *words, form="Q"):
    """The errno, or the words that came back."""
    argument = bytearray(struct.pack(f"={len(words)}{form}", *words))
    try:
        fcntl.ioctl(fd, request, argument)
    except OSError as error:
        return error.errno
    return struct.unpack(f"={len(words)}{form}", argument)


def create():
    with open("/dev/nitro_enclaves", "r+b", buffering=0) as device:
        return fcntl.ioctl(device.fileno(), CREATE_VM, bytearray(8))


def add_vcpu(fd, cpu=0):
    return call(fd, ADD_VCPU, cpu, form="I")


def set_memory(fd, address, size, flags=0):
    return call(fd, SET_MEMORY, flags, size, address)


def start(fd, cid=0, flags=0):
    return call(fd, START, flags, cid)


class Memory:
    """Memory for an enclave, of huge pages."""

    def __init__(self, size, huge=True):
        import ctypes
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | (MAP_HUGETLB if huge else 0)
        self.map = mmap.mmap(-1, size, flags=flags)
        self.size = size
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.map))

    def give(self, fd):
        return set_memory(fd, self.address, self.size)


def boot(eif, mib=256, vcpus=2, cid=0, flags=0):
    """Creates and starts an enclave: its descriptor and CID."""
    fd = create()
    memory = Memory(mib * 2**20)
    with open(eif, "rb") as image:
        data = image.read()
    memory.map[8 * 2**20:8 * 2**20 + len(data)] = data
    assert memory.give(fd) == (0, memory.size, memory.address)
    for _ in range(vcpus):
        assert isinstance(add_vcpu(fd), tuple)
    result = start(fd, cid, flags)
    assert isinstance(result, tuple), result
    return fd, result[1]


def listen(port, cid=socket.VMADDR_CID_ANY):
    s = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    s.bind((cid, port))
    s.listen(16)
    return s


def dial(cid, port, deadline=60):
    """Connects, waiting until somebody listens."""
    import time
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        s = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        try:
            s.connect((cid, port))
            return s
        except ConnectionResetError:
            s.close()
            time.sleep(0.1)
    raise TimeoutError(f"nobody listens on {cid}:{port}")


def read_all(s):
    return b"".join(iter(lambda: s.recv(65536), b""))


def alive(fd):
    """False where poll() says that the enclave has ended."""
    import select
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return not poll.poll(0)


def wait_for_end(fd):
    """What poll() says once it has ended."""
    import select
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return poll.poll()[0][1]
