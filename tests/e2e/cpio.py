# SPDX-License-Identifier: Apache-2.0
"""A writer and a reader of newc cpio archives (Documentation/driver-api/early-userspace/buffer-format.rst), independent
of the code under test: to make ramdisks by hand, and to look into ours."""
import dataclasses
import io
import stat

HEADER = 110
TRAILER = "TRAILER!!!"


@dataclasses.dataclass
class Entry:
    name: str
    mode: int
    data: bytes = b""
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    inode: int = 0
    nlink: int = 1
    rdev: tuple = (0, 0)


def file(name, data=b"", mode=0o644, **rest):
    return Entry(name, stat.S_IFREG | mode, data.encode() if isinstance(data, str) else data, **rest)


def directory(name, mode=0o755, **rest):
    return Entry(name, stat.S_IFDIR | mode, **rest)


def symlink(name, target, **rest):
    return Entry(name, stat.S_IFLNK | 0o777, target.encode(), **rest)


def _pad(n):
    return b"\0" * (-n % 4)


def _record(entry, inode):
    name = entry.name.encode() + b"\0"
    fields = (entry.inode or inode, entry.mode, entry.uid, entry.gid, entry.nlink, entry.mtime, len(entry.data), 0, 0,
              *entry.rdev, len(name), 0)
    header = b"070701" + b"".join(b"%08x" % field for field in fields)
    return header + name + _pad(HEADER + len(name)) + entry.data + _pad(len(entry.data))


def write(entries):
    """The archive with these entries, in this order."""
    out = io.BytesIO()
    for i, entry in enumerate(entries):
        out.write(_record(entry, i + 1))
    out.write(_record(Entry(TRAILER, 0), 0))
    return out.getvalue()


def read(archive):
    """The entries of an archive."""
    at = 0
    entries = []
    while True:
        header = archive[at:at + HEADER]
        if len(header) < HEADER or header[:6] != b"070701":
            raise ValueError(f"no cpio header at byte {at}")
        (inode, mode, uid, gid, nlink, mtime, size, _, _, major, minor, name_size, _) = (
            int(header[6 + 8 * i:14 + 8 * i], 16) for i in range(13))
        name_at = at + HEADER
        data_at = name_at + name_size + (-(HEADER + name_size) % 4)
        name = archive[name_at:name_at + name_size - 1].decode()
        if name == TRAILER:
            return entries
        entries.append(Entry(name, mode, archive[data_at:data_at + size], uid, gid, mtime, inode, nlink,
                             (major, minor)))
        at = data_at + size + (-size % 4)
