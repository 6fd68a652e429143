# SPDX-License-Identifier: Apache-2.0
"""make-img through qt: every source gives the same measurements, the file is what an independent reader says, the same
input gives the same bytes, and what is wrong leaves no file."""
import datetime
import io
import json
import os
import pathlib
import re
import signal
import subprocess
import tarfile

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

import cpio
import eif_reader
import fake_servers
import images
from conftest import DEADLINE, need_program, wait_for
from enclaves import Qt, busybox_image, busybox_layer

NOW = datetime.datetime(2023, 11, 15)  # about SOURCE_DATE_EPOCH; certificates are checked against the real clock


@pytest.fixture(scope="module")
def qt(build_dir, tmp_path_factory):
    return Qt(build_dir, tmp_path_factory.mktemp("state") / "state")


@pytest.fixture(scope="module")
def image():
    return busybox_image([[images.file("hello", "world")]], Entrypoint=["/bin/cat"], Cmd=["/hello"])


@pytest.fixture(scope="module")
def layout(image, tmp_path_factory):
    return images.write_oci_layout(tmp_path_factory.mktemp("layout") / "image", image)


@pytest.fixture(scope="module")
def reference(qt, layout, tmp_path_factory):
    """The measurements of the image from its OCI layout, unsigned."""
    eif = tmp_path_factory.mktemp("reference") / "reference.eif"
    return qt.ok("make-img", "--docker-uri", f"oci:{layout}:latest", "--eif", eif), eif


def make_certificate(folder, curve=None, days=(-1, 30), key=None, name="signer"):
    """A self-signed certificate and its key as PEM files."""
    key = key or ec.generate_private_key(curve or ec.SECP384R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
                   .serial_number(x509.random_serial_number()).not_valid_before(now + datetime.timedelta(days=days[0]))
                   .not_valid_after(now + datetime.timedelta(days=days[1])).sign(key, hashes.SHA384()))
    key_path, certificate_path = folder / f"{name}.key.pem", folder / f"{name}.pem"
    key_path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                           serialization.NoEncryption()))
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return key_path, certificate_path


def measurements(result):
    return {name: result[name] for name in ("PCR0", "PCR1", "PCR2")}


def test_prints_digest_and_pcrs_that_an_independent_reader_confirms(reference):
    printed, eif = reference
    assert list(printed) == ["digest", "PCR0", "PCR1", "PCR2"]
    assert printed["digest"] == "SHA384"
    file = eif_reader.read_eif(eif)
    assert measurements(printed) == measurements(file.pcrs)
    assert file.crc == file.crc_computed


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda c: c.name)
def test_signature_is_confirmed_by_an_independent_reader(qt, layout, reference, tmp_path, curve):
    key, certificate = make_certificate(tmp_path, curve)
    eif = tmp_path / "signed.eif"
    printed = qt.ok("make-img", "--docker-uri", f"oci:{layout}:latest", "--eif", eif, "--private-key", key,
                    "--signing-certificate", certificate)
    assert list(printed) == ["digest", "PCR0", "PCR1", "PCR2", "PCR8"]
    assert measurements(printed) == measurements(reference[0])
    file = eif_reader.read_eif(eif)
    assert file.signature_ok and file.pcrs["PCR8"] == printed["PCR8"]
    described = qt.ok("query-eif", "--eif", eif)
    assert described["IsSigned"] is True and described["SignatureCheck"] is True and described["CheckCRC"] is True
    assert described["Measurements"]["PCR8"] == printed["PCR8"]


def test_application_ramdisk_holds_the_image_and_nothing_else(reference):
    ramdisks = eif_reader.read_eif(reference[1]).payloads("ramdisk")
    assert len(ramdisks) == 2
    entries = {entry.name: entry for entry in cpio.read(ramdisks[1])}
    assert entries["rootfs/hello"].data == b"world"
    assert entries["rootfs/tmp"].mode & 0o7777 == 0o1777
    assert b"arg=/bin/cat\0arg=/hello\0" in entries["enclave/config"].data
    assert all(name.startswith(("rootfs", "enclave")) for name in entries)


