/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters are judged in three ways: by a small evaluator of BPF against what the rules say, for every system
 * call number; by the kernel, in children that load them; and the cache by what it does with entries that
 * aren't what they should be.
 */
#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/base/unix-socket.h"
#include "lib/container/seccomp-internal.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Behind the last number that any architecture has. */
enum { NUMBERS = 600 };

#define X32_BIT 0x40000000u

/* ---- an evaluator of the instructions that filters have ------------------------------------------------ */

static uint32_t load(const struct seccomp_data *data, uint32_t offset)
{
        uint32_t word;

        assert_true(offset % 4 == 0 && offset + 4 <= sizeof(*data));
        memcpy(&word, (const uint8_t *)data + offset, sizeof(word));
        return word;
}

static bool jumps(uint16_t code, uint32_t a, uint32_t k)
{
        switch (BPF_OP(code)) {
        case BPF_JEQ:
                return a == k;
        case BPF_JGT:
                return a > k;
        case BPF_JGE:
                return a >= k;
        case BPF_JSET:
                return (a & k) != 0;
        default:
                fail_msg("jump 0x%x", code);
                return false;
        }
}

static uint32_t evaluate(const struct plan_seccomp *program, const struct seccomp_data *data)
{
        uint32_t a = 0, memory[BPF_MEMWORDS] = {0};

        for (size_t pc = 0; pc < program->n; pc++) {
                const struct sock_filter *i = &program->filter[pc];
                switch (i->code) {
                case BPF_LD | BPF_W | BPF_ABS:
                        a = load(data, i->k);
                        break;
                case BPF_LD | BPF_MEM:
                        a = memory[i->k % BPF_MEMWORDS];
                        break;
                case BPF_ST:
                        memory[i->k % BPF_MEMWORDS] = a;
                        break;
                case BPF_ALU | BPF_AND | BPF_K:
                        a &= i->k;
                        break;
                case BPF_JMP | BPF_JA:
                        pc += i->k;
                        break;
                case BPF_RET | BPF_K:
                        return i->k;
                default:
                        if (BPF_CLASS(i->code) != BPF_JMP)
                                fail_msg("instruction 0x%x at %zu", i->code, pc);
                        pc += jumps(i->code, a, i->k) ? i->jt : i->jf;
                }
        }
        fail_msg("ran off the program's end");
        return 0;
}

/* ---- profiles ------------------------------------------------------------------------------------------ */

struct fixture {
        struct arena arena;
        char folder[64];
        char cache[96];
};

static int setup(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));
        struct error err = {0};

        assert_non_null(f);
        f->arena = ARENA_NONE;
        assert_int_equal(arena_new_private(&f->arena, &err), 0);
        memcpy(f->folder, "/tmp/test-seccomp.XXXXXX", sizeof("/tmp/test-seccomp.XXXXXX"));
        assert_non_null(mkdtemp(f->folder));
        snprintf(f->cache, sizeof(f->cache), "%s/cache", f->folder);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(path_remove_tree(AT_FDCWD, f->folder, NULL), 0);
        arena_done(&f->arena);
        free(f);
        return 0;
}

static struct spec_seccomp *profile_new(struct fixture *f, uint32_t default_action, size_t rules)
{
        struct spec_seccomp *s = arena_alloc(&f->arena, 1, sizeof(*s));

        assert_non_null(s);
        s->default_action = default_action;
        s->flags_given = true;
        s->rules = arena_alloc(&f->arena, rules, sizeof(*s->rules));
        assert_non_null(s->rules);
        return s;
}

static struct spec_seccomp_rule *add_rule(struct fixture *f, struct spec_seccomp *s, uint32_t action,
                                          const char *name, ...)
{
        struct spec_seccomp_rule *rule = &s->rules[s->n_rules++];
        va_list names;

        rule->action = action;
        rule->names.items = arena_alloc(&f->arena, 16, sizeof(char *));
        va_start(names, name);
        for (; name; name = va_arg(names, const char *))
                rule->names.items[rule->names.n++] = arena_string(&f->arena, name);
        va_end(names);
        return rule;
}

static void add_arg(struct fixture *f, struct spec_seccomp_rule *rule, uint32_t index, int op, uint64_t value,
                    uint64_t value_two)
{
        if (!rule->args)
                rule->args = arena_alloc(&f->arena, 6, sizeof(*rule->args));
        assert_non_null(rule->args);
        rule->args[rule->n_args++] =
                (struct spec_seccomp_arg){.index = index, .value = value, .value_two = value_two, .op = op};
}

static struct plan_seccomp compiled(struct fixture *f, const struct spec_seccomp *s, const char *cache)
{
        struct plan_seccomp program = {0};
        struct error err = {0};

