# SPDX-License-Identifier: Apache-2.0
"""A machine of a test's own, as far as Coffer sees: an /etc that is a copy, and users who exist for the test only.  Needs
root."""
import os
import pathlib
import shutil
import subprocess

import pytest

from conftest import need_program
from enclaves import Qt


class Machine:
    """Programs of this machine see `etc` in place of /etc."""

    def __init__(self, build, folder):
        if os.geteuid() != 0:
            pytest.skip("only root can make a machine with an /etc of its own")
        if any(not parent.stat().st_mode & 0o001 for parent in [build, *build.parents]):
            pytest.skip("the build folder is not everybody's to read")
        self.build, self.folder = build, folder
        self.etc = folder / "etc"
        shutil.copytree("/etc", self.etc, symlinks=True)
        shutil.rmtree(self.etc / "coffer", ignore_errors=True)

    def configure(self, text):
        (self.etc / "coffer").mkdir(mode=0o755, exist_ok=True)
        (self.etc / "coffer/enclave.conf").write_text(text)

    def user(self, uid):
        """qt as this user runs it, with a state folder."""
        state = self.folder / f"state-{uid}"
        state.mkdir(mode=0o700)
        os.chown(state, uid, uid)
        become = ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--inh-caps=-all", "--"] if uid else []
        return Qt(self.build, state, ["unshare", "--mount", "--propagation", "slave", "sh", "-c",
                                      'mount --bind "$0" /etc && exec "$@"', str(self.etc), *become])

    def publish(self, path):
        """A copy of a file that every user can read."""
        copy = self.folder / pathlib.Path(path).name
        shutil.copy(path, copy)
        copy.chmod(0o644)
        return copy


def need_tools():
    for name in ("unshare", "setpriv", "mount"):
        need_program(name)
    subprocess.run(["unshare", "--mount", "true"], check=True)
