# SPDX-License-Identifier: Apache-2.0
"""What the three shells offer behind `rune`, asked of the shells themselves."""
import subprocess

import pytest
from conftest import need_program

BASH = r'''
. "$1"; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
compopt() { :; }
_rune
printf '%s\n' "${COMPREPLY[@]}"
'''


@pytest.fixture(scope="module")
def rune(build_dir):
    path = build_dir / "rune" / "rune"
    if not path.exists():
        pytest.skip("rune is not built")
    return path


def offered_by_bash(rune, words):
    script = rune.parent / "rune.bash"
    return subprocess.run(["bash", "-c", BASH, "bash", script, str(rune), *words], check=True, capture_output=True,
                          text=True).stdout.split()


def offered_by_fish(rune, words):
    script = rune.parent / "rune.fish"
    line = " ".join(["rune", *words])
    result = subprocess.run(["fish", "--no-config", "-c", f"source {script}; complete -C {line!r}"], check=True,
                            capture_output=True, text=True, env={"PATH": f"{rune.parent}:/usr/bin:/bin", "HOME": "/"})
    return [one.split("\t")[0] for one in result.stdout.splitlines()]


OFFERS = {"bash": offered_by_bash, "fish": offered_by_fish}
CASES = [
    (["cr"], {"create"}),
    (["help", "ki"], {"kill"}),
    (["--log-f"], {"--log-format"}),
    (["create", "--no-n"], {"--no-new-keyring"}),
    (["list", "--format", "j"], {"json"}),
    (["--log-format", ""], {"text", "json"}),
    (["--cgroup-manager", ""], {"cgroupfs", "systemd", "disabled"}),
    (["attest", "--quote-type", ""], {"ecdsa"}),
    (["help", "hel"], set()),
    (["--root", "/x", "dele"], {"delete"}),
    (["--log-format", "json", "run", "--kee"], {"--keep"}),
]


@pytest.mark.parametrize("shell", OFFERS)
@pytest.mark.parametrize("words, expected", CASES, ids=lambda x: " ".join(x) if isinstance(x, list) else "")
def test_offers(rune, shell, words, expected):
    need_program(shell)
    assert set(OFFERS[shell](rune, words)) == expected


def test_bash_understands_values_behind_an_equals_sign(rune):
    assert set(offered_by_bash(rune, ["list", "--format", "=", "ta"])) == {"table"}
    assert set(offered_by_bash(rune, ["--log-format", "=", "json", "resu"])) == {"resume"}


def test_signals_are_offered_behind_an_id(rune):
    assert "KILL" in offered_by_bash(rune, ["kill", "c1", "K"])


def test_zsh_reads_its_file(rune):
    zsh = need_program("zsh")
    subprocess.run([zsh, "-n", rune.parent / "_rune"], check=True)
