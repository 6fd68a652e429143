# SPDX-License-Identifier: Apache-2.0
"""What lib/eif writes and says of a file, against an independent reader (eif_reader.py)."""
import datetime
import hashlib
import json
import os
import pathlib
import subprocess
import sys

import cbor2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import eif_reader

CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}


class Tool:
    """eif-test-tool, and the files that it is fed with."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder

    def file(self, name, content):
        path = self.folder / name
        path.write_bytes(content)
        return path

    def run(self, *args):
        return subprocess.run([self.program, *map(str, args)], capture_output=True, text=True, check=False)

    def write(self, *args):
        """A file of these arguments; returns its path."""
        out = self.folder / "out.eif"
        done = self.run("write", out, *args)
        assert done.returncode == 0, done.stderr
        return out

    def describe(self, path, *args):
        done = self.run("describe", path, *args)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def parts(self, ramdisks):
        """Arguments for a kernel, command line and metadata, and these ramdisks."""
        contents = {"kernel": b"KERNEL" * 1000, "cmdline": b"console=ttyS0", "metadata": b'{"ImageName":"t"}'}
        args = [f"{kind}={self.file(kind, content)}" for kind, content in contents.items()]
        return args + [f"ramdisk={self.file(f'ramdisk-{i}', r)}" for i, r in enumerate(ramdisks)]


@pytest.fixture
def tool(build_dir, tmp_path):
    program = build_dir / "lib/eif/eif-test-tool"
    if not program.exists():
        pytest.skip("the build has no tests")
    return Tool(program, tmp_path)


def make_pair(folder, curve, days=1):
    """A self-signed certificate and its key; (certificate file, key file, certificate)."""
    key = ec.generate_private_key(CURVES[curve])
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Coffer"),
                      x509.NameAttribute(NameOID.COMMON_NAME, "oracle")])
    now = datetime.datetime.utcnow().replace(microsecond=0)
    certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
                   .serial_number(1).not_valid_before(now - datetime.timedelta(days=2))
                   .not_valid_after(now + datetime.timedelta(days=days)).sign(key, hashes.SHA256()))
    certificate_file, key_file = folder / "cert.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                           serialization.NoEncryption()))
    return certificate_file, key_file, certificate


def assert_same(described, eif):
    """The JSON of lib/eif against what the independent reader found."""
    measurements = dict(described["Measurements"])
    assert measurements.pop("HashAlgorithm") == "SHA384"
    assert measurements == eif.pcrs
    assert described["EifVersion"] == eif.version
    assert described["Architecture"] == eif.architecture
    assert described["CheckCRC"] == (eif.crc == eif.crc_computed)
    assert described["IsSigned"] == bool(eif.payloads("signature"))
    assert described.get("SignatureCheck") == eif.signature_ok
    assert described["Cmdline"] == eif.cmdline
    assert described["Sections"] == [{"Type": s.type, "Offset": s.offset, "Size": s.size} for s in eif.sections]


def test_the_published_synthetic_file(tool):
    """The reader is held to the vector too: an oracle that agrees with everything proves nothing."""
    path = tool.write(*tool.parts([b"BOOT" * 500, b"APP!" * 700]))
    assert hashlib.sha256(path.read_bytes()).hexdigest() == \
        "3fac81da509b942e74413b9a2552c74809ec1506d3c6f6c3ac08f77457ad4f61"
    eif = eif_reader.read_eif(path)
    assert [s.offset for s in eif.sections] == [548, 6560, 6585, 6614, 8626]
    assert eif.crc == eif.crc_computed == 0x19131D34
    assert eif.pcrs["PCR0"].startswith("63e69636ee3f8d50") and eif.pcrs["PCR2"].startswith("11d7f7b27fa967b6")
    assert_same(tool.describe(path), eif)


@pytest.mark.parametrize("sizes", [[], [5000], [0, 0], [300_000, 1_000_003, 70_000]], ids=str)
@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_unsigned_files(tool, sizes, arch):
    flags = ["aarch64"] if arch == "aarch64" else []
    path = tool.write(*flags, *tool.parts([os.urandom(n) for n in sizes]))
    eif = eif_reader.read_eif(path)
    assert eif.crc == eif.crc_computed
    assert eif.architecture == arch
    assert eif.signature_ok is None
    assert len(eif.payloads("ramdisk")) == len(sizes)
    if len(sizes) == 1:
        assert eif.pcrs["PCR0"] == eif.pcrs["PCR1"]
    assert_same(tool.describe(path), eif)


@pytest.mark.parametrize("curve", CURVES)
def test_signed_files(tool, curve):
    certificate_file, key_file, certificate = make_pair(tool.folder, curve)
    path = tool.write(*tool.parts([b"boot", b"app" * 100_000]), f"sign={certificate_file},{key_file}")
    eif = eif_reader.read_eif(path)
    assert eif.signature_ok, eif.signature_error
    assert eif.crc == eif.crc_computed
    assert eif.certificate == certificate
    assert eif.sections[-1].type == "signature"
    described = tool.describe(path)
    assert_same(described, eif)
    shown = described["SigningCertificate"]
    assert shown["IssuerName"] == {"organizationName": "Coffer", "commonName": "oracle"}
    assert shown["Signature"] == certificate.signature.hex()
    assert shown["NotAfter"] == certificate.not_valid_after.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_signing_changes_no_measurement(tool):
    certificate_file, key_file, _ = make_pair(tool.folder, "P-384")
    parts = tool.parts([b"boot", b"app"])
    unsigned = eif_reader.read_eif(tool.write(*parts)).pcrs
    signed = eif_reader.read_eif(tool.write(*parts, f"sign={certificate_file},{key_file}")).pcrs
    assert {k: signed[k] for k in unsigned} == unsigned


def test_an_expired_certificate_fails_in_both(tool):
    certificate_file, key_file, _ = make_pair(tool.folder, "P-384", days=-1)
    path = tool.write(*tool.parts([b"boot"]), f"sign={certificate_file},{key_file}")
    described, eif = tool.describe(path), eif_reader.read_eif(path)
    assert eif.signature_ok is False and "validity" in eif.signature_error
    assert "the certificate expired at" in described["SignatureError"]
    assert_same(described, eif)


def test_a_changed_kernel_fails_in_both(tool):
    certificate_file, key_file, _ = make_pair(tool.folder, "P-384")
    path = tool.write(*tool.parts([b"boot"]), f"sign={certificate_file},{key_file}")
    data = bytearray(path.read_bytes())
    data[600] ^= 1
    path.write_bytes(data)
    described, eif = tool.describe(path), eif_reader.read_eif(path)
    assert eif.signature_ok is False and eif.crc != eif.crc_computed
    assert "but the file measures" in described["SignatureError"]
    assert_same(described, eif)


def independent_file(sections, hole=b""):
    """A file assembled here, so that lib/eif also reads what it didn't write."""
    numbers = {name: number for number, name in eif_reader.TYPES.items()}
    body, offsets, sizes = b"", [], []
    for kind, payload in sections:
        body += hole
        offsets.append(548 + len(body))
        sizes.append(len(payload))
        body += eif_reader.SECTION_HEADER.pack(numbers[kind], 0, len(payload)) + payload
    fill = [0] * (32 - len(sections))
    head = eif_reader.HEADER.pack(b".eif", 4, 0, 1 << 30, 2, 0, len(sections), *offsets, *fill, *sizes, *fill, 0, 0)
    found = list(eif_reader._sections(head + body, len(sections), offsets, sizes))
    crc = eif_reader._crc(head + body, found)
    return head[:0x220] + crc.to_bytes(4, "big") + body


