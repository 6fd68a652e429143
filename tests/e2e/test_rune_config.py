# SPDX-License-Identifier: Apache-2.0
"""config.json as people write it: the template is runc's, and what is wrong is said with its place, by every
command that makes a container, before anything of it is there."""
import difflib
import json
import os
import pathlib
import shutil
import subprocess

import pytest
from bundles import bundle, cgroup_folders, rune  # noqa: F401
from conftest import need_program

BAD = pathlib.Path(__file__).parents[2] / "lib/container/bad/spec"


@pytest.mark.parametrize("flags", [[], ["--rootless"]], ids=["root", "rootless"])
def test_template_differs_from_runcs_in_little(rune, tmp_path, flags):  # noqa: F811
    runc = need_program("runc")
    texts = []
    for name, command in (("runc", [runc, "spec", *flags]), ("rune", rune.command("spec", *flags))):
        (tmp_path / name).mkdir()
        subprocess.run(command, cwd=tmp_path / name, check=True)
        texts.append((tmp_path / name / "config.json").read_text().rstrip("\n").split("\n"))
    changes = [line for line in difflib.unified_diff(*texts, n=0, lineterm="") if not line.startswith(("---", "+++"))]
    ours = [line[1:].strip() for line in changes if line.startswith("+")]
    theirs = [line[1:].strip() for line in changes if line.startswith("-")]
    # Each runc has the version of its time; those before 1.2 had ambient capabilities, and the cgroup namespace
    # is there on hosts with cgroup v2 alone.
    allowed = {'"hostname": "rune",', '"ociVersion": "1.3.0",', "],", "]", "},", "{", '"type": "cgroup"'}
    assert set(ours) <= allowed
    assert {line for line in theirs if line not in allowed} <= {
        '"hostname": "runc",', next(line.strip() for line in texts[0] if "ociVersion" in line),
        '"ambient": [', '"CAP_AUDIT_WRITE",', '"CAP_KILL",', '"CAP_NET_BIND_SERVICE"'}


def test_template_runs(rune, bundle):  # noqa: F811
    rune("spec", "--bundle", bundle.path)
    config = json.loads((bundle.path / "config.json").read_text())
    config["process"]["terminal"] = False
    config["process"]["args"] = ["sh", "-c", "hostname; pwd; touch /x || echo read-only"]
    config["linux"]["cgroupsPath"] = bundle.linux["cgroupsPath"]
    (bundle.path / "config.json").write_text(json.dumps(config))
    result = rune("run", "--bundle", bundle.path, "c")
    assert result.stdout == "rune\n/\nread-only\n"


def plain(result):
    """What was said, without the escapes of log lines."""
    return result.stderr.replace('\\"', '"')


def nothing_left(rune, bundle):  # noqa: F811
    assert not rune.root.exists() or not [f for f in rune.root.iterdir() if not f.name.startswith(".")]
    assert not cgroup_folders(bundle.linux["cgroupsPath"])


@pytest.mark.parametrize("verb", ["create", "run"])
def test_bad_files_are_refused_and_leave_nothing(rune, bundle, verb):  # noqa: F811
    files = sorted(BAD.iterdir())
    assert files
    for file in files:
        shutil.copy(file, bundle.path / "config.json")
        result = rune(verb, "--bundle", bundle.path, "c", check=False)
        assert result.returncode == 1, file.name
        assert "config.json: " in result.stderr, file.name
        nothing_left(rune, bundle)


@pytest.mark.parametrize("change, message", [
    (lambda c: c["process"].update(cwd="tmp"), ".process.cwd: Cwd must be an absolute path"),
    (lambda c: c["process"].update(args=[]), ".process.args: args must not be empty"),
    (lambda c: c["linux"].update(sysctl={"kernel.core_pattern": "|/bin/x"}),
     '.linux.sysctl["kernel.core_pattern"]: sysctl "kernel.core_pattern" is not in a separate kernel namespace'),
    (lambda c: c["linux"]["namespaces"].append({"type": "pid"}), ".linux.namespaces[6]: duplicated ns"),
    (lambda c: c["linux"].update(uidMappings=[{"containerID": 0, "hostID": 0, "size": 1}]),
     ".linux.uidMappings: user namespace mappings specified, but user namespace isn't enabled"),
    (lambda c: c["mounts"].append({"destination": "/x", "source": "/", "options": ["bind", "size=1m"]}),
     ".mounts[7].options: bind mounts cannot have any filesystem-specific options applied: size=1m"),
])
def test_errors_name_the_place(rune, bundle, change, message):  # noqa: F811
    change(bundle.config)
    result = rune.create(bundle, check=False)
    assert result.returncode == 1
    assert message in plain(result)
    nothing_left(rune, bundle)


def test_settings_of_the_host_stay_as_they_are(rune, bundle):  # noqa: F811
    """A sysctl of a network namespace that is the host's own, given by its path."""
    with open("/proc/sys/net/core/somaxconn") as file:
        before = file.read()
    bundle.namespace("network", "/proc/self/ns/net")
    bundle.linux["sysctl"] = {"net.core.somaxconn": "77"}
    result = rune.run(bundle.args("true"), check=False)
    assert result.returncode == 1
    assert 'sysctl "net.core.somaxconn" not allowed in host network namespace' in plain(result)
    with open("/proc/sys/net/core/somaxconn") as file:
        assert file.read() == before


def test_large_limits_are_exact(rune, bundle):  # noqa: F811
    """Docker writes "no limit" as 2^64-1."""
    bundle.process["rlimits"] = [{"type": "RLIMIT_CORE", "soft": 2**64 - 1, "hard": 2**64 - 1}]
    assert rune.output(bundle.args("sh", "-c", "ulimit -c")) == "unlimited\n"


def test_user_without_rights_needs_a_user_namespace(rune, bundle):  # noqa: F811
    if os.geteuid() != 0:
        pytest.skip("changes to another user")
    bundle.write()
    for folder in (bundle.path, *bundle.path.parents):
        if str(folder).startswith("/tmp/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    rune.root = bundle.path.parent / "user-state"
    rune.root.mkdir()
    os.chown(rune.root, 65534, 65534)
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(rune.root)}
    result = rune("create", "--bundle", bundle.path, "c", check=False, user=65534, group=65534, extra_groups=[],
                  env=environment)
    assert result.returncode == 1
    assert ".linux.namespaces: rootless container requires user namespaces" in result.stderr
