/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.  A seccomp filter sees a call's number and arguments, not what pointers lead to.  So
 * every call that names a file comes to us, and where it names another one, which is nearly always, it is
 * handed back.  What can be told by a number is told here: the ioctls of the driver, sockets of the family
 * AF_VSOCK, fstat() in its modern form.
 *
 * The program is a row of rules: number, then at most one condition on the low half of one argument.
 */
#include "ne-emulator/filter.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/mman.h>
#include <linux/nitro_enclaves.h>
#include <linux/seccomp.h>
#include <linux/vm_sockets.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define FILTER_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define FILTER_ARCH AUDIT_ARCH_AARCH64
#else
#error "the emulator knows the calls of x86_64 and aarch64"
#endif

enum condition {
        ALWAYS,
        EQUALS,   /* the argument is the value */
        HAS,      /* it has one of the value's bits */
        HAS_NONE, /* it has none of them */
};

struct rule {
        int nr;
        enum condition condition;
        unsigned argument;
        uint32_t value;
};

static const struct rule rules[] = {
        {SYS_openat, ALWAYS, 0, 0},
        {SYS_openat2, ALWAYS, 0, 0},
        {SYS_newfstatat, HAS_NONE, 3, AT_EMPTY_PATH},
        {SYS_statx, HAS_NONE, 2, AT_EMPTY_PATH},
        {SYS_faccessat, ALWAYS, 0, 0},
        {SYS_faccessat2, ALWAYS, 0, 0},
        {SYS_readlinkat, ALWAYS, 0, 0},
        {SYS_getxattr, ALWAYS, 0, 0},
        {SYS_lgetxattr, ALWAYS, 0, 0},
#ifdef SYS_open
        {SYS_open, ALWAYS, 0, 0},
        {SYS_stat, ALWAYS, 0, 0},
        {SYS_lstat, ALWAYS, 0, 0},
        {SYS_access, ALWAYS, 0, 0},
        {SYS_readlink, ALWAYS, 0, 0},
#endif
        {SYS_ioctl, EQUALS, 1, (uint32_t)NE_CREATE_VM},
        {SYS_ioctl, EQUALS, 1, (uint32_t)NE_ADD_VCPU},
        {SYS_ioctl, EQUALS, 1, (uint32_t)NE_GET_IMAGE_LOAD_INFO},
        {SYS_ioctl, EQUALS, 1, (uint32_t)NE_SET_USER_MEMORY_REGION},
        {SYS_ioctl, EQUALS, 1, (uint32_t)NE_START_ENCLAVE},
        {SYS_ioctl, EQUALS, 1, (uint32_t)IOCTL_VM_SOCKETS_GET_LOCAL_CID},
        {SYS_socket, EQUALS, 0, AF_VSOCK},
        {SYS_bind, ALWAYS, 0, 0},
        {SYS_listen, ALWAYS, 0, 0},
        {SYS_connect, ALWAYS, 0, 0},
        {SYS_accept, ALWAYS, 0, 0},
        {SYS_accept4, ALWAYS, 0, 0},
        {SYS_getsockname, ALWAYS, 0, 0},
        {SYS_getpeername, ALWAYS, 0, 0},
        {SYS_getsockopt, EQUALS, 1, AF_VSOCK},
        {SYS_getsockopt, EQUALS, 2, SO_DOMAIN},
        {SYS_setsockopt, EQUALS, 1, AF_VSOCK},
};

static const struct rule huge_pages_rule = {SYS_mmap, HAS, 3, MAP_HUGETLB};

enum { RULE_LENGTH = 5, PROGRAM_MAX = 8 + RULE_LENGTH * (ARRAY_SIZE(rules) + 1) };

struct program {
        struct sock_filter code[PROGRAM_MAX];
        unsigned short n;
};

static void add(struct program *program, struct sock_filter instruction)
{
        program->code[program->n++] = instruction;
}

/* The number is in the accumulator before and after. */
static void add_rule(struct program *program, const struct rule *rule)
{
        const size_t argument = offsetof(struct seccomp_data, args) + rule->argument * sizeof(uint64_t);
        const struct sock_filter notify = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);

        if (rule->condition == ALWAYS) {
                add(program,
                    (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)rule->nr, 0, 1));
                add(program, notify);
                return;
        }
        add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)rule->nr, 0, 4));
        add(program, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)argument));
        add(program, (struct sock_filter)BPF_JUMP(
                             BPF_JMP | (rule->condition == EQUALS ? BPF_JEQ : BPF_JSET) | BPF_K, rule->value,
                             rule->condition == HAS_NONE, rule->condition != HAS_NONE));
        add(program, notify);
        add(program,
            (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
}

static void build(struct program *program, bool huge_pages)
{
        add(program,
            (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)));
        add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FILTER_ARCH, 1, 0));
        add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
        add(program,
            (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
        for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
                add_rule(program, &rules[i]);
        if (huge_pages)
                add_rule(program, &huge_pages_rule);
        add(program, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
}

int filter_install(bool huge_pages, int *ret_listener)
{
        struct program program = {.n = 0};

        build(&program, huge_pages);
        const struct sock_fprog bpf = {.len = program.n, .filter = program.code};
        long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &bpf);
        if (fd < 0 && errno == EACCES) {
                if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                        return -errno;
                fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &bpf);
        }
        if (fd < 0)
                return -errno;
        *ret_listener = (int)fd;
        return 0;
}
