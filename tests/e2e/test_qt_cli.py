# SPDX-License-Identifier: Apache-2.0
"""qt as scripts meet it: what goes to stdout, what to stderr, and the exit status.  No enclave is started."""
import json
import os
import pty
import subprocess

import pytest

import images
from conftest import need_program
from enclaves import Qt, busybox_image


@pytest.fixture(scope="module")
def qt(build_dir, tmp_path_factory):
    return Qt(build_dir, tmp_path_factory.mktemp("state") / "state")


@pytest.fixture(scope="module")
def eif(qt, tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    layout = images.write_oci_layout(folder / "layout", busybox_image(Entrypoint=["/bin/sh"], ExposedPorts={"80/tcp": {}}))
    qt.ok("make-img", "--docker-uri", f"oci:{layout}:latest", "--eif", folder / "a.eif", "--name", "caf\u00e9")
    return folder / "a.eif"


def run(qt, *arguments, **rest):
    return subprocess.run([qt.program, *map(str, arguments)], env=qt.env, text=True, capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=60, **rest)


def test_bare_qt_and_help_print_to_stdout_with_status_0(qt):
    for arguments in ([], ["-h"], ["--help"], ["help"], ["enclave", "-h"], ["enclave", "start", "--help"],
                      ["enclave", "query", "--nonsense", "-h"], ["--version"], ["-v"]):
        result = run(qt, *arguments)
        assert (result.returncode, result.stderr) == (0, ""), arguments
        assert result.stdout.endswith("\n")
    assert run(qt).stdout.startswith("  ____  _ ")


def test_usage_errors_print_to_stderr_with_status_2(qt):
    for arguments in (["enclave"], ["enclav"], ["enclave", "strat"], ["enclave", "start"], ["enclave", "query", "--x"],
                      ["enclave", "query", "-o", "xml"], ["enclave", "query", "--query", "a["],
                      ["enclave", "query", "--query", ""], ["enclave", "query", "--query", "nope(@)"],
                      ["enclave", "stop"], ["enclave", "stop", "--all", "--enclave-id", "1"],
                      ["enclave", "forward", "--enclave-id", "0", "80"],
                      ["enclave", "query", "--only-show-errors", "--verbose"], ["--nonsense"]):
        result = run(qt, *arguments)
        assert (result.returncode, result.stdout) == (2, ""), arguments
        assert result.stderr, arguments


@pytest.mark.parametrize("arguments, way_out", [
    (["stop", "--enclave-id", "7"], "`qt enclave query` shows those that are"),
    (["console", "--enclave-id", "7"], "`qt enclave query` shows those that are"),
    (["forward", "--enclave-id", "7", "80:80"], "`qt enclave query` shows those that are"),
    (["start", "--eif", "/etc/passwd"], "`qt enclave make-img` makes enclave images"),
    (["make-img", "--docker-uri", "oci:/none", "--eif", "/none/a.eif"], "the folder of a new file must be there"),
    (["make-img", "--docker-uri", "oci:/none", "--eif", "/tmp"], "name a file in it"),
    (["make-img", "--docker-uri", "oci:/none", "--eif", "a.eif", "--kernel", "/"], "as fetch-kernel makes it"),
    (["make-img", "--docker-uri", "oci:/none", "--eif", "a.eif", "--kernel", "/etc/passwd"], "needs a bzImage"),
    (["make-img", "--docker-uri", "oci:/none", "--eif", "a.eif", "--nitro-compat"], "NITRO_CLI_BLOBS"),
], ids=lambda x: " ".join(x) if isinstance(x, list) else "")
def test_errors_say_the_way_out(qt, tmp_path, arguments, way_out):
    error = run(qt, "enclave", *arguments, cwd=tmp_path)
    assert (error.returncode, error.stdout) == (1, "")
    assert way_out in error.stderr
    assert list(tmp_path.iterdir()) == []


def test_bad_query_is_refused_with_its_position_before_any_work(qt, tmp_path):
    result = run(qt, "enclave", "make-img", "--docker-uri", "oci:/nonexistent", "--eif", tmp_path / "x", "--query",
                 "PCR0 ==")
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1] == ("qt enclave make-img: error: argument --query: 'PCR0 ==': syntax error at "
                                              "character 8: expected an expression, found the end")


