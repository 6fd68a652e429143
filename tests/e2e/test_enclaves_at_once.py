# SPDX-License-Identifier: Apache-2.0
"""Ten enclaves of a kind at the same time, each with its own output and end, and twenty of qt's.  (Nitro's are in
test_pal_nitro.py.)"""
import copy
import json
import shutil
import subprocess

from bundles import Bundle, bundle, rune  # noqa: F401
from conftest import wait_for
from enclaves import ImageFolder, Qt, kill_all, shell
from test_pal_vm import MIB, enclaves, own_list, vm  # noqa: F401

N = 10
MANY = 20


def bundles_like(bundle, folder):
    """Ten bundles of one root, and a group each."""
    made = []
    for i in range(N):
        other = copy.copy(bundle)
        other.path = folder / f"bundle-{i}"
        other.path.mkdir()
        other.config = copy.deepcopy(bundle.config)
        other.config["root"]["path"] = str(bundle.rootfs)
        other.linux["cgroupsPath"] += f"-{i}"
        made.append(other)
    return made


def test_ten_machines_at_once_are_apart_and_leave_nothing(rune, bundle, vm, build_dir, own_list, tmp_path):  # noqa: F811
    bundle.linux["resources"] = {"memory": {"limit": 128 * MIB}, "cpu": {"quota": 100000, "period": 100000}}
    started = []
    for i, each in enumerate(bundles_like(bundle, tmp_path)):
        each.shell(f"echo ready {i}; read line; echo $line {i}; exit {20 + i}")
        started.append(rune.start_process("run", "--bundle", each.write(), f"c{i}", text=True, stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    assert [process.stdout.readline() for process in started] == [f"ready {i}\n" for i in range(N)], \
        [process.communicate()[1] for process in started]
    there = [each for each in enclaves(own_list, build_dir) if isinstance(each, dict)]
    assert [len({each[what] for each in there}) for what in ("EnclaveID", "EnclaveCID", "ProcessID")] == [N] * 3
    ends = [process.communicate(f"for {i}\n", timeout=60)[0] for i, process in enumerate(started)]
    assert ends == [f"for {i} {i}\n" for i in range(N)]
    assert [process.returncode for process in started] == [20 + i for i in range(N)]
    wait_for(lambda: not enclaves(own_list, build_dir), "the end of all machines")
    assert not any(rune.root.glob("c*"))


def test_ten_simulated_enclaves_at_once_are_apart(rune, bundle, build_dir, tmp_path):  # noqa: F811
    pals = tmp_path / "pal"
    pals.mkdir(mode=0o755)
    shutil.copy(build_dir / "pal/skeleton/liberpal-skeleton-v3.so", pals)
    for name in ("encl.bin", "encl.ss"):
        shutil.copy(build_dir / "pal/skeleton" / name, bundle.rootfs)
    rune.globals = ["--pal-path", str(pals)]
    bundle.config["annotations"] = {"enclave.type": "intelSgx", "enclave.runtime.path": str(pals / "liberpal-skeleton-v3.so"),
                                    "enclave.runtime.args": "simulate"}
    bundle.args("skeleton", "wait_timeout", "600")
    made = bundles_like(bundle, tmp_path)
    started = [rune.start_process("run", "--bundle", each.write(), f"c{i}", stderr=subprocess.PIPE) for i, each in enumerate(made)]
    for i in range(N):
        rune.wait_status("running", f"c{i}")
    reports = [rune("attest", f"c{i}").stdout for i in range(N)]
    assert len({report[:128] for report in reports}) == 1 and all(len(report) == 2 * 432 + 1 for report in reports)
    for i in range(N):
        assert b"initialization succeeded" in rune("exec", f"c{i}", "skeleton", text=False).stderr
        rune("kill", f"c{i}", "TERM")
    assert [process.wait(60) for process in started] == [128 + 15] * N
    assert not any(rune.root.glob("c*"))


def test_twenty_enclaves_of_qt_at_once_have_ids_and_cids_of_their_own_and_all_run(build_dir, tmp_path):
    qt = Qt(build_dir, tmp_path / "state")
    script = "echo number $RANDOM; exec nc -ll -p 7000 -e /bin/echo hello"
    eif = ImageFolder(qt, tmp_path).eif("server", shell(script, ExposedPorts={"7000/tcp": {}}))
    message = qt.fails("start", "--eif", eif, "--mem", "16")
    need = message.split("at least ")[1].split()[0]
    try:
        starts = [qt.start_process("start", "--eif", eif, "--mem", need, "--cpus", 1) for _ in range(MANY)]
        outputs = [process.communicate(timeout=600) for process in starts]
        assert [process.returncode for process in starts] == [0] * MANY, [err for _, err in outputs]
        started = [json.loads(out) for out, _ in outputs]
        assert sorted(one["EnclaveID"] for one in started) == list(range(MANY))
        assert sorted(one["EnclaveCID"] for one in started) == list(range(4, 4 + MANY))
        assert len({one["ProcessID"] for one in started}) == MANY
        assert sorted(one["EnclaveID"] for one in qt.list() if one["State"] == "running") == list(range(MANY))
        for number in range(MANY):
            wait_for(lambda: greeting(build_dir, qt, number) == b"hello\n", f"the answer of enclave {number}")
        qt.ok("stop", "--all", timeout=300)
        qt.nothing_is_left()
    finally:
        kill_all(qt)


def greeting(build, qt, number):
    """What port 7000 of an enclave says."""
    return subprocess.run([build / "supervisor/enclave-runner", "connect", str(number), "7000"], env=qt.env, timeout=60,
                          capture_output=True, check=False).stdout
