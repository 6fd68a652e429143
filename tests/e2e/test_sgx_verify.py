# SPDX-License-Identifier: Apache-2.0
"""sgx-verify against quotes, certificates and published levels that a second implementation made (quote_oracle.py)."""
import json

import pytest

import quote_oracle
from quote_oracle import DAY, Authority, Collateral, certificate, make, pem, report_body, revocation
from verifying import verify  # noqa: F401

BODY = report_body(mrenclave=b"m" * 32, mrsigner=b"s" * 32, data=b"hello", prod_id=5, svn=6)


@pytest.fixture
def authority():
    return Authority()


@pytest.fixture
def collateral(authority):
    return Collateral(authority)


@pytest.fixture
def check(verify, authority, tmp_path):
    """Verifies a quote's bytes under the authority's root; `text` is what a refusal says."""
    def run(quote, *words, text=None):
        (tmp_path / "quote").write_bytes(quote)
        (tmp_path / "root.pem").write_bytes(pem(authority.root))
        result = verify("--root", tmp_path / "root.pem", *words, tmp_path / "quote", status=1 if text else 0)
        if text:
            assert text in result.stderr and result.stdout == "", result.stderr
            assert result.stderr.startswith("sgx-verify: ") and result.stderr.count("\n") == 1
        return result.stdout
    return run


@pytest.fixture
def judge(check, authority, collateral, tmp_path):
    """Verifies a quote with the collateral as it is then; the JSON, or None where refused."""
    def run(*words, text=None, **options):
        shown = check(make(authority, BODY, **options), "-o", "json", *collateral.write(tmp_path), *words, text=text)
        return json.loads(shown) if shown else None
    return run


# ---- quotes and certificates ---------------------------------------------------------------------------------

def test_what_was_asked_for_is_what_it_is(check, authority):
    quote = make(authority, BODY)
    words = ["--mrenclave", (b"m" * 32).hex(), "--mrsigner", (b"S" * 32).hex().replace("53", "73").upper(),
             "--isv-prod-id", "5", "--min-isv-svn", "6", "--report-data", b"hello".hex()]
    shown = json.loads(check(quote, "--no-tcb", "-o", "json", *words))
    assert shown["verdict"] == "accepted" and shown["isvsvn"] == 6 and shown["debug"] is False
    assert shown["identity"] == "MRENCLAVE, MRSIGNER, ISVPRODID, ISVSVN, REPORTDATA"
    assert shown["reportdata"] == b"hello".ljust(64, b"\0").hex()
    for at, wrong, text in ((1, "00" * 32, "MRENCLAVE is 6d6d"), (3, "00" * 32, "MRSIGNER is 7373"),
                            (5, "4", "ISVPRODID is 5, and not 4"), (7, "7", "ISVSVN is 6, below the 7"),
                            (9, b"hell".hex(), "REPORTDATA is 68656c6c6f00")):
        check(quote, "--no-tcb", *words[:at], wrong, *words[at + 1:], text=text)


def test_a_debugged_enclave_needs_leave(check, authority):
    quote = make(authority, report_body(attributes=7))
    check(quote, "--no-tcb", text="the enclave can be debugged: whoever runs it can look into it; to take it nevertheless "
                                  "there is --allow-debug")
    assert "Debug              yes" in check(quote, "--no-tcb", "--allow-debug")


@pytest.mark.parametrize("size", [0, 1, 47, 48, 431, 432, 435, 436, 1013, 1014, 2000, -1])
def test_a_cut_quote_is_refused(check, authority, size):
    check(make(authority, BODY)[:size], "--no-tcb", text="quote")


def test_every_byte_counts(check, authority, tmp_path):
    quote = make(authority, BODY)
    for at in [*range(0, 432, 37), *range(436, 1014, 53)]:
        edited = bytearray(quote)
        edited[at] ^= 0x10
        check(bytes(edited), "--no-tcb", text="is refused: ")


def test_a_chain_must_be_whole_and_in_order(check, authority):
    a = authority
    for chain, text in (
            (pem(a.pck, a.ca), "root whose key is another"), (pem(a.ca, a.root), "none of a platform"),
            (pem(a.pck, a.root), "unable to get"), (pem(a.pck, a.ca, a.ca, a.root), "don't belong to it"),
            (pem(a.root, a.ca, a.pck), "root whose key is another"), (pem(a.root), "takes a leaf and a root"),
            (b"", "the chain has no certificate"), (b"nonsense", "more than certificates"),
            (pem(a.pck, a.ca, a.root) + b"x", "more than certificates"),
            (pem(a.pck, a.ca, a.root) * 2, "more than 4 certificates")):
        check(make(a, BODY, chain=chain), "--no-tcb", text=text)