def test_every_source_gives_the_same_measurements(qt, image, layout, reference, registry, password_registry,
                                                  docker_engine, tmp_path):
    tars = {"test:latest": [images.layer_tar(busybox_layer()), images.layer_tar([images.file("hello", "world")])]}
    images.write_docker_archive(tmp_path / "docker.tar", {"test:latest": image}, tars)
    images.write_oci_archive(tmp_path / "oci.tar", image)
    registry.push(layout, "latest", "group/test:1")
    password_registry.push(layout, "latest", "group/test:1")
    docker_engine.load(tmp_path / "docker.tar")
    authfile = tmp_path / "auth.json"
    login = __import__("base64").b64encode(f"{password_registry.user}:{password_registry.password}".encode()).decode()
    authfile.write_text(json.dumps({"auths": {password_registry.host: {"auth": login}}}))
    for uri, env in [
        (f"docker-archive:{tmp_path}/docker.tar", {}),
        (f"oci-archive:{tmp_path}/oci.tar", {}),
        (f"docker://{registry.host}/group/test:1", {}),
        (f"{registry.host}/group/test:1", {}),
        (f"docker://{password_registry.host}/group/test:1", {"REGISTRY_AUTH_FILE": str(authfile)}),
        ("docker-daemon:test:latest", {"DOCKER_HOST": docker_engine.host}),
        ("test", {"DOCKER_HOST": docker_engine.host}),
    ]:
        printed = qt.ok("make-img", "--docker-uri", uri, "--eif", tmp_path / "out.eif", env=env)
        assert measurements(printed) == measurements(reference[0]), uri
    empty = tmp_path / "empty.json"
    empty.write_text("{}")
    message = qt.fails("make-img", "--docker-uri", f"docker://{password_registry.host}/group/test:1", "--eif",
                       tmp_path / "no.eif", env={"REGISTRY_AUTH_FILE": str(empty)})
    assert "credentials" in message or "authent" in message.lower()


def test_skopeo_and_umoci_layouts_give_the_same_measurements(qt, layout, reference, tmp_path):
    skopeo, umoci = need_program("skopeo"), need_program("umoci")
    for target in (f"oci:{tmp_path}/copied:v1", f"oci-archive:{tmp_path}/copied.tar:v1",
                   f"docker-archive:{tmp_path}/docker.tar:name:v1"):
        subprocess.run([skopeo, "copy", "--quiet", "--insecure-policy", f"oci:{layout}:latest", target], check=True)
        uri = target if target.startswith("oci") else f"docker-archive:{tmp_path}/docker.tar"
        assert measurements(qt.ok("make-img", "--docker-uri", uri, "--eif", tmp_path / "out.eif")) == \
            measurements(reference[0]), target
    subprocess.run([umoci, "tag", "--image", f"{tmp_path}/copied:v1", "v2"], check=True)
    assert measurements(qt.ok("make-img", "--docker-uri", f"oci:{tmp_path}/copied:v2", "--eif", tmp_path / "out.eif")) == \
        measurements(reference[0])


def test_same_input_gives_the_same_bytes(qt, layout, reference, tmp_path):
    again = tmp_path / "again.eif"
    qt.ok("make-img", "--docker-uri", f"oci:{layout}:latest", "--eif", again)
    assert again.read_bytes() == reference[1].read_bytes()
    later = tmp_path / "later.eif"
    qt.ok("make-img", "--docker-uri", f"oci:{layout}:latest", "--eif", later, env={"SOURCE_DATE_EPOCH": "1700000001"})
    assert later.read_bytes() != reference[1].read_bytes()
    assert eif_reader.read_eif(later).pcrs == eif_reader.read_eif(reference[1]).pcrs
    build_time = qt.ok("query-eif", "--eif", later)["Metadata"]["BuildTime"]
    assert build_time.startswith("2023-11-14T22:13:21")


