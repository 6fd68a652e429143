/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel.c - a kernel of the wrong kind doesn't fail, it never says a word.  So it is looked at before it is
 * packed.
 */
#include "lib/eif/kernel.h"

#include "lib/base/cleanup.h"
#include "lib/eif/eif.h"

#include <inttypes.h>

/* x86: Documentation/arch/x86/boot.rst.  All little-endian. */
enum {
        X86_SETUP_SECTORS = 0x1f1, /* u8: of the real-mode part, behind the first; 0 means 4 */
        X86_SYSSIZE = 0x1f4,       /* u32: of the rest, in units of 16 bytes */
        X86_BOOT_FLAG = 0x1fe,     /* u16 0xaa55 */
        X86_HEADER = 0x202,        /* "HdrS", then u16 protocol version */
        X86_VERSION_POINTER = 0x20e,
        X86_LOADFLAGS = 0x211, /* bit 0: loaded high, that is a bzImage */
        X86_SETUP = 0x200,     /* the version pointer counts from here */
        RELEASE_MAX = 256,
};

/* aarch64: Documentation/arch/arm64/booting.rst. */
enum {
        ARM_TEXT_OFFSET = 8, /* u64 */
        ARM_MAGIC = 0x38,    /* "ARM\x64" */
};

static bool has(struct view head, size_t at, const char *bytes, size_t n)
{
        struct view found;

        return view_slice(head, at, n, &found) && view_equal(found, view_of(bytes, n));
}

static bool is_x86(struct view head)
{
        return has(head, X86_BOOT_FLAG, "\x55\xaa", 2) && has(head, X86_HEADER, "HdrS", 4);
}

static bool is_arm(struct view head)
{
        return has(head, ARM_MAGIC, "ARM\x64", 4);
}

/* What a payload is that can't be booted, for the error. */
static const char *what_it_is(struct view head)
{
        static const struct {
                size_t n;
                const char *bytes;
                const char *what;
        } kinds[] = {
                {4,
                 "\x7f"
                 "ELF",
                 "an ELF file, perhaps vmlinux"},
                {2, "\x1f\x8b", "a gzip file, perhaps a compressed Image"},
                {4, "\x28\xb5\x2f\xfd", "a zstd file"},
                {6, "070701", "a cpio archive, perhaps a ramdisk"},
        };

        if (is_x86(head))
                return "an x86 kernel";
        if (is_arm(head))
                return "an aarch64 Image";
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                if (has(head, 0, kinds[i].bytes, kinds[i].n))
                        return kinds[i].what;
        return head.n ? "of no known kind" : "empty";
}

/* 0 where the header doesn't say. */
static uint64_t x86_size(struct view head)
{
        struct view field;

        if (!view_slice(head, X86_SYSSIZE, 4, &field))
                return 0;
        struct cursor c = cursor_of(field);
        uint64_t rest = (uint64_t)cursor_le32(&c) * 16;
        unsigned int sectors = head.p[X86_SETUP_SECTORS] ? head.p[X86_SETUP_SECTORS] : 4;
        return rest ? (sectors + 1) * UINT64_C(512) + rest : 0;
}

static int check_x86(struct view head, uint64_t size, struct error *err)
{
        if (!is_x86(head))
                return error_set(err, -EBADMSG,
                                 "the kernel is %s; x86_64 needs a bzImage (arch/x86/boot/bzImage)",
                                 what_it_is(head));
        if (head.n <= X86_LOADFLAGS || !(head.p[X86_LOADFLAGS] & 1))
                return error_set(err, -EBADMSG, "the kernel is a zImage; x86_64 needs a bzImage");
        if (size < x86_size(head))
                return error_set(err, -EBADMSG,
                                 "the kernel is cut short: it has %" PRIu64 " of its %" PRIu64 " bytes", size,
                                 x86_size(head));
        return 0;
}

static int check_arm(struct view head, struct error *err)
{
        struct view field;
        struct cursor c;

        if (!is_arm(head))
                return error_set(
                        err, -EBADMSG,
                        "the kernel is %s; aarch64 needs an uncompressed Image (arch/arm64/boot/Image)",
                        what_it_is(head));
        if (!view_slice(head, ARM_TEXT_OFFSET, 8, &field))
                return error_set(err, -EBADMSG, "the kernel is cut short");
        c = cursor_of(field);
        if (cursor_le64(&c) == 0)
                return error_set(
                        err, -EBADMSG,
                        "the kernel's text_offset is 0, which enclave hypervisors don't load; set it to "
                        "0x200000");
        return 0;
}

int eif_kernel_check(struct view head, uint64_t size, uint16_t flags, struct error *err)
{
        return flags & EIF_FLAG_AARCH64 ? check_arm(head, err) : check_x86(head, size, err);
}

char *eif_kernel_release(struct view head)
{
        struct view field, text;
        struct cursor c;
        size_t at, n = 0;

        if (!is_x86(head) || !view_slice(head, X86_VERSION_POINTER, 2, &field))
                return NULL;
        c = cursor_of(field);
        at = cursor_le16(&c);
        if (at == 0 || !view_slice(head, at + X86_SETUP, 1, &text))
                return NULL;
        text = view_of(head.p + at + X86_SETUP, head.n - at - X86_SETUP);
        /* "6.1.0-18-cloud-amd64 (builder@host) #1 SMP ...": the release is its first word. */
        while (n < text.n && n < RELEASE_MAX && text.p[n] > ' ' && text.p[n] < 0x7f)
                n++;
        return n > 0 && n < text.n && text.p[n] == ' ' ? view_to_string(view_of(text.p, n)) : NULL;
}
