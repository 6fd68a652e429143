# SPDX-License-Identifier: Apache-2.0
"""Enclaves by PALs: what rune asks of a PAL, and what becomes of one that doesn't do it.  The PALs are those of tests/pal."""
import fcntl
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import threading

import pytest

from bundles import bundle, rune  # noqa: F401
from conftest import wait_for
from inject import wait_until_it_stands_by
from test_rune_lifecycle import alive, leftovers


@pytest.fixture
def pals(build_dir):
    folder = build_dir / "tests/pal"
    if not (folder / "libtest-pal-v2.so").is_file():
        pytest.skip(f"no PALs in {folder}")
    return folder


@pytest.fixture
def enclave(rune, bundle, pals):
    """The bundle as an enclave: call it with the PAL's name, its arguments and the process's."""
    rune.globals = ["--pal-path", str(pals)]

    def make(pal, *args, words="", **variables):
        bundle.args("program", *args)
        path = pals / f"libtest-pal-{pal}.so"
        bundle.process["env"] += ["ENCLAVE_TYPE=vm", f"ENCLAVE_RUNTIME_PATH={path}", f"ENCLAVE_RUNTIME_ARGS={words}",
                                  *(f"{name}={value}" for name, value in variables.items())]
        return path

    return make


def said(result):
    """Its messages, without the quotes of a log line."""
    return result.stderr.replace('\\"', '"')


# ---- what is asked of a PAL ---------------------------------------------------------------------------------

@pytest.mark.parametrize("pal, version", [("old", 1), ("v1", 1), ("v2", 2), ("v3", 3)])
def test_pals_of_all_versions_run(rune, bundle, enclave, pal, version):
    enclave(pal, words="one,two three")
    assert rune.output(bundle) == f'"program" by "program": version {version}, arguments "one two three"\n'
    assert leftovers(rune, bundle) == []


def test_a_pal_that_was_built_without_our_header_runs(rune, bundle, enclave, pals):
    enclave("v2", "word", words="a,b")
    bundle.process["env"] = ["FIRST=1"] + [entry.replace("libtest-pal-v2.so", "libforeign-pal.so")
                                           for entry in bundle.process["env"] if entry.startswith("ENCLAVE")]
    result = rune.run(bundle, check=False)
    assert (result.returncode, result.stdout) == (23, "a b|info|program|word|FIRST=1\n"), result.stderr


@pytest.mark.parametrize("pal", ["v1", "v2", "v3"])
def test_arguments_arrive_whole_and_the_exit_status_comes_back(rune, bundle, enclave, pal):
    enclave(pal, "args", "two words", "", "a,b")
    assert rune.output(bundle) == "program\nargs\ntwo words\n\na,b\n"
    bundle.args("program", "exit", "42")
    assert rune.run(bundle, check=False).returncode == 42


def test_a_process_that_a_signal_ended_counts_as_128_and_the_signal(rune, bundle, enclave):
    enclave("v2", "signal", "9")
    assert rune.run(bundle, check=False).returncode == 137


def test_a_program_of_the_container_is_found_by_its_path(rune, bundle, enclave):
    enclave("v2")
    bundle.process["args"] = ["sh"]
    assert rune.output(bundle).startswith('"/bin/sh" by "sh": ')


def test_variables_beat_annotations_and_are_not_the_workloads(rune, bundle, enclave):
    enclave("v2", "env")
    bundle.config["annotations"] = {"enclave.type": "nonsense", "enclave.runtime.args": "fail"}
    bundle.process["env"] += ["ENCLAVE_RA_TYPE=", "ENCLAVE=stays", "X=1"]
    seen = rune.output(bundle).splitlines()
    assert "X=1" in seen and "ENCLAVE=stays" in seen
    assert not [line for line in seen if line.startswith("ENCLAVE_")]


def test_annotations_alone_make_an_enclave(rune, bundle, pals):
    rune.globals = ["--pal-path", str(pals)]
    bundle.args("program")
    bundle.config["annotations"] = {"enclave.type": "vm", "enclave.runtime.path": str(pals / "libtest-pal-v2.so"),
                                    "enclave.runtime.args": "x,y"}
    assert rune.output(bundle) == '"program" by "program": version 2, arguments "x y"\n'


