# SPDX-License-Identifier: Apache-2.0
"""qt enclave sign-eif, judged by readers that share nothing with it: eif_reader.py, openssl."""
import json
import os
import pathlib
import shutil
import struct
import subprocess
import zlib

import pytest
from cryptography.hazmat.primitives import hashes, serialization

import eif_maker
import eif_reader
from conftest import need_program
from enclaves import Qt
from test_eif_oracle import independent_file, make_pair

PARTS = [("kernel", b"KERNEL" * 1000), ("cmdline", b"console=ttyS0"), ("metadata", b'{"ImageName":"t"}'),
         ("ramdisk", b"BOOT" * 500), ("ramdisk", b"APP!" * 700)]


@pytest.fixture(scope="module")
def qt(build_dir, tmp_path_factory):
    return Qt(build_dir, tmp_path_factory.mktemp("state") / "state")


@pytest.fixture
def eif(tmp_path):
    path = tmp_path / "a.eif"
    path.write_bytes(independent_file(PARTS))
    return path


def pair(folder, name, curve="P-384", days=1):
    (folder / name).mkdir()
    certificate, key, _ = make_pair(folder / name, curve, days)
    return certificate, key


def options(identity):
    return "--signing-certificate", identity[0], "--private-key", identity[1]


def assert_good(path, identity):
    """The file is whole, packed, and signed by this certificate; gives what was read."""
    eif = eif_reader.read_eif(path)
    assert eif.crc == eif.crc_computed
    assert eif.signature_ok, eif.signature_error
    assert eif.certificate.public_bytes(serialization.Encoding.PEM) == identity[0].read_bytes()
    end = 548
    for section in eif.sections:
        assert section.offset == end
        end += 12 + section.size
    assert end == eif.file_size
    assert eif.sections[-1].type == "signature"
    return eif


@pytest.mark.parametrize("curve", ["P-256", "P-384", "P-521"])
def test_an_image_of_others_is_signed_in_place(qt, eif, tmp_path, curve):
    before, identity = eif_reader.read_eif(eif), pair(tmp_path, "me", curve)
    eif.chmod(0o640)
    printed = qt.ok("sign-eif", "--eif", eif, *options(identity))
    read = assert_good(eif, identity)
    assert printed == {"digest": "SHA384", **read.pcrs}
    assert {k: read.pcrs[k] for k in before.pcrs} == before.pcrs
    assert [(s.type, s.payload) for s in read.sections[:-1]] == PARTS
    assert eif.stat().st_mode & 0o777 == 0o640
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["a.eif"]


def test_signing_again_leaves_no_size_of_the_signature_before(qt, eif, tmp_path):
    """Others' tool keeps the old size in the table, and machines then refuse the file."""
    for number, curve in enumerate(["P-256", "P-521", "P-384", "P-256"]):
        identity = pair(tmp_path, f"signer-{number}", curve)
        qt.ok("sign-eif", "--eif", eif, *options(identity))
        assert_good(eif, identity)
        assert qt.ok("query-eif", "--eif", eif)["SignatureCheck"] is True


def with_stale_size(data, size):
    """As AWS's tools leave a signed file that they sign anew: the table has the size of the signature before, and the
    CRC is of that table."""
    head = bytearray(data[:0x220])
    last = struct.unpack_from(">H", head, 0x1a)[0] - 1
    struct.pack_into(">Q", head, 0x11c + 8 * last, size)
    return bytes(head) + struct.pack(">I", zlib.crc32(data[548:], zlib.crc32(head))) + data[548:]


@pytest.mark.parametrize("size", [1, 1957, 60000])
def test_what_others_signed_anew_is_read_and_repaired(qt, eif, tmp_path, size):
    """Any such file has the wrong size but by chance: a signature has as many bytes as its numbers take."""
    identity = pair(tmp_path, "me")
    qt.ok("sign-eif", "--eif", eif, *options(identity))
    good = eif.read_bytes()
    eif.write_bytes(with_stale_size(good, size))
    result = qt.run("query-eif", "--eif", eif)
    described = json.loads(result.stdout)
    assert described["CheckCRC"] is True and described["SignatureCheck"] is True
    assert f"{eif}: it was signed anew by a tool that left the old signature's size" in result.stderr
    qt.ok("sign-eif", "--eif", eif, *options(identity))
    assert_good(eif, identity)
    assert qt.run("query-eif", "--eif", eif).stderr == ""