def test_a_root_with_the_right_key_that_it_did_not_sign_itself_is_none(check, authority):
    a = authority
    forged = certificate("Test Root CA", quote_oracle.new_key(), ca=True)
    forger = (forged, quote_oracle.new_key())
    forged = certificate("Test Root CA", a.root_key, forger, ca=True)
    check(make(a, BODY, chain=pem(a.pck, a.ca, forged)), "--no-tcb", text="signature failure")


def test_who_may_not_sign_certificates_may_not(check, authority):
    a = authority
    a.ca = certificate("Test PCK Platform CA", a.ca_key, (a.root, a.root_key), ca=False)
    check(make(a, BODY), "--no-tcb", text="doesn't say that it may sign others")
    a.ca = certificate("Test PCK Platform CA", a.ca_key, (a.root, a.root_key), ca=True)
    leaf = certificate("Test leaf", a.pck_key, (a.ca, a.ca_key))
    check(make(a, BODY, chain=pem(leaf, a.ca, a.root)), "--no-tcb", text="it has no extension 1.2.840.113741.1.13.1")


@pytest.mark.parametrize("valid, text", [((-2 * DAY, -DAY), "has expired"), ((DAY, 2 * DAY), "not yet valid")])
def test_certificates_have_their_time(check, authority, valid, text):
    authority.pck = authority.platform(valid=valid)
    check(make(authority, BODY), "--no-tcb", text=text)


def test_revoked_certificates_are_refused(check, authority, tmp_path):
    a = authority
    root, ca = tmp_path / "root.crl", tmp_path / "ca.crl"
    words = ["--no-tcb", "--crl", root, "--crl", ca]
    root.write_bytes(revocation(a.root, a.root_key))
    ca.write_bytes(revocation(a.ca, a.ca_key))
    quote = make(a, BODY)
    assert "Revocation         checked" in check(quote, *words)
    assert "Revocation         not checked" in check(quote, "--no-tcb")
    check(quote, *words[:3], text="unable to get certificate CRL")
    ca.write_bytes(revocation(a.ca, a.ca_key, a.pck))
    check(quote, *words, text='certificate "Test PCK Certificate": certificate revoked')
    ca.write_bytes(revocation(a.ca, a.ca_key))
    root.write_bytes(revocation(a.root, a.root_key, a.ca))
    check(quote, *words, text='certificate "Test PCK Platform CA": certificate revoked')
    root.write_bytes(revocation(a.root, a.root_key, valid=(-2 * DAY, -DAY)))
    check(quote, *words, text="CRL has expired")
    root.write_bytes(revocation(a.root, quote_oracle.new_key()))
    check(quote, *words, text="CRL signature failure")
    root.write_bytes(b"nonsense")
    check(quote, *words, text="is no revocation list")


def test_another_kind_of_certification_is_named(check, authority):
    quote = bytearray(make(authority, BODY, authentication=b""))
    quote[1014] = 3
    check(bytes(quote), "--no-tcb", text="certification data are of kind 3; only 5")


def test_another_quoting_enclave_is_refused(check, authority):
    for options, text in (({"vendor": b"v" * 16}, "vendor of the quoting enclave is 7676"),
                          ({"qe": {"mrsigner": bytes(32)}}, "was signed by 0000"),
                          ({"qe": {"prod_id": 2}}, "is product 2"), ({"qe": {"attributes": 7}}, "can be debugged"),
                          ({"qe": {"data": bytes(64)}}, "about another attestation key")):
        check(make(authority, BODY, **options), "--no-tcb", text=text)


# ---- how current the platform is -----------------------------------------------------------------------------

@pytest.mark.parametrize("version", [2, 3])
def test_a_current_platform_is_up_to_date(check, authority, tmp_path, version):
    words = Collateral(authority, version).write(tmp_path)
    shown = json.loads(check(make(authority, BODY), "-o", "json", *words))
    assert (shown["tcb"], shown["tcbDate"]) == ("UpToDate", "2024-03-13T00:00:00Z")


def test_without_documents_the_platform_is_refused(check, authority):
    check(make(authority, BODY), text="there is nothing to check it by; to take it nevertheless there is --no-tcb")


