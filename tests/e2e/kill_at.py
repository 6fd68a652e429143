# SPDX-License-Identifier: Apache-2.0
"""Runs a command and kills it, or a process that it started, as that enters its Nth system call: every step in turn
shows what a command leaves when it is killed there.  Likewise for a process that runs already.

Where the steps are hundreds, turns_of() chooses: the first times that a call follows another."""

import contextlib
import ctypes
import json
import os
import pathlib
import signal

LIBC = ctypes.CDLL(None, use_errno=True)
TRACEME, SYSCALL, DETACH, SETOPTIONS, GETEVENTMSG = 0, 24, 17, 0x4200, 0x4201
SEIZE, INTERRUPT, GET_SYSCALL_INFO = 0x4206, 0x4207, 0x420E
AT_ENTRY = 1  # of struct ptrace_syscall_info's `op`
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
        self.born, self.calls = set(), []

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
            if number == self.which and self.stops[pid] % 2:
                self.calls.append(call_of(pid))
            if number == self.which and self.stops[pid] == 2 * self.step - 1:
                os.kill(pid, signal.SIGKILL)
                self.killed = True
                return
        passed_on = 0 if reported in (signal.SIGTRAP | 0x80, signal.SIGTRAP, signal.SIGSTOP) else reported
        ptrace(SYSCALL, pid, passed_on)

    def run(self, arguments, output, begun=lambda pid: None):
        main = self.begin(arguments, output)
        begun(main)
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


def call_of(pid):
    """The number of the system call that a stopped process is in."""
    word = pathlib.Path(f"/proc/{pid}/syscall").read_text().split()[0]
    return int(word) if word.isdigit() else -1


def kill_at(arguments, which, step, meanwhile=lambda pid: None):
    """Runs `arguments`, killing its process number `which` at its system call number `step` (from 1).  Gives whether that was
    reached, the command's own status, and what it wrote.  `meanwhile` is called with the command's pid."""
    killed, status, text, _ = trace(arguments, which, step, meanwhile)
    return killed, status, text


def calls_of(arguments, which, meanwhile=lambda pid: None):
    """Runs `arguments` to their end; the numbers of the system calls of its process number `which`."""
    return trace(arguments, which, 0, meanwhile)[3]


def turns_of(calls, times=1):
    """The steps at which one call follows another for the first `times` times."""
    seen, steps = {}, []
    for step, pair in enumerate(zip([None, *calls], calls), 1):
        seen[pair] = seen.get(pair, 0) + 1
        if seen[pair] <= times:
            steps.append(step)
    return steps


def trace(arguments, which, step, meanwhile):
    out_read, out_write = os.pipe()

    def work(pipe):
        os.close(out_read)
        tracer = Tracer(which, step)
        status = tracer.run(arguments, out_write, lambda pid: send(pipe, pid))
        # What it still traces when it ends goes on untraced.
        send(pipe, (tracer.killed, status, tracer.calls))
    with in_child(work) as answers:
        os.close(out_write)
        meanwhile(next(answers))
        killed, status, calls = next(answers)
    os.set_blocking(out_read, False)
    try:
        text = os.read(out_read, 65536).decode(errors="replace")
    except BlockingIOError:
        text = ""
    os.close(out_read)
    return killed, status, text, calls


def send(pipe, value):
    pipe.write(json.dumps(value) + "\n")
    pipe.flush()


@contextlib.contextmanager
def in_child(work):
    """What `work` sends from a process of its own."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(read)
            with open(write, "w", encoding="utf-8") as pipe:
                work(pipe)
        finally:
            os._exit(0)
    os.close(write)
    try:
        with open(read, encoding="utf-8") as pipe:
            yield (json.loads(line) for line in pipe)
    finally:
        os.waitpid(pid, 0)


# ---- a process that runs already ----


def enters_a_call(pid):
    info = ctypes.create_string_buffer(128)
    LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    LIBC.ptrace(GET_SYSCALL_INFO, pid, ctypes.c_void_p(len(info)), ctypes.addressof(info))
    return info.raw[0] == AT_ENTRY


def follow(pid, victim, step, pipe):
    """From now on counts the calls of `pid`, which has one thread, and kills `victim` at number `step`."""
    ptrace(SEIZE, pid, O_SYSGOOD)
    ptrace(INTERRUPT, pid)
    os.waitpid(pid, 0)
    send(pipe, "ready")
    calls, killed = [], False
    ptrace(SYSCALL, pid)
    while not os.WIFEXITED(status := os.waitpid(pid, 0)[1]) and not os.WIFSIGNALED(status):
        reported = os.WSTOPSIG(status)
        if reported == signal.SIGTRAP | 0x80 and enters_a_call(pid):
            calls.append(call_of(pid))
            if len(calls) == step:
                with contextlib.suppress(ProcessLookupError):  # it has come to its end before
                    os.kill(victim, signal.SIGKILL)
                    killed = True
        ptrace(SYSCALL, pid, 0 if reported & 0x7f in (signal.SIGTRAP, signal.SIGSTOP) else reported)
    send(pipe, (killed, calls))


@contextlib.contextmanager
def killed_while(pid, victim, step):
    """While the body runs, and further on until `pid` ends, its calls are counted, and `victim` is killed at number `step`.
    Yields a list that then has: whether it was reached, and the numbers of the calls."""
    result = []
    with in_child(lambda pipe: follow(pid, victim, step, pipe)) as answers:
        assert next(answers) == "ready"
        yield result
        result.extend(next(answers))
