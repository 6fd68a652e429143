# SPDX-License-Identifier: Apache-2.0
"""Device filters of cgroup v2 in a real kernel: the test host VM has a host of v2 alone."""
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_device_filters_of_cgroup_v2_in_the_kernel():
    result = subprocess.run(
        [ROOT / "tests/vm/run", "--cgroup", "v2", "--timeout", "300", "--",
         ROOT / "build/lib/container/test-device-filter", "live"],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=400)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "[  PASSED  ] 3 test(s)." in result.stdout + result.stderr
