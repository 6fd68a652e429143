# SPDX-License-Identifier: Apache-2.0
"""The configurations of docs/rune-engines.md, given to the engines that they are for."""
import json
import os
import re
import subprocess
import tempfile

import yaml
from conftest import ROOT, need_program

PAGE = (ROOT / "docs" / "rune-engines.md").read_text()
PATH = "/usr/local/sbin/rune"


def blocks(heading, language):
    """The fenced blocks of a language below a heading."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.S | re.M)


def test_docker_takes_its_file(tmp_path):
    [text] = blocks("Docker", "json")
    assert json.loads(text)["runtimes"]["rune"]["path"] == PATH
    (tmp_path / "daemon.json").write_text(text)
    # A daemon that refuses its configuration says so first; this one goes on and finds that it can't have its folder.
    (tmp_path / "file").touch()
    result = subprocess.run([need_program("dockerd"), "--config-file", tmp_path / "daemon.json", "--data-root",
                             tmp_path / "file" / "x", "--exec-root", tmp_path / "file" / "y", "-H",
                             f"unix://{tmp_path}/docker.sock", "--pidfile", tmp_path / "pid"],
                            capture_output=True, text=True, timeout=60)
    assert "unable to configure the Docker daemon" not in result.stderr
    assert "not a directory" in result.stderr


def test_podman_takes_its_file(tmp_path):
    [text] = blocks("Podman", "toml")
    assert PATH in text
    program = tmp_path / "bin" / "rune"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'rune version 0.1.0'\n")
    program.chmod(0o755)
    (tmp_path / "containers.conf").write_text(text.replace(PATH, str(program)))
    with tempfile.TemporaryDirectory(prefix="podman-") as state:  # podman wants a short path
        result = subprocess.run([need_program("podman"), "--root", f"{state}/root", "--runroot", f"{state}/run",
                                 "--storage-driver", "vfs", "info", "--format",
                                 "{{.Host.OCIRuntime.Name}} {{.Host.OCIRuntime.Path}} {{.Host.OCIRuntime.Version}}"],
                                capture_output=True, text=True, timeout=60,
                                env=dict(os.environ, CONTAINERS_CONF=str(tmp_path / "containers.conf")))
    assert result.stdout.split() == ["rune", str(program), "rune", "version", "0.1.0"], result.stderr


def test_containerd_takes_its_file(tmp_path):
    [text] = blocks("containerd", "toml")
    (tmp_path / "config.toml").write_text(text)
    result = subprocess.run([need_program("containerd"), "--config", tmp_path / "config.toml", "config", "dump"],
                            capture_output=True, text=True, check=True, timeout=60)
    table = result.stdout.split('cri".containerd.runtimes.rune]')[1].split("runtimes.runc]")[0]
    assert 'runtime_type = "io.containerd.runc.v2"' in table
    assert f'BinaryName = "{PATH}"' in table


def test_ctr_knows_the_option_that_names_it():
    assert "--runc-binary" in PAGE
    result = subprocess.run([need_program("ctr"), "run", "--help"], capture_output=True, text=True, check=True)
    assert "--runc-binary" in result.stdout


def test_kubernetes_objects_fit_each_other():
    runtime_class, pod = [yaml.safe_load(text) for text in blocks("Kubernetes", "yaml")]
    assert (runtime_class["apiVersion"], runtime_class["kind"]) == ("node.k8s.io/v1", "RuntimeClass")
    assert pod["spec"]["runtimeClassName"] == runtime_class["metadata"]["name"]
    assert f"runtimes.{runtime_class['handler']}]" in blocks("containerd", "toml")[0]
    assert f"runtimes.{runtime_class['handler']}]" in blocks("CRI-O", "toml")[0]


def test_crio_file_names_the_program():
    [text] = blocks("CRI-O", "toml")
    assert f'runtime_path = "{PATH}"' in text
    assert 'runtime_type = "oci"' in text