@pytest.mark.parametrize("part", [*range(16), "pce"])
def test_each_part_of_the_platform_counts(judge, collateral, authority, part):
    if part == "pce":
        collateral.info["tcbLevels"][0]["tcb"]["pcesvn"] += 1
    else:
        collateral.info["tcbLevels"][0]["tcb"]["sgxtcbcomponents"][part]["svn"] += 1
    judge(text="the platform's TCB is OutOfDate, of 2024-03-13T00:00:00Z: INTEL-SA-00001")
    assert judge("--accept-tcb", "OutOfDate")["advisories"] == "INTEL-SA-00001"


def test_a_platform_below_all_levels_is_refused(judge, collateral):
    collateral.info["tcbLevels"] = []
    judge(text="the platform is below all levels")


@pytest.mark.parametrize("platform, qe, both", [
    ("UpToDate", "UpToDate", "UpToDate"), ("UpToDate", "OutOfDate", "OutOfDate"), ("UpToDate", "Revoked", "Revoked"),
    ("SWHardeningNeeded", "OutOfDate", "OutOfDate"), ("OutOfDate", "OutOfDate", "OutOfDate"),
    ("ConfigurationNeeded", "OutOfDate", "OutOfDateConfigurationNeeded"), ("Revoked", "OutOfDate", "Revoked"),
    ("ConfigurationAndSWHardeningNeeded", "OutOfDate", "OutOfDateConfigurationNeeded"),
    ("OutOfDateConfigurationNeeded", "OutOfDate", "OutOfDateConfigurationNeeded")])
def test_the_worse_of_platform_and_quoting_enclave_counts(judge, collateral, platform, qe, both):
    collateral.info["tcbLevels"][0]["tcbStatus"] = platform
    collateral.identity["tcbLevels"][0]["tcbStatus"] = qe
    if both == "UpToDate":
        assert judge()["tcb"] == both
        return
    others = {"SWHardeningNeeded", "ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded", "OutOfDate",
              "OutOfDateConfigurationNeeded"} - {both}
    judge(*[word for other in others for word in ("--accept-tcb", other)], text=f"the platform's TCB is {both}, of")
    if both != "Revoked":
        assert judge("--accept-tcb", both)["tcb"] == both


@pytest.mark.parametrize("name, value, text", [
    ("fmspc", "000000000000", "another FMSPC or PCEID"), ("pceId", "0001", "another FMSPC or PCEID"),
    ("id", "TDX", "it is about TDX"), ("version", 4, "it is of version 4"), ("version", None, '"version" is no number'),
    ("fmspc", "00", '"fmspc" is not 12 hex digits'), ("fmspc", None, '"fmspc" is not 12 hex digits'),
    ("nextUpdate", quote_oracle.moment(-DAY / 2), "the next one was due at"),
    ("issueDate", quote_oracle.moment(DAY / 2), "it was made at"), ("issueDate", "yesterday", '"issueDate" is no date'),
    ("tcbLevels", 7, '"tcbLevels" is not'), ("tcbLevels", [7], '"pcesvn" is no number'),
    ("tcbLevels", [{"tcb": {"pcesvn": 0, "sgxtcbcomponents": []}}], "has not 16 of them"),
    ("tcbLevels", [Collateral.level([0] * 16, 0, "Fine")], '"tcbStatus" is "Fine"'),
    ("tcbLevels", [Collateral.level([256] * 16, 0, "UpToDate")], '"svn" is no number up to 255')])
def test_tcb_info_that_is_wrong_is_refused(judge, collateral, name, value, text):
    collateral.info[name] = value
    judge(text=text)


@pytest.mark.parametrize("name, value, text", [
    ("id", "QVE", "it is about QVE"), ("version", 3, "it is of version 3"),
    ("mrsigner", "00" * 32, "of another signer"), ("isvprodid", 2, "or another product"),
    ("miscselect", "00000001", "quoting enclave's miscselect are others"),
    ("attributes", "03" + "00" * 15, "quoting enclave's attributes are others"),
    ("attributesMask", "FF", '"attributesMask" is not 32 hex digits'),
    ("tcbLevels", [], "the quoting enclave is below all levels"),
    ("nextUpdate", quote_oracle.moment(-DAY / 2), "the next one was due at")])
def test_an_identity_that_is_wrong_is_refused(judge, collateral, name, value, text):
    collateral.identity[name] = value
    judge(text=text)


def test_an_old_quoting_enclave_is_out_of_date(judge):
    judge(text="the platform's TCB is OutOfDate", svn=7)
    judge(text="the quoting enclave is below all levels", svn=0)