def test_name_version_metadata_and_cmdline_options(qt, layout, tmp_path):
    metadata = tmp_path / "metadata.json"
    metadata.write_text('{"team": "blue"}')
    eif = tmp_path / "named.eif"
    qt.ok("make-img", "--docker-uri", f"oci:{layout}:latest", "--eif", eif, "--name", "shop", "--img-version", "1.2",
          "--metadata", metadata, "--cmdline", "console=ttyS0 quiet coffer.parent_cid=2")
    described = qt.ok("query-eif", "--eif", eif)
    assert (described["ImageName"], described["ImageVersion"]) == ("shop", "1.2")
    assert described["Metadata"]["team"] == "blue" or described["Metadata"]["CustomMetadata"]["team"] == "blue"
    assert eif_reader.read_eif(eif).cmdline == "console=ttyS0 quiet coffer.parent_cid=2"
    metadata.write_text('["not an object"]')
    assert "object" in qt.fails("make-img", "--docker-uri", f"oci:{layout}:latest", "--eif", tmp_path / "no.eif",
                                "--metadata", metadata)


def bad_certificates(folder):
    key, certificate = make_certificate(folder, name="good")
    other_key, _ = make_certificate(folder, name="other")
    _, expired = make_certificate(folder, days=(-20, -10), name="expired")
    _, future = make_certificate(folder, days=(10, 20), name="future")
    rsa_key, rsa_certificate = make_certificate(folder, key=rsa.generate_private_key(65537, 2048), name="rsa")
    text = folder / "text.pem"
    text.write_text("no certificate")
    return [
        (key, None, "--signing-certificate"), (None, certificate, "--private-key"), (other_key, certificate, "belong"),
        (folder / "expired.key.pem", expired, "expired"), (folder / "future.key.pem", future, "not valid"),
        (rsa_key, rsa_certificate, "P-"), (key, text, "text.pem"), (text, certificate, "text.pem"),
        (folder / "none.pem", certificate, "No such file"),
    ]


def test_bad_signing_options_leave_no_image_and_say_why(qt, layout, tmp_path):
    for key, certificate, word in bad_certificates(tmp_path):
        arguments = (["--private-key", key] if key else []) + (["--signing-certificate", certificate] if certificate else [])
        result = qt.run("make-img", "--docker-uri", f"oci:{layout}:latest", "--eif", tmp_path / "no.eif", *arguments)
        assert result.returncode in (1, 2) and result.stdout == ""
        assert word in result.stderr, (key, certificate, result.stderr)
        assert list(tmp_path.glob("*no.eif*")) == []


