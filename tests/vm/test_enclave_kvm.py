# SPDX-License-Identifier: Apache-2.0
"""Enclaves under real (nested) KVM and the kernel's vhost-vsock, in the test host VM."""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))

import eif_reader  # noqa: E402
from enclaves import ImageFolder, Qt, shell  # noqa: E402


def run_in_vm(*command):
    result = subprocess.run(
        [ROOT / "tests/vm/run", "--mem", "3072", "--cpus", "1", "--timeout", "900", "--fresh", "/run/coffer", "--",
         "/usr/bin/python3", *command], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=1000)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.endswith("all good\n")


def test_containers_in_machines_run_under_kvm():
    build = ROOT / "build"
    subprocess.run([ROOT / "tools/fetch-kernel", "cloud"], check=True, capture_output=True)
    run_in_vm(ROOT / "tests/vm/pal_vm_checks.py", build, "/run/pal-vm-checks")


def test_enclaves_run_under_kvm_with_vhost_vsock_and_with_our_device(tmp_path):
    build = ROOT / "build"
    made = ImageFolder(Qt(build, tmp_path / "state"), tmp_path)
    server = shell("nc -ll -p 7000 -e /bin/echo hello", ExposedPorts={"7000/tcp": {}})
    ours = made.eif("server", server)
    cmdline = eif_reader.read_eif(ours).cmdline
    nitro = made.eif("cid3", server, "--cmdline", cmdline.replace("coffer.parent_cid=2", "coffer.parent_cid=3"))
    run_in_vm(ROOT / "tests/vm/enclave_checks.py", build / "qt/qt", ours, nitro)
