# SPDX-License-Identifier: Apache-2.0
"""Starts that are killed at each of their steps, and starts on a machine that lacks something: nothing is half-made, and the
next command works."""
import os
import pathlib
import resource
import shutil
import struct
import subprocess

import pytest

import eif_maker
from conftest import ROOT, wait_for
from enclaves import ImageFolder, Qt, kill_all, shell
from engines import short_folder
from kill_at import kill_at
from machine import Machine, need_tools

MOST_STEPS = 3000  # more than a start has
STRIDE = 40        # by which steps are skipped that can't leave anything: nothing was made yet
# The processes of a start in the order in which they come: qt, the supervisor as it is started, then in the background,
# and QEMU.
QT, LAUNCHER, SUPERVISOR, QEMU = 0, 1, 2, 3
ENDS = "QEMU ended with status 3"


def short_kernel():
    """The beginning of a kernel, with a header that says that this is all."""
    result = subprocess.run([ROOT / "tools/fetch-kernel", "cloud"], check=True, capture_output=True, text=True)
    image = bytearray((pathlib.Path(result.stdout.strip()) / "vmlinuz").read_bytes()[:65536])
    setup = (image[0x1f1] + 1) * 512
    image[0x1f4:0x1f8] = struct.pack("<I", (len(image) - setup) // 16)
    return bytes(image)


@pytest.fixture
def faulty(build_dir, monkeypatch):
    """qt with an image, and a QEMU that ends as soon as it is started."""
    with short_folder() as folder:
        qt = Qt(build_dir, folder / "state")
        (folder / "bin").mkdir(mode=0o755)
        program = folder / "bin/qemu-system-x86_64"
        program.write_text("#!/bin/sh\nexit 3\n")
        program.chmod(0o755)
        application = eif_maker.cpio([("rootfs", 0o40755, b""), ("enclave", 0o40755, b""),
                                      ("enclave/config", 0o100600, eif_maker.guest_config(["/bin/sh"]))])
        qt.eif = folder / "small.eif"
        qt.eif.write_bytes(eif_maker.eif([
            (eif_maker.KERNEL, short_kernel()), (eif_maker.CMDLINE, b"console=ttyS0"), (eif_maker.METADATA, b"{}"),
            (eif_maker.RAMDISK, eif_maker.cpio([("init", 0o100755, b"#!")])), (eif_maker.RAMDISK, application)]))
        for name, value in {"COFFER_STATE_DIR": str(qt.state), "PATH": f"{folder}/bin:{os.environ['PATH']}"}.items():
            qt.env[name] = value
            monkeypatch.setenv(name, value)
        qt.arguments = ["start", "--eif", str(qt.eif), "--mem", "128", "--cpus", "1"]
        yield qt
        kill_all(qt)


def whole_start(qt):
    assert ENDS in qt.fails(*qt.arguments)
    qt.nothing_is_left()


def killed_at(qt, which, step):
    """Kills the start at this step; what is left goes by itself or with the next command.  Whether there was such a step."""
    killed, status, text = kill_at([qt.program, "enclave", *qt.arguments], which, step)
    # A process that is about to become a supervisor holds the entry already.
    wait_for(lambda: qt.list() == [] and not qt.has_processes(), f"the end of all, killed at step {step}")
    left = [path for part in ("enclaves", "ended") for path in (qt.state / part).iterdir()]
    assert left == [], f"killed at step {step}"
    if not killed:
        assert status == 1 and ENDS in text, text
    elif which != QT:  # qt goes on, and has to tell
        told = ENDS if ENDS in text else "QEMU was killed by" if which == QEMU else "the supervisor was killed by signal 9 (Killed)"
        assert status == 1 and f"{told}" in text, f"killed at step {step}: {status} {text}"
    return killed


def first_step(qt, which):
    """The first step that can leave anything, or a little before it: qt makes its state folder then."""
    if which != QT:
        return 1
    for step in range(1, MOST_STEPS, STRIDE):
        shutil.rmtree(qt.state, ignore_errors=True)
        kill_at([qt.program, "enclave", *qt.arguments], which, step)
        if qt.state.exists():
            return max(1, step - STRIDE)
    return 1


@pytest.mark.parametrize("which", [QT, LAUNCHER, SUPERVISOR, QEMU], ids=["qt", "launcher", "supervisor", "qemu"])
def test_start_killed_at_each_step_leaves_nothing(faulty, which):
    steps = 0
    for step in range(first_step(faulty, which), MOST_STEPS):
        if not killed_at(faulty, which, step):
            break
        steps += 1
    assert MOST_STEPS > steps > 20
    print(f"{steps} steps")
    whole_start(faulty)


# ---- a machine that lacks something ----


@pytest.fixture(scope="module")
def sleeper(build_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    return ImageFolder(Qt(build_dir, folder / "state"), folder).eif("sleeper", shell("exec sleep 1000"))


@pytest.fixture
def qt(build_dir, tmp_path):
    one = Qt(build_dir, tmp_path / "state")
    yield one
    kill_all(one)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 16 pages, and a function that fills it but for so many."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    page = os.sysconf("SC_PAGE_SIZE")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={16 * page}", "tmpfs", folder], check=True)

    def fill(but):
        (folder / "filler").unlink(missing_ok=True)
        free = os.statvfs(folder).f_bavail
        (folder / "filler").write_bytes(bytes((free - but) * page))
    yield folder, fill
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def machine(build_dir):
    need_tools()
    with short_folder() as folder:
        yield Machine(build_dir, folder)


