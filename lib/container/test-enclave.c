/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of an enclave, and what its kind needs and gives, on a machine that is a folder. */
#include "lib/base/cleanup.h"
#include "lib/base/text.h"
#include "lib/container/enclave-settings.h"
#include "lib/container/enclave-type.h"
#include "lib/container/spec-parse.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#define CONFIG                                                                                               \
        "{\"ociVersion\": \"1.2.0\", \"root\": {\"path\": \"rootfs\"}, \"process\": {\"cwd\": \"/\", "       \
        "\"args\": "                                                                                         \
        "[\"x\"], \"env\": [%s]}, \"annotations\": {%s}, \"linux\": {%s}}"

struct parsed {
        struct arena arena;
        struct spec *spec;
        struct enclave_settings *settings;
        struct error err;
        int r;
};

static void parsed_done(struct parsed *p)
{
        arena_done(&p->arena);
}
#define cleanup_parsed CLEANUP(parsed_done)

static void take(struct parsed *p, const char *env, const char *annotations, const char *linux)
{
        cleanup_free char *text = string_printf(CONFIG, env, annotations, linux);

        *p = (struct parsed){.arena = ARENA_NONE};
        assert_int_equal(arena_new_private(&p->arena, &p->err), 0);
        assert_int_equal(spec_parse(view_of_string(text), "/bundle", &p->arena, NULL, &p->spec, &p->err), 0);
        p->r = enclave_settings_take(p->spec, &p->arena, NULL, &p->settings, &p->err);
}

static void variable_beats_annotation_and_the_last_variable_counts(void **state)
{
        cleanup_parsed struct parsed p;

        (void)state;
        take(&p,
             "\"ENCLAVE_TYPE=x\", \"ENCLAVE_TYPE=vm\", \"ENCLAVE_RUNTIME_PATH=/a\", "
             "\"ENCLAVE_RUNTIME_ARGS=z\"",
             "\"enclave.type\": \"y\", \"enclave.runtime.path\": \"/b\", \"enclave.runtime.loglevel\": "
             "\"debug\"",
             "");
        assert_int_equal(p.r, 0);
        assert_string_equal(p.settings->type, "vm");
        assert_string_equal(p.settings->pal, "/a");
        assert_string_equal(p.settings->args, "z"); /* one byte is as good as more */
        assert_string_equal(p.settings->log_level, "debug");
        assert_int_equal(p.settings->timeout, ENCLAVE_TIMEOUT_DEFAULT);
        assert_false(p.settings->simulate);
}

static void variables_of_the_enclave_leave_the_environment_and_no_others(void **state)
{
        cleanup_parsed struct parsed p;

        (void)state;
        take(&p, "\"A=1\", \"ENCLAVE_TYPE=vm\", \"ENCLAVE_ODD=\", \"ENCLAVE_RUNTIME_PATH=/a\", \"ENCLAVE=2\"",
             "", "");
        assert_int_equal(p.r, 0);
        assert_int_equal(p.spec->process->env.n, 2);
        assert_string_equal(p.spec->process->env.items[0], "A=1");
        assert_string_equal(p.spec->process->env.items[1], "ENCLAVE=2");
        assert_null(p.spec->process->env.items[2]);
}

static void commas_and_blanks_part_arguments(void **state)
{
        static const char *const pairs[][2] = {{"a,b c", "a b c"}, {",,a, ,b,,", "a b"}, {"", ""}, {",", ""}};

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
                cleanup_parsed struct parsed p;
                char env[256];
                snprintf(env, sizeof(env),
                         "\"ENCLAVE_TYPE=vm\", \"ENCLAVE_RUNTIME_PATH=/a\", \"ENCLAVE_RUNTIME_ARGS=%s\"",
                         pairs[i][0]);
                take(&p, env, "", "");
                assert_string_equal(p.settings->args, pairs[i][1]);
        }
}

static void simulation_is_asked_for_by_word_variable_or_annotation(void **state)
{
        static const char base[] = "\"ENCLAVE_TYPE=intelSgx\", \"ENCLAVE_RUNTIME_PATH=/a\"";
        static const struct {
                const char *env, *annotations, *args;
                bool simulate;
        } cases[] = {
                {"\"ENCLAVE_RUNTIME_ARGS=a,simulate\"", "", "a simulate", true},
                {"\"ENCLAVE_RUNTIME_ARGS=simulated,nosimulate\"", "", "simulated nosimulate", false},
                {"\"ENCLAVE_SIMULATE=true\"", "", "simulate", true},
                {"\"ENCLAVE_SIMULATE=0\"", "\"enclave.simulate\": \"true\"", "", false},
                {"\"X=\"", "\"enclave.simulate\": \"1\"", "simulate", true},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_parsed struct parsed p;
                char env[256];
                snprintf(env, sizeof(env), "%s, %s", base, cases[i].env);
                take(&p, env, cases[i].annotations, "");
                assert_int_equal(p.r, 0);
                assert_int_equal(p.settings->simulate, cases[i].simulate);
                assert_string_equal(p.settings->args, cases[i].args);
        }
}

static void plain_container_has_no_settings(void **state)
{
        cleanup_parsed struct parsed p;

        (void)state;
        take(&p, "\"ENCLAVE_TYPE=\", \"ENCLAVE_RUNTIME_ARGS=x\"", "\"enclave.type\": \"vm\"", "");
        assert_int_equal(p.r, 0);
        assert_null(p.settings);
        assert_int_equal(p.spec->process->env.n, 0);
}

