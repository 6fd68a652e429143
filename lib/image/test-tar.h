/* SPDX-License-Identifier: Apache-2.0 */
/* test-tar.h - for unit tests: layers put together entry by entry, in memory. */
#pragma once

#include "lib/image/tree.h"

/* One member of a ustar archive. */
struct test_member {
        const char *name;
        char type;           /* '0' file, '1' hard link, '2' symbolic link, '5' folder...; 0 is '0' */
        const char *content; /* of a file, or the target of a link */
        uint32_t mode;       /* 0: 0644 */
        uint32_t uid;
};

/* A memfd with a tar of n members; asserts that it can be made. The caller closes it. */
int test_tar(const struct test_member *members, size_t n);

/* A tar of the members listed. */
#define TEST_TAR(...)                                                                                        \
        test_tar((const struct test_member[]){__VA_ARGS__},                                                  \
                 sizeof((const struct test_member[]){__VA_ARGS__}) / sizeof(struct test_member))

/* Applies a layer of n members to the tree, asserting success. */
void test_apply(struct image_tree *tree, const struct test_member *members, size_t n);

/* Applies a layer of the members listed. */
#define TEST_APPLY(tree, ...)                                                                                \
        test_apply(tree, (const struct test_member[]){__VA_ARGS__},                                          \
                   sizeof((const struct test_member[]){__VA_ARGS__}) / sizeof(struct test_member))
