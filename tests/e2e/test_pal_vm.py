# SPDX-License-Identifier: Apache-2.0
"""libpal_vm.so: containers of rune whose processes run in a virtual machine, which emulates where there is no KVM.  The
list of enclaves is one of the test's own, on a mount that nobody else sees."""
import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import pty
import select
import signal
import struct
import subprocess
import termios

import pytest

from bundles import bundle, rune  # noqa: F401
from conftest import ROOT, need_program, wait_for
from enclaves import ImageFolder, Qt, shell
from inject import wait_until_it_stands_by

MIB = 1 << 20


@pytest.fixture(scope="module")
def own_list():
    """The words before a command that has /run/coffer to itself."""
    keeper = subprocess.Popen([need_program("unshare"), "--mount", "--propagation", "private", "sh", "-c",
                               "mkdir -p /run/coffer && mount -t tmpfs -o mode=700 tmpfs /run/coffer && echo && exec cat"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    if not keeper.stdout.readline():
        pytest.skip("makes no mount namespace: it takes root")
    yield [need_program("nsenter"), f"--mount=/proc/{keeper.pid}/ns/mnt", "--"]
    keeper.stdin.close()
    keeper.wait()


@pytest.fixture
def vm(rune, bundle, build_dir, own_list, tmp_path):
    """The bundle as an enclave of libpal_vm.so, with `words` as its arguments."""
    pal = build_dir / "pal/vm/libpal_vm.so"
    if not pal.is_file():
        pytest.skip(f"no {pal}")
    subprocess.run([ROOT / "tools/fetch-kernel", "cloud"], check=True, capture_output=True)
    wrapper = tmp_path / "rune"
    wrapper.write_text(f"#!/bin/sh\nexec {' '.join(own_list)} {rune.program} \"$@\"\n")
    wrapper.chmod(0o755)
    rune.program = str(wrapper)
    rune.globals = ["--pal-path", str(pal.parent)]
    bundle.root = bundle.config["root"]
    bundle.root["readonly"] = False
    bundle.linux["resources"] = {"memory": {"limit": 192 * MIB}}
    bundle.process["env"] += ["ENCLAVE_TYPE=vm", f"ENCLAVE_RUNTIME_PATH={pal}"]

    def words(text):
        bundle.process["env"].append(f"ENCLAVE_RUNTIME_ARGS={text}")
    yield words
    rune.clear()
    wait_for(lambda: not enclaves(own_list, build_dir), "the end of all that the test started")


def enclaves(own_list, build_dir):
    """The test's own list, as whoever looks at it sees it, and the processes of enclaves in its mount namespace."""
    left = json.loads(subprocess.run([*own_list, build_dir / "qt/qt", "enclave", "query"], capture_output=True, text=True,
                                     check=True).stdout)
    space = os.readlink(own_list[1].split("=")[1])
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            name = (folder / "comm").read_text().strip()
            if name in ("coffer-enclave", "qemu-system-x86") and os.readlink(folder / "ns/mnt") == space:
                left.append(name)
    return left


def said(result):
    return result.stderr.replace('\\"', '"')


# ---- like any container -------------------------------------------------------------------------------------------

def test_a_container_runs_in_a_machine_of_its_own(rune, bundle, vm, tmp_path):
    (bundle.rootfs / "var").chmod(0o777)
    (bundle.rootfs / "var/kept").write_text("kept\n")
    bundle.config["mounts"].append({"destination": "/var", "type": "tmpfs", "source": "tmpfs",
                                    "options": ["tmpcopyup", "noexec", "nosuid"]})
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost of-the-engine\n")
    bundle.config["mounts"].append({"destination": "/etc/hosts", "type": "bind", "source": str(hosts),
                                    "options": ["rbind", "ro"]})
    bundle.root["readonly"] = True
    bundle.process.update(user={"uid": 1000, "gid": 1001, "additionalGids": [5, 6], "umask": 0o27}, cwd="/home/user",
                          rlimits=[{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 88}], noNewPrivileges=True)
    bundle.process["env"] += ["ODD=a\tb\nc=d ü", "EMPTY="]
    bundle.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 74}]}
    bundle.args("sh", "-c", 'for a; do echo "[$a]"; done; echo "$ODD" "[${EMPTY-unset}]"; env | grep -c ^ENCLAVE_; '
                'echo pid $$ host $(hostname) cwd $(pwd) umask $(umask) files $(ulimit -n); id -u; id -g; id -G; '
                'grep -E "^(MemTotal)" /proc/meminfo; grep -E "^(CapEff|NoNewPrivs|Seccomp):" /proc/self/status; '
                'cat /etc/hosts; mkdir /tmp/x; touch /file; uname -r; cat /var/kept; touch /var/new && grep -c " /var .*noexec" '
                '/proc/mounts; exit 42', "sh", "two words", "", "*")
    result = rune.run(bundle, check=False)
    assert result.returncode == 42, result.stderr
    lines = result.stdout.splitlines()
    assert lines[:3] == ["[two words]", "[]", "[*]"]
    assert lines[3:6] == ["a\tb", "c=d ü []", "0"]
    assert lines[6:10] == ["pid 1 host rune cwd /home/user umask 0027 files 77", "1000", "1001", "1001 5 6"]
    assert 128 * 1024 < int(lines[10].split()[1]) < 192 * 1024, "the limit is the machine's memory"
    assert lines[11:14] == ["CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"]
    assert lines[14] == "127.0.0.1 localhost of-the-engine"
    assert lines[15] != os.uname().release, "a kernel of its own"
    assert lines[16:] == ["kept", "1"], "written to by its user, while the root can't be"
    assert "Read-only file system" in result.stderr and "Bad message" in result.stderr