/* ---- kinds --------------------------------------------------------------------------------------------- */

static int make_machine(void **state)
{
        char folder[] = "/tmp/test-enclave.XXXXXX";
        char *made = mkdtemp(folder);

        if (!made)
                return -1;
        *state = strdup(made);
        cleanup_free char *dev = string_printf("%s/dev", made), *sgx = string_printf("%s/dev/sgx", made);
        cleanup_free char *run = string_printf("%s/var", made), *aesm = string_printf("%s/var/run", made);
        return mkdir(dev, 0755) | mkdir(sgx, 0755) | mkdir(run, 0755) | mkdir(aesm, 0755);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *place)
{
        (void)st, (void)kind, (void)place;
        return remove(path);
}

static int remove_machine(void **state)
{
        int r = nftw(*state, remove_one, 8, FTW_DEPTH | FTW_PHYS);

        free(*state);
        return r;
}

/* False where we may not make device nodes. */
static bool add_device(const char *root, const char *path, unsigned major_number, unsigned minor_number)
{
        cleanup_free char *full = string_printf("%s%s", root, path);

        return mknod(full, S_IFCHR | 0660, makedev(major_number, minor_number)) == 0 &&
               chmod(full, 0660) == 0;
}

static void missing_hardware_is_named_with_a_way_out(void **state)
{
        cleanup_parsed struct parsed p;

        take(&p, "\"ENCLAVE_TYPE=intelSgx\", \"ENCLAVE_RUNTIME_PATH=/a\"", "", "");
        assert_int_equal(enclave_type_check(p.settings, *state, &p.err), -ENODEV);
        assert_non_null(strstr(p.err.text, "no SGX device (looked for /dev/sgx_enclave, /dev/sgx/enclave, "
                                           "/dev/isgx)"));
        assert_non_null(strstr(p.err.text, "simulate"));
        p.settings->simulate = true;
        assert_int_equal(enclave_type_check(p.settings, *state, &p.err), 0);
        p.settings->type = "intelsgx";
        assert_int_equal(enclave_type_check(p.settings, *state, &p.err), -EINVAL);
}

static void devices_and_folders_of_the_kind_are_the_containers(void **state)
{
        cleanup_parsed struct parsed p;
        cleanup_free char *aesmd = string_printf("%s/var/run/aesmd", (char *)*state);

        take(&p, "\"ENCLAVE_TYPE=intelSgx\", \"ENCLAVE_RUNTIME_PATH=/a\"", "",
             "\"devices\": [{\"path\": \"/dev/sgx/provision\", \"type\": \"c\", \"major\": 1, \"minor\": "
             "3}]");
        if (!add_device(*state, "/dev/sgx_enclave", 10, 125) ||
            !add_device(*state, "/dev/sgx/provision", 10, 126) || !add_device(*state, "/dev/isgx", 11, 1))
                skip();
        assert_int_equal(mkdir(aesmd, 0755), 0);
        assert_int_equal(enclave_type_check(p.settings, *state, &p.err), 0);
        assert_int_equal(enclave_type_equip(p.settings, *state, p.spec, &p.arena, &p.err), 0);
        /* One was listed and stays; one is no misc device. */
        assert_int_equal(p.spec->linux.n_devices, 2);
        assert_int_equal(p.spec->linux.devices[0].major, 1);
        assert_string_equal(p.spec->linux.devices[1].path, "/dev/sgx_enclave");
        assert_int_equal(p.spec->linux.devices[1].minor, 125);
        assert_int_equal(p.spec->linux.devices[1].mode, 0660);
        assert_int_equal(p.spec->linux.resources.n_devices, 1);
        assert_true(p.spec->linux.resources.devices[0].allow);
        assert_int_equal(p.spec->linux.resources.devices[0].minor.value, 125);
        assert_int_equal(p.spec->n_mounts, 1);
        assert_string_equal(p.spec->mounts[0].destination, "/var/run/aesmd");
        assert_int_equal(p.spec->mounts[0].features, SPEC_MOUNT_BIND | SPEC_MOUNT_RECURSIVE);
}

static void simulated_enclave_gets_nothing_of_the_host(void **state)
{
        cleanup_parsed struct parsed p;

        take(&p, "\"ENCLAVE_TYPE=intelSgx\", \"ENCLAVE_RUNTIME_PATH=/a\", \"ENCLAVE_SIMULATE=1\"", "", "");
        if (!add_device(*state, "/dev/sgx_enclave", 10, 125))
                skip();
        assert_int_equal(enclave_type_equip(p.settings, *state, p.spec, &p.arena, &p.err), 0);
        assert_int_equal(p.spec->linux.n_devices, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(variable_beats_annotation_and_the_last_variable_counts),
                cmocka_unit_test(variables_of_the_enclave_leave_the_environment_and_no_others),
                cmocka_unit_test(commas_and_blanks_part_arguments),
                cmocka_unit_test(simulation_is_asked_for_by_word_variable_or_annotation),
                cmocka_unit_test(plain_container_has_no_settings),
                cmocka_unit_test_setup_teardown(missing_hardware_is_named_with_a_way_out, make_machine,
                                                remove_machine),
                cmocka_unit_test_setup_teardown(devices_and_folders_of_the_kind_are_the_containers,
                                                make_machine, remove_machine),
                cmocka_unit_test_setup_teardown(simulated_enclave_gets_nothing_of_the_host, make_machine,
                                                remove_machine),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
