# SPDX-License-Identifier: Apache-2.0
"""Images with AWS's init: made by --nitro-compat, made by others and run here; and what ours keep of the same contract."""
import json
import pathlib
import re
import stat

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import cbor2
import cpio
import eif_maker
import eif_reader
import images
import nitro_images
from conftest import wait_for
from enclaves import ImageFolder, Qt, busybox_image, kill_all, shell
from test_eif_oracle import independent_file, make_pair

KINDS = {eif_maker.KERNEL: "kernel", eif_maker.CMDLINE: "cmdline", eif_maker.METADATA: "metadata",
         eif_maker.RAMDISK: "ramdisk"}


@pytest.fixture(scope="module")
def qt(build_dir, tmp_path_factory):
    one = Qt(build_dir, tmp_path_factory.mktemp("state") / "state")
    yield one
    kill_all(one)


@pytest.fixture(scope="module")
def init(build_dir, qt):
    path = build_dir / "tests/nitro/nitro-init"
    if not path.exists():
        pytest.skip("the build has no tests")
    return nitro_images.with_modules(path, qt.env["COFFER_KERNEL_DIR"])


@pytest.fixture(scope="module")
def blobs(qt, init, tmp_path_factory):
    """A folder as NITRO_CLI_BLOBS names it."""
    folder, kernel = tmp_path_factory.mktemp("blobs"), pathlib.Path(qt.env["COFFER_KERNEL_DIR"])
    (folder / "bzImage").write_bytes((kernel / "vmlinuz").read_bytes())
    (folder / "bzImage.config").write_bytes((kernel / "config").read_bytes())
    (folder / "cmdline").write_text(nitro_images.CMDLINE + "\n")
    (folder / "init").write_bytes(init)
    nsm = nitro_images.a_module(kernel)
    if nsm:
        (folder / "nsm.ko").write_bytes(nsm)
    return folder


@pytest.fixture(scope="module")
def made(qt, tmp_path_factory):
    return ImageFolder(qt, tmp_path_factory.mktemp("images"))


def ramdisk(eif, number):
    return {entry.name: entry for entry in cpio.read(eif.payloads("ramdisk")[number])}


def ended(qt, enclave):
    """The enclave's last words, once it has ended by itself."""
    number = enclave["EnclaveID"]
    return wait_for(lambda: next((e for e in qt.ok("query", "--enclave-id", number) if e["State"] not in
                                  ("running", "starting")), None), "the end of the enclave")


def without_the_kernels(console):
    """A console's text without the kernel's messages, which may come in the middle of what a program writes: that its timer
    was late, or its random numbers are good."""
    return re.sub(r"\[ *\d+\.\d{6}\] .*\n", "", console.replace("\r", ""))


def run_to_its_end(qt, eif, *arguments):
    """Starts the image in debug mode; what its programs wrote and how it ended."""
    enclave = qt.start(eif, "--debug-mode", *arguments)
    console = qt.start_process("console", "--enclave-id", enclave["EnclaveID"])
    text = without_the_kernels(console.communicate(timeout=120)[0])
    end = ended(qt, enclave)
    qt.ok("stop", "--enclave-id", enclave["EnclaveID"])
    return text, end


# ---- made by us, for AWS's init --------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def compatible(qt, made, blobs):
    image = shell("echo args $0 $1; echo home $HOME; pwd; id -u; echo [$NAME]; sleep 1", Env=["PATH=/bin", "NAME=a b"],
                  Cmd=["zero", "one two"])
    return made.eif("compatible", image, "--nitro-compat", "--kernel", blobs)


def test_layout_is_the_one_that_awss_init_expects(compatible, blobs, init):
    eif = eif_reader.read_eif(compatible)
    assert [s.type for s in eif.sections] == ["kernel", "cmdline", "metadata", "ramdisk", "ramdisk"]
    assert eif.cmdline == nitro_images.CMDLINE
    assert eif.payloads("kernel")[0] == (blobs / "bzImage").read_bytes()
    first = ramdisk(eif, 0)
    nsm = ["nsm.ko"] if (blobs / "nsm.ko").exists() else []
    assert list(first) == ["dev", "init", *nsm]
    assert [stat.S_IMODE(e.mode) for e in first.values()] == [0o755] * len(first)
    assert first["init"].data == init
    second = ramdisk(eif, 1)
    assert {name for name in second if "/" not in name} == {"rootfs", "cmd", "env"}
    for folder in ("dev", "proc", "run", "sys", "tmp", "var"):
        assert stat.S_ISDIR(second[f"rootfs/{folder}"].mode)
    assert second["cmd"].data.decode().splitlines() == [
        "/bin/sh", "-c", "echo args $0 $1; echo home $HOME; pwd; id -u; echo [$NAME]; sleep 1", "zero", "one two"]
    assert second["env"].data.decode().splitlines() == ["HOME=/root", "PATH=/bin", "NAME=a b"]
    assert stat.S_IMODE(second["cmd"].mode) == stat.S_IMODE(second["env"].mode) == 0o644
    build = eif.metadata["BuildMetadata"]
    assert build["OperatingSystem"] == "Linux" and build["KernelVersion"].startswith("6.")


