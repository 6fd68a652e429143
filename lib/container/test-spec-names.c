/* SPDX-License-Identifier: Apache-2.0 */
/* Words: the tables, mount options, capabilities, signals. */
#include "lib/base/cleanup.h"
#include "lib/container/spec-names.h"
#include "lib/container/spec-parse.h"

#include <linux/capability.h>
#include <seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mount.h>

#include <cmocka.h>

/* Lookups rely on the order; features(1) shows the words in it. */
static void test_tables_are_in_order_and_found(void **state)
{
        (void)state;
        for (int v = 0; v < SPEC_VOCABULARIES; v++) {
                const char *before = "", *name;
                size_t n = 0;

                for (; (name = spec_name_at((enum spec_vocabulary)v, n)); n++) {
                        uint64_t value;

                        assert_true(strcmp(before, name) < 0);
                        before = name;
                        if (v != SPEC_NAMES_MOUNT_OPTIONS)
                                assert_true(spec_name_value((enum spec_vocabulary)v, name, &value));
                }
                assert_true(n >= 2);
        }
}

static void test_capabilities(void **state)
{
        uint64_t seen = 0;

        (void)state;
        for (size_t i = 0; spec_name_at(SPEC_NAMES_CAPABILITIES, i); i++)
                seen |= (uint64_t)1 << spec_capability_number(spec_name_at(SPEC_NAMES_CAPABILITIES, i));
        assert_true(seen == ((uint64_t)2 << CAP_LAST_CAP) - 1);
        assert_int_equal(spec_capability_number("sys_admin"), CAP_SYS_ADMIN);
        assert_int_equal(spec_capability_number("Cap_Chown"), CAP_CHOWN);
        assert_int_equal(spec_capability_number("CHOWN "), -1);
        assert_int_equal(spec_capability_number(""), -1);
        assert_int_equal(spec_capability_number("CAP_"), -1);
        assert_int_equal(spec_capability_number("CAP_CHOWN_0123456789012345678901234567890123456789"), -1);
}