        int r = seccomp_compile(s, cache, &f->arena, NULL, &program, &err);
        if (r < 0)
                fail_msg("compile: %s", error_text(&err));
        assert_true(program.n > 0);
        return program;
}

static uint32_t verdict(const struct plan_seccomp *program, uint32_t arch, uint32_t number)
{
        const struct seccomp_data data = {.nr = (int)number, .arch = arch};

        return evaluate(program, &data);
}

/* ---- what the rules say -------------------------------------------------------------------------------- */

static bool condition_holds(const struct spec_seccomp_arg *arg, const uint64_t args[6])
{
        uint64_t value = args[arg->index];

        switch ((enum scmp_compare)arg->op) {
        case SCMP_CMP_NE:
                return value != arg->value;
        case SCMP_CMP_LT:
                return value < arg->value;
        case SCMP_CMP_LE:
                return value <= arg->value;
        case SCMP_CMP_EQ:
                return value == arg->value;
        case SCMP_CMP_GE:
                return value >= arg->value;
        case SCMP_CMP_GT:
                return value > arg->value;
        case SCMP_CMP_MASKED_EQ:
                return (value & arg->value) == arg->value_two;
        case _SCMP_CMP_MIN:
        case _SCMP_CMP_MAX:
                break;
        }
        fail_msg("operator %d", arg->op);
        return false;
}

/* All conditions must hold; where an argument has two, one is enough. */
static bool rule_holds(const struct spec_seccomp_rule *rule, const uint64_t args[6])
{
        unsigned seen = 0;
        bool repeated = false, all = true, any = false;

        for (size_t i = 0; i < rule->n_args; i++) {
                bool holds = condition_holds(&rule->args[i], args);
                repeated = repeated || seen & 1U << rule->args[i].index;
                seen |= 1U << rule->args[i].index;
                all = all && holds;
                any = any || holds;
        }
        return repeated ? any : all;
}

/* The first rule without conditions decides; rules with them have one action for each call here. */
static uint32_t expected(const struct spec_seccomp *s, uint32_t scmp_arch, uint32_t number,
                         const uint64_t args[6])
{
        int largest = -1;
        uint32_t conditional = s->default_action;

        for (size_t i = 0; i < s->n_rules; i++) {
                const struct spec_seccomp_rule *rule = &s->rules[i];
                for (size_t k = 0; k < rule->names.n; k++) {
                        int n = seccomp_syscall_resolve_name_arch(scmp_arch, rule->names.items[k]);
                        largest = n > largest ? n : largest;
                }
        }
        for (size_t i = 0; i < s->n_rules; i++) {
                const struct spec_seccomp_rule *rule = &s->rules[i];
                bool named = false;
                for (size_t k = 0; k < rule->names.n; k++)
                        named = named || seccomp_syscall_resolve_name_arch(scmp_arch, rule->names.items[k]) ==
                                                 (int)number;
                if (!named || rule->action == s->default_action)
                        continue;
                if (rule->n_args == 0)
                        return rule->action;
                if (rule_holds(rule, args))
                        conditional = rule->action;
        }
        bool permissive = s->default_action == SCMP_ACT_ALLOW || s->default_action == SCMP_ACT_LOG;
        if (!permissive && largest >= 0 && (int)number > largest)
                return SECCOMP_RET_ERRNO | ENOSYS;
        return conditional;
}

/* ---- generated profiles -------------------------------------------------------------------------------- */

static uint64_t next_random(uint64_t *seed)
{
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        return *seed;
}

static const uint64_t values[] = {0,
                                  1,
                                  2,
                                  0x80,
                                  0xffff,
                                  0x7fffffff,
                                  0x80000000,
                                  0xffffffff,
                                  0x100000000,
                                  0x100000001,
                                  0xffffffff00000000,
                                  UINT64_MAX};

/* On x86 these are told apart by the first argument of one call, which libseccomp does by itself. */
static bool is_multiplexed(const char *name)
{
        static const char *const parts[] = {"sock", "send", "recv", "accept",  "bind", "connect", "listen",
                                            "shm",  "sem",  "msg",  "getpeer", "ipc",  "shutdown"};
        for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
                if (strstr(name, parts[i]))
                        return true;
        return false;
}

