# SPDX-License-Identifier: Apache-2.0
"""libpal_vm.so for others than root on the host: user namespaces, rune of a user without privilege, and Podman."""
import os
import pathlib
import subprocess

import pytest

import test_rune_rootless as rootless
from conftest import ROOT, wait_for
from engines import IMAGE, ROOTLESS_ID, Terminal, running_podman, runtime_under_test, short_folder
from test_rune_rootless import user  # noqa: F401
from test_pal_vm import own_list, vm  # noqa: F401
import bundles

root_rune, root_bundle = bundles.rune, bundles.bundle
user_rune, user_bundle = rootless.rune, rootless.bundle
rune, bundle = root_rune, root_bundle  # what test_pal_vm's fixture asks for

SEE_IDS = "id -u; id -g; stat -c '%u %g' /bin /home/user; touch /mine && stat -c %u /mine; exit 6"


@pytest.fixture(scope="module")
def pal(build_dir):
    path = build_dir / "pal/vm/libpal_vm.so"
    if not path.is_file():
        pytest.skip(f"no {path}")
    subprocess.run([ROOT / "tools/fetch-kernel", "cloud"], check=True, capture_output=True)
    return path


@pytest.fixture
def for_everybody(pal):
    """The plug-in where users may look for it."""
    if any(not folder.stat().st_mode & 0o001 for folder in pal.parents):
        pytest.skip("the build folder is not everybody's to read")
    return pal


def test_a_container_in_a_user_namespace_has_its_own_ids(rune, bundle, vm):  # noqa: F811
    maps = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    bundle.namespace("user")
    bundle.linux.update(uidMappings=maps, gidMappings=maps)
    for folder in [bundle.path, *bundle.path.parents]:
        if str(folder).startswith(("/tmp/", "/var/tmp/")):
            folder.chmod(folder.stat().st_mode | 0o011)
    for path in [bundle.rootfs, *bundle.rootfs.rglob("*")]:
        os.chown(path, 100000, 100000, follow_symlinks=False)
    os.chown(bundle.rootfs / "home/user", 101000, 101001)
    bundle.shell(SEE_IDS)
    result = rune.run(bundle, check=False)
    assert (result.returncode, result.stdout.split()) == (6, ["0", "0", "0", "0", "1000", "1001", "0"]), result.stderr


def processes_of(uid):
    """Supervisors and machines of a user's."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if folder.stat().st_uid == uid and (folder / "comm").read_text().strip() in ("coffer-enclave", "qemu-system-x86"):
                found.append(folder.name)
        except OSError:
            continue
    return found


class TestRootlessRune:
    """rune by hand of a user without privilege."""
    rune, bundle = staticmethod(user_rune), staticmethod(user_bundle)

    @pytest.mark.parametrize("ids", ["one", "subordinate"])
    def test_its_files_are_the_users_and_nothing_is_left(self, user_rune, user_bundle, for_everybody, ids):  # noqa: F811
        if ids == "subordinate":
            rootless.with_subordinate_ids(user_bundle)
        user_rune.globals = ["--pal-path", str(for_everybody.parent)]
        user_bundle.process["env"] += ["ENCLAVE_TYPE=vm", f"ENCLAVE_RUNTIME_PATH={for_everybody}",
                                       "ENCLAVE_RUNTIME_ARGS=memory=192"]
        user_bundle.config["root"]["readonly"] = False
        user_bundle.shell(SEE_IDS.replace("/home/user", "/etc"))
        result = user_rune.run(user_bundle, check=False)
        assert (result.returncode, result.stdout.split()) == (6, ["0", "0", "0", "0", "0", "0", "0"]), result.stderr
        user_bundle.args("sleep", "1000")
        user_rune.start(user_bundle)
        assert (user_rune.folder / "run/coffer").is_dir(), "the list of enclaves is the user's"
        assert user_rune("exec", "c", "sh", "-c", "exit 5", check=False).returncode == 5
        user_rune("kill", "c", "KILL")
        user_rune.wait_status("stopped")
        user_rune("delete", "c")
        wait_for(lambda: not processes_of(ROOTLESS_ID), "the end of the machine")


@pytest.mark.parametrize("of_a_user", [False, True], ids=["root", "rootless"])
def test_podman(build_dir, for_everybody, of_a_user):
    options = ["-e", "ENCLAVE_TYPE=vm", "-e", f"ENCLAVE_RUNTIME_PATH={for_everybody}", "-e", "ENCLAVE_RUNTIME_ARGS=memory=256"]
    with short_folder() as folder, \
            running_podman(folder, runtime_under_test(build_dir), rootless=of_a_user,
                           cgroups="disabled" if of_a_user else "enabled",
                           netns="slirp4netns" if of_a_user else "bridge") as podman:
        podman.command += ["--runtime-flag", f"pal-path={for_everybody.parent}"]
        done = podman.run("run", "--rm", "-i", "-h", "box", "-u", "alice", "-w", "/tmp", "-e", "X=a b", *options, IMAGE, "sh", "-c",
                          'hostname; id -un; pwd; echo "$X"; cat; grep -c box /etc/hosts; uname -r; exit 7', input="typed\n")
        lines = done.stdout.splitlines()
        assert (done.returncode, lines[:6]) == (7, ["box", "alice", "/tmp", "a b", "typed", "1"]), done.stderr
        assert lines[6] != os.uname().release
        with Terminal(podman, "run", "--rm", "-it", *options, IMAGE, "sh", rows=31, columns=77) as terminal:
            terminal.expect("# ")
            wait_for(lambda: terminal.size_inside() == "31 77", "the first size")
            terminal.send("exit 9\n")
            assert terminal.wait() == 9
        name = podman("run", "-d", *options, IMAGE, "sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.1; done")
        wait_for(lambda: podman("logs", name) == "ready", "the trap")
        assert podman("exec", name, "sh", "-c", "echo inside $(cat /proc/1/comm)") == "inside sh"
        podman("stop", name)
        assert podman.inspect(name, "{{.State.ExitCode}}") == "5"
        refused = podman.run("run", "--rm", "-v", "/tmp:/v", *options, IMAGE, "true")
        assert refused.returncode == 126 and "mount of /tmp on /v: files of the host can't be shared" in refused.stderr
        assert podman("run", "--rm", "--shm-size", "3m", *options, IMAGE, "sh", "-c", "grep -c ' /dev/shm tmpfs .*size=3072k' /proc/mounts") == "1"
        for option in (["--security-opt", "seccomp=unconfined"], ["--read-only"], ["--cap-drop", "all"]):
            podman("run", "--rm", *option, *options, IMAGE, "true")
