/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs are run by a small interpreter and compared with the rules as they are meant; with the argument
 * "live", which needs a host of cgroup v2, the kernel itself is asked, from within a group.
 */
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/container/device-filter.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define ALL (SPEC_ACCESS_READ | SPEC_ACCESS_WRITE | SPEC_ACCESS_MKNOD)

/* ---- an interpreter of the instructions that filters have ---------------------------------------------- */

static uint32_t context_word(const struct bpf_cgroup_dev_ctx *context, int16_t offset)
{
        uint32_t word;

        assert_true(offset >= 0 && (size_t)offset + 4 <= sizeof(*context) && offset % 4 == 0);
        memcpy(&word, (const uint8_t *)context + offset, sizeof(word));
        return word;
}

static uint64_t computed(uint8_t code, uint64_t a, uint64_t b)
{
        switch (BPF_OP(code)) {
        case BPF_MOV:
                return b;
        case BPF_AND:
                return a & b;
        case BPF_RSH:
                return a >> (b & 63);
        default:
                fail_msg("operation 0x%x", code);
                return 0;
        }
}

static bool jumps(uint8_t code, uint64_t a, uint64_t b)
{
        switch (BPF_OP(code)) {
        case BPF_JA:
                return true;
        case BPF_JNE:
                return a != b;
        case BPF_JSET:
                return (a & b) != 0;
        default:
                fail_msg("jump 0x%x", code);
                return false;
        }
}

static uint64_t interpret(const struct bpf_insn *program, size_t n, const struct bpf_cgroup_dev_ctx *context)
{
        uint64_t r[16] = {0};

        for (size_t pc = 0; pc < n; pc++) {
                const struct bpf_insn *i = &program[pc];
                uint64_t operand = BPF_SRC(i->code) == BPF_X ? r[i->src_reg] : (uint64_t)(int64_t)i->imm;
                if (i->code == (BPF_JMP | BPF_EXIT))
                        return r[0];
                if (i->code == (BPF_LDX | BPF_MEM | BPF_W))
                        r[i->dst_reg] = context_word(context, i->off);
                else if (BPF_CLASS(i->code) == BPF_ALU64)
                        r[i->dst_reg] = computed(i->code, r[i->dst_reg], operand);
                else if (BPF_CLASS(i->code) == BPF_JMP && jumps(i->code, r[i->dst_reg], operand))
                        pc += (size_t)i->off;
        }
        fail_msg("ran off the program's end");
        return 0;
}

/* ---- what the rules mean ------------------------------------------------------------------------------- */

static bool fits(const struct spec_device_rule *rule, char type, uint64_t major, uint64_t minor)
{
        return (rule->type == 'a' || rule->type == type) &&
               (!rule->major.set || rule->major.value == major) &&
               (!rule->minor.set || rule->minor.value == minor);
}

static bool model(const struct spec_device_rule *rules, size_t n, char type, uint32_t major, uint32_t minor,
                  unsigned access)
{
        for (unsigned bit = 1; bit <= SPEC_ACCESS_MKNOD; bit <<= 1) {
                bool allowed = false;
                for (size_t i = 0; i < n; i++)
                        if (rules[i].access & bit && fits(&rules[i], type, major, minor))
                                allowed = rules[i].allow;
                if (access & bit && !allowed)
                        return false;
        }
        return true;
}

static bool filtered(const struct bpf_insn *program, size_t n, char type, uint32_t major, uint32_t minor,
                     unsigned access)
{
        uint32_t bits = (access & SPEC_ACCESS_READ ? (uint32_t)BPF_DEVCG_ACC_READ : 0) |
                        (access & SPEC_ACCESS_WRITE ? (uint32_t)BPF_DEVCG_ACC_WRITE : 0) |
                        (access & SPEC_ACCESS_MKNOD ? (uint32_t)BPF_DEVCG_ACC_MKNOD : 0);
        const struct bpf_cgroup_dev_ctx context = {
                .access_type =
                        bits << 16 | (uint32_t)(type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR),
                .major = major,
                .minor = minor,
        };

        return interpret(program, n, &context) == 1;
}

static void compare(const struct spec_device_rule *rules, size_t n)
{
        cleanup_free struct bpf_insn *program = NULL;
        size_t length;

        assert_int_equal(device_filter_make(rules, n, &program, &length, NULL), 0);
        for (uint32_t major = 0; major < 5; major++)
                for (uint32_t minor = 0; minor < 5; minor++)
                        for (unsigned access = 1; access <= ALL; access++)
                                for (const char *type = "bc"; *type; type++)
                                        if (filtered(program, length, *type, major, minor, access) !=
                                            model(rules, n, *type, major, minor, access))
                                                fail_msg("%zu rules: %c %u:%u access %u", n, *type, major,
                                                         minor, access);
}

static uint64_t next_random(uint64_t *seed)
{
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        return *seed;
}

static struct optional_u64 random_number(uint64_t *seed)
{
        static const uint64_t odd[] = {UINT32_MAX, 0x80000001, UINT64_MAX, 1ULL << 32 | 2};
        uint64_t choice = next_random(seed) % 24;

        if (choice < 8)
                return (struct optional_u64){0};
        return (struct optional_u64){.set = true, .value = choice < 12 ? odd[choice - 8] : choice % 5};
}

static void agrees_with_the_rules(void **state)
{
        uint64_t seed = 88172645463325252;

        (void)state;
        for (int round = 0; round < 3000; round++) {
                struct spec_device_rule rules[24];
                size_t n = next_random(&seed) % (ARRAY_SIZE(rules) + 1);
                for (size_t i = 0; i < n; i++)
                        rules[i] = (struct spec_device_rule){.allow = next_random(&seed) % 3 != 0,
                                                             .type = "abcc"[next_random(&seed) % 4],
                                                             .major = random_number(&seed),
                                                             .minor = random_number(&seed),
                                                             .access = next_random(&seed) % (ALL + 1)};
                compare(rules, n);
        }
}