def test_a_signature_is_taken_away(qt, eif, tmp_path):
    before = eif.read_bytes()
    qt.ok("sign-eif", "--eif", eif, *options(pair(tmp_path, "me")))
    assert eif.read_bytes() != before
    printed = qt.ok("sign-eif", "--eif", eif, "--remove-signature")
    assert eif.read_bytes() == before
    assert "PCR8" not in printed


def test_another_file_can_be_named_and_the_image_stays(qt, eif, tmp_path):
    before, identity = eif.read_bytes(), pair(tmp_path, "me")
    qt.ok("sign-eif", "--eif", eif, *options(identity), "--eif-out", tmp_path / "b.eif")
    assert eif.read_bytes() == before
    assert_good(tmp_path / "b.eif", identity)


def test_a_link_stays_a_link(qt, eif, tmp_path):
    link, identity = tmp_path / "link.eif", pair(tmp_path, "me")
    link.symlink_to(eif.name)
    qt.ok("sign-eif", "--eif", link, *options(identity))
    assert os.readlink(link) == "a.eif"
    assert_good(eif, identity)


@pytest.mark.parametrize("option", ["--eif-out", "--to-sign"])
def test_a_link_in_the_place_of_the_output_is_neither_replaced_nor_followed(qt, eif, tmp_path, option):
    """/dev/stdout is one: where that led to a file, root lost the link for all programs."""
    link, target, identity = tmp_path / "stdout", tmp_path / "target", pair(tmp_path, "me")
    target.write_text("kept")
    link.symlink_to(target.name)
    signing = options(identity) if option == "--eif-out" else options(identity)[:2]
    result = qt.run("sign-eif", "--eif", eif, *signing, option, link)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"ERROR: {link} is a symbolic link; name the file itself\n"
    assert os.readlink(link) == target.name and target.read_text() == "kept"


