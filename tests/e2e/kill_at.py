# SPDX-License-Identifier: Apache-2.0
"""Runs a command and kills it, or a process that it started, as that enters its Nth system call: every step in turn
shows what a command leaves when it is killed there."""

import ctypes
import os
import pathlib
import signal
import struct

LIBC = ctypes.CDLL(None, use_errno=True)
TRACEME, SYSCALL, SETOPTIONS, GETEVENTMSG = 0, 24, 0x4200, 0x4201
O_SYSGOOD, O_FORK, O_VFORK, O_CLONE = 1, 2, 4, 8
FORK_EVENTS = (1, 2, 3)  # fork, vfork, clone
WALL = 0x40000000


def ptrace(request, pid, data=0):
    LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    LIBC.ptrace(request, pid, None, data)  # a tracee that is gone is met by waitpid()


class Tracer:
    """One run. Processes are numbered as they appear: 0 is the command, 1 the first that it made...  Threads are not."""

    def __init__(self, which, step):
        self.which, self.step = which, step
        self.numbers, self.n_processes, self.stops, self.killed = {}, 0, {}, False
        self.born = set()

    def begin(self, arguments, output):
        pid = os.fork()
        if pid == 0:
            os.dup2(output, 1)
            os.dup2(output, 2)
            ptrace(TRACEME, 0)
            os.kill(os.getpid(), signal.SIGSTOP)
            os.execv(arguments[0], arguments)
        os.waitpid(pid, 0)
        ptrace(SETOPTIONS, pid, O_SYSGOOD | O_FORK | O_VFORK | O_CLONE)
        self.number_of(pid)
        ptrace(SYSCALL, pid)
        return pid

    def number_of(self, pid):
        if pid not in self.numbers:
            is_thread = f"Tgid:\t{pid}\n" not in pathlib.Path(f"/proc/{pid}/status").read_text()
            self.numbers[pid] = None if is_thread else self.n_processes
            self.n_processes += not is_thread
        return self.numbers[pid]

    def stopped(self, pid, status):
        """What a stop asks for: killing, or going on with the signal that it reports."""
        number, reported = self.number_of(pid), os.WSTOPSIG(status)
        if status >> 16 in FORK_EVENTS:
            born = ctypes.c_ulong()
            ptrace(GETEVENTMSG, pid, ctypes.addressof(born))
            self.born.add(born.value)
        if reported == signal.SIGTRAP | 0x80:
            self.stops[pid] = self.stops.get(pid, 0) + 1
            if number == self.which and self.stops[pid] == 2 * self.step - 1:
                os.kill(pid, signal.SIGKILL)
                self.killed = True
                return
        passed_on = 0 if reported in (signal.SIGTRAP | 0x80, signal.SIGTRAP, signal.SIGSTOP) else reported
        ptrace(SYSCALL, pid, passed_on)

    def run(self, arguments, output):
        main = self.begin(arguments, output)
        while True:
            pid, status = os.waitpid(-1, WALL)
            if os.WIFSTOPPED(status):
                self.stopped(pid, status)
            elif pid == main:
                self.release()
                return os.waitstatus_to_exitcode(status)

    def release(self):
        """A process begins with a stop, which would last if nobody was there to see it."""
        for pid in self.born - set(self.numbers):
            try:
                _, status = os.waitpid(pid, WALL)
            except ChildProcessError:
                continue
            if os.WIFSTOPPED(status):
                self.stopped(pid, status)


def kill_at(arguments, which, step):
    """Runs `arguments`, killing its process number `which` at its system call number `step` (from 1).  Gives whether that was
    reached, the command's own status, and what it wrote."""
    read, write = os.pipe()
    out_read, out_write = os.pipe()
    pid = os.fork()
    if pid == 0:  # the tracer: what it still traces when it ends goes on untraced
        os.close(out_read)
        tracer = Tracer(which, step)
        status = tracer.run(arguments, out_write)
        os.write(write, struct.pack("?i", tracer.killed, status))
        os._exit(0)
    os.close(write)
    os.close(out_write)
    result = os.read(read, 64)
    os.close(read)
    os.waitpid(pid, 0)
    os.set_blocking(out_read, False)
    try:
        text = os.read(out_read, 65536).decode(errors="replace")
    except BlockingIOError:
        text = ""
    os.close(out_read)
    return *struct.unpack("?i", result), text
