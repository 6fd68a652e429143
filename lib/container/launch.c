/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/launch.h"

#include "lib/base/fd.h"
#include "lib/base/text.h"
#include "lib/container/clone-shared.h"
#include "lib/container/memory-image.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_STACK_SIZE = 32 * 1024 };

/* Not filled with zeros, as variables otherwise are: that would touch each of its pages. */
#define CHILD_STACK __attribute__((aligned(16), uninitialized)) uint8_t

/* Its name is what ps shows before the payload runs, and what /proc/<pid>/exe says. */
#define INIT_NAME "container-init"

/* ---- the clone ----------------------------------------------------------------------------------------- */

struct birth {
        const struct launch *launch;
        int image_fd;
        char *argv[3];
        char *no_env[1];
};

/* In the child, with our memory: calls the kernel and touches nothing but *failure. */
static int run_child(void *user)
{
        const struct birth *birth = user;
        const struct launch *launch = birth->launch;
        sigset_t none;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        (void)fcntl(launch->arena_fd, F_SETFD, 0);
        for (size_t i = 0; i < launch->n_fds; i++)
                if (launch->fds[i] >= 0)
                        (void)fcntl(launch->fds[i], F_SETFD, 0);
        sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        (void)syscall(SYS_execveat, birth->image_fd, "", birth->argv,
                      launch->env ? launch->env : birth->no_env, AT_EMPTY_PATH);
        *launch->failure = errno;
        _exit(127);
}

static pid_t clone_into_cgroup(struct birth *birth)
{
        CHILD_STACK stack[CHILD_STACK_SIZE];
        struct clone_args args = {
                .flags = CLONE_INTO_CGROUP | birth->launch->namespaces,
                .exit_signal = SIGCHLD,
                .cgroup = (uint64_t)birth->launch->cgroup_fd,
                .stack = (uintptr_t)stack,
                .stack_size = sizeof(stack),
        };

        return clone_shared(&args, run_child, birth);
}

static pid_t clone_with_memory(struct birth *birth)
{
        CHILD_STACK stack[CHILD_STACK_SIZE];
        int flags = CLONE_VM | CLONE_VFORK | SIGCHLD | (int)birth->launch->namespaces;
        pid_t pid = clone(run_child, stack + sizeof(stack), flags, birth);

        return pid < 0 ? -errno : pid;
}

/* What an old kernel, or one with the controllers of a threaded or full group, says to CLONE_INTO_CGROUP. */
static bool cgroup_clone_refused(pid_t pid)
{
        return pid == -ENOSYS || pid == -EINVAL || pid == -E2BIG || pid == -EBUSY || pid == -EOPNOTSUPP ||
               pid == -EACCES || pid == -EPERM;
}

void launch_pal_environment(char *ret_env[static LAUNCH_PAL_ENVIRONMENT_MAX])
{
        static const char *const names[] = {"COFFER_STATE_DIR=", "XDG_RUNTIME_DIR="};
        size_t n = 0;

        for (char **entry = environ; entry && *entry; entry++) {
                for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                        if (n + 1 < LAUNCH_PAL_ENVIRONMENT_MAX && string_starts_with(*entry, names[i]))
                                ret_env[n++] = *entry;
                }
        }
        ret_env[n] = NULL;
}

int launch_init(const struct launch *launch, pid_t *ret_pid, int *ret_in_cgroup, struct error *err)
{
        cleanup_fd int image_fd = -1;
        char name[] = INIT_NAME, number[16];
        int r = memory_image_open(INIT_NAME, launch->image, launch->folder, &image_fd, err);

        if (r < 0)
                return r;
        (void)snprintf(number, sizeof(number), "%d", launch->arena_fd);
        struct birth birth = {.launch = launch, .image_fd = image_fd, .argv = {name, number, NULL}};
        *launch->failure = 0;
        pid_t pid = launch->cgroup_fd >= 0 ? clone_into_cgroup(&birth) : -ENOSYS;
        *ret_in_cgroup = pid > 0;
        if (cgroup_clone_refused(pid))
                pid = clone_with_memory(&birth);
        if (pid < 0)
                return error_errno(err, -pid, "can't make a process%s",
                                   launch->namespaces ? " in new namespaces" : "");
        if (*launch->failure) {
                (void)waitpid(pid, NULL, 0);
                return error_errno(err, *launch->failure, "can't execute container-init");
        }
        *ret_pid = pid;
        return 0;
}