static void generate_rule(struct fixture *f, struct spec_seccomp *s, const char *name, uint64_t *seed)
{
        static const uint32_t actions[] = {SCMP_ACT_ALLOW,        SCMP_ACT_ERRNO(EPERM), SCMP_ACT_ERRNO(13),
                                           SCMP_ACT_KILL_PROCESS, SCMP_ACT_TRAP,         SCMP_ACT_LOG};
        uint32_t action = actions[next_random(seed) % ARRAY_SIZE(actions)];
        unsigned kind = next_random(seed) % 8;

        struct spec_seccomp_rule *rule = add_rule(f, s, action, name, NULL);
        if (kind == 0) /* a second rule that comes too late */
                add_rule(f, s, SCMP_ACT_ERRNO(99), name, NULL);
        for (unsigned i = 0; kind > 5 && i <= next_random(seed) % 3; i++) {
                static const int ops[] = {SCMP_CMP_NE, SCMP_CMP_LT, SCMP_CMP_LE,       SCMP_CMP_EQ,
                                          SCMP_CMP_GE, SCMP_CMP_GT, SCMP_CMP_MASKED_EQ};
                uint64_t value = values[next_random(seed) % ARRAY_SIZE(values)];
                /* Alternatives on one argument are for equality alone: libseccomp (2.5.4) loses some of what
                 * alternatives by "less" and "greater" match where it merges them into one tree. */
                int op = kind == 7 ? SCMP_CMP_EQ : ops[next_random(seed) % ARRAY_SIZE(ops)];
                uint32_t index = kind == 7 ? i / 2 : i;
                add_arg(f, rule, index, op, value,
                        op == SCMP_CMP_MASKED_EQ ? value & values[next_random(seed) % ARRAY_SIZE(values)]
                                                 : 0);
        }
}

static struct spec_seccomp *generate(struct fixture *f, uint64_t *seed, unsigned density)
{
        static const uint32_t defaults[] = {SCMP_ACT_ERRNO(EPERM), SCMP_ACT_ERRNO(ENXIO), SCMP_ACT_ALLOW,
                                            SCMP_ACT_KILL_THREAD, SCMP_ACT_LOG};
        struct spec_seccomp *s =
                profile_new(f, defaults[next_random(seed) % ARRAY_SIZE(defaults)], 2 * NUMBERS + 2);

        for (int number = 0; number < NUMBERS; number++) {
                char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, number);
                if (name && !is_multiplexed(name) && next_random(seed) % 16 < density)
                        generate_rule(f, s, name, seed);
                free(name);
        }
        add_rule(f, s, SCMP_ACT_ERRNO(1), "no_such_call", NULL);
        return s;
}

static void compare_all(const struct spec_seccomp *s, const struct plan_seccomp *program, uint32_t scmp_arch,
                        uint32_t audit_arch, uint32_t base, uint64_t *seed)
{
        for (uint32_t number = base; number < base + NUMBERS; number++)
                for (int round = 0; round < 4; round++) {
                        struct seccomp_data data = {.nr = (int)number, .arch = audit_arch};
                        for (int i = 0; i < 6; i++)
                                data.args[i] = values[next_random(seed) % ARRAY_SIZE(values)];
                        uint64_t args[6];
                        memcpy(args, data.args, sizeof(args));
                        uint32_t want = expected(s, scmp_arch, number, args);
                        uint32_t have = evaluate(program, &data);
                        if (want != have)
                                fail_msg("arch %#x number %u (%#lx %#lx %#lx): 0x%08x, not 0x%08x", scmp_arch,
                                         number, args[0], args[1], args[2], have, want);
                }
}

static void gives_every_call_the_verdict_of_its_rules(void **state)
{
        uint64_t seed = 0x2545f4914f6cdd1d;

        (void)state;
        for (unsigned round = 0; round < 24; round++) {
                void *one;
                setup(&one);
                struct fixture *f = one;
                struct spec_seccomp *s = generate(f, &seed, round % 3 == 0 ? 1 : round % 17);
                struct plan_seccomp program = compiled(f, s, NULL);
                compare_all(s, &program, SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64, 0, &seed);
                /* Numbers of x32 are those of an architecture that the profile doesn't have. */
                assert_int_equal(verdict(&program, AUDIT_ARCH_X86_64, X32_BIT + 1), SECCOMP_RET_KILL_THREAD);
                assert_int_equal(verdict(&program, AUDIT_ARCH_AARCH64, 1), SECCOMP_RET_KILL_THREAD);
                teardown(&one);
        }
}

