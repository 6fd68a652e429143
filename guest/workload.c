/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workload.c - start the image's command, and know that it started.
 *
 * The child holds the writing end of a close-on-exec pipe.  A successful exec closes it: the parent reads its
 * end.  What fails before that is written into it as a whole struct failure, between two halves of one
 * program.
 */
#include "guest/workload.h"

#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "lib/base/path.h"
#include "lib/base/text.h"

#include "guest/identity.h"
#include "guest/program.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
        PASSWD_MAX = 1024 * 1024,
        NOFILE_SOFT = 1024, /* select(2) fails above that; who wants more raises it himself */
        NOFILE_HARD = 524288,
        UMASK = 0022,
};

/* --- environment --- */

/* The field of a passwd line behind `n` colons. */
static struct view field(struct view line, int n)
{
        struct cursor c = cursor_of(line);

        for (int i = 0; i < n; i++)
                cursor_until(&c, ':');
        struct view rest = cursor_rest(&c);
        struct view value = cursor_until(&c, ':');
        return cursor_ok(&c) ? value : rest;
}

char *workload_home(const char *passwd, uint32_t uid)
{
        struct cursor lines = cursor_of(view_of_string(passwd));
        char wanted[16];

        snprintf(wanted, sizeof(wanted), "%u", uid);
        while (!cursor_at_end(&lines) && cursor_ok(&lines)) {
                struct view rest = cursor_rest(&lines);
                struct view line = cursor_until(&lines, '\n');
                if (!cursor_ok(&lines))
                        line = rest; /* the last, without a newline */
                struct view home = field(line, 5);
                if (view_equal(field(line, 2), view_of_string(wanted)) && home.n && home.p[0] == '/')
                        return view_to_string(home);
        }
        return strdup("/");
}

static int add_env(struct guest_config *config, const char *name, const char *value, struct failure *f)
{
        cleanup_free char *entry = value ? string_printf("%s=%s", name, value) : NULL;
        struct error err = {0};

        if (program_environment(config->env, name))
                return 0;
        if (!entry)
                return failure_set(f, ENOMEM, NULL, "set %s", name);
        if (guest_config_add_env(config, entry, &err) < 0)
                return failure_set(f, 0, NULL, "set %s: %s", name, error_text(&err));
        return 0;
}

int workload_complete_env(struct guest_config *config, struct failure *f)
{
        cleanup_buf struct buf passwd = buf_with_max(PASSWD_MAX);

        /* No passwd, no home folders. */
        file_read(AT_FDCWD, "/etc/passwd", PASSWD_MAX, &passwd, NULL);
        cleanup_free char *home = workload_home(buf_string(&passwd), config->uid);
        int r = add_env(config, "PATH", PROGRAM_DEFAULT_PATH, f);
        if (r == 0)
                r = add_env(config, "HOSTNAME", config->hostname, f);
        return r < 0 ? r : add_env(config, "HOME", home, f);
}

/* --- the child --- */

static void reset_signals(void)
{
        struct sigaction action = {.sa_handler = SIG_DFL};
        sigset_t none;

        for (int i = 1; i < NSIG; i++)
                sigaction(i, &action, NULL);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
}

static int set_streams(const struct guest_config *config, int output_fd, struct failure *f)
{
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

        if (null < 0 || dup2(null, STDIN_FILENO) < 0)
                return failure_set(f, errno, "/dev/null", "open standard input");
        /* So that it may open /dev/stdout and /dev/stderr too, and so may users it changes to. */
        if (fchown(output_fd, config->uid, config->gid) < 0 || fchmod(output_fd, 0622) < 0)
                return failure_set(f, errno, NULL, "give the console to user %u", config->uid);
        if (dup2(output_fd, STDOUT_FILENO) < 0 || dup2(output_fd, STDERR_FILENO) < 0)
                return failure_set(f, errno, NULL, "open standard output");
        return 0;
}

static int enter_folder(const struct guest_config *config, struct failure *f)
{
        if (chdir(config->cwd) < 0)
                return failure_set(f, errno, config->cwd, "enter the working folder");
        return 0;
}

/* Becomes the command. Returns only on failure. */
static void run_child(const struct guest_config *config, int output_fd, struct failure *f)
{
        const struct rlimit files = {.rlim_cur = NOFILE_SOFT, .rlim_max = NOFILE_HARD};

        reset_signals();
        umask(UMASK);
        setrlimit(RLIMIT_NOFILE, &files);
        if (setsid() < 0) {
                failure_set(f, errno, NULL, "start a session");
                return;
        }
        /* glibc's and musl's gid_t is the configuration's uint32_t. */
        if (set_streams(config, output_fd, f) == 0 &&
            identity_take_on(config->uid, config->gid, config->groups, config->n_groups, f) == 0 &&
            enter_folder(config, f) == 0)
                program_execute(config->argv, config->env, f);
}

/* --- the parent --- */

/* 0 where the pipe ended without a word. */
static int read_failure(int fd, struct failure *ret_f)
{
        struct failure f;
        int r = fd_read_full(fd, &f, sizeof(f));

        if (r < 0)
                return r == -ENODATA ? 0 : failure_set(ret_f, -r, NULL, "learn whether the command started");
        *ret_f = f;
        return f.errnum > 0 ? -f.errnum : -EINVAL;
}

int workload_start(const struct guest_config *config, int output_fd, pid_t *ret_pid, struct failure *f)
{
        int ends[2];

        *ret_pid = 0;
        path_make_dirs(config->cwd, 0755, NULL); /* what fails here fails in the child, which says why */
        if (pipe2(ends, O_CLOEXEC) < 0)
                return failure_set(f, errno, NULL, "make a pipe");
        cleanup_fd int reading = ends[0];
        cleanup_fd int writing = ends[1];

        pid_t pid = fork();
        if (pid < 0)
                return failure_set(f, errno, NULL, "fork");
        if (pid == 0) {
                struct failure why = {0};
                run_child(config, output_fd, &why);
                fd_write_full(writing, &why, sizeof(why));
                _exit(127);
        }
        *ret_pid = pid;
        fd_close_p(&writing);
        return read_failure(reading, f);
}
