# SPDX-License-Identifier: Apache-2.0
"""Intel SGX against a second implementation of its manual (sgx_oracle.py), and the skeleton's folder as its
walk-through uses it."""

import json
import os
import pathlib
import subprocess

import pytest
import sgx_oracle
from conftest import ROOT, copy_sources, need_program

BUILD = pathlib.Path(os.environ.get("COFFER_BUILD", ROOT / "build"))
SIGN = BUILD / "sgx-sign/sgx-sign"
EMULATOR = BUILD / "sgx-emulator/sgx-emulator"
SKELETON = BUILD / "pal/skeleton"


def run(*command, status=0, **options):
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, **options)
    assert result.returncode == status, result.stderr
    return result


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    path = tmp_path_factory.mktemp("key") / "key.pem"
    run(SIGN, "key", path)
    assert path.stat().st_mode & 0o777 == 0o600
    return path


def sign(key, enclave, output, *options):
    run(SIGN, "sign", "--key", key, "--output", output, *options, enclave)
    return output.read_bytes()


def show(path, status=0):
    return json.loads(run(SIGN, "show", "--json", path, status=status).stdout)


def test_a_signature_is_what_the_manual_says(tmp_path, key):
    flat = SKELETON / "encl.bin"
    signature = sign(key, flat, tmp_path / "encl.ss", "--svn", "7", "-n", "0x1234", "--date", "20260102", "-m", "1")
    assert len(signature) == 1808
    sgx_oracle.check_signature(signature)
    assert sgx_oracle.field(signature, "enclavehash") == sgx_oracle.mrenclave(flat.read_bytes())
    assert sgx_oracle.number(signature, "isvsvn") == 7
    assert sgx_oracle.number(signature, "isvprodid") == 0x1234
    assert sgx_oracle.number(signature, "date") == 0x20260102
    assert sgx_oracle.number(signature, "miscselect") == 1
    shown = show(tmp_path / "encl.ss")
    assert shown["mrenclave"] == sgx_oracle.mrenclave(flat.read_bytes()).hex()
    assert shown["mrsigner"] == sgx_oracle.mrsigner(signature).hex()
    assert shown["signature"] == "valid"


@pytest.mark.parametrize("pages,frames", [(2, 1), (3, 1), (5, 4), (16, 2), (33, 7)])
def test_enclaves_of_all_sizes_measure_right(tmp_path, key, pages, frames):
    flat = bytearray(4096 * pages - 1000 if pages > 2 else 4096 * pages)
    flat[28], flat[33] = frames, 0x10
    flat[4096:] = bytes((i * 7 + pages) & 0xff for i in range(len(flat) - 4096))
    (tmp_path / "flat").write_bytes(flat)
    signature = sign(key, tmp_path / "flat", tmp_path / "ss")
    assert sgx_oracle.field(signature, "enclavehash") == sgx_oracle.mrenclave(bytes(flat))


def test_a_product_forbids_debugging_by_its_mask(tmp_path, key):
    debug = sign(key, SKELETON / "encl.bin", tmp_path / "debug")
    assert sgx_oracle.number(debug, "attributes") & 2
    product = sign(key, SKELETON / "encl.bin", tmp_path / "product", "--product")
    assert not sgx_oracle.number(product, "attributes") & 2
    assert sgx_oracle.number(product, "attributemask") & 2
    assert show(tmp_path / "product")["debugging"] == "forbidden"


def test_an_edited_signature_shows_and_fails(tmp_path, key):
    signature = bytearray(sign(key, SKELETON / "encl.bin", tmp_path / "ss"))
    signature[1026] ^= 1  # ISVSVN
    (tmp_path / "ss").write_bytes(signature)
    assert "not over these fields" in show(tmp_path / "ss", status=1)["signature"]


@pytest.mark.parametrize("options,message", [
    ([], "say what to do"), (["fly"], "'fly' is no command"), (["sign", "--svn", "70000"], "--svn"),
    (["sign", "--date", "tomorrow"], "--date"), (["sign", "x"], "needs --key"), (["show"], "one signature"),
    (["show", "--wings", "x"], "doesn't have")])
def test_a_wrong_command_line_is_said_to_be_one(options, message):
    assert message in run(SIGN, *options, status=2).stderr


def test_a_key_of_another_kind_is_refused(tmp_path):
    run(need_program("openssl"), "genrsa", "-out", tmp_path / "key.pem", "3072")  # exponent 65537
    result = run(SIGN, "sign", "-k", tmp_path / "key.pem", "-o", tmp_path / "ss", SKELETON / "encl.bin", status=1)
    assert "exponent 3" in result.stderr
    assert not (tmp_path / "ss").exists()


def test_the_emulator_runs_a_program_for_the_kernels_driver():
    result = run(EMULATOR, "--", BUILD / "sgx-emulator/test-program", SKELETON / "encl.bin", SKELETON / "encl-debug.ss")
    assert result.stdout == "the enclave ran\n"
    assert "no protection" in result.stderr


def test_the_emulator_refuses_a_product():
    result = run(EMULATOR, "-q", "--", BUILD / "sgx-emulator/test-program", SKELETON / "encl.bin",
                 SKELETON / "encl-product.ss", status=1)
    assert "SGX_IOC_ENCLAVE_INIT: Operation not permitted" in result.stderr


def test_the_emulator_gives_a_commands_own_status():
    assert run(EMULATOR, "-q", "--", "sh", "-c", "exit 7", status=7).stderr == ""
    assert "No such file" in run(EMULATOR, "--", "/nowhere/at/all", status=127).stderr
    assert "which command" in run(EMULATOR, status=2).stderr
    assert run(EMULATOR, "-q", "--", "sh", "-c", "kill -9 $$", status=-9).stderr == ""


@pytest.mark.parametrize("product", [False, True])
def test_make_leaves_what_the_walk_through_copies(tmp_path, product):
    """`make`, or `make PRODUCT_ENCLAVE=1`, in a copy of the folder's tree, then the Dockerfile's files."""
    tree = tmp_path / "tree"
    copy_sources(tree)
    folder = tree / "pal/skeleton"
    options = ["PRODUCT_ENCLAVE=1"] if product else []
    result = subprocess.run([need_program("make"), "-C", folder, *options], capture_output=True, text=True, timeout=900)
    assert result.returncode == 0, result.stdout + result.stderr
    names = ["encl.bin", "encl.elf", "encl.ss", "encl.token"] + [f"liberpal-skeleton-v{v}.so" for v in (1, 2, 3)]
    assert all((folder / name).exists() for name in names)
    signature = (folder / "encl.ss").read_bytes()
    sgx_oracle.check_signature(signature)
    assert bool(sgx_oracle.number(signature, "attributes") & 2) is not product
    assert bool(sgx_oracle.number(signature, "attributemask") & 2) is product
