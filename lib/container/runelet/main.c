/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runelet ARENA-FD: becomes an enclave's process (runelet.h; started as init-image.h says).
 */
#include "lib/container/init/init.h"
#include "lib/container/runelet/runelet.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

static const char name_of_first[] = "init-runelet", name_of_further[] = "runelet";

int main(int argc, char *argv[])
{
        sigset_t none;

        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        const struct plan *plan = argc == 2 ? init_open_plan(argv[1]) : NULL;
        if (!plan || !plan->enclave)
                return EXIT_FAILURE;
        struct runelet runelet = {.plan = plan, .report_fd = plan->sync_fd};
        calls_init(&runelet.calls);
        struct init_program program = plan->job == PLAN_JOB_EXEC ? runelet_proxy : runelet_enclave;
        program.user = &runelet;
        runelet.n_listed = descriptors_listed(plan, runelet.listed);
        prctl(PR_SET_NAME, plan->job == PLAN_JOB_EXEC ? name_of_further : name_of_first, 0, 0, 0);
        init_run(plan, &program);
        return EXIT_FAILURE;
}
