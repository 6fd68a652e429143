#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""make-corpus.py TEST_QUOTE: writes corpus/ and bad/ beside this file: answers of the quoting service, quotes,
the certificates' extension and what is published of platforms, one defect a file."""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests/e2e"))

import quote_oracle  # noqa: E402
from fake_aesmd import INIT, QUOTE, SIZE, TARGET, UNKNOWN, answer, field  # noqa: E402


def write(folder, name, data):
    (HERE / folder).mkdir(parents=True, exist_ok=True)
    (HERE / folder / name).write_bytes(data)


def write_aesmd():
    write("corpus/aesmd", "target", answer(INIT, 0, TARGET, field(3, 32) + field(4, bytes(32))))
    write("corpus/aesmd", "size", answer(SIZE, 0, 4600))
    write("corpus/aesmd", "quote", answer(QUOTE, 0, bytes(600)))
    write("corpus/aesmd", "refusal", answer(QUOTE, 44))
    write("corpus/aesmd", "newer", field(99, b"new") + answer(INIT, 0, TARGET, b"\x85\x05abcd\x89\x05abcdefgh"))
    for name, data in {"empty": b"", "unknown-call": field(UNKNOWN, field(1, 1)), "two-answers": answer(INIT) * 2,
                       "code-twice": answer(INIT, 0, None, field(1, 0)), "code-of-bytes": field(INIT, field(1, b"")),
                       "code-33-bits": field(INIT, field(1, 1 << 32)), "no-code": field(INIT, field(2, b"x")),
                       "length-past-the-end": b"\x7a\xff\x01", "length-64-bits": b"\x7a" + b"\xff" * 9 + b"\1",
                       "number-65-bits": b"\x7a" + b"\xff" * 9 + b"\2", "group": b"\x7b", "field-0": b"\2\0",
                       "number-without-end": b"\x7a" + b"\x80" * 12}.items():
        write("bad/aesmd", name, data)


def write_evidence(quote):
    write("corpus/evidence", "test-quote", quote)
    extension = quote_oracle.sgx_extension(b"FMSPC6", range(16), 258)
    write("corpus/evidence", "extension", extension)
    begin = quote.index(b"-----BEGIN")

    def chain(text):
        size = quote[:begin - 4] + len(text).to_bytes(4, "little") + text
        return size[:432] + (len(size) - 436).to_bytes(4, "little") + size[436:]
    text = quote[begin:]
    for name, data in {"chain-empty": b"", "chain-of-one": text[:text.index(b"-----END") + 25], "chain-of-five": text * 3,
                       "chain-reversed": text[text.index(b"-----BEGIN", 5):] + text[:text.index(b"-----BEGIN", 5)],
                       "chain-not-pem": b"x" * 100, "chain-with-text": text + b"and more", "chain-cut": text[:300],
                       "certificate-of-nothing": text[:27] + b"\n-----END CERTIFICATE-----\n"}.items():
        write("bad/evidence", name, chain(data))
    for name, data in {"extension-cut": extension[:50], "extension-twice": extension * 2,
                       "extension-no-end": b"\x30\x80" + extension[2:],
                       "extension-long-length": b"\x30\x84\0\0\1\0" + extension[4:]}.items():
        write("bad/evidence", name, data)


def write_collateral():
    authority = quote_oracle.Authority(b"FMSPC6", (1, 2, 3) + (0,) * 13)
    for version in (2, 3):
        made = quote_oracle.Collateral(authority, version)
        write("corpus/collateral", f"tcb-info-{version}", json.dumps(made.info).encode())
    good = made.info
    write("corpus/collateral", "identity", json.dumps(made.identity).encode())
    write("corpus/collateral", "chain", authority.chain())
    level = good["tcbLevels"][0]
    for name, change in {
            "no-levels": {"tcbLevels": []}, "levels-of-numbers": {"tcbLevels": [7]}, "fmspc-short": {"fmspc": "00"},
            "fmspc-number": {"fmspc": 7}, "version-text": {"version": "3"}, "version-4": {"version": 4},
            "status-unknown": {"tcbLevels": [{**level, "tcbStatus": "Fine"}]},
            "date-of-words": {"tcbLevels": [{**level, "tcbDate": "yesterday"}]},
            "many-advisories": {"tcbLevels": [{**level, "advisoryIDs": ["INTEL-SA-00001"] * 65}]},
            "advisories-too-long": {"tcbLevels": [{**level, "advisoryIDs": ["x" * 400] * 3}]},
            "component-256": {"tcbLevels": [made.level([256] * 16, 0, "UpToDate")]},
            "component-missing": {"tcbLevels": [made.level([0] * 15, 0, "UpToDate")]}}.items():
        write("bad/collateral", name, json.dumps({**good, **change}).encode())
    write("bad/collateral", "array", b"[]")


if __name__ == "__main__":
    write_aesmd()
    write_collateral()
    write_evidence(pathlib.Path(sys.argv[1]).read_bytes())
