/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-pal.c - a PAL whose "enclave" is a process that it forks, and which misbehaves on demand.  Built for
 * each version of pal.h (PAL_VERSION).
 *
 * Its arguments are words CALL=DEED, where CALL is a function's name without "pal_", and DEED one of
 *
 *      fail:N    returns -N            odd:N     returns N
 *      say:TEXT  returns -EIO, and pal_last_error() says TEXT (underscores are blanks)
 *      crash     writes to address 0   exit:N    ends the process with status N
 *      hang      never returns         value:N   (of exec) gives N for an exit status
 *
 * With the word linger pal_destroy says "destroying" on standard output and waits until there is a file /go;
 * what is called meanwhile is told there as well.
 * With the word slow pal_create_process takes a second more once its process is there.
 *
 * A report is all 'R', one to a target all 'T' with the target's first 64 bytes in REPORTDATA.  The word
 * report=self has the former say in CPUSVN that it is simulated, report=target the latter; report=short
 * makes both 100 bytes.
 *
 * The process in the "enclave" does what argv[1] says: "args" prints its arguments, each on a line; "env"
 * its environment; "exit" N; "signal" N sends itself a signal; "cat" copies its input; "file" NAME shows a
 * file's first line; "tty" says whether it has a terminal and of which size, at the start and whenever that
 * changes; "wait" says "ready", then the name of each signal, and ends with status 7 at SIGTERM; else how
 * it was called, and the PAL.
 */
#include "include/coffer/pal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DEED_MAX = 256, REPORT_DATA_AT = 320, REPORT_DATA_SIZE = 64 };

static char arguments[4096];
static _Thread_local char error_text[DEED_MAX];
static pid_t first;
static volatile bool destroyed;

/* ---- misbehaviour -------------------------------------------------------------------------------------- */

/* The deed for a call in the arguments, or NULL; the text lives until the next call. */
static const char *deed_for(const char *words, const char *call)
{
        static _Thread_local char deed[DEED_MAX];
        size_t n = strlen(call);

        for (const char *word = words; *word;) {
                size_t length = strcspn(word, " ");
                if (length > n && strncmp(word, call, n) == 0 && word[n] == '=') {
                        (void)snprintf(deed, sizeof(deed), "%.*s", (int)(length - n - 1), word + n + 1);
                        return deed;
                }
                word += length;
                word += strspn(word, " ");
        }
        return NULL;
}

static int number_of(const char *deed)
{
        const char *colon = strchr(deed, ':');

        return colon ? (int)strtol(colon + 1, NULL, 10) : 0;
}

static void say(const char *text)
{
        (void)snprintf(error_text, sizeof(error_text), "%s", text);
        for (char *p = error_text; *p; p++)
                if (*p == '_')
                        *p = ' ';
}

/* What the call returns instead of doing its work, where it has to misbehave; else 0. */
static int misbehave(const char *call)
{
        const char *deed = deed_for(arguments, call);
        volatile uintptr_t nowhere = 8;

        if (destroyed)
                dprintf(STDOUT_FILENO, "%s behind the end\n", call);
        error_text[0] = '\0';
        if (!deed || strncmp(deed, "value", 5) == 0)
                return 0;
        if (strcmp(deed, "crash") == 0)
                *(volatile int *)nowhere = 0;
        if (strcmp(deed, "hang") == 0)
                for (;;)
                        pause();
        if (strncmp(deed, "exit", 4) == 0)
                exit(number_of(deed));
        if (strncmp(deed, "odd", 3) == 0)
                return number_of(deed);
        if (strncmp(deed, "say", 3) == 0) {
                say(deed + 4);
                return -EIO;
        }
        return -number_of(deed);
}

const char *pal_last_error(void)
{
        return error_text;
}

/* ---- the process --------------------------------------------------------------------------------------- */

static void tell_size(int sig)
{
        struct winsize size = {0};

        (void)sig;
        (void)ioctl(STDIN_FILENO, TIOCGWINSZ, &size);
        dprintf(STDOUT_FILENO, "%s %ux%u\n", isatty(STDIN_FILENO) ? "tty" : "no tty", size.ws_col,
                size.ws_row);
}

static void tell_signal(int sig)
{
        dprintf(STDOUT_FILENO, "SIG%s\n", sigabbrev_np(sig));
        if (sig == SIGTERM)
                _exit(7);
}

static void copy(void)
{
        char bytes[65536];
        ssize_t n;

        while ((n = read(STDIN_FILENO, bytes, sizeof(bytes))) > 0)
                for (ssize_t at = 0, done; at < n; at += done)
                        if ((done = write(STDOUT_FILENO, bytes + at, (size_t)(n - at))) < 0)
                                _exit(1);
}

static void show(const char *path)
{
        char bytes[4096];
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes) - 1);

        dprintf(STDOUT_FILENO, "%.*s\n", n < 0 ? 0 : (int)strcspn((bytes[n] = '\0', bytes), "\n"),
                n < 0 ? "" : bytes);
}

/* Who reads its first words may send signals at once, so these come after the handlers. */
static void take_signals(void (*handler)(int sig))
{
        for (int sig = 1; sig < 32; sig++)
                (void)sigaction(sig, &(struct sigaction){.sa_handler = handler}, NULL);
}

static void wait_for_signals(void)
{
        for (;;)
                pause();
}

