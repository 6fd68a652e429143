# SPDX-License-Identifier: Apache-2.0
"""Images for arm64: made on any machine, of its own kernel and init, and never mixed with the other's parts."""
import pathlib
import struct
import subprocess

import pytest

import cpio
import eif_reader
import images
from conftest import ROOT, need_program
from enclaves import Qt, busybox_image
from test_eif_oracle import make_pair

IMAGE_MAGIC = 0x644D5241  # "ARM\x64"


@pytest.fixture(scope="module")
def qt(build_dir, tmp_path_factory):
    if not (build_dir / "guest/enclave-init-arm64").exists():
        pytest.skip("the build has no enclave-init for arm64: aarch64-linux-gnu-gcc is not installed")
    return Qt(build_dir, tmp_path_factory.mktemp("state") / "state")


@pytest.fixture(scope="module")
def kernel():
    """The distribution's kernel for arm64; nothing on this machine needs to know the architecture."""
    result = subprocess.run([ROOT / "tools/fetch-kernel", "--arch", "arm64", "cloud"], capture_output=True, text=True)
    if result.returncode != 0:
        pytest.skip(f"no kernel for arm64: {result.stderr[-300:]}")
    return pathlib.Path(result.stdout.strip())


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    """An image for both; each says in a file what it is for."""
    folder = tmp_path_factory.mktemp("image") / "layout"
    config = {"Entrypoint": ["/bin/program"], "Env": ["PATH=/bin"]}
    each = [images.image([[images.directory("bin"), images.file("bin/program", arch, mode=0o755)]], config, arch=arch)
            for arch in ("amd64", "arm64")]
    images.write_oci_layout(folder, each)
    return f"oci:{folder}"


@pytest.fixture(scope="module")
def eif(qt, kernel, layout, tmp_path_factory):
    path = tmp_path_factory.mktemp("made") / "arm.eif"
    qt.ok("make-img", "--docker-uri", layout, "--eif", path, "--arch", "arm64")
    return path


def ramdisk(eif, number):
    return {entry.name: entry for entry in cpio.read(eif.payloads("ramdisk")[number])}


def elf_machine(content):
    assert content[:4] == b"\x7fELF"
    return struct.unpack_from("<H", content, 18)[0]


def test_everything_in_the_file_is_for_arm64(eif, build_dir):
    read = eif_reader.read_eif(eif)
    assert read.flags == 1 and read.architecture == "aarch64"
    assert read.crc == read.crc_computed
    first = ramdisk(read, 0)
    assert first["init"].data == (build_dir / "guest/enclave-init-arm64").read_bytes()
    assert {elf_machine(e.data) for name, e in first.items() if name == "init" or name.endswith(".ko")} == {183}
    assert any("vmw_vsock_virtio_transport" in name for name in first)
    assert ramdisk(read, 1)["rootfs/bin/program"].data == b"arm64"
    assert read.metadata["DockerInfo"]["Architecture"] == "arm64"
    assert "console=ttyAMA0" in read.cmdline and "tsc" not in read.cmdline


def test_kernel_is_an_image_that_hypervisors_load(eif, kernel):
    """text_offset is not 0; but for that it is the distribution's."""
    payload, original = eif_reader.read_eif(eif).payloads("kernel")[0], (kernel / "vmlinuz").read_bytes()
    assert struct.unpack_from("<I", payload, 56)[0] == IMAGE_MAGIC
    assert struct.unpack_from("<Q", payload, 8)[0] == 2 * 1024 * 1024
    assert payload[:8] == original[:8] and payload[16:] == original[16:]


def test_amd64_is_what_is_made_where_nothing_is_said(qt, layout, tmp_path):
    qt.ok("make-img", "--docker-uri", layout, "--eif", tmp_path / "a.eif")
    read = eif_reader.read_eif(tmp_path / "a.eif")
    assert read.flags == 0 and ramdisk(read, 1)["rootfs/bin/program"].data == b"amd64"


