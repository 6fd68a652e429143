/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/shutdown.h"

#include "guest/console.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
        GRACE_MS = 500,
        STEP_MS = 10,
        STEP_NS = 10 * 1000 * 1000,
};

/* Sends `signal` to all others and reaps, for GRACE_MS at most. True where none is left. */
static bool end_all(int signal)
{
        const struct timespec step = {.tv_nsec = STEP_NS};
        sigset_t children;

        if (kill(-1, signal) < 0 && errno == ESRCH)
                return true;
        sigemptyset(&children);
        sigaddset(&children, SIGCHLD);
        for (int waited = 0; waited < GRACE_MS; waited += STEP_MS) {
                pid_t pid;
                while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
                        ;
                if (pid < 0 && errno == ECHILD)
                        return true;
                sigtimedwait(&children, NULL, &step);
        }
        return false;
}

_Noreturn void shutdown_machine(void)
{
        sigset_t children;

        sigemptyset(&children);
        sigaddset(&children, SIGCHLD);
        sigprocmask(SIG_BLOCK, &children, NULL);
        if (!end_all(SIGTERM))
                end_all(SIGKILL);
        sync();
        console_drain();
        reboot(RB_AUTOBOOT);
        /* PID 1 must not return: that is a kernel panic. */
        for (;;)
                pause();
}
