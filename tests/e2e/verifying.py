# SPDX-License-Identifier: Apache-2.0
"""sgx-verify as a fixture: `from verifying import verify  # noqa: F401`."""
import subprocess

import pytest


@pytest.fixture
def verify(build_dir):
    def run(*words, status=0):
        result = subprocess.run([build_dir / "sgx-verify/sgx-verify", *map(str, words)], capture_output=True, text=True,
                                timeout=60)
        assert result.returncode == status, result.stdout + result.stderr
        return result
    return run
