/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sandbox/sandbox.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
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

static const unsigned denied[] = {
        SYS_socket,           SYS_connect,           SYS_bind,        SYS_listen, SYS_ptrace,
        SYS_process_vm_readv, SYS_process_vm_writev, SYS_pidfd_getfd, SYS_kcmp,   SYS_bpf,
        SYS_io_uring_setup,   SYS_perf_event_open,   SYS_userfaultfd, SYS_keyctl, SYS_add_key,
        SYS_request_key,      SYS_unshare,           SYS_setns,       SYS_mount,  SYS_open_by_handle_at,
};

enum { PROLOGUE = 4, EPILOGUE = 2, LENGTH = PROLOGUE + (int)ARRAY_SIZE(denied) + EPILOGUE };

/* architecture and number, then a comparison for each call, then "allowed" and "denied", the goal of all
 * jumps. */
int sandbox_deny_calls(void)
{
        struct sock_filter program[LENGTH] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCH, 0, LENGTH - 1 - 2),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, NUMBERS_END, LENGTH - 1 - 4, 0),
        };
        const struct sock_fprog filter = {.len = LENGTH, .filter = program};

        for (unsigned i = 0; i < ARRAY_SIZE(denied); i++) {
                unsigned at = PROLOGUE + i;
                program[at] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, denied[i],
                                                           (uint8_t)(LENGTH - 1 - (at + 1)), 0);
        }
        program[LENGTH - 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        program[LENGTH - 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
        return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) < 0 ? -errno : 0;
}
