# SPDX-License-Identifier: Apache-2.0
"""Containers' processes on another kernel than the build machine's: control groups of v2 alone, and AppArmor."""
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))

from bundles import Bundle  # noqa: E402

PROFILE = "profile rune-test flags=(attach_disconnected) { file, network, capability, deny /etc/passwd r, }\n"
BUILD = pathlib.Path(os.environ.get("COFFER_BUILD", ROOT / "build"))


def in_vm(share, *command, timeout=500):
    return subprocess.run(
        [ROOT / "tests/vm/run", "--cgroup", "v2", "--share", share, "--timeout", str(timeout), "--", *command],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=timeout + 100)


def test_apparmor_profile(tmp_path):
    bundle = Bundle(tmp_path / "bundle").shell("cat /proc/self/attr/current; cat /etc/group /etc/passwd")
    (tmp_path / "profile").write_text(PROFILE)
    bundle.process["apparmorProfile"] = "rune-test"
    bundle.write()
    (tmp_path / "without").mkdir()
    bundle.process["apparmorProfile"] = "nosuch"
    (tmp_path / "without/config.json").write_text(json.dumps({**bundle.config, "root": {"path": str(bundle.rootfs)}}))
    # An enclave's process executes nothing that the profile could come with.
    (tmp_path / "enclave").mkdir()
    pal = BUILD / "tests/pal/libtest-pal-v2.so"
    process = {**bundle.process, "apparmorProfile": "rune-test", "args": ["x", "file", "/proc/self/attr/current"],
               "env": ["ENCLAVE_TYPE=vm", f"ENCLAVE_RUNTIME_PATH={pal}"]}
    (tmp_path / "enclave/config.json").write_text(
        json.dumps({**bundle.config, "process": process, "root": {"path": str(bundle.rootfs)}}))
    rune = f"{BUILD}/rune/rune --root /run/rune-test --pal-path {pal.parent} run"
    result = in_vm(tmp_path, "sh", "-c", f"apparmor_parser -r {tmp_path}/profile && {rune} -b {tmp_path}/bundle one; "
                   f"echo; {rune} -b {tmp_path}/enclave three; {rune} -b {tmp_path}/without two")
    lines = result.stdout.splitlines()
    assert lines[:2] == ["rune-test (enforce)", "root:x:0:"], result.stderr
    assert lines[-1] == "rune-test (enforce)", result.stderr
    assert "root:x:0:0" not in result.stdout and "can't open '/etc/passwd': Permission denied" in result.stderr
    assert "there is no such profile; load it with apparmor_parser(8)" in result.stderr
    assert result.returncode == 1
