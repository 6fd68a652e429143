/* SPDX-License-Identifier: Apache-2.0 */
/* What is made of a host's tables, of the paths in config.json, and of a state file. */
#include "lib/base/file.h"
#include "lib/base/path.h"
#include "lib/container/cgroup-internal.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct host {
        char folder[64], self_cgroup[96], mountinfo[96];
        struct cgroup_sources sources;
        struct cgroup cgroup;
        struct error err;
};

static int find(struct host *host, const char *self_cgroup, const char *mountinfo)
{
        *host = (struct host){.folder = "/tmp/test-cgroup-host-XXXXXX"};
        assert_non_null(mkdtemp(host->folder));
        snprintf(host->self_cgroup, sizeof(host->self_cgroup), "%s/cgroup", host->folder);
        snprintf(host->mountinfo, sizeof(host->mountinfo), "%s/mountinfo", host->folder);
        host->sources = (struct cgroup_sources){host->folder, host->self_cgroup, host->mountinfo};
        assert_int_equal(
                file_write_atomic(AT_FDCWD, host->self_cgroup, view_of_string(self_cgroup), 0600, NULL), 0);
        assert_int_equal(file_write_atomic(AT_FDCWD, host->mountinfo, view_of_string(mountinfo), 0600, NULL),
                         0);
        return cgroup_find_hierarchies(&host->cgroup, &host->sources, &host->err);
}

static void host_done(struct host *host)
{
        for (size_t i = 0; i < host->cgroup.n; i++)
                cgroup_hierarchy_done(&host->cgroup.hierarchies[i]);
        path_remove_tree(AT_FDCWD, host->folder, NULL);
}

static void hierarchies_are_found_wherever_they_are_mounted(void **state)
{
        struct host host;

        (void)state;
        assert_int_equal(find(&host,
                              "12:cpuacct,cpu:/user\n7:name=systemd:/a:b/c "
                              "d\n5:memory:/docker/abc/x\n4:rdma:/\n0::/u\n",
                              "25 20 0:22 / / rw - ext4 /dev/vda rw\n"
                              "26 25 0:23 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup "
                              "rw,cpu,cpuacct\n"
                              "27 25 0:24 / /cg/named\\040one rw - cgroup cgroup rw,xattr,name=systemd\n"
                              "28 25 0:25 /docker/abc /cg/memory rw master:1 propagate_from:2 - cgroup "
                              "cgroup rw,memory\n"
                              "29 25 0:26 / /cg/unified rw - cgroup2 cgroup2 rw,nsdelegate\n"
                              "30 25 0:26 / /cg/second rw - cgroup2 cgroup2 rw\n"),
                         0);
        assert_int_equal(host.cgroup.n, 4);
        assert_false(host.cgroup.unified);
        const struct cgroup_hierarchy *h = host.cgroup.hierarchies;
        assert_string_equal(h[0].name, "cpuacct,cpu");
        assert_string_equal(h[0].mountpoint, "/sys/fs/cgroup/cpu,cpuacct");
        assert_int_equal(h[0].controllers, 1u << CGROUP_CPU | 1u << CGROUP_CPUACCT);
        assert_string_equal(h[1].name, "systemd");
        assert_true(h[1].named);
        assert_string_equal(h[1].mountpoint, "/cg/named one");
        assert_string_equal(h[1].own, "/a:b/c d");
        assert_string_equal(h[2].mountpoint, "/cg/memory");
        assert_string_equal(h[2].own, "/x");
        assert_true(h[3].unified);
        assert_string_equal(h[3].name, "unified");
        assert_string_equal(h[3].mountpoint, "/cg/unified");
        host_done(&host);
}

/* What is mounted is the hierarchy of another group, whose name ours begins with. */
static void a_mount_of_part_of_a_hierarchy_is_no_parent_by_its_name_alone(void **state)
{
        struct host host;

        (void)state;
        assert_int_equal(find(&host, "5:memory:/docker/x\n4:pids:/doc\n",
                              "26 25 0:25 /doc /m rw - cgroup cgroup rw,memory\n"
                              "27 25 0:26 /doc /p rw - cgroup cgroup rw,pids\n"),
                         0);
        assert_string_equal(host.cgroup.hierarchies[0].own, "/docker/x");
        assert_string_equal(host.cgroup.hierarchies[1].own, "/");
        host_done(&host);
}

static void unified_alone_has_no_name(void **state)
{
        struct host host;

        (void)state;
        assert_int_equal(find(&host, "0::/user.slice\n", "29 25 0:26 / /cg rw - cgroup2 cgroup2 rw\n"), 0);
        assert_int_equal(host.cgroup.n, 1);
        assert_true(host.cgroup.unified);
        assert_string_equal(host.cgroup.hierarchies[0].name, "");
        host_done(&host);
}