def test_bad_sources_are_named(qt, tmp_path):
    layout = images.write_oci_layout(tmp_path / "no-command", images.image([busybox_layer()]))
    missing_user = images.write_oci_layout(tmp_path / "user", busybox_image(Entrypoint=["sh"], User="nobody-here"))
    other = images.write_oci_layout(tmp_path / "arm", images.image([busybox_layer()], {"Cmd": ["sh"]}, arch="arm64"))
    damaged = images.write_oci_layout(tmp_path / "damaged", busybox_image(Entrypoint=["sh"]))
    blob = max((damaged / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    blob.write_bytes(blob.read_bytes()[:-7] + b"1234567")
    for uri, words in [
        (f"oci:{layout}:latest", ["Entrypoint", "Cmd"]),
        (f"oci:{layout}:other", ["other", "latest"]),
        (f"oci:{missing_user}:latest", ["nobody-here", "etc/passwd"]),
        (f"oci:{other}:latest", ["arm64", "amd64"]),
        (f"oci:{damaged}:latest", ["layer", "sha256:"]),
        (f"oci:{tmp_path}/none", ["none", "No such file"]),
        ("docker://127.0.0.1:1/a:b", ["127.0.0.1:1"]),
        ("docker-daemon:thing", ["docker.sock"]),
        ("UPPER/case", ["UPPER"]),
    ]:
        message = qt.fails("make-img", "--docker-uri", uri, "--eif", tmp_path / "no.eif")
        for word in words:
            assert word in message, (uri, message)
        assert list(tmp_path.glob("*no.eif*")) == []


@pytest.mark.parametrize("entry,words", [
    (images.file("../../escape", "x"), ["layer", "../../escape"]),
    (images.hardlink("link", "../../etc/passwd"), ["layer", "link"]),
    (images.file("dir/.wh.", ""), ["layer", ".wh."]),
    (images.symlink("loop", "loop"), None),
], ids=["escape", "link-out", "empty-whiteout", "looping-symlink-is-fine"])
def test_hostile_layer_entries_are_named_with_layer_and_entry(qt, tmp_path, entry, words):
    layout = images.write_oci_layout(tmp_path / "bad", busybox_image([[entry]], Entrypoint=["sh"]))
    if words is None:
        qt.ok("make-img", "--docker-uri", f"oci:{layout}:latest", "--eif", tmp_path / "out.eif")
        return
    message = qt.fails("make-img", "--docker-uri", f"oci:{layout}:latest", "--eif", tmp_path / "no.eif")
    for word in words:
        assert word in message
    assert list(tmp_path.glob("*no.eif*")) == []


@pytest.mark.parametrize("count, words", [(400, "over the limit"), (2, "holes of sparse files: more than 200-fold")])
def test_sparse_files_that_claim_too_much_are_refused(qt, tmp_path, count, words):
    sparse = [images.file(f"huge{n}", b"", pax={"GNU.sparse.major": "1", "GNU.sparse.minor": "0",
                                                "GNU.sparse.realsize": str(3 << 30), "GNU.sparse.name": f"huge{n}"})
              for n in range(count)]
    for entry in sparse:
        entry.data = b"0\n".ljust(512, b"\0")
    layout = images.write_oci_layout(tmp_path / "huge", busybox_image([sparse], Entrypoint=["sh"]))
    assert words in qt.fails("make-img", "--docker-uri", f"oci:{layout}:latest", "--eif", tmp_path / "no.eif")


def test_truncated_layer_is_named(qt, tmp_path):
    tar = images.layer_tar(busybox_layer())
    layout = images.write_oci_layout(tmp_path / "cut", images.image([], {"Cmd": ["sh"]}, tars=[tar[:len(tar) // 2]]))
    assert "layer" in qt.fails("make-img", "--docker-uri", f"oci:{layout}:latest", "--eif", tmp_path / "no.eif")


def test_existing_target_survives_a_failure(qt, tmp_path):
    target = tmp_path / "kept.eif"
    target.write_text("precious")
    qt.fails("make-img", "--docker-uri", f"oci:{tmp_path}/none", "--eif", target)
    assert target.read_text() == "precious"
    assert "directory" in qt.fails("make-img", "--docker-uri", f"oci:{tmp_path}/none", "--eif", tmp_path).lower()


@pytest.fixture
def tiny_disk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder = tmp_path / "tiny"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_full_disk_leaves_nothing_half_made(qt, layout, tiny_disk):
    message = qt.fails("make-img", "--docker-uri", f"oci:{layout}:latest", "--eif", tiny_disk / "out.eif")
    assert "No space left" in message
    assert list(tiny_disk.iterdir()) == []


def large_layout(folder, mib):
    """An image with one incompressible-looking file of so many MiB, written without holding it in memory."""
    block = os.urandom(1 << 20)
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as out:
        info = tarfile.TarInfo("large")
        info.size = mib << 20
        out.addfile(info, Repeated(block, mib))
    return images.write_oci_layout(folder, images.image([busybox_layer()], {"Cmd": ["sh"]}, compression="none",
                                                        tars=[images.layer_tar(busybox_layer()), tar.getvalue()]))


class Repeated(io.RawIOBase):
    def __init__(self, block, count):
        self.block, self.left = block, count * len(block)

    def read(self, n):
        n = min(n, self.left)
        self.left -= n
        return (self.block * (n // len(self.block) + 1))[:n]


def test_memory_stays_bounded_whatever_the_size(qt, tmp_path):
    peaks = []
    for mib in (16, 400):
        layout = large_layout(tmp_path / str(mib), mib)
        result = subprocess.run(["/usr/bin/python3", "-c", "import resource, subprocess, sys\n"
                                 "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
                                 "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)",
                                 qt.program, "enclave", "make-img", "--docker-uri", f"oci:{layout}:latest", "--eif",
                                 str(tmp_path / "out.eif")], env=qt.env, check=True, capture_output=True, text=True)
        peaks.append(int(result.stdout))
    assert peaks[1] < 128 * 1024 and peaks[1] < peaks[0] * 1.25, peaks


def test_interrupted_build_leaves_nothing(qt, image, tmp_path):
    out, last = tmp_path / "out", image.layer_digests[-1]
    out.mkdir()
    with fake_servers.fake_registry() as registry:
        registry.add("app:1", image)
        registry.stall[last] = 10 * DEADLINE  # so that the build is not at its end before it is interrupted
        process = qt.start_process("make-img", "--docker-uri", f"docker://{registry.host}/app:1", "--eif", out / "x.eif")
        wait_for(lambda: last not in registry.stall or process.poll() is not None, "the transfer of the last layer")
        assert list(out.iterdir())
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 1
    assert list(out.iterdir()) == []


def test_debug_says_what_the_image_is_made_of(qt, layout, tmp_path):
    words = ("make-img", "--docker-uri", f"oci:{layout}:latest", "--eif", tmp_path / "x.eif")
    said = qt.run(*words, "--debug").stderr
    for thing in ("kernel: /", f"image: oci:{layout}:latest is sha256:", "layer 1 of 2: sha256:", "merged: "):
        assert f"DEBUG: {thing}" in said
    assert qt.run(*words).stderr == ""


def test_a_missing_kernel_for_arm64_is_named_as_fetch_kernel_leaves_it(qt, layout, tmp_path):
    (tmp_path / "enclave-init-arm64").touch()
    done = qt.run("make-img", "--docker-uri", f"oci:{layout}:latest", "--eif", tmp_path / "x.eif", "--arch", "arm64",
                  env={"COFFER_LIBEXEC": str(tmp_path)})
    assert done.returncode == 1 and f"{tmp_path}/kernels/cloud-arm64" in done.stderr


def test_progress_is_for_terminals_only(qt, layout, tmp_path):
    result = qt.run("make-img", "--docker-uri", f"oci:{layout}:latest", "--eif", tmp_path / "out.eif")
    assert (result.returncode, result.stderr) == (0, "")
    script = need_program("script")
    shown = subprocess.run([script, "-qec", f"{qt.program} enclave make-img --docker-uri oci:{layout}:latest --eif "
                            f"{tmp_path}/out.eif", "/dev/null"], env=qt.env, capture_output=True, text=True,
                           stdin=subprocess.DEVNULL, check=True).stdout
    assert re.search(r"layer 1/2|layer 2/2", shown)


def test_signing_key_is_never_in_a_process_that_can_be_dumped(qt):
    """/proc shows it: what can't be dumped or debugged belongs to root there, whoever runs it."""
    user = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    reader, writer = os.pipe()
    if user:
        os.fchown(reader, 65534, 65534)
    try:
        process = subprocess.Popen([qt.program, "enclave", "make-img", "--docker-uri", "oci:/nonexistent", "--eif", "x",
                                    "--signing-certificate", f"/proc/self/fd/{reader}", "--private-key", "/nonexistent"],
                                   env=qt.env, cwd="/", pass_fds=[reader], stdin=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, **user)
    except PermissionError:
        pytest.skip("another user can't run this build")
    # It waits for the certificate, which it reads before the key.
    wait_for(lambda: pathlib.Path(f"/proc/{process.pid}/mem").stat().st_uid == 0, "its being undumpable", 20)
    assert process.poll() is None
    os.close(reader)
    os.close(writer)
    assert process.wait(timeout=60) == 1
