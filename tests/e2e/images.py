# SPDX-License-Identifier: Apache-2.0
"""Builders of small container images for tests, independent of the code under test.

A layer is a list of entries (file(), directory(), symlink(), ...).  An image is a list of layers plus a configuration;
write_oci_layout(), write_oci_archive() and write_docker_archive() put it on disk and return what they wrote, so that
a test can compare digests.
"""
import dataclasses
import gzip
import hashlib
import io
import json
import os
import tarfile

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"

EPOCH = 1700000000


@dataclasses.dataclass
class Entry:
    """One member of a layer's tar."""
    name: str
    type: bytes = tarfile.REGTYPE
    data: bytes = b""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: int = EPOCH
    linkname: str = ""
    devmajor: int = 0
    devminor: int = 0
    pax: dict = dataclasses.field(default_factory=dict)


def file(name, data=b"", mode=0o644, **rest):
    return Entry(name, data=data.encode() if isinstance(data, str) else data, mode=mode, **rest)


def directory(name, mode=0o755, **rest):
    return Entry(name, type=tarfile.DIRTYPE, mode=mode, **rest)


def symlink(name, target, **rest):
    return Entry(name, type=tarfile.SYMTYPE, linkname=target, mode=0o777, **rest)


def hardlink(name, target, **rest):
    return Entry(name, type=tarfile.LNKTYPE, linkname=target, **rest)


def device(name, kind, major, minor, mode=0o600, **rest):
    """kind: "c" or "b"."""
    return Entry(name, type=tarfile.CHRTYPE if kind == "c" else tarfile.BLKTYPE, mode=mode,
                 devmajor=major, devminor=minor, **rest)


def fifo(name, mode=0o644, **rest):
    return Entry(name, type=tarfile.FIFOTYPE, mode=mode, **rest)


def whiteout(name):
    """Removes `name` of the layers below."""
    head, tail = os.path.split(name)
    return Entry(os.path.join(head, ".wh." + tail), mode=0)


def opaque(name):
    """Hides everything that the layers below have in folder `name`."""
    return Entry(os.path.join(name, ".wh..wh..opq"), mode=0)


def with_xattrs(entry, **xattrs):
    """The entry with extended attributes: with_xattrs(e, **{"security.capability": b"..."})."""
    for name, value in xattrs.items():
        entry.pax["SCHILY.xattr." + name] = value.decode("utf-8", "surrogateescape")
    return entry


