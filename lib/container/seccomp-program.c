/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seccomp-program.c - rules to BPF.
 *
 * Theory of operation.  libseccomp makes the program.  A stub of ours goes before it, for system calls that
 * are newer than the profile: a C library tries a new call first and falls back to the old one only where
 * the answer is ENOSYS, so that a profile's EPERM for what its author could not know breaks programs (glibc's
 * clone3 and faccessat2 did).  "Newer" is a number above all those that the profile names for an
 * architecture.  There is no stub where the profile allows what it doesn't name.  The stub is
 *
 *      load architecture
 *      for each one of the profile, the native one included:
 *              is it this one?  no: to the next
 *              load number; is it above the largest?  yes: return ENOSYS;  no: to libseccomp's program
 *
 * and x32, which shares its architecture with x86-64, is told apart by a bit of the number.  Only
 * instructions are used that the kernel's own evaluation understands (seccomp_is_const_allow() in
 * kernel/seccomp.c), by which it keeps always-allowed calls in a bitmap and skips the program for them.
 *
 * Sources: seccomp(2), seccomp_rule_add(3), runtime-spec config-linux.md "Seccomp"; what users rely on beyond
 * it is runc's behaviour: rules that give the default action are skipped, conditions on the same argument
 * are alternatives, unknown calls are skipped.
 */
#include "lib/container/seccomp-internal.h"

#include "lib/base/fd.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

/* What every system call number of x32 has. */
#define X32_BIT 0x40000000u

/* System calls have six arguments. */
enum { ARGUMENTS = 6 };

/* libseccomp knows 19 architectures; more in a profile are repetitions. */
enum { ARCHITECTURES_MAX = 32 };

/* Longest section of the stub: one architecture. */
enum { SECTION_MAX = 9 };

/* From so many system calls on libseccomp makes a search tree of them; with none at all its tree is wrong
 * (up to 2.5.4). */
enum { TREE_MIN = 32 };

DEFINE_CLEANUP(cleanup_filter_p, scmp_filter_ctx, seccomp_release)
#define cleanup_filter CLEANUP(cleanup_filter_p)

bool seccomp_has_notify(const struct spec_seccomp *seccomp)
{
        for (size_t i = 0; i < seccomp->n_rules; i++)
                if (seccomp->rules[i].action == SCMP_ACT_NOTIFY)
                        return true;
        return false;
}

/* ---- what the kernel can do ---------------------------------------------------------------------------- */

/* Kernels before 4.14 can't be asked. */
static int check_action(uint32_t action, struct error *err)
{
        uint32_t kind = action & SECCOMP_RET_ACTION_FULL;

        if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &kind) == 0 || errno == EINVAL)
                return 0;
        if (errno == EOPNOTSUPP)
                return error_set(err, -ENOTSUP, "this kernel lacks the seccomp action 0x%08x", kind);
        return error_errno(err, errno, "this kernel has no seccomp filters");
}

/* With flags that it knows, the kernel gets as far as to read the program: at no address. */
static bool flags_available(unsigned long flags)
{
        return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, NULL) < 0 && errno == EFAULT;
}

