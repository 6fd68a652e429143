/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/clone-shared.h"

#include <errno.h>
#include <sched.h>
#include <sys/syscall.h>

#if defined(__x86_64__)

/* The kernel keeps all registers but rax, rcx and r11; the child's rsp is the end of the new stack. */
static long clone3_and_call(struct clone_args *args, size_t size, int (*run)(void *user), void *user)
{
        long result = SYS_clone3;

        __asm__ volatile("syscall\n\t"
                         "test %%rax, %%rax\n\t"
                         "jnz 1f\n\t"
                         "xor %%ebp, %%ebp\n\t" /* the outermost frame */
                         "mov %[user], %%rdi\n\t"
                         "call *%[run]\n\t"
                         "hlt\n"
                         "1:"
                         : "+a"(result)
                         : "D"(args), "S"(size), [run] "r"(run), [user] "r"(user)
                         : "rcx", "r11", "memory", "cc");
        return result;
}

#elif defined(__aarch64__)

/* The kernel keeps all registers but x0; in the child it sets sp to the end of the new stack. */
static long clone3_and_call(struct clone_args *args, size_t size, int (*run)(void *user), void *user)
{
        register long x0 __asm__("x0") = (long)args;
        register long x1 __asm__("x1") = (long)size;
        register long x8 __asm__("x8") = SYS_clone3;

        __asm__ volatile("svc #0\n\t"
                         "cbnz x0, 1f\n\t"
                         "mov x29, xzr\n\t" /* the outermost frame */
                         "mov x0, %[user]\n\t"
                         "blr %[run]\n\t"
                         "brk #0\n"
                         "1:"
                         : "+r"(x0)
                         : "r"(x1), "r"(x8), [run] "r"(run), [user] "r"(user)
                         : "memory", "cc");
        return x0;
}

#else

static long clone3_and_call(struct clone_args *args, size_t size, int (*run)(void *user), void *user)
{
        (void)args, (void)size, (void)run, (void)user;
        return -ENOSYS;
}

#endif

pid_t clone_shared(struct clone_args *args, int (*run)(void *user), void *user)
{
        args->flags |= CLONE_VM | CLONE_VFORK;
        return (pid_t)clone3_and_call(args, sizeof(*args), run, user);
}