static void rules_that_are_said_twice_cost_nothing(void **state)
{
        const struct spec_device_rule rules[] = {
                {.allow = false, .type = 'a', .access = ALL},
                {.allow = true, .type = 'c', .major = {true, 1}, .minor = {true, 3}, .access = ALL},
                {.allow = true, .type = 'c', .major = {true, 1}, .minor = {true, 3}, .access = ALL},
        };
        cleanup_free struct bpf_insn *one = NULL, *two = NULL;
        size_t n_one, n_two;

        (void)state;
        assert_int_equal(device_filter_make(rules, 2, &one, &n_one, NULL), 0);
        assert_int_equal(device_filter_make(rules, 3, &two, &n_two, NULL), 0);
        assert_int_equal(n_one, n_two);
        assert_int_equal(device_filter_make(rules, 100000, &one, &n_one, NULL), -E2BIG);
}

/* ---- the kernel ---------------------------------------------------------------------------------------- */

#define GROUP "/sys/fs/cgroup/coffer-test-device-filter"

static struct spec_device_rule device(char type, uint32_t major, uint32_t minor, unsigned access)
{
        return (struct spec_device_rule){.allow = true,
                                         .type = type,
                                         .major = {true, major},
                                         .minor = {true, minor},
                                         .access = access};
}

/* In a child that is in the group: 0, or the errno of opening it. */
static int errno_of_open(const char *path, int flags)
{
        int status;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                int procs = open(GROUP "/cgroup.procs", O_WRONLY | O_CLOEXEC);
                if (procs < 0 || fd_write_full(procs, "0", 1) < 0)
                        _exit(200);
                int fd = open(path, flags | O_CLOEXEC);
                _exit(fd < 0 ? errno : 0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static void apply(const struct spec_device_rule *rules, size_t n)
{
        struct error err = {0};
        cleanup_fd int group = open(GROUP, O_PATH | O_DIRECTORY | O_CLOEXEC);

        assert_true(group >= 0);
        if (device_filter_apply(group, rules, n, &err) < 0)
                fail_msg("%s", error_text(&err));
}

static int live_setup(void **state)
{
        (void)state;
        return mkdir(GROUP, 0755);
}

static int live_teardown(void **state)
{
        (void)state;
        return rmdir(GROUP);
}

static void the_kernel_denies_what_no_rule_allows(void **state)
{
        struct spec_device_rule rules[] = {
                {.allow = false, .type = 'a', .access = ALL},
                device('c', 1, 3, ALL),              /* null */
                device('c', 1, 5, SPEC_ACCESS_READ), /* zero */
        };

        (void)state;
        assert_int_equal(errno_of_open("/dev/full", O_RDONLY), 0);
        apply(rules, ARRAY_SIZE(rules));
        assert_int_equal(errno_of_open("/dev/null", O_RDWR), 0);
        assert_int_equal(errno_of_open("/dev/zero", O_RDONLY), 0);
        assert_int_equal(errno_of_open("/dev/zero", O_RDWR), EPERM);
        assert_int_equal(errno_of_open("/dev/full", O_RDONLY), EPERM);
}

/* If an old program stayed, both would have to agree. */
static void a_new_filter_takes_the_place_of_the_old(void **state)
{
        struct spec_device_rule null_only[] = {device('c', 1, 3, ALL)};
        struct spec_device_rule full_only[] = {device('c', 1, 7, ALL)};

        (void)state;
        for (int i = 0; i < 3; i++) {
                apply(null_only, 1);
                assert_int_equal(errno_of_open("/dev/null", O_RDWR), 0);
                assert_int_equal(errno_of_open("/dev/full", O_RDWR), EPERM);
                apply(full_only, 1);
                assert_int_equal(errno_of_open("/dev/null", O_RDWR), EPERM);
                assert_int_equal(errno_of_open("/dev/full", O_RDWR), 0);
        }
}

/* The verifier looks at each instruction of these. */
static void the_kernel_takes_every_shape_of_program(void **state)
{
        uint64_t seed = 2463534242;

        (void)state;
        for (int round = 0; round < 200; round++) {
                struct spec_device_rule rules[24];
                size_t n = next_random(&seed) % (ARRAY_SIZE(rules) + 1);
                for (size_t i = 0; i < n; i++)
                        rules[i] = (struct spec_device_rule){.allow = next_random(&seed) % 2,
                                                             .type = "abcc"[next_random(&seed) % 4],
                                                             .major = random_number(&seed),
                                                             .minor = random_number(&seed),
                                                             .access = next_random(&seed) % (ALL + 1)};
                apply(rules, n);
        }
}

int main(int argc, char **argv)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(agrees_with_the_rules),
                cmocka_unit_test(rules_that_are_said_twice_cost_nothing),
        };
        const struct CMUnitTest live[] = {
                cmocka_unit_test_setup_teardown(the_kernel_denies_what_no_rule_allows, live_setup,
                                                live_teardown),
                cmocka_unit_test_setup_teardown(a_new_filter_takes_the_place_of_the_old, live_setup,
                                                live_teardown),
                cmocka_unit_test_setup_teardown(the_kernel_takes_every_shape_of_program, live_setup,
                                                live_teardown),
        };

        if (argc > 1 && strcmp(argv[1], "live") == 0)
                return cmocka_run_group_tests(live, NULL, NULL);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