SWAP = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Once the image is open: its folder and the link change their names. */
int fstat64(int fd, struct stat64 *st)
{
        static int done;
        char name[64], path[4096] = "";
        snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
        if (readlink(name, path, sizeof(path) - 1) > 0 && strstr(path, "/a.eif") && !done++)
                renameat2(-1, getenv("SWAP_A"), -1, getenv("SWAP_B"), RENAME_EXCHANGE);
        return (int)syscall(SYS_newfstatat, fd, "", st, AT_EMPTY_PATH);
}
"""


def test_a_folder_that_becomes_a_link_leads_nowhere(qt, eif, tmp_path):
    """Whoever owns a folder above the image puts a link in its place after the image was found."""
    theirs, victim, link, shim = (tmp_path / name for name in ("theirs", "victim", "link", "swap.so"))
    theirs.mkdir()
    victim.mkdir()
    link.symlink_to(victim)
    shutil.copy(eif, theirs / "a.eif")
    (tmp_path / "swap.c").write_text(SWAP)
    subprocess.run([need_program("cc"), "-shared", "-fPIC", "-o", shim, tmp_path / "swap.c"], check=True)
    result = qt.run("sign-eif", "--eif", theirs / "a.eif", "--remove-signature",
                    env={"LD_PRELOAD": str(shim), "SWAP_A": str(theirs), "SWAP_B": str(link)})
    assert os.readlink(theirs) == str(victim)
    assert list(victim.iterdir()) == [] and (link / "a.eif").read_bytes() == eif.read_bytes()
    assert [path.name for path in link.iterdir()] == ["a.eif"]
    assert result.returncode == 1 and result.stderr.endswith("was moved or replaced meanwhile; try again\n")


def test_what_is_to_be_signed_does_not_replace_the_image(qt, eif, tmp_path):
    before, identity = eif.read_bytes(), pair(tmp_path, "me")
    os.link(eif, tmp_path / "b.eif")
    for name in ("a.eif", "b.eif"):
        message = qt.fails("sign-eif", "--eif", eif, "--signing-certificate", identity[0], "--to-sign", tmp_path / name)
        assert "is the image itself; name another file" in message
        assert (tmp_path / name).read_bytes() == before


def openssl_signature(identity, message, digest):
    return subprocess.run([need_program("openssl"), "dgst", f"-{digest}", "-sign", identity[1], message], check=True,
                          capture_output=True).stdout


@pytest.mark.parametrize("curve, digest", [("P-256", "sha256"), ("P-384", "sha384"), ("P-521", "sha512")])
@pytest.mark.parametrize("form", ["der", "raw"])
def test_a_key_that_stays_elsewhere_signs_in_two_steps(qt, eif, tmp_path, curve, digest, form):
    identity, message, before = pair(tmp_path, "me", curve), tmp_path / "message", eif.read_bytes()
    printed = qt.ok("sign-eif", "--eif", eif, "--signing-certificate", identity[0], "--to-sign", message)
    assert eif.read_bytes() == before
    assert printed["SignatureAlgorithm"] == {"sha256": "ES256", "sha384": "ES384", "sha512": "ES512"}[digest]
    hasher = hashes.Hash(getattr(hashes, digest.upper())())
    hasher.update(message.read_bytes())
    assert printed["HashToSign"] == hasher.finalize().hex()
    signature = openssl_signature(identity, message, digest)
    if form == "raw":
        half = {"P-256": 32, "P-384": 48, "P-521": 66}[curve]
        signature = b"".join(n.to_bytes(half, "big") for n in eif_reader.utils.decode_dss_signature(signature))
    (tmp_path / "signature").write_bytes(signature)
    qt.ok("sign-eif", "--eif", eif, "--signing-certificate", identity[0], "--signature", tmp_path / "signature")
    read = assert_good(eif, identity)
    assert {k: printed[k] for k in read.pcrs} == read.pcrs


def test_a_signature_of_something_else_is_refused_and_the_image_stays(qt, eif, tmp_path):
    identity, other, message = pair(tmp_path, "me"), pair(tmp_path, "other"), tmp_path / "message"
    before = eif.read_bytes()
    qt.ok("sign-eif", "--eif", eif, "--signing-certificate", identity[0], "--to-sign", message)
    wrong = {"other-key": openssl_signature(other, message, "sha384"),
             "other-hash": openssl_signature(identity, message, "sha256"),
             "other-message": openssl_signature(identity, identity[0], "sha384"),
             "garbage": b"\x30\x06\x02\x01\x01\x02\x01", "empty": b"", "raw-zero": bytes(96)}
    for name, content in wrong.items():
        path = tmp_path / name
        path.write_bytes(content)
        error = qt.fails("sign-eif", "--eif", eif, "--signing-certificate", identity[0], "--signature", path)
        assert str(path) in error
        assert ("--to-sign" in error) == (name not in ("garbage", "empty")), error
        assert eif.read_bytes() == before
    assert not list(tmp_path.glob(".*"))


def test_certificates_that_do_not_fit_are_refused_before_anything_is_written(qt, eif, tmp_path):
    before, me, other = eif.read_bytes(), pair(tmp_path, "me"), pair(tmp_path, "other")
    expired, other_curve = pair(tmp_path, "expired", days=-1), pair(tmp_path, "small", "P-256")
    assert "the certificate expired at" in qt.fails("sign-eif", "--eif", eif, *options(expired))
    assert "doesn't belong to the certificate" in qt.fails("sign-eif", "--eif", eif, *options((me[0], other[1])))
    assert "doesn't belong to the certificate" in qt.fails("sign-eif", "--eif", eif, *options((me[0], other_curve[1])))
    assert "the certificate expired at" in qt.fails("sign-eif", "--eif", eif, "--signing-certificate", expired[0],
                                                    "--to-sign", tmp_path / "message")
    assert eif.read_bytes() == before
    assert not (tmp_path / "message").exists()


def test_a_damaged_image_is_not_signed(qt, eif, tmp_path):
    data = bytearray(eif.read_bytes())
    data[-1] ^= 1
    eif.write_bytes(data)
    identity = pair(tmp_path, "me")
    for way in (options(identity), ("--remove-signature",),
                ("--signing-certificate", identity[0], "--to-sign", tmp_path / "message")):
        assert "the file is damaged" in qt.fails("sign-eif", "--eif", eif, *way)
    assert eif.read_bytes() == bytes(data)
    assert not (tmp_path / "message").exists()


@pytest.mark.parametrize("version", [2, 3])
def test_older_files_become_version_4_with_their_measurements(qt, tmp_path, version):
    path, identity = tmp_path / "old.eif", pair(tmp_path, "me")
    path.write_bytes(eif_maker.eif([(eif_maker.KERNEL, b"K" * 5000), (eif_maker.CMDLINE, b"quiet"),
                                    (eif_maker.RAMDISK, b"R" * 900)], version=version))
    before = eif_reader.read_eif(path).pcrs
    qt.ok("sign-eif", "--eif", path, *options(identity))
    read = assert_good(path, identity)
    assert read.version == 4
    # Without any of these AWS's tools refuse the file.
    assert read.metadata["ImageName"] == read.metadata["ImageVersion"] == ""
    assert set(read.metadata["BuildMetadata"]) == {"BuildTime", "BuildTool", "BuildToolVersion", "OperatingSystem",
                                                   "KernelVersion"}
    assert (read.metadata["DockerInfo"], read.metadata["CustomMetadata"]) == ({}, None)
    assert {k: read.pcrs[k] for k in before} == before


def test_what_to_do_must_be_said_once(qt, eif, tmp_path):
    for arguments in ([], ["--private-key", "k"], ["--remove-signature", "--signing-certificate", "c"],
                      ["--to-sign", "m"], ["--signature", "s", "--to-sign", "m", "--signing-certificate", "c"],
                      ["--to-sign", "m", "--signing-certificate", "c", "--eif-out", "o"]):
        error = qt.fails("sign-eif", "--eif", eif, *arguments, status=2)
        assert "qt enclave sign-eif: error: " in error


def test_a_full_disk_leaves_the_image_as_it_was(qt, eif, tmp_path):
    """Here the limit on a file's size, which ends in the same way."""
    before, identity = eif.read_bytes(), pair(tmp_path, "me")
    result = subprocess.run(["bash", "-c", 'ulimit -f 8; trap "" XFSZ; exec "$@"', "bash", qt.program, "enclave", "sign-eif",
                             "--eif", eif, *map(str, options(identity))], env=qt.env, capture_output=True, text=True)
    assert result.returncode == 1 and "File too large" in result.stderr, result
    assert eif.read_bytes() == before
    assert not list(tmp_path.glob(".*"))