static void nothing_mounted_is_no_hierarchy(void **state)
{
        struct host host;

        (void)state;
        assert_int_equal(find(&host, "5:memory:/\n0::/\n", "25 20 0:22 / / rw - ext4 /dev/vda rw\n\n- x\n"),
                         0);
        assert_int_equal(host.cgroup.n, 0);
        host_done(&host);
}

static void tables_that_are_none_are_refused(void **state)
{
        static const char *const bad[] = {"5:memory\n", "5:memory:/", ":memory:/\n", "5:../../etc:/\n", "\n"};
        struct host host;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                assert_int_equal(find(&host, bad[i], ""), -EBADMSG);
                assert_non_null(strstr(host.err.text, host.self_cgroup));
                host_done(&host);
        }
}

/* Outside of our cgroup namespace, or not a path: no use to us, and no harm. */
static void groups_outside_of_our_namespace_are_left_out(void **state)
{
        struct host host;

        (void)state;
        assert_int_equal(find(&host, "5:memory:/../other\n4:pids:relative\n3:cpu:/\n",
                              "26 25 0:23 / /m rw - cgroup cgroup rw,memory\n26 25 0:23 / /p rw - cgroup "
                              "cgroup rw,pids\n"
                              "26 25 0:23 / /c rw - cgroup cgroup rw,cpu\n"),
                         0);
        assert_int_equal(host.cgroup.n, 1);
        assert_string_equal(host.cgroup.hierarchies[0].name, "cpu");
        host_done(&host);
}

static void path_stays_below_the_root(void **state)
{
        static const char *const cases[][2] = {
                {"/a/b", "/a/b"},
                {"a/b", "/a/b"},
                {"/../../etc", "/etc"},
                {"a/../../../b", "/b"},
                {"/a/./b//c/", "/a/b/c"},
                {"..", "/"},
                {"", "/"},
                {"/", "/"},
                {"/a/b/..", "/a"},
                {"/...", "/..."},
                {"/a/..b", "/a/..b"},
                {"../../x/../y", "/y"},
        };
        char path[CGROUP_PATH_MAX], longest[2 * CGROUP_PATH_MAX];

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                assert_int_equal(cgroup_clean_path(cases[i][0], path, NULL), 0);
                assert_string_equal(path, cases[i][1]);
        }
        memset(longest, 'x', sizeof(longest));
        longest[sizeof(longest) - 1] = 0;
        assert_int_equal(cgroup_clean_path(longest, path, NULL), -ENAMETOOLONG);
        longest[CGROUP_PATH_MAX - 2] = 0;
        assert_int_equal(cgroup_clean_path(longest, path, NULL), 0);
        assert_int_equal(strlen(path), CGROUP_PATH_MAX - 1);
        longest[CGROUP_PATH_MAX - 2] = 'x';
        longest[CGROUP_PATH_MAX - 1] = 0;
        assert_int_equal(cgroup_clean_path(longest, path, NULL), -ENAMETOOLONG);
}

/* ---- state files --------------------------------------------------------------------------------------- */

static void state_file_is_read_back(void **state)
{
        static const char text[] =
                "{\"driver\": \"cgroupfs\", \"unified\": false, \"rootless\": true, \"path_given\": true,"
                " \"hierarchies\": ["
                "{\"name\": \"cpu,cpuacct\", \"mountpoint\": \"/cg/cpu\", \"path\": \"/x/y\","
                " \"controllers\": \"cpu,cpuacct\", \"version\": 1},"
                "{\"name\": \"unified\", \"mountpoint\": \"/cg/u\", \"path\": \"/x\", \"controllers\": \"\","
                " \"version\": 2}]}";
        json_t *json = json_loads(text, 0, NULL);
        struct cgroup *cgroup;

        (void)state;
        assert_non_null(json);
        assert_int_equal(cgroup_from_json(json, NULL, &cgroup, NULL), 0);
        assert_int_equal(cgroup->n, 2);
        assert_true(cgroup->rootless && cgroup->path_given && !cgroup->unified && !cgroup->fresh);
        assert_int_equal(cgroup->hierarchies[0].controllers, 1u << CGROUP_CPU | 1u << CGROUP_CPUACCT);
        assert_true(cgroup->hierarchies[1].unified && cgroup->hierarchies[1].fd < 0);
        json_t *again = cgroup_to_json(cgroup);
        assert_true(json_equal(json, again));
        json_decref(again);
        json_decref(json);
        cgroup_free(cgroup);
}