/* TSYNC says nothing where there is one thread. */
static int choose_flags(const struct spec_seccomp *seccomp, unsigned *ret_flags, struct error *err)
{
        unsigned flags = seccomp->flags & ~(unsigned)SECCOMP_FILTER_FLAG_TSYNC;

        if (!seccomp->flags_given) {
                *ret_flags = flags_available(SECCOMP_FILTER_FLAG_SPEC_ALLOW)
                                     ? (unsigned)SECCOMP_FILTER_FLAG_SPEC_ALLOW
                                     : 0;
                return 0;
        }
        if (flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV && !seccomp_has_notify(seccomp))
                return error_set(err, -EINVAL,
                                 "seccomp flag SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV goes with a rule of "
                                 "action SCMP_ACT_NOTIFY alone");
        for (unsigned bit = 1; bit && bit <= flags; bit <<= 1) {
                unsigned long with = bit;
                if (bit == SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
                        with |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
                if (flags & bit && !flags_available(with))
                        return error_set(err, -ENOTSUP, "this kernel lacks the seccomp flag 0x%x", bit);
        }
        *ret_flags = flags;
        return 0;
}

static int check_actions(const struct spec_seccomp *seccomp, struct error *err)
{
        uint32_t last = seccomp->default_action;
        int r = check_action(last, err);

        for (size_t i = 0; r == 0 && i < seccomp->n_rules; i++) {
                if (seccomp->rules[i].action == last)
                        continue;
                last = seccomp->rules[i].action;
                r = check_action(last, err);
        }
        return r;
}

/* The listener is known only once the filter is loaded, and it has to get out by then. */
static int check_notify(const struct spec_seccomp *seccomp, struct error *err)
{
        static const char *const needed[] = {"write", "sendmsg"};

        if (seccomp->default_action == SCMP_ACT_NOTIFY)
                return error_set(err, -EINVAL, "SCMP_ACT_NOTIFY cannot be used as default action");
        if (!seccomp_has_notify(seccomp))
                return 0;
        if (!seccomp->listener_path || !*seccomp->listener_path)
                return error_set(err, -EINVAL,
                                 "a rule has the action SCMP_ACT_NOTIFY, and listenerPath is not set");
        for (size_t i = 0; i < seccomp->n_rules; i++) {
                const struct spec_seccomp_rule *rule = &seccomp->rules[i];
                for (size_t k = 0; rule->action == SCMP_ACT_NOTIFY && k < rule->names.n; k++)
                        for (size_t j = 0; j < ARRAY_SIZE(needed); j++)
                                if (strcmp(rule->names.items[k], needed[j]) == 0)
                                        return error_set(err, -EINVAL,
                                                         "SCMP_ACT_NOTIFY cannot be used for the %s syscall",
                                                         needed[j]);
        }
        return 0;
}

/* ---- libseccomp ---------------------------------------------------------------------------------------- */

/* Conditions on one and the same argument can't be in one rule of libseccomp. */
static bool repeats_argument(const struct spec_seccomp_rule *rule)
{
        unsigned seen = 0;

        for (size_t i = 0; i < rule->n_args; i++) {
                unsigned bit = 1U << rule->args[i].index;
                if (seen & bit)
                        return true;
                seen |= bit;
        }
        return false;
}

static struct scmp_arg_cmp condition_of(const struct spec_seccomp_arg *arg)
{
        return (struct scmp_arg_cmp){.arg = arg->index,
                                     .op = (enum scmp_compare)arg->op,
                                     .datum_a = arg->value,
                                     .datum_b = arg->value_two};
}

static int add_rule(scmp_filter_ctx filter, const struct spec_seccomp_rule *rule, int number)
{
        struct scmp_arg_cmp conditions[ARGUMENTS];
        int r = 0;

        if (rule->n_args == 0)
                return seccomp_rule_add_array(filter, rule->action, number, 0, NULL);
        if (repeats_argument(rule)) {
                for (size_t i = 0; r == 0 && i < rule->n_args; i++) {
                        conditions[0] = condition_of(&rule->args[i]);
                        r = seccomp_rule_add_array(filter, rule->action, number, 1, conditions);
                }
                return r;
        }
        for (size_t i = 0; i < rule->n_args; i++)
                conditions[i] = condition_of(&rule->args[i]);
        return seccomp_rule_add_array(filter, rule->action, number, (unsigned)rule->n_args, conditions);
}

static int add_names(scmp_filter_ctx filter, const struct spec_seccomp_rule *rule, size_t index,
                     const struct log *log, struct error *err)
{
        for (size_t i = 0; i < rule->n_args; i++)
                if (rule->args[i].index >= ARGUMENTS)
                        return error_set(err, -EINVAL, "syscalls[%zu].args[%zu].index: %u is above %d", index,
                                         i, rule->args[i].index, ARGUMENTS - 1);
        for (size_t i = 0; i < rule->names.n; i++) {
                const char *name = rule->names.items[i];
                if (!*name)
                        return error_set(err, -EINVAL, "syscalls[%zu].names[%zu] is empty", index, i);
                int number = seccomp_syscall_resolve_name(name);
                if (number == __NR_SCMP_ERROR) {
                        log_debug(log, "unknown seccomp syscall \"%s\" ignored", name);
                        continue;
                }
                int r = add_rule(filter, rule, number);
                if (r < 0)
                        return error_errno(err, -r, "syscalls[%zu]: rule for %s", index, name);
        }
        return 0;
}

static int add_rules(scmp_filter_ctx filter, const struct spec_seccomp *seccomp, const struct log *log,
                     struct error *err)
{
        for (size_t i = 0; i < seccomp->n_rules; i++) {
                /* libseccomp refuses what says nothing new. */
                if (seccomp->rules[i].action == seccomp->default_action)
                        continue;
                int r = add_names(filter, &seccomp->rules[i], i, log, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_architectures(scmp_filter_ctx filter, const struct spec_seccomp *seccomp, struct error *err)
{
        for (size_t i = 0; i < seccomp->n_architectures; i++) {
                int r = seccomp_arch_add(filter, seccomp->architectures[i]);
                if (r < 0 && r != -EEXIST)
                        return error_errno(err, -r, "architectures[%zu] (0x%08x) doesn't go with the others",
                                           i, seccomp->architectures[i]);
        }
        return 0;
}

static size_t names_count(const struct spec_seccomp *seccomp)
{
        size_t n = 0;

        for (size_t i = 0; i < seccomp->n_rules; i++)
                n += seccomp->rules[i].names.n;
        return n;
}

/* ---- the stub ------------------------------------------------------------------------------------------ */

/* The largest number of the profile's calls; X32_BIT is in those of x32.  False where it has none. */
static bool largest_number(const struct spec_seccomp *seccomp, uint32_t arch, uint32_t *ret_number)
{
        int largest = -1;

        for (size_t i = 0; i < seccomp->n_rules; i++)
                for (size_t k = 0; k < seccomp->rules[i].names.n; k++) {
                        int number =
                                seccomp_syscall_resolve_name_arch(arch, seccomp->rules[i].names.items[k]);
                        if (number > largest)
                                largest = number;
                }
        *ret_number = (uint32_t)largest;
        return largest >= 0;
}

struct limits {
        uint32_t audit_arch;
        bool has_plain, has_x32;
        uint32_t plain, x32;
};

struct stub {
        struct limits limits[ARCHITECTURES_MAX];
        size_t n;
};

static void note_architecture(struct stub *stub, const struct spec_seccomp *seccomp, uint32_t arch)
{
        /* But for x32 libseccomp's names for architectures are the kernel's. */
        uint32_t audit_arch = arch == SCMP_ARCH_X32 ? AUDIT_ARCH_X86_64 : arch;
        uint32_t number;
        size_t i = 0;

        while (i < stub->n && stub->limits[i].audit_arch != audit_arch)
                i++;
        if (i == ARCHITECTURES_MAX || !largest_number(seccomp, arch, &number))
                return;
        struct limits *limits = &stub->limits[i];
        if (i == stub->n) {
                *limits = (struct limits){.audit_arch = audit_arch};
                stub->n++;
        }
        if (arch == SCMP_ARCH_X32) {
                limits->has_x32 = true;
                limits->x32 = number;
        } else {
                limits->has_plain = true;
                limits->plain = number;
        }
}

/* Each section ends in three instructions, at which its conditional jumps aim: fall through to the second,
 * which answers, or go on to the third, which leaves for libseccomp's program (the distance comes later). */
static size_t make_section(const struct limits *limits, struct sock_filter section[SECTION_MAX])
{
        const uint32_t number = offsetof(struct seccomp_data, nr);
        struct sock_filter *s = section;

        s++; /* the question for the architecture, once the length is known */
        *s++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, number);
        /* Here "setup" (0) stands for numbers that the kernel doesn't know. */
        if (limits->audit_arch == SCMP_ARCH_S390 || limits->audit_arch == SCMP_ARCH_S390X)
                *s++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
        if (limits->audit_arch == AUDIT_ARCH_X86_64) {
                if (limits->has_plain && limits->has_x32) {
                        *s++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, X32_BIT, 1, 0);
                        *s++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, limits->plain, 1, 2);
                } else {
                        *s++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, X32_BIT,
                                                            limits->has_x32 ? 0 : 2, limits->has_x32 ? 2 : 0);
                }
        }
        *s++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K,
                                            limits->has_x32 ? limits->x32 : limits->plain, 0, 1);
        *s++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
        *s++ = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 0);
        size_t n = (size_t)(s - section);
        section[0] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, limits->audit_arch, 0,
                                                  (uint8_t)(n - 1));
        return n;
}