@pytest.mark.parametrize("hole", [b"", b"\xee" * 37], ids=["packed", "holes"])
@pytest.mark.parametrize("tagged", [False, True], ids=["untagged", "tag-18"])
def test_a_file_made_by_others_is_read(tool, hole, tagged):
    certificate_file, key_file, certificate = make_pair(tool.folder, "P-256")
    key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    parts = [("kernel", b"K" * 70_000), ("cmdline", b"quiet"), ("metadata", b"{}"), ("ramdisk", b"R" * 500)]
    pcr0 = eif_reader.pcr(b"K" * 70_000 + b"quiet" + b"R" * 500)
    payload = cbor2.dumps({"register_index": 0, "register_value": list(bytes.fromhex(pcr0))})
    protected = cbor2.dumps({1: -7})
    der = key.sign(cbor2.dumps(["Signature1", protected, b"", payload]), ec.ECDSA(hashes.SHA256()))
    r, s = eif_reader.utils.decode_dss_signature(der)
    message = [protected, {}, payload, r.to_bytes(32, "big") + s.to_bytes(32, "big")]
    encoded = cbor2.dumps(cbor2.CBORTag(18, message) if tagged else message)
    section = cbor2.dumps([{"signing_certificate": list(certificate_file.read_bytes()), "signature": list(encoded)}])
    path = tool.file("others.eif", independent_file(parts + [("signature", section)], hole))
    eif = eif_reader.read_eif(path)
    assert eif.signature_ok, eif.signature_error
    described = tool.describe(path)
    assert described["SignatureCheck"] is True, described
    assert described["Measurements"]["PCR8"] == eif_reader.pcr(certificate.public_bytes(serialization.Encoding.DER))
    assert_same(described, eif)


def test_the_reader_as_a_script(tool):
    path = tool.write(*tool.parts([b"boot"]))
    script = pathlib.Path(__file__).with_name("eif_reader.py")
    done = subprocess.run([sys.executable, script, path], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["CheckCRC"] is True
    path.write_bytes(path.read_bytes()[:700])
    done = subprocess.run([sys.executable, script, path], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "section 0" in done.stderr
    assert tool.run("describe", path).returncode == 1