def test_streams_signals_and_further_processes(rune, bundle, vm, build_dir, own_list):
    bundle.shell("trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.1; done")
    out = bundle.path / "c.out"
    rune.create(bundle)
    notes = rune.state()["annotations"]
    assert notes["coffer.enclave.isolation"] in ("kvm", "emulated") and notes["coffer.enclave.id"] == "0"
    assert all(len(bytes.fromhex(notes[f"coffer.enclave.pcr{n}"])) == 48 for n in (0, 1, 2))
    rune("start", "c")
    wait_for(lambda: out.read_text() == "ready\n", "the container's first words")
    data = os.urandom(MIB)
    assert rune("exec", "c", "sha256sum", input=data, text=False).stdout.split()[0].decode() == \
        hashlib.sha256(data).hexdigest()
    assert rune("exec", "c", "cat", input=data, text=False).stdout == data
    both = [rune.start_process("exec", "c", "sh", "-c", f"sleep 1; echo {n}; exit {n}", stdout=subprocess.PIPE)
            for n in (3, 4)]
    assert [(p.communicate()[0].split(), p.returncode) for p in both] == [([b"3"], 3), ([b"4"], 4)]
    apart = rune("exec", "--env", "X=a b", "c", "sh", "-c", 'echo "$X"; echo err >&2; echo $$ >/dev/null; exit 5',
                 check=False)
    assert (apart.returncode, apart.stdout, apart.stderr) == (5, "a b\n", "err\n")
    missing = rune("exec", "c", "/nonexistent", check=False)
    assert missing.returncode != 0 and "/nonexistent" in said(missing)
    rune("kill", "c", "TERM")
    rune.wait_status("stopped")
    assert out.read_text() == "ready\ncaught\n"
    rune("delete", "c")
    wait_for(lambda: not enclaves(own_list, build_dir), "the end of the machine")


def test_a_terminal_has_its_size_and_follows_it(rune, bundle, vm):
    bundle.process["terminal"] = True
    bundle.shell("stty size; trap 'stty size; exit 3' WINCH; echo set; while :; do sleep 0.1; done")
    ours, theirs = pty.openpty()
    seen = b""

    def see(text):
        nonlocal seen
        while text not in seen:
            assert select.select([ours], [], [], 60)[0], seen
            seen += os.read(ours, 4096)

    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 111, 0, 0))
    process = rune.start_process("run", "--bundle", bundle.write(), "c", stdin=theirs, stdout=theirs, stderr=theirs,
                                 start_new_session=True)
    see(b"33 111")
    see(b"set")
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 7, 50, 0, 0))
    process.send_signal(signal.SIGWINCH)
    see(b"7 50")
    assert process.wait(60) == 3
    os.close(ours)
    os.close(theirs)


