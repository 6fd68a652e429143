/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container-init ARENA-FD: becomes a container's process (init.h; started as init-image.h says).
 */
#include "lib/container/init/init.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

/* What the process is called until it executes the payload. */
static const char name[] = "rune:init";

int main(int argc, char *argv[])
{
        sigset_t none;

        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        prctl(PR_SET_NAME, name, 0, 0, 0);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        const struct plan *plan = argc == 2 ? init_open_plan(argv[1]) : NULL;
        if (plan)
                init_run(plan, &init_payload);
        /* rune knows why, but for a plan of another build: it sees the end of the socket. */
        return EXIT_FAILURE;
}
