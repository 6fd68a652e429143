/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-build-folder.c - a folder becomes an image; taking it as it was written gives the same machine as
 * opening and measuring it does.
 */
#include "lib/enclave/build-folder.h"

#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "lib/base/path.h"
#include "lib/enclave/boot-image.h"

#include <elf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
        char folder[64];
        int fd;
        int root_fd;
        int eif_fd;
        struct eif_pcrs pcrs;
};

static void put(int dirfd, const char *name, struct view content)
{
        assert_int_equal(file_write_atomic(dirfd, name, content, 0644, NULL), 0);
}

/* What is enough of a bzImage to be taken for one. */
static void put_kernel(struct fixture *f)
{
        uint8_t image[1024] = {0};

        image[0x1fe] = 0x55;
        image[0x1ff] = 0xaa;
        memcpy(image + 0x202, (const uint8_t[]){'H', 'd', 'r', 'S'}, 4);
        image[0x20f] = 0x01;
        image[0x211] = 1;
        snprintf((char *)image + 0x300, 0x100, "6.1.0 (someone)");
        put(f->fd, "vmlinuz", view_of(image, sizeof(image)));
}

static int set_up(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));

        snprintf(f->folder, sizeof(f->folder), "/tmp/test-build-folder-XXXXXX");
        if (!mkdtemp(f->folder))
                return -1;
        f->fd = open(f->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        put_kernel(f);
        /* Of a program for amd64 only the ELF header counts. */
        put(f->fd, "init",
            view_of(&(const Elf64_Ehdr){.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB},
                                        .e_machine = EM_X86_64},
                    sizeof(Elf64_Ehdr)));
        assert_int_equal(mkdirat(f->fd, "root", 0755), 0);
        f->root_fd = openat(f->fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
        put(f->root_fd, "file", view_of_string("content"));
        f->eif_fd = memfd_create("test", MFD_CLOEXEC);
        *state = f;
        return f->root_fd >= 0 && f->eif_fd >= 0 ? 0 : -1;
}

static int tear_down(void **state)
{
        struct fixture *f = *state;

        close(f->root_fd);
        close(f->eif_fd);
        close(f->fd);
        path_remove_tree(AT_FDCWD, f->folder, NULL);
        free(f);
        return 0;
}

static void build(struct fixture *f, struct eif_pcrs *ret_pcrs)
{
        cleanup_free char *kernel = path_join(f->folder, "vmlinuz");
        cleanup_free char *init = path_join(f->folder, "init");
        const struct enclave_build_folder_options options = {
                .kernel = kernel, .init = init, .name = "box", .root_fd = f->root_fd};
        struct error err = {0};

        assert_int_equal(ftruncate(f->eif_fd, 0), 0);
        if (enclave_build_folder(&options, f->eif_fd, ret_pcrs, &err) < 0)
                fail_msg("%s", error_text(&err));
}

static void assert_same_content(int a, int b)
{
        cleanup_buf struct buf one = {0}, other = {0};

        assert_int_equal(file_read_fd(a, 1 << 20, &one), 0);
        assert_int_equal(file_read_fd(b, 1 << 20, &other), 0);
        assert_true(one.n > 0 && view_equal(buf_view(&one), buf_view(&other)));
}

static void test_taking_is_opening_without_measuring(void **state)
{
        struct fixture *f = *state;
        cleanup_boot_image struct boot_image opened = BOOT_IMAGE_NONE, taken = BOOT_IMAGE_NONE;
        char path[64];

        build(f, &f->pcrs);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", f->eif_fd);
        assert_int_equal(boot_image_open(path, &opened, NULL), 0);
        assert_int_equal(boot_image_make_files(&taken, NULL), 0);
        assert_int_equal(boot_image_read(f->eif_fd, &f->pcrs, &taken, NULL), 0);
        assert_memory_equal(opened.pcr0, taken.pcr0, ENCLAVE_PCR_SIZE);
        assert_memory_equal(opened.pcr1, taken.pcr1, ENCLAVE_PCR_SIZE);
        assert_memory_equal(opened.pcr2, taken.pcr2, ENCLAVE_PCR_SIZE);
        assert_string_equal(opened.cmdline, taken.cmdline);
        assert_string_equal(taken.name, "box");
        assert_false(taken.has_pcr8);
        assert_true(opened.initrd_size == taken.initrd_size && opened.unpacked_size == taken.unpacked_size);
        assert_true(opened.kernel_memory == taken.kernel_memory);
        assert_same_content(opened.kernel_fd, taken.kernel_fd);
        assert_same_content(opened.initrd_fd, taken.initrd_fd);
}

static void test_measurements_are_those_of_the_files_alone(void **state)
{
        struct fixture *f = *state;
        struct eif_pcrs again, other;

        build(f, &f->pcrs);
        assert_int_equal(mkdirat(f->fd, "elsewhere", 0755), 0);
        put(f->root_fd, "passing", view_of_string("x"));
        cleanup_free char *passing = path_join(f->folder, "root/passing");
        assert_int_equal(unlink(passing), 0);
        build(f, &again);
        assert_memory_equal(&again, &f->pcrs, sizeof(again));
        put(f->root_fd, "file", view_of_string("Content"));
        build(f, &other);
        assert_memory_not_equal(other.pcr0.bytes, f->pcrs.pcr0.bytes, ENCLAVE_PCR_SIZE);
        assert_memory_equal(other.pcr1.bytes, f->pcrs.pcr1.bytes, ENCLAVE_PCR_SIZE);
        assert_memory_not_equal(other.pcr2.bytes, f->pcrs.pcr2.bytes, ENCLAVE_PCR_SIZE);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_taking_is_opening_without_measuring, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_measurements_are_those_of_the_files_alone, set_up,
                                                tear_down),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