def test_documents_are_believed_byte_by_byte(check, authority, collateral, tmp_path):
    words = collateral.write(tmp_path)
    quote = make(authority, BODY)
    good = (tmp_path / "tcb.json").read_text()
    for edited, text in ((good.replace('"UpToDate"', '"upToDate"'), "signed other bytes than these"),
                         (good.replace(":", ": ", 1), "signed other bytes than these"), (good[:-1], "byte by byte"), ("", "byte by byte"),
                         (good + " {}", "byte by byte"), (json.dumps(json.loads(good), indent=1), "byte by byte"),
                         ((tmp_path / "qe.json").read_text(), "byte by byte")):
        (tmp_path / "tcb.json").write_text(edited)
        check(quote, *words, text=text)
    (tmp_path / "tcb.json").write_text(good + "\n")
    check(quote, *words)


def test_only_the_signer_of_levels_may_sign_them(check, authority, collateral, tmp_path):
    a, quote = authority, make(authority, BODY)
    words = collateral.write(tmp_path)
    signing = tmp_path / "signing.pem"
    for signer, text in ((a.pck, "not a signer and a root"), (certificate("Other", collateral.key, (a.root, a.root_key)),
                                                              "none of \"Intel SGX TCB Signing\"")):
        signing.write_bytes(pem(signer, a.root) if signer is not a.pck else pem(a.pck, a.ca, a.root))
        check(quote, *words, text=text)
    other = Authority()
    foreign = Collateral(other)
    foreign.info["fmspc"] = a.fmspc.hex()
    check(quote, *foreign.write(tmp_path), text="the chain that signs TCB info: the chain ends at a root whose key is another")


def test_a_revoked_signer_is_refused(check, authority, collateral, tmp_path):
    a = authority
    (tmp_path / "root.crl").write_bytes(revocation(a.root, a.root_key, collateral.signer))
    (tmp_path / "ca.crl").write_bytes(revocation(a.ca, a.ca_key))
    check(make(a, BODY), *collateral.write(tmp_path), "--crl", tmp_path / "root.crl", "--crl", tmp_path / "ca.crl",
          text='certificate "Intel SGX TCB Signing": certificate revoked')


# ---- the command line ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("words, text", [
    ([], "say which quote: one file"), (["a", "b"], "say which quote"), (["--wings", "q"], "there is no option --wings"),
    (["--root"], "--root needs a value"), (["--mrenclave", "00", "q"], "--mrenclave must be 64 hex digits"),
    (["--mrsigner", "x" * 64, "q"], "--mrsigner must be 64 hex digits"), (["-o", "xml", "q"], "--output must be json"),
    (["--report-data", "0" * 130, "q"], "--report-data must be 2 to 128"), (["--report-data", "abc", "q"], "--report-data"),
    (["--isv-prod-id", "65536", "q"], "--isv-prod-id must be a number from 0 to 65535"),
    (["--min-isv-svn", "-1", "q"], "--min-isv-svn"), (["--crl=x"] * 5 + ["q"], "--crl must be given at most four times"),
    (["--accept-tcb", "Revoked", "q"], "--accept-tcb must be"), (["--accept-tcb", "fine", "q"], "--accept-tcb must be"),
    (["--tcb-info", "x", "q"], "go together"), (["--no-tcb", "--accept-tcb", "OutOfDate", "q"], "--no-tcb goes with none")])
def test_a_wrong_command_line_is_said_to_be_one(verify, words, text):
    result = verify(*words, status=2)
    assert text in result.stderr and "Try: sgx-verify --help" in result.stderr and result.stdout == ""


def test_files_that_cannot_be_read_are_named(verify, tmp_path):
    assert f"{tmp_path}/none: No such file" in verify("--no-tcb", tmp_path / "none", status=1).stderr
    (tmp_path / "quote").write_bytes(bytes(40000))
    assert "quote" in verify("--no-tcb", tmp_path / "quote", status=1).stderr
    assert "none: No such file" in verify("--root", tmp_path / "none", tmp_path / "quote", status=1).stderr
    assert "holds no certificate" in verify("--root", tmp_path / "quote", tmp_path / "quote", status=1).stderr


def test_all_formats_say_the_same(check, authority):
    quote = make(authority, BODY)
    shown = json.loads(check(quote, "--no-tcb", "-o", "json"))
    rows = dict(line.split("\t") for line in check(quote, "--no-tcb", "-o", "tsv").splitlines())
    assert rows["MRENCLAVE"] == shown["mrenclave"] == (b"m" * 32).hex() and len(rows) == len(shown)
    assert f"mrenclave: {shown['mrenclave']}" in check(quote, "--no-tcb", "-o", "yaml")
    assert check(quote, "--no-tcb", "-o", "none") == ""
