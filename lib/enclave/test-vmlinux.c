/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/enclave/vmlinux.h"

#include "lib/base/buf.h"
#include "lib/base/fd.h"

#include <elf.h>
#include <lz4.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { SETUP = 5 * 512, ELF_SIZE = 72 * 1024, NOTE_AT = 1024, SIZE_AT_END = 4 };

/* An ELF file with nothing in it but a note of Xen's, of this type. */
static void make_elf(uint8_t elf[ELF_SIZE], uint32_t note_type)
{
        const struct {
                Elf64_Ehdr head;
                Elf64_Phdr note;
        } start = {
                .head = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                         .e_machine = EM_X86_64,
                         .e_phoff = sizeof(Elf64_Ehdr),
                         .e_phentsize = sizeof(Elf64_Phdr),
                         .e_phnum = 1},
                .note = {.p_type = PT_NOTE, .p_offset = NOTE_AT, .p_filesz = 24},
        };
        const uint32_t note[] = {4, 8, note_type, 0x006e6558 /* "Xen" */, 0x1000000, 0};

        memset(elf, 7, ELF_SIZE);
        memcpy(elf, &start, sizeof(start));
        memcpy(elf + NOTE_AT, note, sizeof(note));
}

static void add_le32(struct buf *b, uint32_t value)
{
        const uint8_t bytes[] = {value & 255, value >> 8 & 255, value >> 16 & 255, value >> 24};

        assert_int_equal(buf_append(b, bytes, sizeof(bytes)), 0);
}

static void put_le32(struct buf *b, size_t at, uint32_t value)
{
        const uint8_t bytes[] = {value & 255, value >> 8 & 255, value >> 16 & 255, value >> 24};

        memcpy(b->p + at, bytes, sizeof(bytes));
}

/* A bzImage that carries `elf`, compressed in two blocks. */
static void make_image(struct buf *b, const uint8_t elf[ELF_SIZE])
{
        static const uint8_t setup[SETUP];
        static char block[2 * ELF_SIZE];

        assert_int_equal(buf_append(b, setup, sizeof(setup)), 0);
        b->p[0x1f1] = SETUP / 512 - 1;
        memcpy(b->p + 0x202, "HdrS\x0f\x02", 6);
        add_le32(b, 0x184c2102);
        for (size_t at = 0; at < ELF_SIZE; at += ELF_SIZE / 2) {
                int n = LZ4_compress_default((const char *)elf + at, block, ELF_SIZE / 2, sizeof(block));
                assert_true(n > 0);
                add_le32(b, (uint32_t)n);
                assert_int_equal(buf_append(b, block, (size_t)n), 0);
        }
        add_le32(b, ELF_SIZE);
        put_le32(b, 0x248, 0);
        put_le32(b, 0x24c, (uint32_t)(b->n - SETUP));
}

/* *ret_fd is what came out, also where it failed in the middle. */
static int unpack(const struct buf *image, int *ret_fd)
{
        cleanup_fd int fd = memfd_create("image", MFD_CLOEXEC);

        fd_close_p(ret_fd);
        *ret_fd = memfd_create("unpacked", MFD_CLOEXEC);
        assert_true(fd >= 0 && *ret_fd >= 0);
        assert_int_equal(fd_write_full(fd, image->p, image->n), 0);
        return vmlinux_unpack(fd, *ret_fd, NULL);
}

#define GOOD_IMAGE(name)                                                                                     \
        static uint8_t elf[ELF_SIZE];                                                                        \
        cleanup_buf struct buf name = buf_with_max((size_t)64 * 1024);                                       \
        cleanup_fd int fd = -1;                                                                              \
        make_elf(elf, 18);                                                                                   \
        make_image(&(name), elf)

static void test_kernel_comes_out_as_it_went_in(void **state)
{
        GOOD_IMAGE(image);
        uint8_t out[ELF_SIZE];
        struct stat st;

        (void)state;
        assert_int_equal(unpack(&image, &fd), 0);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_size, ELF_SIZE);
        assert_int_equal(fd_pread_full(fd, out, sizeof(out), 0), 0);
        assert_memory_equal(out, elf, ELF_SIZE);
}

static void test_kernel_without_an_entry_is_left_packed(void **state)
{
        uint8_t elf[ELF_SIZE];
        cleanup_buf struct buf image = buf_with_max((size_t)64 * 1024);
        cleanup_fd int fd = -1;

        (void)state;
        make_elf(elf, 17);
        make_image(&image, elf);
        assert_int_equal(unpack(&image, &fd), -EOPNOTSUPP);
}

static void test_other_compressions_and_files_are_left_alone(void **state)
{
        GOOD_IMAGE(image);

        (void)state;
        put_le32(&image, SETUP, 0xfd2fb528); /* zstd */
        assert_int_equal(unpack(&image, &fd), -EOPNOTSUPP);
        put_le32(&image, SETUP, 0x184c2102);
        put_le32(&image, 0x24c, (uint32_t)image.n); /* beyond the end */
        assert_int_equal(unpack(&image, &fd), -EOPNOTSUPP);
        image.n = 0x200;
        assert_int_equal(unpack(&image, &fd), -EOPNOTSUPP);
}

