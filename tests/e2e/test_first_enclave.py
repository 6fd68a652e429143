# SPDX-License-Identifier: Apache-2.0
"""From a container image to a running enclave and back to nothing, through qt, with real machines."""
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import time

import pytest

import eif_maker
import eif_reader
import images
from conftest import ROOT, need_program, wait_for
from enclaves import ImageFolder, Qt, busybox_image, children_of, guest_kernel, kill_all, shell

SEED_FIELDS = ["EnclaveID", "ProcessID", "EnclaveCID", "NumberOfCPUs", "MemoryMiB", "LaunchMode"]
OWN_FIELDS = ["State", "ExitStatus", "Isolation", "StartedAt", "PCRs"]
ZERO_PCR = "0" * 96
HUGE = 16 << 30  # bytes that nobody has read before whoever looks on is told that he reads


@pytest.fixture
def qt(build_dir, tmp_path):
    one = Qt(build_dir, tmp_path / "state")
    yield one
    kill_all(one)


@pytest.fixture(scope="session")
def made(build_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    return ImageFolder(Qt(build_dir, folder / "state"), folder)


@pytest.fixture(scope="session")
def server(made):
    """An image whose workload says what it is and then serves TCP port 7000 with a greeting."""
    script = ("trap 'echo bye; exit 0' TERM; echo ready; "
              "nc -ll -p 7000 -e /bin/echo hello & while :; do sleep 1 & wait $!; done")
    return made.eif("server", shell(script, ExposedPorts={"7000/tcp": {}}))


@pytest.fixture(scope="session")
def redis_layout(tmp_path_factory):
    layout = tmp_path_factory.mktemp("redis") / "layout"
    subprocess.run([ROOT / "examples/redis/make-image", layout], check=True, capture_output=True, timeout=300)
    return layout


def read_from(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
            return s.makefile("rb").read()
    except OSError:
        return b""


class Forward:
    """A running `qt enclave forward`."""

    def __init__(self, qt, enclave_id, guest_port):
        self.process = qt.start_process("forward", "--enclave-id", enclave_id, f"0:{guest_port}")
        self.port = int(next(line for line in self.process.stderr if line.startswith("Forwarding")).split(":")[1].split()[0])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate(timeout=20)


def test_redis_runs_unmodified_and_answers_from_the_parent(qt, made, redis_layout):
    eif = made.folder / "redis.eif"
    qt.ok("make-img", "--docker-uri", f"oci:{redis_layout}:latest", "--eif", eif)
    enclave = qt.ok("start", "--eif", eif, "--mem", "512")
    cli = need_program("redis-cli")

    def ask(*words):
        result = subprocess.run([cli, "-p", str(forward.port), *words], capture_output=True, text=True, timeout=30)
        return result.stdout.strip() if result.returncode == 0 else None

    with Forward(qt, enclave["EnclaveID"], 6379) as forward:
        wait_for(lambda: ask("PING") == "PONG", "Redis answering")
        assert ask("SET", "key", "a value") == "OK"
        assert ask("GET", "key") == "a value"
        big = "x" * 3_000_000
        subprocess.run([cli, "-p", str(forward.port), "-x", "SET", "big"], input=big, text=True, check=True,
                       capture_output=True, timeout=60)
        assert ask("STRLEN", "big") == str(len(big))
        assert len(ask("GET", "big")) == len(big)
    assert qt.ok("stop", "--enclave-id", enclave["EnclaveID"]) == f"stop {enclave['EnclaveID']} success\n"
    qt.nothing_is_left()


def test_query_gives_the_seeds_fields_in_its_order_then_ours(qt, server):
    started = qt.start(server, "--debug-mode", "--cpus", 1)
    assert list(started) == SEED_FIELDS + OWN_FIELDS
    listed = qt.list()
    assert [list(one) for one in listed] == [SEED_FIELDS + OWN_FIELDS]
    assert listed == qt.ok("query", "--enclave-id", 0)
    one = listed[0]
    assert (one["EnclaveID"], one["EnclaveCID"], one["NumberOfCPUs"], one["MemoryMiB"]) == (0, 4, 1, 256)
    assert (one["LaunchMode"], one["State"], one["ExitStatus"]) == ("debug", "running", None)
    assert one["Isolation"] in ("kvm", "emulated")
    assert set(one["PCRs"].values()) == {ZERO_PCR}
    assert pathlib.Path(f"/proc/{one['ProcessID']}/comm").read_text().startswith("coffer-enclave")
    assert qt.ok("query", "--enclave-id", 17) == []
    qt.ok("stop", "--all")
    assert qt.list() == []


def test_enclave_shows_the_pcrs_of_its_image_outside_debug_mode(qt, server):
    file = eif_reader.read_eif(server)
    started = qt.start(server)
    assert started["LaunchMode"] == "normal"
    assert {name: started["PCRs"][name] for name in ("PCR0", "PCR1", "PCR2")} == \
        file.pcrs
    assert "E44" in (message := qt.fails("console", "--enclave-id", 0)) or "debug" in message
    qt.ok("stop", "--enclave-id", 0)


def test_machine_that_runs_keeps_no_second_copy_of_its_kernel_and_ramdisks(qt, server):
    qt.start(server)
    (qemu, line), = [(pid, line) for pid, line in qt.processes().items() if b"qemu" in line[0]]
    for option in b"-kernel", b"-initrd":
        number = os.path.basename(line[line.index(option) + 1]).decode()
        seen = os.stat(f"/proc/{qemu}/fd/{number}")
        assert seen.st_size > 1 << 20 and seen.st_blocks == 0, option


def test_sentence_goes_to_stderr_and_only_json_to_stdout(qt, server):
    result = qt.run("start", "--eif", server, "--mem", 256)
    assert result.returncode == 0
    assert result.stderr.count("Started enclave with EnclaveID : 0") == 1
    assert json.loads(result.stdout)["EnclaveID"] == 0
    quiet = qt.run("start", "--eif", server, "--mem", 256, "--only-show-errors")
    assert "WARNING" not in quiet.stderr
    qt.ok("stop", "--all")
    qt.nothing_is_left()


def test_several_enclaves_started_at_once_get_ids_and_cids_of_their_own(qt, server):
    starts = [qt.start_process("start", "--eif", server, "--mem", 256, "--cpus", 1) for _ in range(4)]
    outputs = [process.communicate(timeout=180) for process in starts]
    assert [process.returncode for process in starts] == [0] * 4, outputs
    started = [json.loads(out) for out, _ in outputs]
    assert sorted(one["EnclaveID"] for one in started) == [0, 1, 2, 3]
    assert sorted(one["EnclaveCID"] for one in started) == [4, 5, 6, 7]
    assert len(qt.list()) == 4
    assert "7 is in use" in qt.fails("start", "--eif", server, "--mem", 256, "--cid", 7)
    qt.ok("stop", "--all")
    qt.nothing_is_left()


def test_wait_ends_with_the_workloads_status(qt, made):
    eif = made.eif("exit-7", shell("exit 7"))
    assert qt.run("start", "--eif", eif, "--mem", 256, "--wait").returncode == 7
    killed = made.eif("killed", shell("kill -KILL $$"))
    assert qt.run("start", "--eif", killed, "--mem", 256, "--wait").returncode == 137
    qt.nothing_is_left()


def test_workload_that_ends_leaves_no_entry_but_tells_how_it_ended(qt, made):
    eif = made.eif("exit-7", shell("exit 7"))
    qt.start(eif)
    qt.nothing_is_left()
    [ended] = qt.ok("query", "--enclave-id", 0)
    assert (ended["State"], ended["ExitStatus"]) == ("exited", 7)
    qt.ok("stop", "--enclave-id", 0)
    assert qt.ok("query", "--enclave-id", 0) == []


@pytest.mark.parametrize("name,config,words", [
    ("no-such", {"Entrypoint": ["/bin/no-such-program"]}, ["/bin/no-such-program", "No such file"]),
    ("not-executable", {"Entrypoint": ["/etc/text"]}, ["/etc/text", "Permission denied"]),
    ("no-interpreter", {"Entrypoint": ["/etc/script"]}, ["/etc/script", "No such file"]),
])
def test_exec_that_fails_is_an_error_of_start_with_its_reason(qt, made, name, config, words):
    layer = [images.file("etc/text", "text"), images.file("etc/script", "#!/no/interpreter\n", mode=0o755)]
    message = qt.fails("start", "--eif", made.eif(name, busybox_image([layer], **config)), "--mem", 256)
    for word in words:
        assert word in message
    qt.nothing_is_left()


def test_image_configuration_is_honoured(qt, made):
    layer = [images.file("etc/passwd", "root:x:0:0::/root:/bin/sh\nworker:x:1234:1000::/home/worker:/bin/sh\n"),
             images.file("etc/group", "root:x:0:\nstaff:x:50:worker\nworkers:x:1000:\n"),
             images.directory("srv/data", uid=1234, gid=1000)]
    script = 'id -u; id -g; id -G; pwd; echo "$GREETING"; echo "$1|$2"; hostname; ip addr show lo; ls -l /dev/fd/; ' \
             'echo test > own || exit 3'
    image = busybox_image([layer], Entrypoint=["/bin/sh", "-c", script, "name"], Cmd=["two words", "line\nbreak"],
                          Env=["PATH=/bin", "GREETING=hello\nworld"], User="worker", WorkingDir="/srv/data")
    result = qt.run("start", "--eif", made.eif("configured", image), "--mem", 256, "--attach-console", "--wait")
    assert result.returncode == 0, result
    console = result.stdout.replace("\r", "") + result.stderr.replace("\r", "")
    for text in ("1234\n1000\n1000 50\n/srv/data\nhello\nworld\ntwo words|line\nbreak\n", "127.0.0.1/8", ",UP,"):
        assert text in console, console


def test_stop_sends_the_images_stop_signal_first(qt, made):
    eif = made.eif("usr1", shell("trap 'echo got USR1; exit 0' USR1; echo ready; while :; do sleep 1 & wait $!; done",
                                 StopSignal="SIGUSR1"))
    qt.start(eif, "--debug-mode")
    console = qt.start_process("console", "--enclave-id", 0)
    seen = ""
    while "ready" not in seen:
        seen += console.stdout.readline()
    qt.ok("stop", "--enclave-id", 0)
    out, _ = console.communicate(timeout=30)
    assert "got USR1" in out
    qt.nothing_is_left()


def test_stop_is_hard_after_the_grace_period(qt, made):
    eif = made.eif("deaf", shell("trap '' TERM; echo ready; while :; do sleep 1; done"))
    qt.start(eif, "--debug-mode")
    console = qt.start_process("console", "--enclave-id", 0)
    assert "ready" in map(str.strip, console.stdout), "it is deaf before it is stopped"
    begun = time.monotonic()
    assert qt.ok("stop", "--enclave-id", 0, timeout=60) == "stop 0 success\n"
    assert time.monotonic() - begun > 9, "it got its grace"
    console.communicate(timeout=30)
    qt.nothing_is_left()


def test_stop_of_nothing_fails_and_says_nothing_on_stdout(qt):
    assert "no enclave 3" in qt.fails("stop", "--enclave-id", 3).lower()


def test_console_starts_at_the_boot_and_has_one_reader(qt, made, server):
    cmdline = eif_reader.read_eif(server).cmdline.replace("quiet loglevel=4 ", "")
    talkative = made.eif("talkative", shell("echo ready; while :; do sleep 1; done"), "--cmdline", cmdline)
    qt.start(talkative, "--debug-mode")
    first = qt.start_process("console", "--enclave-id", 0)
    seen = ""
    while "ready" not in seen:
        line = first.stdout.readline()
        assert line, seen
        seen += line
    assert "Linux version" in seen
    assert "another" in qt.fails("console", "--enclave-id", 0)
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=20)
    assert qt.list()[0]["State"] == "running"
    second = qt.start_process("console", "--enclave-id", 0)
    assert second.stdout.readline()
    qt.ok("stop", "--enclave-id", 0)
    second.communicate(timeout=20)


def test_workload_that_floods_the_console_is_not_blocked(qt, made):
    """The flood ends, though nobody reads, and with a reader who does not read."""
    eif = made.eif("flood", shell("yes 0123456789012345678901234567890123456789 | head -c 3000000; echo end of flood; exit 0"))
    process = qt.start_process("start", "--eif", eif, "--mem", 256, "--debug-mode", "--wait")
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err
    qt.nothing_is_left()


def test_forward_reaches_exposed_ports_and_refuses_others(qt, server):
    qt.start(server)
    with Forward(qt, 0, 7000) as forward:
        wait_for(lambda: read_from(forward.port) == b"hello\n", "the greeting")
    message = qt.fails("forward", "--enclave-id", 0, "0:9999")
    assert "9999" in message and "7000" in message
    taken = socket.create_server(("127.0.0.1", 0))
    message = qt.fails("forward", "--enclave-id", 0, f"{taken.getsockname()[1]}:7000")
    assert "in use" in message
    taken.close()
    qt.ok("stop", "--enclave-id", 0)


def test_forward_lasts_as_long_as_the_enclave_where_the_state_folder_has_a_relative_name(qt, server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    qt.env["COFFER_STATE_DIR"] = "state-here"
    qt.start(server)
    with Forward(qt, 0, 7000) as forward:
        wait_for(lambda: read_from(forward.port) == b"hello\n", "the greeting")
        wait_for(lambda: read_from(forward.port) == b"hello\n", "the greeting for another")
        assert forward.process.poll() is None
        qt.ok("stop", "--enclave-id", 0)
        assert forward.process.wait(20) == 0


@pytest.mark.parametrize("victim", ["supervisor", "qemu"])
def test_kill_9_leaves_no_process_and_no_entry(qt, server, victim):
    one = qt.start(server)
    pid = one["ProcessID"]
    os.kill(pid if victim == "supervisor" else children_of(pid)[0], signal.SIGKILL)
    qt.nothing_is_left()
    assert qt.start(server)["EnclaveID"] == 0
    qt.ok("stop", "--enclave-id", 0)
    qt.nothing_is_left()


def test_start_that_is_interrupted_leaves_nothing(qt, tmp_path):
    silent = tmp_path / "silent.eif"
    silent.write_bytes(eif_maker.silent(pathlib.Path(guest_kernel())))
    process = qt.start_process("start", "--eif", silent, "--mem", 256)
    wait_for(qt.processes, "a supervisor")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 1
    qt.nothing_is_left()


def huge_eif(path, size):
    """An image whose ramdisk has `size` bytes, all of them a hole; its CRC is wrong."""
    content = bytearray(eif_maker.eif([(eif_maker.KERNEL, b"kernel"), (eif_maker.CMDLINE, b"quiet"), (eif_maker.METADATA, b"{}"),
                                       (eif_maker.RAMDISK, b"")]))
    content[284 + 3 * 8:284 + 4 * 8] = content[-8:] = struct.pack(">Q", size)  # in the table; in the section's header
    path.write_bytes(content)
    os.truncate(path, len(content) + size)
    return path


def test_start_that_is_interrupted_while_it_reads_the_image_ends_at_once(qt, tmp_path):
    eif = huge_eif(tmp_path / "huge.eif", HUGE)
    qt.env["TMPDIR"] = str(tmp_path)
    process = qt.start_process("start", "--eif", eif, "--mem", 256)
    wait_for(lambda: reads(process, eif), "the image being read")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1 and "the start was interrupted" in err
    qt.nothing_is_left()


def test_image_that_is_cut_while_it_is_read_is_told(qt, tmp_path):
    eif = huge_eif(tmp_path / "huge.eif", HUGE)
    qt.env["TMPDIR"] = str(tmp_path)
    process = qt.start_process("start", "--eif", eif, "--mem", 256)
    wait_for(lambda: reads(process, eif), "the image being read")
    os.truncate(eif, 1000)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1 and f"{eif}: section 3 (ramdisk): the file became shorter while it was read" in err, err
    qt.nothing_is_left()


def reads(process, path):
    """It is at the ramdisk, with the header, which says how long the file has to be, behind it."""
    folder = pathlib.Path(f"/proc/{process.pid}")
    is_open = any(os.path.realpath(fd) == str(path) for fd in (folder / "fd").iterdir())
    return is_open and int(re.search(r"^rchar: (\d+)$", (folder / "io").read_text(), re.MULTILINE)[1]) > 64 << 20


def test_start_refuses_what_cannot_work_and_says_what_would(qt, server, tmp_path):
    size = server.stat().st_size
    for arguments, words in [
        (["--mem", "16"], ["--mem", "MiB"]),
        (["--mem", "0"], ["--mem"]),
        (["--mem", "100000000"], ["--mem", "MiB"]),
        (["--cpus", "0"], ["--cpus", "1"]),
        (["--cpus", "100000"], ["--cpus"]),
        (["--cid", "3"], ["--cid", "4"]),
        (["--cid", "4294967295"], ["4294967294"]),
    ]:
        message = qt.run("start", "--eif", server, *arguments)
        assert message.returncode in (1, 2) and message.stdout == "", message
        for word in words:
            assert word in message.stderr, (arguments, message.stderr)
    assert "No such file" in qt.fails("start", "--eif", tmp_path / "none.eif")
    broken = tmp_path / "broken.eif"
    data = bytearray(server.read_bytes())
    data[size // 2] ^= 1
    broken.write_bytes(data)
    assert "CRC" in qt.fails("start", "--eif", broken)
    broken.write_bytes(data[:size // 2])
    assert "past the end of the file" in qt.fails("start", "--eif", broken)
    assert qt.list() == []


def test_smallest_memory_that_start_names_is_enough(qt, server):
    message = qt.fails("start", "--eif", server, "--mem", "16")
    need = max(int(word) for word in message.replace(",", " ").replace("(", " ").replace(")", " ").split() if word.isdigit())
    assert qt.ok("start", "--eif", server, "--mem", need)["MemoryMiB"] == need
    qt.ok("stop", "--all")


def test_state_of_another_place_is_not_touched(qt, server, build_dir, tmp_path):
    qt.start(server)
    other = Qt(build_dir, tmp_path / "other")
    assert other.list() == []
    other.fails("stop", "--enclave-id", 0)
    assert len(qt.list()) == 1
    qt.ok("stop", "--all")


def test_vsock_socket_on_the_parent_speaks_connect(qt, server):
    """Where the back end is ours, any program can dial the enclave over a Unix socket."""
    qt.start(server)
    [path] = qt.state.rglob("vsock.sock") if list(qt.state.rglob("vsock.sock")) else [None]
    if path is None:
        pytest.skip("the kernel's vhost-vsock is in use here")

    def dial():
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(str(path))
            s.sendall(b"CONNECT 7000\n")
            replies.append(s.makefile("rb").read())
            return b"hello" in replies[-1]

    replies = []
    wait_for(dial, "the greeting")
    assert replies[-1].startswith(b"OK ") and replies[-1].endswith(b"\nhello\n")
    qt.ok("stop", "--all")


def test_clock_of_the_guest_is_the_parents(qt, made):
    eif = made.eif("clock", busybox_image(Entrypoint=["/bin/busybox", "date", "+now=%s"]))
    before = time.time()
    result = qt.run("start", "--eif", eif, "--mem", 256, "--attach-console", "--wait")
    after = time.time()
    [line] = [line for line in (result.stdout + result.stderr).splitlines() if "now=" in line]
    assert before - 30 < int(line.strip().split("now=")[1]) < after + 30


def test_range_of_exposed_ports_is_reachable(qt, made):
    script = "nc -ll -p 7001 -e /bin/echo hello & exec sleep 1000"
    enclave = qt.start(made.eif("range", shell(script, ExposedPorts={"7000-7002/tcp": {}, "9/udp": {}})))
    with Forward(qt, enclave["EnclaveID"], 7001) as forward:
        assert wait_for(lambda: read_from(forward.port), "the greeting") == b"hello\n"
    message = qt.fails("forward", "--enclave-id", enclave["EnclaveID"], "0:7003")
    assert "exposes 7000, 7001, 7002" in message
    qt.ok("stop", "--all")
