/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process-child.c - what a process gives up and takes on before its program runs.
 *
 * The order is the kernel's.  The bounding set can be cut while CAP_SETPCAP is there; ids change next, with
 * the permitted set kept over it; then all sets at once, and ambient capabilities last, which must be in two
 * of them.  A seccomp filter needs no_new_privs or CAP_SYS_ADMIN: where the process is to be without the
 * first, it is loaded while we have the second, and is then in force for the rest of this.
 */
#include "guest/process-child.h"

#include "lib/base/fd.h"
#include "lib/base/path.h"

#include "guest/identity.h"
#include "guest/program.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

enum { CAPABILITIES_MAX = 64 };

/* Of service_process.capabilities. */
enum { BOUNDING, EFFECTIVE, INHERITABLE, PERMITTED, AMBIENT };

void process_child_reset(void)
{
        struct sigaction action = {.sa_handler = SIG_DFL};
        sigset_t none;

        for (int i = 1; i < NSIG; i++)
                sigaction(i, &action, NULL);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        setsid();
}

int process_child_oom_score(const struct service_process *process, pid_t pid, struct failure *f)
{
        char path[64] = "/proc/self/oom_score_adj";
        char text[16];

        if (!process->has_oom_score)
                return 0;
        if (pid > 0)
                (void)snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
        cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
        int n = snprintf(text, sizeof(text), "%d", process->oom_score);
        if (fd < 0 || write(fd, text, (size_t)n) != n)
                return failure_set(f, errno, path, "set the out-of-memory score %s", text);
        return 0;
}

/* The streams become the user's, so that it may open /dev/stdout and the like. */
static int take_stdio(const struct service_process *process, const int stdio[3], struct failure *f)
{
        for (int i = 0; i < 3; i++) {
                if (dup2(stdio[i], i) < 0)
                        return failure_set(f, errno, NULL, "take standard stream %d", i);
                if (fchown(i, process->uid, (gid_t)-1) < 0)
                        return failure_set(f, errno, NULL, "give standard stream %d to user %u", i,
                                           process->uid);
        }
        if (process->terminal && ioctl(STDIN_FILENO, TIOCSCTTY, 0) < 0)
                return failure_set(f, errno, NULL, "make the terminal the controlling one");
        return 0;
}

static int set_limits(const struct service_process *process, struct failure *f)
{
        for (size_t i = 0; i < process->n_limits; i++) {
                const struct service_limit *limit = &process->limits[i];
                const struct rlimit value = {.rlim_cur = limit->soft, .rlim_max = limit->hard};
                if (setrlimit((int)limit->resource, &value) < 0)
                        return failure_set(f, errno, NULL, "set limit %u to %llu, at most %llu",
                                           limit->resource, (unsigned long long)limit->soft,
                                           (unsigned long long)limit->hard);
        }
        return 0;
}

static int cut_bounding_set(const struct service_process *process, struct failure *f)
{
        for (int i = 0; i < CAPABILITIES_MAX; i++) {
                if (process->capabilities[BOUNDING] & UINT64_C(1) << i ||
                    prctl(PR_CAPBSET_DROP, i, 0, 0, 0) == 0)
                        continue;
                int errnum = errno;
                int held = prctl(PR_CAPBSET_READ, i, 0, 0, 0);
                if (held < 0)
                        return 0; /* this kernel's last capability is behind us */
                if (held)
                        return failure_set(f, errnum, NULL, "drop capability %d", i);
        }
        return 0;
}

static int become_user(const struct service_process *process, struct failure *f)
{
        if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
                return failure_set(f, errno, NULL, "keep capabilities");
        /* glibc's and musl's gid_t is the protocol's uint32_t. */
        return identity_take_on(process->uid, process->gid, process->groups, process->n_groups, f);
}

/* What can't be granted, as a capability that this kernel doesn't know, is left out, as for any container. */
static int set_capabilities(const struct service_process *process, struct failure *f)
{
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

        if (syscall(SYS_capget, &header, data) < 0)
                return failure_set(f, errno, NULL, "read the capabilities");
        for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
                uint32_t permitted =
                        data[i].permitted & (uint32_t)(process->capabilities[PERMITTED] >> 32 * i);
                data[i].effective = (uint32_t)(process->capabilities[EFFECTIVE] >> 32 * i) & permitted;
                data[i].inheritable =
                        (uint32_t)(process->capabilities[INHERITABLE] >> 32 * i) & data[i].permitted;
                data[i].permitted = permitted;
        }
        if (syscall(SYS_capset, &header, data) < 0)
                return failure_set(f, errno, NULL, "set the capabilities");
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        for (unsigned long i = 0; i < CAPABILITIES_MAX; i++) {
                if (process->capabilities[AMBIENT] & UINT64_C(1) << i &&
                    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0)
                        return failure_set(f, errno, NULL, "make capability %lu ambient", i);
        }
        return 0;
}

static int load_filter(const struct service_process *process, struct failure *f)
{
        const struct sock_fprog program = {.len = (unsigned short)process->n_filter,
                                           .filter = process->filter};

        if (process->has_filter &&
            syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, process->filter_flags, &program) < 0)
                return failure_set(f, errno, NULL, "load the seccomp filter of %zu instructions",
                                   process->n_filter);
        return 0;
}

static int restrict_rights(const struct service_process *process, struct failure *f)
{
        int r = process->no_new_privileges ? 0 : load_filter(process, f);

        if (r == 0)
                r = cut_bounding_set(process, f);
        if (r == 0)
                r = become_user(process, f);
        if (r == 0)
                r = set_capabilities(process, f);
        if (r == 0 && process->no_new_privileges) {
                if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                        return failure_set(f, errno, NULL, "set no_new_privs");
                r = load_filter(process, f);
        }
        return r;
}

/* execve() writes to neither strings nor array; its prototype is older than const. */
static char *const *as_vector(const char **strings)
{
        static char *const none[] = {NULL};
        const union {
                const char **given;
                char *const *wanted;
        } vector = {.given = strings};

        return strings ? vector.wanted : none;
}

void process_child_run(const struct service_process *process, const int stdio[3], struct failure *f)
{
        path_make_dirs(process->cwd, 0755, NULL); /* what fails here fails below, which says why */
        if (take_stdio(process, stdio, f) < 0 || set_limits(process, f) < 0)
                return;
        umask((mode_t)process->umask);
        /* A folder that only root may enter, as engines make them for the user, and one that only the user
         * may: both have to do. */
        bool entered = chdir(process->cwd) == 0;
        if (restrict_rights(process, f) < 0)
                return;
        if (!entered && chdir(process->cwd) < 0) {
                failure_set(f, errno, process->cwd, "enter the working folder");
                return;
        }
        program_execute(as_vector(process->argv), as_vector(process->env), f);
}
