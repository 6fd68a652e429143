# SPDX-License-Identifier: Apache-2.0
"""Quotes of version 3 from Intel's description and nothing of ours: made, taken apart and checked by `cryptography`."""

import datetime
import hashlib
import json
import struct

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.x509.oid import NameOID

INTEL_VENDOR = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
INTEL_QE_SIGNER = bytes.fromhex("8c4f5775d796503e96137f77c68a829a0056ac8ded70140b081b094490c57bff")
SGX_EXTENSION = x509.ObjectIdentifier("1.2.840.113741.1.13.1")
HEADER = struct.Struct("<HHIHH16s20s")
DAY = datetime.timedelta(days=1)


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def raw_public(key):
    numbers = key.public_numbers()
    return numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")


def sign(key, data):
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def verify(key, signature, data):
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    key.verify(encode_dss_signature(r, s), data, ec.ECDSA(hashes.SHA256()))


# ---- certificates --------------------------------------------------------------------------------------------

def der(tag, *parts):
    value = b"".join(parts)
    length = bytes([len(value)]) if len(value) < 128 else b"\x82" + len(value).to_bytes(2, "big")
    return bytes([tag]) + length + value


def entry(tail, value):
    arc = bytes.fromhex("2a864886f84d010d01")
    return der(0x30, der(6, arc, bytes(tail)), value)


def integer(value):
    return der(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def sgx_extension(fmspc, tcb, pce_svn, pce_id=bytes(2)):
    parts = [entry((2, n + 1), integer(svn)) for n, svn in enumerate(tcb)]
    parts += [entry((2, 17), integer(pce_svn)), entry((2, 18), der(4, bytes(tcb)))]
    return der(0x30, entry((1,), der(4, bytes(16))), entry((2,), der(0x30, *parts)), entry((3,), der(4, pce_id)),
               entry((4,), der(4, fmspc)), entry((5,), der(10, b"\0")))


def name(common):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def certificate(common, key, issuer=None, ca=False, extension=None, valid=(-DAY, 30 * DAY)):
    """Signed by `issuer`, a (certificate, key) pair, or by itself."""
    now = datetime.datetime.utcnow()
    issuer_name, issuer_key = (issuer[0].subject, issuer[1]) if issuer else (name(common), key)
    builder = (x509.CertificateBuilder().subject_name(name(common)).issuer_name(issuer_name)
               .public_key(key.public_key()).serial_number(x509.random_serial_number())
               .not_valid_before(now + valid[0]).not_valid_after(now + valid[1])
               .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True))
    if extension is not None:
        builder = builder.add_extension(x509.UnrecognizedExtension(SGX_EXTENSION, extension), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def pem(*certificates):
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates)


class Authority:
    """A root, an authority for platforms, and one platform of it."""

    def __init__(self, fmspc=bytes.fromhex("00906ed50000"), tcb=tuple(range(16)), pce_svn=13):
        self.root_key, self.ca_key, self.pck_key = new_key(), new_key(), new_key()
        self.root = certificate("Test Root CA", self.root_key, ca=True)
        self.ca = certificate("Test PCK Platform CA", self.ca_key, (self.root, self.root_key), ca=True)
        self.fmspc, self.tcb, self.pce_svn = fmspc, tcb, pce_svn
        self.pck = self.platform()

    def platform(self, **options):
        extension = sgx_extension(self.fmspc, self.tcb, self.pce_svn)
        return certificate("Test PCK Certificate", self.pck_key, (self.ca, self.ca_key), extension=extension, **options)

    def chain(self):
        return pem(self.pck, self.ca, self.root)


def revocation(issuer, key, *revoked, valid=(-DAY, DAY)):
    """The certificates that an issuer has revoked, in DER."""
    now = datetime.datetime.utcnow()
    builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.subject)
    builder = builder.last_update(now + valid[0]).next_update(now + valid[1])
    for one in revoked:
        builder = builder.add_revoked_certificate(x509.RevokedCertificateBuilder().serial_number(one.serial_number)
                                                  .revocation_date(now + valid[0]).build())
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


# ---- what is published of platforms --------------------------------------------------------------------------

def moment(delta):
    return (datetime.datetime.utcnow() + delta).strftime("%Y-%m-%dT%H:%M:%SZ")


