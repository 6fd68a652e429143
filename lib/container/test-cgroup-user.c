/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a user who isn't root gets, on the system that this runs on: "delegated", where the group above ours
 * is the user's, or "alone", where none is (tests/vm/test_cgroup_vm.py prepares both).
 */
#include "lib/container/cgroup-internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct spec_resources limited = {.pids_limit = {true, 20}};
static const struct spec_resources unlimited = {.n_devices = 0};

static int create(const char *path, const struct spec_resources *resources, struct cgroup **ret_cgroup,
                  struct error *err)
{
        struct cgroup_request request = {
                .id = "user-test", .path = path, .rootless = true, .resources = resources};

        return cgroup_create(&request, NULL, ret_cgroup, err);
}

static void limits_are_set_in_a_group_beside_ours(void **state)
{
        struct error err = {0};
        struct cgroup *cgroup;
        char text[32];

        (void)state;
        if (create(NULL, &limited, &cgroup, &err) < 0 || cgroup_apply(cgroup, &limited, &err) < 0)
                fail_msg("%s", error_text(&err));
        assert_int_equal(cgroup->n, 1);
        assert_string_equal(cgroup->hierarchies[0].path, "/user/user-test");
        assert_true(cgroup_file_read(&cgroup->hierarchies[0], "pids.max", text, sizeof(text)) > 0);
        assert_string_equal(text, "20\n");
        pid_t pid = fork();
        if (pid == 0)
                for (;;)
                        pause();
        assert_int_equal(cgroup_enter(cgroup, pid, &err), 0);
        assert_int_equal(cgroup_destroy(cgroup, &err), 0);
        cgroup_free(cgroup);
}

static void nothing_is_needed_without_limits(void **state)
{
        struct error err = {0};
        struct cgroup *cgroup;
        json_t *json;

        (void)state;
        if (create(NULL, &unlimited, &cgroup, &err) < 0 || cgroup_apply(cgroup, &unlimited, &err) < 0)
                fail_msg("%s", error_text(&err));
        assert_int_equal(cgroup->n, 0);
        assert_int_equal(cgroup_enter(cgroup, getpid(), &err), 0);
        json = cgroup_to_json(cgroup);
        cgroup_free(cgroup);
        assert_int_equal(cgroup_from_json(json, NULL, &cgroup, &err), 0);
        json_decref(json);
        assert_int_equal(cgroup_signal(cgroup, 0, &err), -ENOTSUP);
        assert_int_equal(cgroup_destroy(cgroup, &err), 0);
        cgroup_free(cgroup);
}

static void limits_that_cannot_be_had_are_refused(void **state)
{
        struct error err = {0};
        struct cgroup *cgroup = NULL;
        int r = create(NULL, &limited, &cgroup, &err);

        (void)state;
        if (r >= 0)
                r = cgroup_apply(cgroup, &limited, &err);
        assert_true(r < 0);
        if (!strstr(err.text,
                    "rootless needs no limits + no cgrouppath when no permission is granted for cgroups") &&
            !strstr(err.text, "cannot set pids limit: container could not join or create cgroup"))
                fail_msg("%s", err.text);
        cgroup_free(cgroup);
}

static void path_that_cannot_be_had_is_refused(void **state)
{
        struct error err = {0};
        struct cgroup *cgroup = NULL;

        (void)state;
        assert_int_equal(create("/some/where", &unlimited, &cgroup, &err), -EACCES);
        assert_non_null(strstr(err.text, "Permission denied"));
}

int main(int argc, char **argv)
{
        const struct CMUnitTest delegated[] = {
                cmocka_unit_test(limits_are_set_in_a_group_beside_ours),
                cmocka_unit_test(path_that_cannot_be_had_is_refused),
        };
        const struct CMUnitTest alone[] = {
                cmocka_unit_test(nothing_is_needed_without_limits),
                cmocka_unit_test(limits_that_cannot_be_had_are_refused),
                cmocka_unit_test(path_that_cannot_be_had_is_refused),
        };

        if (argc == 2 && strcmp(argv[1], "delegated") == 0)
                return cmocka_run_group_tests(delegated, NULL, NULL);
        if (argc == 2 && strcmp(argv[1], "alone") == 0)
                return cmocka_run_group_tests(alone, NULL, NULL);
        fprintf(stderr, "usage: test-cgroup-user delegated|alone\n");
        return 2;
}
