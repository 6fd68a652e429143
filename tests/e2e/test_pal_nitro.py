# SPDX-License-Identifier: Apache-2.0
"""libpal_ne.so, called as rune calls a PAL, under ne-emulator."""
import os
import pathlib
import re
import signal
import subprocess

import pytest

import eif_maker
from conftest import ROOT, wait_for
from enclaves import ImageFolder, Qt, shell
from test_ne_emulator import Emulator, descendants, is_running

LOOP = "trap 'echo bye; exit 3' TERM; trap 'exit 4' USR1; echo ready; while :; do sleep 1 & wait $!; done"


@pytest.fixture(scope="session")
def made(build_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    return ImageFolder(Qt(build_dir, folder / "state"), folder)


@pytest.fixture(scope="session")
def short(made):
    return made.eif("short", shell("echo hello from inside; exit 5"))


@pytest.fixture(scope="session")
def loop(made):
    return made.eif("loop", shell(LOOP))


class Host:
    """pal-host with libpal_ne.so under an emulator of its own, for a container with an empty root."""

    def __init__(self, build, root):
        self.emulator = Emulator(build)
        self.pal = build / "pal" / "nitro" / "libpal_ne.so"
        self.program = build / "pal" / "nitro" / "pal-host"
        self.root = root
        root.mkdir()

    def command(self, arguments, *more):
        return [self.program, self.pal, self.root, arguments, *more]

    def run(self, arguments, *more, **rest):
        return self.emulator.run(*self.command(arguments, *more), **rest)

    def start(self, arguments):
        """Starts one in debug mode and waits until its workload is ready; gives the process and the host's pid."""
        process = self.emulator.popen(*self.command(arguments + " debug"))
        for line in process.stdout:
            if line == "ready\n" or line == "ready\r\n":
                break
        else:
            raise AssertionError(process.communicate())
        host = next(pid for pid, line in descendants(process.pid).items() if line[0] == str(self.program).encode())
        return process, host

    def fails(self, arguments, call, *words, **rest):
        process = self.run(arguments, **rest)
        assert process.returncode == 125, process.err
        message = next(line for line in process.err.splitlines() if line.startswith(f"{call}: "))
        assert all(word in message for word in words), message
        return message


@pytest.fixture
def host(build_dir, tmp_path):
    one = Host(build_dir, tmp_path / "root")
    if not one.program.exists():
        pytest.skip("the test programs were not built")
    return one


def test_the_workloads_exit_status_comes_out(host, short):
    process = host.run(f"image={short} memory=256 vcpus=2")
    assert process.returncode == 5, process.err
    assert [line for line in process.err.splitlines() if line.startswith("pal_")] == \
        ["pal_prepare", "pal_init", "pal_create_process", "pal_exec", "pal_destroy"]
    assert process.out == ""
    pcrs = re.findall(r"^enclave.measurements.pcr([012])=([0-9a-f]{96})$", process.err, re.M)
    assert [number for number, _ in pcrs] == ["0", "1", "2"] and all(set(pcr) != {"0"} for _, pcr in pcrs)


def test_in_debug_mode_the_console_is_the_output_and_pcrs_are_zero(host, short):
    process = host.run(f"image={short},memory=256,vcpus=2,debug")
    assert process.returncode == 5 and "hello from inside" in process.out
    assert f"pcr0={'0' * 96}" in process.err


def test_a_caller_without_pal_prepare_finds_the_image_in_its_own_root(host, short):
    assert host.run(f"image={short} memory=256", "no-prepare").returncode == 5


@pytest.mark.parametrize("number, status", [(signal.SIGTERM, 3), (signal.SIGUSR1, 4), (signal.SIGUSR2, 137)])
def test_signals_reach_the_workload(host, loop, number, status):
    process, pid = host.start(f"image={loop} memory=256")
    os.kill(pid, number)  # pal-host passes SIGUSR2 on as SIGKILL
    _, err = process.communicate(timeout=60)
    assert process.returncode == status, err


def test_a_killed_machine_is_a_failure_that_says_so(host, loop):
    process, _ = host.start(f"image={loop} memory=256")
    qemu = next(pid for pid, line in descendants(process.pid).items() if b"qemu-system" in line[0])
    os.kill(qemu, signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 125 and "pal_exec: -5: the enclave's init vanished" in err


def test_a_killed_host_leaves_no_enclave(host, loop):
    process, pid = host.start(f"image={loop} memory=256")
    below = descendants(process.pid)
    os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == 137
    wait_for(lambda: not any(map(is_running, below)), "the end of all")


def test_an_image_too_large_for_the_memory_is_refused_with_what_would_do(host, short):
    message = host.fails(f"image={short} memory=64", "pal_prepare", "memory=64", "at least")
    need = re.search(r"at least (\d+) MiB", message).group(1)
    assert host.run(f"image={short} memory={need}").returncode == 5


def test_a_file_too_large_for_the_memory_is_refused_before_it_is_read(host, tmp_path):
    with open(tmp_path / "huge.eif", "wb") as file:
        file.truncate(2**40)
    host.fails(f"image={tmp_path}/huge.eif memory=512", "pal_prepare", "huge.eif", "1048576 MiB", "504")


def test_a_bad_image_is_refused_by_its_name(host, short, tmp_path):
    (tmp_path / "text.eif").write_text("not an image")
    host.fails(f"image={tmp_path}/text.eif", "pal_prepare", "text.eif")
    data = bytearray(short.read_bytes())
    data[-1] ^= 1
    (tmp_path / "flipped.eif").write_bytes(data)
    host.fails(f"image={tmp_path}/flipped.eif", "pal_prepare", "flipped.eif", "CRC")


def test_a_cid_in_use_is_named(host, loop):
    commands = host.emulator
    first = " ".join(map(str, host.command(f"'image={loop} memory=256 cid=50 debug'")))
    process = commands.run("sh", "-c", f"""
        {first} >out 2>err & pid=$!
        while ! grep -q ready out; do sleep 0.1; done
        {first}; echo status $?
        kill $pid; wait $pid; echo status $?""", cwd=host.root)
    assert "CID 50 is in use by another enclave" in process.err
    assert process.out.splitlines() == ["status 125", "status 3"]


def test_ten_enclaves_start_at_once_and_share_the_heartbeats_port(host, short):
    one = " ".join(map(str, host.command(f"'image={short} memory=128'")))
    process = host.emulator.run("sh", "-c", f"""
        for i in 1 2 3 4 5 6 7 8 9 10; do {one} 2>err$i & pids="$pids $!"; done
        for pid in $pids; do wait $pid; echo $?; done""", cwd=host.root, timeout=600)
    errors = "".join((host.root / f"err{i}").read_text() for i in range(1, 11))
    assert process.out.split() == ["5"] * 10, errors


def test_there_is_no_device_without_one(host, short):
    process = subprocess.run(host.command(f"image={short} memory=256"), capture_output=True, text=True)
    assert process.returncode == 125
    assert "pal_prepare: -2: /dev/nitro_enclaves" in process.stderr and "ne-emulator" in process.stderr


def test_driver_errors_are_told_in_words(host, short):
    host.fails(f"image={short} memory=256 vcpus=4", "pal_init", "no CPU is left in the pool", "2 of the 4",
               options=("--no-huge-pages", "--cpus", "2-3"))
    host.fails(f"image={short} memory=256 vcpus=3", "pal_create_process", "whole cores")
    host.fails(f"image={short} memory=256 vcpus=2", "pal_init", "huge pages", options=()) \
        if not huge_pages() else None


def huge_pages():
    with open("/proc/meminfo") as file:
        return int(re.search(r"HugePages_Total: +(\d+)", file.read()).group(1))


@pytest.fixture(scope="session")
def foreign(build_dir, tmp_path_factory):
    """An image whose init knows no control channel: it says that it is alive, and ends after five seconds."""
    kernel = pathlib.Path(subprocess.run([ROOT / "tools/fetch-kernel", "cloud"], check=True, capture_output=True,
                                         text=True).stdout.strip())
    path = tmp_path_factory.mktemp("foreign") / "foreign.eif"
    first = eif_maker.bootstrap(build_dir / "pal" / "nitro" / "foreign-init", kernel)
    path.write_bytes(eif_maker.eif([
        (eif_maker.KERNEL, (kernel / "vmlinuz").read_bytes()), (eif_maker.CMDLINE, b"console=ttyS0 reboot=t panic=-1"),
        (eif_maker.METADATA, b"{}"), (eif_maker.RAMDISK, first)]))
    return path


def test_the_end_of_anothers_enclave_is_success(host, foreign):
    process = host.run(f"image={foreign} memory=256 debug")
    assert process.returncode == 0, process.err
    assert "foreign: alive" in process.out


def test_who_calls_and_says_nothing_keeps_no_enclave_from_being_heard(host, foreign):
    caller = """
import socket, time
calls = []
while len(calls) < 40:
    call = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    try:
        call.connect((3, 9000))
        calls.append(call)
    except OSError:
        time.sleep(0.05)
time.sleep(1000)
"""
    process = host.emulator.run("/bin/sh", "-c", '/usr/bin/python3 -c "$0" & "$@"; status=$?; kill $!; exit $status', caller,
                                *host.command(f"image={foreign} memory=512"))
    assert process.returncode == 0, process.err


def test_signals_that_end_programs_end_anothers_enclave(host, foreign):
    process = host.emulator.popen(*host.command(f"image={foreign} memory=256"))
    assert any(line == "pal_create_process\n" for line in process.stderr)
    pid = next(pid for pid, line in descendants(process.pid).items() if line[0] == str(host.program).encode())
    os.kill(pid, signal.SIGUSR1)  # which does nothing
    os.kill(pid, signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM


# ---- where the image is looked for


def test_the_containers_image_comes_first_and_its_links_stay_inside(host, short, tmp_path):
    (host.root / "image.eif").write_bytes(short.read_bytes())
    (host.root / "link.eif").symlink_to("/image.eif")
    (host.root / "up.eif").symlink_to("../../../../image.eif")
    for name in ("image.eif", "link.eif", "up.eif"):
        assert host.run(f"image=/{name} memory=256").returncode == 5
    (host.root / "out.eif").symlink_to(tmp_path / "secret.eif")
    (tmp_path / "secret.eif").write_bytes(short.read_bytes())
    host.fails("image=/out.eif memory=256", "pal_prepare", "neither the container nor the host has it")


def test_only_regular_files_are_opened(host):
    os.mkfifo(host.root / "fifo")
    (host.root / "folder").mkdir()
    for name in ("fifo", "folder"):
        host.fails(f"image=/{name} memory=256", "pal_prepare", name, "no regular file")
    host.fails("image=/dev/zero memory=256", "pal_prepare", "no regular file")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_of_the_host_only_files_that_nobody_else_can_write_are_taken(host, short, tmp_path):
    copy = tmp_path / "host.eif"
    copy.write_bytes(short.read_bytes())
    copy.chmod(0o666)
    host.fails(f"image={copy} memory=256", "pal_prepare", "others can write")
    copy.chmod(0o644)
    os.chown(copy, 1000, 1000)
    host.fails(f"image={copy} memory=256", "pal_prepare", "user 1000's")
