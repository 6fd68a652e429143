# SPDX-License-Identifier: Apache-2.0
"""Test quotes: what a simulated enclave gets from `rune attest --isRA`, and that nobody takes one for evidence."""
import json
import shutil

import pytest

import quote_oracle
from bundles import bundle, rune  # noqa: F401
from verifying import verify  # noqa: F401

WARNING = "simulated: a test quote, evidence of nothing"


@pytest.fixture
def simulated(rune, bundle, build_dir):
    """The skeleton enclave, simulated, running as container "c"."""
    skeleton = build_dir / "pal/skeleton"
    (bundle.rootfs / "run/rune").mkdir()
    shutil.copy(skeleton / "encl.bin", bundle.rootfs / "run/rune")
    shutil.copy(skeleton / "encl-debug.ss", bundle.rootfs / "run/rune/encl.ss")
    rune.globals = ["--pal-path", str(skeleton)]
    bundle.args("skeleton", "wait_timeout", "600")
    bundle.process["cwd"] = "/run/rune"
    bundle.config["annotations"] = {"enclave.type": "intelSgx", "enclave.runtime.args": "simulate",
                                    "enclave.runtime.path": str(skeleton / "liberpal-skeleton-v3.so")}
    rune.start(bundle)
    assert rune.state()["annotations"]["enclave.sgx.simulated"] == "true"


@pytest.fixture
def quote(rune, simulated, tmp_path):
    path = tmp_path / "quote"
    result = rune("attest", "--isRA", "--quote-type", "ecdsa", "--reportFile", path, "c")
    assert WARNING in result.stderr
    assert result.stdout == ""
    return path


def test_a_test_quote_has_the_form_of_a_real_one_and_says_what_it_is(rune, quote):
    parts = quote_oracle.take_apart(quote.read_bytes())
    report = bytes.fromhex(rune("attest", "c").stdout)
    assert parts["body"] == report[:384]
    assert parts["vendor"] == b"COFFER-SIMULATED" == parts["body"][:16] == parts["qe"][:16]
    assert parts["qe"][64:96] == b"COFFER-SIMULATED quoting enclave"
    for certificate in parts["chain"]:
        assert "test without protection" in certificate.subject.rfc4514_string()
    extension = parts["chain"][0].extensions.get_extension_for_oid(quote_oracle.SGX_EXTENSION).value.value
    assert b"COFFER-SIMULATED" in extension


def test_the_keys_stay_the_same_until_the_next_boot(rune, quote):
    again = bytes.fromhex(rune("attest", "--isRA", "c").stdout)
    first, second = quote_oracle.take_apart(quote.read_bytes()), quote_oracle.take_apart(again)
    assert first["key"] == second["key"]
    assert first["chain"][-1].public_key().public_numbers() == second["chain"][-1].public_key().public_numbers()


def test_a_test_quote_is_refused_unless_asked_for(quote, verify, tmp_path):
    result = verify(quote, status=1)
    assert "this is a test quote" in result.stderr and "--accept-test-quotes" in result.stderr
    assert result.stdout == ""
    root = tmp_path / "root.pem"
    root.write_bytes(quote_oracle.pem(quote_oracle.take_apart(quote.read_bytes())["chain"][-1]))
    result = verify("--root", root, "--no-tcb", "--allow-debug", quote, status=1)
    assert "this is a test quote" in result.stderr
    assert verify("--root", root, "--accept-test-quotes", quote).stdout


def test_an_accepted_test_quote_is_labelled_everywhere(rune, quote, verify):
    rows = verify("--accept-test-quotes", quote).stdout.splitlines()[2:]
    assert len(rows) > 10 and all("TEST QUOTE, evidence of nothing" in row for row in rows)
    rows = verify("--accept-test-quotes", "-o", "tsv", quote).stdout.splitlines()
    assert len(rows) > 10 and all("TEST QUOTE, evidence of nothing" in row for row in rows)
    shown = json.loads(verify("--accept-test-quotes", "--output", "json", quote).stdout)
    assert list(shown) == ["testQuote"]
    report = bytes.fromhex(rune("attest", "c").stdout)
    assert shown["testQuote"]["mrenclave"] == report[64:96].hex()
    assert "evidence of nothing" in shown["testQuote"]["verdict"]


def test_another_simulations_root_is_another(quote, verify, tmp_path):
    root = tmp_path / "root.pem"
    root.write_bytes(quote_oracle.pem(quote_oracle.Authority().root))
    assert "root whose key is another" in verify("--accept-test-quotes", "--root", root, quote, status=1).stderr


def test_the_warning_comes_also_where_the_log_is_a_file(rune, simulated, tmp_path):
    rune.globals += ["--log", str(tmp_path / "log"), "--log-format", "json"]
    assert WARNING in rune("attest", "--isRA", "c").stderr
    messages = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [m["msg"] for m in messages if m["level"] == "warning"] == [WARNING]


def test_a_quote_has_no_target_of_the_users(rune, simulated, tmp_path):
    (tmp_path / "target").write_bytes(bytes(512))
    result = rune("attest", "--isRA", "--targetInfo", tmp_path / "target", "c", check=False)
    assert result.returncode == 2 and "--targetInfo goes with a local report" in result.stderr


def test_a_missing_quoter_is_named(rune, simulated, tmp_path):
    rune.environment["COFFER_LIBEXEC"] = str(tmp_path)
    result = rune("attest", "--isRA", "c", check=False)
    assert result.returncode == 1 and f"{tmp_path}/sgx-test-quoter" in result.stderr
    assert result.stdout == ""


def test_a_quoter_that_fails_is_heard(rune, simulated, tmp_path):
    rune.environment["COFFER_LIBEXEC"] = str(tmp_path)
    quoter = tmp_path / "sgx-test-quoter"
    for script, words in (("echo no key >&2; exit 1", "sgx-test-quoter: no key"), ("exit 3", "without a word"),
                          ("head -c 1000000 /dev/zero; sleep 1000", "File too large"), ("kill -9 $$", "without a word")):
        quoter.write_text(f"#!/bin/sh\n{script}\n")
        quoter.chmod(0o755)
        result = rune("attest", "--isRA", "c", check=False)
        assert result.returncode == 1 and words in result.stderr and result.stdout == "", result.stderr
