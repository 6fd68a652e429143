/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/crypto/hash-thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

enum { BLOCK = 2 * HASH_THREAD_MIN };

/* Blocks of changing sizes on both sides of the threshold, in as many buffers as the header asks for. */
static void hash_in_blocks(struct hash_thread *t, struct hash *plain)
{
        static uint8_t buffers[HASH_THREAD_BLOCKS][BLOCK];

        for (unsigned int i = 0; i < 100; i++) {
                uint8_t *block = buffers[i % HASH_THREAD_BLOCKS];
                size_t n = i < 60 || i % 3 == 0 ? BLOCK - i : i % 3 == 1 ? HASH_THREAD_MIN - 1 - i : 0;

                memset(block, (int)i, n);
                hash_thread_update(t, block, n);
                hash_update(plain, block, n);
        }
}

static void a_thread_hashes_as_the_caller_does(void **state)
{
        cleanup_hash_thread struct hash_thread *t = NULL;
        cleanup_hash struct hash plain = HASH_NONE, first = HASH_NONE, second = HASH_NONE;
        struct digest a, b, c;
        (void)state;

        assert_int_equal(hash_thread_new(HASH_SHA384, &t), 0);
        assert_int_equal(hash_init(&plain, HASH_SHA384), 0);
        hash_in_blocks(t, &plain);
        assert_int_equal(hash_thread_copy(t, &first), 0);
        assert_int_equal(hash_final(&first, &a), 0);
        assert_int_equal(hash_thread_copy(t, &second), 0);
        assert_int_equal(hash_final(&second, &c), 0);
        assert_int_equal(hash_final(&plain, &b), 0);
        assert_true(digest_equal(&a, &b));
        assert_true(digest_equal(&a, &c));
}

/* The fallback: a process that may not have a thread more (root isn't bound by this limit, so uid 65534
 * is). */
static void without_a_thread_the_caller_hashes(void **state)
{
        cleanup_hash_thread struct hash_thread *t = NULL;
        cleanup_hash struct hash plain = HASH_NONE, copy = HASH_NONE;
        struct rlimit before, none;
        uid_t uid = getuid();
        struct digest a, b;
        (void)state;

        if (uid == 0 && setresuid(65534, 65534, 0) < 0)
                skip();
        assert_int_equal(getrlimit(RLIMIT_NPROC, &before), 0);
        none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NPROC, &none), 0);
        assert_int_equal(hash_thread_new(HASH_SHA384, &t), 0);
        assert_int_equal(hash_init(&plain, HASH_SHA384), 0);
        hash_in_blocks(t, &plain);
        assert_int_equal(setrlimit(RLIMIT_NPROC, &before), 0);
        assert_int_equal(setresuid(uid, uid, uid), 0);
        assert_int_equal(hash_thread_copy(t, &copy), 0);
        assert_int_equal(hash_final(&copy, &a), 0);
        assert_int_equal(hash_final(&plain, &b), 0);
        assert_true(digest_equal(&a, &b));
}

/* All that may be in flight, and so much that it is, when the state is asked for. */
static void a_copy_has_all_that_was_handed_over(void **state)
{
        enum { LARGE = 2 * 1024 * 1024 };
        cleanup_free uint8_t *block = calloc(1, LARGE);
        cleanup_hash_thread struct hash_thread *t = NULL;
        cleanup_hash struct hash plain = HASH_NONE, copy = HASH_NONE;
        struct digest a, b;
        (void)state;

        assert_int_equal(hash_thread_new(HASH_SHA384, &t), 0);
        assert_int_equal(hash_init(&plain, HASH_SHA384), 0);
        for (int i = 0; i < HASH_THREAD_BLOCKS - 1; i++)
                hash_thread_update(t, block, LARGE);
        assert_int_equal(hash_thread_copy(t, &copy), 0);
        for (int i = 0; i < HASH_THREAD_BLOCKS - 1; i++)
                hash_update(&plain, block, LARGE);
        assert_int_equal(hash_final(&copy, &a), 0);
        assert_int_equal(hash_final(&plain, &b), 0);
        assert_true(digest_equal(&a, &b));
}

static void a_thread_with_work_in_flight_can_be_freed(void **state)
{
        static uint8_t block[BLOCK];
        struct hash_thread *t = NULL;
        (void)state;

        assert_int_equal(hash_thread_new(HASH_SHA256, &t), 0);
        hash_thread_update(t, block, sizeof(block));
        hash_thread_free(t);
}

int main(void)
{
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_thread_hashes_as_the_caller_does),
                cmocka_unit_test(a_copy_has_all_that_was_handed_over),
                cmocka_unit_test(a_thread_with_work_in_flight_can_be_freed),
                cmocka_unit_test(without_a_thread_the_caller_hashes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