static void live(const char *path, char **argv, char **env)
{
        const char *what = argv[0] && argv[1] ? argv[1] : "";

        if (strcmp(what, "args") == 0)
                for (char **arg = argv; *arg; arg++)
                        dprintf(STDOUT_FILENO, "%s\n", *arg);
        else if (strcmp(what, "env") == 0)
                for (char **entry = env; *entry; entry++)
                        dprintf(STDOUT_FILENO, "%s\n", *entry);
        else if (strcmp(what, "exit") == 0)
                _exit((int)strtol(argv[2], NULL, 10));
        else if (strcmp(what, "signal") == 0)
                (void)raise((int)strtol(argv[2], NULL, 10));
        else if (strcmp(what, "cat") == 0)
                copy();
        else if (strcmp(what, "file") == 0)
                show(argv[2]);
        else if (strcmp(what, "tty") == 0)
                take_signals(tell_size), tell_size(0), wait_for_signals();
        else if (strcmp(what, "wait") == 0)
                take_signals(tell_signal), dprintf(STDOUT_FILENO, "ready\n"), wait_for_signals();
        else
                dprintf(STDOUT_FILENO, "\"%s\" by \"%s\": version %d, arguments \"%s\"\n", path, argv[0],
                        PAL_VERSION, arguments);
        _exit(0);
}

static pid_t start(const char *path, char **argv, char **env, const struct pal_stdio_fds *stdio)
{
        pid_t pid = fork();
        sigset_t none;

        if (pid != 0)
                return pid < 0 ? -errno : pid;
        const int streams[] = {fcntl(stdio->stdin, F_DUPFD, 64), fcntl(stdio->stdout, F_DUPFD, 64),
                               fcntl(stdio->stderr, F_DUPFD, 64)};
        for (int i = 0; i < 3; i++)
                (void)dup2(streams[i], i);
        (void)close_range(3, ~0U, 0);
        sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        live(path, argv, env);
        _exit(0);
}

static int finish(pid_t pid, int *value)
{
        const char *deed = deed_for(arguments, "exec");
        int status;

        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        *value = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        if (deed)
                *value = number_of(deed);
        return 0;
}

/* ---- the interface ------------------------------------------------------------------------------------- */

#ifndef TEST_PAL_NO_VERSION
int pal_get_version(void)
{
        return PAL_VERSION;
}
#endif

int pal_prepare(const struct pal_prepare_args *args)
{
        char rootfs[64];

        (void)snprintf(arguments, sizeof(arguments), "%s", args->args);
        int r = misbehave("prepare");
        if (r != 0)
                return r;
        (void)snprintf(rootfs, sizeof(rootfs), "%s",
                       args->config_size > 0 && args->rootfs_fd >= 0 ? "yes" : "no");
        return args->annotate(args->cookie, "test.pal.prepared", rootfs);
}

#if PAL_VERSION == 3
int pal_init(const struct pal_attr_v3 *attr)
#else
int pal_init(const struct pal_attr_v1 *attr)
#endif
{
        (void)snprintf(arguments, sizeof(arguments), "%s", attr->args);
        return misbehave("init");
}

#if PAL_VERSION == 1

int pal_exec(char *path, char *argv[], struct pal_stdio_fds *stdio, int *exit_code)
{
        int r = misbehave("exec");

        if (r != 0)
                return r;
        first = start(path, argv, environ, stdio);
        return first < 0 ? first : finish(first, exit_code);
}

#else

int pal_create_process(struct pal_create_process_args *args)
{
        int r = misbehave("create_process");

        if (r != 0)
                return r;
        pid_t pid = start(args->path, args->argv, args->env, args->stdio);
        if (pid < 0)
                return pid;
        if (strstr(arguments, "slow"))
                (void)sleep(1);
        if (!first)
                first = pid;
        *args->pid = pid;
        return 0;
}

int pal_exec(struct pal_exec_args *args)
{
        int r = misbehave("exec");

        return r != 0 ? r : finish(args->pid, args->exit_value);
}

#ifndef TEST_PAL_NO_KILL
int pal_kill(int pid, int sig)
{
        int r = misbehave("kill");

        if (r != 0)
                return r;
        if (pid == PAL_KILL_CURRENT)
                pid = first;
        return kill(pid, sig) < 0 ? -errno : 0;
}
#endif

#endif

#if PAL_VERSION == 3
int pal_get_local_report(void *targetinfo, int targetinfo_len, void *report, int *report_len)
{
        int r = misbehave("get_local_report");

        const char *deed = deed_for(arguments, "report");
        if (r != 0)
                return r;
        if (*report_len < PAL_REPORT_SIZE)
                return -EINVAL;
        memset(report, targetinfo_len ? 'T' : 'R', PAL_REPORT_SIZE);
        if (targetinfo_len)
                memcpy((char *)report + REPORT_DATA_AT, targetinfo, REPORT_DATA_SIZE);
        if (deed && strcmp(deed, targetinfo_len ? "target" : "self") == 0)
                memcpy(report, "COFFER-SIMULATED", 16);
        *report_len = deed && strcmp(deed, "short") == 0 ? 100 : PAL_REPORT_SIZE;
        return 0;
}
#endif

int pal_destroy(void)
{
        int r = misbehave("destroy");

        destroyed = true;
        if (strstr(arguments, "linger")) {
                dprintf(STDOUT_FILENO, "destroying\n");
                while (access("/go", F_OK) < 0)
                        (void)usleep(1000);
        }
        return r;
}