def test_nothing_running_is_an_empty_array(qt):
    for arguments, wanted in [([], "[]\n"), (["--enclave-id", "7"], "[]\n"), (["-o", "yaml"], "[]\n"), (["-o", "tsv"], ""),
                              (["-o", "none"], ""), (["--query", "[0]"], ""), (["--query", "length(@)"], "0\n")]:
        result = run(qt, "enclave", "query", *arguments)
        assert (result.returncode, result.stdout, result.stderr) == (0, wanted, ""), arguments


def test_command_errors_are_one_line_with_status_1(qt, tmp_path):
    for arguments in (["start", "--eif", tmp_path / "none.eif"], ["query-eif", "--eif", tmp_path / "none.eif"],
                      ["stop", "--enclave-id", "3"], ["console", "--enclave-id", "3"],
                      ["forward", "--enclave-id", "3", "1:1"], ["query-eif", "--eif", tmp_path],
                      ["make-img", "--docker-uri", "oci:/nonexistent", "--eif", tmp_path / "x.eif"]):
        result = run(qt, "enclave", *arguments)
        assert (result.returncode, result.stdout) == (1, ""), arguments
        assert result.stderr.startswith("ERROR: ") and result.stderr.count("\n") == 1, result.stderr


def test_query_that_does_not_fit_the_data_is_an_error_after_the_work(qt, eif):
    result = run(qt, "enclave", "query-eif", "--eif", eif, "--query", "sum(ImageName)")
    assert (result.returncode, result.stdout) == (1, "")
    assert "invalid-type error at character 5" in result.stderr


def test_every_format_prints_the_same_result(qt, eif):
    described = qt.ok("query-eif", "--eif", eif)
    assert described["ImageName"] == "caf\u00e9"
    yaml = pytest.importorskip("yaml")
    for form, load in [("json", json.loads), ("jsonc", json.loads), ("yaml", yaml.safe_load), ("yamlc", yaml.safe_load)]:
        result = run(qt, "enclave", "query-eif", "--eif", eif, "--output", form)
        assert "\033" not in result.stdout
        assert load(result.stdout) == described, form
        assert "caf\u00e9" in result.stdout
    table = run(qt, "enclave", "query-eif", "--eif", eif, "-o", "table", "--query", "{Name: ImageName, Signed: IsSigned}")
    assert table.stdout == "Name    Signed\n------  --------\ncaf\u00e9    False\n"
    tsv = run(qt, "enclave", "query-eif", "--eif", eif, "-otsv", "--query", "[ImageName, IsSigned, Sections]")
    assert tsv.stdout == "caf\u00e9\nfalse\n" + tsv.stdout.split("\n", 2)[2]
    assert run(qt, "enclave", "query-eif", "--eif", eif, "-o", "none").stdout == ""


def test_query_sorts_keys_and_without_it_they_keep_their_order(qt, eif):
    plain = qt.ok("query-eif", "--eif", eif)
    sorted_ = qt.ok("query-eif", "--eif", eif, "--query", "@")
    assert list(plain)[:2] == ["EifVersion", "Measurements"]
    assert list(sorted_) == sorted(plain)


