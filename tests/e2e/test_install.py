# SPDX-License-Identifier: Apache-2.0
"""From an installed tree to the first image: where the parts are found, and what is said where they are not."""
import shutil
import subprocess

import pytest

from conftest import ROOT
from enclaves import Qt, ImageFolder, shell


@pytest.fixture
def installed(build_dir, tmp_path):
    """A folder as PREFIX/lib/coffer is after `meson install`."""
    folder = tmp_path / "lib" / "coffer"
    folder.mkdir(parents=True)
    shutil.copy(build_dir / "guest" / "enclave-init", folder)
    shutil.copy(build_dir / "supervisor" / "coffer-enclave", folder)
    for part in ("tools/build-kernel", "tools/fetch-kernel", "tools/kernel-folder", "guest/kernel.config", "guest/kernel-clocks.c"):
        shutil.copy(ROOT / part, folder)
    return folder


@pytest.fixture
def qt(build_dir, installed, tmp_path):
    one = Qt(build_dir, tmp_path / "state")
    del one.env["COFFER_KERNEL_DIR"]
    fetched = subprocess.run([ROOT / "tools/fetch-kernel", "cloud"], check=True, capture_output=True, text=True)
    one.kernel = fetched.stdout.strip()
    one.env["COFFER_LIBEXEC"] = str(installed)
    return one


def test_kernel_that_the_installed_fetch_kernel_got_is_the_default(qt, installed, tmp_path):
    (installed / "kernels").mkdir()
    (installed / "kernels" / "cloud").symlink_to(qt.kernel)
    # It is there already, so nothing is downloaded: this shows that it keeps kernels where qt looks for them.
    told = subprocess.run([installed / "fetch-kernel", "cloud"], check=True, capture_output=True, text=True)
    assert told.stdout.strip() == qt.kernel
    layout = ImageFolder(qt, tmp_path).layout("one", shell("exit 0"))
    assert qt.ok("make-img", "--docker-uri", layout, "--eif", tmp_path / "one.eif")["digest"] == "SHA384"


def test_kernel_that_build_kernel_made_is_preferred(qt, installed, tmp_path):
    (installed / "kernels").mkdir()
    (installed / "kernels" / "coffer").symlink_to(qt.kernel)
    (installed / "kernels" / "cloud").mkdir()  # with no kernel in it
    layout = ImageFolder(qt, tmp_path).layout("one", shell("exit 0"))
    assert qt.ok("make-img", "--docker-uri", layout, "--eif", tmp_path / "one.eif")["digest"] == "SHA384"


def test_missing_kernel_is_told_with_the_command_that_gets_it(qt, installed, tmp_path):
    layout = ImageFolder(qt, tmp_path).layout("one", shell("exit 0"))
    message = qt.fails("make-img", "--docker-uri", layout, "--eif", tmp_path / "one.eif")
    assert f"there is no {installed}/kernels/coffer or kernels/cloud; build it with `{installed}/build-kernel`" in message
    assert f"`{installed}/fetch-kernel cloud`" in message
    assert "--kernel" in message and "COFFER_KERNEL_DIR" in message
    assert not (tmp_path / "one.eif").exists()
