#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes bad/layer/: tars that no honest layer is, each named for its defect, with the message that must say so; and
corpus/layer/: small good ones.  `make-bad-layers.py` writes the files; tests/e2e/test_bad_layers.py imports BAD."""

import pathlib

HERE = pathlib.Path(__file__).resolve().parent
BLOCK = 512
STORED_MAX = 16384  # larger ones are made by the test


def octal(value, size):
    return f"{value:0{size - 1}o}".encode() + b"\0"


def header(name, kind=b"0", size=0, link=b"", mode=0o644, uid=0, gid=0, major=0, minor=0, magic=b"ustar\x0000", prefix=b""):
    """One header block; name and link are bytes of at most 100."""
    block = bytearray(BLOCK)

    def put(at, value):
        block[at:at + len(value)] = value
    put(0, name)
    put(100, octal(mode, 8))
    put(108, uid if isinstance(uid, bytes) else octal(uid, 8))
    put(116, gid if isinstance(gid, bytes) else octal(gid, 8))
    put(124, size if isinstance(size, bytes) else octal(size, 12))
    put(136, octal(1700000000, 12))
    put(156, kind)
    put(157, link)
    put(257, magic)
    put(329, octal(major, 8))
    put(337, octal(minor, 8))
    put(345, prefix)
    put(148, b" " * 8)
    put(148, f"{sum(block):06o}\0 ".encode())
    return bytes(block)


def changed(entry, at, value):
    """An entry with other bytes in one place of its header."""
    block = bytearray(entry[:BLOCK])
    block[at:at + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    return bytes(block) + entry[BLOCK:]


def pad(data):
    return data + b"\0" * (-len(data) % BLOCK)


def file(name, data=b"", **rest):
    return header(name, size=len(data), **rest) + pad(data)


def pax(*records, raw=None):
    """A PAX header with (key, value) records, or with `raw` as its body."""
    body = b""
    for key, value in records:
        rest = b" " + key + b"=" + value + b"\n"
        length = len(rest)
        while len(str(length)) + len(rest) != length:
            length = len(str(length)) + len(rest)
        body += str(length).encode() + rest
    body = raw if raw is not None else body
    return header(b"pax", b"x", len(body)) + pad(body)


def long_name(kind, name):
    return header(b"././@LongLink", kind, len(name), magic=b"ustar  \0") + pad(name)


def base256(value):
    return b"\x80" + value.to_bytes(7, "big")


END = b"\0" * 2 * BLOCK
SPARSE = (b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0")


def sparse(size, sparse_map, data, stored=None):
    """A PAX 1.0 sparse file."""
    text = b"".join(f"{n}\n".encode() for n in [len(sparse_map)] + [x for piece in sparse_map for x in piece])
    body = pad(text) + data
    return pax(*SPARSE, (b"GNU.sparse.name", b"s"), (b"GNU.sparse.realsize", str(size).encode())) + \
        header(b"GNUSparse/s", size=stored or len(body)) + pad(body)


# name: (content, what the message must contain)
BAD = {
    "name-escapes-by-dotdot": (file(b"a/../../etc/x") + END, r"a/../../etc/x: the name escapes the root by '..'"),
    "name-dotdot-inside": (file(b"a/../b") + END, r"a/../b: the name escapes the root by '..'"),
    "pax-name-escapes": (pax((b"path", b"../x")) + file(b"x") + END, r"../x: the name escapes the root by '..'"),
    "gnu-name-escapes": (long_name(b"L", b"../x\0") + file(b"x") + END, r"../x: the name escapes the root by '..'"),
    "hard-link-escapes": (file(b"x") + header(b"l", b"1", link=b"../x") + END,
                          r"l: the target of the hard link: the name escapes the root by '..'"),
    "hard-link-to-nothing": (header(b"l", b"1", link=b"x") + END, r"l: the hard link's target x is not in the image"),
    "hard-link-forward": (header(b"l", b"1", link=b"x") + file(b"x") + END,
                          r"l: the hard link's target x is not in the image"),
    "hard-link-to-folder": (header(b"d", b"5") + header(b"l", b"1", link=b"d") + END,
                            r"l: the hard link's target d is a folder"),
    "hard-link-without-target": (header(b"l", b"1") + END, r"l: a hard link without target"),
    "hard-link-as-root": (file(b"x") + header(b"./", b"1", link=b"x") + END, r"/: the root must be a folder"),
    "symlink-without-target": (header(b"l", b"2") + END, r"l: a symbolic link without target"),
    "symlink-target-too-long": (long_name(b"K", b"t" * 4096 + b"\0") + header(b"l", b"2", link=b"t", magic=b"ustar  \0") + END,
                                r"l: the target of the symbolic link has more than 4095 bytes"),
    "symlink-loop-as-folder": (header(b"a", b"2", link=b"b") + header(b"b", b"2", link=b"a") + file(b"a/x") + END,
                               r"a/x: too many symbolic links"),
    "whiteout-with-empty-name": (file(b"d/.wh.") + END, r"d/.wh.: a whiteout with an empty name"),
    "whiteout-of-dot": (file(b".wh..") + END, r".wh..: a whiteout of '.'"),
    "whiteout-of-dotdot": (file(b".wh...") + END, r".wh...: a whiteout of '..'"),
    "below-a-whiteout": (file(b"d/.wh.x/y") + END, r"d/.wh.x/y: lies below a whiteout"),
    "root-as-file": (file(b"./") + END, r"./: a folder by its name and a file by its type"),
    "root-as-old-folder": (header(b"./", b"\0") + END, None),  # to all readers the slash makes a folder of it
    "root-as-symlink": (header(b".", b"2", link=b"x") + END, r"/: the root must be a folder"),
    "path-through-file": (file(b"f", b"x") + file(b"f/x") + END, r"f/x: the path leads through f, which is not a folder"),
    "path-through-symlink-to-file": (file(b"f") + header(b"l", b"2", link=b"f") + file(b"l/x") + END,
                                     r"l/x: the path leads through f, which is not a folder"),
    "component-too-long": (pax((b"path", b"n" * 256)) + file(b"x") + END, r"a part of the name has 256 bytes, more than 255"),
    "name-too-long": (pax((b"path", b"/".join([b"n" * 200] * 21))) + file(b"x") + END, r"the name has more than 4095 bytes"),
    "name-too-deep": (pax((b"path", b"/".join([b"n"] * 1025))) + file(b"x") + END, r"the name has more than 1024 parts"),
    "name-with-nul": (pax((b"path", b"etc/x\0.png")) + file(b"x") + END, r"a name in the PAX header holds a NUL byte"),
    "link-name-with-nul": (pax((b"linkpath", b"x\0y")) + header(b"l", b"2", link=b"x") + END,
                           r"l: a name in the PAX header holds a NUL byte"),
    "sparse-name-with-nul": (pax(*SPARSE, (b"GNU.sparse.name", b"etc/s\0.png"), (b"GNU.sparse.realsize", b"0")) +
                             file(b"GNUSparse/s", b"0\n".ljust(BLOCK, b"\0")) + END,
                             r"a name in the PAX header holds a NUL byte"),
    "gnu-name-with-nul": (long_name(b"L", b"a\0b\0") + file(b"x") + END, r"a GNU long name holds a NUL byte"),
    "unknown-type": (header(b"x", b"Z") + END, r"x: entry type 'Z' is not supported"),
    "multi-volume": (header(b"x", b"M", magic=b"ustar  \0") + END, r"x: entry type 'M' is not supported"),
    "type-unprintable": (file(b"a") + header(b"x", b"\x80") + END, r"x: entry type 0x80 is not supported"),
    "uid-no-id": (header(b"x", uid=base256(0xffffffff)) + END, r"x: its user id is 4294967295, which is no id"),
    "gid-negative": (pax((b"gid", b"-1")) + file(b"x") + END, r"x: its group id is -1, which is no id"),
    "device-out-of-range": (header(b"n", b"3", major=4096) + END, r"n: device number 4096:0 is out of range"),
    "device-minor-out-of-range": (header(b"n", b"4", minor=1 << 20) + END, r"n: device number 0:1048576 is out of range"),
    "truncated-in-header": (file(b"a") + file(b"x")[:300], r"damaged or truncated at byte 512"),
    "truncated-in-file": (file(b"d/x", b"x" * 3000)[:1500], r"d/x: the layer is truncated: it ends at byte 1500, the file at byte 3512"),
    "truncated-in-pax": (pax((b"path", b"p" * 600))[:900], r"truncated"),
    "truncated-in-sparse": (sparse(100_000, [(0, 4096), (50_000, 4096)], b"d" * 8192)[:6000], r"s: the layer is truncated: it ends at byte 6000, inside a sparse file"),
    "checksum-wrong": (file(b"a") + b"?" + file(b"x")[1:] + END, r"damaged or truncated at byte 512: Damaged tar archive"),
    "not-a-tar": (b"This is no tar at all. " * 100, r"is not a tar archive"),
    "size-overflow": (header(b"x", size=b"\x80" + b"\xff" * 11) + END, r"damaged or truncated"),
    "size-past-the-end": (header(b"x", size=b"77777777777\0") + END, r"x: the layer is truncated: it ends at byte 1536"),
    "pax-record-length-wrong": (pax(raw=b"999 path=x\n") + file(b"x") + END, r"malformed"),
    "pax-record-length-zero": (pax(raw=b"0 path=x\n") + file(b"x") + END, r"malformed"),
    "pax-record-without-newline": (pax(raw=b"8 path=x") + file(b"x") + END, r"malformed"),
    "pax-record-without-equals": (pax(raw=b"7 path\n") + file(b"x") + END, r"damaged or truncated"),
    "pax-header-too-large": (header(b"pax", b"x", 1 << 21) + END, r"damaged or truncated at byte 0"),
    "pax-header-alone": (pax((b"path", b"x")) + END, r"damaged or truncated at byte 0"),
    "too-many-special-headers": (header(b"pax", b"g") * 40 + file(b"x") + END, r"damaged or truncated at byte 0: Too many special headers"),
    "sparse-map-out-of-order": (sparse(100_000, [(50_000, 4096), (0, 4096)], b"d" * 8192) + END,
                                r"s: the map of the sparse file is out of order"),
    "sparse-map-overlaps": (sparse(100_000, [(0, 4096), (4000, 4096)], b"d" * 8192) + END,
                            r"s: the map of the sparse file is out of order"),
    "sparse-map-past-the-end": (sparse(5000, [(0, 4096), (4096, 4096)], b"d" * 8192) + END,
                                r"s: the map of the sparse file is out of order"),
    "sparse-map-lies-about-size": (sparse(100_000, [(0, 4096)], b"d" * 8192) + file(b"x") + END, r"damaged or truncated|expected at"),
    # What readers of the field take for different trees: Go's archive/tar, Python's tarfile and libarchive.
    "hard-link-with-data": (file(b"a") + pax((b"mtime", b"1")) + header(b"l", b"1", 1024, link=b"a") + file(b"hidden", b"x") + END,
                            r"l: a hard link with data of its own"),
    "pax-size-empty": (pax((b"size", b"")) + header(b"f", size=1024) + file(b"hidden", b"x") + END,
                       r'f: "size" in the PAX header is no number'),
    "pax-size-no-number": (pax((b"size", b"0x400")) + header(b"f", size=1024) + file(b"hidden", b"x") + END,
                           r'f: "size" in the PAX header is no number'),
    "pax-uid-empty": (pax((b"uid", b"")) + header(b"f", uid=1000) + END, r'f: "uid" in the PAX header is no number'),
    "pax-gid-empty": (pax((b"gid", b"")) + header(b"f", gid=1000) + END, r'f: "gid" in the PAX header is no number'),
    "pax-and-gnu-name": (pax((b"path", b"one")) + long_name(b"L", b"two\0") + file(b"f") + END,
                         r"a PAX header and a GNU long name both name it"),
    "pax-and-gnu-link": (pax((b"linkpath", b"one")) + long_name(b"K", b"two\0") + header(b"l", b"2", link=b"t") + END,
                         r"l: a PAX header and a GNU long name both name it"),
    "folder-with-data": (header(b"d/", size=1024) + file(b"hidden", b"x") + END,
                         r"d/: a folder by its name and a file by its data"),
    "gnu-name-for-time": (header(b"f", magic=b"ustar  \0", prefix=b"a/long/folder") + END,
                          r"f: part of its name stands where the GNU format has a time"),
    "xattr-without-name": (pax((b"SCHILY.xattr.", b"v")) + file(b"x") + END,
                           r"x: an extended attribute has an empty or overlong name"),
    "xattr-name-too-long": (pax((b"SCHILY.xattr.user." + b"n" * 300, b"v")) + file(b"x") + END,
                            r"x: an extended attribute has an empty or overlong name"),
    "xattr-too-large": (pax((b"SCHILY.xattr.user.x", b"v" * 65537)) + file(b"x") + END,
                        r"x: extended attribute user.x has 65537 bytes, more than 65536"),
    "xattrs-too-large": (pax(*[(b"SCHILY.xattr.user.%d" % i, b"v" * 65000) for i in range(5)]) + file(b"x") + END,
                         r"x: its extended attributes have more than 262144 bytes"),
    # What follows was found by asking Go's reader as well, which is Docker's: each was another tree to it.
    "size-behind-a-nul": (changed(header(b"f"), 124, b"\0" b"0000000034\0") + pad(b"x" * 28) + END,
                          r"f: its header's size is not written as a number that every reader takes for the same"),
    "mode-behind-a-nul": (changed(header(b"f"), 100, b"\0" b"000755\0") + END, r"f: its header's mode is not written as"),
    "owner-behind-a-nul": (header(b"f", uid=b"\0\0\0\0" b"005\0") + END, r"f: its header's user id is not written as"),
    "time-with-a-tail": (file(b"a") + changed(header(b"f"), 136, b"0000001\0 777") + END,
                         r"f: its header's time is not written as"),
    "device-behind-a-nul": (changed(header(b"n", b"3"), 329, b"\0" b"000005\0") + END,
                            r"n: its header's device's number is not written as"),
    "mode-negative": (changed(header(b"f"), 100, b"\xff" * 6 + b"\x01\xed") + END, r"f: its header's mode is not written as"),
    "pax-header-size-with-a-tail": (file(b"a") + changed(pax((b"path", b"g")), 124, b"000000011\0" b"9\0") + file(b"f") + END,
                                    r"an extended header's size is not written as"),
    "two-sizes": (changed(header(b"f", size=600, magic=b"ustar  \0"), 483, b"00000001750\0") + pad(b"x" * 600) + END,
                  r"f: its header has two sizes, and readers differ in which counts"),
    "gnu-name-for-second-time": (changed(header(b"f", magic=b"ustar  \0", prefix=b"14512345670\0"), 357, b"a/folder") + END,
                                 r"f: part of its name stands where the GNU format has a time"),
    "format-unknown": (header(b"f", magic=b"ustar   ", prefix=b"d") + END, r"f: its header is of no format that every reader"),
    "star-name": (changed(header(b"f", prefix=b"d" * 140), 508, b"tar\0") + END,
                  r"f: its name is longer than the format of star has room for"),
    "file-with-slash": (file(b"f/") + END, r"f/: a folder by its name and a file by its type"),
    "pax-name-empty": (pax((b"path", b"")) + file(b"f") + END, r"a name in the PAX header is empty"),
    "pax-link-empty": (pax((b"linkpath", b"")) + header(b"l", b"2", link=b"t") + END, r"a name in the PAX header is empty"),
    "pax-time-no-number": (pax((b"mtime", b"9x9.5")) + file(b"f") + END, r"f: \"mtime\" in the PAX header is no time"),
    "pax-time-fraction-no-number": (pax((b"mtime", b"9.5x")) + file(b"f") + END,
                                    r"f: \"mtime\" in the PAX header is no time"),
    "gnu-name-empty": (long_name(b"L", b"\0\0") + file(b"f") + END, r"a GNU long name is empty"),
    "pax-of-solaris": (file(b"a") + changed(pax((b"path", b"other")), 156, b"X") + file(b"f") + END,
                       r"entry type 'X' is not supported"),
    "pax-twice": (long_name(b"K", b"one\0") + pax((b"mtime", b"4")) + pax((b"mtime", b"5")) + header(b"l", b"2", link=b"t") +
                  END, r"l: two headers of type 'x'"),
    "gnu-name-twice": (long_name(b"L", b"one\0") + long_name(b"L", b"two\0") + file(b"f") + END,
                       r"two: two headers of type 'L'"),
    "gnu-link-twice": (long_name(b"K", b"one\0") + long_name(b"K", b"two\0") + header(b"l", b"2", link=b"t") + END,
                       r"l: two headers of type 'K'"),
    "global-pax-between": (pax((b"path", b"other")) + header(b"g", b"g", 12) + pad(b"12 comment=x") + file(b"f") + END,
                           r"a header of type 'g' between it and another of its headers"),
    "label-between": (long_name(b"L", b"other\0") + header(b"v", b"V") + file(b"f") + END,
                      r"a header of type 'V' between it and another of its headers"),
    "label-with-size": (header(b"v", b"V", 600) + file(b"f", b"x" * 600) + END, r"a volume's label with data"),
    "sparse-of-star": (pax((b"SCHILY.realsize", b"5")) + file(b"f") + END, r"f: holes described by SCHILY.realsize"),
    "sparse-half-described": (pax((b"GNU.sparse.name", b"other")) + file(b"f") + END,
                              r"its PAX header describes half of a sparse file"),
    "sparse-size-alone": (pax((b"GNU.sparse.size", b"1000")) + file(b"f") + END,
                          r"f: its PAX header describes half of a sparse file"),
    "sparse-version-half": (pax(*SPARSE[:1], (b"GNU.sparse.realsize", b"5")) + file(b"f", pad(b"0\n")) + END,
                            r"f: its PAX header describes half of a sparse file"),
    "sparse-size-no-number": (pax(*SPARSE, (b"GNU.sparse.realsize", b"5x")) + file(b"f", pad(b"0\n")) + END,
                              r"f: \"GNU.sparse.realsize\" in the PAX header is no number"),
    "sparse-map-behind-a-nul": (changed(changed(header(b"s", b"S", 5, magic=b"ustar  \0"), 386, b"\0000000000" b"5\0" +
                                                octal(5, 12)), 483, octal(10, 12)) + pad(b"hello") + END,
                                r"s: its map of holes isn't written in numbers that every reader"),
    "sparse-size-behind-a-nul": (changed(header(b"s", b"S", magic=b"ustar  \0"), 483, b"\0" b"0000001750\0") + END,
                                 r"s: its map of holes isn't written in numbers that every reader"),
    "sparse-outside-of-gnu": (header(b"s", b"S") + END, r"s: a sparse file whose header isn't in the GNU format"),
}

# name: content; inputs of the fuzzer
GOOD = {
    "files-and-links": header(b"d/", b"5", mode=0o755) + file(b"d/f", b"hello") + header(b"d/l", b"2", link=b"f") +
    header(b"d/h", b"1", link=b"d/f") + header(b"d/n", b"3", major=1, minor=3) + header(b"d/p", b"6") + END,
    "markers": file(b"d/x", b"1") + file(b"d/.wh.x") + file(b"e/.wh..wh..opq") + file(b"e/y", b"2") +
    file(b".wh..wh.aufs") + END,
    "pax": pax((b"path", b"p" * 120), (b"mtime", b"1.5"), (b"uid", b"3000000000"), (b"SCHILY.xattr.user.x", b"v")) +
    file(b"p", b"x") + END,
    "gnu-long": long_name(b"L", b"l" * 150 + b"\0") + long_name(b"K", b"k" * 150 + b"\0") +
    header(b"l", b"2", link=b"k", magic=b"ustar  \0") + END,
    "sparse": sparse(10_000, [(0, 512), (5000, 512)], b"d" * 1024) + file(b"x") + END,
    "through-symlinks": header(b"usr/lib/", b"5") + header(b"lib", b"2", link=b"/usr/lib") + file(b"lib/x", b"1") +
    header(b"h", b"1", link=b"lib/x") + header(b"usr/lib/up", b"2", link=b"../..") + file(b"lib/up/y") + END,
    "users": header(b"etc/", b"5") + file(b"etc/passwd", b"root:x:0:0:r:/root:/bin/sh\nu:x:5:6::/h:\nbad\n") +
    file(b"etc/group", b"root:x:0:\ng:x:7:u,v\nh:x:8:u\n") + END,
    "access-list": pax((b"SCHILY.acl.access", b"user::rwx,group::rwx,other::rwx")) + header(b"f", mode=0o640) + END,
    "gnu-times": header(b"f", magic=b"ustar  \0", prefix=b"14512345670\00014512345670\0") + END,
    "global-pax": header(b"g", b"g", 12) + pad(b"12 comment=x") + file(b"x") + END,
    "label": header(b"label", b"V") + file(b"x", b"1") + END,
    "folder-of-size-zero": pax((b"size", b"000")) + header(b"d/", b"\0") + file(b"d/x") + END,
    "only-end": END,
    # Attributes under keys that only libarchive knows are nobody's; of two under one key the last counts.
    "xattrs": pax((b"LIBARCHIVE.xattr.user.a", b"aGk="), (b"RHT.security.selinux", b"x"), (b"SCHILY.xattr.user.b", b"1"),
                  (b"SCHILY.xattr.user.b", b"2")) + file(b"f") + END,
    "time-before-1970": changed(header(b"f"), 136, b"\xff" * 12) + END,
    "empty": b"",
}


def main():
    for folder, inputs in (("bad", {k: v for k, (v, _) in BAD.items()}), ("corpus", GOOD)):
        target = HERE / folder / "layer"
        target.mkdir(parents=True, exist_ok=True)
        for old in target.glob("*.tar"):  # what fuzzers found has other names, and stays
            old.unlink()
        for name, content in inputs.items():
            if len(content) <= STORED_MAX:
                (target / (name + ".tar")).write_bytes(content)


if __name__ == "__main__":
    main()
