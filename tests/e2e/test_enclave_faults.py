# SPDX-License-Identifier: Apache-2.0
"""Starts that are killed at each of their steps, and starts on a machine that lacks something: nothing is half-made, and the
next command works."""
import os
import pathlib
import shutil
import signal
import struct
import subprocess

import pytest

import eif_maker
from conftest import ROOT, wait_for
from enclaves import Qt, kill_all
from engines import short_folder
from kill_at import kill_at

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
    wait_for(lambda: qt.list() == [] and not qt.processes(), f"the end of all, killed at step {step}")
    left = [path for part in ("enclaves", "ended") for path in (qt.state / part).iterdir()]
    assert left == [], f"killed at step {step}"
    if not killed:
        assert status == 1 and ENDS in text, text
    elif which != QT:  # qt goes on, and has to tell
        assert status == 1 and "ERROR: " in text, f"killed at step {step}: {status} {text}"
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
