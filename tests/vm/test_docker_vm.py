# SPDX-License-Identifier: Apache-2.0
"""Docker on control groups of v2, where devices are let through by a program in the kernel: in the test host VM."""
import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("COFFER_BUILD", ROOT / "build"))

SCRIPT = """
folder=/run/docker-test
mkdir -p $folder/root/bin
cd $folder
export DOCKER_HOST=unix://$folder/socket DOCKER_CONFIG=$folder/client PATH=/usr/sbin:/usr/bin:/sbin:/bin
cp /bin/busybox root/bin
for name in cat dd mknod sh sleep; do ln -s busybox root/bin/$name; done
echo '{"runtimes": {"rune": {"path": "'$1'"}}}' >conf
dockerd --config-file conf --default-runtime rune --storage-driver vfs --bridge none --data-root $folder/data \\
        --exec-root $folder/exec --pidfile $folder/pid -H $DOCKER_HOST --iptables=false --ip6tables=false >log 2>&1 &
until [ -S socket ]; do kill -0 $! || { tail log; exit 1; }; sleep 0.2; done
tar -C root -c . | docker import - box:test >&2
docker run -d --name box --memory 64m --pids-limit 20 --device /dev/fuse:/dev/fuse:rm box:test sleep 1000 >id
group=/sys/fs/cgroup/docker/$(cat id)
cat $group/memory.max $group/pids.max
docker exec box sh -c '
    cat /proc/self/cgroup
    (echo text) >/dev/null && echo null written
    (:) </dev/fuse && echo fuse read
    (:) >/dev/fuse || echo fuse not written
    mknod /cuse c 10 203 && echo cuse made
    (:) </cuse || echo cuse not read
    exit 3' 2>exec.err
echo "status $?"
grep -c 'Operation not permitted' exec.err
docker stats --no-stream --format 'stats {{.MemUsage}} {{.PIDs}} {{.Name}}' box
docker pause box
grep frozen $group/cgroup.events
docker unpause box
grep frozen $group/cgroup.events
docker exec box dd if=/dev/zero of=/dev/null bs=200M count=1
echo "status $?"
docker rm -f box
ls -d $group || true
"""


def test_docker_run_exec_stats_pause_limits_and_devices():
    result = subprocess.run([ROOT / "tests/vm/run", "--mem", "1400", "--timeout", "400", "--",
                             "bash", "-c", SCRIPT, "bash", BUILD / "rune/rune"],
                            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=500)
    lines = result.stdout.splitlines()
    assert lines[:9] == ["67108864", "20", "0::/", "null written", "fuse read", "fuse not written", "cuse made",
                         "cuse not read", "status 3"], result.stdout + result.stderr
    assert lines[9] == "2" and re.fullmatch(r"stats \S+ / 64MiB 1 box", lines[10])
    assert lines[11:] == ["box", "frozen 1", "box", "frozen 0", "status 137", "box"]
    assert re.search(r"ls: cannot access '/sys/fs/cgroup/docker/[0-9a-f]{64}': No such file", result.stderr)
