/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/image/credential-helper.h"

#include "lib/base/child.h"
#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/text.h"
#include "lib/format/strict-json.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOT_FOUND "credentials not found" /* how every helper begins to say so */

bool credential_helper_name_is_valid(const char *name)
{
        size_t n = strlen(name);

        return n > 0 && n <= CREDENTIAL_HELPER_NAME_MAX && name[0] != '.' &&
               strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == n;
}

int credential_helper_parse(struct view json, struct registry_credentials *ret_credentials, struct error *err)
{
        cleanup_json json_t *root = NULL;
        struct registry_credentials c = {0};
        const char *user = NULL, *secret = NULL;

        /* Without the parser's own words: it would quote what it stumbled over. */
        if (strict_json_parse(json, CREDENTIAL_HELPER_OUTPUT_MAX, &root, NULL) < 0 || !json_is_object(root) ||
            strict_json_string(root, "Username", &user, NULL) < 0 ||
            strict_json_string(root, "Secret", &secret, NULL) < 0 || !user || !secret)
                return error_set(err, -EBADMSG, "its answer is no JSON object with Username and Secret");
        bool token = strcmp(user, "<token>") == 0;
        char **target = token ? &c.identity_token : &c.password;
        *target = strdup(secret);
        if (!token)
                c.user = strdup(user);
        if (!*target || (!token && !c.user)) {
                registry_credentials_done(&c);
                return error_oom(err);
        }
        *ret_credentials = c;
        return 0;
}

/* Reads until the end, the limit or the deadline. */
static int collect(int fd, uint64_t deadline, struct buf *output)
{
        uint8_t chunk[4096];
        int r = 0;

        for (;;) {
                uint64_t now = clock_ms();
                struct pollfd p = {.fd = fd, .events = POLLIN};
                int ready = now < deadline ? poll(&p, 1, (int)(deadline - now)) : 0;
                if (ready < 0 && errno == EINTR)
                        continue;
                if (ready <= 0) {
                        r = ready < 0 ? -errno : -ETIMEDOUT;
                        break;
                }
                ssize_t n = read(fd, chunk, sizeof(chunk));
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0) {
                        r = n < 0 ? -errno : 0;
                        break;
                }
                r = buf_append(output, chunk, (size_t)n);
                if (r < 0)
                        break;
        }
        explicit_bzero(chunk, sizeof(chunk));
        return r;
}

static int wait_until(struct child *child, uint64_t deadline, int *ret_status)
{
        struct pollfd p = {.fd = child->pidfd, .events = POLLIN};
        uint64_t now = clock_ms();

        while (now < deadline && poll(&p, 1, (int)(deadline - now)) < 0 && errno == EINTR)
                now = clock_ms();
        return p.revents ? child_wait(child, ret_status) : -ETIMEDOUT;
}

/* Both pipes, and the program at their far ends. */
static int start(const char *program, const char *server, struct child *ret_child, int *ret_output,
                 struct error *err)
{
        int in[2], out[2];

        if (pipe2(in, O_CLOEXEC) < 0)
                return error_errno(err, errno, "cannot make a pipe");
        cleanup_fd int in_read = in[0], in_write = in[1];
        if (pipe2(out, O_CLOEXEC) < 0)
                return error_errno(err, errno, "cannot make a pipe");
        cleanup_fd int out_read = out[0], out_write = out[1];
        const struct child_fd fds[] = {{in_read, STDIN_FILENO}, {out_write, STDOUT_FILENO}};
        const char *const argv[] = {program, "get", NULL};
        const struct child_spec spec = {.argv = argv,
                                        .fds = fds,
                                        .n_fds = ARRAY_SIZE(fds),
                                        .uid = (uid_t)-1,
                                        .die_with_parent = true};
        /* Before it starts, while both ends are ours: a name always has room in a pipe, and no SIGPIPE can
         * come. */
        int r = fd_write_full(in_write, server, strlen(server));
        if (r < 0)
                return error_errno(err, -r, "cannot write to a pipe");
        r = child_start(&spec, ret_child, err);
        if (r == 0)
                *ret_output = take_fd(&out_read);
        return r;
}

/* It ended with an error, and said why on its standard output. */
static int refusal(const struct buf *output, struct error *err)
{
        char text[128];
        struct view line = buf_view(output);

        while (line.n > 0 && line.p[line.n - 1] == '\n')
                line.n--;
        text_printable(line, text, sizeof(text));
        if (strncasecmp(text, NOT_FOUND, strlen(NOT_FOUND)) == 0)
                return error_set(err, -ENOENT, "no credentials");
        return error_set(err, -EACCES, "fails: %s", *text ? text : "it does not say why");
}

static int converse(const char *program, const char *server, uint64_t deadline, struct buf *output,
                    struct error *err)
{
        CLEANUP(child_kill) struct child child = CHILD_NONE;
        cleanup_fd int out = -1;
        int status = 0;
        int r = start(program, server, &child, &out, err);

        if (r < 0) {
                error_hint(err, "install it, or leave out --credential-helpers");
                return r == -ENOENT ? -EACCES : r;
        }
        r = collect(out, deadline, output);
        if (r == 0)
                r = wait_until(&child, deadline, &status);
        if (r == -ETIMEDOUT)
                return error_set(err, r, "does not answer in time; it was ended");
        if (r == -E2BIG)
                return error_set(err, -EFBIG, "says more than %zu bytes", output->max);
        if (r < 0)
                return error_errno(err, -r, "cannot read its answer");
        return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : refusal(output, err);
}

int credential_helper_get(const char *name, const char *server, unsigned timeout_ms,
                          struct registry_credentials *ret_credentials, struct error *err)
{
        uint64_t deadline = clock_ms() + (timeout_ms ? timeout_ms : CREDENTIAL_HELPER_SECONDS * 1000);
        cleanup_secret_buf struct buf output = buf_with_max(CREDENTIAL_HELPER_OUTPUT_MAX);
        cleanup_free char *program = string_printf("docker-credential-%s", name);

        if (!program)
                return error_oom(err);
        if (!credential_helper_name_is_valid(name))
                return error_set(err, -EBADMSG, "\"%.64s\" is no name of a credential helper", name);
        int r = strlen(server) < PIPE_BUF ? 0 : error_set(err, -E2BIG, "the registry's name is too long");
        if (r == 0)
                r = converse(program, server, deadline, &output, err);
        if (r == 0)
                r = credential_helper_parse(buf_view(&output), ret_credentials, err);
        if (r < 0)
                error_wrap(err, "%s", program);
        return r;
}