def test_an_empty_type_is_a_plain_container_without_the_variables(rune, bundle):
    bundle.shell("env")
    bundle.process["env"] += ["ENCLAVE_TYPE=", "ENCLAVE_RUNTIME_PATH=/nowhere"]
    assert "ENCLAVE_" not in rune.output(bundle)


def test_standard_streams_are_the_enclaves(rune, bundle, enclave):
    enclave("v2", "cat")
    data = os.urandom(1 << 20)
    assert rune.run(bundle, input=data, text=False).stdout == data


def test_what_the_pal_says_of_the_enclave_is_in_the_state(rune, bundle, enclave):
    enclave("v2", "wait")
    rune.create(bundle)
    assert rune.state()["annotations"]["test.pal.prepared"] == "yes"
    rune("delete", "--force", "c")


def test_create_waits_for_pal_init_and_start_for_the_process(rune, bundle, enclave):
    enclave("v2", "wait", words="init=say:init_failed")
    result = rune.run(bundle, check=False)
    assert result.returncode == 1 and "pal_init: init failed" in said(result)
    bundle.process["env"][-1] = "ENCLAVE_RUNTIME_ARGS=create_process=say:no_process"
    rune.create(bundle)
    failed = rune("start", "c", check=False)
    assert failed.returncode == 1 and "pal_create_process: no process" in said(failed)
    rune("delete", "--force", "c")


# ---- signals, further processes, reports ---------------------------------------------------------------------

class Reader:
    """Lines of a pipe, waited for one by one."""

    def __init__(self, stream):
        self.stream = stream

    def expect(self, line):
        thread_result = []
        thread = threading.Thread(target=lambda: thread_result.append(self.stream.readline()), daemon=True)
        thread.start()
        thread.join(30)
        assert thread_result and thread_result[0] == line + "\n", thread_result


def test_signals_reach_the_process_by_its_own_number(rune, bundle, enclave):
    enclave("v2", "wait")
    process = rune.start_process("run", "--bundle", bundle.write(), "c", stdout=subprocess.PIPE, text=True)
    seen = Reader(process.stdout)
    seen.expect("ready")
    rune("kill", "c", "USR1")
    seen.expect("SIGUSR1")
    rune("kill", "c", "INT")
    seen.expect("SIGINT")
    rune("kill", "c", "TERM")
    seen.expect("SIGTERM")
    assert process.wait(30) == 7


def test_a_signal_that_comes_while_the_pal_makes_the_process_is_passed_on(rune, bundle, enclave):
    enclave("v2", "wait", words="slow")
    process = rune.start_process("run", "--bundle", bundle.write(), "c", stdout=subprocess.PIPE, text=True)
    seen = Reader(process.stdout)
    seen.expect("ready")
    os.kill(rune.state()["pid"], signal.SIGUSR1)
    seen.expect("SIGUSR1")
    os.kill(rune.state()["pid"], signal.SIGTERM)
    assert process.wait(30) == 7


def test_a_signal_ends_an_enclave_of_version_1(rune, bundle, enclave):
    enclave("v1", "wait")
    process = rune.start_process("run", "--bundle", bundle.write(), "c", stdout=subprocess.PIPE, text=True)
    Reader(process.stdout).expect("ready")
    rune("kill", "c", "TERM")
    assert process.wait(30) == 143


@pytest.fixture
def running(rune, bundle, enclave):
    def start(pal="v2", **rest):
        enclave(pal, "wait", **rest)
        rune.start(bundle)
        return rune
    yield start
    rune("delete", "--force", "c", check=False)


def test_exec_runs_in_the_enclave_with_arguments_intact(running):
    rune = running()
    result = rune("exec", "c", "/other", "args", "with blank", "", "x")
    assert result.stdout == "/other\nargs\nwith blank\n\nx\n"
    assert rune("exec", "c", "sh").stdout.startswith('"/bin/sh" by "sh": ')
    assert rune("exec", "c", "x", "exit", "5", check=False).returncode == 5
    assert rune("exec", "c", "x", "signal", "15", check=False).returncode == 143
    assert rune("exec", "c", "x", "cat", input="abc").stdout == "abc"
    assert "ENCLAVE_" not in rune("exec", "--env", "A=1", "c", "x", "env").stdout
    assert "A=1\n" in rune("exec", "--env", "A=1", "c", "x", "env").stdout


