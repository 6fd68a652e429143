/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sandbox/sandbox.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
/* The x32 numbers name the same calls a second time. */
#define NUMBERS_END 0x40000000u
#elif defined(__aarch64__)
#define OUR_ARCH    AUDIT_ARCH_AARCH64
#define NUMBERS_END UINT32_MAX
#else
#error "which audit architecture is this?"
#endif

/* What a machine has of them it was given. */
static const unsigned sockets[] = {SYS_socket, SYS_connect, SYS_bind, SYS_listen};

static const unsigned denied[] = {
        /* Other processes. */
        SYS_ptrace,
        SYS_process_vm_readv,
        SYS_process_vm_writev,
        SYS_pidfd_getfd,
        SYS_kcmp,
        /* Parts of the kernel with a history. */
        SYS_bpf,
        SYS_io_uring_setup,
        SYS_perf_event_open,
        SYS_userfaultfd,
        SYS_keyctl,
        SYS_add_key,
        SYS_request_key,
        /* What is mounted where, and whose namespaces these are. */
        SYS_unshare,
        SYS_setns,
        SYS_mount,
        SYS_umount2,
        SYS_move_mount,
        SYS_open_tree,
        SYS_fsopen,
        SYS_fspick,
        SYS_fsmount,
        SYS_mount_setattr,
        SYS_pivot_root,
        SYS_chroot,
        SYS_open_by_handle_at,
        /* The machine itself. */
        SYS_init_module,
        SYS_finit_module,
        SYS_delete_module,
        SYS_kexec_load,
        SYS_kexec_file_load,
        SYS_reboot,
        SYS_swapon,
        SYS_swapoff,
        SYS_settimeofday,
        SYS_clock_settime,
        SYS_adjtimex,
        SYS_clock_adjtime,
};

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ADDRESS_SANITIZER
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define WITH_ADDRESS_SANITIZER
#endif

/* Namespaces that clone(2) would make. */
static const uint32_t new_namespaces = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                                       CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP;

enum { RULE_MAX = 5, RULES_MAX = 8 + SANDBOX_CALLS_MAX * RULE_MAX };

/* A filter as it grows.  Each rule goes through to the next where it doesn't apply, with the call's number
 * in the accumulator, so that no jump is longer than its rule. */
struct rules {
        struct sock_filter code[RULES_MAX];
        unsigned short n;
};

static void add(struct rules *rules, struct sock_filter instruction)
{
        rules->code[rules->n++] = instruction;
}

static void add_number(struct rules *rules)
{
        add(rules, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
}

static void add_return(struct rules *rules, uint32_t result)
{
        add(rules, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, result));
}

/* Other architectures' calls have other numbers. */
static void begin(struct rules *rules)
{
        rules->n = 0;
        add(rules,
            (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)));
        add(rules, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCH, 1, 0));
        add_return(rules, SECCOMP_RET_ERRNO | EPERM);
        add_number(rules);
        add(rules, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, NUMBERS_END, 0, 1));
        add_return(rules, SECCOMP_RET_ERRNO | EPERM);
}

/* The call has this result. */
static void add_rule(struct rules *rules, unsigned number, uint32_t result)
{
        add(rules, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1));
        add_return(rules, result);
}

/* The call has this result where its first argument, as a 32-bit number, passes a test that ends in a
 * jump. */
static void add_rule_with_argument(struct rules *rules, unsigned number, unsigned argument,
                                   struct sock_filter test, uint32_t result)
{
        add(rules, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 4));
        add(rules, (struct sock_filter)BPF_STMT(
                           BPF_LD | BPF_W | BPF_ABS,
                           (uint32_t)(offsetof(struct seccomp_data, args) + argument * sizeof(uint64_t))));
        add(rules, test);
        add_return(rules, result);
        add_number(rules);
}

static int install(struct rules *rules)
{
        const struct sock_fprog filter = {.len = rules->n, .filter = rules->code};

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
        long r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter);
        if (r > 0)
                return -EBUSY; /* a thread that has other filters than we */
        return r < 0 ? -errno : 0;
}

static void begin_denied(struct rules *rules)
{
        begin(rules);
        for (size_t i = 0; i < ARRAY_SIZE(denied); i++)
                add_rule(rules, denied[i], SECCOMP_RET_ERRNO | EPERM);
        /* Its arguments are in memory, out of a filter's sight. */
        add_rule(rules, SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);
        add_rule_with_argument(rules, SYS_clone, 0,
                               (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, new_namespaces, 0, 1),
                               SECCOMP_RET_ERRNO | EPERM);
}

int sandbox_deny_kernel_calls(void)
{
        struct rules rules;

        begin_denied(&rules);
        add_return(&rules, SECCOMP_RET_ALLOW);
        return install(&rules);
}

int sandbox_deny_calls(void)
{
        struct rules rules;

        begin_denied(&rules);
        for (size_t i = 0; i < ARRAY_SIZE(sockets); i++)
                add_rule(&rules, sockets[i], SECCOMP_RET_ERRNO | EPERM);
        add_return(&rules, SECCOMP_RET_ALLOW);
        return install(&rules);
}

int sandbox_allow_calls(const struct sandbox_call *calls, size_t n)
{
        struct rules rules;

        if (n > SANDBOX_CALLS_MAX)
                return -E2BIG;
        begin(&rules);
        for (size_t i = 0; i < n; i++) {
                if (calls[i].only_with == 0)
                        add_rule(&rules, calls[i].number, SECCOMP_RET_ALLOW);
                else
                        add_rule_with_argument(&rules, calls[i].number, calls[i].argument,
                                               (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
                                                                            calls[i].only_with, 0, 1),
                                               SECCOMP_RET_ALLOW);
        }
#ifdef WITH_ADDRESS_SANITIZER
        add_rule(&rules, SYS_sigaltstack, SECCOMP_RET_ALLOW); /* where a thread begins and where it ends */
#endif
        add_rule(&rules, SYS_clone3, SECCOMP_RET_ERRNO | ENOSYS);
        add_return(&rules, SECCOMP_RET_ERRNO | EPERM);
        return install(&rules);
}

bool sandbox_is_lacking(int r)
{
        return r == -ENOSYS || r == -EOPNOTSUPP || r == -EINVAL;
}
