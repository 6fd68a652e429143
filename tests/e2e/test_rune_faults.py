# SPDX-License-Identifier: Apache-2.0
"""rune killed at each of its steps, many containers at once, and many one after the other: nothing stays behind."""

import os
import pathlib
import signal
import subprocess
import time
import uuid

import pytest

import leaks
from bundles import bundle, rune  # noqa: F401
from conftest import wait_for
from kill_at import kill_at

MOST_STEPS = 2000  # more than any command here has


@pytest.fixture
def marked(bundle):  # noqa: F811
    """A bundle whose control group, and so every trace of it, has a word of its own."""
    word = f"fault{uuid.uuid4().hex[:10]}"
    bundle.linux["cgroupsPath"] = f"/{word}"
    bundle.args("/bin/sleep", "1000000")
    bundle.write()
    return bundle, word


def nothing_left(word, rune):  # noqa: F811
    """Of what ends by itself, a killed process and its group, the end may take a moment."""
    end = time.monotonic() + 10
    while left := leaks.of(word, rune.root):
        assert time.monotonic() < end, left
        time.sleep(0.005)


def each_step(rune, word, which, arguments, before=lambda: None):  # noqa: F811
    """Kills process number `which` of a command at every step in turn; what is left must go by one forced delete."""
    for step in range(1, MOST_STEPS):
        before()
        killed, status, text = kill_at(rune.command(*arguments), which, step)
        rune("delete", "--force", word)
        nothing_left(word, rune)
        if not killed:
            assert status == 0, f"{arguments[0]}, not killed: {text}"
            assert step > 20, "the command has hardly a step at all"
            return
        if which != 0:  # rune itself goes on, and has to tell
            assert status != 0 or arguments[0] in ("start", "exec"), f"killed at step {step}: {text}"
    pytest.fail(f"{arguments[0]} has more than {MOST_STEPS} steps")


def created(rune, bundle, word):  # noqa: F811
    return lambda: rune.create(bundle, word)


def running(rune, bundle, word):  # noqa: F811
    return lambda: rune.start(bundle, word)


def test_create_killed_at_each_step_leaves_nothing_that_delete_cannot_remove(rune, marked):  # noqa: F811
    bundle, word = marked  # noqa: F811
    each_step(rune, word, 0, ["create", "--bundle", bundle.path, word])


def test_create_tells_and_cleans_up_where_container_init_is_killed_at_any_step(rune, marked):  # noqa: F811
    bundle, word = marked  # noqa: F811
    for step in range(1, MOST_STEPS):
        killed, status, text = kill_at(rune.command("create", "--bundle", bundle.path, word), 1, step)
        if not killed:
            assert status == 0, text
            break
        if status == 0:  # killed once it was created: then it is a stopped container
            rune.wait_status("stopped", word)  # it may take a moment to die
            rune("delete", word)
        else:
            assert text.strip(), f"step {step}: a failure without a word"
        nothing_left(word, rune)
    assert step > 40
    rune("delete", "--force", word)


def test_start_killed_at_each_step_leaves_nothing_that_delete_cannot_remove(rune, marked):  # noqa: F811
    bundle, word = marked  # noqa: F811
    each_step(rune, word, 0, ["start", word], before=created(rune, bundle, word))


def test_exec_killed_at_each_step_leaves_nothing_that_delete_cannot_remove(rune, marked):  # noqa: F811
    bundle, word = marked  # noqa: F811
    each_step(rune, word, 0, ["exec", word, "/bin/true"], before=running(rune, bundle, word))


def test_exec_killed_at_each_step_leaves_the_container_running(rune, marked):  # noqa: F811
    bundle, word = marked  # noqa: F811
    rune.start(bundle, word)
    for which in (0, 1):
        for step in range(1, MOST_STEPS):
            killed, _, text = kill_at(rune.command("exec", word, "/bin/true"), which, step)
            assert rune.status(word) == "running", f"process {which}, step {step}: {text}"
            if not killed:
                break
    pids = rune("ps", "--format", "json", word).stdout
    wait_for(lambda: rune("ps", "--format", "json", word).stdout.count(",") == 0, f"the execs' end, {pids}")


def test_delete_killed_at_each_step_can_be_done_again(rune, marked):  # noqa: F811
    bundle, word = marked  # noqa: F811

    def stopped():
        rune.start(bundle, word)
        rune("kill", word, "KILL")
        rune.wait_status("stopped", word)

    each_step(rune, word, 0, ["delete", word], before=stopped)


def test_forced_delete_killed_at_each_step_can_be_done_again(rune, marked):  # noqa: F811
    bundle, word = marked  # noqa: F811
    each_step(rune, word, 0, ["delete", "--force", word], before=running(rune, bundle, word))


def test_run_killed_at_each_step_leaves_nothing_that_delete_cannot_remove(rune, marked):  # noqa: F811
    bundle, word = marked  # noqa: F811
    bundle.args("/bin/true").write()
    each_step(rune, word, 0, ["run", "--bundle", bundle.path, word])


