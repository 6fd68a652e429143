/* SPDX-License-Identifier: Apache-2.0 */
/* A folder stands for resctrl: in it a group has no files but those that the test makes, so the groups of the
 * tests that write are there before. */
#include "lib/container/intel-rdt.h"

#include "lib/base/file.h"
#include "lib/base/path.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int setup(void **state)
{
        char *root = strdup("/tmp/test-intel-rdt.XXXXXX");

        assert_non_null(root);
        assert_non_null(mkdtemp(root));
        *state = root;
        return 0;
}

static int teardown(void **state)
{
        assert_int_equal(path_remove_tree(AT_FDCWD, *state, NULL), 0);
        free(*state);
        return 0;
}

static void make_folder(const char *root, const char *name)
{
        cleanup_free char *path = path_join(root, name);

        assert_int_equal(path_make_dirs(path, 0755, NULL), 0);
}

static void make_file(const char *root, const char *name, const char *text)
{
        cleanup_free char *path = path_join(root, name);

        assert_int_equal(file_write_atomic(AT_FDCWD, path, view_of_string(text), 0644, NULL), 0);
}

/* A group with the files that the kernel gives it. */
static void make_group(const char *root, const char *name)
{
        char file[128];

        make_folder(root, name);
        snprintf(file, sizeof(file), "%s/tasks", name);
        make_file(root, file, "");
        snprintf(file, sizeof(file), "%s/schemata", name);
        make_file(root, file, "");
}

static void assert_content(const char *root, const char *name, const char *text)
{
        cleanup_free char *path = path_join(root, name);
        cleanup_buf struct buf content = {0};

        assert_int_equal(file_read(AT_FDCWD, path, 4096, &content, NULL), 0);
        assert_string_equal(buf_string(&content), text);
}

static bool exists(const char *root, const char *name)
{
        cleanup_free char *path = path_join(root, name);

        return access(path, F_OK) == 0;
}

static void writes_schemata_and_tasks(void **state)
{
        const char *root = *state;
        char *lines[] = {(char *)(uintptr_t) "L2:0=f", (char *)(uintptr_t) "MB:0=30", NULL};
        const struct spec_intel_rdt spec = {.clos_id = "gold",
                                            .l3_cache_schema = "L3:0=7f0",
                                            .mem_bw_schema = "MB:0=20",
                                            .schemata = {.items = lines, .n = 2},
                                            .enable_monitoring = true};
        cleanup_intel_rdt struct intel_rdt rdt = {0}, read = {0};
        struct error err = {0};

        make_folder(root, "info/L3");
        make_folder(root, "info/MB");
        make_group(root, "gold");
        make_group(root, "gold/mon_groups/c1");
        assert_int_equal(intel_rdt_apply(root, "c1", &spec, 4711, &rdt, &err), 0);
        assert_content(root, "gold/schemata", "L3:0=7f0\nMB:0=20\nL2:0=f\nMB:0=30\n");
        assert_content(root, "gold/tasks", "4711");
        assert_content(root, "gold/mon_groups/c1/tasks", "4711");

        json_t *json = intel_rdt_to_json(&rdt);
        assert_int_equal(intel_rdt_from_json(json, &read, &err), 0);
        json_decref(json);
        assert_string_equal(read.path, rdt.path);
        assert_string_equal(read.monitor_path, rdt.monitor_path);
        assert_false(read.made);
        assert_int_equal(intel_rdt_enter(&read, 4712, &err), 0);
        assert_content(root, "gold/tasks", "4712");
}

static void update_writes_what_is_given(void **state)
{
        const char *root = *state;
        struct spec_intel_rdt spec = {.mem_bw_schema = "MB:0=30"};
        struct intel_rdt rdt = {0};
        struct error err = {0};

        make_group(root, "c1");
        assert_int_equal(intel_rdt_update(root, &rdt, &spec, &err), -EINVAL);
        assert_non_null(strstr(error_text(&err), "without linux.intelRdt"));
        rdt.path = path_join(root, "c1");
        assert_int_equal(intel_rdt_update(root, &rdt, &spec, &err), -ENOTSUP);
        assert_non_null(strstr(error_text(&err), "Intel RDT/MBA: memory bandwidth schema is not enabled"));
        assert_content(root, "c1/schemata", "");
        make_folder(root, "info/MB");
        assert_int_equal(intel_rdt_update(root, &rdt, &spec, &err), 0);
        assert_content(root, "c1/schemata", "MB:0=30\n");
        spec = (struct spec_intel_rdt){.l3_cache_schema = "L3:0=f"};
        assert_int_equal(intel_rdt_update(root, &rdt, &spec, &err), -ENOTSUP);
        assert_non_null(strstr(error_text(&err), "Intel RDT/CAT: l3 cache schema is not enabled"));
        make_folder(root, "info/L3");
        make_file(root, "c1/schemata", "");
        assert_int_equal(intel_rdt_update(root, &rdt, &spec, &err), 0);
        assert_content(root, "c1/schemata", "L3:0=f\n");
        intel_rdt_done(&rdt);
}

