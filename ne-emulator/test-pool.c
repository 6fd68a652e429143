/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ne-emulator/pool.h"

#include "lib/base/cleanup.h"

#include <linux/nitro_enclaves.h>
#include <string.h>

static struct pool make(const char *list, unsigned threads)
{
        struct pool pool;

        assert_int_equal(pool_parse(list, threads, &pool, NULL), 0);
        return pool;
}

/* Adds a CPU as NE_ADD_VCPU does; gives its number, or the errno. */
static int add(struct pool *pool, struct pool_share *share, uint32_t cpu)
{
        int r = pool_choose(pool, share, &cpu);

        if (r < 0)
                return r;
        pool_use(share, cpu);
        return (int)cpu;
}

static void a_list_reads_back_in_its_shortest_form(void **state)
{
        struct pool pool = make("10,11,2-3,4-7", 2);
        cleanup_buf struct buf b = buf_with_max(100);

        (void)state;
        assert_int_equal(pool_format(&pool, &b), 0);
        assert_string_equal(buf_string(&b), "2-7,10-11");
}

static void a_pool_may_be_empty(void **state)
{
        struct pool pool = make("", 2);
        struct pool_share share = {.n_used = 0};

        (void)state;
        assert_true(pool_is_empty(&pool));
        assert_int_equal(add(&pool, &share, 0), -NE_ERR_INVALID_VCPU);
}

static void bad_lists_are_refused(void **state)
{
        static const char *const lists[] = {"0-3", "1",    "2",    "2-4",    "x", "2-",
                                            "5-2", "2,,3", "2-3 ", "2-1024", "-2"};
        struct pool pool;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
                assert_int_equal(pool_parse(lists[i], 2, &pool, NULL), -EINVAL);
        assert_int_equal(pool_parse("2-3", 0, &pool, NULL), -EINVAL);
        assert_int_equal(pool_parse("1", 1, &pool, NULL), 0);
}

static void cpus_are_given_core_by_core(void **state)
{
        struct pool pool = make("2-7", 2);
        struct pool_share one = {.n_used = 0}, other = {.n_used = 0};

        (void)state;
        assert_int_equal(add(&pool, &one, 0), 2);
        assert_int_equal(add(&pool, &other, 0), 4);
        assert_false(pool_share_is_whole(&one));
        assert_int_equal(add(&pool, &one, 0), 3);
        assert_true(pool_share_is_whole(&one));
        assert_int_equal(add(&pool, &one, 0), 6);
        assert_int_equal(add(&pool, &one, 0), 7);
        assert_int_equal(add(&pool, &one, 0), -NE_ERR_NO_CPUS_AVAIL_IN_POOL);
        assert_int_equal(add(&pool, &other, 0), 5);
}

static void named_cpus_are_checked_as_the_driver_does(void **state)
{
        struct pool pool = make("2-5,8-9", 2);
        struct pool_share one = {.n_used = 0}, other = {.n_used = 0};

        (void)state;
        assert_int_equal(add(&pool, &one, 3), 3);
        assert_int_equal(add(&pool, &one, 3), -NE_ERR_VCPU_ALREADY_USED);
        assert_int_equal(add(&pool, &other, 2), -NE_ERR_VCPU_NOT_IN_CPU_POOL);
        assert_int_equal(add(&pool, &one, 2), 2);
        assert_int_equal(add(&pool, &one, 6), -NE_ERR_VCPU_NOT_IN_CPU_POOL);
        assert_int_equal(add(&pool, &one, 10), -NE_ERR_INVALID_VCPU);
}

static void what_is_released_can_be_had_again(void **state)
{
        struct pool pool = make("2-3", 2);
        struct pool_share one = {.n_used = 0}, other = {.n_used = 0};

        (void)state;
        assert_int_equal(add(&pool, &one, 0), 2);
        assert_true(pool_is_empty(&pool));
        pool_unuse(&one, 2);
        assert_true(pool_is_empty(&pool));
        pool_release(&pool, &one);
        assert_int_equal(add(&pool, &other, 3), 3);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_list_reads_back_in_its_shortest_form),
                cmocka_unit_test(a_pool_may_be_empty),
                cmocka_unit_test(bad_lists_are_refused),
                cmocka_unit_test(cpus_are_given_core_by_core),
                cmocka_unit_test(named_cpus_are_checked_as_the_driver_does),
                cmocka_unit_test(what_is_released_can_be_had_again),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