def test_many_execs_at_once(running):
    rune = running()
    processes = [rune.start_process("exec", "c", "x", "cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                 for _ in range(20)]
    for number, process in enumerate(processes):
        assert process.communicate(str(number).encode())[0] == str(number).encode()
        assert process.returncode == 0


def test_signals_and_the_end_of_an_exec(running, tmp_path):
    rune = running()
    process = rune.start_process("exec", "--pid-file", tmp_path / "pid", "c", "x", "wait", stdout=subprocess.PIPE,
                                 text=True)
    seen = Reader(process.stdout)
    seen.expect("ready")
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGUSR2)
    seen.expect("SIGUSR2")
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGTERM)
    seen.expect("SIGTERM")
    assert process.wait(30) == 7


def test_an_exec_whose_caller_is_killed_ends_in_the_enclave(running, tmp_path):
    rune = running()
    process = rune.start_process("exec", "--pid-file", tmp_path / "pid", "c", "x", "wait", stdout=subprocess.PIPE,
                                 text=True)
    Reader(process.stdout).expect("ready")
    wait_until_it_stands_by(process)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert process.wait(30) == 137
    assert process.stdout.read() == ""  # its end: nobody has it open any more


def test_an_exec_ends_with_the_enclave(running):
    rune = running()
    process = rune.start_process("exec", "c", "x", "wait", stdout=subprocess.PIPE, text=True)
    Reader(process.stdout).expect("ready")
    wait_until_it_stands_by(process)
    rune("kill", "c", "KILL")
    assert process.wait(30) == 137


def test_nothing_is_asked_of_a_pal_that_is_destroyed(running, bundle):
    rune = running("v3", words="linger")
    further = rune.start_process("exec", "c", "x", "cat", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    wait_until_it_stands_by(further)
    rune("kill", "c", "TERM")
    wait_for(lambda: "destroying" in (bundle.path / "c.out").read_text(), "pal_destroy")
    rune("kill", "c", "USR1")
    failed = rune("exec", "c", "x", "args", check=False)
    assert failed.returncode == 255 and "its enclave is ending" in said(failed)
    assert "its enclave is ending" in said(rune("attest", "c", check=False))
    (bundle.rootfs / "go").touch()
    rune.wait_status("stopped")
    assert further.wait(30) == 137
    assert (bundle.path / "c.out").read_text().split("destroying\n")[1] == ""


def test_exec_needs_a_pal_of_version_2(running):
    rune = running("v1")
    result = rune("exec", "c", "x", check=False)
    assert result.returncode == 255 and "its version is 1, which has no further processes" in said(result)


def test_report_of_an_enclave(running, tmp_path):
    rune = running("v3")
    assert rune("attest", "c").stdout == b"R".hex() * 432 + "\n"
    (tmp_path / "target").write_bytes(b"m" * 64 + bytes(448))
    rune("attest", "--targetInfo", tmp_path / "target", "--reportFile", tmp_path / "report", "c")
    assert (tmp_path / "report").read_bytes() == b"T" * 320 + b"m" * 64 + b"T" * 48
    (tmp_path / "target").write_bytes(bytes(511))
    assert "512 bytes, not 511" in said(rune("attest", "--targetInfo", tmp_path / "target", "c", check=False))
    assert "EPID" in said(rune("attest", "--isRA", "--quote-type", "epidLinkable", "c", check=False))


def test_report_needs_version_3_and_an_enclave(running, bundle):
    rune = running()
    assert "reports came with 3" in said(rune("attest", "c", check=False))
    bundle.process["env"] = []
    bundle.process["args"] = ["sleep", "1000"]
    bundle.linux["cgroupsPath"] += "-plain"
    rune.start(bundle, "plain")
    assert '"plain" is no enclave' in said(rune("attest", "plain", check=False))
    rune("delete", "--force", "plain")


def test_the_agent_is_reached_below_a_long_path(rune, bundle, enclave, tmp_path):
    enclave("v2", "wait")
    rune.root = tmp_path / ("a" * 100) / ("b" * 100)
    rune.root.mkdir(parents=True)
    rune.start(bundle)
    assert rune("exec", "c", "x", "exit", "3", check=False).returncode == 3
    rune("delete", "--force", "c")


def test_terminal_and_its_changes_of_size(rune, bundle, enclave):
    enclave("v2", "tty")
    bundle.process["terminal"] = True
    bundle.process["consoleSize"] = {"height": 11, "width": 22}
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 44, 0, 0))
    process = rune.start_process("run", "--bundle", bundle.write(), "c", stdin=theirs, stdout=theirs, stderr=theirs,
                                 start_new_session=True)
    os.close(theirs)
    seen = b""

    def see(text):
        nonlocal seen
        while text not in seen:
            assert select.select([ours], [], [], 30)[0], seen
            seen += os.read(ours, 4096)
    see(b"tty 44x33")
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 5, 6, 0, 0))
    process.send_signal(signal.SIGWINCH)
    see(b"tty 6x5")
    rune("kill", "c", "KILL")
    process.wait(30)
    os.close(ours)


