# SPDX-License-Identifier: Apache-2.0
"""A parent of the process service, written from lib/enclave/service-protocol.h and service-spec.h: so the guest is held
to the documented formats, not to our own code's idea of them."""
import struct

HELLO, READY, CREATED, STARTED, FAILED, EXITED, SIGNALED = range(0x01, 0x08)
DATA, END, CLOSE, GRANT = range(0x40, 0x44)
SETUP, CREATE, START, SIGNAL, RESIZE, SHUTDOWN = range(0x81, 0x87)
STDIN, STDOUT, STDERR = range(3)
PORT = 0xC0FE0001
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
ALL_CAPABILITIES = (1 << 41) - 1


def record(tag, value=b""):
    return struct.pack(">BI", tag, len(value)) + value


def text(*values):
    return b"".join((v.encode() if isinstance(v, str) else v) + b"\0" for v in values)


def mount(kind, destination, flags=0, data="", source=None):
    return record(5, struct.pack(">Q", flags) + text(kind, source or kind, destination, data))


MOUNTS = (mount("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC),
          mount("tmpfs", "/dev", MS_NOSUID, "mode=755,size=65536k"),
          mount("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"),
          mount("sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY),
          mount("cgroup", "/sys/fs/cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY),
          mount("mqueue", "/dev/mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC),
          mount("tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777,size=65536k"))


def process(argv, env=("PATH=/bin",), cwd="/", uid=0, gid=0, groups=(), umask=0o22, capabilities=ALL_CAPABILITIES,
            terminal=None, extra=b""):
    parts = [record(1, text(a)) for a in argv] + [record(2, text(e)) for e in env]
    parts += [record(3, text(cwd)), record(4, struct.pack(">II", uid, gid))]
    parts += [record(5, struct.pack(">I", g)) for g in groups]
    parts += [record(6, struct.pack(">I", umask)),
              record(8, struct.pack(">5Q", capabilities, capabilities, 0, capabilities, 0))]
    if terminal:
        parts.append(record(10, struct.pack(">HH", *terminal)))
    return b"".join(parts) + extra


class Service:
    """The connection; frames that come are kept by process."""

    def __init__(self, stream):
        self.stream = stream
        self.frames = []
        assert self.receive() == (HELLO, 0, b"\0\0\0\1")

    def send(self, kind, number, payload=b""):
        self.stream.sendall(struct.pack(">BII", kind, number, len(payload)) + payload)

    def _exactly(self, n):
        got = b""
        while len(got) < n:
            piece = self.stream.recv(n - len(got))
            if not piece:
                return None
            got += piece
        return got

    def receive(self):
        """The next frame, or None at the end."""
        header = self._exactly(9)
        if header is None:
            return None
        kind, number, n = struct.unpack(">BII", header)
        return kind, number, self._exactly(n) if n else b""

    def expect(self, kind, number):
        frame = self.receive()
        assert frame and frame[:2] == (kind, number), frame
        return frame[2]

    def set_up(self, *records):
        self.send(SETUP, 0, b"".join(records))
        self.expect(READY, 0)

    def start(self, number, argv, **rest):
        self.send(CREATE, number, process(argv, **rest))
        self.expect(CREATED, number)
        self.send(START, number)
        self.expect(STARTED, number)

    def collect(self, number, stdin=b""):
        """Runs process `number` to its end: (status, stdout, stderr), 128 + n for a signal."""
        out = {STDOUT: b"", STDERR: b""}
        if stdin:
            self.send(DATA, number, bytes([STDIN]) + stdin)
        self.send(END, number, bytes([STDIN]))
        while True:
            kind, whose, payload = self.receive()
            assert whose == number
            if kind == DATA:
                out[payload[0]] += payload[1:]
                self.send(GRANT, number, struct.pack(">BI", payload[0], len(payload) - 1))
            elif kind == EXITED:
                return struct.unpack(">I", payload)[0], out[STDOUT], out[STDERR]
            elif kind == SIGNALED:
                return 128 + struct.unpack(">IB", payload)[0], out[STDOUT], out[STDERR]
            else:
                assert kind in (END, CLOSE, GRANT), kind

    def run(self, number, script, stdin=b"", **rest):
        self.start(number, ["/bin/sh", "-c", script], **rest)
        return self.collect(number, stdin)
