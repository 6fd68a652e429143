# SPDX-License-Identifier: Apache-2.0
"""What test_enclave_kvm.py runs inside the test host VM: containers by libpal_vm.so under real KVM.
pal_vm_checks.py BUILD FOLDER; ends with "all good"."""
import json
import os
import pathlib
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

from bundles import Bundle, Rune  # noqa: E402
from conftest import wait_for  # noqa: E402
from enclaves import memory_beside_guests  # noqa: E402

BUILD, FOLDER = map(pathlib.Path, sys.argv[1:])
PAL = BUILD / "pal/vm/libpal_vm.so"
PROFILE = """profile docker-default flags=(attach_disconnected,mediate_deleted) {
  network, capability, file, umount, deny mount,
  signal (receive) peer=unconfined, signal (send, receive) peer=docker-default, ptrace peer=docker-default,
}
"""
TIMEOUT = 300  # KVM in an emulated machine
MEMORY_ASKED = 60  # MiB that an enclave may take beside its guest's
TOGETHER = 3


def make(name):
    bundle = Bundle(FOLDER / name)
    bundle.config["root"]["readonly"] = False
    bundle.linux["resources"] = {"memory": {"limit": 192 << 20}, "pids": {"limit": 50}}
    bundle.process["env"] += ["ENCLAVE_TYPE=vm", f"ENCLAVE_RUNTIME_PATH={PAL}"]
    return bundle


def machines():
    return json.loads(subprocess.run([BUILD / "qt/qt", "enclave", "query"], check=True, capture_output=True).stdout)


def check_run(rune):
    bundle = make("run")
    bundle.shell("hostname; cat /sys/fs/cgroup/pids.max; exit 42")
    result = rune.run(bundle, check=False, timeout=TIMEOUT)
    assert (result.returncode, result.stdout.split()) == (42, ["rune", "50"]), result


def check_exec_and_signals(rune):
    """Under a profile of the name that Docker gives its own, with what that allows; the host is what it guards."""
    subprocess.run(["apparmor_parser", "-r"], input=PROFILE, text=True, check=True)
    bundle = make("signals")
    bundle.process["apparmorProfile"] = "docker-default"
    bundle.shell("trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.1; done")
    bundle.write()
    with open(FOLDER / "out", "wb") as out:
        rune("create", "--bundle", bundle.path, "c", stdout=out, stderr=None, timeout=TIMEOUT)
    assert rune.state()["annotations"]["coffer.enclave.isolation"] == "kvm", rune.state()
    rune("start", "c", timeout=TIMEOUT)
    stands_for_it = pathlib.Path(f"/proc/{rune.state()['pid']}/attr/current")
    assert stands_for_it.read_text().startswith("docker-default (enforce)"), stands_for_it.read_text()
    wait_for(lambda: (FOLDER / "out").read_text() == "ready\n", "the container's first words", deadline=TIMEOUT)
    result = rune("exec", "c", "sh", "-c", "cat; exit 5", input="typed", check=False, timeout=TIMEOUT)
    assert (result.returncode, result.stdout) == (5, "typed"), result
    rune("kill", "c", "TERM")
    wait_for(lambda: rune.status() == "stopped", "the container's end", deadline=TIMEOUT)
    assert (FOLDER / "out").read_text() == "ready\ncaught\n"
    rune("delete", "c")


def check_kill(rune):
    bundle = make("kill")
    bundle.args("sleep", "1000")
    rune("create", "--bundle", bundle.write(), "c", stdout=subprocess.DEVNULL, stderr=None, timeout=TIMEOUT)
    rune("start", "c", timeout=TIMEOUT)
    assert [each["Isolation"] for each in machines()] == ["kvm"]
    os.kill(rune.state()["pid"], signal.SIGKILL)
    wait_for(lambda: not machines(), "the end of the machine", deadline=TIMEOUT)
    rune("delete", "--force", "c")


def check_memory(rune):
    """Of one, and of several, which share programs and libraries."""
    used = []
    for number in range(TOGETHER):
        bundle = make(f"m{number}")
        bundle.args("sleep", "1000")
        rune("create", "--bundle", bundle.write(), bundle.path.name, stdout=subprocess.DEVNULL, stderr=None,
             timeout=TIMEOUT)
        rune("start", bundle.path.name, timeout=TIMEOUT)
        used.append(memory_beside_guests() / (number + 1))
        print(f"{used[-1]:.1f} MiB beside the guest's, each of {number + 1}")
    assert 0 < used[-1] < used[0] < MEMORY_ASKED, used
    for number in range(TOGETHER):
        rune("delete", "--force", f"m{number}")
    wait_for(lambda: not machines(), "the end of the machines", deadline=TIMEOUT)


rune = Rune(BUILD / "rune/rune", FOLDER / "state")
rune.globals = ["--pal-path", str(PAL.parent)]
for check in (check_run, check_exec_and_signals, check_kill, check_memory):
    check(rune)
print("all good")
