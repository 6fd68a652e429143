/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pal-hello.c - the smallest PAL that does all its duties: docs/pal.md walks through it.
 *
 * Its enclave is no enclave: a process that it forks runs the container's program.  A real one would put it where
 * nobody can look.
 */
#define PAL_VERSION 2
#include <coffer/pal.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static _Thread_local char why[256];
static pid_t first;

/* Keeps the cause for pal_last_error(); the result of the call that failed. */
static int fail(int errnum, const char *what)
{
        (void)snprintf(why, sizeof(why), "%s: %s", what, strerror(errnum));
        return -errnum;
}

const char *pal_last_error(void)
{
        return why;
}

int pal_get_version(void)
{
        return PAL_VERSION;
}

/* Still on the host: whoever asks for the container's state will see this. */
int pal_prepare(const struct pal_prepare_args *args)
{
        return args->annotate(args->cookie, "example.hello", "no enclave at all");
}

/* In the container, as its user: make the enclave. */
int pal_init(const struct pal_attr_v1 *attr)
{
        if (strcmp(attr->args, "debug") == 0)
                (void)fprintf(stderr, "pal-hello: an enclave that hides nothing is ready\n");
        else if (*attr->args)
                return fail(EINVAL, "the only argument is debug");
        return 0;
}

static void become(const struct pal_create_process_args *args)
{
        sigset_t none;

        /* The caller has blocked all signals, which would last beyond the exec. */
        sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        (void)dup2(args->stdio->stdin, STDIN_FILENO);
        (void)dup2(args->stdio->stdout, STDOUT_FILENO);
        (void)dup2(args->stdio->stderr, STDERR_FILENO);
        execve(args->path, args->argv, args->env);
        _exit(127);
}

int pal_create_process(struct pal_create_process_args *args)
{
        pid_t pid = fork();

        if (pid < 0)
                return fail(errno, "fork");
        if (pid == 0)
                become(args);
        if (!first)
                first = pid;
        *args->pid = pid;
        return 0;
}

int pal_exec(struct pal_exec_args *args)
{
        int status;

        while (waitpid(args->pid, &status, 0) < 0)
                if (errno != EINTR)
                        return fail(errno, "wait for the process");
        *args->exit_value = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        return 0;
}

int pal_kill(int pid, int sig)
{
        return kill(pid == PAL_KILL_CURRENT ? first : pid, sig) < 0 ? fail(errno, "kill") : 0;
}

int pal_destroy(void)
{
        return 0;
}