def test_an_image_for_awss_init_runs_here(qt, compatible):
    text, end = run_to_its_end(qt, compatible)
    lines = text.splitlines()
    for expected in ("args zero one two", "home /root", "/", "0", "[a b]"):
        assert expected in lines, text
    assert (end["State"], end["ExitStatus"]) == ("exited", None)
    assert qt.list() == []


def test_a_workload_of_awss_init_has_every_controller_of_control_groups(qt, made, blobs):
    """That init mounts each one that the kernel has, and gives up where one can't be."""
    script = ("while read name _ _ enabled; do [ $enabled = 1 ] && "
              "echo has $name $([ -e /sys/fs/cgroup/$name/tasks ] && echo yes); done < /proc/cgroups; sleep 1")
    text, end = run_to_its_end(qt, made.eif("controllers", shell(script), "--nitro-compat", "--kernel", blobs))
    found = [line.split()[1:] for line in text.splitlines() if line.startswith("has ")]
    assert {"cpu", "memory", "pids"} <= {name for name, *_ in found}, text
    assert all(rest == ["yes"] for _, *rest in found), found
    assert end["State"] == "exited"


def test_its_init_can_be_asked_for_nothing_so_stop_takes_the_machine_away_at_once(qt, made, blobs):
    eif = made.eif("sleeper", shell("sleep 1000"), "--nitro-compat", "--kernel", blobs)
    enclave = qt.start(eif)
    assert (enclave["State"], enclave["LaunchMode"]) == ("running", "normal")
    assert enclave["PCRs"] == {k: v for k, v in eif_reader.read_eif(eif).pcrs.items()}
    assert qt.ok("stop", "--enclave-id", enclave["EnclaveID"]) == f"stop {enclave['EnclaveID']} success\n"
    qt.nothing_is_left()


def test_waiting_for_such_an_enclave_says_that_its_status_is_not_known(qt, made, blobs):
    eif = made.eif("short", shell("exit 0"), "--nitro-compat", "--kernel", blobs)
    result = qt.run("start", "--eif", eif, "--mem", "256", "--wait")
    assert result.returncode == 1
    assert "how its workload did is not known" in result.stderr
    qt.ok("stop", "--all")


def test_the_folder_comes_from_the_environment_and_nsm_is_optional(qt, made, blobs, tmp_path):
    for name in ("bzImage", "init"):
        (tmp_path / name).symlink_to(blobs / name)
    layout = made.layout("optional", shell("true"))
    qt.ok("make-img", "--docker-uri", layout, "--eif", tmp_path / "a.eif", "--nitro-compat",
          env={"NITRO_CLI_BLOBS": str(tmp_path)})
    eif = eif_reader.read_eif(tmp_path / "a.eif")
    assert list(ramdisk(eif, 0)) == ["dev", "init"]
    assert eif.cmdline == nitro_images.CMDLINE  # AWS's, where the folder has none


@pytest.mark.parametrize("command, cwd, expected", [
    (["sh"], "", "/usr/local/bin/sh"), (["./sh", "x"], "/bin", "/bin/./sh"), (["/bin/sh"], "/tmp", "/bin/sh")])
def test_the_command_is_found_where_the_image_says(qt, blobs, tmp_path, command, cwd, expected):
    """AWS's init would look into four folders only, and PATH=/usr/local/bin is what language images have."""
    link = [images.directory("usr"), images.directory("usr/local"), images.directory("usr/local/bin"),
            images.symlink("usr/local/bin/sh", "/bin/busybox")]
    image = busybox_image([link], Cmd=command, Env=["PATH=/usr/local/bin:/bin"], WorkingDir=cwd)
    images.write_oci_layout(tmp_path / "layout", image)
    qt.ok("make-img", "--docker-uri", f"oci:{tmp_path}/layout:latest", "--eif", tmp_path / "a.eif", "--nitro-compat",
          "--kernel", blobs)
    lines = ramdisk(eif_reader.read_eif(tmp_path / "a.eif"), 1)["cmd"].data.decode().splitlines()
    assert lines == [expected, *command[1:]]


def attempt(qt, blobs, tmp_path, entries=(), **config):
    images.write_oci_layout(tmp_path / "layout", busybox_image([list(entries)], **config))
    return qt.run("make-img", "--docker-uri", f"oci:{tmp_path}/layout:latest", "--eif", tmp_path / "a.eif",
                  "--nitro-compat", "--kernel", blobs)