static void knows_the_numbers_of_each_architecture(void **state)
{
        uint32_t architectures[] = {SCMP_ARCH_X86_64, SCMP_ARCH_X86,     SCMP_ARCH_X32,
                                    SCMP_ARCH_X86,    SCMP_ARCH_AARCH64, SCMP_ARCH_S390X};
        struct fixture *f = *state;
        struct spec_seccomp *s = profile_new(f, SCMP_ACT_ERRNO(EPERM), 4);

        add_rule(f, s, SCMP_ACT_ALLOW, "read", "openat", "statx", NULL);
        add_rule(f, s, SCMP_ACT_ERRNO(7), "mkdirat", NULL);
        s->architectures = architectures;
        s->n_architectures = 5; /* libseccomp takes those of one byte order */
        struct plan_seccomp program = compiled(f, s, NULL);
        uint64_t seed = 1;
        compare_all(s, &program, SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64, 0, &seed);
        compare_all(s, &program, SCMP_ARCH_X32, AUDIT_ARCH_X86_64, X32_BIT, &seed);
        compare_all(s, &program, SCMP_ARCH_X86, AUDIT_ARCH_I386, 0, &seed);
        compare_all(s, &program, SCMP_ARCH_AARCH64, AUDIT_ARCH_AARCH64, 0, &seed);
        assert_int_equal(verdict(&program, AUDIT_ARCH_ARM, 1), SECCOMP_RET_KILL_THREAD);
        s->n_architectures = 6;
        struct plan_seccomp none;
        assert_int_equal(seccomp_compile(s, NULL, &f->arena, NULL, &none, NULL), -EDOM);
}

static void calls_newer_than_the_profile_do_not_exist(void **state)
{
        struct fixture *f = *state;
        struct spec_seccomp *s = profile_new(f, SCMP_ACT_ERRNO(EPERM), 4);

        add_rule(f, s, SCMP_ACT_ALLOW, "read", "statx", NULL);
        struct plan_seccomp program = compiled(f, s, NULL);
        assert_int_equal(verdict(&program, AUDIT_ARCH_X86_64, SYS_statx), SECCOMP_RET_ALLOW);
        assert_int_equal(verdict(&program, AUDIT_ARCH_X86_64, SYS_statx - 1), SECCOMP_RET_ERRNO | EPERM);
        assert_int_equal(verdict(&program, AUDIT_ARCH_X86_64, SYS_clone3), SECCOMP_RET_ERRNO | ENOSYS);
        assert_int_equal(verdict(&program, AUDIT_ARCH_X86_64, 100000), SECCOMP_RET_ERRNO | ENOSYS);

        /* One that lets pass what it doesn't know lets these pass as well. */
        static const uint32_t permissive[] = {SCMP_ACT_ALLOW, SCMP_ACT_LOG, SCMP_ACT_TRACE(3)};
        for (size_t i = 0; i < ARRAY_SIZE(permissive); i++) {
                s->default_action = permissive[i];
                s->rules[0].action = SCMP_ACT_ERRNO(5);
                program = compiled(f, s, NULL);
                assert_int_equal(verdict(&program, AUDIT_ARCH_X86_64, SYS_clone3), permissive[i]);
        }
}

static void a_profile_without_rules_is_its_default_action(void **state)
{
        struct fixture *f = *state;
        struct spec_seccomp *s = profile_new(f, SCMP_ACT_ALLOW, 1);
        struct plan_seccomp program = compiled(f, s, NULL);

        assert_int_equal(verdict(&program, AUDIT_ARCH_X86_64, SYS_read), SECCOMP_RET_ALLOW);
        s->default_action = SCMP_ACT_ERRNO(EPERM);
        program = compiled(f, s, NULL);
        assert_int_equal(verdict(&program, AUDIT_ARCH_X86_64, SYS_read), SECCOMP_RET_ERRNO | EPERM);
}

/* ---- refusals and flags -------------------------------------------------------------------------------- */

static void assert_refused(struct fixture *f, const struct spec_seccomp *s, int code, const char *text)
{
        struct plan_seccomp program;
        struct error err = {0};

        assert_int_equal(seccomp_compile(s, NULL, &f->arena, NULL, &program, &err), code);
        if (!strstr(error_text(&err), text))
                fail_msg("\"%s\" doesn't say \"%s\"", error_text(&err), text);
}

static void refuses_listeners_that_could_never_work(void **state)
{
        struct fixture *f = *state;
        struct spec_seccomp *s = profile_new(f, SCMP_ACT_ALLOW, 4);

        add_rule(f, s, SCMP_ACT_NOTIFY, "mkdir", "write", NULL);
        assert_refused(f, s, -EINVAL, "listenerPath is not set");
        s->listener_path = "/run/agent.sock";
        assert_refused(f, s, -EINVAL, "SCMP_ACT_NOTIFY cannot be used for the write syscall");
        s->rules[0].names.items[1] = arena_string(&f->arena, "sendmsg");
        assert_refused(f, s, -EINVAL, "SCMP_ACT_NOTIFY cannot be used for the sendmsg syscall");
        s->rules[0].names.n = 1;
        assert_true(compiled(f, s, NULL).has_notify);
        s->default_action = SCMP_ACT_NOTIFY;
        assert_refused(f, s, -EINVAL, "SCMP_ACT_NOTIFY cannot be used as default action");
}

