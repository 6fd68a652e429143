# SPDX-License-Identifier: Apache-2.0
"""Intel SGX from its manual (SDM, volume 3D) and nothing of ours: measurement, SIGSTRUCT, reports."""

import hashlib
import struct

PAGE = 4096
TCS, RWX = 0x100, 0x207
# name: (offset, bytes)
SIGSTRUCT = {"header": (0, 16), "vendor": (16, 4), "date": (20, 4), "header2": (24, 16), "swdefined": (40, 4),
             "modulus": (128, 384), "exponent": (512, 4), "signature": (516, 384), "miscselect": (900, 4),
             "miscmask": (904, 4), "isvfamilyid": (912, 16), "attributes": (928, 8), "xfrm": (936, 8),
             "attributemask": (944, 8), "xfrmmask": (952, 8), "enclavehash": (960, 32), "isvextprodid": (1008, 16),
             "isvprodid": (1024, 2), "isvsvn": (1026, 2), "q1": (1040, 384), "q2": (1424, 384)}


def mrenclave(flat, ssa_frame_pages=1):
    """MRENCLAVE of a flat enclave file as the skeleton's loader lays it out."""
    flat += bytes(-len(flat) % PAGE)
    frames = struct.unpack_from("<I", flat, 28)[0]
    pages = [flat[at:at + PAGE] for at in range(0, len(flat), PAGE)] + [bytes(PAGE)] * frames * ssa_frame_pages
    pages[0] = pages[0][:16] + struct.pack("<Q", len(flat)) + pages[0][24:]
    size = 1 << (len(pages) * PAGE - 1).bit_length()
    state = hashlib.sha256(struct.pack("<8sIQ44x", b"ECREATE", ssa_frame_pages, size))
    for number, page in enumerate(pages):
        state.update(struct.pack("<8sQQ40x", b"EADD", number * PAGE, RWX if number else TCS))
        for at in range(0, PAGE, 256):
            state.update(struct.pack("<8sQ48x", b"EEXTEND", number * PAGE + at) + page[at:at + 256])
    return state.digest()


def field(sigstruct, name):
    """A field's bytes."""
    at, size = SIGSTRUCT[name]
    return sigstruct[at:at + size]


def number(sigstruct, name):
    """A field as an integer."""
    return int.from_bytes(field(sigstruct, name), "little")


def mrsigner(sigstruct):
    return hashlib.sha256(field(sigstruct, "modulus")).digest()


def check_signature(sigstruct):
    """Raises where signature, Q1 or Q2 is wrong; the signature is checked by `cryptography`."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    n, s = number(sigstruct, "modulus"), number(sigstruct, "signature")
    key = rsa.RSAPublicNumbers(number(sigstruct, "exponent"), n).public_key()
    key.verify(s.to_bytes(384, "big"), sigstruct[:128] + sigstruct[900:1028], padding.PKCS1v15(), hashes.SHA256())
    assert number(sigstruct, "q1") == s * s // n
    assert number(sigstruct, "q2") == s * (s * s % n) // n
