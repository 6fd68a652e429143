/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/eif/test-image.h"

#include "lib/base/fd.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum { TEST_FILE_MAX = 64 << 20 };

static void must(bool ok, const struct error *err)
{
        if (ok)
                return;
        fprintf(stderr, "test-image: %s\n", err ? error_text(err) : "failed");
        abort();
}

int test_empty_file(void)
{
        int fd = memfd_create("test-image", MFD_CLOEXEC);

        must(fd >= 0, NULL);
        return fd;
}

int test_file_of(struct view content)
{
        int fd = test_empty_file();

        must(fd_pwrite_full(fd, content.p, content.n, 0) == 0, NULL);
        return fd;
}

struct buf test_file_bytes(int fd)
{
        struct buf b = buf_with_max(TEST_FILE_MAX);
        struct stat st;

        must(fstat(fd, &st) == 0 && buf_reserve(&b, (size_t)st.st_size) == 0 &&
                     fd_pread_full(fd, b.p, (size_t)st.st_size, 0) == 0,
             NULL);
        b.n = (size_t)st.st_size;
        return b;
}

void test_write_section(struct eif_writer *w, enum eif_section_type type, struct view content)
{
        struct error err = {0};

        must(eif_writer_section(w, type, &err) == 0 && eif_writer_write(w, content.p, content.n, &err) == 0,
             &err);
}

static void write_repeated(struct eif_writer *w, enum eif_section_type type, const char *word, size_t times)
{
        struct error err = {0};

        must(eif_writer_section(w, type, &err) == 0, &err);
        for (size_t i = 0; i < times; i++)
                must(eif_writer_write(w, word, strlen(word), &err) == 0, &err);
}

void test_write_image(int fd, const struct eif_signer *signer, struct eif_pcrs *ret_pcrs)
{
        cleanup_eif_writer struct eif_writer *w = NULL;
        struct error err = {0};

        must(eif_writer_new(fd, 0, &w, &err) == 0, &err);
        write_repeated(w, EIF_SECTION_KERNEL, "KERNEL", 1000);
        test_write_section(w, EIF_SECTION_CMDLINE, view_of_string("console=ttyS0"));
        test_write_section(w, EIF_SECTION_METADATA, view_of_string("{\"ImageName\":\"t\"}"));
        write_repeated(w, EIF_SECTION_RAMDISK, "BOOT", 500);
        write_repeated(w, EIF_SECTION_RAMDISK, "APP!", 700);
        must(eif_writer_finish(w, signer, ret_pcrs, &err) == 0, &err);
}

struct buf test_image_bytes(void)
{
        struct eif_pcrs pcrs;
        cleanup_fd int fd = test_empty_file();

        test_write_image(fd, NULL, &pcrs);
        return test_file_bytes(fd);
}
