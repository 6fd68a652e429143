# SPDX-License-Identifier: Apache-2.0
"""Small enclave image files made without Coffer's own writer: ramdisks, and the file around them."""
import pathlib
import struct
import zlib

HEADER_SIZE = 548
KERNEL, CMDLINE, RAMDISK, SIGNATURE, METADATA = 1, 2, 3, 4, 5


def cpio(entries):
    """A newc archive of (name, mode, content) entries, modes with their file type."""
    out = bytearray()
    for number, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")]):
        encoded = name.encode() + b"\0"
        fields = [number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0]
        out += b"070701" + b"".join(b"%08x" % field for field in fields) + encoded
        out += b"\0" * (-len(out) % 4)
        out += content
        out += b"\0" * (-len(out) % 4)
    return bytes(out)


def eif(sections, flags=0, version=4):
    """An EIF of (type, payload) sections."""
    offset, offsets, body = HEADER_SIZE, [], b""
    for kind, payload in sections:
        offsets.append(offset)
        body += struct.pack(">HHQ", kind, 0, len(payload)) + payload
        offset = HEADER_SIZE + len(body)
    table = offsets + [0] * (32 - len(offsets)) + [len(p) for _, p in sections] + [0] * (32 - len(offsets))
    header = b".eif" + struct.pack(">HHQQHH64QI", version, flags, 1 << 30, 2, 0, len(sections), *table, 0)
    return header + struct.pack(">I", zlib.crc32(header + body)) + body


def guest_config(argv, ports=(), stop_signal=15, env=("PATH=/bin",)):
    """`enclave/config` as enclave-init reads it (lib/enclave/guest-config.h)."""
    records = ["coffer-guest-config 1", *(f"arg={a}" for a in argv), *(f"env={e}" for e in env), "cwd=/", "uid=0",
               "gid=0", f"stop-signal={stop_signal}", *(f"port={p}" for p in ports), "hostname=enclave", "end"]
    return b"".join(record.encode() + b"\0" for record in records)


def silent(kernel):
    """An image that boots, and whose init says nothing to anybody: its start goes on until it is given up."""
    return eif([(KERNEL, (kernel / "vmlinuz").read_bytes()), (CMDLINE, b"console=ttyS0"), (METADATA, b"{}"),
                (RAMDISK, bootstrap("/bin/busybox", kernel)), (RAMDISK, application(guest_config(["/bin/sh"])))])


def bootstrap(init, kernel):
    """Ramdisk 0: init, and the modules that the kernel needs for vsock, in load order."""
    needed = ["virtio_ring", "virtio", "virtio_mmio", "vsock", "vmw_vsock_virtio_transport_common",
              "vmw_vsock_virtio_transport"]
    modules = {path.stem: path for path in (kernel / "modules").rglob("*.ko")}
    present = [name for name in needed if name in modules]
    return cpio([("init", 0o100755, pathlib.Path(init).read_bytes()), ("dev", 0o40755, b""),
                 ("modules", 0o40755, b"")] +
                [(f"modules/{i:02}-{name}.ko", 0o100644, modules[name].read_bytes())
                 for i, name in enumerate(present)])


def application(config, more=()):
    """Ramdisk 1: a root with busybox as /bin/sh, and what init shall run."""
    busybox = pathlib.Path("/bin/busybox").read_bytes()
    folders = [(f"rootfs{name}", 0o40755, b"") for name in ("", "/bin", "/tmp", "/etc")]
    links = [(f"rootfs/bin/{name}", 0o120777, b"busybox") for name in ("sh", "sleep", "nc", "echo", "yes", "head")]
    return cpio([*folders, ("rootfs/bin/busybox", 0o100755, busybox), *links, *more, ("enclave", 0o40755, b""),
                 ("enclave/config", 0o100600, config)])
