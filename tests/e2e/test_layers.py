# SPDX-License-Identifier: Apache-2.0
"""Layers merged by lib/image, compared with two independent oracles: umoci unpacking the same stack onto a file
system, and a model of the OCI rules in a hundred lines of Python.  Our ramdisk is unpacked by cpio.

Where umoci 0.4.7 differs from the specification, the test says so and compares with the model only.
"""
import dataclasses
import json
import os
import random
import stat
import struct
import subprocess

import pytest

import images
from conftest import need_program

SEEDS = range(int(os.environ.get("COFFER_LAYER_SEEDS", "12")))
IMPLIED = "implied"  # the time of a folder that no layer describes


@pytest.fixture(scope="session")
def tree_dump(build_dir):
    program = build_dir / "lib/image/tree-dump"
    if not program.exists():
        pytest.skip("tree-dump is not built")
    return program


def run(program, verb, tars, folder, *arguments, check=True):
    """Runs tree-dump on tars given as bytes."""
    paths = []
    for number, tar in enumerate(tars):
        path = folder / f"layer-{number}.tar"
        path.write_bytes(tar)
        paths.append(str(path))
    return subprocess.run([str(program), verb, *arguments, *paths], check=check, capture_output=True, timeout=120)


def listing(program, tars, folder):
    """{path: record} of the merged tree."""
    lines = run(program, "list", tars, folder).stdout.decode().splitlines()
    records = [json.loads(line) for line in lines]
    for record in records:
        for key in ("path", "target"):
            record[key] = record[key].encode("latin-1")
    return {record["path"]: record for record in records}


# --- the model -------------------------------------------------------------------------------------------------


@dataclasses.dataclass(eq=False)
class Node:
    """What a name stands for; shared by hard links."""
    type: bytes
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    mtime: object = IMPLIED
    data: bytes = b""
    target: str = ""
    device: tuple = (0, 0)
    xattrs: dict = dataclasses.field(default_factory=dict)


DIR, LINK, HARD = images.tarfile.DIRTYPE, images.tarfile.SYMTYPE, images.tarfile.LNKTYPE


class Model:
    """The merged root as {path: Node}."""

    def __init__(self):
        self.nodes = {"": Node(DIR)}

    def children(self, path):
        return [p for p in self.nodes if p != path and (not path or p.startswith(path + "/"))]

    def remove(self, path):
        for one in self.children(path) + [path]:
            self.own.discard(one)
            del self.nodes[one]

    def folder(self, path, make=True):
        """Where folder `path` is, through symbolic links; made where it is missing, or None."""
        at, rest = "", path.split("/")
        for _ in range(1000):
            if not rest:
                return at
            part = rest.pop(0)
            if part in ("", "."):
                continue
            if part == "..":
                at = at.rpartition("/")[0]
                continue
            here = f"{at}/{part}" if at else part
            node = self.nodes.get(here)
            if node is None and not make:
                return None
            if node is None:
                self.nodes[here] = Node(DIR)
                self.own.add(here)
            elif node.type == LINK:
                rest = node.target.split("/") + rest
                if node.target.startswith("/"):
                    at = ""
                continue
            elif node.type != DIR:
                if not make:
                    return None
                raise NotADirectoryError(here)
            at = here
        raise OSError("loop")

    def place(self, name):
        name = name.strip("/").removeprefix("./")
        head, _, tail = name.rpartition("/")
        folder = self.folder(head)
        return f"{folder}/{tail}" if folder else tail

    def hide(self, path, itself):
        """Removes what the lower layers have at or below `path`."""
        keep = {one for one in self.own if one == path or one.startswith(path + "/" if path else "")}
        for one in sorted(self.children(path), key=len, reverse=True):
            if one in self.own:
                continue
            if any(k.startswith(one + "/") for k in keep):
                self.nodes[one] = Node(DIR)
                self.own.add(one)
            else:
                del self.nodes[one]
        if itself and path not in self.own:
            if self.children(path):
                self.nodes[path] = Node(DIR)
                self.own.add(path)
            else:
                del self.nodes[path]

    def apply(self, entries):
        self.own = set()
        for entry in entries:
            self.apply_entry(entry)

    def apply_entry(self, entry):
        name = "/".join(p for p in entry.name.split("/") if p not in ("", "."))
        head, _, tail = name.rpartition("/")
        if any(part.startswith(".wh..wh.") for part in name.split("/")) and tail != ".wh..wh..opq":
            return
        if tail.startswith(".wh."):
            folder = self.folder(head, make=False)
            path = f"{folder}/{tail[4:]}" if folder else tail[4:]
            if tail == ".wh..wh..opq":
                if folder is not None:
                    self.hide(folder, False)
            elif folder is not None and path in self.nodes:
                self.hide(path, True)
            return
        if entry.type == HARD:
            target = self.nodes[self.place(entry.linkname)]
            self.put(self.place(name), target)
            return
        xattrs = {k[13:]: v.encode("utf-8", "surrogateescape") for k, v in entry.pax.items()
                  if k.startswith("SCHILY.xattr.")}
        node = Node(entry.type, entry.mode, entry.uid, entry.gid, entry.mtime, entry.data, entry.linkname,
                    (entry.devmajor, entry.devminor), xattrs)
        self.put(self.place(name) if name else "", node)

    def put(self, path, node):
        if path in self.nodes and not (self.nodes[path].type == DIR and node.type == DIR):
            self.remove(path)
        self.nodes[path] = node
        self.own.add(path)

    def facts(self):
        """{path: comparable tuple}, and the sets of names that share an inode."""
        groups = {}
        for path, node in self.nodes.items():
            groups.setdefault(id(node), set()).add(path)
        out = {}
        for path, node in self.nodes.items():
            kind = {DIR: stat.S_IFDIR, LINK: stat.S_IFLNK, images.tarfile.FIFOTYPE: stat.S_IFIFO,
                    images.tarfile.CHRTYPE: stat.S_IFCHR, images.tarfile.BLKTYPE: stat.S_IFBLK}.get(node.type, stat.S_IFREG)
            content = node.target.encode() if kind == stat.S_IFLNK else node.data
            device = node.device if kind in (stat.S_IFCHR, stat.S_IFBLK) else (0, 0)
            out[path] = Fact(kind, 0o777 if kind == stat.S_IFLNK else node.mode, node.uid, node.gid, node.mtime,
                             content, device, tuple(sorted(node.xattrs.items())), frozenset(groups[id(node)]))
        return out


