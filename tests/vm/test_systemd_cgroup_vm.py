# SPDX-License-Identifier: Apache-2.0
"""Control groups by a real systemd, in the test host VM."""
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_scopes_of_a_real_systemd():
    result = subprocess.run(
        [ROOT / "tests/vm/run", "--cgroup", "v2", "--timeout", "300", "--", ROOT / "tests/vm/with-systemd",
         ROOT / "build/lib/container/test-cgroup-systemd", "live"],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=400)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "[  PASSED  ] 6 test(s)." in result.stdout + result.stderr