def test_nothing_stays_of_a_container_that_is_killed(rune, bundle, vm, build_dir, own_list):
    bundle.args("sleep", "1000")
    rune.start(bundle)
    assert enclaves(own_list, build_dir)
    os.kill(rune.state()["pid"], signal.SIGKILL)
    rune.wait_status("stopped")
    wait_for(lambda: not enclaves(own_list, build_dir), "the end of the machine")
    rune("delete", "c")


def process_of(own_list, name):
    """The pid of the supervisor or the QEMU of the one enclave that the test started, None before there is one."""
    space = os.readlink(own_list[1].split("=")[1])
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (folder / "comm").read_text().strip() == name and os.readlink(folder / "ns/mnt") == space:
                return int(folder.name)
    return None


KILLED = [("coffer-enclave", "supervisor ended without an answer"), ("qemu-system-x86", "QEMU was killed by signal 9 (Killed)")]
KILLED_AT_START = [("coffer-enclave", "supervisor was killed by signal 9 (Killed)"), KILLED[1]]


@pytest.mark.parametrize("victim, text", KILLED, ids=["supervisor", "machine"])
def test_a_container_whose_machine_is_killed_fails_and_says_so(rune, bundle, vm, own_list, victim, text):
    bundle.shell("echo up; sleep 1000")
    run = rune.start_process("run", "--bundle", bundle.write(), "c", text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert run.stdout.readline() == "up\n"
    further = rune.start_process("exec", "c", "sh", "-c", "echo up; sleep 1000", text=True, stdout=subprocess.PIPE)
    assert further.stdout.readline() == "up\n"
    for process in (run, further):
        wait_until_it_stands_by(process)
    os.kill(process_of(own_list, victim), signal.SIGKILL)
    _, said_of_it = run.communicate(timeout=60)
    assert run.returncode == 1 and "pal_exec: the enclave has ended: " in said_of_it and text in said_of_it
    assert further.wait(60) == 128 + signal.SIGKILL
    assert rune.status() is None


@pytest.mark.parametrize("victim, text", KILLED_AT_START, ids=["supervisor", "machine"])
def test_a_machine_that_is_killed_while_it_starts_is_an_error_of_create(rune, bundle, vm, own_list, victim, text):
    bundle.args("true")
    create = rune.start_process("create", "--bundle", bundle.write(), "c", text=True, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE)
    os.kill(wait_for(lambda: process_of(own_list, victim), "the machine's start"), signal.SIGKILL)
    _, said_of_it = create.communicate(timeout=60)
    assert create.returncode == 1 and "pal_prepare: " in said_of_it and text in said_of_it
    assert rune.status() is None


# ---- what can't be ------------------------------------------------------------------------------------------------

def test_volumes_are_refused_or_copied(rune, bundle, vm, tmp_path):
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "data").write_text("copied\n")
    bundle.config["mounts"].append({"destination": "/mnt/v", "type": "bind", "source": str(volume),
                                    "options": ["rbind", "ro"]})
    bundle.shell("cat /mnt/v/data; echo x > /mnt/v/data")
    refused = rune.run(bundle, check=False)
    assert refused.returncode == 1
    assert f"mount of {volume} on /mnt/v: files of the host can't be shared with an enclave; the annotation " \
           "enclave.vm.allow-host-mounts=true" in said(refused)
    bundle.config["annotations"] = {"enclave.vm.allow-host-mounts": "true"}
    result = rune.run(bundle, check=False)
    assert result.stdout == "copied\n" and "Read-only file system" in result.stderr
    assert (volume / "data").read_text() == "copied\n"


