# SPDX-License-Identifier: Apache-2.0
"""Every malformed layer is refused with a message that names layer, entry and cause."""
import importlib.util
import re
import subprocess

import pytest

from conftest import ROOT

IMAGE = ROOT / "lib/image"
spec = importlib.util.spec_from_file_location("make_bad_layers", IMAGE / "make-bad-layers.py")
maker = importlib.util.module_from_spec(spec)
spec.loader.exec_module(maker)


def dump(build_dir, path):
    return subprocess.run([str(build_dir / "lib/image/tree-dump"), "stats", str(path)], capture_output=True, timeout=60)


@pytest.mark.parametrize("name", maker.BAD)
def test_bad_layer(build_dir, tmp_path, name):
    content, message = maker.BAD[name]
    path = IMAGE / "bad/layer" / (name + ".tar")
    if len(content) > maker.STORED_MAX:
        path = tmp_path / "layer.tar"
        path.write_bytes(content)
    assert path.read_bytes() == content, "run lib/image/make-bad-layers.py"
    result = dump(build_dir, path)
    if message is None:
        assert result.returncode == 0, result.stderr
        return
    text = result.stderr.decode()
    assert result.returncode == 1
    assert text.startswith(f"tree-dump: layer 1 ({path}): ")
    assert message in text or re.search(message, text), text


@pytest.mark.parametrize("name", maker.GOOD)
def test_good_layer(build_dir, name):
    path = IMAGE / "corpus/layer" / (name + ".tar")
    assert path.read_bytes() == maker.GOOD[name], "run lib/image/make-bad-layers.py"
    result = dump(build_dir, path)
    assert result.returncode == 0, result.stderr