def test_what_that_init_can_not_do_is_a_warning(qt, blobs, tmp_path):
    capable = images.with_xattrs(images.file("bin/ping", b"x", mode=0o755), **{"security.capability": b"\1"})
    result = attempt(qt, blobs, tmp_path, [capable], Cmd=["/bin/sh"], User="1000", WorkingDir="/tmp")
    assert result.returncode == 0
    for words in ("User '1000' is not kept", "WorkingDir '/tmp' is not kept", "extended attributes"):
        assert words in result.stderr
    assert json.loads(result.stdout)["digest"] == "SHA384"


def test_an_ordinary_image_is_made_without_a_word(qt, blobs, tmp_path):
    assert attempt(qt, blobs, tmp_path, Cmd=["/bin/sh"], User="0", WorkingDir="/").stderr == ""


@pytest.mark.parametrize("config, words", [
    ({"Cmd": ["/bin/sh", "-c", "a\nb"]}, "an argument has a line break"),
    ({"Cmd": ["/bin/sh"], "Env": ["PATH=/bin", "KEY=a\nb"]}, "KEY has a line break"),
    ({"Cmd": ["python3"], "Env": ["PATH=/bin"]}, "python3: not in the image, in none of the folders of its PATH (/bin)"),
    ({"Cmd": ["/bin/none"]}, "/bin/none"), ({"Cmd": ["/etc"]}, "/etc: no file that can be executed")])
def test_what_would_end_the_enclave_without_a_word_is_refused(qt, blobs, tmp_path, config, words):
    result = attempt(qt, blobs, tmp_path, **config)
    assert (result.returncode, result.stdout) == (1, "")
    assert words in result.stderr
    assert not (tmp_path / "a.eif").exists()


def test_missing_parts_are_named_with_the_way_out(qt, made, tmp_path):
    layout = made.layout("optional", shell("true"))
    for folder in (tmp_path, tmp_path / "none"):
        error = qt.fails("make-img", "--docker-uri", layout, "--eif", tmp_path / "a.eif", "--nitro-compat", "--kernel",
                         folder)
        assert str(folder) in error and "NITRO_CLI_BLOBS" in error


# ---- made by others ---------------------------------------------------------------------------------------------------

def signature_section(folder, sections):
    """As nitro-cli writes it, by nothing of ours."""
    certificate_file, key_file, _ = make_pair(folder, "P-384")
    key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    measured = b"".join(p for kind in (eif_maker.KERNEL, eif_maker.CMDLINE, eif_maker.RAMDISK)
                        for k, p in sections if k == kind)
    payload = cbor2.dumps({"register_index": 0, "register_value": list(bytes.fromhex(eif_reader.pcr(measured)))})
    protected = cbor2.dumps({1: -35})
    der = key.sign(cbor2.dumps(["Signature1", protected, b"", payload]), ec.ECDSA(hashes.SHA384()))
    raw = b"".join(n.to_bytes(48, "big") for n in eif_reader.utils.decode_dss_signature(der))
    return cbor2.dumps([{"signing_certificate": list(certificate_file.read_bytes()),
                         "signature": list(cbor2.dumps([protected, {}, payload, raw]))}])


def write_signed(path, sections):
    path.write_bytes(eif_maker.eif([*sections, (eif_maker.SIGNATURE, signature_section(path.parent, sections))]))


def write_with_holes(path, sections):
    path.write_bytes(independent_file([(KINDS[kind], payload) for kind, payload in sections], b"\xee" * 37))


def write_version_3(path, sections):
    path.write_bytes(eif_maker.eif([s for s in sections if s[0] != eif_maker.METADATA], version=3))


def write_with_more_ramdisks(path, sections):
    more = cpio.write([cpio.directory("rootfs/more"), cpio.file("rootfs/more/file", "third\n")])
    path.write_bytes(eif_maker.eif([*sections, (eif_maker.RAMDISK, more)]))


@pytest.mark.parametrize("write", [write_signed, write_with_holes, write_version_3, write_with_more_ramdisks])
def test_files_of_others_boot(qt, init, tmp_path, write):
    command = ["/bin/sh", "-c", "echo it runs; cat /more/file; sleep 1"]
    write(tmp_path / "a.eif", nitro_images.sections(qt.env["COFFER_KERNEL_DIR"], init, command))
    text, end = run_to_its_end(qt, tmp_path / "a.eif")
    assert "it runs" in text
    assert ("third" in text) == (write is write_with_more_ramdisks)
    assert end["State"] == "exited"


