# SPDX-License-Identifier: Apache-2.0
"""Quotes by the machine's quoting service: what rune asks of it, what becomes of one that misbehaves, and what sgx-verify
makes of the quotes."""
import json
import socket
import struct

import pytest

import quote_oracle
from bundles import bundle, rune  # noqa: F401
from fake_aesmd import INIT, QUOTE, SIZE, TARGET, UNKNOWN, FakeAesmd, answer, field, frame
from verifying import verify  # noqa: F401

REPORT = b"T" * 320 + TARGET[:64]  # of the test's PAL to that target


@pytest.fixture
def authority():
    return quote_oracle.Authority()


@pytest.fixture
def service(authority, tmp_path):
    service = FakeAesmd(tmp_path / "aesm.socket", authority)
    yield service
    service.close()
    assert service.problems == []


@pytest.fixture
def start(rune, bundle, build_dir):
    """A container of the test's PAL of version 3, with words for it."""
    def run(words=""):
        pals = build_dir / "tests/pal"
        rune.globals = ["--pal-path", str(pals)]
        bundle.args("program", "wait")
        bundle.process["env"] += ["ENCLAVE_TYPE=vm", f"ENCLAVE_RUNTIME_PATH={pals / 'libtest-pal-v3.so'}",
                                  f"ENCLAVE_RUNTIME_ARGS={words}"]
        rune.start(bundle)
        return rune
    return run


@pytest.fixture
def attest(rune, start, service, tmp_path):
    """`rune attest --isRA` by the fake service."""
    start()

    def run(*words, check=True):
        return rune("attest", "--isRA", "--aesmd-socket", service.path, "--reportFile", tmp_path / "quote", *words, "c",
                    check=check)
    return run


@pytest.fixture
def fails(attest, tmp_path):
    def run(text, *words):
        result = attest(*words, check=False)
        assert result.returncode == 1 and text in result.stderr, result.stderr
        assert not (tmp_path / "quote").exists()
    return run


def test_the_service_is_asked_for_its_enclave_and_quotes_the_report_to_it(attest, service, tmp_path):
    result = attest("--timeout", "7")
    assert result.stdout == result.stderr == ""
    assert [call for call, _ in service.requests] == [INIT, SIZE, QUOTE]
    assert all(content[9] == 7000 for _, content in service.requests)
    assert service.requests[2][1][1] == REPORT + b"T" * 48
    assert quote_oracle.take_apart((tmp_path / "quote").read_bytes())["body"] == REPORT


def test_the_quote_is_accepted_under_its_root_only(attest, authority, verify, tmp_path):
    attest()
    root = tmp_path / "root.pem"
    root.write_bytes(quote_oracle.pem(authority.root))
    words = ["--no-tcb", tmp_path / "quote"]
    shown = json.loads(verify("--root", root, "-o", "json", *words).stdout)
    assert shown["verdict"] == "accepted"
    assert shown["mrenclave"] == b"T".hex() * 32
    assert shown["fmspc"] == authority.fmspc.hex() and shown["pcesvn"] == 13
    assert "root whose key is another" in verify(*words, status=1).stderr
    assert "--no-tcb" in verify("--root", root, tmp_path / "quote", status=1).stderr


def test_padding_behind_the_quote_is_left_out(attest, service, tmp_path):
    service.behave[SIZE] = lambda content: frame(answer(SIZE, 0, 8192))
    service.behave[QUOTE] = lambda content: frame(
        answer(QUOTE, 0, quote_oracle.make(service.authority, content[1][:384]).ljust(8192, b"\0")))
    attest()
    quote_oracle.take_apart((tmp_path / "quote").read_bytes())


def test_fields_of_a_newer_service_are_skipped(attest, service):
    service.behave[INIT] = lambda content: frame(field(99, b"new") + field(98, 1) + answer(
        INIT, 0, TARGET, field(77, 5) + field(78, b"x") + b"\x85\x05abcd" + b"\x89\x05abcdefgh"))
    attest()


def test_a_missing_service_is_said_to_be_missing(rune, start, tmp_path):
    start()
    result = rune("attest", "--isRA", "--aesmd-socket", tmp_path / "none/aesm.socket", "c", check=False)
    assert result.returncode == 1
    for words in ("can't be reached", "aesm.socket: No such file or directory", "sgx-aesm-service", "--aesmd-socket"):
        assert words in result.stderr
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead"))
    result = rune("attest", "--isRA", "--aesmd-socket", tmp_path / "dead", "c", check=False)
    assert result.returncode == 1 and "Connection refused" in result.stderr


@pytest.mark.parametrize("call", [INIT, SIZE, QUOTE])
@pytest.mark.parametrize("code, text", [
    (30, "AESM_SERVICE_UNAVAILABLE (30): its plug-ins quote-ex and ecdsa"), (44, "the platform has no certificates"),
    (47, "the report was not made on this machine"), (18, "AESM_BUSY (18)"), (1, "its log says what"),
    (77, "it refuses with code 77, which isn't known"), (0xffffffff, "code 4294967295")])