def on_disk(folder):
    return [str(path) for part in ("enclaves", "ended") for path in (folder / "state" / part).glob("*")]


def test_full_disk_refuses_a_start_with_the_file_and_leaves_nothing(build_dir, small_disk, sleeper):
    folder, fill = small_disk
    qt = Qt(build_dir, folder / "state")
    assert qt.list() == []
    for pages in (0, 1):
        fill(pages)
        message = qt.fails("start", "--eif", sleeper, "--mem", 256, "--cpus", 1)
        assert "state/enclaves/0" in message and "No space left on device" in message, message
        assert on_disk(folder) == []
        wait_for(lambda: not qt.has_processes(), "the end of what was started")
    fill(3)
    assert qt.start(sleeper)["State"] == "running"
    qt.ok("stop", "--all")
    qt.nothing_is_left()


def test_running_enclave_survives_a_full_disk_and_can_be_stopped(build_dir, small_disk, sleeper):
    folder, fill = small_disk
    qt = Qt(build_dir, folder / "state")
    started = qt.start(sleeper)
    fill(0)
    assert qt.list() == [started]
    assert "No space left on device" in qt.fails("start", "--eif", sleeper, "--mem", 256, "--cpus", 1)
    assert qt.list() == [started]
    qt.ok("stop", "--enclave-id", 0)
    qt.nothing_is_left()
    assert on_disk(folder) == []


def test_full_folder_for_temporary_files_is_told(qt, small_disk, sleeper):
    folder, fill = small_disk
    fill(0)
    qt.env["TMPDIR"] = str(folder)
    message = qt.fails("start", "--eif", sleeper, "--mem", 256, "--cpus", 1)
    assert "cannot copy the image into a temporary file (TMPDIR sets the folder): No space left on device" in message
    qt.nothing_is_left()


def test_read_only_state_folder_still_shows_what_runs_and_refuses_the_rest(build_dir, small_disk, sleeper):
    folder, _ = small_disk
    qt = Qt(build_dir, folder / "state")
    started = qt.start(sleeper)
    supervisor = started["ProcessID"]
    # A bind mount of its own: the supervisor's view stays writable.
    qt.prefix = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"',
                 str(folder)]
    assert qt.list() == [started]
    assert "Read-only file system" in qt.fails("start", "--eif", sleeper, "--mem", 256, "--cpus", 1)
    assert qt.list() == [started] and os.path.exists(f"/proc/{supervisor}")
    qt.ok("stop", "--enclave-id", 0)
    qt.prefix = []
    qt.nothing_is_left()


def test_state_folder_of_another_user_is_refused_with_the_way_out(qt, sleeper):
    qt.state.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(qt.state, 4711, 4711)
        assert "belongs to user 4711, not to user 0; set COFFER_STATE_DIR" in qt.fails("start", "--eif", sleeper, "--mem", 256)
        os.chown(qt.state, 0, 0)
    qt.state.chmod(0o777)
    assert "can be written by others; chmod 0700 it" in qt.fails("start", "--eif", sleeper, "--mem", 256)
    qt.state.chmod(0o700)
    assert qt.list() == []


def test_image_that_may_not_be_read_is_told(machine, sleeper):
    alice = machine.user(54001)
    eif = machine.publish(sleeper)
    eif.chmod(0o600)
    assert f"{eif}: Permission denied" in alice.fails("start", "--eif", eif, "--mem", 256)
    alice.nothing_is_left()


@pytest.mark.parametrize("processes,program", [(1, "coffer-enclave"), (2, "the supervisor"), (3, "qemu-system-x86_64")],
                         ids=["launcher", "supervisor", "qemu"])
def test_process_that_cannot_be_made_is_told(machine, sleeper, processes, program):
    alice = machine.user(54010 + processes)
    alone = alice.prefix
    alice.prefix = [*alone, "prlimit", f"--nproc={processes}"]
    message = alice.fails("start", "--eif", machine.publish(sleeper), "--mem", 256, "--cpus", 1)
    assert f"{program}: Resource temporarily unavailable" in message
    alice.prefix = alone
    alice.nothing_is_left()


@pytest.mark.parametrize("name,amount,words", [
    ("RLIMIT_AS", 300 << 20, ["QEMU", "annot allocate memory"]),
    ("RLIMIT_NOFILE", 12, ["Too many open files"]),
    ("RLIMIT_FSIZE", 1 << 20, ["File too large"]),
], ids=["memory", "descriptors", "file-size"])
def test_limit_that_is_reached_is_told_and_leaves_nothing(qt, sleeper, name, amount, words):
    kind = getattr(resource, name)
    process = qt.start_process("start", "--eif", sleeper, "--mem", 256, "--cpus", 1,
                               preexec_fn=lambda: resource.setrlimit(kind, (amount, amount)))
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (1, ""), (out, err)
    assert all(word in err for word in words), err
    qt.nothing_is_left()


def test_descriptors_that_run_out_are_told_wherever_that_is(qt, sleeper):
    """In qt, in the supervisor as it is told, as it begins, as it starts QEMU."""
    for amount in range(4, 100):
        process = qt.start_process("start", "--eif", sleeper, "--mem", 256, "--cpus", 1,
                                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (amount, amount)))
        _, err = process.communicate(timeout=120)
        if process.returncode == 0:
            break
        assert "Too many open files" in err, f"{amount}: {err}"
    assert 20 < amount < 99
    qt.ok("stop", "--all")
    qt.nothing_is_left()
