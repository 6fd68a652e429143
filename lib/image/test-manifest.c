/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/image/manifest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/image/image-config.h"

#define DIGEST "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define CONFIG                                                                                               \
        "\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"" DIGEST        \
        "\",\"size\":2}"
#define LAYER                                                                                                \
        "{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"" DIGEST "\",\"size\":" \
        "9}"
#define ENTRY(os, arch, variant, size)                                                                       \
        "{\"mediaType\":\"" MANIFEST_TYPE_OCI "\",\"digest\":\"" DIGEST "\",\"size\":" #size                 \
        ",\"platform\":{\"os\":\"" os "\",\"architecture\":\"" arch "\"" variant "}}"
#define INDEX(entries) "{\"schemaVersion\":2,\"manifests\":[" entries "]}"

static int parse(const char *json, const char *type, struct manifest *ret_m, struct error *err)
{
        return manifest_parse(view_of_string(json), type, ret_m, err);
}

static void reads_an_oci_manifest(void **state)
{
        cleanup_manifest struct manifest m = {0};
        struct error err = {0};

        (void)state;
        assert_int_equal(
                parse("{\"schemaVersion\":2," CONFIG ",\"layers\":[" LAYER "," LAYER "]}", "", &m, &err), 0);
        assert_int_equal(m.kind, MANIFEST_IMAGE);
        assert_int_equal(m.n_contents, 2);
        assert_int_equal(m.contents[1].size, 9);
        assert_int_equal(m.config.size, 2);
        char text[DIGEST_TEXT_MAX];
        digest_format(&m.contents[0].digest, text);
        assert_string_equal(text, DIGEST);
}

static void refuses_with_a_reason(void **state)
{
        static const struct {
                const char *json;
                const char *type;
                const char *reason;
        } cases[] = {
                {"", "", "not acceptable JSON"},
                {"[]", "", "not a JSON object"},
                {"{}", "", "neither a manifest nor an index"},
                {"{\"schemaVersion\":2,\"schemaVersion\":2}", "", "duplicate"},
                {"{\"schemaVersion\":1,\"fsLayers\":[]}", "", "schema 1"},
                {"{\"schemaVersion\":3," CONFIG ",\"layers\":[]}", "", "schemaVersion is not 2"},
                {"{" CONFIG ",\"layers\":[]}", "", "schemaVersion is not 2"},
                {"{\"schemaVersion\":2,\"manifests\":[]," CONFIG "}", "", "both an index and a manifest"},
                {"{\"schemaVersion\":2,\"manifests\":[],\"layers\":[]}", "", "both an index and a manifest"},
                {"{\"schemaVersion\":2," CONFIG ",\"layers\":[]}", MANIFEST_TYPE_OCI_INDEX, "contradicts"},
                {"{\"schemaVersion\":2,\"mediaType\":\"" MANIFEST_TYPE_DOCKER "\",\"manifests\":[]}", "",
                 "contradicts"},
                {"{\"schemaVersion\":2," CONFIG "}", "", "\"layers\" is missing"},
                {"{\"schemaVersion\":2,\"layers\":[]}", "", "\"config\" is missing"},
                {"{\"schemaVersion\":2," CONFIG ",\"layers\":{}}", "", "\"layers\" is not an array"},
                {"{\"schemaVersion\":2," CONFIG ",\"layers\":[1]}", "",
                 "entry 0 of \"layers\": not an object"},
                {"{\"schemaVersion\":2," CONFIG ",\"layers\":[{\"size\":1}]}", "", "\"digest\" is missing"},
                {"{\"schemaVersion\":2," CONFIG ",\"layers\":[{\"digest\":\"" DIGEST "\"}]}", "",
                 "\"size\" is missing"},
                {"{\"schemaVersion\":2," CONFIG ",\"layers\":[{\"digest\":\"" DIGEST "\",\"size\":-1}]}", "",
                 "\"size\" is not a whole number"},
                {"{\"schemaVersion\":2," CONFIG ",\"layers\":[{\"digest\":\"sha256:1\",\"size\":1}]}", "",
                 "sha256:1"},
                {"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/"
                 "vnd.example\",\"digest\":\"" DIGEST "\",\"size\":1},\"layers\":[]}",
                 "", "not a container image"},
                {"{\"schemaVersion\":2," CONFIG ",\"layers\":[]} x", "", "not acceptable JSON"},
                {"{\"a\\u0000b\":1}", "", "not acceptable JSON"},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_manifest struct manifest m = {0};
                struct error err = {0};
                assert_true(parse(cases[i].json, cases[i].type, &m, &err) < 0);
                if (!strstr(err.text, cases[i].reason))
                        fail_msg("case %zu gives: %s", i, err.text);
        }
}

