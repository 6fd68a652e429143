# SPDX-License-Identifier: Apache-2.0
"""What `rune` prints and exits with, beside runc's own on the same bundle: engines parse these."""
import json
import os
import platform
import re
import signal
import subprocess

import pytest
from bundles import Rune, bundle, cgroup_folders, rune  # noqa: F401
from conftest import need_program, wait_for
from inject import wait_until_idle

EPOLL_WAIT = 232 if platform.machine() == "x86_64" else 22  # where there is epoll_pwait() alone
RFC3339 = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z"


@pytest.fixture
def runc(tmp_path):
    """runc with a state folder of its own."""
    runc = Rune(need_program("runc"), tmp_path / "runc-state")
    yield runc
    runc.clear()


@pytest.fixture
def both(rune, runc, bundle):  # noqa: F811
    """The same container under each."""
    bundle.config["ociVersion"] = "1.0.2"
    bundle.config["annotations"] = {"org.example.one": "1"}
    bundle.args("sleep", "1000")
    for program, group in ((runc, "runc"), (rune, "rune")):
        bundle.linux["cgroupsPath"] = f"/rune-e2e/cli-{os.getpid()}-{group}"
        program.start(bundle)
    yield rune, runc
    for program in (rune, runc):
        program("delete", "--force", "c")


