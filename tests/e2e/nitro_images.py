# SPDX-License-Identifier: Apache-2.0
"""Images of the kind that nitro-cli makes, and the parts that it makes them of: AWS's layout with an init for tests."""
import pathlib
import struct

import eif_maker
from conftest import need_program

# kernel/cmdline of AWS's bootstrap, for x86_64
CMDLINE = ("reboot=k panic=30 pci=off nomodules console=ttyS0 i8042.noaux i8042.nomux i8042.nopnp i8042.dumbkbd "
           "random.trust_cpu=on")
VSOCK_MODULES = ["virtio_ring", "virtio", "virtio_mmio", "vsock", "vmw_vsock_virtio_transport_common",
                 "vmw_vsock_virtio_transport"]
APPLETS = ("sh", "echo", "sleep", "cat", "env", "id", "pwd", "nc")


def with_modules(init, kernel):
    """tests/nitro/nitro-init with the modules that this kernel needs for vsock behind it."""
    content = pathlib.Path(init).read_bytes()
    found = {path.stem: path.read_bytes() for path in (pathlib.Path(kernel) / "modules").rglob("*.ko")}
    modules = [found[name] for name in VSOCK_MODULES if name in found]
    trailer = b"".join(struct.pack(">Q", len(m)) for m in modules) + struct.pack(">QQ", len(modules), 0x636F666665726B6F)
    return content + b"".join(modules) + trailer


def a_module(kernel):
    """One that needs no other, and no device: in the place of nsm.ko."""
    for name in ("dummy", "crc7", "crc4"):
        for path in (pathlib.Path(kernel) / "modules").rglob(f"{name}.ko"):
            return path.read_bytes()
    return None


def bootstrap(init, nsm=None):
    """Ramdisk 0, as nitro-cli has it."""
    more = [("nsm.ko", 0o100755, nsm)] if nsm else []
    return eif_maker.cpio([("dev", 0o40755, b""), ("init", 0o100755, init), *more])


def customer(command, env=("PATH=/bin",), more=()):
    """Ramdisk 1: the root below rootfs/, cmd and env."""
    busybox = pathlib.Path(need_program("busybox")).read_bytes()
    folders = [(f"rootfs{name}", 0o40755, b"")
               for name in ("", "/bin", "/dev", "/proc", "/run", "/sys", "/tmp", "/var")]
    links = [(f"rootfs/bin/{name}", 0o120777, b"busybox") for name in APPLETS]
    return eif_maker.cpio([*folders, ("rootfs/bin/busybox", 0o100755, busybox), *links, *more,
                           ("cmd", 0o100644, "".join(f"{a}\n" for a in command).encode()),
                           ("env", 0o100644, "".join(f"{e}\n" for e in env).encode())])


def sections(kernel, init, command, nsm=None, cmdline=CMDLINE, **rest):
    """(type, payload) in nitro-cli's order, without a signature."""
    return [(eif_maker.KERNEL, (pathlib.Path(kernel) / "vmlinuz").read_bytes()), (eif_maker.CMDLINE, cmdline.encode()),
            (eif_maker.METADATA, b'{"ImageName":"hello","ImageVersion":"v1","BuildMetadata":{},"DockerInfo":{}}'),
            (eif_maker.RAMDISK, bootstrap(init, nsm)), (eif_maker.RAMDISK, customer(command, **rest))]
