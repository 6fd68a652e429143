"""What the test host VM boots: the kernel image and the initial ramdisk."""

import lzma
import os
import stat
import struct

# In a bzImage (Documentation/arch/x86/boot.rst): where its packed part is.
SETUP_SECTORS = 0x1f1
PAYLOAD = 0x248
XZ_MAGIC = b'\xfd7zXZ\0'


class ModuleError(Exception):
    """A module that the kernel doesn't have."""


def module_name(path):
    """The name the kernel gives the module in file PATH (or called PATH)."""
    return os.path.basename(path).split('.ko')[0].replace('-', '_')


class Modules:
    """The modules of one kernel, as depmod's indexes describe them."""

    def __init__(self, folder):
        self.folder = folder
        self.needs = {}
        self.paths = {}
        for line in self.lines('modules.dep'):
            path, needs = line.split(':')
            self.paths[module_name(path)] = path
            self.needs[module_name(path)] = [module_name(need) for need in needs.split()]
        self.builtin = {module_name(line) for line in self.lines('modules.builtin')}

    def lines(self, index):
        with open(os.path.join(self.folder, index)) as file:
            return [line.strip() for line in file if line.strip() and not line.startswith('#')]

    def order(self, names):
        """The files of the modules NAMES and of all that they need, each after what it needs."""
        found = {}

        def add(name):
            name = name.replace('-', '_')
            if name in found or name in self.builtin:
                return
            if name not in self.paths:
                raise ModuleError(f'the kernel has no module {name} (see {self.folder}/modules.dep)')
            for need in reversed(self.needs[name]):
                add(need)
            found[name] = self.paths[name]

        for name in names:
            add(name)
        return list(found.values())

    def read(self, path):
        """The module in file PATH, uncompressed."""
        with open(os.path.join(self.folder, path), 'rb') as file:
            data = file.read()
        return lzma.decompress(data) if path.endswith('.xz') else data

    def nodes(self):
        """The devices that load their module when opened, as (name, major, minor)."""
        for line in self.lines('modules.devname'):
            _, name, device = line.split()
            if device[0] == 'c':
                yield name, *device[1:].split(':')


class Archive:
    """A cpio archive in the format the kernel unpacks (newc), written to a file as it grows."""

    def __init__(self, file):
        self.file = file
        self.inode = 0
        self.folders = set()

    def entry(self, name, mode, data=b''):
        self.inode += 1
        encoded = name.encode() + b'\0'
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
        header = b'070701' + b''.join(b'%08X' % field for field in fields) + encoded
        self.file.write(header + bytes(-len(header) % 4) + data + bytes(-len(data) % 4))

    def add(self, name, data, mode=0o644):
        """Add a file, after the folders it is in."""
        folder = os.path.dirname(name)
        while folder and folder not in self.folders:
            self.folders.add(folder)
            self.entry(folder, stat.S_IFDIR | 0o755)
            folder = os.path.dirname(folder)
        self.entry(name, stat.S_IFREG | mode, data)

    def close(self):
        self.entry('TRAILER!!!', 0)
        self.file.flush()


def write_ramdisk(file, modules, names, files):
    """Write an initial ramdisk to FILE.

    MODULES are the kernel's, NAMES those to load. FILES maps names of further files to (contents, mode).
    """
    archive = Archive(file)
    for number, path in enumerate(modules.order(names)):
        archive.add(f'modules/{number:03}-{module_name(path)}.ko', modules.read(path))
    for name, (data, mode) in files.items():
        archive.add(name, data, mode)
    archive.close()


def unpacked(image):
    """The kernel inside a bzImage if it is packed with xz, else None."""
    offset, length = struct.unpack_from('<II', image, PAYLOAD)
    start = (image[SETUP_SECTORS] + 1) * 512 + offset
    payload = image[start:start + length]
    if not payload.startswith(XZ_MAGIC):
        return None
    # Behind the packed stream stands the unpacked size, which the decompressor leaves alone.
    return lzma.LZMADecompressor().decompress(payload)


def kernel_image(kernel):
    """The image to boot of the kernel in folder KERNEL.

    A kernel packed with xz unpacks itself in 3 s under emulation, which is as long as the rest of its boot. So it is
    unpacked here, once, and kept beside the packed one.
    """
    packed, image = f'{kernel}/vmlinuz', f'{kernel}/vmlinux'
    if os.path.exists(image) or not os.access(kernel, os.W_OK):
        return image if os.path.exists(image) else packed
    with open(packed, 'rb') as file:
        data = unpacked(file.read())
    if data is None:
        return packed
    folder = os.open(kernel, os.O_DIRECTORY)
    try:
        # It has no name until it is whole. Given no folder, os.link() would not follow the link in /proc.
        with open(os.open(kernel, os.O_TMPFILE | os.O_RDWR, 0o644), 'wb') as file:
            file.write(data)
            file.flush()
            os.link(f'/proc/self/fd/{file.fileno()}', 'vmlinux', dst_dir_fd=folder)
    except FileExistsError:
        pass  # Another call was faster.
    except OSError:
        return packed  # It works as well, only slower.
    finally:
        os.close(folder)
    return image
