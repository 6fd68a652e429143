# SPDX-License-Identifier: Apache-2.0
"""SGX in simulation on a CPU where ENCLU is SIGILL, whatever it is on this machine, and on one whose FS a program can't
change itself.  The emulated CPU of the test host VM has no SGX."""
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
EMULATED = "build/sgx-emulator/sgx-emulator -q -- build/sgx-emulator/test-program build/pal/skeleton/encl.bin " \
           "build/pal/skeleton/encl-debug.ss"


def unit(name):
    return f"build/lib/sgx/test-{name}"


def lacks(*flags):
    return "".join(f"if grep -qw {flag} /proc/cpuinfo; then exit 9; fi\n" for flag in flags)


@pytest.mark.parametrize("parameter,commands", [
    # test-sim's enclave reads FS by an instruction.
    ("nofsgsbase", [lacks("sgx", "fsgsbase"), unit("threads"), unit("gate"), unit("rewrite"), EMULATED]),
    ("quiet", [lacks("sgx"), unit("sim"), unit("threads"), unit("gate"), unit("rewrite"), EMULATED]),
])
def test_simulation_where_enclu_is_an_invalid_opcode(parameter, commands):
    result = subprocess.run(
        [ROOT / "tests/vm/run", "--accel", "tcg", "--append", parameter, "--timeout", "500", "--", "sh", "-exc",
         "\n".join(commands)],
        cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=600)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "the enclave ran\n" in result.stdout