static void assert_stats(const char *root, const struct intel_rdt *rdt, const char *expected)
{
        json_t *figures;
        struct error err = {0};

        assert_int_equal(intel_rdt_stats(root, rdt, &figures, &err), 0);
        char *text = json_dumps(figures, JSON_COMPACT | JSON_SORT_KEYS);
        assert_string_equal(text, expected);
        free(text);
        json_decref(figures);
}

static void stats_are_those_that_the_machine_has(void **state)
{
        const char *root = *state;
        struct intel_rdt rdt = {0};
        json_t *figures;

        make_group(root, "c1");
        rdt.path = path_join(root, "c1");
        assert_int_equal(intel_rdt_stats(root, &rdt, &figures, NULL), -ENOENT);
        make_file(root, "schemata", "    MB:0=100;1=100\n    L3:0=fff;1=fff\n");
        make_file(root, "c1/schemata", "    MB:0= 20;1= 70\n    L3:0=7f0;1=  f\n");
        assert_stats(root, &rdt, "{\"schemata\":[\"MB:0= 20;1= 70\",\"L3:0=7f0;1=  f\"]}");

        make_folder(root, "info/L3");
        make_file(root, "info/L3/cbm_mask", "fff\n");
        make_file(root, "info/L3/min_cbm_bits", "1\n");
        make_file(root, "info/L3/num_closids", "16\n");
        assert_stats(root, &rdt,
                     "{\"l3_cache_info\":{\"cbm_mask\":\"fff\",\"min_cbm_bits\":1,\"num_closids\":16},"
                     "\"l3_cache_schema\":\"L3:0=7f0;1=  f\",\"l3_cache_schema_root\":\"L3:0=fff;1=fff\","
                     "\"schemata\":[\"MB:0= 20;1= 70\",\"L3:0=7f0;1=  f\"]}");

        make_file(root, "c1/schemata", "MB:0=20\n");
        make_folder(root, "info/MB");
        make_file(root, "info/MB/bandwidth_gran", "10\n");
        make_file(root, "info/MB/min_bandwidth", "10\n");
        assert_stats(root, &rdt,
                     "{\"l3_cache_info\":{\"cbm_mask\":\"fff\",\"min_cbm_bits\":1,\"num_closids\":16},"
                     "\"l3_cache_schema_root\":\"L3:0=fff;1=fff\","
                     "\"mem_bw_info\":{\"bandwidth_gran\":10,\"min_bandwidth\":10},"
                     "\"mem_bw_schema\":\"MB:0=20\",\"mem_bw_schema_root\":\"MB:0=100;1=100\","
                     "\"schemata\":[\"MB:0=20\"]}");
        intel_rdt_done(&rdt);
}

static void stats_of_monitoring(void **state)
{
        const char *root = *state;
        struct intel_rdt rdt = {0};

        make_group(root, "c1");
        make_file(root, "schemata", "");
        make_folder(root, "info/L3_MON");
        make_file(root, "info/L3_MON/mon_features", "llc_occupancy\nmbm_total_bytes\nmbm_local_bytes\n");
        make_folder(root, "c1/mon_data/mon_L3_00");
        make_folder(root, "c1/mon_data/mon_L3_01");
        make_file(root, "c1/mon_data/mon_L3_00/mbm_total_bytes", "9123911\n");
        make_file(root, "c1/mon_data/mon_L3_00/mbm_local_bytes", "2361361\n");
        make_file(root, "c1/mon_data/mon_L3_00/llc_occupancy", "123331\n");
        make_file(root, "c1/mon_data/mon_L3_01/mbm_total_bytes", "Unavailable\n");
        make_file(root, "c1/mon_data/mon_L3_01/llc_occupancy", "4\n");
        rdt.path = path_join(root, "c1");
        assert_stats(root, &rdt,
                     "{\"cmt_stats\":[{\"llc_occupancy\":123331},{\"llc_occupancy\":4}],"
                     "\"mbm_stats\":[{\"mbm_local_bytes\":2361361,\"mbm_total_bytes\":9123911},{}],"
                     "\"schemata\":[]}");
        /* Its own, where it has them. */
        make_folder(root, "c1/mon_groups/c1/mon_data/mon_L3_00");
        make_file(root, "c1/mon_groups/c1/mon_data/mon_L3_00/llc_occupancy", "7\n");
        make_file(root, "info/L3_MON/mon_features", "llc_occupancy\n");
        rdt.monitor_path = path_join(root, "c1/mon_groups/c1");
        assert_stats(root, &rdt, "{\"cmt_stats\":[{\"llc_occupancy\":7}],\"schemata\":[]}");
        intel_rdt_done(&rdt);
}

