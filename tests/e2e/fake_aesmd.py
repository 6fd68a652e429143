# SPDX-License-Identifier: Apache-2.0
"""Intel's quoting service (aesmd) as its clients see it, on a Unix socket, over quotes of quote_oracle.py.

Its messages are read and written by a few lines of protocol buffers of our own, from messages.proto of intel/linux-sgx.
"""
import contextlib
import os
import socket
import struct
import threading

import quote_oracle

INIT, SIZE, QUOTE, UNKNOWN = 15, 16, 17, 20
TARGET = bytes(range(200)) + bytes(312)  # TARGETINFO of the quoting enclave
KEY_NAME = (struct.pack("<HHH", 0, 0, 32) + quote_oracle.INTEL_QE_SIGNER + bytes(16) + struct.pack("<I", 1) + bytes(96)
            + struct.pack("<I", 2)).ljust(256, b"\0")


def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7f | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7f) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data):
    """Its fields by number; each may be there once."""
    found, at = {}, 0
    while at < len(data):
        key, at = read_varint(data, at)
        value, at = read_varint(data, at)
        if key & 7 == 2:
            value, at = data[at:at + value], at + value
        else:
            assert key & 7 == 0
        assert key >> 3 not in found
        found[key >> 3] = value
    return found


def answer(call, code=0, value=None, extra=b""):
    content = field(1, code) + (field(2, value) if value is not None else b"") + extra
    return field(call, content)


def frame(message):
    return struct.pack("<I", len(message)) + message


def read_exactly(connection, size):
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


class FakeAesmd:
    """Answers each call by a function of its fields; `behave[call]` replaces one, and may give bytes for the socket, or
    None to close it without a word."""

    def __init__(self, path, authority):
        self.path, self.authority = path, authority
        self.requests, self.problems = [], []
        self.behave = {}
        self.make = quote_oracle.make
        self.released = threading.Event()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(EOFError, ConnectionError):
                try:
                    self.serve_one(connection)
                except AssertionError as problem:
                    self.problems.append(problem)

    def serve_one(self, connection):
        size, = struct.unpack("<I", read_exactly(connection, 4))
        assert size < 4096
        message = fields(read_exactly(connection, size))
        assert len(message) == 1, "a request is one call"
        call, content = next(iter(message.items()))
        content = fields(content)
        self.requests.append((call, content))
        default = {INIT: self.init, SIZE: self.size, QUOTE: self.quote}[call]
        reply = self.behave[call](content) if call in self.behave else frame(default(content))
        if reply:
            connection.sendall(reply)
        if not self.requests[-1][1].get("hang"):
            return
        self.released.wait(60)

    def init(self, content):
        assert content == {1: KEY_NAME, 3: 1, 4: 32, 9: content[9]}
        return answer(INIT, 0, TARGET, field(3, 32) + field(4, bytes(32)))

    def size(self, content):
        assert content == {1: KEY_NAME, 9: content[9]}
        return answer(SIZE, 0, len(self.make(self.authority, bytes(384))))

    def quote(self, content):
        assert set(content) == {1, 2, 4, 9} and content[2] == KEY_NAME and len(content[1]) == 432
        quote = self.make(self.authority, content[1][:384])
        assert content[4] == len(quote)
        return answer(QUOTE, 0, quote)

    def close(self):
        self.released.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(30)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