def test_an_init_that_panics_before_its_heartbeat_is_a_failure_that_shows_the_console(qt, init, tmp_path):
    sections = nitro_images.sections(qt.env["COFFER_KERNEL_DIR"], init, ["/bin/sh"],
                                     cmdline=nitro_images.CMDLINE.replace("panic=30", "panic=-1"), nsm=b"no module")
    (tmp_path / "a.eif").write_bytes(eif_maker.eif(sections))
    error = qt.fails("start", "--eif", tmp_path / "a.eif", "--mem", "256", "--debug-mode")
    assert "did not start" in error and "Kernel panic" in error
    assert qt.list() == []


def test_a_damaged_file_of_others_is_refused(qt, init, tmp_path):
    data = bytearray(eif_maker.eif(nitro_images.sections(qt.env["COFFER_KERNEL_DIR"], init, ["/bin/sh"])))
    data[-1] ^= 1
    (tmp_path / "a.eif").write_bytes(data)
    assert "the file is damaged" in qt.fails("start", "--eif", tmp_path / "a.eif", "--mem", "256")


# ---- what a Nitro hypervisor and AWS's tools expect of any file ---------------------------------------------------------

@pytest.fixture(scope="module", params=["ours", "nitro-compat", "signed"])
def any_file(request, qt, made, blobs, tmp_path_factory):
    image, more = shell("true"), ()
    if request.param == "nitro-compat":
        more = ("--nitro-compat", "--kernel", blobs)
    if request.param == "signed":
        certificate, key, _ = make_pair(tmp_path_factory.mktemp("pair"), "P-384")
        more = ("--signing-certificate", certificate, "--private-key", key)
    return made.eif(f"any-{request.param}", image, *more)


def test_rule_header_is_version_4_for_x86_with_zero_reserved_fields(any_file):
    data = any_file.read_bytes()
    assert data[:8] == b".eif" + bytes([0, 4, 0, 0])
    assert data[0x18:0x1A] == bytes(2) and data[0x21C:0x220] == bytes(4)


def test_rule_sections_are_packed_and_the_table_has_their_own_sizes(any_file):
    """AWS's tools read the file from front to end, its hypervisor by the table: both must find the same."""
    data, at, eif = any_file.read_bytes(), 548, eif_reader.read_eif(any_file)
    for section in eif.sections:
        assert section.offset == at
        kind, flags, size = eif_reader.SECTION_HEADER.unpack_from(data, at)
        assert (flags, size) == (0, section.size)
        at += 12 + size
    assert at == len(data)


def test_rule_kernel_comes_first_and_the_signature_last(any_file):
    types = [s.type for s in eif_reader.read_eif(any_file).sections]
    assert types[:5] == ["kernel", "cmdline", "metadata", "ramdisk", "ramdisk"]
    assert types[5:] in ([], ["signature"])


def test_rule_kernel_is_a_bzimage(any_file):
    kernel = eif_reader.read_eif(any_file).payloads("kernel")[0]
    assert kernel[0x1FE:0x200] == b"\x55\xaa" and kernel[0x202:0x206] == b"HdrS"


def test_rule_cmdline_is_text_without_nul_or_line_break(any_file):
    line = eif_reader.read_eif(any_file).payloads("cmdline")[0]
    assert line.decode().isprintable() and line == line.strip()


def test_rule_ramdisks_are_uncompressed_archives_of_which_the_first_has_init(any_file):
    eif = eif_reader.read_eif(any_file)
    assert all(r.startswith(b"070701") and len(r) % 4 == 0 for r in eif.payloads("ramdisk"))
    first = ramdisk(eif, 0)
    assert stat.S_ISDIR(first["dev"].mode) and stat.S_IMODE(first["init"].mode) == 0o755
    assert all(name.startswith("rootfs") or "init" not in name for name in ramdisk(eif, 1))


def test_rule_pcrs_are_of_the_payloads_and_crc_of_the_file(any_file, qt):
    eif = eif_reader.read_eif(any_file)
    assert eif.crc == eif.crc_computed
    kernel, line = eif.payloads("kernel")[0], eif.payloads("cmdline")[0]
    boot, app = eif.payloads("ramdisk")
    shown = qt.ok("query-eif", "--eif", any_file)["Measurements"]
    assert shown["PCR0"] == eif_reader.pcr(kernel + line + boot + app)
    assert shown["PCR1"] == eif_reader.pcr(kernel + line + boot)
    assert shown["PCR2"] == eif_reader.pcr(app)


def test_rule_metadata_has_the_members_that_nitro_cli_shows(any_file):
    metadata = eif_reader.read_eif(any_file).metadata
    assert list(metadata) == ["ImageName", "ImageVersion", "BuildMetadata", "DockerInfo", "CustomMetadata"]
    assert list(metadata["BuildMetadata"]) == ["BuildTime", "BuildTool", "BuildToolVersion", "OperatingSystem",
                                               "KernelVersion"]
