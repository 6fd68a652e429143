#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of fuzz-eif: corpus/eif (accepted files and signature sections) and bad/eif (one small wrong file
for each defect; the messages are checked in test-bad.c), and those of fuzz-signed-payload.  The same bytes on every
run, but for the signatures."""
import datetime
import pathlib
import struct
import zlib

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

HERE = pathlib.Path(__file__).resolve().parent
KERNEL, CMDLINE, RAMDISK, SIGNATURE, METADATA = 1, 2, 3, 4, 5
PARTS = [(KERNEL, b"K"), (CMDLINE, b"c"), (METADATA, b'{"ImageName":"t"}'), (RAMDISK, b"R"), (RAMDISK, b"S")]


def eif(parts, version=4, flags=0, hole=0, magic=b".eif", count=None, tweak=None):
    body, offsets, sizes = b"", [], []
    for kind, payload in parts:
        body += b"\xee" * hole
        offsets.append(548 + len(body))
        sizes.append(len(payload))
        body += struct.pack(">HHQ", kind, 0, len(payload)) + payload
    if tweak:
        body = tweak(offsets, sizes, bytearray(body))
    fill = [0] * (32 - len(parts))
    head = struct.pack(">4sHHQQHH32Q32QI", magic, version, flags, 1 << 30, 2, 0, len(parts) if count is None else count,
                       *offsets, *fill, *sizes, *fill, 0)
    crc = zlib.crc32(head)
    for (_, payload), offset in zip(parts, offsets):
        crc = zlib.crc32(body[offset - 548:offset - 536 + len(payload)] if offset < 1 << 20 else b"", crc)
    return head + struct.pack(">I", crc) + bytes(body)


def changed(table, index, value):
    """A tweak that sets one entry of the table of offsets (0) or sizes (1)."""
    def tweak(offsets, sizes, body):
        (offsets, sizes)[table][index] = value
        return body
    return tweak


def own_size(_offsets, _sizes, body):
    body[4:12] = struct.pack(">Q", 2)
    return body


def section_flags(_offsets, _sizes, body):
    body[3] = 1
    return body


def signature_section():
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "nobody")])
    certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
                   .serial_number(1).not_valid_before(datetime.datetime(1970, 1, 1))
                   .not_valid_after(datetime.datetime(2100, 1, 1)).sign(key, hashes.SHA256()))
    payload = cbor2.dumps({"register_index": 0, "register_value": [0] * 48})
    message = cbor2.dumps([cbor2.dumps({1: -7}), {}, payload, b"\x11" * 64])
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    return cbor2.dumps([{"signing_certificate": list(pem), "signature": list(message)}])


def main():
    signature = signature_section()
    good = {
        "plain": eif(PARTS), "aarch64": eif(PARTS, flags=1), "holes": eif(PARTS, hole=5),
        "version-2": eif(PARTS[:2], version=2), "one-ramdisk": eif(PARTS[:4]), "signature-section": signature,
        "signed": eif(PARTS + [(SIGNATURE, signature)]), "signed-with-nonsense": eif(PARTS + [(SIGNATURE, b"\x80")]),
        "metadata-not-json": eif(PARTS[:2] + [(METADATA, b"\xff[")]),
        "metadata-rich": eif(PARTS[:2] + [(METADATA, b'{"ImageName":1,"BuildMetadata":{"BuildTime":"x"},'
                                           b'"DockerInfo":[],"CustomMetadata":{"a":[null]}}')]),
    }
    bad = {
        "magic": eif(PARTS, magic=b"\x7fELF"), "version-1": eif(PARTS, version=1), "version-5": eif(PARTS, version=5),
        "flags": eif(PARTS, flags=2), "count-0": eif(PARTS, count=0), "count-1": eif(PARTS, count=1),
        "count-33": eif(PARTS, count=33), "header-only": eif(PARTS)[:548], "header-cut": eif(PARTS)[:547],
        "cut-short": eif(PARTS)[:-1], "kernel-missing": eif(PARTS[1:3]), "kernel-twice": eif(PARTS[:1] + PARTS),
        "ramdisk-first": eif(PARTS[::-1]), "metadata-missing": eif(PARTS[:2]), "cmdline-missing": eif(PARTS[::2]),
        "cmdline-twice": eif(PARTS + PARTS[1:2]), "type-0": eif([(0, b"")] + PARTS), "type-6": eif([(6, b"")] + PARTS),
        "overlap": eif(PARTS, tweak=changed(0, 4, 610)), "inside-header": eif(PARTS, tweak=changed(0, 0, 0)),
        "past-end": eif(PARTS, tweak=changed(1, 4, 100)), "sizes-disagree": eif(PARTS, tweak=own_size),
        "size-overflow": eif(PARTS, tweak=changed(1, 4, 2**64 - 1)),
        "offset-overflow": eif(PARTS, tweak=changed(0, 4, 2**64 - 1)), "section-flags": eif(PARTS, tweak=section_flags),
        "signature-empty": eif(PARTS + [(SIGNATURE, b"")]),
    }
    zero = {"register_index": 0, "register_value": [0] * 48}
    payload = {"zero": cbor2.dumps(zero), "other": cbor2.dumps({**zero, "register_value": [255] * 48}),
               "value-first": cbor2.dumps(dict(reversed(zero.items())))}
    bad_payload = {
        "not-cbor": b"\xff", "array": cbor2.dumps([zero]), "empty-map": cbor2.dumps({}),
        "other-register": cbor2.dumps({**zero, "register_index": 8}), "no-value": cbor2.dumps({"register_index": 0}),
        "no-index": cbor2.dumps({"register_value": [0] * 48}), "short-value": cbor2.dumps({**zero, "register_value": [0] * 47}),
        "long-value": cbor2.dumps({**zero, "register_value": [0] * 65}),
        "value-as-bytes": cbor2.dumps({**zero, "register_value": bytes(48)}),
        "value-of-large-numbers": cbor2.dumps({**zero, "register_value": [256] * 48}),
        "unknown-key": cbor2.dumps({"register_index": 0, "x": [0] * 48}),
        "index-twice": b"\xa2" + cbor2.dumps("register_index") + b"\0" + cbor2.dumps("register_index") + b"\0",
        "more-behind": cbor2.dumps(zero) + b"\0",
    }
    for folder, files in (("corpus/eif", good), ("bad/eif", bad), ("corpus/signed-payload", payload),
                          ("bad/signed-payload", bad_payload)):
        (HERE / folder).mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (HERE / folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
