/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/runelet/enclave-process.h"

#include "lib/container/runelet/agent-server.h"
#include "lib/container/runelet/last-words.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

/* For calls of the PAL that are under way when its first process has ended. */
enum { LAST_CALLS_MS = 5000 };

/* What the PAL is called with.  The arrays are the payload's, which lives as long as this process. */
struct process {
        struct runelet *runelet;
        struct pal_stdio_fds stdio;
        char *path;
        char **argv;
        char **env;
        int pid;
};

/* The enclave is running, so there is nobody left to tell but who reads the container's output. */
static void complain(const struct error *err)
{
        (void)fprintf(stderr, "rune: %s\n", error_text(err));
}

/* ---- signals ------------------------------------------------------------------------------------------- */

/* Children are the PAL's own business; faults are this process's, and can't be taken by a thread. */
static void signals_to_take(sigset_t *ret_set)
{
        static const int left_alone[] = {SIGCHLD, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};

        sigfillset(ret_set);
        for (size_t i = 0; i < sizeof(left_alone) / sizeof(*left_alone); i++)
                sigdelset(ret_set, left_alone[i]);
}

static bool ends_programs(int signal)
{
        return signal != SIGWINCH && signal != SIGCONT && signal != SIGURG && signal != SIGTSTP &&
               signal != SIGTTIN && signal != SIGTTOU;
}

static void pass_on(const struct process *process, int signal)
{
        struct calls *calls = &process->runelet->calls;
        struct call call;

        if (!calls_begin(calls, &call, -1))
                return; /* the process has ended */
        (void)process->runelet->pal.kill(process->pid, signal);
        calls_end(calls, &call);
}

static void *pass_signals_on(void *user)
{
        const struct process *process = user;
        const struct pal *pal = &process->runelet->pal;
        sigset_t set;

        signals_to_take(&set);
        for (;;) {
                int signal = sigwaitinfo(&set, NULL);
                if (signal < 0)
                        continue;
                if (pal->kill)
                        pass_on(process, signal);
                else if (ends_programs(signal))
                        _exit(128 + signal);
        }
        return NULL;
}

static int start_thread(void *(*run)(void *user), void *user, const char *what, struct error *err)
{
        pthread_t thread;
        int r = pthread_create(&thread, NULL, run, user);

        if (r != 0)
                return error_errno(err, r, "can't start the thread that %s", what);
        (void)pthread_detach(thread);
        return 0;
}

/* Those that come before there is a process wait for it: without handlers, a first process of a PID namespace
 * would lose them.  Every thread that comes later has them blocked as well. */
static void hold_signals(void)
{
        sigset_t set;

        signals_to_take(&set);
        (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

static int create(struct process *process, struct error *err)
{
        const struct pal *pal = &process->runelet->pal;
        struct pal_create_process_args args = {
                .path = process->path,
                .argv = process->argv,
                .env = process->env,
                .stdio = &process->stdio,
                .pid = &process->pid,
        };

        if (pal->version == 1)
                return 0; /* pal_exec makes it */
        int r = runelet_tell_call(process->runelet, "pal_create_process", err);
        if (r < 0)
                return r;
        r = pal->create_process(&args);
        return r != 0 ? pal_failed(pal, "pal_create_process", r, err) : 0;
}

/* The exit status that the PAL gives; a PAL that fails, or gives none, is a failure of the container. */
static int exec(const struct process *process)
{
        const struct pal *pal = &process->runelet->pal;
        struct pal_stdio_fds stdio = process->stdio;
        struct error err = {0};
        int value = -1;
        struct pal_exec_args args = {.pid = process->pid, .exit_value = &value};
        int r = pal->version == 1 ? pal->exec.v1(process->path, process->argv, &stdio, &value)
                                  : pal->exec.v2(&args);

        if (r != 0) {
                (void)pal_failed(pal, "pal_exec", r, &err);
        } else if (value < 0 || value > 255) {
                (void)error_set(&err, -ERANGE, "PAL %s: pal_exec: it gave %d for an exit status", pal->path,
                                value);
        } else {
                return value;
        }
        complain(&err);
        return EXIT_FAILURE;
}

/* What doesn't come to its end is ended with this process, and then there is nothing to destroy. */
static void destroy(struct runelet *runelet)
{
        const struct pal *pal = &runelet->pal;
        struct error err = {0};

        if (!calls_finish(&runelet->calls, LAST_CALLS_MS)) {
                (void)error_set(&err, -ETIMEDOUT, "PAL %s: calls for further processes do not end",
                                pal->path);
                complain(&err);
                return;
        }
        int r = pal->destroy();
        if (r == 0)
                return;
        (void)pal_failed(pal, "pal_destroy", r, &err);
        complain(&err);
}

/* Executing a program makes a process that has changed its user one of that user's again; this one executes
 * none.  Without it, a user who isn't the host's root couldn't join his own container. */
static void become_the_users(const struct plan *plan)
{
        if (plan->rootless)
                (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static int announce(struct runelet *runelet, struct error *err)
{
        become_the_users(runelet->plan);
        int r = runelet_tell(runelet, PLAN_RUNNING, NULL, err);

        if (r < 0)
                return r;
        last_words_to_stderr(runelet->pal.path);
        close(runelet->report_fd);
        runelet->report_fd = -1;
        runelet->n_listed = 0; /* the last of them */
        return 0;
}

int enclave_process_run(struct runelet *runelet, const struct payload *payload, struct error *err)
{
        static struct process process; /* for the threads, which nobody waits for */

        process = (struct process){
                .runelet = runelet,
                .stdio = {.stdin = STDIN_FILENO, .stdout = STDOUT_FILENO, .stderr = STDERR_FILENO},
                .path = payload->path,
                .argv = runelet->plan->process->args.items,
                .env = payload->env,
                .pid = -1,
        };
        hold_signals();
        int r = create(&process, err);
        if (r == 0)
                r = start_thread(pass_signals_on, &process, "takes signals", err);
        if (r == 0)
                r = agent_serve(runelet, err);
        if (r == 0)
                r = announce(runelet, err);
        if (r < 0)
                return r;
        int status = exec(&process);
        destroy(runelet);
        _exit(status);
}
