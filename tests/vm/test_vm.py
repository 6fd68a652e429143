"""Tests of the test host VM: that what goes in and comes out is intact, that it has what tests need, that it leaves
nothing behind."""

import io
import json
import os
import select
import shutil
import signal
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
RUN = f'{HERE}/run'
# A VM that has neither answered nor died by then is stuck; run says where.
PATIENCE = ['--timeout', '300']

sys.path.insert(0, HERE)
import boot  # noqa: E402 (it is beside this file)

pytestmark = pytest.mark.skipif(not (shutil.which('qemu-system-x86_64') and shutil.which('busybox')),
                                reason='needs qemu-system-x86 and busybox-static')


def vm(*arguments, **how):
    """Run the tool to its end."""
    return subprocess.run([RUN, *PATIENCE, *arguments], capture_output=True, check=False, **how)


def vm_started(*arguments):
    """The tool, running a command that has written its first line: b'up'."""
    tool = subprocess.Popen([RUN, *PATIENCE, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert tool.stdout.readline() == b'up\n'
    return tool


# ---- What goes in and comes out

def test_arguments_streams_and_status_are_intact(tmp_path):
    script = 'printf "<%s>" "$@" "$PWD" "$CHOSEN" "$(id -u)" >&2; cat; exit 7'
    arguments = ['two words', 'new\nline', '', '"$HOME"', "it's", '--share', 'gr\u00fc\u00df', '*']
    folder = tmp_path / 'a folder'
    folder.mkdir()
    data = os.urandom(3_000_000)
    result = vm('--env', 'CHOSEN=a  b\nc', '--', 'bash', '-c', script, 'bash', *arguments, cwd=folder, input=data)
    shown = ''.join(f'<{text}>' for text in [*arguments, str(folder), 'a  b\nc', '0'])
    assert result.stderr.decode() == shown
    assert result.stdout == data
    assert result.returncode == 7


@pytest.mark.parametrize('command, status', [(['bash', '-c', 'kill -KILL $$'], 128 + signal.SIGKILL),
                                             (['no-such-command'], 127), (['/etc/passwd'], 126)])
def test_status_of_commands_that_do_not_exit(command, status):
    assert vm('--', *command).returncode == status


def test_streams_are_live():
    with vm_started('--', 'bash', '-c', 'echo up; read -r line; echo "got $line"; exec cat') as tool:
        tool.stdin.write(b'this\n')
        tool.stdin.flush()
        assert tool.stdout.readline() == b'got this\n'
        tool.stdin.close()
        assert tool.wait() == 0


def test_command_does_not_wait_for_what_it_left_running():
    result = vm('--', 'bash', '-c', 'sleep infinity & echo done')
    assert (result.returncode, result.stdout) == (0, b'done\n')


# ---- What is inside

# Each function is run in one VM; what it returns is checked outside by the test of the same name.
PROBE = r'''
import fcntl, json, os, socket, subprocess, sys
KVM_GET_API_VERSION, KVM_CREATE_VM, VHOST_SET_OWNER = 0xae00, 0xae01, 0xaf01

def command(*argv):
    result = subprocess.run(argv, capture_output=True, text=True)
    return result.returncode, result.stdout + result.stderr

def kvm():
    fd = os.open('/dev/kvm', os.O_RDWR)
    return fcntl.ioctl(fd, KVM_GET_API_VERSION), fcntl.ioctl(fd, KVM_CREATE_VM, 0) >= 0

def vhost_vsock():
    return fcntl.ioctl(os.open('/dev/vhost-vsock', os.O_RDWR), VHOST_SET_OWNER)

def mounts():
    with open('/proc/mounts') as file:
        return [line.split()[1:3] for line in file]

def controllers():
    with open('/sys/fs/cgroup/cgroup.subtree_control') as file:
        return file.read().split()

def cgroup():
    os.mkdir('/sys/fs/cgroup/probe')
    return os.path.exists('/sys/fs/cgroup/probe/memory.max')

def device_mapper():
    modules = ['dm-crypt', 'dm-integrity', 'dm-verity']
    return command('modprobe', '-a', *modules), [os.path.isdir('/sys/module/' + name.replace('-', '_'))
                                                 for name in modules]

def encrypted_volume():
    with open('/var/tmp/volume', 'wb') as file:
        file.truncate(1 << 20)
    device = command('losetup', '--find', '--show', '/var/tmp/volume')[1].strip()
    made = command('dmsetup', 'create', 'probe', '--table', f'0 2048 crypt aes-xts-plain64 {"5a" * 64} 0 {device} 0')
    with open('/dev/mapper/probe', 'r+b') as file:
        file.write(b'plain' * 1000)
    removed = command('dmsetup', 'remove', 'probe')
    os.sync()
    with open('/var/tmp/volume', 'rb') as file:
        data = file.read(5000)
    return made, removed, any(data), b'plain' in data

def on_demand():
    return [os.open(name, os.O_RDWR) > 0 for name in ('/dev/fuse', '/dev/cuse', '/dev/net/tun', '/dev/loop-control')]

def extra_module():
    return os.path.isdir('/sys/module/null_blk')

def tpm():
    # TPM2_GetRandom of 8 bytes.
    fd = os.open('/dev/tpmrm0', os.O_RDWR)
    os.write(fd, bytes.fromhex('80010000000c0000017b0008'))
    answer = os.read(fd, 4096)
    return answer[6:10].hex(), len(answer)

def loopback():
    server = socket.create_server(('127.0.0.1', 0))
    client = socket.create_connection(server.getsockname())
    server.accept()[0].sendall(b'hello')
    return client.recv(5).decode()

def terminal():
    return os.isatty(os.openpty()[0])

def watchdogs():
    names = 'panic_on_oops', 'softlockup_panic', 'watchdog_thresh', 'hung_task_panic'
    return [int(open('/proc/sys/kernel/' + name).read()) for name in names]

def writes():
    for name in ('/etc/coffer-probe', '/usr/coffer-probe', sys.argv[1] + '/lost'):
        with open(name, 'w') as file:
            file.write('inside')
    os.rename('/etc/hostname', '/etc/coffer-hostname')
    with open(sys.argv[2] + '/kept', 'w') as file:
        file.write('inside')
    return os.path.exists(sys.argv[1] + '/outside'), os.path.exists('/etc/hostname')

found = {}
for probe in [kvm, vhost_vsock, mounts, controllers, cgroup, device_mapper, encrypted_volume, on_demand, extra_module,
              tpm, loopback, terminal, watchdogs, writes]:
    try:
        found[probe.__name__] = probe()
    except Exception as error:
        found[probe.__name__] = repr(error)
json.dump(found, sys.stdout)
'''


@pytest.fixture(scope='module', name='folders')
def make_folders(tmp_path_factory):
    """A folder that the VM sees, and one that it shares."""
    seen, shared = tmp_path_factory.mktemp('seen'), tmp_path_factory.mktemp('a shared, folder')
    (seen / 'outside').touch()
    return seen, shared


@pytest.fixture(scope='module', name='found')
def probe_inside(folders):
    """What PROBE found inside, by name."""
    seen, shared = folders
    options = ['--share', shared, '--module', 'null_blk']
    if shutil.which('swtpm'):
        options.append('--tpm')
    result = vm(*options, '--', '/usr/bin/python3', '-c', PROBE, seen, shared)
    assert result.returncode == 0, result.stderr.decode()
    return json.loads(result.stdout)


def test_kvm_makes_machines(found):
    assert found['kvm'] == [12, True]


def test_vhost_vsock_opens(found):
    assert found['vhost_vsock'] == 0


@pytest.mark.parametrize('mount', [['/', 'overlay'], ['/sys/fs/cgroup', 'cgroup2'], ['/dev/pts', 'devpts'],
                                   ['/dev/hugepages', 'hugetlbfs'], ['/var/tmp', 'tmpfs']])
def test_mounts(found, mount):
    assert mount in found['mounts']


def test_cgroup_controllers_are_on(found):
    assert found['cgroup'] is True
    assert {'cpu', 'cpuset', 'io', 'memory', 'pids'} <= set(found['controllers'])


def test_device_mapper_targets_load(found):
    assert found['device_mapper'] == [[0, ''], [True, True, True]]


@pytest.mark.skipif(not shutil.which('dmsetup', path='/usr/sbin:/sbin'), reason='needs dmsetup')
def test_volumes_are_encrypted(found):
    assert found['encrypted_volume'] == [[0, ''], [0, ''], True, False]


def test_devices_load_their_modules(found):
    assert found['on_demand'] == [True] * 4


def test_extra_module_is_loaded(found):
    assert found['extra_module'] is True


@pytest.mark.skipif(not shutil.which('swtpm'), reason='needs swtpm')
def test_tpm_answers(found):
    assert found['tpm'] == ['00000000', 20]


def test_loopback_is_up(found):
    assert found['loopback'] == 'hello'


def test_terminals_can_be_made(found):
    assert found['terminal'] is True


def test_stuck_kernel_panics(found):
    assert found['watchdogs'] == [1, 1, 20, 1]


def test_only_shared_folders_change(found, folders):
    seen, shared = folders
    assert found['writes'] == [True, False]
    assert not os.path.exists('/etc/coffer-probe')
    assert not os.path.exists('/usr/coffer-probe')
    assert os.path.exists('/etc/hostname')
    assert sorted(os.listdir(seen)) == ['outside']
    assert (shared / 'kept').read_text() == 'inside'


@pytest.mark.parametrize('layout, mounted', [('v1', {'memory', 'devices', 'freezer', 'pids', 'systemd'}),
                                             ('hybrid', {'memory', 'devices', 'systemd', 'unified'})])
def test_older_cgroup_layouts(layout, mounted):
    result = vm('--cgroup', layout, '--', 'ls', '/sys/fs/cgroup')
    assert mounted <= set(result.stdout.decode().split())
    assert ('unified' in result.stdout.decode()) == (layout == 'hybrid')


def test_nested_guest_boots_under_kvm(tmp_path):
    """The kernel of enclaves, in the machine type of enclaves, with real KVM."""
    kernel = subprocess.run([f'{ROOT}/tools/fetch-kernel', 'cloud'], stdout=subprocess.PIPE, check=True, text=True)
    ramdisk = io.BytesIO()
    archive = boot.Archive(ramdisk)
    with open(shutil.which('busybox'), 'rb') as file:
        archive.add('bin/busybox', file.read(), 0o755)
    archive.add('init', b'#!/bin/busybox sh\necho nested guest: $((6 * 7))\n/bin/busybox reboot -f\n', 0o755)
    archive.close()
    (tmp_path / 'ramdisk').write_bytes(ramdisk.getvalue())
    result = vm('--cpus', '1', '--', 'qemu-system-x86_64', '-M', 'microvm,acpi=on,rtc=on', '-accel', 'kvm',
                '-cpu', 'host', '-m', '256', '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot',
                '-serial', 'stdio',
                '-kernel', kernel.stdout.strip() + '/vmlinuz', '-initrd', tmp_path / 'ramdisk',
                '-append', 'console=ttyS0 quiet panic=-1 reboot=t', stdin=subprocess.DEVNULL)
    assert b'nested guest: 42' in result.stdout, result.stdout + result.stderr
    assert result.returncode == 0


# ---- What goes wrong

def test_panic_is_told_apart():
    result = vm('--', 'bash', '-c', 'echo c >/proc/sysrq-trigger')
    assert result.returncode == 121
    assert b'the VM died while the command was running: kernel panic: sysrq triggered crash' in result.stderr
    assert b'sysrq: Trigger a crash' in result.stderr


@pytest.mark.skipif(not shutil.which('dmsetup', path='/usr/sbin:/sbin'), reason='needs dmsetup')
def test_process_that_hangs_in_the_kernel_ends_the_vm():
    script = '''echo 3 >/proc/sys/kernel/hung_task_timeout_secs
                dmsetup create hole --table '0 2048 zero' && dmsetup suspend hole
                dd if=/dev/zero of=/dev/mapper/hole bs=4096 count=1 conv=fsync'''
    result = vm('--timeout', '120', '--', 'bash', '-c', script)
    assert result.returncode == 121
    assert b'the VM died while the command was running: kernel panic: hung_task: blocked tasks' in result.stderr


@pytest.mark.parametrize('version, thread', [('7.2.22', 'single'), ('8.0.5', 'single'), ('8.1.0', 'multi'),
                                             ('10.0.2', 'multi')])
def test_emulators_with_the_race_run_one_processor_at_a_time(version, thread, tmp_path):
    qemu = tmp_path / 'qemu-system-x86_64'
    qemu.write_text('#!/bin/sh\n'
                    f'[ "$1" = --version ] && exec echo "QEMU emulator version {version} (Debian)"\n'
                    f'echo "$@" >{tmp_path}/arguments\n')
    qemu.chmod(0o755)
    result = vm('--accel', 'tcg', '--', 'true', env={**os.environ, 'PATH': f'{tmp_path}:{os.environ["PATH"]}'})
    assert result.returncode == 121
    assert f'-accel tcg,thread={thread} ' in (tmp_path / 'arguments').read_text()


def test_timeout_says_so():
    # There is no VM that boots in this time.
    result = subprocess.run([RUN, '--timeout', '0.5', '--', 'true'], capture_output=True, check=False)
    assert result.returncode == 124
    assert b'no result within 0.5 s' in result.stderr


@pytest.mark.parametrize('arguments, message', [
    (['--module', 'no_such_module', '--', 'true'], b'the kernel has no module no_such_module'),
    (['--share', '/no/such/folder', '--', 'true'], b'there is no such folder'),
    (['--env', 'NO_SUCH_VARIABLE', '--', 'true'], b'this variable is not set'),
    (['--no-such-option', '--', 'true'], b'unrecognized arguments'),
    ([], b'which command?'),
])
def test_wrong_usage(arguments, message):
    result = vm(*arguments)
    assert result.returncode == 125
    assert message in result.stderr


def children(pid):
    with open(f'/proc/{pid}/task/{pid}/children') as file:
        return [int(child) for child in file.read().split()]


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM])
def test_killed_tool_leaves_no_qemu(number, tmp_path):
    os.environ['TMPDIR'] = str(tmp_path)
    try:
        tool = vm_started('--', 'bash', '-c', 'echo up; exec sleep infinity')
    finally:
        del os.environ['TMPDIR']
    with tool:
        qemu, = [os.pidfd_open(pid) for pid in children(tool.pid)]
        tool.send_signal(number)
        assert tool.wait() == (-number if number == signal.SIGKILL else 128 + number)
        # A descriptor of a process becomes readable when the process ends.
        assert select.select([qemu], [], [], 60)[0]
        os.close(qemu)
    assert not os.listdir(tmp_path)