def test_what_engines_bind_read_only_is_read_only_inside(rune, bundle, vm, tmp_path):
    (tmp_path / "hosts").write_text("1.2.3.4 given\n")
    bundle.config["root"]["readonly"] = False
    bundle.config["mounts"].append({"destination": "/etc/hosts", "type": "bind", "source": str(tmp_path / "hosts"),
                                    "options": ["rbind", "ro"]})
    bundle.shell("cat /etc/hosts; echo x > /etc/hosts; echo x > /etc/other && echo writable")
    result = rune.run(bundle, check=False)
    assert result.stdout == "1.2.3.4 given\nwritable\n" and "/etc/hosts: Read-only file system" in result.stderr


def test_limits_hold_inside(rune, bundle, vm, build_dir, own_list):
    bundle.linux["resources"].update(
        pids={"limit": 5}, cpu={"quota": 40000, "period": 50000, "cpus": "0"},
        devices=[{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 1, "minor": 11, "access": "rw"}])
    capabilities = bundle.process["capabilities"]
    for name in capabilities:
        capabilities[name] = [*capabilities[name], "CAP_MKNOD", "CAP_SYS_RAWIO"]
    bundle.shell("sleep 1000")
    rune.start(bundle)
    see = rune("exec", "c", "sh", "-c", "cd /sys/fs/cgroup; cat pids.max cpu.max; cat /proc/self/cgroup; grep -c ^processor /proc/cpuinfo; "
               "mknod /tmp/mem c 1 1; mknod /tmp/kmsg c 1 11; cat /tmp/mem; echo x > /tmp/kmsg && echo written; sleep 9 & sleep 9 & sleep 9 & "
               "sleep 9 & sleep 9", check=False)
    assert see.stdout.split() == ["5", "40000", "50000", "0::/", "1", "written"], see
    assert "/tmp/mem': Operation not permitted" in see.stderr and "Resource temporarily unavailable" in see.stderr
    [machine] = [folder for folder in pathlib.Path("/proc").glob("[0-9]*") if is_machine(folder, own_list)]
    assert "Cpus_allowed_list:\t0\n" in (machine / "status").read_text()


def is_machine(folder, own_list):
    """Is this process the QEMU of an enclave that the test started?"""
    with contextlib.suppress(OSError):
        return (folder / "comm").read_text().startswith("qemu-system") and \
            os.readlink(folder / "ns/mnt") == os.readlink(own_list[1].split("=")[1])
    return False


def resources(**members):
    return lambda b: b.linux["resources"].update(members)


def process(**members):
    return lambda b: b.process.update(members)


def linux(**members):
    return lambda b: b.linux.update(members)


def mount(**members):
    return lambda b: b.config["mounts"].append({"destination": "/x", **members})


