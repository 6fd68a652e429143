/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/hook.h"

#include "lib/base/buf.h"
#include "lib/base/child.h"
#include "lib/base/clock.h"
#include "lib/base/fd.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
        MEMFD_CLOEXEC = 1,
        /* How much of what a hook says goes into the error. */
        OUTPUT_MAX = 600,
};

/* The state as a file: nobody has to wait until the hook reads it, or cares whether it does. */
static int state_file(const char *state, int *ret_fd, struct error *err)
{
        cleanup_fd int fd = (int)syscall(SYS_memfd_create, "state", MEMFD_CLOEXEC);

        if (fd < 0)
                return error_errno(err, errno, "can't make a hook's standard input");
        int r = fd_write_full(fd, state, strlen(state));
        if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
                r = -errno;
        if (r < 0)
                return error_errno(err, -r, "can't make a hook's standard input");
        *ret_fd = take_fd(&fd);
        return 0;
}

/* Takes what can be read now.  The pipe must never be full, so what is too long is read and dropped. */
static void collect(int fd, struct buf *output)
{
        char bytes[512];

        for (;;) {
                ssize_t n = read(fd, bytes, sizeof(bytes));
                if (n <= 0)
                        return;
                (void)buf_append(output, bytes, (size_t)n);
        }
}

/* Waits for the end of the hook, not for the end of its output: what it leaves behind may hold that open. */
static int wait_for_end(const struct spec_hook *hook, struct child *child, int output_fd, struct buf *output,
                        struct error *err)
{
        uint64_t deadline = clock_ms() + (uint64_t)hook->timeout * 1000;
        struct pollfd fds[] = {{.fd = child->pidfd, .events = POLLIN}, {.fd = output_fd, .events = POLLIN}};

        for (;;) {
                uint64_t now = clock_ms();
                uint64_t left = now < deadline ? deadline - now : 0;
                int wait = !hook->has_timeout ? -1 : left > INT32_MAX ? INT32_MAX : (int)left;
                int n = poll(fds, 2, wait);
                if (n < 0 && errno != EINTR)
                        return error_errno(err, errno, "can't wait for the end of %s", hook->path);
                if (n > 0 && fds[1].revents)
                        collect(output_fd, output);
                if (n > 0 && fds[1].revents & POLLHUP)
                        fds[1].fd = -1;
                if (n > 0 && fds[0].revents)
                        return 0;
                if (n == 0 && left == 0)
                        return error_set(err, -ETIME, "hook ran past specified timeout of %u.0s: %s",
                                         hook->timeout, hook->path);
        }
}

/* "bad system call" is what a filter's refusal is looked for by. */
static int killed(const struct spec_hook *hook, int signal, struct error *err)
{
        const char *name = strsignal(signal) ?: "";
        char first = *name;

        if (first >= 'A' && first <= 'Z')
                first = (char)(first - 'A' + 'a');
        return error_set(err, -ECANCELED, "%s was killed by signal %d (%c%s)", hook->path, signal, first,
                         first ? name + 1 : "");
}

static int judge(const struct spec_hook *hook, int status, const struct buf *output, struct error *err)
{
        int r;

        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return 0;
        if (WIFSIGNALED(status))
                r = killed(hook, WTERMSIG(status), err);
        else
                r = error_set(err, -ECANCELED, "%s: exit status %d", hook->path, WEXITSTATUS(status));
        if (output->n == 0)
                return r;
        char text[OUTPUT_MAX + 1];
        size_t n = output->n < OUTPUT_MAX ? output->n : OUTPUT_MAX;
        for (size_t i = 0; i < n; i++)
                text[i] = (char)(output->p[i] < ' ' || output->p[i] == 0x7f ? ' ' : output->p[i]);
        while (n > 0 && text[n - 1] == ' ')
                n--;
        text[n] = '\0';
        error_hint(err, "it said: %s", text);
        return r;
}

static int run_one(const struct spec_hook *hook, const char *state, char *const *env, struct error *err)
{
        cleanup_fd int state_fd = -1, output_read = -1, output_write = -1;
        cleanup_buf struct buf output = buf_with_max(4096);
        const char *only_path[] = {hook->path, NULL};
        int pipe_fds[2], status;

        int r = state_file(state, &state_fd, err);
        if (r < 0)
                return r;
        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return error_errno(err, errno, "can't make a hook's standard error");
        output_read = pipe_fds[0];
        output_write = pipe_fds[1];
        r = fd_set_nonblocking(output_read);
        if (r < 0)
                return error_errno(err, -r, "can't make a hook's standard error");

        const struct child_fd fds[] = {{state_fd, 0}, {output_write, 1}, {output_write, 2}};
        const struct child_spec spec = {
                .path = hook->path,
                .argv = hook->args.n > 0 ? (const char *const *)hook->args.items : only_path,
                .env = (const char *const *)(hook->env.n > 0 ? hook->env.items : env),
                .fds = fds,
                .n_fds = 3,
                .uid = (uid_t)-1,
                .die_with_parent = true,
        };
        struct child child CLEANUP(child_kill) = CHILD_NONE;
        r = child_start(&spec, &child, err);
        if (r < 0)
                return r;
        fd_close_p(&output_write);
        r = wait_for_end(hook, &child, output_read, &output, err);
        if (r < 0)
                return r;
        collect(output_read, &output);
        r = child_wait(&child, &status);
        return r < 0 ? error_errno(err, -r, "can't reap %s", hook->path) : judge(hook, status, &output, err);
}

int hooks_run(const struct spec_hook_list *hooks, const char *kind, const char *state, char *const *env,
              struct error *err)
{
        for (size_t i = 0; i < hooks->n; i++) {
                int r = run_one(&hooks->items[i], state, env, err);
                if (r < 0) {
                        error_wrap(err, "error running %s hook #%zu", kind, i);
                        return r;
                }
        }
        return 0;
}

void hooks_run_all(const struct spec_hook_list *hooks, const char *kind, const char *state, char *const *env,
                   const struct log *log)
{
        for (size_t i = 0; i < hooks->n; i++) {
                struct error err = {0};
                if (run_one(&hooks->items[i], state, env, &err) < 0)
                        log_warning(log, "error running %s hook #%zu: %s", kind, i, error_text(&err));
        }
}