# ---- PALs that don't do it -----------------------------------------------------------------------------------

HOSTILE = [
    ("fail:2", "No such file or directory \\(-2\\)"),
    ("odd:5", "it returned 5, which is neither 0 nor an error"),
    ("odd:-99999", "it returned -99999, which is neither 0 nor an error"),
    ("say:the_reason", "the reason[\"\n]"),
    ("crash", "it ended the process by signal 11 \\(Segmentation fault\\)"),
    ("exit:3", "it ended the process with status 3"),
    ("exit:0", "it ended the process with status 0"),
]


@pytest.mark.parametrize("deed, text", HOSTILE)
@pytest.mark.parametrize("call", ["prepare", "init", "create_process"])
@pytest.mark.parametrize("how", ["run", "create"])
def test_a_pal_that_fails_is_named_with_the_call_and_the_cause(rune, bundle, enclave, how, call, deed, text):
    path = enclave("v2", "wait", words=f"{call}={deed}")
    if how == "run":
        result = rune.run(bundle, check=False)
    else:
        result = rune.create(bundle, check=False)
        if call == "create_process":
            assert result.returncode == 0, said(result)
            result = rune("start", "c", check=False)
    assert result.returncode == 1
    assert re.search(rf"PAL {path}: pal_{call}: {text}", said(result), re.M), said(result)
    rune("delete", "--force", "c")
    assert leftovers(rune, bundle) == []


@pytest.mark.parametrize("call", ["prepare", "init", "create_process"])
def test_a_pal_that_hangs_is_ended(rune, bundle, enclave, call):
    enclave("v2", "wait", words=f"{call}=hang", ENCLAVE_RUNTIME_TIMEOUT=1)
    result = rune.run(bundle, check=False)
    assert result.returncode == 1 and f"pal_{call}: no answer within 1 s; ENCLAVE_RUNTIME_TIMEOUT" in said(result)
    assert leftovers(rune, bundle) == []


def test_a_start_that_hangs_is_ended(rune, bundle, enclave):
    enclave("v2", "wait", words="create_process=hang", ENCLAVE_RUNTIME_TIMEOUT=1)
    rune.create(bundle)
    pid = rune.state()["pid"]
    result = rune("start", "c", check=False)
    assert result.returncode == 1 and "pal_create_process: no answer within 1 s" in said(result)
    wait_for(lambda: not alive(pid), "the process's end")
    rune("delete", "c")


@pytest.mark.parametrize("deed, text", [("crash", "signal 11"), ("exit:4", "status 4")])
def test_a_pal_whose_loading_ends_the_process(rune, bundle, enclave, deed, text):
    path = enclave("v2")
    broken = bundle.path / "pals"
    broken.mkdir()
    source = bundle.path / "broken.c"
    code = "*(volatile int *)p = 0" if deed == "crash" else "_exit(4)"
    source.write_text("#include <stdint.h>\n#include <unistd.h>\n"
                      f"__attribute__((constructor)) static void f(void) {{ volatile uintptr_t p = 8; (void)p; {code}; }}\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", broken / "libbroken.so", source], check=True)
    bundle.process["env"] = [entry.replace(str(path), str(broken / "libbroken.so")) for entry in bundle.process["env"]]
    rune.globals = ["--pal-path", str(broken)]
    result = rune.run(bundle, check=False)
    assert result.returncode == 1 and f"PAL {broken}/libbroken.so: its loading: it ended the process" in said(result)
    assert text in said(result)


