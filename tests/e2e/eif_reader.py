#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An independent reader of enclave image files.

It shares nothing with lib/eif but the format's description (eif(5)): its own parser on struct, hashlib, zlib, cbor2
and cryptography.  As a module: read_eif(path, now=None) returns an Eif.  As a script: eif_reader.py FILE prints JSON;
exit status 1 where the file is malformed.
"""
import dataclasses
import datetime
import hashlib
import json
import struct
import sys
import zlib

import cbor2
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

HEADER = struct.Struct(">4sHHQQHH32Q32QII")
SECTION_HEADER = struct.Struct(">HHQ")
TYPES = {1: "kernel", 2: "cmdline", 3: "ramdisk", 4: "signature", 5: "metadata"}
# COSE algorithm -> hash, curve, bytes of r and of s
ALGORITHMS = {-7: (hashes.SHA256(), "secp256r1", 32), -35: (hashes.SHA384(), "secp384r1", 48),
              -36: (hashes.SHA512(), "secp521r1", 66)}

assert HEADER.size == 548 and SECTION_HEADER.size == 12


class EifError(Exception):
    """The file is not a well-formed enclave image."""


@dataclasses.dataclass
class Section:
    type: str
    offset: int  # of its header
    size: int  # of its payload
    payload: bytes


@dataclasses.dataclass
class Eif:
    version: int
    flags: int
    sections: list
    crc: int
    crc_computed: int
    pcrs: dict
    certificate: object = None
    signature_ok: bool = None
    signature_error: str = None
    file_size: int = 0

    def payloads(self, kind):
        return [s.payload for s in self.sections if s.type == kind]

    @property
    def architecture(self):
        return "aarch64" if self.flags & 1 else "x86_64"

    @property
    def metadata(self):
        found = self.payloads("metadata")
        return json.loads(found[0]) if found else None

    @property
    def cmdline(self):
        return self.payloads("cmdline")[0].decode()

    def as_json(self):
        return {
            "Version": self.version, "Architecture": self.architecture, "FileSize": self.file_size,
            "Sections": [{"Type": s.type, "Offset": s.offset, "Size": s.size} for s in self.sections],
            "CRC": f"{self.crc:08x}", "CheckCRC": self.crc == self.crc_computed, "Measurements": self.pcrs,
            "IsSigned": self.certificate is not None or self.signature_error is not None,
            "SignatureCheck": self.signature_ok, "SignatureError": self.signature_error,
            "Cmdline": self.cmdline, "Metadata": self.metadata,
        }


def pcr(content):
    """SHA-384 over 48 zero bytes and the SHA-384 of the content."""
    return hashlib.sha384(bytes(48) + hashlib.sha384(content).digest()).hexdigest()


def _sections(data, count, offsets, sizes):
    end = HEADER.size
    for i in range(count):
        offset, size = offsets[i], sizes[i]
        if offset < end or offset + SECTION_HEADER.size + size > len(data):
            raise EifError(f"section {i} does not lie in the file behind the section before it")
        kind, flags, own_size = SECTION_HEADER.unpack_from(data, offset)
        if kind not in TYPES or flags != 0 or own_size != size:
            raise EifError(f"section {i} has type {kind}, flags {flags}, size {own_size} (table: {size})")
        start = offset + SECTION_HEADER.size
        end = start + size
        yield Section(TYPES[kind], offset, size, data[start:end])


def _measure(sections):
    image, boot, application, ramdisks = b"", b"", b"", 0
    for section in sections:
        if section.type in ("kernel", "cmdline"):
            image += section.payload
            boot += section.payload
        elif section.type == "ramdisk":
            image += section.payload
            if ramdisks == 0:
                boot += section.payload
            else:
                application += section.payload
            ramdisks += 1
    return {"PCR0": pcr(image), "PCR1": pcr(boot), "PCR2": pcr(application)}


def _crc(data, sections):
    crc = zlib.crc32(data[:0x220])
    for s in sections:
        crc = zlib.crc32(data[s.offset:s.offset + SECTION_HEADER.size + s.size], crc)
    return crc


def _check(condition, text):
    if not condition:
        raise EifError(text)


def _verify_cose(message, certificate):
    """The payload of a COSE_Sign1 that the certificate's key made; EifError otherwise."""
    decoded = cbor2.loads(message)
    if isinstance(decoded, cbor2.CBORTag):
        _check(decoded.tag == 18, "the COSE message has another tag than 18")
        decoded = decoded.value
    _check(isinstance(decoded, list) and len(decoded) == 4, "the COSE message has not 4 parts")
    protected, unprotected, payload, signature = decoded
    _check(unprotected == {}, "the COSE message has unprotected headers")
    algorithm = cbor2.loads(protected)
    _check(list(algorithm) == [1] and algorithm[1] in ALGORITHMS, f"protected header {algorithm}")
    digest, curve, half = ALGORITHMS[algorithm[1]]
    key = certificate.public_key()
    _check(isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == curve, "the key has another curve")
    _check(len(signature) == 2 * half, f"the signature has {len(signature)} bytes")
    r, s = (int.from_bytes(part, "big") for part in (signature[:half], signature[half:]))
    to_verify = cbor2.dumps(["Signature1", protected, b"", payload])
    try:
        key.verify(utils.encode_dss_signature(r, s), to_verify, ec.ECDSA(digest))
    except InvalidSignature:
        raise EifError("the signature was not made with the certificate's key") from None
    return cbor2.loads(payload)


