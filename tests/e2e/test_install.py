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
    shutil.copy(ROOT / "tools" / "fetch-kernel", folder)
    return folder


@pytest.fixture
def qt(build_dir, installed, tmp_path):
    one = Qt(build_dir, tmp_path / "state")
    one.kernel = one.env.pop("COFFER_KERNEL_DIR")
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


def test_missing_kernel_is_told_with_the_command_that_gets_it(qt, installed, tmp_path):
    layout = ImageFolder(qt, tmp_path).layout("one", shell("exit 0"))
    message = qt.fails("make-img", "--docker-uri", layout, "--eif", tmp_path / "one.eif")
    assert f"there is no {installed}/kernels/cloud; get it with `{installed}/fetch-kernel cloud`" in message
    assert "--kernel" in message and "COFFER_KERNEL_DIR" in message
    assert not (tmp_path / "one.eif").exists()