class Collateral:
    """TCB info and the quoting enclave's identity, to be edited before they are signed."""

    def __init__(self, authority, version=3):
        self.authority, self.key = authority, new_key()
        self.signer = certificate("Intel SGX TCB Signing", self.key, (authority.root, authority.root_key))
        dates = {"issueDate": moment(-DAY), "nextUpdate": moment(DAY)}
        self.info = {"id": "SGX", "version": version, **dates, "fmspc": authority.fmspc.hex().upper(), "pceId": "0000",
                     "tcbType": 0, "tcbEvaluationDataNumber": 17,
                     "tcbLevels": [self.level(authority.tcb, authority.pce_svn, "UpToDate", version),
                                   self.level([0] * 16, 0, "OutOfDate", version, ["INTEL-SA-00001"])]}
        self.identity = {"id": "QE", "version": 2, **dates, "tcbEvaluationDataNumber": 17, "miscselect": "00000000",
                         "miscselectMask": "FFFFFFFF", "attributes": "01" + "00" * 15,
                         "attributesMask": "FB" + "FF" * 7 + "00" * 8, "mrsigner": INTEL_QE_SIGNER.hex().upper(),
                         "isvprodid": 1, "tcbLevels": [self.qe_level(8, "UpToDate"), self.qe_level(1, "OutOfDate")]}

    @staticmethod
    def level(tcb, pce_svn, status, version=3, advisories=()):
        components = ({f"sgxtcbcomp{n:02}svn": svn for n, svn in enumerate(tcb, 1)} if version == 2
                      else {"sgxtcbcomponents": [{"svn": svn} for svn in tcb]})
        return {"tcb": {**components, "pcesvn": pce_svn}, "tcbDate": "2024-03-13T00:00:00Z", "tcbStatus": status,
                "advisoryIDs": list(advisories)}

    @staticmethod
    def qe_level(svn, status):
        return {"tcb": {"isvsvn": svn}, "tcbDate": "2024-03-13T00:00:00Z", "tcbStatus": status}

    def document(self, name, value):
        text = json.dumps(value, separators=(",", ":"))
        return f'{{"{name}":{text},"signature":"{sign(self.key, text.encode()).hex()}"}}'

    def write(self, folder):
        """Its files, as options of sgx-verify."""
        (folder / "tcb.json").write_text(self.document("tcbInfo", self.info))
        (folder / "qe.json").write_text(self.document("enclaveIdentity", self.identity))
        (folder / "signing.pem").write_bytes(pem(self.signer, self.authority.root))
        return ["--tcb-info", folder / "tcb.json", "--qe-identity", folder / "qe.json", "--tcb-chain",
                folder / "signing.pem"]


# ---- reports and quotes --------------------------------------------------------------------------------------

def report_body(mrenclave=bytes(32), mrsigner=bytes(32), data=b"", attributes=5, prod_id=0, svn=0, cpu_svn=bytes(16)):
    return (cpu_svn + bytes(32) + struct.pack("<QQ", attributes, 3) + mrenclave + bytes(32) + mrsigner + bytes(96)
            + struct.pack("<HH", prod_id, svn) + bytes(60) + data.ljust(64, b"\0"))


def make(authority, body, authentication=b"authentication data", vendor=INTEL_VENDOR, qe=None, chain=None, svn=8):
    """A quote of a report's body."""
    key = new_key()
    public = raw_public(key.public_key())
    bound = hashlib.sha256(public + authentication).digest()
    fields = {"mrsigner": INTEL_QE_SIGNER, "data": bound, "prod_id": 1, "svn": svn, **(qe or {})}
    qe_body = report_body(**fields)
    signed = HEADER.pack(3, 2, 0, svn, authority.pce_svn, vendor, bytes(20)) + body
    chain = authority.chain() + b"\0" if chain is None else chain
    data = (sign(key, signed) + public + qe_body + sign(authority.pck_key, qe_body)
            + struct.pack("<H", len(authentication)) + authentication + struct.pack("<HI", 5, len(chain)) + chain)
    return signed + struct.pack("<I", len(data)) + data


def take_apart(quote):
    """A quote's fields, its signatures checked from the certificates down."""
    version, kind, reserved, _, _, vendor, _ = HEADER.unpack_from(quote)
    assert (version, kind, reserved) == (3, 2, 0)
    size, = struct.unpack_from("<I", quote, 432)
    assert size == len(quote) - 436
    signature, public, qe_body, qe_signature = quote[436:500], quote[500:564], quote[564:948], quote[948:1012]
    n, = struct.unpack_from("<H", quote, 1012)
    authentication = quote[1014:1014 + n]
    certification, m = struct.unpack_from("<HI", quote, 1014 + n)
    text = quote[1020 + n:]
    assert certification == 5 and m == len(text)
    marker = b"-----BEGIN CERTIFICATE-----"
    chain = [x509.load_pem_x509_certificate(marker + part) for part in text.rstrip(b"\0").split(marker)[1:]]
    for subject, issuer in zip(chain, [*chain[1:], chain[-1]]):
        issuer.public_key().verify(subject.signature, subject.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
        assert subject.issuer == issuer.subject
    verify(chain[0].public_key(), qe_signature, qe_body)
    assert qe_body[320:384] == hashlib.sha256(public + authentication).digest() + bytes(32)
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\4" + public)
    verify(point, signature, quote[:432])
    return {"vendor": vendor, "body": quote[48:432], "qe": qe_body, "chain": chain, "key": public}
