# SPDX-License-Identifier: Apache-2.0
"""Control groups in the layouts that a build machine may not have, in the test host VM."""
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))

from bundles import Bundle  # noqa: E402


TESTS = ROOT / "build/lib/container"
USER = f"setpriv --reuid 1000 --regid 1000 --clear-groups {TESTS}/test-cgroup-user"

# Live: the unit test that makes groups, limits them, and ends them.  Then what a user gets: one without a group of
# their own goes without, or is told why not; one with a group above their own makes groups in it.
SCRIPT = f"""
set -e
{TESTS}/test-cgroup-live
{USER} alone
if [ "$1" = v2 ]; then
    group=/sys/fs/cgroup/user
    mkdir -p $group/session
    chown -R 1000:1000 $group
    echo '+memory +pids' > $group/cgroup.subtree_control
    echo $$ > $group/session/cgroup.procs
    {USER} delegated
fi
echo all good
"""


@pytest.mark.parametrize("layout", ["v1", "hybrid", "v2"])
def test_groups_in_layout(layout):
    result = subprocess.run([ROOT / "tests/vm/run", "--cgroup", layout, "--timeout", "300", "--",
                             "bash", "-c", SCRIPT, "bash", layout],
                            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=400, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.endswith("all good\n")


# A container has moved its processes into a group below its own, as systemd in it does.
CUT_UP = """
set -e
cd "$2"
rune() { "$1" --root /run/rune-test "${@:2}"; }
rune "$1" run -d cut </dev/null >/dev/null
group=/sys/fs/cgroup/pod/cut
grep -q 16777216 $group/memory.max
mkdir $group/inner
for pid in $(cat $group/cgroup.procs); do echo $pid > $group/inner/cgroup.procs; done
echo +pids > $group/cgroup.subtree_control
rune "$1" exec -d cut sleep 1000
wc -l < $group/inner/cgroup.procs
rune "$1" delete --force cut
[ ! -e $group ] && echo gone
"""


def test_exec_follows_a_container_that_has_cut_up_its_group(tmp_path):
    bundle = Bundle(tmp_path)
    bundle.config["process"]["args"] = ["sleep", "1000"]
    bundle.config["linux"]["cgroupsPath"] = "/pod/cut"
    bundle.config["linux"]["resources"]["memory"] = {"limit": 16 << 20}
    bundle.write()
    result = subprocess.run([ROOT / "tests/vm/run", "--cgroup", "v2", "--timeout", "300", "--",
                             "bash", "-c", CUT_UP, "bash", ROOT / "build/rune/rune", tmp_path],
                            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=400, check=False)
    assert (result.returncode, result.stdout) == (0, "2\ngone\n"), result.stderr


def test_a_container_with_a_user_namespace_makes_groups_in_its_own(tmp_path):
    bundle = Bundle(tmp_path)
    # The same folder is seen from inside, by the container's root, which is user 100000 here.
    bundle.shell("mkdir /sys/fs/cgroup/inner && echo $$ > /sys/fs/cgroup/inner/cgroup.procs && cat /proc/self/cgroup;"
                 " echo 1 2>/dev/null > /sys/fs/cgroup/pids.max || echo limits stay")
    bundle.namespace("user")
    bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    for mount in bundle.config["mounts"]:
        if mount["type"] == "cgroup":
            mount["options"].remove("ro")
    bundle.write()
    subprocess.run(["chmod", "755", tmp_path], check=True)
    result = subprocess.run([ROOT / "tests/vm/run", "--cgroup", "v2", "--timeout", "300", "--share", tmp_path, "--",
                             ROOT / "build/rune/rune", "--root", "/run/rune-test", "run", "--bundle", tmp_path, "own"],
                            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=400, check=False)
    assert (result.returncode, result.stdout) == (0, "0::/inner\nlimits stay\n"), result.stderr