static void names_the_rule_at_fault(void **state)
{
        struct fixture *f = *state;
        struct spec_seccomp *s = profile_new(f, SCMP_ACT_ALLOW, 4);

        add_rule(f, s, SCMP_ACT_ERRNO(1), "mkdir", NULL);
        struct spec_seccomp_rule *rule = add_rule(f, s, SCMP_ACT_ERRNO(1), "rmdir", NULL);
        add_arg(f, rule, 6, SCMP_CMP_EQ, 1, 0);
        assert_refused(f, s, -EINVAL, "syscalls[1].args[0].index: 6");
        rule->n_args = 0;
        rule->names.items[0] = arena_string(&f->arena, "");
        assert_refused(f, s, -EINVAL, "syscalls[1].names[0] is empty");
}

static void a_profile_longer_than_the_kernel_takes_is_refused(void **state)
{
        struct fixture *f = *state;
        enum { RULES = 2500 }; /* two instructions each are too many */
        struct spec_seccomp *s = profile_new(f, SCMP_ACT_ALLOW, RULES);

        for (uint64_t i = 0; i < RULES; i++)
                add_arg(f, add_rule(f, s, SCMP_ACT_ERRNO(1), "mkdir", NULL), 0, SCMP_CMP_EQ, i << 32 | i, 0);
        assert_refused(f, s, -E2BIG, "make the profile smaller");
}

static void passes_flags_on_and_refuses_unknown_ones(void **state)
{
        struct fixture *f = *state;
        struct spec_seccomp *s = profile_new(f, SCMP_ACT_ALLOW, 4);

        add_rule(f, s, SCMP_ACT_ERRNO(1), "mkdir", NULL);
        s->flags = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG;
        assert_int_equal(compiled(f, s, NULL).flags, SECCOMP_FILTER_FLAG_LOG);
        s->flags = 0;
        assert_int_equal(compiled(f, s, NULL).flags, 0);
        s->flags_given = false;
        assert_int_equal(compiled(f, s, NULL).flags, SECCOMP_FILTER_FLAG_SPEC_ALLOW);
        s->flags_given = true;
        s->flags = 1u << 20;
        assert_refused(f, s, -ENOTSUP, "lacks the seccomp flag 0x100000");
        s->flags = 1u << 5;
        assert_refused(f, s, -EINVAL, "SCMP_ACT_NOTIFY alone");
        s->listener_path = "/run/agent.sock";
        add_rule(f, s, SCMP_ACT_NOTIFY, "rmdir", NULL);
        assert_int_equal(compiled(f, s, NULL).flags, 1u << 5);
}

/* ---- the kernel ---------------------------------------------------------------------------------------- */

/* In a child under the filter; the status as waitpid(2) has it. */
static int status_under(const struct plan_seccomp *program, int (*body)(void))
{
        int status;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                const struct sock_fprog fprog = {.len = (unsigned short)program->n,
                                                 .filter = program->filter};
                if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
                    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, program->flags, &fprog) < 0)
                        _exit(100);
                _exit(body());
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return status;
}

static int errno_of_mkdir(void)
{
        return mkdir("/proc/no-folder-is-made-here", 0700) < 0 ? errno : 0;
}

static int errno_of_personality(void)
{
        return syscall(SYS_personality, 0xffffffff) < 0 ? errno : 0;
}

static int errno_of_other_personality(void)
{
        return syscall(SYS_personality, 0x20008) < 0 ? errno : 0;
}

static void the_kernel_goes_by_the_program(void **state)
{
        struct fixture *f = *state;
        struct spec_seccomp *s = profile_new(f, SCMP_ACT_ALLOW, 4);

        add_rule(f, s, SCMP_ACT_ERRNO(77), "mkdir", "mkdirat", NULL);
        struct spec_seccomp_rule *rule = add_rule(f, s, SCMP_ACT_KILL_PROCESS, "personality", NULL);
        add_arg(f, rule, 0, SCMP_CMP_EQ, 0x20008, 0);
        s->flags_given = false;
        struct plan_seccomp program = compiled(f, s, NULL);
        assert_int_equal(status_under(&program, errno_of_mkdir), 77 << 8);
        assert_int_equal(status_under(&program, errno_of_personality), 0);
        assert_true(WIFSIGNALED(status_under(&program, errno_of_other_personality)));
}

/* ---- the cache ----------------------------------------------------------------------------------------- */

static struct spec_seccomp *simple_profile(struct fixture *f)
{
        struct spec_seccomp *s = profile_new(f, SCMP_ACT_ALLOW, 4);

