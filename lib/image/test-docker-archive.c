/* SPDX-License-Identifier: Apache-2.0 */
/* test-docker-archive.c - which image of an archive is meant; tests/e2e/test_image_sources.py reads them. */
#include "lib/image/docker-archive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define IMAGE(config, tags) "{\"Config\":\"" config "\",\"RepoTags\":" tags ",\"Layers\":[\"l/layer.tar\"]}"

static void select_config(const char *json, const char *selector, const char *config)
{
        cleanup_docker_archive_list struct docker_archive_list list = {0};
        const struct docker_archive_image *image;
        struct error err = {0};

        assert_int_equal(docker_archive_parse(view_of_string(json), &list, NULL), 0);
        if (docker_archive_select(&list, selector, &image, &err) < 0)
                fail_msg("%s", error_text(&err));
        assert_string_equal(image->config, config);
}

static void refuse(const char *json, const char *selector, int code, const char *text)
{
        cleanup_docker_archive_list struct docker_archive_list list = {0};
        const struct docker_archive_image *image;
        struct error err = {0};

        assert_int_equal(docker_archive_parse(view_of_string(json), &list, NULL), 0);
        assert_int_equal(docker_archive_select(&list, selector, &image, &err), code);
        assert_string_equal(error_text(&err), text);
}

static void an_image_is_named_by_tag_or_number(void **state)
{
        static const char one[] = "[" IMAGE("c0", "null") "]";
        static const char two[] = "[" IMAGE("c0", "[\"a:1\",\"h.x/b:2\"]") "," IMAGE("c1", "[]") "]";

        (void)state;
        select_config(one, NULL, "c0");
        select_config(one, "@0", "c0");
        select_config(two, "docker.io/library/a:1", "c0");
        select_config(two, "h.x/b:2", "c0");
        select_config(two, "@1", "c1");
        refuse("[]", NULL, -ENOENT, "holds no image");
        refuse("[]", "@0", -ENOENT, "holds no image");
        refuse(two, NULL, -EINVAL, "holds several images: a:1, h.x/b:2, @1; name one of them");
        refuse(two, "@2", -ENOENT, "holds no image \"@2\"; there is a:1, h.x/b:2, @1");
        refuse(two, "@-1", -ENOENT, "holds no image \"@-1\"; there is a:1, h.x/b:2, @1");
        refuse(two, "docker.io/library/a:2", -ENOENT,
               "holds no image \"docker.io/library/a:2\"; there is a:1, h.x/b:2, @1");
}

static void what_is_no_list_of_images_is_refused(void **state)
{
        static const char *const cases[][2] = {
                {"{}", "not a JSON array"},
                {"[1]", "image 0: not an object"},
                {"[" IMAGE("c", "null") ",{}]", "image 1: member \"Config\" is missing"},
                {"[{\"Config\":\"\"}]", "member \"Config\" is missing"},
                {"[{\"Config\":\"c\",\"Layers\":\"l\"}]", "\"Layers\" is not an array"},
                {"[{\"Config\":\"c\",\"RepoTags\":[1]}]", "item 0 of \"RepoTags\" is not a string"},
        };
        (void)state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                cleanup_docker_archive_list struct docker_archive_list list = {0};
                struct error err = {0};
                assert_int_equal(docker_archive_parse(view_of_string(cases[i][0]), &list, &err), -EBADMSG);
                if (!strstr(error_text(&err), cases[i][1]))
                        fail_msg("case %zu gives: %s", i, error_text(&err));
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(an_image_is_named_by_tag_or_number),
                cmocka_unit_test(what_is_no_list_of_images_is_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