def layer_tar(entries, format=tarfile.PAX_FORMAT):
    """The uncompressed tar of a layer."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format, errors="surrogateescape") as tar:
        for entry in entries:
            info = tarfile.TarInfo(entry.name)
            for member in ("type", "mode", "uid", "gid", "mtime", "linkname", "devmajor", "devminor"):
                setattr(info, member, getattr(entry, member))
            info.pax_headers = dict(entry.pax)
            info.size = len(entry.data) if entry.type == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(entry.data))
    return out.getvalue()


def compress(data, how):
    """how: "gzip", "gzip-members" (several members), "zstd", "zstd-frames" or "none"."""
    if how == "none":
        return data
    if how == "gzip":
        return gzip.compress(data, mtime=0)
    if how == "gzip-members":
        step = max(1, len(data) // 3)
        return b"".join(gzip.compress(data[at:at + step], mtime=0) for at in range(0, len(data), step))
    import zstandard
    if how == "zstd":
        return zstandard.ZstdCompressor().compress(data)
    if how == "zstd-frames":
        step = max(1, len(data) // 3)
        return b"".join(zstandard.ZstdCompressor().compress(data[at:at + step])
                        for at in range(0, len(data), step))
    raise ValueError(how)


SUFFIX = {"none": "", "gzip": "+gzip", "gzip-members": "+gzip", "zstd": "+zstd", "zstd-frames": "+zstd"}


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def json_bytes(value):
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


@dataclasses.dataclass
class Image:
    """An image in memory: blobs by digest, and what a test wants to compare."""
    blobs: dict
    manifest: dict
    manifest_digest: str
    config: dict
    config_digest: str
    layer_digests: list
    diff_ids: list
    architecture: str

    def descriptor(self, tag=None):
        d = {"mediaType": self.manifest["mediaType"], "digest": self.manifest_digest,
             "size": len(self.blobs[self.manifest_digest]),
             "platform": {"architecture": self.architecture, "os": "linux"}}
        if tag is not None:
            d["annotations"] = {"org.opencontainers.image.ref.name": tag}
        return d


def image(layers, config=None, arch="amd64", compression="gzip", tars=None, docker_types=False, history=True):
    """Builds an image.  layers: lists of entries (or raw tar bytes in `tars`); config: the members of "config" in
    the image configuration (Entrypoint, Cmd, Env, ...); compression: one name or one per layer."""
    tars = [layer_tar(entries) for entries in layers] if tars is None else tars
    hows = [compression] * len(tars) if isinstance(compression, str) else compression
    blobs, descriptors = {}, []
    for tar, how in zip(tars, hows):
        blob = compress(tar, how)
        blobs[sha256(blob)] = blob
        descriptors.append({"mediaType": DOCKER_LAYER if docker_types else OCI_LAYER + SUFFIX[how],
                            "digest": sha256(blob), "size": len(blob)})
    full = {"architecture": arch, "os": "linux", "created": "2023-11-14T22:13:20Z", "config": config or {},
            "rootfs": {"type": "layers", "diff_ids": [sha256(tar) for tar in tars]}}
    if history:
        full["history"] = [{"created": "2023-11-14T22:13:20Z", "created_by": "test"} for _ in tars]
    raw = json_bytes(full)
    blobs[sha256(raw)] = raw
    manifest = {"schemaVersion": 2, "mediaType": DOCKER_MANIFEST if docker_types else OCI_MANIFEST,
                "config": {"mediaType": DOCKER_CONFIG if docker_types else OCI_CONFIG, "digest": sha256(raw),
                           "size": len(raw)},
                "layers": descriptors}
    raw_manifest = json_bytes(manifest)
    blobs[sha256(raw_manifest)] = raw_manifest
    return Image(blobs, manifest, sha256(raw_manifest), full, sha256(raw), [d["digest"] for d in descriptors],
                 list(full["rootfs"]["diff_ids"]), arch)


def index_of(images, nested=None, docker_types=False):
    """(bytes, digest, descriptor) of an index over images of several architectures."""
    value = {"schemaVersion": 2, "mediaType": DOCKER_LIST if docker_types else OCI_INDEX,
             "manifests": [one.descriptor() for one in images] + list(nested or [])}
    raw = json_bytes(value)
    return raw, sha256(raw), {"mediaType": value["mediaType"], "digest": sha256(raw), "size": len(raw)}


def write_oci_layout(path, images, index=None):
    """Writes a layout.  images: one Image, a {tag: Image} dict, or a list of Images without tags.  index: members
    of index.json's "manifests" that replace the ones made from `images`; its blobs are the caller's."""
    if isinstance(images, Image):
        images = {"latest": images}
    pairs = list(images.items()) if isinstance(images, dict) else [(None, one) for one in images]
    os.makedirs(os.path.join(path, "blobs/sha256"), exist_ok=True)
    for _, one in pairs:
        for digest, blob in one.blobs.items():
            write_blob(path, blob, digest)
    with open(os.path.join(path, "oci-layout"), "w") as out:
        out.write('{"imageLayoutVersion":"1.0.0"}')
    manifests = index if index is not None else [one.descriptor(tag) for tag, one in pairs]
    with open(os.path.join(path, "index.json"), "wb") as out:
        out.write(json_bytes({"schemaVersion": 2, "manifests": manifests}))
    return path


def write_blob(path, blob, digest=None):
    """Puts a blob into a layout, under its own digest or (to be wrong) another one."""
    digest = digest or sha256(blob)
    with open(os.path.join(path, "blobs", *digest.split(":")), "wb") as out:
        out.write(blob)
    return digest


def write_tar(path, members):
    """A tar of {name: bytes} plus, for a value that is a str, a symlink to it."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(data, str):
                info.type, info.linkname = tarfile.SYMTYPE, data
                tar.addfile(info)
            else:
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return path


def write_oci_archive(path, images, index=None):
    """As write_oci_layout, into one tar file."""
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        write_oci_layout(folder, images, index)
        with tarfile.open(path, "w") as tar:
            for name in ("oci-layout", "index.json", "blobs"):
                tar.add(os.path.join(folder, name), arcname=name)
    return path


def docker_archive_members(images, tars, links=False):
    """The members of what `docker save` of old engines writes.  images: {name or None: Image}; tars: {name: list of
    tars}.  links: a layer that came before becomes a symlink to it."""
    members, manifest, seen = {}, [], {}
    for at, (name, one) in enumerate(images.items()):
        layers = []
        for number, tar in enumerate(tars[name]):
            folder = hashlib.sha256(b"%d-%d" % (at, number)).hexdigest()
            layers.append(folder + "/layer.tar")
            digest = sha256(tar)
            if links and digest in seen:
                members[layers[-1]] = "../" + seen[digest]
            else:
                members[layers[-1]] = tar
                seen.setdefault(digest, layers[-1])
        config = one.config_digest.split(":")[1] + ".json"
        members[config] = one.blobs[one.config_digest]
        manifest.append({"Config": config, "RepoTags": [name] if name else None, "Layers": layers})
    members["manifest.json"] = json_bytes(manifest)
    return members


def write_docker_archive(path, images, tars, links=False):
    """Writes docker_archive_members() to `path`."""
    return write_tar(path, docker_archive_members(images, tars, links))
