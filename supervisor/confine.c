/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/confine.h"

#include "lib/base/cleanup.h"
#include "lib/sandbox/sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* Whatever isn't here, execve and fork first of all, fails.  What both architectures don't have is left
 * out by the C library's own choice of calls. */
static const struct sandbox_call calls[] = {
        /* The loop: what is ready, timers, wake-ups, signals that are read. */
        {.number = SYS_epoll_pwait},
        {.number = SYS_epoll_ctl},
        {.number = SYS_ppoll},
        {.number = SYS_timerfd_create},
        {.number = SYS_timerfd_settime},
        {.number = SYS_eventfd2},
        {.number = SYS_clock_gettime},
        {.number = SYS_clock_nanosleep},
        {.number = SYS_restart_syscall}, /* a wait that SIGSTOP had interrupted */
        /* Streams: clients, guests, QEMU, the starter; and files. */
        {.number = SYS_read},
        {.number = SYS_readv},
        {.number = SYS_write},
        {.number = SYS_writev},
        {.number = SYS_pread64},
        {.number = SYS_pwrite64},
        {.number = SYS_recvfrom},
        {.number = SYS_recvmsg},
        {.number = SYS_sendto},
        {.number = SYS_sendmsg},
        {.number = SYS_accept4},
        {.number = SYS_shutdown},
        {.number = SYS_getsockopt}, /* who a client is */
        {.number = SYS_setsockopt},
        {.number = SYS_getsockname},
        {.number = SYS_getpeername},
        {.number = SYS_close},
        {.number = SYS_fcntl},
        /* Unix sockets alone, none of a network: a guest that dials a port leads to one; a stream of a
         * guest's is a pair of them.  Bound and listened on is the heartbeat's port of Nitro, by a socket
         * of before. */
        {.number = SYS_socket, .only_with = AF_UNIX},
        {.number = SYS_socketpair, .only_with = AF_UNIX},
        {.number = SYS_connect},
        {.number = SYS_bind},
        {.number = SYS_listen},
        /* The registry: a state is written under another name and renamed; an entry is removed. Which
         * files that can be is Landlock's to say. */
        {.number = SYS_openat},
        {.number = SYS_newfstatat},
        {.number = SYS_fstat},
        {.number = SYS_lseek},
        {.number = SYS_faccessat},
        {.number = SYS_faccessat2},
        {.number = SYS_getdents64},
        {.number = SYS_mkdirat},
        {.number = SYS_renameat},
        {.number = SYS_renameat2},
        {.number = SYS_unlinkat},
        {.number = SYS_fsync},
        {.number = SYS_fdatasync},
        {.number = SYS_flock},
        {.number = SYS_ftruncate},
        {.number = SYS_fchmod},
        {.number = SYS_getrandom}, /* temporary names */
        {.number = SYS_umask},
        /* The machine: ended, waited for. */
        {.number = SYS_kill},
        {.number = SYS_pidfd_send_signal},
        {.number = SYS_wait4},
        {.number = SYS_waitid},
        /* Memory: the guest's, which QEMU may hand over anew, and our own. */
        {.number = SYS_mmap},
        {.number = SYS_munmap},
        {.number = SYS_mremap},
        {.number = SYS_mprotect},
        {.number = SYS_madvise},
        {.number = SYS_brk},
        /* Itself. */
        {.number = SYS_futex},
        {.number = SYS_getpid},
        {.number = SYS_gettid},
        {.number = SYS_geteuid},
        {.number = SYS_getuid},
        {.number = SYS_prlimit64},
        {.number = SYS_rt_sigaction},
        {.number = SYS_rt_sigprocmask},
        {.number = SYS_rt_sigreturn},
        {.number = SYS_tgkill}, /* abort(3) */
        {.number = SYS_exit},
        {.number = SYS_exit_group},
#ifdef __x86_64__
        /* The same by older names. */
        {.number = SYS_epoll_wait},
        {.number = SYS_poll},
        {.number = SYS_rename},
        {.number = SYS_unlink},
        {.number = SYS_access},
#endif
};

int confine_supervisor(const char *state_dir)
{
        const struct sandbox_path paths[] = {
                {.path = state_dir, .manage = true}, /* its entry; records of how enclaves ended */
                {.path = "/proc/self"}, /* sockets are named by the descriptors of their folders */
        };
        /* First: finding them may take what is given up then. */
        int r = sandbox_restrict_files(paths, ARRAY_SIZE(paths));

        if (r == 0 || sandbox_is_lacking(r))
                r = sandbox_keep_capabilities(UINT64_C(1) << CAP_KILL); /* for a machine of another user */
        if (r == 0)
                r = sandbox_allow_calls(calls, ARRAY_SIZE(calls));
        return sandbox_is_lacking(r) ? 0 : r;
}