static void test_damage_is_told(void **state)
{
        static const struct {
                int from_end; /* of the image; or of the payload's start */
                uint32_t value;
        } damage[] = {
                {-SIZE_AT_END, ELF_SIZE + 1}, /* less comes out than is said */
                {-SIZE_AT_END, ELF_SIZE - 1}, /* more */
                {-SIZE_AT_END, UINT32_MAX},
                {SETUP + 4, 0}, /* the first block's size */
                {SETUP + 4, 1},
                {SETUP + 4, INT32_MAX},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(damage); i++) {
                GOOD_IMAGE(image);
                size_t at = damage[i].from_end < 0 ? image.n - SIZE_AT_END : (size_t)damage[i].from_end;
                put_le32(&image, at, damage[i].value);
                assert_int_equal(unpack(&image, &fd), -EBADMSG);
        }
}

static off_t size_of(int fd)
{
        struct stat st;

        assert_int_equal(fstat(fd, &st), 0);
        return st.st_size;
}

static void test_no_more_comes_out_than_is_said(void **state)
{
        GOOD_IMAGE(image);

        (void)state;
        put_le32(&image, image.n - SIZE_AT_END, ELF_SIZE - 1);
        assert_int_equal(unpack(&image, &fd), -EBADMSG);
        assert_true(size_of(fd) < ELF_SIZE);
}

/* 264 MiB of zeros in little more than one. */
static void test_kernel_that_would_fill_the_disk_is_refused(void **state)
{
        enum { BLOCK = 8 * 1024 * 1024, BLOCKS = 33 };
        GOOD_IMAGE(small);
        cleanup_free char *zeros = calloc(1, BLOCK), *block = malloc(LZ4_COMPRESSBOUND(BLOCK));
        cleanup_buf struct buf image = buf_with_max((size_t)4 * 1024 * 1024);

        (void)state;
        assert_true(zeros && block);
        int n = LZ4_compress_default(zeros, block, BLOCK, LZ4_COMPRESSBOUND(BLOCK));
        assert_true(n > 0);
        assert_int_equal(buf_append(&image, small.p, SETUP + 4), 0);
        for (int i = 0; i < BLOCKS; i++) {
                add_le32(&image, (uint32_t)n);
                assert_int_equal(buf_append(&image, block, (size_t)n), 0);
        }
        add_le32(&image, (uint32_t)BLOCK * BLOCKS);
        put_le32(&image, 0x24c, (uint32_t)(image.n - SETUP));
        assert_int_equal(unpack(&image, &fd), -EBADMSG);
        assert_int_equal(size_of(fd), 0);
}

/* What the unpacked kernel's ELF header says, and its only note's size. */
static int unpack_with(uint16_t headers, uint64_t note_size)
{
        static uint8_t elf[ELF_SIZE];
        cleanup_buf struct buf image = buf_with_max((size_t)64 * 1024);
        cleanup_fd int fd = -1;

        make_elf(elf, 18);
        memcpy(elf + offsetof(Elf64_Ehdr, e_phnum), &headers, sizeof(headers));
        memcpy(elf + sizeof(Elf64_Ehdr) + offsetof(Elf64_Phdr, p_filesz), &note_size, sizeof(note_size));
        make_image(&image, elf);
        return unpack(&image, &fd);
}

static void test_tables_of_the_kernel_have_their_longest(void **state)
{
        (void)state;
        assert_int_equal(unpack_with(1, UINT64_C(65536)), 0);
        assert_int_equal(unpack_with(1, 64 * 1024 + 1), -EOPNOTSUPP);
        assert_int_equal(unpack_with(1, UINT64_MAX), -EOPNOTSUPP);
        assert_int_equal(unpack_with(64, 24), 0);
        assert_int_equal(unpack_with(65, 24), -EOPNOTSUPP);
        assert_int_equal(unpack_with(0, 24), -EOPNOTSUPP);
}

static void test_setup_of_no_sectors_has_four(void **state)
{
        GOOD_IMAGE(image);

        (void)state;
        image.p[0x1f1] = 0;
        assert_int_equal(unpack(&image, &fd), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_kernel_comes_out_as_it_went_in),
                cmocka_unit_test(test_kernel_without_an_entry_is_left_packed),
                cmocka_unit_test(test_other_compressions_and_files_are_left_alone),
                cmocka_unit_test(test_damage_is_told),
                cmocka_unit_test(test_no_more_comes_out_than_is_said),
                cmocka_unit_test(test_kernel_that_would_fill_the_disk_is_refused),
                cmocka_unit_test(test_tables_of_the_kernel_have_their_longest),
                cmocka_unit_test(test_setup_of_no_sectors_has_four),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