def shape(value):
    """JSON with every leaf replaced by its type, arrays by the shape of their first element."""
    if isinstance(value, dict):
        return {key: shape(member) for key, member in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def missing(expected, found, path=""):
    """The places of `expected` that `found` lacks, or has as another type."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return [place for key in expected for place in (missing(expected[key], found[key], f"{path}.{key}")
                                                       if key in found else [f"{path}.{key}"])]
    if isinstance(expected, list) and isinstance(found, list):
        return missing(expected[0], found[0], path + "[]") if expected and found else []
    return [] if expected == found else [path]


def test_state_has_the_members_of_runc_in_its_order(both):
    ours, theirs = (json.loads(program("state", "c").stdout) for program in both)
    assert list(ours) == list(theirs)
    assert shape(ours) == shape(theirs)
    assert re.fullmatch(RFC3339, ours["created"])
    for member in ("id", "status", "bundle", "rootfs", "annotations"):
        assert ours[member] == theirs[member], member
    assert os.readlink(f"/proc/{ours['pid']}/exe").endswith("busybox")


def test_state_of_a_stopped_container_has_no_pid(both):
    for program in both:
        program("kill", "c", "KILL")
        program.wait_status("stopped")
    ours, theirs = (program.state() for program in both)
    assert ours["pid"] == theirs["pid"] == 0


def normal(listing):
    """A listing with what differs between two containers blotted out at its width."""
    listing = re.sub(RFC3339, "TIME", listing)
    return re.sub(r"(c +)(\d+) +(running)", r"\1PID \3", listing)


def test_list_looks_as_runc_s_does(both):
    ours, theirs = (normal(program("list").stdout) for program in both)
    blank = re.compile(" +(OWNER|root)\n")
    assert blank.sub(r" \1\n", ours) == blank.sub(r" \1\n", theirs)
    header, row = both[0]("list").stdout.splitlines()
    assert [row[header.index(title) - 1] for title in ("PID", "STATUS", "BUNDLE", "CREATED", "OWNER")] == [" "] * 5


def test_list_of_ids_and_json_are_runc_s(both):
    rune, runc = both  # noqa: F811
    assert rune("list", "-q").stdout == runc("list", "-q").stdout == "c\n"
    ours, theirs = (json.loads(program("list", "--format", "json").stdout) for program in both)
    assert [list(one) for one in ours] == [list(one) for one in theirs]
    assert shape(ours) == shape(theirs)
    assert ours[0]["owner"] == theirs[0]["owner"] == "root"
    assert len(rune("list", "-f", "json").stdout.splitlines()) == 1


def test_list_of_nothing(rune):  # noqa: F811
    assert rune("list", check=False).returncode == 1  # --root was given and isn't there
    rune.root.mkdir()
    assert rune("list").stdout == "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n"
    assert json.loads(rune("list", "--format", "json").stdout) == []


def test_ps_looks_as_runc_s_does(both):
    for program in both:
        program("exec", "--detach", "c", "sleep", "77", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (ours, ours_text), (theirs, theirs_text) = (
        (json.loads(program("ps", "--format", "json", "c").stdout), program("ps", "c").stdout) for program in both)
    assert len(ours) == len(theirs) == 2
    assert ours_text.splitlines()[0].split() == theirs_text.splitlines()[0].split()
    assert [int(line.split()[1]) for line in ours_text.splitlines()[1:]] == sorted(ours)
    # In the order of pids, which begin anew at some time.
    commands = [sorted(line.split()[7:] for line in text.splitlines()[1:]) for text in (ours_text, theirs_text)]
    assert commands[0] == commands[1] == [["sleep", "1000"], ["sleep", "77"]]
    assert both[0]("ps", "c", "-o", "pid", "-A").stdout.split() == ["PID", *map(str, sorted(ours))]


def test_events_stats_has_all_that_runc_has(both):
    ours, theirs = (json.loads(program("events", "--stats", "c").stdout) for program in both)
    assert list(ours) == list(theirs) == ["type", "id", "data"]
    assert missing(shape(theirs), shape(ours)) == []
    assert ours["data"]["pids"]["current"] == 1


def test_events_come_at_intervals_and_end_with_the_container(rune, bundle):  # noqa: F811
    rune.start(bundle.args("sleep", "1000"))
    events = rune.start_process("events", "--interval", "50ms", "c", stdout=subprocess.PIPE, text=True)
    for _ in range(3):
        assert json.loads(events.stdout.readline())["type"] == "stats"
    rune("delete", "--force", "c")
    events.communicate(timeout=30)
    assert events.returncode == 0


def test_events_tell_an_oom_kill(rune, bundle, tmp_path):  # noqa: F811
    (tmp_path / "mnt").mkdir()
    bundle.config["mounts"].append({"destination": "/mnt", "source": str(tmp_path / "mnt"), "options": ["bind"]})
    bundle.linux["resources"]["memory"] = {"limit": 16 << 20, "swap": 16 << 20}
    rune.start(bundle.shell("until rmdir /mnt/go; do sleep 0.05; done; head -c 64m /dev/zero | tail"))
    events = rune.start_process("events", "--interval", "1h", "c", stdout=subprocess.PIPE, text=True)
    wait_until_idle(events.pid, EPOLL_WAIT)
    (tmp_path / "mnt" / "go").mkdir()
    out, _ = events.communicate(timeout=60)
    assert json.loads(out.splitlines()[0]) == {"type": "oom", "id": "c"}


def limit_of(bundle, *names):  # noqa: F811
    """The first of these files in the bundle's cgroups."""
    for folder in cgroup_folders(bundle.linux["cgroupsPath"]):
        for name in names:
            if (folder / name).exists():
                return (folder / name).read_text().strip()
    return pytest.skip(f"no {names[0]} here")


def test_update_by_options_and_by_json(rune, bundle):  # noqa: F811
    rune.start(bundle.args("sleep", "1000"))
    memory, pids = ("memory.limit_in_bytes", "memory.max"), ("pids.max",)
    rune("update", "c", "--memory", "50M", "--pids-limit", "20")
    assert (limit_of(bundle, *memory), limit_of(bundle, *pids)) == (str(50 << 20), "20")
    rune("update", "--resources", "-", "c", stdin=None, input='{"memory": {"limit": 67108864}, "pids": {"limit": 10}}')
    assert (limit_of(bundle, *memory), limit_of(bundle, *pids)) == (str(64 << 20), "10")
    (bundle.path / "r.json").write_text('{"pids": {"limit": -1}}')
    rune("update", "-r", bundle.path / "r.json", "c")
    assert (limit_of(bundle, *memory), limit_of(bundle, *pids)) == (str(64 << 20), "max")


@pytest.mark.parametrize("sent", ["KILL", "SIGKILL", "kill", "9"])
def test_signals_by_name_and_number(rune, bundle, sent):  # noqa: F811
    rune.start(bundle.args("sleep", "1000"))
    rune("kill", "c", sent)
    rune.wait_status("stopped")


def test_statuses(rune, bundle):  # noqa: F811
    assert rune.run(bundle.shell("exit 3"), check=False).returncode == 3
    bundle.shell("echo; sleep 1000").write()
    container = rune.start_process("run", "--bundle", bundle.path, "c", stdout=subprocess.PIPE)
    assert container.stdout.readline() == b"\n"
    rune("kill", "c", "KILL")
    assert container.wait(timeout=60) == 128 + signal.SIGKILL
    container.stdout.close()
    rune.start(bundle)
    assert rune("exec", "c", "sh", "-c", "exit 7", check=False).returncode == 7
    result = rune("exec", "c", "/nowhere", check=False)
    assert result.returncode == 255
    assert "exec failed: " in result.stderr


@pytest.mark.parametrize("words", [["state", "c"], ["start", "c"], ["kill", "c"], ["delete", "c"], ["pause", "c"],
                                   ["resume", "c"], ["ps", "c"], ["exec", "c", "true"], ["update", "c"],
                                   ["events", "c"]], ids=lambda words: words[0])
def test_a_container_that_is_not_there(rune, words):  # noqa: F811
    result = rune(*words, check=False)
    assert result.returncode == (255 if words[0] == "exec" else 1)
    assert "does not exist" in result.stderr
    assert result.stdout == ""


def test_the_log_has_the_reason_last_as_docker_and_containerd_read_it(rune, bundle, tmp_path):  # noqa: F811
    log = tmp_path / "log.json"
    rune.globals = ["--log", str(log), "--log-format", "json"]
    result = rune.run(bundle.args("/no/such/program"), check=False)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert list(lines[-1]) == ["level", "msg", "time"]
    assert lines[-1]["level"] == "error"
    assert "no such file or directory" in lines[-1]["msg"].lower()
    assert re.fullmatch(RFC3339, lines[-1]["time"])
    assert result.stderr.strip() == lines[-1]["msg"]


def test_version_as_engines_parse_it(rune, tmp_path):  # noqa: F811
    text = rune("--version").stdout
    assert re.match(r"rune version \d+\.\d+\.\d+\ncommit: [0-9a-f]{40}\nspec: 1\.\d\.\d\nlibseccomp: 2\.", text)
    assert [line for line in text.splitlines() if "version" in line] == [text.splitlines()[0]]  # dockerd: any line with it
    (tmp_path / "runc").symlink_to(rune.program)
    text = subprocess.run([tmp_path / "runc", "--version"], capture_output=True, text=True, check=True).stdout
    assert text.startswith("runc version ")  # go-runc insists


def test_features_are_what_the_specification_asks_for(rune, runc):  # noqa: F811
    ours, theirs = (json.loads(program("features").stdout) for program in (rune, runc))
    assert missing(shape(theirs["linux"]), shape(ours["linux"])) == []
    assert set(theirs["hooks"]) == set(ours["hooks"])
    assert set(theirs["linux"]["capabilities"]) <= set(ours["linux"]["capabilities"])
    assert set(theirs["linux"]["seccomp"]["actions"]) <= set(ours["linux"]["seccomp"]["actions"])
    assert {"cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"} == set(ours["linux"]["namespaces"])
    assert ours["annotations"]["org.opencontainers.runc.checkpoint.enabled"] == "false"


def test_spec_never_overwrites(rune, tmp_path):  # noqa: F811
    rune("spec", "--bundle", tmp_path)
    first = (tmp_path / "config.json").read_text()
    assert json.loads(first)["process"]["args"] == ["sh"]
    result = rune("spec", "-b", tmp_path, "--rootless", check=False)
    assert result.returncode == 1
    assert "exists. Remove it first" in result.stderr
    assert (tmp_path / "config.json").read_text() == first


def test_spec_is_that_of_runc(rune, runc, tmp_path):  # noqa: F811
    specs = []
    for program in (rune, runc):
        folder = tmp_path / os.path.basename(program.program)
        folder.mkdir()
        program("spec", cwd=folder)
        specs.append(json.loads((folder / "config.json").read_text()))
    for one in specs:
        del one["ociVersion"], one["hostname"]
        one["linux"]["namespaces"] = sorted(n["type"] for n in one["linux"]["namespaces"] if n["type"] != "cgroup")
        one["linux"]["maskedPaths"] = set(one["linux"]["maskedPaths"])
    ours, theirs = specs
    del theirs["process"]["capabilities"]["ambient"]  # gone since runc 1.2
    assert theirs["linux"]["maskedPaths"] <= ours["linux"]["maskedPaths"]
    ours["linux"]["maskedPaths"] = theirs["linux"]["maskedPaths"]
    assert missing(theirs, ours) == []


def test_a_standard_stream_that_is_closed_becomes_no_file(rune, tmp_path):  # noqa: F811
    log = tmp_path / "log"
    command = " ".join(rune.command("--log", log, "state", "nope"))
    subprocess.run(["sh", "-c", f"exec 1>&- 2>&-; exec {command}"], check=False)
    assert len(log.read_text().splitlines()) == 1


@pytest.mark.parametrize("words", [
    ("kill", "c", "BOGUS"), ("list", "--format", "xml"), ("ps", "--format", "xml", "c"),
    ("events", "--interval", "0", "c"), ("update", "--memory", "1x", "c"), ("update", "--blkio-weight", "9", "c"),
    ("attest", "--quote-type", "x", "c"), ("attest", "--timeout", "0", "c"), ("--log-level", "x", "list"),
    ("--log-format", "x", "list"), ("--rootless", "x", "list"), ("--cgroup-manager", "x", "list"), ("--bogus", "list"),
], ids=" ".join)
def test_a_value_that_cannot_be_one_is_an_error_of_the_command_line(rune, words):  # noqa: F811
    result = rune(*words, check=False)
    assert result.returncode == 2, result.stderr
    assert "does not exist" not in result.stderr  # told before the container is looked for


def test_an_unknown_global_option_says_where_the_known_ones_are(rune):  # noqa: F811
    assert "rune --help" in rune("--bogus", "list", check=False).stderr


def test_checkpoint_says_that_it_is_not_supported(rune):  # noqa: F811
    result = rune("checkpoint", "--image-path", "/x", "--tcp-established", "c", check=False)
    assert result.returncode == 1
    assert "not supported" in result.stderr
