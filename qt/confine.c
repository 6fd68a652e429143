/* SPDX-License-Identifier: Apache-2.0 */
#include "qt/confine.h"

#include "lib/base/cleanup.h"
#include "lib/sandbox/sandbox.h"

#include <asm/ioctls.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* How the C library makes a thread: with exactly this, so with no namespace. */
#define THREAD_FLAGS                                                                                         \
        (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |   \
         CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

enum { CALLS_MAX = SANDBOX_CALLS_MAX };

/* Reading what is open, computing, printing. */
static const struct sandbox_call calls_of_all[] = {
        {.number = SYS_read},
        {.number = SYS_pread64},
        {.number = SYS_readv},
        {.number = SYS_write},
        {.number = SYS_writev},
        {.number = SYS_lseek},
        {.number = SYS_close},
        {.number = SYS_fstat},
        {.number = SYS_newfstatat},
        {.number = SYS_fcntl},
        /* Is standard output a terminal, and how wide; no other request, such as one that types into it. */
        {.number = SYS_ioctl, .argument = 1, .only_with = TCGETS},
        {.number = SYS_ioctl, .argument = 1, .only_with = TIOCGWINSZ},
        /* Memory. */
        {.number = SYS_mmap},
        {.number = SYS_munmap},
        {.number = SYS_mremap},
        {.number = SYS_mprotect},
        {.number = SYS_madvise},
        {.number = SYS_brk},
        {.number = SYS_sysinfo}, /* qsort(3) asks how much there is */
        /* Threads: two that hash, those that connect. */
        {.number = SYS_clone, .only_with = THREAD_FLAGS},
        {.number = SYS_set_robust_list},
        {.number = SYS_rseq},
        {.number = SYS_futex},
        {.number = SYS_prlimit64},
        {.number = SYS_sched_getaffinity},
        {.number = SYS_sched_yield},
        /* Time, chance, signals, the end. */
        {.number = SYS_clock_gettime},
        {.number = SYS_clock_nanosleep},
        {.number = SYS_restart_syscall},
        {.number = SYS_getrandom},
        {.number = SYS_rt_sigaction},
        {.number = SYS_rt_sigprocmask},
        {.number = SYS_rt_sigreturn},
        {.number = SYS_getpid},
        {.number = SYS_gettid},
        {.number = SYS_geteuid},
        {.number = SYS_tgkill},
        {.number = SYS_exit},
        {.number = SYS_exit_group},
};

/* Asking supervisors, carrying bytes, and keeping the registry clean. */
static const struct sandbox_call calls_of_clients[] = {
        {.number = SYS_socket, .only_with = AF_UNIX},
        {.number = SYS_socket, .only_with = AF_VSOCK},
        {.number = SYS_socketpair, .only_with = AF_UNIX},
        {.number = SYS_connect},
        {.number = SYS_accept4}, /* forward: of sockets that listen already */
        {.number = SYS_recvfrom},
        {.number = SYS_recvmsg},
        {.number = SYS_sendto},
        {.number = SYS_sendmsg},
        {.number = SYS_shutdown},
        {.number = SYS_getsockopt},
        {.number = SYS_setsockopt},
        {.number = SYS_getsockname},
        {.number = SYS_getpeername},
        {.number = SYS_splice},
        {.number = SYS_pipe2},
        {.number = SYS_ppoll},
        {.number = SYS_epoll_create1},
        {.number = SYS_epoll_pwait},
        {.number = SYS_epoll_ctl},
        {.number = SYS_eventfd2},
        {.number = SYS_signalfd4},
        {.number = SYS_timerfd_create},
        {.number = SYS_timerfd_settime},
        {.number = SYS_pidfd_open}, /* to see a supervisor's end */
        {.number = SYS_openat},
        {.number = SYS_faccessat},
        {.number = SYS_faccessat2},
        {.number = SYS_getdents64},
        {.number = SYS_mkdirat},
        {.number = SYS_renameat},
        {.number = SYS_renameat2},
        {.number = SYS_unlinkat},
        {.number = SYS_pwrite64},
        {.number = SYS_fsync},
        {.number = SYS_flock},
        {.number = SYS_fchmod},
        {.number = SYS_umask},
#ifdef __x86_64__
        {.number = SYS_poll},
        {.number = SYS_epoll_wait},
        {.number = SYS_mkdir}, /* of folders that are there */
        {.number = SYS_rename},
        {.number = SYS_unlink},
        {.number = SYS_access},
#endif
};

static int tell(int r, struct error *err)
{
        if (r == 0 || sandbox_is_lacking(r))
                return 0;
        return error_errno(err, -r, "cannot give up what this command does not need");
}

int confine_to_open_files(struct error *err)
{
        const struct sandbox_path paths[] = {
                {.path = "/etc/ssl"}, /* OpenSSL reads its configuration when it is first used */
                {.path = "/usr/lib/ssl"},
        };
        struct sandbox_call calls[CALLS_MAX];
        size_t n = 0;
        int r = sandbox_restrict_files(paths, ARRAY_SIZE(paths));

        for (size_t i = 0; i < ARRAY_SIZE(calls_of_all); i++)
                calls[n++] = calls_of_all[i];
        calls[n++] = (struct sandbox_call){.number = SYS_openat};
        return tell(r < 0 && !sandbox_is_lacking(r) ? r : sandbox_allow_calls(calls, n), err);
}

int confine_client(const char *state_dir, struct error *err)
{
        const struct sandbox_path paths[] = {
                {.path = state_dir, .manage = true},
                {.path = "/proc/self"}, /* sockets are named by the descriptors of their folders */
        };
        struct sandbox_call calls[CALLS_MAX];
        size_t n = 0;
        int r = sandbox_restrict_files(paths, ARRAY_SIZE(paths));

        for (size_t i = 0; i < ARRAY_SIZE(calls_of_all); i++)
                calls[n++] = calls_of_all[i];
        for (size_t i = 0; i < ARRAY_SIZE(calls_of_clients); i++)
                calls[n++] = calls_of_clients[i];
        return tell(r < 0 && !sandbox_is_lacking(r) ? r : sandbox_allow_calls(calls, n), err);
}

int confine_builder(int target_dirfd, struct error *err)
{
        const char *temporary = getenv("TMPDIR");
        const struct sandbox_path paths[] = {
                {.fd = target_dirfd, .manage = true},
                {.path = temporary && *temporary ? temporary : "/var/tmp", .manage = true},
                {.path = "/dev",
                 .write = true}, /* the terminal, /dev/null; what else is there its modes say */
        };
        int r = sandbox_restrict_writes(paths, ARRAY_SIZE(paths));

        return tell(r < 0 && !sandbox_is_lacking(r) ? r : sandbox_deny_kernel_calls(), err);
}