def test_a_refusal_is_told_by_its_meaning(fails, service, call, code, text):
    service.behave[call] = lambda content: frame(answer(call, code))
    fails(text)


@pytest.mark.parametrize("call", [INIT, SIZE, QUOTE])
@pytest.mark.parametrize("reply, text", [
    (None, "it closed the connection without an answer"),
    (b"\x10\0", "it closed the connection after 2 of 4 bytes"),
    (struct.pack("<I", 600) + bytes(12), "it closed the connection after 12 of 600 bytes"),
    (struct.pack("<I", 0xffffffff), "it announces an answer of 4294967295 bytes; the limit is"),
    (struct.pack("<I", 0), "it announces an answer of 0 bytes"),
    (frame(b"\xff" * 40), "it is no message of its protocol"),
    (frame(b"\x7a\xff\xff\xff\xff\x0f"), "it is no message of its protocol"),
    (frame(field(1, b"")), "it answers another call than was asked"),
    (frame(field(UNKNOWN, field(1, 1))), "it doesn't know quotes by ECDSA")])
def test_nonsense_is_said_to_be_nonsense(fails, service, call, reply, text):
    service.behave[call] = lambda content: reply
    fails(text)


@pytest.mark.parametrize("call, message, text", [
    (INIT, field(INIT, field(2, TARGET)), "the answer has no code"),
    (INIT, answer(INIT, 0, TARGET, field(1, 0)), "field 1 of the answer can't be read"),
    (INIT, field(INIT, field(1, 0) + field(2, 7)), "field 2 of the answer can't be read"),
    (INIT, field(INIT, field(1, 1 << 32)), "field 1 of the answer can't be read"),
    (INIT, answer(INIT, 0, TARGET) * 2, "it is no message of its protocol"),
    (INIT, answer(INIT, 0, TARGET[:511]), "gave 511 bytes for a TARGETINFO"),
    (INIT, answer(INIT), "gave 0 bytes for a TARGETINFO"),
    (SIZE, answer(SIZE, 0, 0), "a quote of 0 bytes; the limit is"),
    (SIZE, answer(SIZE, 0, 1 << 31), "a quote of 2147483648 bytes; the limit is"),
    (QUOTE, answer(QUOTE, 0, b""), "the quote ends in its header"),
    (QUOTE, answer(QUOTE, 0, b"\3\0\2\0" + bytes(500)), "the quote's signature data end")])
def test_answers_of_the_right_call_with_the_wrong_content(fails, service, call, message, text):
    service.behave[call] = lambda content: frame(message)
    fails(text)


def test_a_quote_of_another_report_is_refused(fails, service):
    service.behave[QUOTE] = lambda content: frame(
        answer(QUOTE, 0, quote_oracle.make(service.authority, quote_oracle.report_body())))
    fails("it is a quote of another report")


@pytest.mark.parametrize("part", [b"", b"\x08\0", struct.pack("<I", 600) + bytes(12)])
@pytest.mark.parametrize("call", [INIT, QUOTE])
def test_a_service_that_hangs_is_given_up(fails, service, call, part):
    def hang(content):
        content["hang"] = True
        return part
    service.behave[call] = hang
    fails("no answer within 1000 ms", "--timeout", "1")


def test_a_service_that_never_accepts_is_given_up(rune, start, tmp_path):
    start()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "deaf"))
        listener.listen(0)
        with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
            for waiting in (first, second):
                waiting.setblocking(False)
                waiting.connect_ex(str(tmp_path / "deaf"))
            result = rune("attest", "--isRA", "--timeout", "1", "--aesmd-socket", tmp_path / "deaf", "c", check=False)
    assert result.returncode == 1 and "can't be reached" in result.stderr


def test_a_simulated_report_never_goes_to_the_service(rune, start, service):
    start("report=target")
    result = rune("attest", "--isRA", "--aesmd-socket", service.path, "c", check=False)
    assert result.returncode == 1 and "one of a real one, in turn" in result.stderr
    assert [call for call, _ in service.requests] == [INIT]


def test_a_real_report_never_gets_a_test_quote(rune, start, service):
    start("report=self")
    result = rune("attest", "--isRA", "--aesmd-socket", service.path, "c", check=False)
    assert result.returncode == 1 and "one of a real one, in turn" in result.stderr
    assert service.requests == []


def test_a_report_of_no_sgx_enclave_has_no_quote(rune, start, service):
    start("report=short")
    result = rune("attest", "--isRA", "--aesmd-socket", service.path, "c", check=False)
    assert result.returncode == 1 and "the PAL's report has 100 bytes; one of SGX has 432" in result.stderr


@pytest.mark.parametrize("seconds", ["0", "-1", "3601"])
def test_a_timeout_has_its_limits(rune, seconds):
    result = rune("attest", "--isRA", "--timeout", seconds, "c", check=False)
    assert result.returncode == 2 and "it takes 1 to 3600 seconds" in result.stderr


def test_what_only_epid_needs_is_taken_and_left(attest):
    attest("--quote-type", "ecdsa", "--spid", "00", "--subscription-key", "11")