def read_terminal(command, env):
    """What a command shows on a terminal."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execvpe(command[0], command, env)
    shown = b""
    while True:
        try:
            piece = os.read(fd, 4096)
        except OSError:
            piece = b""
        if not piece:
            break
        shown += piece
    os.close(fd)
    return shown.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_colour_is_for_terminals(qt, eif):
    command = [qt.program, "enclave", "query-eif", "--eif", str(eif), "--query", "ImageName", "-o"]
    assert "\033[33m" in read_terminal(command + ["jsonc"], qt.env)[0]
    assert "\033" not in read_terminal(command + ["json"], qt.env)[0]
    assert "\033" not in read_terminal(command + ["jsonc"], {**qt.env, "NO_COLOR": "1"})[0]


def test_only_show_errors_hides_progress_on_a_terminal(qt, tmp_path):
    layout = images.write_oci_layout(tmp_path / "layout", busybox_image(Entrypoint=["/bin/sh"]))
    command = [qt.program, "enclave", "make-img", "--docker-uri", f"oci:{layout}:latest", "--eif", str(tmp_path / "a.eif"),
               "-o", "none"]
    assert "layer 1/1" in read_terminal(command, qt.env)[0]
    assert read_terminal(command + ["--only-show-errors"], qt.env) == ("", 0)


def test_reader_that_stops_reading_is_no_error(qt, eif):
    shell = need_program("sh")
    result = subprocess.run([shell, "-c", f"{{ {qt.program} enclave query-eif --eif {eif}; echo $? >&2; }} | true"],
                            env=qt.env, text=True, capture_output=True, timeout=60)
    assert result.stderr == "0\n"


def test_full_disk_on_stdout_is_an_error(qt, eif):
    with open("/dev/full", "w") as full:
        result = subprocess.run([qt.program, "enclave", "query-eif", "--eif", str(eif)], env=qt.env, stdout=full,
                                stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1 and "No space left" in result.stderr


HOSTILE = b"\x1b]0;owned\x07\x1b[2J caf\xc3\xa9 \xc2\x9b31m \x9b31m\r\n"


def test_what_an_enclave_wrote_does_not_command_the_terminal(qt):
    """The console that one in debug mode left behind, as its supervisor writes both files."""
    assert qt.list() == []
    ended = {"id": 5, "name": "x", "pid": 0, "cid": 4, "cpus": 1, "mem_mib": 64, "debug_mode": True, "state": "exited",
             "exit_status": 0, "signal": 0, "isolation": "kvm", "started_at": "2026-01-01T00:00:00Z", "has_pcr8": False,
             "ports": [], "reason": "", "vsock_path": "", **{f"pcr{n}": "0" * 96 for n in (0, 1, 2, 8)}}
    (qt.state / "ended/5.json").write_text(json.dumps(ended))
    (qt.state / "ended/5.console").write_bytes(HOSTILE * 2000)
    command = [qt.program, "enclave", "console", "--enclave-id", "5"]
    shown, status = read_terminal(command, qt.env)
    assert status == 0
    assert set(shown.splitlines()) - {""} == {"\\x1b]0;owned\\x07\\x1b[2J caf\u00e9 \\xc2\\x9b31m \\x9b31m"}
    piped = subprocess.run(command, env=qt.env, capture_output=True, check=True)
    assert piped.stdout == HOSTILE * 2000
    qt.ok("stop", "--enclave-id", "5")


def test_errors_do_not_command_the_terminal(qt):
    result = run(qt, "enclave", "query-eif", "--eif", "/nonexistent/\x1b[2J\u009b1m\nERROR: forged")
    assert result.returncode == 1
    assert result.stderr == ("ERROR: /nonexistent/\\x1b[2J\\xc2\\x9b1m\\x0aERROR: forged: No such file or directory\n")


def test_empty_file_name_is_a_usage_error(qt):
    result = run(qt, "enclave", "start", "--eif", "")
    assert (result.returncode, result.stdout) == (2, "")
    assert "argument --eif: it is empty" in result.stderr


@pytest.mark.parametrize("closed", [[1], [2], [0, 2], [0, 1, 2]])
def test_closed_streams_do_not_become_files(qt, eif, tmp_path, closed):
    """A file that is opened where a stream was would get the messages, or the result, written into it."""
    target = tmp_path / "made.eif"
    closing = " ".join(f"{fd}>&-" for fd in closed)
    command = f'exec "$0" enclave make-img --debug --docker-uri "$1" --eif "$2" --name caf\u00e9 {closing}'
    result = subprocess.run(["sh", "-c", command, qt.program, f"oci:{eif.parent / 'layout'}:latest", str(target)],
                            env=qt.env, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert result.returncode == (1 if 1 in closed else 0), result.stderr
    assert target.read_bytes() == eif.read_bytes()


def test_file_size_limit_is_an_error_that_names_the_file_and_leaves_nothing(qt, eif, tmp_path):
    target = tmp_path / "made.eif"
    command = 'ulimit -f 100; exec "$0" enclave make-img --docker-uri "$1" --eif "$2"'
    result = subprocess.run(["sh", "-c", command, qt.program, f"oci:{eif.parent / 'layout'}:latest", str(target)],
                            env={**qt.env, "TMPDIR": "/dev/shm"}, text=True, capture_output=True, timeout=60)
    assert (result.returncode, result.stdout) == (1, "")
    assert "File too large" in result.stderr
    assert os.listdir(tmp_path) == []