        add_rule(f, s, SCMP_ACT_ERRNO(1), "mkdir", "rmdir", NULL);
        return s;
}

static struct buf key_of(const struct spec_seccomp *s)
{
        struct buf key = buf_with_max(1 << 20);

        assert_int_equal(seccomp_cache_key(s, &key), 0);
        return key;
}

/* The one file in the cache, by its path. */
static void entry_path(struct fixture *f, char ret_path[512])
{
        DIR *dir = opendir(f->cache);
        int n = 0;

        assert_non_null(dir);
        for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
                if (entry->d_name[0] != '.') {
                        snprintf(ret_path, 512, "%s/%s", f->cache, entry->d_name);
                        n++;
                }
        closedir(dir);
        assert_int_equal(n, 1);
}

static bool loads(struct fixture *f, const struct spec_seccomp *s)
{
        cleanup_buf struct buf key = key_of(s);
        struct plan_seccomp program = {0};

        int r = seccomp_cache_load(f->cache, buf_view(&key), &f->arena, &program);
        assert_true(r == 0 || r == 1);
        return r == 1;
}

static void takes_a_known_profile_from_the_cache(void **state)
{
        struct fixture *f = *state;
        struct spec_seccomp *s = simple_profile(f);
        cleanup_buf struct buf key = key_of(s);

        assert_false(loads(f, s));
        struct plan_seccomp first = compiled(f, s, f->cache);
        assert_true(loads(f, s));
        struct plan_seccomp second = compiled(f, s, f->cache);
        assert_int_equal(first.n, second.n);
        assert_memory_equal(first.filter, second.filter, first.n * sizeof(*first.filter));

        /* What is there is what is used: nothing is made anew. */
        struct sock_filter planted = BPF_STMT(BPF_RET | BPF_K, 0x7fff1234);
        const struct seccomp_program program = {.filter = &planted, .n = 1, .flags = 4};
        assert_int_equal(seccomp_cache_store(f->cache, buf_view(&key), &program, NULL), 0);
        second = compiled(f, s, f->cache);
        assert_int_equal(second.n, 1);
        assert_int_equal(second.filter[0].k, 0x7fff1234);
        assert_int_equal(second.flags, 4);
}

static void each_difference_makes_another_key(void **state)
{
        struct fixture *f = *state;
        struct buf keys[9];
        size_t n = 0;
        uint32_t architectures[] = {SCMP_ARCH_X86};
        struct spec_seccomp *s = simple_profile(f);

        keys[n++] = key_of(s);
        s->default_action = SCMP_ACT_LOG;
        keys[n++] = key_of(s);
        s->flags = 2;
        keys[n++] = key_of(s);
        s->flags_given = false;
        keys[n++] = key_of(s);
        s->architectures = architectures;
        s->n_architectures = 1;
        keys[n++] = key_of(s);
        s->rules[0].names.n = 1;
        keys[n++] = key_of(s);
        add_arg(f, &s->rules[0], 0, SCMP_CMP_EQ, 1, 0);
        keys[n++] = key_of(s);
        s->rules[0].args[0].value_two = 1;
        keys[n++] = key_of(s);
        s->rules[0].action = SCMP_ACT_TRAP;
        keys[n++] = key_of(s);
        for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < i; k++)
                        assert_false(view_equal(buf_view(&keys[i]), buf_view(&keys[k])));
        for (size_t i = 0; i < n; i++)
                buf_done(&keys[i]);
}

static void ignores_damaged_entries(void **state)
{
        struct fixture *f = *state;
        struct spec_seccomp *s = simple_profile(f);
        char path[512];
        struct stat st;

        compiled(f, s, f->cache);
        entry_path(f, path);
        assert_int_equal(stat(path, &st), 0);
        int fd = open(path, O_RDWR | O_CLOEXEC);
        assert_true(fd >= 0);
        for (uint64_t at = 0; at < (uint64_t)st.st_size; at++) {
                uint8_t byte;
                assert_int_equal(fd_pread_full(fd, &byte, 1, at), 0);
                byte ^= 0x10;
                assert_int_equal(fd_pwrite_full(fd, &byte, 1, at), 0);
                if (loads(f, s))
                        fail_msg("byte %lu of %ld doesn't matter", (unsigned long)at, (long)st.st_size);
                byte ^= 0x10;
                assert_int_equal(fd_pwrite_full(fd, &byte, 1, at), 0);
        }
        assert_true(loads(f, s));
        for (off_t size = st.st_size - 1; size >= 0; size--) {
                assert_int_equal(ftruncate(fd, size), 0);
                assert_false(loads(f, s));
        }
        close(fd);
        /* And the next start makes it good. */
        compiled(f, s, f->cache);
        assert_true(loads(f, s));
}