@pytest.mark.parametrize("pal, text", [
    ("future", "unsupported pal api version 4; rune knows 1 to 3"),
    ("no-kill", "its version is 2, and it lacks pal_kill"),
])
def test_a_pal_that_lacks_something_says_what(rune, bundle, enclave, pal, text):
    enclave(pal)
    assert text in said(rune.run(bundle, check=False))


def test_what_cannot_be_loaded_is_told_in_the_linkers_words(rune, bundle, enclave, tmp_path):
    path = enclave("v2")
    folder = tmp_path / "pals"
    folder.mkdir()
    (folder / "libx.so").write_text("no library")
    rune.globals = ["--pal-path", f"/nowhere:{folder}"]
    bundle.process["env"] = [entry.replace(str(path), str(folder / "libx.so")) for entry in bundle.process["env"]]
    result = rune.run(bundle, check=False)
    assert f"PAL {folder}/libx.so: can't be loaded: {folder}/libx.so: file too short" in said(result) \
        or "invalid ELF header" in said(result)


def test_exit_values_out_of_range_are_a_failure(rune, bundle, enclave):
    enclave("v2", words="exec=value:300")
    result = rune.run(bundle, check=False)
    assert result.returncode == 1 and "pal_exec: it gave 300 for an exit status" in said(result)
    bundle.process["env"][-1] = "ENCLAVE_RUNTIME_ARGS=exec=say:broken_off"
    result = rune.run(bundle, check=False)
    assert result.returncode == 1 and "pal_exec: broken off" in said(result)


@pytest.mark.parametrize("call", ["exec", "destroy"])
@pytest.mark.parametrize("deed, status, text", [("crash", 128 + signal.SIGSEGV, "by signal 11"), ("exit:3", 3, "with status 3"),
                                                ("exit:0", 0, "with status 0")])
def test_a_pal_that_ends_a_running_enclave_is_named_in_its_output(rune, bundle, enclave, call, deed, status, text):
    path = enclave("v2", "exit", "6", words=f"{call}={deed}")
    result = rune.run(bundle, check=False)
    assert (result.returncode, result.stderr) == (status, f"rune: PAL {path}: it ended the process {text}\n")
    assert leftovers(rune, bundle) == []


def test_a_report_that_crashes_the_pal_ends_the_enclave(rune, bundle, enclave):
    path = enclave("v3", "wait", words="get_local_report=crash")
    rune.start(bundle)
    result = rune("attest", "c", check=False)
    assert result.returncode == 1 and "the other side of the enclave's agent is gone" in said(result)
    rune.wait_status("stopped")
    assert (bundle.path / "c.err").read_text() == f"rune: PAL {path}: it ended the process by signal 11\n"
    rune("delete", "c")


# ---- what is refused -----------------------------------------------------------------------------------------

def test_pals_come_from_trusted_folders_alone(rune, bundle, enclave, pals, tmp_path):
    path = enclave("v2")
    rune.globals = []
    assert "not in a folder that PALs are loaded from; install it below /usr/lib or /opt, or name its folder" in \
        said(rune.run(bundle, check=False))
    # A link leads out, a file that others write.
    folder = tmp_path / "pals"
    folder.mkdir()
    (folder / "link.so").symlink_to(path)
    shutil.copy(path, folder / "open.so")
    (folder / "open.so").chmod(0o666)
    rune.globals = ["--pal-path", str(folder)]
    for name, text in (("link.so", "not in a folder"), ("open.so", "others can write this file"),
                       ("missing.so", "No such file")):
        bundle.process["env"] = [entry if not entry.startswith("ENCLAVE_RUNTIME_PATH") else
                                 f"ENCLAVE_RUNTIME_PATH={folder / name}" for entry in bundle.process["env"]]
        assert text in said(rune.run(bundle, check=False))


