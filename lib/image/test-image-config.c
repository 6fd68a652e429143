/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/image/image-config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"

#define DIGEST       "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ROOTFS       "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" DIGEST "\"]}"
#define WITH(config) "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":" config "," ROOTFS "}"

static int parse(const char *json, struct image_config *ret_c, struct error *err)
{
        return image_config_parse(view_of_string(json), ret_c, err);
}

static void reads_all_that_a_workload_needs(void **state)
{
        static const char json[] =
                WITH("{\"Entrypoint\":[\"/"
                     "e\",\"x\"],\"Cmd\":[\"c\"],\"Env\":[\"A=1\",\"B=\"],\"WorkingDir\":\"/w\","
                     "\"User\":\"redis:redis\",\"StopSignal\":\"SIGQUIT\",\"ExposedPorts\":{\"6379/"
                     "tcp\":{},\"53/udp\":{},"
                     "\"80\":{},\"8000-8010/tcp\":{}},\"Labels\":{\"z\":\"1\",\"a\":\"2\"}}");
        cleanup_image_config struct image_config c = {0};
        struct error err = {0};

        (void)state;
        assert_int_equal(parse(json, &c, &err), 0);
        assert_string_equal(c.entrypoint[1], "x");
        assert_null(c.entrypoint[2]);
        assert_string_equal(c.cmd[0], "c");
        assert_string_equal(c.env[1], "B=");
        assert_string_equal(c.working_dir, "/w");
        assert_string_equal(c.user, "redis:redis");
        assert_string_equal(c.stop_signal, "SIGQUIT");
        assert_string_equal(c.architecture, "amd64");
        assert_int_equal(c.n_exposed_ports, 4);
        assert_int_equal(c.exposed_ports[0].first, 80);
        assert_int_equal(c.exposed_ports[2].first, 8000);
        assert_int_equal(c.exposed_ports[2].last, 8010);
        assert_int_equal(c.exposed_ports[3].protocol, IMAGE_PROTOCOL_UDP);
        assert_string_equal(c.labels[0].name, "a");
        assert_int_equal(c.n_diff_ids, 1);
        assert_int_equal(c.raw_size, strlen(json));
        assert_memory_equal(c.raw, json, c.raw_size);
}

static void what_is_absent_or_null_is_empty(void **state)
{
        static const char *const cases[] = {
                "{" ROOTFS "}",
                WITH("null"),
                WITH("{\"Entrypoint\":null,\"Cmd\":null,\"Env\":null,\"ExposedPorts\":null,\"Labels\":null,"
                     "\"User\":null}"),
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_image_config struct image_config c = {0};
                struct error err = {0};
                assert_int_equal(parse(cases[i], &c, &err), 0);
                assert_null(c.entrypoint[0]);
                assert_null(c.cmd[0]);
                assert_string_equal(c.user, "");
                assert_int_equal(c.n_exposed_ports, 0);
        }
}

static void refuses_with_a_reason(void **state)
{
        static const char *const cases[][2] = {
                {"{}", "\"rootfs\" is missing"},
                {"{\"rootfs\":{\"type\":\"foo\",\"diff_ids\":[]}}", "rootfs.type is not"},
                {"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[1]}}", "diff id 1"},
                {WITH("{\"Cmd\":\"sh\"}"), "\"Cmd\" is not an array"},
                {WITH("{\"Cmd\":[1]}"), "item 0 of \"Cmd\" is not a string"},
                {WITH("{\"Env\":[\"A\\u0000\"]}"), "not acceptable JSON"},
                {WITH("{\"User\":0}"), "\"User\" is not a string"},
                {WITH("{\"User\":\"a\",\"User\":\"b\"}"), "duplicate"},
                {WITH("{\"ExposedPorts\":{\"0/tcp\":{}}}"), "exposed port \"0/tcp\""},
                {WITH("{\"ExposedPorts\":{\"65536\":{}}}"), "exposed port \"65536\""},
                {WITH("{\"ExposedPorts\":{\"2-1\":{}}}"), "exposed port \"2-1\""},
                {WITH("{\"ExposedPorts\":{\"80/icmp\":{}}}"), "exposed port \"80/icmp\""},
                {WITH("{\"Labels\":{\"a\":1}}"), "label \"a\" is not a string"},
                {WITH("[]"), "\"config\" is not an object"},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_image_config struct image_config c = {0};
                struct error err = {0};
                assert_true(parse(cases[i][0], &c, &err) < 0);
                if (!strstr(err.text, cases[i][1]))
                        fail_msg("case %zu gives: %s", i, err.text);
        }
}

static void layers_have_a_most(void **state)
{
        (void)state;
        for (int more = 0; more < 2; more++) {
                cleanup_image_config struct image_config c = {0};
                cleanup_buf struct buf json = buf_with_max(IMAGE_CONFIG_SIZE_MAX);
                struct error err = {0};

                buf_append_string(&json, "{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" DIGEST "\"");
                for (int i = 1; i < IMAGE_LAYERS_MAX + more; i++)
                        buf_append_string(&json, ",\"" DIGEST "\"");
                assert_int_equal(buf_append_string(&json, "]}}"), 0);
                assert_int_equal(image_config_parse(buf_view(&json), &c, &err), more ? -EFBIG : 0);
                if (more)
                        assert_string_equal(error_text(&err), "1025 layers, more than the 1024 allowed");
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reads_all_that_a_workload_needs),
                cmocka_unit_test(what_is_absent_or_null_is_empty),
                cmocka_unit_test(refuses_with_a_reason),
                cmocka_unit_test(layers_have_a_most),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