static void takes_no_entry_of_another_profile(void **state)
{
        struct fixture *f = *state;
        struct spec_seccomp *s = simple_profile(f);
        char mine[512], others[512];

        compiled(f, s, f->cache);
        entry_path(f, mine);
        assert_int_equal(unlink(mine), 0);
        s->rules[0].action = SCMP_ACT_ERRNO(2);
        compiled(f, s, f->cache);
        entry_path(f, others);
        /* As though both had the same hash. */
        assert_int_equal(rename(others, mine), 0);
        s->rules[0].action = SCMP_ACT_ERRNO(1);
        assert_false(loads(f, s));
        assert_int_equal(rename(mine, others), 0);
        s->rules[0].action = SCMP_ACT_ERRNO(2);
        assert_true(loads(f, s));
}

static void takes_no_entry_without_instructions(void **state)
{
        struct fixture *f = *state;
        struct spec_seccomp *s = simple_profile(f);
        cleanup_buf struct buf key = key_of(s);
        struct sock_filter unused = {0};
        const struct seccomp_program nothing = {.filter = &unused, .n = 0};

        assert_int_equal(seccomp_cache_store(f->cache, buf_view(&key), &nothing, NULL), 0);
        assert_false(loads(f, s));
}

static void a_profile_that_is_refused_is_so_with_a_cache(void **state)
{
        struct fixture *f = *state;
        struct spec_seccomp *s = profile_new(f, SCMP_ACT_ALLOW, 4);
        struct plan_seccomp program;

        add_rule(f, s, SCMP_ACT_NOTIFY, "mkdir", NULL);
        s->listener_path = "/run/agent.sock";
        assert_true(compiled(f, s, f->cache).has_notify);
        s->listener_path = NULL;
        assert_int_equal(seccomp_compile(s, f->cache, &f->arena, NULL, &program, NULL), -EINVAL);
}

static void trusts_nothing_that_others_can_write(void **state)
{
        struct fixture *f = *state;
        struct spec_seccomp *s = simple_profile(f);
        char path[512], other[600];
        mode_t before = umask(0);

        compiled(f, s, f->cache);
        umask(before);
        assert_true(loads(f, s));
        entry_path(f, path);
        assert_int_equal(chmod(path, 0620), 0);
        assert_false(loads(f, s));
        assert_int_equal(chmod(path, 0600), 0);
        assert_int_equal(chown(path, 1234, 0), 0);
        assert_false(loads(f, s));
        assert_int_equal(chown(path, geteuid(), 0), 0);
        assert_true(loads(f, s));
        assert_int_equal(chmod(f->cache, 0702), 0);
        assert_false(loads(f, s));
        assert_int_equal(chmod(f->cache, 0700), 0);
        assert_int_equal(chown(f->cache, 1234, 0), 0);
        assert_false(loads(f, s));
        compiled(f, s, f->cache); /* without it */
        assert_int_equal(chown(f->cache, geteuid(), 0), 0);
        assert_true(loads(f, s));
        snprintf(other, sizeof(other), "%s/other", f->folder);
        assert_int_equal(rename(path, other), 0);
        assert_int_equal(symlink(other, path), 0);
        assert_false(loads(f, s));
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkfifo(path, 0600), 0);
        assert_false(loads(f, s));
}

static void keeps_the_newest_entries(void **state)
{
        struct fixture *f = *state;
        struct spec_seccomp *s = simple_profile(f);
        int n = 0;

        for (unsigned i = 0; i < 100; i++) {
                s->rules[0].action = SCMP_ACT_ERRNO(i + 1);
                compiled(f, s, f->cache);
                assert_true(loads(f, s));
        }
        DIR *dir = opendir(f->cache);
        assert_non_null(dir);
        for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
                n += entry->d_name[0] != '.';
        closedir(dir);
        assert_int_equal(n, 64);
}