static void a_shared_group_stays(void **state)
{
        const char *root = *state;
        const struct spec_intel_rdt spec = {.clos_id = "gold"};
        cleanup_intel_rdt struct intel_rdt rdt = {0};

        make_group(root, "gold");
        assert_int_equal(intel_rdt_apply(root, "c1", &spec, 1, &rdt, NULL), 0);
        assert_int_equal(intel_rdt_destroy(&rdt, NULL), 0);
        assert_true(exists(root, "gold/tasks"));
}

static void a_group_of_its_own_goes_with_the_container(void **state)
{
        const char *root = *state;
        struct intel_rdt rdt = {.made = true};

        make_folder(root, "c1/mon_groups/c1");
        rdt.path = path_join(root, "c1/mon_groups");
        rdt.monitor_path = path_join(root, "c1/mon_groups/c1");
        assert_int_equal(intel_rdt_destroy(&rdt, NULL), 0);
        assert_false(exists(root, "c1/mon_groups"));
        assert_int_equal(intel_rdt_destroy(&rdt, NULL), 0);
        intel_rdt_done(&rdt);
}

/* A fresh folder has no tasks here, which is the failure. */
static void a_failure_leaves_no_group(void **state)
{
        const char *root = *state;
        const struct spec_intel_rdt spec = {.clos_id = NULL};
        char line[] = "MB:0=50";
        struct intel_rdt rdt;
        struct error err = {0};

        make_folder(root, "info");
        make_file(root, "info/last_cmd_status", "masks overlap in other group\nmore");
        assert_int_equal(intel_rdt_apply(root, "c1", &spec, 1, &rdt, &err), -ENOENT);
        assert_non_null(strstr(error_text(&err), "last_cmd_status: masks overlap in other group"));
        assert_false(exists(root, "c1"));
        /* But one by a closID, which others may use by now. */
        const struct spec_intel_rdt shared = {.clos_id = "gold", .schemata = {(char *[]){line, NULL}, 1}};
        assert_int_equal(intel_rdt_apply(root, "c1", &shared, 1, &rdt, &err), -ENOENT);
        assert_true(exists(root, "gold"));
}

static void refuses_what_can_not_be(void **state)
{
        static const char *const bad[] = {".", "..", "a/b", "/a", "../x"};
        const char *root = *state;
        struct intel_rdt rdt;
        struct error err = {0};
        struct spec_intel_rdt spec = {0};

        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                spec.clos_id = bad[i];
                assert_int_equal(intel_rdt_apply(root, "c1", &spec, 1, &rdt, &err), -EINVAL);
                assert_non_null(strstr(error_text(&err), "invalid intelRdt.ClosID"));
        }
        spec.clos_id = "not-there";
        assert_int_equal(intel_rdt_apply(root, "c1", &spec, 1, &rdt, &err), -EINVAL);
        assert_non_null(strstr(error_text(&err), "clos dir not accessible"));
        assert_false(exists(root, "not-there"));
        spec = (struct spec_intel_rdt){.l3_cache_schema = "L3:0=f"};
        assert_int_equal(intel_rdt_apply(root, "c1", &spec, 1, &rdt, &err), -ENOTSUP);
        spec = (struct spec_intel_rdt){.mem_bw_schema = "MB:0=50"};
        assert_int_equal(intel_rdt_apply(root, "c1", &spec, 1, &rdt, &err), -ENOTSUP);
        static const char *const paths[] = {"a", "/a/../b", "/a/.."};
        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                json_t *json = json_pack("{s:s}", "path", paths[i]);
                assert_int_equal(intel_rdt_from_json(json, &rdt, &err), -EBADMSG);
                json_decref(json);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(writes_schemata_and_tasks, setup, teardown),
                cmocka_unit_test_setup_teardown(update_writes_what_is_given, setup, teardown),
                cmocka_unit_test_setup_teardown(stats_are_those_that_the_machine_has, setup, teardown),
                cmocka_unit_test_setup_teardown(stats_of_monitoring, setup, teardown),
                cmocka_unit_test_setup_teardown(a_shared_group_stays, setup, teardown),
                cmocka_unit_test_setup_teardown(a_group_of_its_own_goes_with_the_container, setup, teardown),
                cmocka_unit_test_setup_teardown(a_failure_leaves_no_group, setup, teardown),
                cmocka_unit_test_setup_teardown(refuses_what_can_not_be, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
