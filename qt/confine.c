/* SPDX-License-Identifier: Apache-2.0 */
#include "qt/confine.h"

#include "lib/base/cleanup.h"
#include "lib/sandbox/sandbox.h"

#include <asm/ioctls.h>
#include <linux/capability.h>
#include <linux/vhost.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* How the C library makes a thread: with exactly this, so with no namespace. */
#define THREAD_FLAGS                                                                                         \
        (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |   \
         CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

enum { CALLS_MAX = SANDBOX_CALLS_MAX, READABLE_MAX = 4 };

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

/* Beside what clients do, a start: of a supervisor that runs already and is told. */
static const struct sandbox_call calls_of_start[] = {
        {.number = SYS_memfd_create}, /* what the supervisor is told */
        {.number = SYS_fallocate},    /* the copy's memory is given back */
        {.number = SYS_wait4},        /* for the supervisor's launcher */
        /* Claims the CID; no other request of this device, nor of any other. */
        {.number = SYS_ioctl, .argument = 1, .only_with = (uint32_t)VHOST_VSOCK_SET_GUEST_CID},
};

/* Writing a file anew and putting it into its place. */
static const struct sandbox_call calls_of_signer[] = {
        {.number = SYS_openat},
        {.number = SYS_pwrite64},
        {.number = SYS_fsync},
        {.number = SYS_sync_file_range},
        {.number = SYS_renameat},
        {.number = SYS_renameat2},
        {.number = SYS_unlinkat},
        {.number = SYS_prctl, .only_with = PR_SET_DUMPABLE}, /* a private key is read */
        {.number = SYS_rt_sigtimedwait}, /* Ctrl-C, by a thread that then removes what was begun */
};

/* A list of calls as it is put together. */
struct calls {
        struct sandbox_call list[CALLS_MAX];
        size_t n;
};

static void add_calls(struct calls *calls, const struct sandbox_call *more, size_t n)
{
        for (size_t i = 0; i < n && calls->n < CALLS_MAX; i++)
                calls->list[calls->n++] = more[i];
}

static int tell(int r, struct error *err)
{
        if (r == 0 || sandbox_is_lacking(r))
                return 0;
        return error_errno(err, -r, "cannot give up what this command does not need");
}

/* Gives up files but `paths`, then capabilities, which may be what leads to those, and calls but `calls`, as
 * far as the kernel knows how. */
static int confine_to(const struct sandbox_path *paths, size_t n_paths, const struct calls *calls,
                      uint64_t capabilities, struct error *err)
{
        int r = sandbox_restrict_files(paths, n_paths);

        if (r == 0 || sandbox_is_lacking(r))
                r = sandbox_keep_capabilities(capabilities);
        if (r == 0)
                r = sandbox_allow_calls(calls->list, calls->n);
        return tell(r, err);
}

int confine_to_open_files(struct error *err)
{
        static const struct sandbox_call opening = {.number = SYS_openat};
        const struct sandbox_path paths[] = {
                {.path = "/etc/ssl"}, /* OpenSSL reads its configuration when it is first used */
                {.path = "/usr/lib/ssl"},
        };
        struct calls calls = {.n = 0};

        add_calls(&calls, calls_of_all, ARRAY_SIZE(calls_of_all));
        add_calls(&calls, &opening, 1);
        return confine_to(paths, ARRAY_SIZE(paths), &calls, 0, err);
}

int confine_client(const char *state_dir, struct error *err)
{
        const struct sandbox_path paths[] = {
                {.path = state_dir, .manage = true},
                {.path = "/proc/self"}, /* sockets are named by the descriptors of their folders */
        };
        /* Of root: forward dials by a path, and that may lead through a folder of somebody else's. */
        const uint64_t capabilities = UINT64_C(1) << CAP_DAC_READ_SEARCH;
        struct calls calls = {.n = 0};

        add_calls(&calls, calls_of_all, ARRAY_SIZE(calls_of_all));
        add_calls(&calls, calls_of_clients, ARRAY_SIZE(calls_of_clients));
        return confine_to(paths, ARRAY_SIZE(paths), &calls, capabilities, err);
}

int confine_starter(const char *state_dir, struct error *err)
{
        const struct sandbox_path paths[] = {
                {.path = state_dir, .manage = true},
                {.path = "/proc/self"}, /* sockets are named by the descriptors of their folders */
                {.path = "/etc/ssl"},   /* OpenSSL reads its configuration when it is first used */
                {.path = "/usr/lib/ssl"},
                {.path = "/dev/vhost-vsock", .write = true}, /* where the image can do with it */
        };
        struct calls calls = {.n = 0};

        add_calls(&calls, calls_of_all, ARRAY_SIZE(calls_of_all));
        add_calls(&calls, calls_of_clients, ARRAY_SIZE(calls_of_clients));
        add_calls(&calls, calls_of_start, ARRAY_SIZE(calls_of_start));
        return confine_to(paths, ARRAY_SIZE(paths), &calls, 0, err);
}

int confine_signer(int target_dirfd, const char *const *readable, size_t n_readable, struct error *err)
{
        /* Of root: to read what is others', and to replace a file of theirs. */
        const uint64_t capabilities = UINT64_C(1) << CAP_DAC_OVERRIDE | UINT64_C(1) << CAP_FOWNER;
        struct sandbox_path paths[READABLE_MAX + 3] = {
                {.fd = target_dirfd, .manage = true},
                {.path = "/etc/ssl"}, /* OpenSSL reads its configuration when it is first used */
                {.path = "/usr/lib/ssl"},
        };
        struct calls calls = {.n = 0};
        size_t n = 3;

        for (size_t i = 0; i < n_readable && i < READABLE_MAX; i++) {
                if (readable[i])
                        paths[n++] = (struct sandbox_path){.path = readable[i]};
        }
        add_calls(&calls, calls_of_all, ARRAY_SIZE(calls_of_all));
        add_calls(&calls, calls_of_signer, ARRAY_SIZE(calls_of_signer));
        return confine_to(paths, n, &calls, capabilities, err);
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