static void the_oldest_entry_makes_room(void **state)
{
        struct fixture *f = *state;
        struct spec_seccomp *s = simple_profile(f);
        const struct timespec long_ago[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
        char oldest[512];

        for (unsigned i = 1; i <= 65; i++) {
                s->rules[0].action = SCMP_ACT_ERRNO(i);
                compiled(f, s, f->cache);
                if (i == 1) {
                        entry_path(f, oldest);
                        assert_int_equal(utimensat(AT_FDCWD, oldest, long_ago, 0), 0);
                }
        }
        for (unsigned i = 1; i <= 65; i++) {
                s->rules[0].action = SCMP_ACT_ERRNO(i);
                assert_int_equal(loads(f, s), i > 1);
        }
}

/* ---- the listener -------------------------------------------------------------------------------------- */

/* One message and its descriptor. */
static int receive(int socket, char *ret_text, size_t size)
{
        char control[CMSG_SPACE(sizeof(int))];
        struct iovec iov = {.iov_base = ret_text, .iov_len = size - 1};
        struct msghdr message = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
        int fd;

        ssize_t n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
        assert_true(n > 0);
        ret_text[n] = 0;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        assert_non_null(header);
        assert_int_equal(header->cmsg_type, SCM_RIGHTS);
        memcpy(&fd, CMSG_DATA(header), sizeof(fd));
        return fd;
}

static void hands_the_listener_to_the_agent(void **state)
{
        struct fixture *f = *state;
        struct spec_seccomp s = {.listener_metadata = "for \"me\""};
        char path[128], text[1024];
        struct stat sent, received;

        snprintf(path, sizeof(path), "%s/agent.sock", f->folder);
        s.listener_path = path;
        int folder = open(f->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int listening = -1;
        assert_int_equal(unix_socket_listen(folder, "agent.sock", &listening, NULL), 0);
        int listener = memfd_create("listener", MFD_CLOEXEC);
        assert_int_equal(seccomp_send_listener(&s, listener, 4711, "{\"id\": \"c1\", \"pid\": 4711}", NULL),
                         0);
        int agent = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
        assert_true(agent >= 0);
        int fd = receive(agent, text, sizeof(text));
        assert_int_equal(fstat(listener, &sent), 0);
        assert_int_equal(fstat(fd, &received), 0);
        assert_int_equal(sent.st_ino, received.st_ino);
        assert_string_equal(text, "{\"ociVersion\":\"1.3.0\",\"fds\":[\"seccompFd\"],\"pid\":4711,"
                                  "\"metadata\":\"for \\\"me\\\"\",\"state\":{\"id\":\"c1\",\"pid\":4711}}");
        char rest;
        assert_int_equal(read(agent, &rest, 1), 0);
        close(fd);
        close(agent);
        close(listener);
        close(listening);
        close(folder);
}

static void says_that_no_agent_listens(void **state)
{
        struct spec_seccomp s = {.listener_path = "/nowhere/agent.sock"};
        struct error err = {0};

        (void)state;
        assert_int_equal(seccomp_send_listener(&s, 0, 1, "{}", &err), -ENOENT);
        assert_non_null(strstr(error_text(&err), "failed to connect with seccomp agent"));
        assert_non_null(strstr(error_text(&err), "/nowhere/agent.sock"));
        s.listener_path = "@no-such-socket-of-coffer";
        assert_int_equal(seccomp_send_listener(&s, 0, 1, "{}", &err), -ECONNREFUSED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(gives_every_call_the_verdict_of_its_rules),
                cmocka_unit_test_setup_teardown(knows_the_numbers_of_each_architecture, setup, teardown),
                cmocka_unit_test_setup_teardown(calls_newer_than_the_profile_do_not_exist, setup, teardown),
                cmocka_unit_test_setup_teardown(a_profile_without_rules_is_its_default_action, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(refuses_listeners_that_could_never_work, setup, teardown),
                cmocka_unit_test_setup_teardown(names_the_rule_at_fault, setup, teardown),
                cmocka_unit_test_setup_teardown(a_profile_longer_than_the_kernel_takes_is_refused, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(passes_flags_on_and_refuses_unknown_ones, setup, teardown),
                cmocka_unit_test_setup_teardown(the_kernel_goes_by_the_program, setup, teardown),
                cmocka_unit_test_setup_teardown(takes_a_known_profile_from_the_cache, setup, teardown),
                cmocka_unit_test_setup_teardown(each_difference_makes_another_key, setup, teardown),
                cmocka_unit_test_setup_teardown(ignores_damaged_entries, setup, teardown),
                cmocka_unit_test_setup_teardown(takes_no_entry_of_another_profile, setup, teardown),
                cmocka_unit_test_setup_teardown(takes_no_entry_without_instructions, setup, teardown),
                cmocka_unit_test_setup_teardown(a_profile_that_is_refused_is_so_with_a_cache, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(trusts_nothing_that_others_can_write, setup, teardown),
                cmocka_unit_test_setup_teardown(keeps_the_newest_entries, setup, teardown),
                cmocka_unit_test_setup_teardown(the_oldest_entry_makes_room, setup, teardown),
                cmocka_unit_test_setup_teardown(hands_the_listener_to_the_agent, setup, teardown),
                cmocka_unit_test_setup_teardown(says_that_no_agent_listens, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
