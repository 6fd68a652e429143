#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seed inputs of fuzz-archive.c and fuzz-resolve.c, corpus/ and bad/: archives of images, and what a registry
sends.  The format of the second is described at the top of that file."""

import hashlib
import importlib
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))
layers = importlib.import_module("make-bad-layers")

OCI = "application/vnd.oci.image."
LAYER = layers.file(b"etc/motd", b"hello") + layers.END
DIFF_ID = "sha256:" + hashlib.sha256(LAYER).hexdigest()


def config(diff_ids=(DIFF_ID,), architecture="amd64", **rest):
    return json.dumps({"architecture": architecture, "os": "linux", "config": {"Cmd": ["sh"]},
                       "rootfs": {"type": "layers", "diff_ids": list(diff_ids)}, **rest})


def tar(*members):
    return b"".join(layers.file(name, content) for name, content in members) + layers.END


def saved(entries, *members):
    """What `docker save` writes."""
    return tar((b"manifest.json", json.dumps(entries).encode()), *members)


def described(blob, kind, **rest):
    return {"mediaType": OCI + kind, "digest": "sha256:" + hashlib.sha256(blob).hexdigest(), "size": len(blob), **rest}


def layout():
    """An OCI layout in a tar."""
    blobs = [config().encode(), LAYER]
    manifest = json.dumps({"schemaVersion": 2, "config": described(blobs[0], "config.v1+json"),
                           "layers": [described(LAYER, "layer.v1.tar")]}).encode()
    index = json.dumps({"schemaVersion": 2, "manifests": [described(
        manifest, "manifest.v1+json", annotations={"org.opencontainers.image.ref.name": "latest"})]}).encode()
    return tar((b"oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), (b"index.json", index),
               *((b"blobs/sha256/" + hashlib.sha256(blob).hexdigest().encode(), blob) for blob in [manifest, *blobs]))


def blob(n, kind, **rest):
    """A descriptor of the nth text."""
    return f'{{"mediaType":"{OCI}{kind}","digest":"sha256:{str(n) * 64}","size":{str(n) * 6}' + "".join(
        f',"{key}":{json.dumps(value)}' for key, value in rest.items()) + "}"


def manifest(config_at, *layers_at):
    return '{"schemaVersion":2,"config":%s,"layers":[%s]}' % (
        blob(config_at, "config.v1+json"), ",".join(blob(at, "layer.v1.tar+gzip") for at in layers_at))


def index(*entries):
    return '{"schemaVersion":2,"manifests":[%s]}' % ",".join(entries)


def sent(kind, *texts):
    return "\0".join([OCI + kind, *texts]).encode()


AMD64 = {"platform": {"os": "linux", "architecture": "amd64"}}
ARM64 = {"platform": {"os": "linux", "architecture": "arm64"}}
NAMED = hashlib.sha256(config().encode()).hexdigest()
GOOD = [{"Config": "c.json", "RepoTags": ["a:latest"], "Layers": ["l/layer.tar"]}]
MEMBERS = (b"c.json", config().encode()), (b"l/layer.tar", LAYER)

INPUTS = {
    "corpus/archive": {
        "one-image": saved(GOOD, *MEMBERS),
        "config-named-by-its-digest": saved([{**GOOD[0], "Config": f"{NAMED}.json"}],
                                            (f"{NAMED}.json".encode(), config().encode()), MEMBERS[1]),
        "two-images": saved([*GOOD, {"Config": "c.json", "RepoTags": ["b:1"], "Layers": ["l/layer.tar"]}], *MEMBERS),
        "without-tags": saved([{**GOOD[0], "RepoTags": None}], *MEMBERS),
        "oci-layout": layout(),
    },
    "bad/archive": {
        "config-is-missing": saved(GOOD, MEMBERS[1]),
        "layer-is-missing": saved(GOOD, MEMBERS[0]),
        "config-of-another-digest": saved([{**GOOD[0], "Config": f"{NAMED}.json"}],
                                          (f"{NAMED}.json".encode(), config(author="x").encode()), MEMBERS[1]),
        "more-layers-than-diff-ids": saved([{**GOOD[0], "Layers": ["l/layer.tar"] * 2}], *MEMBERS),
        "fewer-layers-than-diff-ids": saved([{**GOOD[0], "Layers": []}], *MEMBERS),
        "other-architecture": saved(GOOD, (b"c.json", config(architecture="arm64").encode()), MEMBERS[1]),
        "config-outside": saved([{**GOOD[0], "Config": "../c.json"}], *MEMBERS),
        "before-docker-1.10": tar((b"repositories", b"{}")),
        "neither": tar((b"x", b"y")),
        "layout-without-index": tar((b"oci-layout", b'{"imageLayoutVersion":"1.0.0"}')),
    },
    "corpus/resolve": {
        "manifest": sent("manifest.v1+json", manifest(2, 3), config()),
        "index": sent("index.v1+json", index(blob(2, "manifest.v1+json", **ARM64), blob(3, "manifest.v1+json", **AMD64)),
                      "{}", manifest(4, 5), config()),
        "index-in-index": sent("index.v1+json", index(blob(2, "index.v1+json")),
                               index(blob(3, "manifest.v1+json", **AMD64)), manifest(4, 5), config()),
        "no-layers": sent("manifest.v1+json", manifest(2), config([])),
        "variants": sent("index.v1+json", index(
            blob(2, "manifest.v1+json", platform={"os": "linux", "architecture": "amd64", "variant": "v3"}),
            blob(3, "manifest.v1+json", platform={"os": "linux", "architecture": "amd64", "variant": "v1"})),
            manifest(4), manifest(4), config([])),
    },
    "bad/resolve": {
        "nests-too-deep": sent("index.v1+json", *(index(blob(n, "index.v1+json")) for n in range(2, 10))),
        "other-architecture": sent("manifest.v1+json", manifest(2, 3), config(architecture="arm64")),
        "none-of-this-architecture": sent("index.v1+json", index(blob(2, "manifest.v1+json", **ARM64)), manifest(3), config([])),
        "config-of-another-size": sent("manifest.v1+json", manifest(2, 3).replace('":222222', '":17'), config()),
        "config-is-missing": sent("manifest.v1+json", manifest(7, 3), config()),
        "layers-and-diff-ids-differ": sent("manifest.v1+json", manifest(2), config()),
        "root-of-unknown-type": sent("x", manifest(2, 3), config()),
    },
}

for folder, files in INPUTS.items():
    (HERE / folder).mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (HERE / folder / name).write_bytes(content)
