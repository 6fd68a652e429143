# SPDX-License-Identifier: Apache-2.0
"""Makes a running process execute a system call, by ptrace, and tells what it got: what the process is kept from is asked
of itself, not of a copy that was confined for the test.  For x86_64; needs root or CAP_SYS_PTRACE."""
import contextlib
import ctypes
import os
import platform
import struct
import time

import pytest

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.restype = ctypes.c_long
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
PEEKDATA, POKEDATA, CONT, GETREGS, SETREGS, SINGLESTEP, DETACH, SEIZE, INTERRUPT = 2, 5, 7, 12, 13, 9, 17, 0x4206, 0x4207
EVENT_STOP = 128
WALL = 0x40000000
SYSCALL = b"\x0f\x05"
RED_ZONE = 4096  # below the stack pointer, where the process may have something
REGISTERS = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs "
             "gs").split()
ENDED = "the end of the process"
ARGUMENTS = ("rdi", "rsi", "rdx", "r10", "r8", "r9")


def ptrace(request, pid, address=None, data=None):
    ctypes.set_errno(0)
    result = LIBC.ptrace(request, pid, address, data)
    if result == -1 and ctypes.get_errno():
        raise OSError(ctypes.get_errno(), f"ptrace {request}: {os.strerror(ctypes.get_errno())}")
    return result


class Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in REGISTERS]


class Puppet:
    """A process that waits in a system call, and executes others for us meanwhile."""

    def __init__(self, pid):
        if platform.machine() != "x86_64":
            pytest.skip("calls are injected on x86_64 only")
        self.pid = pid

    def __enter__(self):
        try:
            ptrace(SEIZE, self.pid)
        except PermissionError:
            pytest.skip("this user may not trace")
        try:
            self.stop_in_a_call()
        except AssertionError:
            ptrace(DETACH, self.pid)
            raise
        self.page = self.saved.rsp - RED_ZONE & ~7
        return self

    def stop_in_a_call(self, deadline=30):
        """It may have left the one in which it was seen to wait."""
        end = time.monotonic() + deadline
        while True:
            self.interrupt()
            self.saved = self.registers()
            self.code = self.saved.rip - len(SYSCALL)
            if self.read(self.code, 2) == SYSCALL:
                return
            assert time.monotonic() < end, "it is never in a system call"
            ptrace(CONT, self.pid)
            time.sleep(0.001)

    def interrupt(self):
        """Stops it, with no signal on its way."""
        ptrace(INTERRUPT, self.pid)
        while (status := os.waitpid(self.pid, WALL)[1]) >> 16 != EVENT_STOP:
            if not os.WIFSTOPPED(status):
                raise ProcessLookupError(f"process {self.pid} has ended")
            ptrace(CONT, self.pid, None, os.WSTOPSIG(status))

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError, OSError):
            ptrace(SETREGS, self.pid, None, ctypes.addressof(self.saved))
            ptrace(DETACH, self.pid)

    def wait_for_stop(self):
        """False where it ended instead.  Of a thread that was killed alone, the end is never told."""
        while True:
            pid, status = os.waitpid(self.pid, WALL | os.WNOHANG)
            if pid:
                return os.WIFSTOPPED(status)
            with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
                if file.read().rpartition(")")[2].split()[0] in "ZX":
                    return False
            time.sleep(0.001)

    def registers(self):
        registers = Registers()
        ptrace(GETREGS, self.pid, None, ctypes.addressof(registers))
        return registers

    def read(self, address, size):
        with open(f"/proc/{self.pid}/mem", "rb") as memory:
            memory.seek(address)
            return memory.read(size)

    def call(self, number, *arguments):
        """The result of a system call: a number, or -errno; ENDED where it was the process's end.  Bytes among the arguments
        are put into its memory."""
        registers = Registers.from_buffer_copy(self.saved)
        at = self.page
        for name, value in zip(ARGUMENTS, arguments):
            if isinstance(value, bytes):
                at -= len(value) + 7 & ~7
                for offset in range(0, len(value), 8):
                    word = value[offset:offset + 8].ljust(8, b"\0")
                    ptrace(POKEDATA, self.pid, at + offset, struct.unpack("<Q", word)[0])
                value = at
            setattr(registers, name, value & 0xFFFFFFFFFFFFFFFF)
        registers.rax, registers.orig_rax, registers.rip = number, 0xFFFFFFFFFFFFFFFF, self.code
        ptrace(SETREGS, self.pid, None, ctypes.addressof(registers))
        ptrace(SINGLESTEP, self.pid)
        if not self.wait_for_stop():
            return ENDED
        return ctypes.c_longlong(self.registers().rax).value


RT_SIGTIMEDWAIT = 128 if platform.machine() == "x86_64" else 137


def wait_until_it_stands_by(process):
    """`rune run` or `rune exec` without a terminal, until it does nothing but pass on signals and wait for the end.  The
    process in an enclave writes before that, and rune tells of its end otherwise."""
    wait_until_idle(process.pid, RT_SIGTIMEDWAIT)


def wait_until_idle(pid, call=None, deadline=30):
    """Until the process's main thread waits in the kernel, in this system call where one is named."""
    end = time.monotonic() + deadline
    while True:
        with open(f"/proc/{pid}/syscall", encoding="ascii") as file:
            at = file.read().split()[0]
            if at.isdigit() and call in (None, int(at)):
                return
        assert time.monotonic() < end, "it never waits"
        time.sleep(0.01)
