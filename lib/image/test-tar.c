/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/image/test-tar.h"

#include "lib/base/fd.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { BLOCK = 512 };

/* size - 1 octal digits and a NUL. */
static void put_octal(char *at, size_t size, uint64_t value)
{
        for (size_t i = size - 1; i > 0; i--) {
                at[i - 1] = (char)('0' + (value & 7));
                value >>= 3;
        }
}

static void put_text(char *at, size_t size, const char *text)
{
        assert_true(strlen(text) <= size);
        for (size_t i = 0; text[i]; i++)
                at[i] = text[i];
}

static void put_checksum(char *block)
{
        unsigned sum = 0;

        memset(block + 148, ' ', 8);
        for (size_t i = 0; i < BLOCK; i++)
                sum += (unsigned char)block[i];
        put_octal(block + 148, 7, sum);
        block[154] = '\0';
}

static void write_member(int fd, const struct test_member *m)
{
        char block[BLOCK] = {0};
        char type = m->type ? m->type : '0';
        const char *content = m->content ? m->content : "";
        size_t size = type == '0' ? strlen(content) : 0;

        put_text(block, 100, m->name);
        put_octal(block + 100, 8, m->mode ? m->mode : 0644);
        put_octal(block + 108, 8, m->uid);
        put_octal(block + 116, 8, 0);
        put_octal(block + 124, 12, size);
        put_octal(block + 136, 12, 1700000000);
        block[156] = type;
        if (type == '1' || type == '2')
                put_text(block + 157, 100, content);
        put_text(block + 257, 8, "ustar");
        put_text(block + 263, 2, "00");
        put_checksum(block);
        assert_int_equal(fd_write_full(fd, block, BLOCK), 0);
        memset(block, 0, BLOCK);
        assert_int_equal(fd_write_full(fd, content, size), 0);
        assert_int_equal(fd_write_full(fd, block, -size & (BLOCK - 1)), 0);
}

int test_tar(const struct test_member *members, size_t n)
{
        static const char end[2 * BLOCK];
        int fd = memfd_create("layer", MFD_CLOEXEC);

        assert_true(fd >= 0);
        for (size_t i = 0; i < n; i++)
                write_member(fd, &members[i]);
        assert_int_equal(fd_write_full(fd, end, sizeof(end)), 0);
        return fd;
}

void test_apply(struct image_tree *tree, const struct test_member *members, size_t n)
{
        struct error err = {0};
        int fd = test_tar(members, n);
        int r = image_tree_apply_layer(tree, fd, 1, "test", &err);

        close(fd);
        if (r < 0)
                fail_msg("%s", error_text(&err));
}
