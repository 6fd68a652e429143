# SPDX-License-Identifier: Apache-2.0
"""Test quotes of a user without privilege, whose simulation has a root key of its own."""
import shutil

import pytest

import quote_oracle
from test_rune_rootless import bundle, rune, user  # noqa: F401
from verifying import verify  # noqa: F401


@pytest.fixture
def simulated(rune, bundle, user, build_dir):
    """The skeleton enclave as the user's container "c"; plug-in and quoter lie where the user may look."""
    skeleton, parts = build_dir / "pal/skeleton", user.folder / "parts"
    parts.mkdir(exist_ok=True)
    for path in (skeleton / "liberpal-skeleton-v3.so", build_dir / "sgx-emulator/sgx-test-quoter"):
        shutil.copy(path, parts)
    (bundle.rootfs / "run/rune").mkdir()
    shutil.copy(skeleton / "encl.bin", bundle.rootfs / "run/rune")
    shutil.copy(skeleton / "encl-debug.ss", bundle.rootfs / "run/rune/encl.ss")
    rune.globals = ["--pal-path", str(parts)]
    rune.environment["COFFER_LIBEXEC"] = str(parts)
    bundle.args("skeleton", "wait_timeout", "600")
    bundle.process["cwd"] = "/run/rune"
    bundle.config["annotations"] = {"enclave.type": "intelSgx", "enclave.runtime.args": "simulate",
                                    "enclave.runtime.path": str(parts / "liberpal-skeleton-v3.so")}
    rune.start(bundle)
    return rune


def test_a_users_enclave_has_a_test_quote_by_the_users_own_key(simulated, verify, tmp_path):
    result = simulated("attest", "--isRA", "c")
    assert "evidence of nothing" in result.stderr
    (tmp_path / "quote").write_bytes(bytes.fromhex(result.stdout))
    assert quote_oracle.take_apart((tmp_path / "quote").read_bytes())["vendor"] == b"COFFER-SIMULATED"
    assert (simulated.folder / "run/coffer/sgx-simulation.key").stat().st_mode & 0o777 == 0o600
    verify("--accept-test-quotes", tmp_path / "quote")


def test_another_users_simulation_does_not_quote_it(simulated):
    (simulated.folder / "run/coffer/sgx-simulation.key").unlink()
    result = simulated("attest", "--isRA", "c", check=False)
    assert result.returncode == 1 and "sgx-test-quoter: " in result.stderr
    assert result.stdout == ""