def test_a_key_can_come_through_a_pipe(qt, eif, tmp_path):
    identity = pair(tmp_path, "me")
    result = subprocess.run(["bash", "-c", '"$0" enclave sign-eif --eif "$1" --signing-certificate "$2" --private-key <(cat "$3")',
                             qt.program, eif, *identity], env=qt.env, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert_good(eif, identity)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root signs others' files")
def test_root_signs_what_is_anothers_and_leaves_it_theirs(qt, tmp_path):
    """With the few capabilities that this takes."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    eif = theirs / "a.eif"
    eif.write_bytes(independent_file(PARTS))
    identity = pair(theirs, "me")
    for path in (identity[1], eif, theirs):
        os.chown(path, 4711, 4711)
    identity[1].chmod(0o600)
    eif.chmod(0o640)
    theirs.chmod(0o1700)
    qt.ok("sign-eif", "--eif", eif, *options(identity))
    assert_good(eif, identity)
    found = eif.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (4711, 4711, 0o640)


def test_what_is_no_file_is_told_and_nothing_is_written(qt, tmp_path):
    identity = pair(tmp_path, "me")
    fifo, empty = tmp_path / "fifo", tmp_path / "empty"
    os.mkfifo(fifo)
    empty.touch()
    before = sorted(tmp_path.iterdir())
    for path, words in [(fifo, "not a regular file"), (tmp_path, "not a regular file"), ("/dev/zero", "not a regular file"),
                        (empty, "0 bytes"), (tmp_path / "none", "No such file or directory")]:
        message = qt.fails("sign-eif", "--eif", path, *options(identity))
        assert f"{path}: " in message and words in message, message
    missing = tmp_path / "no" / "key.pem"
    assert f"{missing}: No such file" in qt.fails("sign-eif", "--eif", empty, "--signing-certificate", identity[0],
                                                  "--private-key", missing)
    assert sorted(tmp_path.iterdir()) == before
