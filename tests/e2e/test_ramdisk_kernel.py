# SPDX-License-Identifier: Apache-2.0
"""The Linux kernel itself unpacks our ramdisk, and finds in it what cpio finds: hard links, devices, odd names."""
import hashlib
import os
import pathlib
import shutil
import stat
import subprocess
import time

import images
from conftest import DEADLINE, ROOT, end_process, need_program
from images import directory, fifo, file, hardlink, symlink
from test_layers import read_cpio, run, tree_dump  # noqa: F401 (a fixture)

INIT = """#!/busybox sh
cd /rootfs
echo BEGIN-LIST
/busybox find . -print0 | /busybox xargs -0 -n 1 /busybox stat -c '%f|%u|%g|%Y|%i|%h|%t|%T|%s|%n'
/busybox find . -type f -print0 | /busybox xargs -0 -n 1 /busybox md5sum
/busybox find . -type l -print0 | /busybox xargs -0 -n 1 /busybox readlink
echo END-LIST
/busybox sleep 1000
"""

STACK = [
    [directory("d", mode=0o1750, uid=5, gid=6, mtime=1_000_000), file("d/a", "data-a" * 1000, mode=0o4755, uid=70000),
     hardlink("z", "d/a"), hardlink("e", "d/a"), file("empty"), hardlink("empty2", "empty"),
     images.device("n", "c", 1, 3, mode=0o666), hardlink("n2", "n"), images.device("blk", "b", 259, 70000), fifo("p"),
     symlink("l", "d/a"), symlink("far", "x" * 300), file("d/sp ace", "odd", mtime=-5), file("sg", "x", mode=0o2755)],
    [file("new/" + "q" * 200, "9" * 5000), hardlink("early", "d/a")],
]


def kernel():
    folder = os.environ.get("COFFER_KERNEL_DIR")
    if not folder:
        folder = subprocess.run([ROOT / "tools/fetch-kernel", "cloud"], check=True, capture_output=True,
                                text=True).stdout.strip()
    return pathlib.Path(folder) / "vmlinuz"


def bootstrap(folder):
    """A ramdisk with a shell that lists what the kernel made of the other one."""
    folder.mkdir()
    shutil.copy(need_program("busybox"), folder / "busybox")
    (folder / "init").write_text(INIT)
    (folder / "init").chmod(0o755)
    archive = subprocess.run([need_program("cpio"), "-o", "-H", "newc", "--quiet"], input=b"init\nbusybox\n", cwd=folder,
                             check=True, capture_output=True).stdout
    return archive + b"\0" * (-len(archive) % 4)


def listing_of_the_kernel(initrd, log):
    """Boots and waits until the list is whole on the console."""
    command = [need_program("qemu-system-x86_64"), "-M", "q35", "-accel", "tcg", "-cpu", "max", "-m", "256",
               "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot",
               "-kernel", str(kernel()), "-initrd", str(initrd), "-append", "console=ttyS0 loglevel=4 panic=-1"]
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out)
    try:
        end = time.monotonic() + 2 * DEADLINE
        while b"END-LIST" not in log.read_bytes():
            assert process.poll() is None and time.monotonic() < end, log.read_text(errors="replace")[-3000:]
            time.sleep(0.1)
    finally:
        end_process(process)
    lines = log.read_text().replace("\r", "").split("BEGIN-LIST\n")[1].split("END-LIST")[0].splitlines()
    return [line for line in lines if not line.startswith("[")]  # the kernel's own messages


def test_kernel_unpacks_what_we_packed(tree_dump, tmp_path):  # noqa: F811
    archive = run(tree_dump, "cpio", [images.layer_tar(entries) for entries in STACK], tmp_path).stdout
    initrd = tmp_path / "initrd"
    initrd.write_bytes(bootstrap(tmp_path / "bootstrap") + archive)
    lines = listing_of_the_kernel(initrd, tmp_path / "console")
    seen = {}
    for line in lines:
        if line.count("|") == 9:
            mode, uid, gid, mtime, ino, links, major, minor, size, name = line.split("|")
            seen[name[2:]] = (int(mode, 16), int(uid), int(gid), int(mtime), int(ino), int(links), int(major, 16),
                              int(minor, 16), int(size))
    entries = {name.removeprefix("rootfs").lstrip("/"): (header, data)
               for name, header, data in read_cpio(archive) if name.startswith("rootfs")}
    assert set(seen) == set(entries)
    for name, (header, data) in entries.items():
        mode, uid, gid, mtime, ino, links, major, minor, size = seen[name]
        assert (mode, uid, gid) == (header["mode"], header["uid"], header["gid"]), name
        if not stat.S_ISDIR(mode):
            assert (links, major, minor) == (header["nlink"], header["major"], header["minor"]), name
            assert ino == [seen[n][4] for n in entries if entries[n][0]["ino"] == header["ino"]][0]
        if stat.S_ISREG(mode):
            content = b"".join(d for h, d in entries.values() if h["ino"] == header["ino"])
            assert size == len(content), name
    assert seen["d/a"][4] == seen["z"][4] == seen["e"][4] == seen["early"][4] and seen["d/a"][5] == 4
    sums = {line[34:]: line[:32] for line in lines if line[32:34] == "  "}
    for name, content in (("d/a", b"data-a" * 1000), ("z", b"data-a" * 1000), ("early", b"data-a" * 1000),
                          ("empty2", b""), ("d/sp ace", b"odd"), ("new/" + "q" * 200, b"9" * 5000)):
        assert sums["./" + name] == hashlib.md5(content).hexdigest(), name
    assert "x" * 300 in lines and "d/a" in lines