def test_the_same_input_gives_the_same_bytes(qt, layout, eif, tmp_path):
    qt.ok("make-img", "--docker-uri", layout, "--eif", tmp_path / "again.eif", "--arch=arm64")
    assert (tmp_path / "again.eif").read_bytes() == eif.read_bytes()


def test_it_is_signed_and_described_as_any(qt, eif, tmp_path):
    certificate, key, _ = make_pair(tmp_path, "P-384")
    qt.ok("sign-eif", "--eif", eif, "--eif-out", tmp_path / "signed.eif", "--private-key", key, "--signing-certificate",
          certificate)
    assert eif_reader.read_eif(tmp_path / "signed.eif").signature_ok
    described = qt.ok("query-eif", "--eif", tmp_path / "signed.eif")
    assert described["Architecture"] == "aarch64" and described["SignatureCheck"] is True


def test_parts_of_two_architectures_are_refused(qt, kernel, layout, tmp_path):
    amd64 = busybox_image(Entrypoint=["/bin/sh"])
    images.write_oci_layout(tmp_path / "amd64", amd64)
    out = tmp_path / "a.eif"
    for arguments, words in [
            (["--docker-uri", layout, "--arch", "arm64", "--kernel", qt.env["COFFER_KERNEL_DIR"]],
             "the kernel is an x86 kernel; aarch64 needs an uncompressed Image"),
            (["--docker-uri", layout, "--kernel", kernel], "the kernel is an aarch64 Image; x86_64 needs a bzImage"),
            (["--docker-uri", f"oci:{tmp_path}/amd64:latest", "--arch", "arm64"], "amd64")]:
        assert words in qt.fails("make-img", "--eif", out, *arguments)
        assert not out.exists()


def test_aws_parts_are_taken_for_arm64_too_and_never_mixed(qt, kernel, layout, build_dir, tmp_path):
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    (blobs / "Image").symlink_to(kernel / "vmlinuz")
    (blobs / "init").symlink_to(build_dir / "guest/enclave-init-arm64")
    made = ["make-img", "--docker-uri", layout, "--eif", tmp_path / "a.eif", "--arch", "arm64", "--nitro-compat",
            "--kernel", blobs]
    qt.ok(*made)
    read = eif_reader.read_eif(tmp_path / "a.eif")
    assert read.flags == 1 and read.cmdline.endswith("root=/dev/ram0") and "i8042" not in read.cmdline
    (blobs / "init").unlink()
    (blobs / "init").symlink_to(build_dir / "guest/enclave-init")
    assert "init: is for amd64, but the image for arm64" in qt.fails(*made)


def test_start_says_why_it_can_not_be_run_here(qt, eif, tmp_path):
    if subprocess.run(["uname", "-m"], capture_output=True, text=True).stdout.strip() == "aarch64":
        pytest.skip("it can be run here")
    error = qt.fails("start", "--eif", eif, "--mem", "512")
    assert "it is an image for aarch64, and this machine is x86_64" in error
    assert qt.list() == []


def test_fetch_kernel_needs_no_architecture_added_to_the_machine(kernel):
    need_program("dpkg")
    foreign = subprocess.run(["dpkg", "--print-foreign-architectures"], check=True, capture_output=True, text=True).stdout
    assert "arm64" not in foreign.split()
    assert (kernel / "release").read_text().strip().endswith("arm64")
    assert kernel.parent.joinpath("cloud-arm64").resolve() == kernel


def test_fetch_kernel_names_the_architectures_that_it_knows():
    result = subprocess.run([ROOT / "tools/fetch-kernel", "--arch", "vax", "cloud"], capture_output=True, text=True)
    assert result.returncode == 2 and "amd64 or arm64" in result.stderr


def test_a_broken_image_kernel_is_refused(qt, layout, tmp_path):
    (tmp_path / "Image").write_bytes(b"\x7fELF" + bytes(100))
    error = qt.fails("make-img", "--docker-uri", layout, "--eif", tmp_path / "a.eif", "--arch", "arm64", "--kernel",
                     tmp_path / "Image")
    assert "vmlinux" in error or "ELF" in error
