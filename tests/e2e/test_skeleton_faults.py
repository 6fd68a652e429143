# SPDX-License-Identifier: Apache-2.0
"""The skeleton enclave with files that somebody has edited, as the user of rune sees it: each field has its own word."""
import shutil

import pytest

from bundles import bundle, rune  # noqa: F401

SIGNATURE = "SGX_INVALID_SIGNATURE (8): SIGSTRUCT's signature does not verify: SIGSTRUCT: "
FORM = "SGX_INVALID_SIG_STRUCT (1): SIGSTRUCT is not well-formed: SIGSTRUCT: "
SIGNED = SIGNATURE + "SIGNATURE is not over these fields"
Q1 = SIGNATURE + "Q1 is not SIGNATURE^2 / MODULUS"
MEASURED = "SGX_INVALID_MEASUREMENT (4): the pages are not those that were signed"

# Offset, the bits that are turned, what is said (SDM 3D, "Enclave Signature Structure").
FIELDS = {
    "HEADER": (0, 4, FORM + "HEADER is not"),
    "HEADER-debug": (15, 0x80, "Operation not permitted|" + SIGNED),
    "VENDOR": (16, 4, FORM + "VENDOR is not"),
    "DATE": (20, 4, SIGNED),
    "HEADER2": (24, 4, FORM + "HEADER2 is not"),
    "SWDEFINED": (40, 4, SIGNED),
    "reserved-44": (44, 4, FORM + "the reserved field at 44 is not"),
    "reserved-127": (127, 4, FORM + "the reserved field at 44 is not"),
    "MODULUS": (200, 4, Q1),
    "MODULUS-short": (511, 0x80, SIGNATURE + "MODULUS is no number of 3072 bits"),
    "EXPONENT": (512, 4, FORM + "EXPONENT is not"),
    # In the middle: a turn of a low bit leaves the quotient Q1 as it is where SIGNATURE is much smaller than MODULUS.
    "SIGNATURE": (516 + 192, 4, Q1),
    "MISCSELECT": (900, 1, SIGNED),
    "MISCSELECT-unknown": (900, 4, "MISCSELECT 0x4 has unknown bits"),
    "MISCMASK": (904, 4, SIGNED),
    "CET_ATTRIBUTES": (908, 4, FORM + "CET_ATTRIBUTES is not"),
    "ISVFAMILYID": (912, 4, SIGNED),
    "ATTRIBUTES": (928, 0x80, SIGNED),
    "ATTRIBUTES-mode": (928, 4, "MODE64 must be set"),
    "XFRM": (936, 4, SIGNED),
    "ATTRIBUTEMASK": (944, 4, SIGNED),
    "XFRMMASK": (952, 4, SIGNED),
    "ENCLAVEHASH": (960, 4, SIGNED),
    "reserved-992": (992, 4, FORM + "the reserved field at 992 is not"),
    "ISVEXTPRODID": (1008, 4, SIGNED),
    "ISVPRODID": (1024, 4, SIGNED),
    "ISVSVN": (1026, 4, SIGNED),
    "reserved-1028": (1028, 4, FORM + "the reserved field at 1028 is not"),
    "Q1": (1040, 4, Q1),
    "Q2": (1424, 4, SIGNATURE + "Q2 is not"),
}


@pytest.fixture
def skeleton(rune, bundle, build_dir, tmp_path):  # noqa: F811
    """Runs the skeleton with these files in place of the good ones: what rune says."""
    built = build_dir / "pal/skeleton"
    pals = tmp_path / "pal"
    pals.mkdir(mode=0o755)
    path = shutil.copy(built / "liberpal-skeleton-v2.so", pals)
    rune.globals = ["--pal-path", str(pals)]
    bundle.args("skeleton")

    def run(arguments="simulate", status=1, **files):
        bundle.config["annotations"] = {"enclave.type": "intelSgx", "enclave.runtime.path": str(path),
                                        "enclave.runtime.args": arguments}
        for name in ("encl.bin", "encl.ss", "encl.token"):
            data = files.get(name.split(".")[1], (built / name).read_bytes() if (built / name).exists() else None)
            if data is not None:
                (bundle.rootfs / name).write_bytes(data)
        result = rune.run(bundle, check=False)
        assert result.returncode == status, result.stderr
        return result.stderr.replace('\\"', '"')

    run.signature = (built / "encl.ss").read_bytes()
    run.image = (built / "encl.bin").read_bytes()
    return run


def edited(data, at, bits):
    return data[:at] + bytes([data[at] ^ bits]) + data[at + 1:]


@pytest.mark.parametrize("field", FIELDS)
def test_an_edit_of_each_field_of_the_signature_is_told(skeleton, field):
    at, bits, text = FIELDS[field]
    told = skeleton(ss=edited(skeleton.signature, at, bits))
    assert "liberpal-skeleton-v2.so: pal_init: the enclave of encl.bin and encl.ss can't be built: " in told
    assert any(each in told for each in text.split("|")), told


@pytest.mark.parametrize("size", [0, 1, 1807, 1809])
def test_a_signature_of_another_size_is_told(skeleton, size):
    told = skeleton(ss=(skeleton.signature + b"\0")[:size])
    assert "encl.ss" in told and ("instead of 1808" in told or "larger than" in told), told


@pytest.mark.parametrize("change, text", [
    (lambda image: b"", "an enclave of 0 bytes; it has at least a TCS and a page of code"),
    (lambda image: image[:4096], "an enclave of 4096 bytes; it has at least"),
    (lambda image: image[:-4096], MEASURED),
    (lambda image: image + b"\0", MEASURED),
    (lambda image: edited(image, 28, 1), "page 0: a TCS without SSA frames (NSSA is 0)"),
    (lambda image: edited(image, 100, 1), "page 0: the TCS has a reserved byte that is not 0"),
    (lambda image: edited(image, 33, 0x10), MEASURED),
    (lambda image: edited(image, 4096, 1), MEASURED),
    (lambda image: edited(image, len(image) - 1, 1), MEASURED),
], ids=["empty", "tcs-only", "page-less", "byte-more", "nssa", "tcs-reserved", "entry", "code", "last-byte"])
def test_a_truncated_or_edited_enclave_is_told(skeleton, change, text):
    assert text in skeleton(bin=change(skeleton.image))


@pytest.mark.parametrize("token, text", [
    (b"", "a launch token of 0 bytes instead of 304"),
    (bytes(303), "a launch token of 303 bytes instead of 304"),
    (b"\2" + bytes(303), "SGX_INVALID_EINITTOKEN"),
    (b"\1" + bytes(303), "SGX_INVALID_EINITTOKEN"),
    (bytes(4) + b"\1" + bytes(299), "SGX_INVALID_EINITTOKEN"),
], ids=["empty", "short", "unknown-bit", "valid-by-its-word-only", "reserved"])
def test_a_wrong_token_is_told(skeleton, token, text):
    assert text in skeleton("simulate,no-sgx-flc", token=token)
