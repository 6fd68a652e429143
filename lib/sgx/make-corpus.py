#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""make-corpus.py SIGSTRUCT [QUOTE]: writes corpus/ and bad/ beside this file from a good SIGSTRUCT and a good quote, one
defect a file."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
DEFECTS = {"header": 0, "vendor": 16, "header2": 24, "reserved-44": 44, "modulus": 200, "exponent": 512,
           "signature": 516, "misc-select": 900, "cet": 908, "attributes": 928, "measurement": 960, "reserved-992": 992,
           "svn": 1026, "reserved-1028": 1028, "q1": 1040, "q2": 1424}


# name: (offset, what stands there instead)
QUOTE_DEFECTS = {"version-4": (0, b"\4"), "key-kind-3": (2, b"\3"), "tee-type-tdx": (4, b"\x81"),
                 "signature-size-0": (432, bytes(4)), "signature-size-4-gib": (432, b"\xff" * 4),
                 "authentication-64-kib": (1012, b"\xff\xff"), "authentication-past-the-end": (1012, b"\xff\x3f"),
                 "authentication-one-byte-long": (1012, None)}


def write_quotes(good):
    for folder in ("corpus/quote", "bad/quote"):
        (HERE / folder).mkdir(parents=True, exist_ok=True)
    (HERE / "corpus/quote/test-quote").write_bytes(good)
    authentication = int.from_bytes(good[1012:1014], "little")
    bare = bytearray(good[:1014] + b"\1\0\0\0\0\0")
    bare[1012:1014] = bytes(2)
    bare[432:436] = (len(bare) - 436).to_bytes(4, "little")
    (HERE / "corpus/quote/no-authentication-no-certificates").write_bytes(bare)
    for name, (at, value) in QUOTE_DEFECTS.items():
        value = value or (authentication + 1).to_bytes(2, "little")
        (HERE / "bad/quote" / name).write_bytes(good[:at] + value + good[at + len(value):])
    certificates = 1014 + authentication + 2
    (HERE / "bad/quote/certificates-4-gib").write_bytes(good[:certificates] + b"\xff" * 4 + good[certificates + 4:])
    for name, size in {"empty": 0, "half-a-header": 20, "header-only": 48, "report-cut": 400, "unsigned": 432,
                       "no-certification": 1014 + authentication}.items():
        (HERE / "bad/quote" / name).write_bytes(good[:size])
    (HERE / "bad/quote/one-byte-short").write_bytes(good[:-1])
    (HERE / "bad/quote/one-byte-long").write_bytes(good + b"\0")


def main():
    if len(sys.argv) > 2:
        write_quotes(pathlib.Path(sys.argv[2]).read_bytes())
    good = pathlib.Path(sys.argv[1]).read_bytes()
    for folder in ("corpus/sigstruct", "bad/sigstruct"):
        (HERE / folder).mkdir(parents=True, exist_ok=True)
    (HERE / "corpus/sigstruct/debug").write_bytes(good)
    (HERE / "corpus/sigstruct/zero-token").write_bytes(bytes(304))
    (HERE / "corpus/sigstruct/flat-enclave").write_bytes(bytes(28) + b"\1" + bytes(4) + b"\x10" + bytes(2 * 4096 - 34))
    for name, at in DEFECTS.items():
        edited = bytearray(good)
        edited[at] ^= 4
        (HERE / "bad/sigstruct" / name).write_bytes(edited)
    (HERE / "bad/sigstruct/one-byte-short").write_bytes(good[:-1])
    (HERE / "bad/sigstruct/one-byte-long").write_bytes(good + b"\0")
    (HERE / "bad/sigstruct/signature-not-below-modulus").write_bytes(good[:516] + b"\xff" * 384 + good[900:])
    (HERE / "bad/sigstruct/modulus-0").write_bytes(good[:128] + bytes(384) + good[512:])


if __name__ == "__main__":
    main()