static void refuses_deep_nesting_and_many_layers(void **state)
{
        cleanup_manifest struct manifest m = {0};
        cleanup_buf struct buf deep = buf_with_max(1 << 20), many = buf_with_max(1 << 20);
        struct error err = {0};

        (void)state;
        for (int i = 0; i < 100; i++)
                buf_append_string(&deep, "{\"a\":");
        assert_int_equal(manifest_parse(buf_view(&deep), "", &m, &err), -EBADMSG);
        assert_non_null(strstr(err.text, "nests deeper"));
        buf_append_string(&many, "{\"schemaVersion\":2," CONFIG ",\"layers\":[" LAYER);
        for (int i = 0; i < IMAGE_LAYERS_MAX; i++)
                buf_append_string(&many, "," LAYER);
        buf_append_string(&many, "]}");
        assert_int_equal(manifest_parse(buf_view(&many), "", &m, &err), -EFBIG);
        assert_non_null(strstr(err.text, "1025 layers"));
}

static void selects_the_platform(void **state)
{
        cleanup_manifest struct manifest m = {0};
        const struct descriptor *d;
        struct error err = {0};

        (void)state;
        assert_int_equal(
                parse(INDEX(ENTRY("unknown", "unknown", "", 1) "," ENTRY("linux", "arm64", "", 2) "," ENTRY(
                              "linux", "amd64", ",\"variant\":\"v3\"",
                              3) "," ENTRY("linux", "amd64", "", 4) "," ENTRY("windows", "amd64", "", 5)),
                      MANIFEST_TYPE_OCI_INDEX "; charset=utf-8", &m, &err),
                0);
        assert_int_equal(manifest_select(&m, "amd64", &d, &err), 0);
        assert_int_equal(d->size, 4);
        assert_int_equal(manifest_select(&m, "arm64", &d, &err), 0);
        assert_int_equal(d->size, 2);
        assert_int_equal(manifest_select(&m, "riscv64", &d, &err), -ENOENT);
        assert_string_equal(err.text,
                            "no image for linux/riscv64; there is linux/arm64, linux/amd64/v3, linux/amd64, "
                            "windows/amd64");
}

static void a_lone_entry_needs_no_platform(void **state)
{
        cleanup_manifest struct manifest m = {0};
        const struct descriptor *d;
        struct error err = {0};

        (void)state;
        assert_int_equal(parse(INDEX("{\"digest\":\"" DIGEST "\",\"size\":7}"), "", &m, &err), 0);
        assert_int_equal(manifest_select(&m, "amd64", &d, &err), 0);
        assert_int_equal(d->size, 7);
}

static void a_lone_entry_for_another_system_is_not_taken(void **state)
{
        cleanup_manifest struct manifest m = {0};
        const struct descriptor *d;
        struct error err = {0};

        (void)state;
        assert_int_equal(parse(INDEX(ENTRY("windows", "amd64", "", 1)), "", &m, &err), 0);
        assert_int_equal(manifest_select(&m, "amd64", &d, &err), -ENOENT);
}

static void of_equals_the_first_is_taken_and_the_baseline_before_others(void **state)
{
        cleanup_manifest struct manifest m = {0};
        const struct descriptor *d;
        struct error err = {0};

        (void)state;
        assert_int_equal(parse(INDEX(ENTRY("linux", "amd64", ",\"variant\":\"v2\"", 1) "," ENTRY(
                                       "linux", "amd64", ",\"variant\":\"v1\"",
                                       2) "," ENTRY("linux", "amd64", ",\"variant\":\"v1\"", 3)),
                               "", &m, &err),
                         0);
        assert_int_equal(manifest_select(&m, "amd64", &d, &err), 0);
        assert_int_equal(d->size, 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reads_an_oci_manifest),
                cmocka_unit_test(refuses_with_a_reason),
                cmocka_unit_test(refuses_deep_nesting_and_many_layers),
                cmocka_unit_test(selects_the_platform),
                cmocka_unit_test(a_lone_entry_needs_no_platform),
                cmocka_unit_test(a_lone_entry_for_another_system_is_not_taken),
                cmocka_unit_test(of_equals_the_first_is_taken_and_the_baseline_before_others),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