@dataclasses.dataclass(frozen=True)
class Fact:
    """What is compared of one name."""
    kind: int
    mode: int
    uid: int
    gid: int
    mtime: object
    content: bytes
    device: tuple
    xattrs: tuple
    names: frozenset


# --- trees on a file system --------------------------------------------------------------------------------------


def read_tree(root, xattrs=None):
    """Facts of a folder's content.  xattrs: {path: {name: value}} instead of what the file system has."""
    out, groups = {}, {}
    for here, folders, files in os.walk(root):
        for name in [""] * (here == str(root)) + folders + files:
            full = os.path.join(here, name) if name else here
            path = os.path.relpath(full, root)
            path = "" if path == "." else path
            st = os.lstat(full)
            content = b""
            if stat.S_ISREG(st.st_mode):
                with open(full, "rb") as source:
                    content = source.read()
            elif stat.S_ISLNK(st.st_mode):
                content = os.fsencode(os.readlink(full))
            device = (0, 0)
            if stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
                device = (os.major(st.st_rdev), os.minor(st.st_rdev))
            own = {x: os.getxattr(full, x, follow_symlinks=False) for x in os.listxattr(full, follow_symlinks=False)}
            if xattrs is not None:
                own = xattrs.get(path, {})
            key = st.st_ino if not stat.S_ISDIR(st.st_mode) else path
            groups.setdefault(key, set()).add(path)
            out[path] = (key, Fact(stat.S_IFMT(st.st_mode), stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid,
                                   st.st_mtime_ns // 1_000_000_000, content, device, tuple(sorted(own.items())), frozenset()))
    return {path: dataclasses.replace(fact, names=frozenset(groups[key])) for path, (key, fact) in out.items()}


def parse_xattrs(raw):
    """{path: {name: value}} of our xattr list."""
    fields = raw.split(b"\0")
    assert fields.pop() == b"" and len(fields) % 3 == 0
    out = {}
    for path, name, value in zip(*[iter(fields)] * 3):
        out.setdefault(os.fsdecode(path), {})[name.decode()] = bytes.fromhex(value.decode())
    return out


def read_cpio(archive):
    """The entries of a newc archive as (name, header fields, data), in order."""
    at, out = 0, []
    while True:
        assert archive[at:at + 6] == b"070701" and at % 4 == 0
        numbers = [int(archive[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
        header = dict(zip(("ino", "mode", "uid", "gid", "nlink", "mtime", "size", "dmaj", "dmin", "major", "minor",
                           "namesize", "check"), numbers))
        name = archive[at + 110:at + 110 + header["namesize"]]
        assert name[-1:] == b"\0"
        at = (at + 110 + header["namesize"] + 3) & ~3
        data = archive[at:at + header["size"]]
        assert len(data) == header["size"]
        at = (at + header["size"] + 3) & ~3
        if name == b"TRAILER!!!\0":
            assert at == len(archive)
            return out
        out.append((os.fsdecode(name[:-1]), header, data))


def unpack_ours(tree_dump, tars, folder):
    """The facts of our ramdisk, unpacked by cpio."""
    archive = run(tree_dump, "cpio", tars, folder).stdout
    target = folder / "ours"
    target.mkdir()
    subprocess.run([need_program("cpio"), "-idm", "--quiet", "--no-absolute-filenames"], input=archive, check=True,
                   cwd=target, timeout=120)
    listed = target / "enclave/xattrs"
    xattrs = parse_xattrs(listed.read_bytes()) if listed.exists() else {}
    facts = read_tree(target / "rootfs", xattrs)
    for name, header, _ in read_cpio(archive):  # cpio sets no time of fifos, and a folder's before it fills it
        path = name.removeprefix("rootfs").lstrip("/")
        if name.startswith("rootfs"):
            facts[path] = dataclasses.replace(facts[path], mtime=header["mtime"])
    for fact in list(facts.values()):  # the list names the first of a set of hard links only
        first = min(fact.names, key=lambda p: p.split("/"))
        for name in fact.names:
            facts[name] = dataclasses.replace(facts[name], xattrs=facts[first].xattrs)
    return facts


def unpack_umoci(tars, folder):
    """The facts of what umoci makes of the stack."""
    image = images.image([], tars=tars, compression="none")
    images.write_oci_layout(folder / "layout", image)
    subprocess.run([need_program("umoci"), "unpack", "--image", f"{folder}/layout:latest", str(folder / "umoci")],
                   check=True, timeout=120, capture_output=True)
    return read_tree(folder / "umoci/rootfs")


MOUNT_POINTS = {"dev": 0o755, "proc": 0o555, "run": 0o755, "sys": 0o555, "tmp": 0o1777, "var": 0o755}


def compare(ours, theirs, what):
    """Ours has mount points too; times of folders that no layer describes are ours to choose: 0."""
    for point, mode in MOUNT_POINTS.items():
        if point not in theirs:
            fact = ours.pop(point)
            assert (fact.kind, fact.mode, fact.uid, fact.gid, fact.mtime) == (stat.S_IFDIR, mode, 0, 0, 0)
    assert set(ours) == set(theirs), what
    for path, fact in theirs.items():
        mine = ours[path]
        if fact.mtime == IMPLIED:
            assert mine.mtime == 0
            fact = dataclasses.replace(fact, mtime=0)
        assert mine == fact, f"{what}: {path}"


def without_folder_times(facts):
    return {path: dataclasses.replace(fact, mtime=0) if fact.kind == stat.S_IFDIR else fact
            for path, fact in facts.items()}


def check_stack(tree_dump, stack, folder, umoci=True):
    """Compares the three for a stack of layers, each a list of entries."""
    model = Model()
    for entries in stack:
        model.apply(entries)
    expected = model.facts()
    tars = [images.layer_tar(entries) for entries in stack]
    ours = unpack_ours(tree_dump, tars, folder)
    compare(dict(ours), expected, "model")
    if umoci:
        # umoci leaves a folder with the time at which a whiteout changed it; the specification has it as described.
        compare(without_folder_times(ours), without_folder_times(unpack_umoci(tars, folder)), "umoci")


# --- random stacks -----------------------------------------------------------------------------------------------


class Generator:
    """Random layers over a small set of names, so that they collide; only what every tool accepts."""

    NAMES = ["a", "b", "c", "dd", "e-e", "ff.f"]

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.model = Model()

    def path(self):
        return "/".join(self.random.choice(self.NAMES) for _ in range(self.random.choice([1, 1, 2, 2, 3, 4])))

    def metadata(self):
        r = self.random
        return {"mode": r.choice([0o644, 0o755, 0o4755, 0o600, 0o1777, 0o400]),
                "uid": r.choice([0, 1, 1000, 100000]), "gid": r.choice([0, 5, 99999]),
                "mtime": r.randrange(1, 2_000_000_000)}

    def entry(self, path):
        r = self.random
        kind = r.choice("ffffddddlchkp")
        meta = self.metadata()
        if kind == "f":
            one = images.file(path, r.randbytes(r.choice([0, 1, 511, 512, 513, 5000])), **meta)
        elif kind == "d":
            one = images.directory(path, **meta)
        elif kind == "l":
            del meta["mode"]
            return images.symlink(path, "/nowhere/" + self.path(), **meta)
        elif kind == "c":
            return images.device(path, r.choice("cb"), r.randrange(1, 300), r.randrange(70000), **meta)
        elif kind == "p":
            return images.fifo(path, **meta)
        else:
            files = [p for p, n in self.model.nodes.items() if n.type == images.tarfile.REGTYPE]
            if not files:
                return None
            target = r.choice(sorted(files))
            # umoci removes the name before it looks for the target
            if target == path or target.startswith(path + "/"):
                return None
            return images.hardlink(path, target, **meta)
        if r.random() < 0.15:
            images.with_xattrs(one, **{"user." + r.choice("xyz"): r.choice([b"plain", b"two words"])})
        return one

    def layer(self):
        """Entries that the model takes, in a random order of markers and entries."""
        entries = []
        self.model.own = set()
        hidden = self.markers()
        early = [marker for marker in hidden if self.random.random() < 0.5]
        for marker in early:
            self.model.apply_entry(marker)
            entries.append(marker)
        for _ in range(self.random.randrange(1, 14)):
            one = self.entry(self.path())
            if one is None or not self.fits(one):
                continue
            self.model.apply_entry(one)
            entries.append(one)
        return entries, [marker for marker in hidden if marker not in early]

    def markers(self):
        out = []
        for path, node in sorted(self.model.nodes.items()):
            if not path or self.random.random() > 0.12:
                continue
            if node.type == DIR and self.random.random() < 0.5:
                out.append(images.opaque(path))
            else:
                out.append(images.whiteout(path))
        return out

    def fits(self, entry):
        """Every parent is a folder or missing: anything else is an error or a link to nowhere."""
        parts = entry.name.split("/")
        return all(self.model.nodes.get("/".join(parts[:n]), Node(DIR)).type == DIR for n in range(1, len(parts)))

    def stack(self, late_markers):
        out = []
        for _ in range(self.random.randrange(2, 6)):
            entries, late = self.layer()
            if late_markers:
                late = [m for m in late if self.fits(m)]
                for marker in late:
                    self.model.apply_entry(marker)
                entries += late
            out.append(entries)
        return out


@pytest.mark.parametrize("seed", SEEDS)
def test_random_stack_as_umoci_and_the_model(tree_dump, tmp_path, seed):
    check_stack(tree_dump, Generator(seed).stack(late_markers=False), tmp_path)


@pytest.mark.parametrize("seed", SEEDS)
def test_markers_behind_the_entries_of_their_layer_as_the_model(tree_dump, tmp_path, seed):
    check_stack(tree_dump, Generator(1000 + seed).stack(late_markers=True), tmp_path, umoci=False)


# --- rules, one by one ---------------------------------------------------------------------------------------------

F, D, L, H, W, O = (images.file, images.directory, images.symlink, images.hardlink, images.whiteout, images.opaque)

# name: (layers, whether umoci 0.4.7 agrees)
RULES = {
    "a whiteout removes a file": ([[F("a/x", "1"), F("a/y", "2")], [W("a/x")]], True),
    "a whiteout removes a folder and all in it": ([[F("a/b/c", "1"), F("a/y", "2")], [W("a/b")]], True),
    "a whiteout of nothing": ([[F("a", "1")], [W("b"), W("c/d/e"), W("a/x")]], True),
    "a whiteout before its own layer's file": ([[F("x", "1")], [W("x"), F("x", "2")]], True),
    # umoci removes whatever has the name
    "a whiteout behind its own layer's file": ([[F("x", "1")], [F("x", "2"), W("x")]], False),
    "a whiteout behind its own layer's folder": (
        [[F("d/old", "1"), F("d/sub/old", "1")], [D("d"), F("d/sub/new", "2"), W("d")]], False),
    "an opaque folder hides what is below": ([[F("d/old", "1"), F("d/s/old", "1")], [D("d"), O("d"), F("d/new", "2")]], True),
    "an opaque marker behind its siblings": ([[F("d/old", "1"), F("d/s/old", "1")], [D("d"), F("d/new", "2"), O("d")]], True),
    "an opaque marker keeps names of its own layer deep down": (
        [[F("d/s/t/old", "1"), D("d/s", mode=0o700, uid=7)], [F("d/s/t/new", "2"), O("d")]], False),
    "an opaque root": ([[F("a", "1"), F("b/c", "1")], [F("n", "2"), O("")]], True),
    "opaque folders in one another": ([[F("a/b/c/x", "1")], [O("a"), O("a/b"), D("a"), D("a/b"), O("a/b/c")]], True),
    "a folder becomes a file": ([[F("d/x", "1")], [F("d", "file")]], True),
    "a file becomes a folder": ([[F("d", "file")], [D("d"), F("d/x", "1")]], True),
    "a folder becomes a symbolic link": ([[F("d/x", "1"), D("e")], [L("d", "e")]], True),
    "a symbolic link becomes a folder": ([[D("e"), F("e/x", "1"), L("d", "e")], [D("d"), F("d/y", "2")]], True),
    "a folder's metadata changes, its content stays": (
        [[D("d"), F("d/x", "1")], [D("d", mode=0o1700, uid=3, gid=4, mtime=77)]], True),
    "the root's metadata": ([[D("./", mode=0o711, uid=5, mtime=99)], [F("x", "1")]], True),
    "of duplicates the last wins": ([[F("x", "1"), F("x", "2", mode=0o600), D("y"), F("y", "3")]], True),
    "names as tar tools write them": ([[D("./a/"), F("./a//b", "1"), F("/a/./c", "2")]], True),
    "a hard link within a layer": ([[F("a", "1", mode=0o4755), H("b", "a"), H("d/c", "./a")]], True),
    "a hard link to a lower layer's file": ([[F("a", "1")], [H("b", "a")]], True),
    "a hard link keeps the data when its target is replaced": ([[F("a", "1"), H("b", "a")], [F("a", "2")]], True),
    "a hard link keeps the data when its target is removed": ([[F("a", "1"), H("b", "a")], [W("a")]], True),
    "a hard link with an absolute target": ([[F("d/a", "1"), H("b", "/d/a")]], True),
    "a hard link to a device": ([[images.device("n", "c", 1, 3), H("b", "n")]], True),
    "a hard link replaces a folder": ([[F("d/x", "1"), F("a", "2")], [H("d", "a")]], True),
    "through a symbolic link to a folder": ([[F("usr/lib/a", "1"), L("lib", "usr/lib")], [F("lib/b", "2")]], True),
    "through an absolute symbolic link": ([[F("usr/lib/a", "1"), L("lib", "/usr/lib")], [F("lib/b", "2")]], True),
    "through a symbolic link that would leave the root": (
        [[D("usr"), L("usr/up", "../../../..")], [F("usr/up/etc/b", "2")]], True),
    "through a symbolic link to nowhere": ([[L("lib", "usr/lib")], [F("lib/b", "2")]], True),
    "through a chain of symbolic links": (
        [[D("z"), L("y", "z"), L("x", "/y/./"), L("w", "x/../y")], [F("w/b", "2"), H("c", "w/b")]], True),
    "a whiteout through a symbolic link": ([[F("usr/lib/a", "1"), L("lib", "usr/lib")], [W("lib/a")]], True),
    "a whiteout of a symbolic link": ([[F("usr/lib/a", "1"), L("lib", "usr/lib")], [W("lib")]], True),
    "an opaque marker in a folder that replaces a link": (
        [[F("usr/lib/a", "1"), L("lib", "usr/lib")], [D("lib"), O("lib"), F("lib/x", "2")]], True),
    "metadata of aufs": ([[F(".wh..wh.aufs", "1"), D(".wh..wh.plnk"), F(".wh..wh.plnk/1.2", "1"), F("a", "1")]], False),
    "devices, fifos, big ids, setuid": ([[images.device("n", "b", 259, 1048575), images.fifo("f"),
                                          F("s", "x", mode=0o6755, uid=3000000000, gid=4000000000)]], True),
    "an empty layer": ([[F("a", "1")], []], True),
}


@pytest.mark.parametrize("name", RULES)
def test_rule(tree_dump, tmp_path, name):
    stack, umoci = RULES[name]
    check_stack(tree_dump, stack, tmp_path, umoci)


def test_hard_link_to_a_symbolic_link(tree_dump, tmp_path):
    """cpio and the kernel have no such thing, so the ramdisk has two links with one text."""
    tar = images.layer_tar([L("l", "nowhere"), H("b", "l")])
    nodes = listing(tree_dump, [tar], tmp_path)
    assert nodes[b"l"]["inode"] == nodes[b"b"]["inode"] and nodes[b"b"]["target"] == b"nowhere"
    facts = unpack_ours(tree_dump, [tar], tmp_path)
    assert facts["l"].content == facts["b"].content == b"nowhere"


@pytest.mark.parametrize("size", [1, 100, 512, 125000])
def test_stream_that_ends_with_its_last_byte_of_data_is_whole(tree_dump, tmp_path, size):
    """umoci insert writes neither padding nor an end of the archive; one byte less is a truncated layer."""
    entry = F("f", os.urandom(size))
    whole = images.layer_tar([entry])[:512 + size]
    assert unpack_ours(tree_dump, [whole], tmp_path)["f"].content == entry.data
    (tmp_path / "cut.tar").write_bytes(whole[:-1])
    result = subprocess.run([tree_dump, "list", tmp_path / "cut.tar"], capture_output=True, text=True)
    assert result.returncode == 1 and "truncated" in result.stderr


# --- archives by other writers ---------------------------------------------------------------------------------------


def write_sparse(path, size, pieces):
    with open(path, "wb") as out:
        out.truncate(size)
        for at, data in pieces:
            out.seek(at)
            out.write(data)


@pytest.fixture
def source(tmp_path):
    """A folder with what archives have special forms for."""
    root = tmp_path / "source"
    root.mkdir()
    write_sparse(root / "holes", 3_000_000, [(0, b"start"), (1_000_000, b"m" * 9000), (2_999_990, b"end at end")])
    write_sparse(root / "hole-at-end", 500_000, [(100_000, b"x" * 5000)])
    write_sparse(root / "all-hole", 200_000, [])
    write_sparse(root / "many-holes", 4_000_000, [(at, bytes([at % 251]) * 4096) for at in range(0, 4_000_000, 65536)])
    (root / "empty").write_bytes(b"")
    (root / "plain").write_bytes(os.urandom(70_001))
    os.link(root / "plain", root / "plain-too")
    deep = root
    for n in range(6):
        deep = deep / (f"{n}" * 60)
        deep.mkdir()
    (deep / ("f" * 200)).write_bytes(b"deep")
    os.symlink("t" * 300, root / "long-target")
    for name in (b"latin-\xe9", b"nfd-e\xcc\x81", b"nfc-\xc3\xa9", b"new\nline", b"back\\slash", b"sp ace", b"utf8-\xff\xfe"):
        with open(os.path.join(os.fsencode(root), name), "wb") as out:
            out.write(name)
        os.symlink(name, os.path.join(os.fsencode(root), b"link-" + name))
    os.utime(root / "plain", ns=(1, 1_234_567_890_123_456_789))
    os.chown(root / "empty", 2_500_000, 3_000_000_000)
    os.setxattr(root / "empty", "user.one", b"va\0lue\xff")
    os.setxattr(root / "empty", "user.none", b"")
    return root


def tar_of(source, *options):
    return subprocess.run([need_program("tar"), "-C", str(source), *options, "--sort=name", "-cf", "-", "."],
                          check=True, capture_output=True, timeout=120).stdout


FORMATS = {
    "gnu": ["--format=gnu"],
    "gnu sparse": ["--format=gnu", "--sparse", "--hole-detection=raw"],
    "pax": ["--format=pax", "--xattrs"],
    "pax sparse 0.0": ["--format=pax", "--sparse", "--sparse-version=0.0", "--hole-detection=raw", "--xattrs"],
    "pax sparse 0.1": ["--format=pax", "--sparse", "--sparse-version=0.1", "--hole-detection=raw", "--xattrs"],
    "pax sparse 1.0": ["--format=pax", "--sparse", "--sparse-version=1.0", "--hole-detection=raw", "--xattrs"],
    "oldgnu sparse": ["--format=oldgnu", "--sparse", "--hole-detection=raw"],
}


@pytest.mark.parametrize("form", FORMATS)
def test_archive_of_gnu_tar(tree_dump, tmp_path, source, form):
    tar = tar_of(source, *FORMATS[form])
    expected = read_tree(source, None if "--xattrs" in FORMATS[form] else {})
    compare(unpack_ours(tree_dump, [tar], tmp_path), expected, form)
    nodes = listing(tree_dump, [tar], tmp_path)
    for path, fact in expected.items():
        if fact.kind == stat.S_IFREG:
            assert content_by_extents(nodes[os.fsencode(path)], tar) == fact.content, path
    if "pax" in form:
        assert nodes[b"plain"]["nsec"] == 123_456_789
    if "sparse" in form:
        assert sum(length for _, length, _ in nodes[b"holes"]["extents"]) < 100_000
        assert nodes[b"all-hole"]["extents"] == []


def content_by_extents(node, tar):
    """A file's content put together from where our index says it lies in the tar."""
    out = bytearray(node["size"])
    end = 0
    for offset, length, at in node["extents"]:
        assert offset >= end and length > 0 and at + length <= len(tar)
        end = offset + length
        out[offset:end] = tar[at:at + length]
    assert end <= len(out)
    return bytes(out)


def test_archive_of_bsdtar(tree_dump, tmp_path, source):
    """It writes each extended attribute under two keys, and sparse files as PAX 1.0."""
    tar = subprocess.run([need_program("bsdtar"), "-C", str(source), "--format=pax", "--read-sparse", "-cf", "-", "."],
                         check=True, capture_output=True, timeout=120).stdout
    compare(unpack_ours(tree_dump, [tar], tmp_path), read_tree(source), "bsdtar")


def test_archive_of_umoci(tree_dump, tmp_path):
    """A layer as Go's archive/tar writes it, whiteouts of umoci's own making included."""
    first = [D("d", uid=5), F("d/x", "1"), F("d/\u00e9" + "n" * 150, "long"), F("gone", "1"), L("l", "d")]
    images.write_oci_layout(tmp_path / "layout", images.image([first]))
    bundle, layout = tmp_path / "bundle", f"{tmp_path}/layout:latest"
    umoci = need_program("umoci")
    subprocess.run([umoci, "unpack", "--image", layout, str(bundle)], check=True, capture_output=True)
    (bundle / "rootfs/d/new").write_text("2")
    os.utime(bundle / "rootfs/d/new", (1_234_567_890, 1_234_567_890))  # Go rounds to the nearest second
    (bundle / "rootfs/gone").unlink()
    os.link(bundle / "rootfs/d/x", bundle / "rootfs/d/x2")
    os.setxattr(bundle / "rootfs/d/new", "user.k", b"v\0w")
    os.utime(bundle / "rootfs/d/new", (images.EPOCH, images.EPOCH))  # umoci rounds to seconds
    subprocess.run([umoci, "repack", "--image", layout, str(bundle)], check=True, capture_output=True)
    index = json.loads((tmp_path / "layout/index.json").read_text())
    digest = [m for m in index["manifests"] if m["annotations"]["org.opencontainers.image.ref.name"] == "latest"][0]["digest"]
    manifest = json.loads((tmp_path / "layout/blobs" / digest.replace(":", "/")).read_text())
    tars = [images.gzip.decompress((tmp_path / "layout/blobs" / one["digest"].replace(":", "/")).read_bytes())
            for one in manifest["layers"]]
    assert len(tars) == 2
    facts = without_folder_times(unpack_ours(tree_dump, tars, tmp_path))
    compare(facts, without_folder_times(read_tree(bundle / "rootfs")), "repack")


def test_mode_beside_an_access_list_is_the_headers(tree_dump, tmp_path):
    """GNU tar --acls and bsdtar write such lists; libarchive would make the mode of them, no other tool does."""
    out = images.io.BytesIO()
    with images.tarfile.open(fileobj=out, mode="w", format=images.tarfile.PAX_FORMAT) as tar:
        for name, mode, acl in (("masked", 0o674, "user::rw-,user:1000:rwx,group::r--,mask::rwx,other::r--"),
                                ("other", 0o640, "user::rwx,group::rwx,other::rwx")):
            info = images.tarfile.TarInfo(name)
            info.mode, info.mtime, info.pax_headers = mode, images.EPOCH, {"SCHILY.acl.access": acl}
            tar.addfile(info)
    facts = unpack_ours(tree_dump, [out.getvalue()], tmp_path)
    assert (facts["masked"].mode, facts["other"].mode) == (0o674, 0o640)
    compare(without_folder_times(facts), without_folder_times(unpack_umoci([out.getvalue()], tmp_path)), "umoci")


def test_global_pax_header_is_ignored_as_by_other_tools(tree_dump, tmp_path):
    """git archive writes one; Docker, containerd and umoci skip it."""
    out = images.io.BytesIO()
    with images.tarfile.open(fileobj=out, mode="w", format=images.tarfile.PAX_FORMAT,
                             pax_headers={"comment": "0123", "uid": "77"}) as tar:
        info = images.tarfile.TarInfo("x")
        info.size = 3
        tar.addfile(info, images.io.BytesIO(b"abc"))
    node = listing(tree_dump, [out.getvalue()], tmp_path)[b"x"]
    assert (node["uid"], node["size"]) == (0, 3)


def test_archive_without_end_blocks(tree_dump, tmp_path):
    tar = images.layer_tar([F("x", "1" * 600)])
    nodes = listing(tree_dump, [tar[:512 + 1024]], tmp_path)
    assert content_by_extents(nodes[b"x"], tar) == b"1" * 600


# --- the ramdisk ---------------------------------------------------------------------------------------------------


def test_same_layers_same_ramdisk(tree_dump, tmp_path):
    tars = [images.layer_tar(entries) for entries in Generator(5).stack(late_markers=True)]
    tars.append(images.layer_tar([F(f"many/{n:04}", str(n)) for n in range(500)]))
    archives = {run(tree_dump, "cpio", tars, tmp_path).stdout for _ in range(5)}
    assert len(archives) == 1


def test_ramdisk_is_sorted_and_numbered(tree_dump, tmp_path):
    tar = images.layer_tar([F("b/x", "1"), F("a-b", "2"), F("a/z", "3"), H("a/y", "b/x"), F("b.c", ""), H("c", "b.c")])
    entries = read_cpio(run(tree_dump, "cpio", [tar], tmp_path).stdout)
    names = [name for name, _, _ in entries]
    rootfs = [name.split("/") for name in names if name.startswith("rootfs")]
    assert rootfs == sorted(rootfs)
    inodes = [header["ino"] for _, header, _ in entries]
    first_seen = list(dict.fromkeys(inodes))
    assert first_seen == list(range(1, len(first_seen) + 1))
    by_name = {name: (header, data) for name, header, data in entries}
    for first, last, data in (("a/y", "b/x", b"1"), ("b.c", "c", b"")):
        one, other = by_name["rootfs/" + first], by_name["rootfs/" + last]
        assert one[0]["ino"] == other[0]["ino"] and one[0]["nlink"] == other[0]["nlink"] == 2
        assert (one[1], other[1]) == (b"", data)


def test_times_outside_the_format_are_clamped(tree_dump, tmp_path):
    tar = images.layer_tar([F("old", mtime=-5), F("late", mtime=2 ** 40)])
    times = {name: header["mtime"] for name, header, _ in read_cpio(run(tree_dump, "cpio", [tar], tmp_path).stdout)}
    assert (times["rootfs/old"], times["rootfs/late"]) == (0, 2 ** 32 - 1)


def test_xattr_list_only_where_there_are_any(tree_dump, tmp_path):
    plain = images.layer_tar([F("x", "1")])
    capability = struct.pack("<5I", 0x02000001, 0x400, 0, 0, 0)
    some = tar_with_raw_xattr("usr/bin/ping", "security.capability", capability)
    names = [name for name, _, _ in read_cpio(run(tree_dump, "cpio", [plain], tmp_path).stdout)]
    assert "enclave/xattrs" not in names
    entries = {name: (header, data) for name, header, data in read_cpio(run(tree_dump, "cpio", [plain, some], tmp_path).stdout)}
    header, data = entries["enclave/xattrs"]
    assert header["mode"] == stat.S_IFREG | 0o600
    assert data == b"usr/bin/ping\0security.capability\0" + capability.hex().encode() + b"\0"


def tar_with_raw_xattr(name, key, value):
    """tarfile would encode the value; this writes the bytes."""
    body = f" SCHILY.xattr.{key}=".encode() + value + b"\n"
    length = len(body)
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    record = str(length).encode() + body
    header = images.tarfile.TarInfo("pax")
    header.type, header.size = b"x", len(record)
    out = header.tobuf(images.tarfile.USTAR_FORMAT) + record + b"\0" * (-len(record) % 512)
    return out + images.layer_tar([F(name, "bits", mode=0o755)], images.tarfile.USTAR_FORMAT)


def test_file_of_4_gib_is_refused(tree_dump, tmp_path):
    tar = sparse_tar(tmp_path, "huge/file", 2 ** 32)
    result = run(tree_dump, "cpio", [tar], tmp_path, check=False)
    assert result.returncode == 1
    assert b"rootfs/huge/file: has 4294967296 bytes, but a ramdisk holds only files of less than 4 GiB" in result.stderr


def sparse_tar(tmp_path, name, size):
    folder = tmp_path / "sparse-source"
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    write_sparse(folder / name, size, [(0, b"x")])
    return tar_of(folder, "--format=pax", "--sparse")


def test_memory_does_not_grow_with_the_data(tree_dump, tmp_path):
    """A layer with 300 MB of files costs what one with the same files, empty, costs."""
    def stats(size):
        folder = tmp_path / f"layer-{size}"
        folder.mkdir()
        for n in range(30):
            write_sparse(folder / f"f{n}", size, [])
        tar = tmp_path / f"{size}.tar"  # not sparse: zeros in the archive
        subprocess.run([need_program("tar"), "-C", str(folder), "-cf", str(tar), "."], check=True)
        out = subprocess.run([str(tree_dump), "stats", str(tar)], check=True, capture_output=True).stdout
        return json.loads(out)
    small, large = stats(0), stats(10_000_000)
    assert large["bytes"] == 300_000_000 < large["ramdisk"]
    assert large["memory"] - small["memory"] == 30 * 24  # an extent for each file
    assert large["peak_kib"] < 1.5 * small["peak_kib"]
