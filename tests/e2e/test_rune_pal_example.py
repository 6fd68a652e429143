# SPDX-License-Identifier: Apache-2.0
"""The PAL of docs/pal.md, built and run by what the page says."""
import pathlib
import re
import shlex
import subprocess

import pytest

from bundles import bundle, rune  # noqa: F401
from conftest import wait_for

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def hello(rune, tmp_path):
    """The PAL, built by the page's command; rune may load it."""
    command = re.search(r"^    (cc .*)$", (ROOT / "docs/pal.md").read_text(), re.M).group(1)
    words = [str(tmp_path / word) if word.endswith(".so") else word for word in shlex.split(command)]
    subprocess.run([*words, "-Wextra", "-Werror"], check=True, cwd=ROOT)
    rune.globals = ["--pal-path", str(tmp_path)]
    return tmp_path / "libpal_hello.so"


def make(bundle, pal, arguments):
    bundle.process["env"] += ["ENCLAVE_TYPE=vm", f"ENCLAVE_RUNTIME_PATH={pal}", f"ENCLAVE_RUNTIME_ARGS={arguments}"]


def test_example_pal_runs_the_containers_program(rune, bundle, hello):
    make(bundle, hello, "debug")
    bundle.shell("echo from the enclave; exit 3")
    result = rune.run(bundle, check=False)
    assert (result.returncode, result.stdout) == (3, "from the enclave\n")
    assert "pal-hello: an enclave that hides nothing is ready" in result.stderr


def test_example_pal_tells_what_is_wrong_as_the_page_says(rune, bundle, hello):
    make(bundle, hello, "other")
    bundle.shell("true")
    said = re.search(r"pal_init: (the only .*)$", (ROOT / "docs/pal.md").read_text(), re.M).group(1)
    assert f"rune run failed: PAL {hello}: pal_init: {said}" in rune.run(bundle, check=False).stderr


def test_example_pal_execs_and_ends_by_signals(rune, bundle, hello):
    make(bundle, hello, "")
    bundle.shell("trap 'exit 5' TERM; echo ready; while :; do sleep 0.1; done")
    rune.start(bundle)
    wait_for(lambda: (bundle.path / "c.out").read_text() == "ready\n", "the trap")
    assert rune.state()["annotations"]["example.hello"] == "no enclave at all"
    assert rune("exec", "c", "echo", "a b").stdout == "a b\n"
    rune("kill", "c", "TERM")
    rune.wait_status("stopped")