def test_below_the_systems_folders_a_pal_is_roots(rune, bundle, enclave):
    """Those have folders of users that programs run as, too."""
    path = enclave("v2")
    rune.globals = []
    with tempfile.TemporaryDirectory(dir="/opt") as top:
        folder = pathlib.Path(top) / "program"
        folder.mkdir()
        pal = folder / "pal.so"
        shutil.copy(path, pal)
        bundle.process["env"] = [entry if not entry.startswith("ENCLAVE_RUNTIME_PATH") else
                                 f"ENCLAVE_RUNTIME_PATH={pal}" for entry in bundle.process["env"]]
        os.chown(pal, 1234, 1234)
        assert f"{pal} belongs to user 1234" in said(rune.run(bundle, check=False))
        os.chown(pal, 0, 0)
        os.chown(folder, 1234, 1234)
        assert f"{folder} belongs to user 1234" in said(rune.run(bundle, check=False))
        os.chown(folder, 0, 0)
        folder.chmod(0o1777)
        assert f"others can write {folder}" in said(rune.run(bundle, check=False))
        folder.chmod(0o755)
        result = rune.run(bundle, check=False)
        assert str(folder) not in result.stdout + result.stderr


@pytest.mark.parametrize("entry, text", [
    ("ENCLAVE_TYPE=Other", "Enclave hardware type (Other) is not supported"),
    ("ENCLAVE_RUNTIME_PATH=relative.so", 'is no path from "/"'),
    ("ENCLAVE_RUNTIME_TIMEOUT=x", "is no number of seconds"),
    ("ENCLAVE_SIMULATE=maybe", "is neither true nor false"),
    ("ENCLAVE_RA_TYPE=epidLinkable", "a service of Intel's that has ended"),
    ("ENCLAVE_RA_TYPE=other", "is no kind of attestation"),
])
def test_settings_that_cannot_be_are_refused_by_name(rune, bundle, enclave, entry, text):
    enclave("v2")
    bundle.process["env"].append(entry)
    result = rune.run(bundle, check=False)
    assert result.returncode == 1 and text in said(result)
    assert leftovers(rune, bundle) == []


@pytest.mark.parametrize("kind, hint", [("intelSgx", 'add "simulate" to ENCLAVE_RUNTIME_ARGS'),
                                        ("AwsNitroEnclaves", "ne-emulator")])
def test_missing_hardware_is_an_error_with_a_way_out(rune, bundle, enclave, kind, hint):
    devices = {"intelSgx": ["/dev/sgx_enclave", "/dev/sgx/enclave", "/dev/isgx"], "AwsNitroEnclaves":
               ["/dev/nitro_enclaves"]}[kind]
    if any(os.path.exists(device) for device in devices):
        pytest.skip("this machine has the hardware")
    enclave("v2")
    bundle.process["env"].append(f"ENCLAVE_TYPE={kind}")
    result = rune.run(bundle, check=False)
    assert result.returncode == 1 and f"looked for {', '.join(devices)}" in said(result)
    assert hint in said(result)


def test_simulation_needs_no_hardware_and_is_told_to_the_pal(rune, bundle, enclave):
    enclave("v2", words="a", ENCLAVE_SIMULATE="true")
    bundle.process["env"].append("ENCLAVE_TYPE=intelSgx")
    assert rune.output(bundle) == '"program" by "program": version 2, arguments "a simulate"\n'


def test_a_path_is_needed(rune, bundle):
    bundle.process["env"] = ["ENCLAVE_TYPE=intelSgx", "ENCLAVE_SIMULATE=true"]
    assert "enclave runtime path is not configured; name the PAL" in said(rune.run(bundle, check=False))


# ---- faults --------------------------------------------------------------------------------------------------

def test_kill_9_of_the_enclaves_process_leaves_nothing(running, bundle):
    rune = running()
    os.kill(rune.state()["pid"], signal.SIGKILL)
    rune.wait_status("stopped")
    rune("delete", "c")
    assert leftovers(rune, bundle) == []


def test_an_enclave_in_a_user_namespace(rune, bundle, enclave):
    enclave("v2", "args")
    bundle.namespace("user")
    bundle.linux.update(uidMappings=[{"containerID": 0, "hostID": 100000, "size": 65536}],
                        gidMappings=[{"containerID": 0, "hostID": 100000, "size": 65536}])
    for folder in [bundle.path, *bundle.path.parents]:
        if str(folder).startswith("/tmp/") or str(folder).startswith("/var/tmp/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    assert rune.output(bundle) == "program\nargs\n"


def test_further_descriptors_of_the_host_are_not_the_enclaves(running):
    rune = running()
    pid = rune.state()["pid"]
    links = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    assert not [link for link in links if link.startswith("/proc") or "cgroup" in link or str(rune.root) in link
                or "rootfs" in link], links
