"""PID 1 of the test host VM once its root is there: runs the command and reports to the tool outside.

Two virtio ports lead outside. On the first go frames, each a type byte, a length of four bytes (big endian) and that
many bytes: output of the command as it comes, and at the end its exit status. On the second come frames of a length
and that many bytes of standard input; length 0 is its end. The types are also in run, which reads them.

When the status is sent, the VM has nothing left to do; the tool outside ends it.
"""

import json
import os
import select
import signal
import time

STDOUT, STDERR, STARTED, STATUS, FAILURE = range(1, 6)
CHUNK = 65536
PORTS = '/sys/class/virtio-ports'


class Failure(Exception):
    """The command could not even be tried; the text says why."""


def open_port(name, flags):
    """Open the virtio port called NAME. Ports appear a moment after their driver is loaded."""
    while True:
        for port in os.listdir(PORTS):
            with open(f'{PORTS}/{port}/name') as file:
                found = file.read().strip()
            if found == name and os.path.exists(f'/dev/{port}'):
                return os.open(f'/dev/{port}', flags | os.O_CLOEXEC)
        time.sleep(0.01)


def write_all(fd, data):
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view):]


class Outside:
    """The way to the tool outside."""

    def __init__(self):
        self.out = open_port('coffer.out', os.O_WRONLY)
        self.input = open_port('coffer.in', os.O_RDONLY | os.O_NONBLOCK)
        self.pending = b''

    def send(self, kind, data=b''):
        write_all(self.out, bytes([kind]) + len(data).to_bytes(4, 'big') + data)

    def read_input(self):
        """What came for standard input, as a list of byte strings; an empty one is the end of it."""
        try:
            self.pending += os.read(self.input, CHUNK)
        except BlockingIOError:
            return []
        parts = []
        while len(self.pending) >= 4:
            end = 4 + int.from_bytes(self.pending[:4], 'big')
            if len(self.pending) < end:
                break
            parts.append(self.pending[4:end])
            self.pending = self.pending[end:]
        return parts


def start_tpm():
    """Start the software TPM behind the kernel's proxy device and wait for the TPM device to appear."""
    os.mkdir('/run/vm/tpm')
    devnull = os.open('/dev/null', os.O_RDWR)
    pid = os.posix_spawnp('swtpm', ['swtpm', 'chardev', '--vtpm-proxy', '--tpm2', '--tpmstate', 'dir=/run/vm/tpm'],
                          os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, devnull, 0),
                                                    (os.POSIX_SPAWN_DUP2, devnull, 1)])
    os.close(devnull)
    while not os.path.exists('/dev/tpmrm0'):
        if os.waitpid(pid, os.WNOHANG)[0]:
            raise Failure('the software TPM (swtpm) ended at once')
        time.sleep(0.02)


def become_command(spec, fds):
    """In the child: turn into the command. Never returns."""
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
    os.setsid()
    argv = spec['argv']
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.execvpe(argv[0], argv, spec['env'])
    except OSError as error:
        os.write(2, f'vm: cannot run {argv[0]}: {error.strerror}\n'.encode(errors='surrogateescape'))
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)


class Command:
    """The running command and the pipes to it."""

    def __init__(self, spec):
        self.wakeup, wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        stdin, self.stdin = os.pipe2(os.O_CLOEXEC)
        self.stdout, stdout = os.pipe2(os.O_CLOEXEC)
        self.stderr, stderr = os.pipe2(os.O_CLOEXEC)
        self.status = None
        self.pid = os.fork()
        if self.pid == 0:
            become_command(spec, (stdin, stdout, stderr))
        for fd in (stdin, stdout, stderr):
            os.close(fd)
        for fd in (self.stdin, self.stdout, self.stderr):
            os.set_blocking(fd, False)

    def reap(self):
        """Collect ended processes, the command and, as PID 1 must, any orphan."""
        try:
            os.read(self.wakeup, CHUNK)
        except BlockingIOError:
            pass
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.pid:
                code = os.waitstatus_to_exitcode(status)
                self.status = code if code >= 0 else 128 - code


def read_some(fd):
    """Bytes from a non-blocking descriptor; empty at its end, None if there are none yet."""
    try:
        return os.read(fd, CHUNK)
    except BlockingIOError:
        return None


class Relay:
    """Carries bytes between the command and the outside until the command ends."""

    def __init__(self, command, outside):
        self.command = command
        self.outside = outside
        self.kinds = {command.stdout: STDOUT, command.stderr: STDERR}
        self.input = []
        self.stdin_open = True

    def carry_output(self, fd):
        """Send on what there is; whether there may be more."""
        data = read_some(fd)
        if data:
            self.outside.send(self.kinds[fd], data)
        elif data == b'':
            del self.kinds[fd]
        return bool(data)

    def close_stdin(self):
        self.stdin_open = False
        self.input = []
        os.close(self.command.stdin)

    def carry_input(self):
        part = self.input.pop(0)
        if not part:
            self.close_stdin()
            return
        try:
            written = os.write(self.command.stdin, part)
        except BlockingIOError:
            written = 0
        except BrokenPipeError:
            self.close_stdin()
            return
        if written < len(part):
            self.input.insert(0, part[written:])

    def poll(self):
        poll = select.poll()
        poll.register(self.command.wakeup, select.POLLIN)
        for fd in self.kinds:
            poll.register(fd, select.POLLIN)
        if self.stdin_open:
            if self.input:
                poll.register(self.command.stdin, select.POLLOUT)
            else:
                poll.register(self.outside.input, select.POLLIN)
        return poll.poll()

    def run(self):
        while self.command.status is None:
            for fd, _ in self.poll():
                if fd in self.kinds:
                    self.carry_output(fd)
                elif fd == self.outside.input:
                    self.input += self.outside.read_input()
                elif fd == self.command.wakeup:
                    self.command.reap()
                elif self.input:
                    self.carry_input()
        # A process that the command left behind may hold the pipes open: what is there now is all there is.
        for fd in list(self.kinds):
            while self.carry_output(fd):
                pass


def main():
    with open('/run/vm/spec.json') as file:
        spec = json.load(file)
    outside = Outside()
    try:
        try:
            os.chdir(spec['cwd'])
        except OSError as error:
            raise Failure(f'cannot enter {spec["cwd"]} inside: {error.strerror}') from error
        if spec['tpm']:
            start_tpm()
        outside.send(STARTED)
        command = Command(spec)
        Relay(command, outside).run()
        os.sync()
        outside.send(STATUS, str(command.status).encode())
    except Failure as error:
        outside.send(FAILURE, str(error).encode(errors='surrogateescape'))
    except Exception as error:
        outside.send(FAILURE, f'a defect in guest.py: {error!r}'.encode(errors='surrogateescape'))
    while True:
        signal.pause()


main()