def test_a_hundred_containers_at_once_leave_nothing(rune, marked):  # noqa: F811
    bundle, word = marked  # noqa: F811
    del bundle.linux["cgroupsPath"]
    bundle.args("/bin/true").write()
    started = [rune.start_process("run", "--bundle", bundle.path, f"{word}-{n}", stderr=subprocess.PIPE) for n in range(100)]
    failures = [p.stderr.read().decode() for p in started if p.wait(120) != 0]
    for process in started:
        process.stderr.close()
    assert failures == []
    nothing_left(word, rune)


def test_one_id_asked_for_by_many_at_once_makes_one_container(rune, marked):  # noqa: F811
    bundle, word = marked  # noqa: F811
    started = [rune.start_process("create", "--bundle", bundle.path, word, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL) for _ in range(20)]
    assert sorted(p.wait(60) for p in started) == [0] + [1] * 19
    assert rune.status(word) == "created"
    rune("delete", "--force", word)
    nothing_left(word, rune)


class Apart:
    """Mounts and a memory group of the test's own, in which rune runs: what other tests do meanwhile doesn't count."""

    def __init__(self):
        hierarchy = pathlib.Path("/sys/fs/cgroup/memory")
        self.is_v1 = hierarchy.is_dir()
        self.name = f"apart-{uuid.uuid4().hex[:10]}"
        self.group = (hierarchy if self.is_v1 else hierarchy.parent) / self.name
        (self.group / "rune").mkdir(parents=True)
        self.keeper = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", "echo && exec cat"],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.keeper.stdout.readline() == b"\n"

    def command(self, words):
        return ["sh", "-c", 'echo 0 >"$0" && exec nsenter --mount="$@"', f"{self.group}/rune/cgroup.procs",
                f"/proc/{self.keeper.pid}/ns/mnt", "--", *words]

    def mounts(self):
        return len(pathlib.Path(f"/proc/{self.keeper.pid}/mountinfo").read_text().splitlines())

    def memory(self):
        """Bytes that the kernel holds for those who are, or were, in the group, but for copies of files."""
        figures = dict(line.split() for line in (self.group / "memory.stat").read_text().splitlines())
        if self.is_v1:
            return int(figures["total_rss"]) + int(figures["total_shmem"]) + \
                int((self.group / "memory.kmem.usage_in_bytes").read_text())
        return sum(int(figures.get(name, 0)) for name in ("anon", "shmem", "slab", "kernel_stack", "pagetables", "percpu"))

    def end(self):
        self.keeper.communicate()
        for path in sorted(leaks.control_groups(self.name), reverse=True):
            os.rmdir(path)


@pytest.fixture
def apart(rune, marked):  # noqa: F811
    """rune on a host of its own in these respects."""
    bundle, word = marked  # noqa: F811
    one = Apart()
    bundle.linux["cgroupsPath"] = f"/{one.name}/{word}"
    plain = rune.command
    rune.command = lambda *words: one.command(plain(*words))
    yield one
    rune.clear()
    one.end()


def groups_of_the_kernel():
    """Those that are no more count for as long as something of theirs is held."""
    return sum(int(line.split()[2]) for line in pathlib.Path("/proc/cgroups").read_text().splitlines()[1:])


def test_a_thousand_containers_in_a_row_leave_nothing(rune, marked, apart):  # noqa: F811
    bundle, word = marked  # noqa: F811
    bundle.args("/bin/true").write()
    descriptors, mounts = len(os.listdir("/proc/self/fd")), apart.mounts()
    for _ in range(20):
        rune("run", "--bundle", bundle.path, word)
    memory, groups = apart.memory(), groups_of_the_kernel()
    for _ in range(1000):
        rune("run", "--bundle", bundle.path, word)
    nothing_left(word, rune)
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert apart.mounts() == mounts
    # The kernel lets go of what has ended in its own time, and other tests have groups, too: not a thousand.
    wait_for(lambda: groups_of_the_kernel() <= groups + 500, "the end of their control groups", 60)
    wait_for(lambda: apart.memory() < memory + 50_000_000, "their memory", 60)


def test_a_full_disk_is_told_and_leaves_nothing(rune, marked, tmp_path):  # noqa: F811
    bundle, word = marked  # noqa: F811
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], check=True)
    try:
        (small / "filler").write_bytes(b"x" * 60_000)
        rune.root = small / "state"
        result = rune("create", "--bundle", bundle.path, word, check=False)
        assert result.returncode == 1
        assert "No space left on device" in result.stderr
        nothing_left(word, rune)
    finally:
        subprocess.run(["umount", "--lazy", small], check=True)


def test_a_foreground_run_that_is_terminated_ends_its_container(rune, marked):  # noqa: F811
    bundle, word = marked  # noqa: F811
    bundle.shell("trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done").write()
    process = rune.start_process("run", "--bundle", bundle.path, word, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 3
    process.stdout.close()
    nothing_left(word, rune)
