/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/build-internal.h"
#include "lib/enclave/guest-config.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static char *nothing[] = {NULL};

/* A configuration that has all its strings. */
static struct image_config sound_config(void)
{
        static char amd64[] = "amd64", linux_[] = "linux", empty[] = "", sh[] = "/bin/sh";
        static char *entrypoint[] = {sh, NULL};

        return (struct image_config){
                .architecture = amd64,
                .variant = empty,
                .os = linux_,
                .created = empty,
                .entrypoint = entrypoint,
                .cmd = nothing,
                .env = nothing,
                .working_dir = empty,
                .user = empty,
                .stop_signal = empty,
        };
}

/* What enclave-init would read of it. */
static void encode(const struct image_config *config, struct guest_config *ret_guest)
{
        cleanup_image_tree struct image_tree *tree = NULL;
        cleanup_buf struct buf b = buf_with_max(GUEST_CONFIG_MAX);
        struct error err = {0};

        assert_int_equal(image_tree_new(&tree, &err), 0);
        if (build_guest_config(config, tree, &b, &err) < 0)
                fail_msg("%s", error_text(&err));
        assert_int_equal(guest_config_decode(buf_view(&b), ret_guest, &err), 0);
}

static void entrypoint_and_cmd_are_joined_and_path_and_home_are_there(void **state)
{
        cleanup_guest_config struct guest_config guest;
        struct image_config config = sound_config();
        char c[] = "-c", line[] = "two\nlines", variable[] = "A=b\nc", other[] = "PATHS=/no";
        char *cmd[] = {c, line, NULL}, *env[] = {variable, other, NULL};

        (void)state;
        config.cmd = cmd;
        config.env = env;
        encode(&config, &guest);
        assert_int_equal(guest.n_argv, 3);
        assert_string_equal(guest.argv[0], "/bin/sh");
        assert_string_equal(guest.argv[2], "two\nlines");
        assert_int_equal(guest.n_env, 4);
        assert_string_equal(guest.env[0],
                            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        assert_string_equal(guest.env[1], "HOME=/");
        assert_string_equal(guest.env[2], "A=b\nc");
        assert_int_equal(guest.stop_signal, SIGTERM);
        assert_string_equal(guest.cwd, "/");
}

static void path_of_the_image_stays(void **state)
{
        cleanup_guest_config struct guest_config guest;
        struct image_config config = sound_config();
        char path[] = "PATH=/opt", home[] = "HOME=/x";
        char *env[] = {path, home, NULL};

        (void)state;
        config.env = env;
        encode(&config, &guest);
        assert_int_equal(guest.n_env, 2);
        assert_string_equal(guest.env[0], "PATH=/opt");
}

static void only_tcp_ports_are_bridged_and_ranges_are_spread(void **state)
{
        cleanup_guest_config struct guest_config guest;
        struct image_config config = sound_config();
        struct image_port ports[] = {
                {80, 80, IMAGE_PROTOCOL_TCP}, {8000, 8002, IMAGE_PROTOCOL_TCP}, {53, 53, IMAGE_PROTOCOL_UDP}};

        (void)state;
        config.exposed_ports = ports;
        config.n_exposed_ports = 3;
        encode(&config, &guest);
        assert_int_equal(guest.n_ports, 4);
        assert_int_equal(guest.ports[3], 8002);
}

static void stop_signals_are_read_in_every_form(void **state)
{
        static const struct {
                const char *text;
                int signal; /* 0: refused */
        } cases[] = {
                {"", SIGTERM},   {"SIGTERM", SIGTERM}, {"QUIT", SIGQUIT},
                {"9", SIGKILL},  {"SIGRTMIN", 34},     {"SIGRTMIN+3", 37},
                {"RTMAX-2", 62}, {"64", 64},           {"0", 0},
                {"65", 0},       {"SIGRTMIN+31", 0},   {"SIGRTMIN-1", 0},
                {"sigterm", 0},  {"SIGNOTHING", 0},    {"-9", 0},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct image_config config = sound_config();
                cleanup_free char *text = strdup(cases[i].text);
                struct error err = {0};
                config.stop_signal = text;
                if ((build_check_config(&config, architecture_find(NULL), &err) == 0) !=
                    (cases[i].signal != 0))
                        fail_msg("'%s': %s", text, error_text(&err));
                if (!cases[i].signal)
                        continue;
                cleanup_guest_config struct guest_config guest;
                encode(&config, &guest);
                assert_int_equal(guest.stop_signal, cases[i].signal);
        }
}

static void images_that_cannot_run_are_refused_with_the_reason(void **state)
{
        struct image_config config = sound_config();
        char arm64[] = "arm64", windows[] = "windows", amd64[] = "amd64";
        struct error err = {0};

        (void)state;
        config.entrypoint = nothing;
        assert_int_equal(build_check_config(&config, architecture_find(NULL), &err), -EINVAL);
        assert_non_null(strstr(error_text(&err), "neither Entrypoint nor Cmd"));
        config = sound_config();
        config.architecture = arm64;
        assert_int_equal(build_check_config(&config, architecture_find(NULL), &err), -EINVAL);
        assert_string_equal(error_text(&err), "the image is for arm64, this enclave is amd64");
        config.architecture = amd64;
        config.os = windows;
        assert_int_equal(build_check_config(&config, architecture_find(NULL), &err), -EINVAL);
        assert_string_equal(error_text(&err), "the image is for windows, an enclave runs linux");
}

static void working_folder_is_absolute_and_clean(void **state)
{
        static const char *const cases[][2] = {
                {"", "/"},          {"/", "/"},         {"/srv", "/srv"},     {"srv/data/", "/srv/data"},
                {"//a//b", "/a/b"}, {"/a/./b", "/a/b"}, {"/a/../b", "/b"},    {"/../../a", "/a"},
                {"/a/..", "/"},     {"..", "/"},        {"/a/..b", "/a/..b"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct image_config config = sound_config();
                cleanup_free char *written = strdup(cases[i][0]);
                config.working_dir = written;
                cleanup_free char *cwd = build_working_dir(&config);
                assert_string_equal(cwd, cases[i][1]);
        }
}

static void default_name_is_the_uri_without_transport_and_tag(void **state)
{
        static const char *const cases[][2] = {
                {"debian", "debian"},
                {"debian:12", "debian"},
                {"localhost:5000/group/app:1.0", "localhost:5000/group/app"},
                {"localhost:5000/app", "localhost:5000/app"},
                {"docker://registry.example/app:1", "registry.example/app"},
                {"docker-daemon:app:latest", "app"},
                {"app@sha256:0123", "app"},
                {"app:1@sha256:0123", "app"},
                {"oci:/tmp/x/redis:latest", "redis"},
                {"oci:redis/", "redis"},
                {"oci-archive:/a/b.tar:tag", "b.tar"},
                {"docker-archive:b.tar:name:tag", "b.tar"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_free char *name = build_default_name(cases[i][0]);
                assert_string_equal(name, cases[i][1]);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(entrypoint_and_cmd_are_joined_and_path_and_home_are_there),
                cmocka_unit_test(path_of_the_image_stays),
                cmocka_unit_test(only_tcp_ports_are_bridged_and_ranges_are_spread),
                cmocka_unit_test(stop_signals_are_read_in_every_form),
                cmocka_unit_test(images_that_cannot_run_are_refused_with_the_reason),
                cmocka_unit_test(working_folder_is_absolute_and_clean),
                cmocka_unit_test(default_name_is_the_uri_without_transport_and_tag),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
