# SPDX-License-Identifier: Apache-2.0
"""What the tests of image sources share: images in memory, and build/lib/image/image-dump as a fixture."""
import base64
import json
import os
import subprocess

import pytest

import images as I
from conftest import DEADLINE

LAYERS = [
    [I.directory("etc"), I.file("etc/hostname", "enclave\n"), I.file("bin/run", os.urandom(200000), mode=0o755)],
    [I.whiteout("etc/hostname"), I.file("data", b"x" * 300000)],
    [I.opaque("etc"), I.symlink("link", "data")],
]
CONFIG = {"Entrypoint": ["/bin/run"], "Cmd": ["--serve"], "Env": ["PATH=/bin", "A=b=c"], "WorkingDir": "/data",
          "User": "1000:1000", "StopSignal": "SIGQUIT", "ExposedPorts": {"6379/tcp": {}}, "Labels": {"a": "b"}}
TARS = [I.layer_tar(layer) for layer in LAYERS]
MIXED = I.image(LAYERS, CONFIG, compression=["gzip-members", "zstd-frames", "none"])
GZIP = I.image(LAYERS, CONFIG, compression="gzip")
ARM = I.image(LAYERS[:1], CONFIG, arch="arm64")


class Dump:
    """Runs image-dump with an environment that holds nothing of the machine's."""

    def __init__(self, build_dir, home):
        self.program = build_dir / "lib/image/image-dump"
        self.env = {"PATH": os.environ["PATH"], "HOME": str(home), "DOCKER_HOST": f"unix://{home}/no-engine"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]

    def run(self, *arguments, **env):
        return subprocess.run([str(self.program), "--first-pause-ms", "20", *map(str, arguments)], capture_output=True,
                              text=True, timeout=DEADLINE, env={**self.env, **env})

    def __call__(self, *arguments, **env):
        done = self.run(*arguments, **env)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def fails(self, *arguments, **env):
        """The error's text."""
        done = self.run(*arguments, **env)
        assert done.returncode == 1, done.stdout + done.stderr
        assert done.stdout == ""
        last = done.stderr.splitlines()[-1]
        assert last.startswith("image-dump: ")
        return last[len("image-dump: "):]


@pytest.fixture
def dump(build_dir, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    return Dump(build_dir, home)


def same(result, image):
    assert result["layers"] == image.diff_ids
    assert result["id"] == image.config_digest
    assert json.loads(result["config"]["raw"]) == image.config
    return True


def authfile(path, host, user, password):
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    return path