/* True for a profile that lets pass what it doesn't name; a tracer emulates calls, and can say ENOSYS by
 * itself. */
static bool is_permissive(uint32_t action)
{
        uint32_t kind = action & SECCOMP_RET_ACTION_FULL;

        return kind == SECCOMP_RET_ALLOW || kind == SECCOMP_RET_LOG || kind == SECCOMP_RET_TRACE ||
               action == SCMP_ACT_ERRNO(ENOSYS);
}

static void find_limits(const struct spec_seccomp *seccomp, struct stub *ret_stub)
{
        ret_stub->n = 0;
        if (is_permissive(seccomp->default_action))
                return;
        note_architecture(ret_stub, seccomp, seccomp_arch_native());
        for (size_t i = 0; i < seccomp->n_architectures; i++)
                if (seccomp->architectures[i] != SCMP_ARCH_NATIVE)
                        note_architecture(ret_stub, seccomp, seccomp->architectures[i]);
}

/* Room for the whole stub is before `at`; returns its length. */
static size_t make_stub(const struct stub *stub, struct sock_filter *ret_filter)
{
        size_t n = 0;

        if (stub->n == 0)
                return 0;
        ret_filter[n++] =
                (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
        for (size_t i = 0; i < stub->n; i++)
                n += make_section(&stub->limits[i], ret_filter + n);
        for (size_t i = 0; i < n; i++)
                if (ret_filter[i].code == (BPF_JMP | BPF_JA))
                        ret_filter[i].k = (uint32_t)(n - i - 1);
        return n;
}

/* ---- both together ------------------------------------------------------------------------------------- */

/* libseccomp 2.5 writes to descriptors alone. */
static int export_program(scmp_filter_ctx filter, const struct stub *stub,
                          struct seccomp_program *ret_program, struct error *err)
{
        struct stat st;

        cleanup_fd int fd = memfd_create("seccomp", MFD_CLOEXEC);
        if (fd < 0)
                return error_errno(err, errno, "memory for a seccomp filter");
        int r = seccomp_export_bpf(filter, fd);
        if (r < 0)
                return error_errno(err, -r, "libseccomp makes no program of the rules");
        if (fstat(fd, &st) < 0)
                return error_errno(err, errno, "memory for a seccomp filter");
        size_t made = (size_t)st.st_size / sizeof(struct sock_filter);
        struct sock_filter *program =
                calloc(made + 1 + (size_t)ARCHITECTURES_MAX * SECTION_MAX, sizeof(*program));
        if (!program)
                return error_oom(err);
        size_t n = make_stub(stub, program);
        r = fd_pread_full(fd, program + n, made * sizeof(*program), 0);
        if (r < 0 || n + made > BPF_MAXINSNS) {
                free(program);
                return r < 0 ? error_errno(err, -r, "read a seccomp filter back")
                             : error_set(err, -E2BIG,
                                         "seccomp filter has %zu instructions, the kernel takes %d; make "
                                         "the profile smaller",
                                         n + made, BPF_MAXINSNS);
        }
        ret_program->filter = program;
        ret_program->n = n + made;
        return 0;
}

static int check(const struct spec_seccomp *seccomp, unsigned *ret_flags, struct error *err)
{
        int r = check_notify(seccomp, err);

        if (r == 0)
                r = check_actions(seccomp, err);
        return r < 0 ? r : choose_flags(seccomp, ret_flags, err);
}

int seccomp_program_make(const struct spec_seccomp *seccomp, const struct log *log,
                         struct seccomp_program *ret_program, struct error *err)
{
        struct seccomp_program program = {0};
        struct stub stub;

        int r = check(seccomp, &program.flags, err);
        if (r < 0)
                return r;
        cleanup_filter scmp_filter_ctx filter = seccomp_init(seccomp->default_action);
        if (!filter)
                return error_set(err, -EINVAL, "defaultAction 0x%08x is none that libseccomp takes",
                                 seccomp->default_action);
        r = add_architectures(filter, seccomp, err);
        if (r == 0 && names_count(seccomp) > TREE_MIN)
                seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
        if (r == 0)
                r = add_rules(filter, seccomp, log, err);
        if (r < 0)
                return r;
        find_limits(seccomp, &stub);
        r = export_program(filter, &stub, &program, err);
        if (r < 0)
                return r;
        *ret_program = program;
        return 0;
}