@pytest.mark.parametrize("change, text", [
    (resources(memory={"limit": 32 * MIB}), "memory limit of 32: this image needs at least "),
    (resources(memory={"limit": 192 * MIB, "disableOOMKiller": True}), "resources.memory.disableOOMKiller"),
    (linux(devices=[{"path": "/dev/fuzz", "type": "c", "major": 1, "minor": 9}]), "device /dev/fuzz"),
    (linux(devices=[{"path": "/dev/zero", "type": "c", "major": 1, "minor": 1}]), "device /dev/zero"),
    (mount(type="ext4", source="/dev/sda"), "mount of type ext4 on /x"),
    (mount(type="tmpfs", source="x", options=["tmpcopyup", "size=1m"]), 'mount on /x: tmpcopyup with "size=1m"'),
    (mount(type="tmpfs", source="x", options=["remount"]), "mount on /x: remounts"),
    (process(scheduler={"policy": "SCHED_BATCH"}), "process.scheduler"),
    (process(ioPriority={"class": "IOPRIO_CLASS_BE", "priority": 4}), "process.ioPriority"),
    (process(execCPUAffinity={"initial": "0"}), "process.execCPUAffinity"),
    (process(apparmorProfile="strict"), "the AppArmor profile strict"),
    (process(selinuxLabel="user_u:user_r:special_t:s0"), "the SELinux label user_u:user_r:special_t:s0"),
    (linux(personality={"domain": "LINUX32"}), "linux.personality"),
    (lambda b: b.namespace("ipc", "/proc/self/ns/ipc"), "joining the namespace /proc/self/ns/ipc"),
    (lambda b: b.config.update(hooks={"startContainer": [{"path": "/bin/true"}]}), "a hook startContainer in the enclave"),
    (lambda b: b.config.update(hooks={"createContainer": [{"path": "/bin/true"}]}), "a hook createContainer in the enclave"),
    (lambda b: b.linux.update(seccomp={"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/x", "syscalls": [
        {"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]}), "a seccomp listener"),
    (lambda b: b.process["env"].append("ENCLAVE_RUNTIME_ARGS=memroy=5"), "argument memroy=5: it isn't one of"),
    (lambda b: b.process["env"].append("ENCLAVE_RUNTIME_ARGS=image=/nonexistent.eif"),
     "image /nonexistent.eif: it is neither in the container's root nor on the host"),
], ids=["memory", "oom-killer", "device", "other-device", "mount", "tmpcopyup", "remount", "scheduler", "io-priority", "affinity", "apparmor",
        "selinux", "personality", "namespace", "start-hook", "create-hook", "seccomp-listener", "argument", "image"])
def test_what_an_enclave_cannot_have_is_an_error_that_names_it(rune, bundle, vm, change, text):
    bundle.args("true")
    change(bundle)
    result = rune.run(bundle, check=False)
    assert result.returncode == 1 and text in said(result), said(result)


def test_a_further_process_is_held_to_the_same(rune, bundle, vm, tmp_path):
    bundle.args("sleep", "1000")
    rune.start(bundle)
    further = {"args": ["true"], "cwd": "/", "user": {"uid": 0, "gid": 0}, "env": ["PATH=/bin"]}
    path = tmp_path / "process.json"
    for name, value in (("ioPriority", {"class": "IOPRIO_CLASS_BE", "priority": 4}), ("execCPUAffinity", {"initial": "0"}),
                        ("scheduler", {"policy": "SCHED_BATCH", "nice": 3})):
        path.write_text(json.dumps({**further, name: value}))
        result = rune("exec", "--process", path, "c", check=False)
        assert result.returncode != 0 and f"process.{name}: an enclave can't have this" in said(result), said(result)
    path.write_text(json.dumps(further))
    assert rune("exec", "--process", path, "c").returncode == 0


def test_what_changes_a_running_container_on_the_host_is_refused(rune, bundle, vm):
    """Its limits and the freezer are those of a process that only stands for the machine."""
    bundle.args("sleep", "1000")
    rune.start(bundle)
    for command in (["pause", "c"], ["update", "--pids-limit", "5", "c"], ["exec", "--cgroup", "x", "c", "true"]):
        result = rune(*command, check=False)
        assert result.returncode != 0 and "an enclave of type \"vm\"" in said(result), said(result)
    assert rune.status() == "running"


def test_the_unenforced_is_left_out_where_that_is_allowed(rune, bundle, vm):
    bundle.args("true")
    bundle.process["scheduler"] = {"policy": "SCHED_BATCH"}
    bundle.config["annotations"] = {"enclave.vm.allow-unenforced": "true"}
    assert rune.run(bundle).returncode == 0


# ---- images of their own ------------------------------------------------------------------------------------------

def test_an_enclave_image_runs_in_place_of_the_containers_files(rune, bundle, vm, build_dir, tmp_path):
    images = ImageFolder(Qt(build_dir, tmp_path / "registry"), tmp_path)
    eif = images.eif("own", shell("echo from the image; exit 6"))
    (bundle.rootfs / "own.eif").write_bytes(eif.read_bytes())
    bundle.args("ignored")
    vm("image=own.eif memory=24")
    small = rune.run(bundle, check=False)
    assert small.returncode == 1 and "image own.eif: memory 24: this image needs at least " in said(small)
    (bundle.rootfs / "cut.eif").write_bytes(eif.read_bytes()[:-100])
    vm("image=cut.eif")
    cut = rune.run(bundle, check=False)
    assert cut.returncode == 1 and "image cut.eif: " in said(cut) and "past the end of the file" in said(cut), said(cut)
    vm("image=own.eif memory=192 cpus=1 debug")
    result = rune.run(bundle, check=False)
    assert result.returncode == 6, result.stderr
    assert "from the image" in result.stdout