static void test_signals(void **state)
{
        static const struct {
                const char *text;
                int number;
        } cases[] = {
                {"9", 9},        {"KILL", SIGKILL},    {"SIGKILL", SIGKILL}, {"sigterm", SIGTERM},
                {"Hup", SIGHUP}, {"SIGCHLD", SIGCHLD}, {"CLD", SIGCHLD},     {"IO", SIGIO},
                {"POLL", SIGIO}, {"IOT", SIGABRT},     {"WINCH", SIGWINCH},  {"0", 0},
                {"64", 64},      {"65", -1},           {"-9", -1},           {"", -1},
                {"SIG", -1},     {"KILLL", -1},        {"9x", -1},           {"SIG9", -1},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_int_equal(spec_signal_number(cases[i].text), cases[i].number);
        assert_int_equal(spec_signal_number("RTMIN"), SIGRTMIN);
        assert_int_equal(spec_signal_number("SIGRTMIN+3"), SIGRTMIN + 3);
        assert_int_equal(spec_signal_number("rtmax-1"), SIGRTMAX - 1);
        assert_int_equal(spec_signal_number("RTMAX"), SIGRTMAX);
        assert_int_equal(spec_signal_number("RTMIN-1"), -1);
        assert_int_equal(spec_signal_number("RTMAX+1"), -1);
        assert_int_equal(spec_signal_number("RTMIN+31"), -1);
        assert_int_equal(spec_signal_number("RTMIN+"), -1);
}

struct options {
        struct arena arena;
        struct spec_mount mount;
};

static int setup(void **state)
{
        static struct options options;

        options = (struct options){.arena = ARENA_NONE};
        *state = &options;
        return arena_new_private(&options.arena, NULL);
}

static int teardown(void **state)
{
        arena_done(&((struct options *)*state)->arena);
        return 0;
}

/* Parses options one by one; "|" separates them. */
static const struct spec_mount *parse(void **state, const char *list)
{
        struct options *options = *state;
        cleanup_free char *copy = strdup(list);
        char *rest = NULL;

        assert_non_null(copy);
        options->mount = (struct spec_mount){0};
        for (char *option = strtok_r(copy, "|", &rest); option; option = strtok_r(NULL, "|", &rest))
                assert_int_equal(spec_parse_mount_option(option, &options->arena, &options->mount, NULL), 0);
        return &options->mount;
}

/* Each option that the specification lists is known, and none of it reaches the file system. */
static void test_specified_options_are_known(void **state)
{
        static const char *const names[] = {
                "async",          "atime",      "bind",         "defaults",     "dev",
                "diratime",       "dirsync",    "exec",         "iversion",     "lazytime",
                "loud",           "mand",       "noatime",      "nodev",        "nodiratime",
                "noexec",         "noiversion", "nolazytime",   "nomand",       "norelatime",
                "nostrictatime",  "nosuid",     "nosymfollow",  "private",      "ratime",
                "rbind",          "rdev",       "rdiratime",    "relatime",     "remount",
                "rexec",          "rnoatime",   "rnodiratime",  "rnoexec",      "rnorelatime",
                "rnostrictatime", "rnosuid",    "rnosymfollow", "ro",           "rprivate",
                "rrelatime",      "rro",        "rrw",          "rshared",      "rslave",
                "rstrictatime",   "rsuid",      "rsymfollow",   "runbindable",  "rw",
                "shared",         "silent",     "slave",        "strictatime",  "suid",
                "symfollow",      "sync",       "tmpcopyup",    "unbindable",   "idmap",
                "ridmap",         "rnodev",     "copy-symlink", "src-nofollow", "dest-nofollow",
        };
        size_t listed = 0;

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                assert_null(parse(state, names[i])->data);
        while (spec_name_at(SPEC_NAMES_MOUNT_OPTIONS, listed))
                listed++;
        assert_int_equal(listed, ARRAY_SIZE(names));
}

static void test_later_options_win(void **state)
{
        const struct spec_mount *mount = parse(state, "ro|nosuid|rw|noexec|exec|noexec|private|rslave");

        assert_int_equal(mount->flags, MS_NOSUID | MS_NOEXEC);
        assert_int_equal(mount->clear_flags, MS_RDONLY);
        assert_int_equal(mount->propagation, MS_SLAVE | MS_REC);
        mount = parse(state, "rro|rrw|rnodev");
        assert_int_equal(mount->rec_attr_set, MOUNT_ATTR_NODEV);
        assert_int_equal(mount->rec_attr_clr, MOUNT_ATTR_RDONLY);
        mount = parse(state, "rrw|rro");
        assert_int_equal(mount->rec_attr_set, MOUNT_ATTR_RDONLY);
        assert_int_equal(mount->rec_attr_clr, 0);
}

/* The kernel refuses a new access time setting whose field isn't cleared. */
static void test_access_times_are_one_field(void **state)
{
        static const struct {
                const char *options;
                uint64_t set;
        } cases[] = {
                {"rnoatime", MOUNT_ATTR_NOATIME},
                {"rstrictatime", MOUNT_ATTR_STRICTATIME},
                {"rrelatime", 0},
                {"ratime", 0},
                {"rnostrictatime", 0},
                {"rnorelatime", 0},
                {"rnoatime|rstrictatime", MOUNT_ATTR_STRICTATIME},
                {"rstrictatime|rnoatime", MOUNT_ATTR_NOATIME},
                {"rnoatime|rrelatime", 0},
                {"rnoatime|ratime", 0},
                {"rstrictatime|ratime", MOUNT_ATTR_STRICTATIME},
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const struct spec_mount *mount = parse(state, cases[i].options);
                assert_int_equal(mount->rec_attr_set, cases[i].set);
                assert_int_equal(mount->rec_attr_clr, MOUNT_ATTR__ATIME);
        }
        assert_int_equal(parse(state, "rnodiratime")->rec_attr_set, MOUNT_ATTR_NODIRATIME);
        assert_int_equal(parse(state, "rnodiratime")->rec_attr_clr, 0);
}

static void test_unknown_options_are_data(void **state)
{
        struct options *options = *state;
        struct error err;

        assert_string_equal(parse(state, "size=1m|nosuid|mode=755|xattr")->data, "size=1m,mode=755,xattr");
        assert_int_equal(options->mount.flags, MS_NOSUID);
        assert_string_equal(parse(state, "RO")->data, "RO");
        assert_int_equal(spec_parse_mount_option("", &options->arena, &options->mount, &err), -EINVAL);
        options->arena.used = options->arena.max;
        assert_int_equal(spec_parse_mount_option("x", &options->arena, &options->mount, &err), -ENOMEM);
}

static void test_lists_are_cut_at_words(void **state)
{
        char text[12];

        (void)state;
        spec_names_list(SPEC_NAMES_NAMESPACES, text, sizeof(text));
        assert_string_equal(text, "cgroup ipc");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_tables_are_in_order_and_found),
                cmocka_unit_test(test_capabilities),
                cmocka_unit_test(test_signals),
                cmocka_unit_test_setup_teardown(test_specified_options_are_known, setup, teardown),
                cmocka_unit_test_setup_teardown(test_later_options_win, setup, teardown),
                cmocka_unit_test_setup_teardown(test_access_times_are_one_field, setup, teardown),
                cmocka_unit_test_setup_teardown(test_unknown_options_are_data, setup, teardown),
                cmocka_unit_test(test_lists_are_cut_at_words),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
