/* SPDX-License-Identifier: Apache-2.0 */
#include "rune/test-quote.h"

#include "lib/base/child.h"
#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/enclave/install.h"
#include "lib/sgx/quote.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COMPLAINT_MAX = 4096 };

/* The quoter's ends of its pipes, and ours. */
struct pipes {
        int in[2], out[2], complaint[2];
};

#define PIPES_NONE ((struct pipes){.in = {-1, -1}, .out = {-1, -1}, .complaint = {-1, -1}})

static void pipes_done(struct pipes *p)
{
        for (size_t i = 0; i < 2; i++) {
                fd_close_p(&p->in[i]);
                fd_close_p(&p->out[i]);
                fd_close_p(&p->complaint[i]);
        }
}

static int start(const char *path, struct pipes *p, struct child *ret_child, struct error *err)
{
        const char *const argv[] = {path, NULL};

        if (pipe2(p->in, O_CLOEXEC) < 0 || pipe2(p->out, O_CLOEXEC) < 0 || pipe2(p->complaint, O_CLOEXEC) < 0)
                return error_errno(err, errno, "can't make a pipe");
        const struct child_fd fds[] = {
                {p->in[0], STDIN_FILENO}, {p->out[1], STDOUT_FILENO}, {p->complaint[1], STDERR_FILENO}};
        const struct child_spec spec = {.path = path,
                                        .argv = argv,
                                        .fds = fds,
                                        .n_fds = ARRAY_SIZE(fds),
                                        .uid = (uid_t)-1,
                                        .die_with_parent = true};
        int r = child_start(&spec, ret_child, err);

        fd_close_p(&p->in[0]);
        fd_close_p(&p->out[1]);
        fd_close_p(&p->complaint[1]);
        return r;
}

/* A report is less than a pipe holds, and so is what it says where it fails: neither side waits for ever. */
static int talk(struct view report, struct pipes *p, struct buf *quote, struct buf *complaint)
{
        int r = fd_write_full(p->in[1], report.p, report.n);

        fd_close_p(&p->in[1]);
        if (r == 0 || r == -EPIPE)
                r = file_read_fd(p->out[0], SGX_QUOTE_MAX, quote);
        if (r == 0)
                r = file_read_fd(p->complaint[0], COMPLAINT_MAX, complaint);
        return r;
}

static int finish(struct child *child, int r, const struct buf *complaint, struct error *err)
{
        char text[COMPLAINT_MAX];
        int status = 0;

        if (r < 0) {
                child_kill(child); /* it may still be writing */
                return error_errno(err, -r, "sgx-test-quoter");
        }
        r = child_wait(child, &status);
        if (r < 0)
                return error_errno(err, -r, "sgx-test-quoter");
        if (status == 0)
                return 0;
        if (complaint->n == 0)
                return error_set(err, -EPROTO, "sgx-test-quoter ended with status %#x and without a word",
                                 (unsigned int)status);
        /* Its line's end falls away. */
        text_printable(buf_view(complaint), text, complaint->n < sizeof(text) ? complaint->n : sizeof(text));
        return error_set(err, -EPROTO, "sgx-test-quoter: %s", text);
}

int test_quote(struct view report, struct buf *ret_quote, struct error *err)
{
        CLEANUP(pipes_done) struct pipes pipes = PIPES_NONE;
        cleanup_buf struct buf quote = {0}, complaint = {0};
        cleanup_free char *path = NULL;
        struct child child = CHILD_NONE;
        int r = install_find(INSTALL_TEST_QUOTER, &path, err);

        if (r == 0)
                r = start(path, &pipes, &child, err);
        if (r < 0)
                return r;
        r = finish(&child, talk(report, &pipes, &quote, &complaint), &complaint, err);
        if (r == 0 && buf_append_view(ret_quote, buf_view(&quote)) < 0)
                r = error_oom(err);
        return r;
}