def _signature_entry(section):
    entries = cbor2.loads(section)
    _check(isinstance(entries, list) and entries, "the signature section is no array")
    entry = entries[0]
    _check(set(entry) == {"signing_certificate", "signature"}, f"keys {list(entry)}")
    _check(list(entry)[0] == "signing_certificate", "the certificate is not the first key")
    _check(all(isinstance(v, list) for v in entry.values()), "a value is no array of integers")
    return bytes(entry["signing_certificate"]), bytes(entry["signature"])


def _check_signature(eif, section, now):
    try:
        pem, message = _signature_entry(section)
        eif.certificate = x509.load_pem_x509_certificate(pem)
        der = eif.certificate.public_bytes(serialization.Encoding.DER)
        eif.pcrs["PCR8"] = pcr(der)
        payload = _verify_cose(message, eif.certificate)
        _check(payload == {"register_index": 0, "register_value": list(bytes.fromhex(eif.pcrs["PCR0"]))},
               "what is signed is not this file's PCR0")
        _check(eif.certificate.not_valid_before <= now <= eif.certificate.not_valid_after,
               "the certificate is outside its validity")
        eif.signature_ok = True
    except (EifError, ValueError, KeyError, TypeError) as problem:
        eif.signature_ok, eif.signature_error = False, str(problem)


def read_eif(path, now=None):
    """Reads a whole file. `now` is a naive UTC datetime, for the certificate's validity."""
    with open(path, "rb") as f:
        data = f.read()
    if len(data) < HEADER.size:
        raise EifError(f"{len(data)} bytes are less than a header")
    magic, version, flags, _memory, _cpus, _reserved, count, *rest = HEADER.unpack_from(data)
    offsets, sizes, crc = rest[:32], rest[32:64], rest[65]
    _check(magic == b".eif", f"magic {magic}")
    _check(2 <= version <= 4, f"version {version}")
    _check(2 <= count <= 32, f"{count} sections")
    sections = list(_sections(data, count, offsets, sizes))
    eif = Eif(version=version, flags=flags, sections=sections, crc=crc, crc_computed=_crc(data, sections),
              pcrs=_measure(sections), file_size=len(data))
    for kind, least in (("kernel", 1), ("cmdline", 1), ("metadata", 1 if version >= 4 else 0)):
        _check(least <= len(eif.payloads(kind)) <= 1, f"{len(eif.payloads(kind))} {kind} sections")
    signatures = eif.payloads("signature")
    _check(len(signatures) <= 1, "more than one signature section")
    if signatures:
        _check_signature(eif, signatures[0], now or datetime.datetime.utcnow())
    return eif


def main(argv):
    if len(argv) != 2:
        print("usage: eif_reader.py FILE", file=sys.stderr)
        return 2
    try:
        eif = read_eif(argv[1])
    except (EifError, OSError) as problem:
        print(f"eif_reader.py: {argv[1]}: {problem}", file=sys.stderr)
        return 1
    print(json.dumps(eif.as_json(), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