static void state_files_that_are_none_are_refused(void **state)
{
        static const char *const bad[] = {
                "{}",
                "[]",
                "{\"driver\": \"other\", \"hierarchies\": []}",
                "{\"driver\": \"cgroupfs\", \"hierarchies\": {}}",
                "{\"driver\": \"cgroupfs\", \"hierarchies\": [1]}",
                "{\"driver\": \"cgroupfs\", \"hierarchies\": [{\"name\": \"m\", \"mountpoint\": \"/cg\", "
                "\"path\": \"/\","
                " \"controllers\": \"\", \"version\": 1}]}",
                "{\"driver\": \"cgroupfs\", \"hierarchies\": [{\"name\": \"m\", \"mountpoint\": \"/cg\", "
                "\"path\": "
                "\"/a/../..\", \"controllers\": \"\", \"version\": 1}]}",
                "{\"driver\": \"cgroupfs\", \"hierarchies\": [{\"name\": \"m\", \"mountpoint\": \"/\", "
                "\"path\": \"/etc\","
                " \"controllers\": \"\", \"version\": 1}]}",
                "{\"driver\": \"cgroupfs\", \"hierarchies\": [{\"name\": \"m/../..\", \"mountpoint\": "
                "\"/cg\", \"path\": "
                "\"/a\", \"controllers\": \"\", \"version\": 1}]}",
                "{\"driver\": \"cgroupfs\", \"hierarchies\": [{\"name\": \"m\", \"mountpoint\": \"cg\", "
                "\"path\": \"/a\","
                " \"controllers\": \"\", \"version\": 1}]}",
                "{\"driver\": \"cgroupfs\", \"hierarchies\": [{\"name\": \"m\", \"mountpoint\": \"/cg\", "
                "\"path\": \"/a\","
                " \"controllers\": \"\", \"version\": 3}]}",
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                json_t *json = json_loads(bad[i], 0, NULL);
                struct cgroup *cgroup = NULL;
                assert_non_null(json);
                assert_int_equal(cgroup_from_json(json, NULL, &cgroup, NULL), -EBADMSG);
                assert_null(cgroup);
                json_decref(json);
        }
}

/* A container's end stops the unit: it must be one that was made for a container. */
static void a_state_with_a_unit_that_is_no_scope_is_refused(void **state)
{
#define SCOPE "{\"driver\": \"systemd\", \"hierarchies\": [], \"unit\": \"%0*d.scope\"}"
        char text[512];
        const char *const bad[] = {"{\"driver\": \"systemd\", \"hierarchies\": []}",
                                   "{\"driver\": \"systemd\", \"hierarchies\": [], \"unit\": \"x.service\"}",
                                   text};
        struct cgroup *cgroup = NULL;

        (void)state;
        snprintf(text, sizeof(text), SCOPE, 250, 0);
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                json_t *json = json_loads(bad[i], 0, NULL);
                assert_int_equal(cgroup_from_json(json, NULL, &cgroup, NULL), -EBADMSG);
                json_decref(json);
        }
        snprintf(text, sizeof(text), SCOPE, 249, 0);
        json_t *json = json_loads(text, 0, NULL);
        assert_int_equal(cgroup_from_json(json, NULL, &cgroup, NULL), 0);
        cgroup_free(cgroup);
        json_decref(json);
}

static void a_state_has_as_many_hierarchies_as_there_is_room_for(void **state)
{
        struct cgroup *cgroup = NULL;
        json_t *list = json_array();
        json_t *json = json_pack("{ss so}", "driver", "cgroupfs", "hierarchies", list);

        (void)state;
        for (int i = 0; i <= CGROUP_HIERARCHIES_MAX; i++) {
                assert_int_equal(cgroup_from_json(json, NULL, &cgroup, NULL), 0);
                cgroup_free(cgroup);
                json_array_append_new(list, json_pack("{ss ss ss ss si}", "name", "m", "mountpoint", "/cg",
                                                      "path", "/a", "controllers", "", "version", 1));
        }
        assert_int_equal(cgroup_from_json(json, NULL, &cgroup, NULL), -EBADMSG);
        json_decref(json);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(hierarchies_are_found_wherever_they_are_mounted),
                cmocka_unit_test(a_mount_of_part_of_a_hierarchy_is_no_parent_by_its_name_alone),
                cmocka_unit_test(unified_alone_has_no_name),
                cmocka_unit_test(nothing_mounted_is_no_hierarchy),
                cmocka_unit_test(tables_that_are_none_are_refused),
                cmocka_unit_test(groups_outside_of_our_namespace_are_left_out),
                cmocka_unit_test(path_stays_below_the_root),
                cmocka_unit_test(state_file_is_read_back),
                cmocka_unit_test(state_files_that_are_none_are_refused),
                cmocka_unit_test(a_state_with_a_unit_that_is_no_scope_is_refused),
                cmocka_unit_test(a_state_has_as_many_hierarchies_as_there_is_room_for),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
