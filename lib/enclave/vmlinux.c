/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmlinux.c - take the kernel proper out of a bzImage.
 *
 * Theory of operation.  The boot header (Documentation/arch/x86/boot.rst) says where the payload lies.  LZ4
 * in the form that kernels have it: a magic number, then blocks, each with its size before it and each
 * unpacked on its own to 8 MiB, the last to less; behind them, as with all but gzip, the size of the whole.
 * So no more than one block of either kind is in memory.  What comes out is an ELF file, which has to have a
 * note that names the entry; QEMU reads the same note.
 */
#include "lib/enclave/vmlinux.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/base/view.h"

#include <elf.h>
#include <lz4.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum {
        MIB = 1024 * 1024,
        HEAD = 0x250, /* what we read of the boot header */
        SETUP_SECTORS_AT = 0x1f1,
        MAGIC_AT = 0x202,
        VERSION_AT = 0x206,
        PAYLOAD_AT = 0x248,           /* u32 offset from the end of the real-mode part, u32 length */
        VERSION_WITH_PAYLOAD = 0x208, /* boot protocol */
        SECTOR = 512,
        LZ4_MAGIC = 0x184c2102,
        LZ4_BLOCK = 8 * MIB,
        SIZE_TRAILER = 4,
        UNPACKED_MAX = 256 * MIB,
        HEADERS_MAX = 64, /* of an ELF file */
        NOTES_MAX = 64 * 1024,
        XEN_PHYS32_ENTRY = 18, /* type of the note */
};

static int unsupported(struct error *err, const char *why)
{
        return error_set(err, -EOPNOTSUPP, "the kernel can't be started unpacked: %s", why);
}

static int damaged(struct error *err)
{
        return error_set(err, -EBADMSG, "the kernel's compressed part is damaged");
}

static uint32_t le32_at(struct view v, size_t at)
{
        struct view field;

        if (!view_slice(v, at, 4, &field))
                return 0;
        struct cursor c = cursor_of(field);
        return cursor_le32(&c);
}

/* ---- finding the payload ---- */

static int find_payload(struct view image, struct view *ret_payload, struct error *err)
{
        struct view magic;

        if (image.n < HEAD || !view_slice(image, MAGIC_AT, 4, &magic) ||
            !view_equal(magic, view_of_string("HdrS")) ||
            (le32_at(image, VERSION_AT) & 0xffff) < VERSION_WITH_PAYLOAD)
                return unsupported(err, "it is no bzImage of our time");
        size_t sectors = image.p[SETUP_SECTORS_AT] ? image.p[SETUP_SECTORS_AT] : 4;
        size_t at = (sectors + 1) * SECTOR + le32_at(image, PAYLOAD_AT);
        if (!view_slice(image, at, le32_at(image, PAYLOAD_AT + 4), ret_payload) ||
            le32_at(*ret_payload, 0) != LZ4_MAGIC || ret_payload->n < 4 + SIZE_TRAILER)
                return unsupported(err, "it is not compressed with LZ4");
        return 0;
}

/* ---- unpacking it ---- */

/* One block of the payload, into `room`; *ret_n is how much it became. */
static int unpack_block(struct view payload, size_t *at, char *room, size_t *ret_n, struct error *err)
{
        struct view block;
        size_t size = le32_at(payload, *at);

        if (size == 0 || size > (size_t)LZ4_COMPRESSBOUND(LZ4_BLOCK) ||
            !view_slice(payload, *at + 4, size, &block))
                return damaged(err);
        int n = LZ4_decompress_safe((const char *)block.p, room, (int)size, LZ4_BLOCK);
        if (n <= 0)
                return damaged(err);
        *at += 4 + size;
        *ret_n = (size_t)n;
        return 0;
}

static int unpack(struct view payload, int fd, struct error *err)
{
        cleanup_free char *room = malloc(LZ4_BLOCK);
        size_t end = payload.n - SIZE_TRAILER, left = le32_at(payload, end), at = 4;
        int r;

        if (!room)
                return error_oom(err);
        if (left == 0 || left > UNPACKED_MAX)
                return damaged(err);
        payload.n = end;
        while (at < end) {
                size_t n;
                if ((r = unpack_block(payload, &at, room, &n, err)) < 0)
                        return r;
                if (n > left)
                        return damaged(err);
                if ((r = fd_write_full(fd, room, n)) < 0)
                        return error_errno(err, -r, "cannot unpack the kernel (TMPDIR sets the folder)");
                left -= n;
        }
        return left == 0 ? 0 : damaged(err);
}

/* ---- looking for the entry ---- */

/* Whether the notes, each aligned to four bytes, have one of Xen's that names a 32-bit entry. */
static bool has_entry(struct view notes)
{
        struct cursor c = cursor_of(notes);

        while (cursor_ok(&c) && !cursor_at_end(&c)) {
                uint32_t name_size = cursor_le32(&c), size = cursor_le32(&c), type = cursor_le32(&c);
                if (name_size > NOTES_MAX || size > NOTES_MAX)
                        return false;
                struct view name = cursor_take(&c, (name_size + 3) & ~3U);
                (void)cursor_take(&c, (size + 3) & ~3U);
                if (cursor_ok(&c) && type == XEN_PHYS32_ENTRY && name_size == 4 &&
                    memcmp(name.p, "Xen", 4) == 0)
                        return true;
        }
        return false;
}

static int check_notes(int fd, const Elf64_Phdr *header, bool *found, struct error *err)
{
        cleanup_free uint8_t *notes = malloc(NOTES_MAX);

        if (!notes)
                return error_oom(err);
        if (header->p_filesz > NOTES_MAX ||
            fd_pread_full(fd, notes, (size_t)header->p_filesz, header->p_offset) < 0)
                return unsupported(err, "its notes are out of reach");
        *found |= has_entry(view_of(notes, (size_t)header->p_filesz));
        return 0;
}

static int check_entry(int fd, struct error *err)
{
        Elf64_Ehdr elf;
        Elf64_Phdr headers[HEADERS_MAX];
        bool found = false;
        int r = 0;

        if (fd_pread_full(fd, &elf, sizeof(elf), 0) < 0 || memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0 ||
            elf.e_ident[EI_CLASS] != ELFCLASS64 || elf.e_machine != EM_X86_64 ||
            elf.e_phentsize != sizeof(*headers) || elf.e_phnum > HEADERS_MAX ||
            fd_pread_full(fd, headers, elf.e_phnum * sizeof(*headers), elf.e_phoff) < 0)
                return unsupported(err, "what is in it is no ELF file for x86_64");
        for (size_t i = 0; r == 0 && i < elf.e_phnum; i++) {
                if (headers[i].p_type == PT_NOTE)
                        r = check_notes(fd, &headers[i], &found, err);
        }
        if (r == 0 && !found)
                return unsupported(err, "it was built without CONFIG_PVH");
        return r;
}

/* ---- all of it ---- */

int vmlinux_unpack(int fd, int to, struct error *err)
{
        struct view payload;
        struct stat st;

        if (fstat(fd, &st) < 0)
                return error_errno(err, errno, "kernel");
        if (st.st_size < HEAD || st.st_size > UNPACKED_MAX)
                return unsupported(err, "it is no bzImage");
        void *image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (image == MAP_FAILED)
                return error_errno(err, errno, "kernel");
        int r = find_payload(view_of(image, (size_t)st.st_size), &payload, err);
        if (r == 0)
                r = unpack(payload, to, err);
        munmap(image, (size_t)st.st_size);
        return r < 0 ? r : check_entry(to, err);
}
