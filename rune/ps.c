/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/buf.h"
#include "lib/base/child.h"
#include "lib/base/fd.h"
#include "rune/commands.h"
#include "rune/process-list.h"
#include "rune/table.h"

#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LISTING_MAX = 256 * 1024 * 1024, CHUNK = 64 * 1024 };

struct ps_values {
        const char *format;
};

static const struct option options[] = {
        {.name = "format",
         .letter = 'f',
         OPTION_TEXT_IN(struct ps_values, format),
         .metavar = "FORMAT",
         .summary = "table or json",
         .default_text = "table"},
};

static int compare_pids(const void *a, const void *b)
{
        pid_t left = *(const pid_t *)a, right = *(const pid_t *)b;

        return (left > right) - (left < right);
}

static int print_json(const pid_t *pids, size_t n, struct error *err)
{
        json_t *array = json_array();
        int r = 0;

        for (size_t i = 0; i < n && r == 0; i++)
                r = json_array_append_new(array, json_integer(pids[i]));
        r = r < 0 ? error_oom(err) : rune_print_json(array, JSON_COMPACT, err);
        json_decref(array);
        return r;
}

static int read_all(int fd, struct buf *b)
{
        for (;;) {
                int r = buf_reserve(b, CHUNK);

                if (r < 0)
                        return r;
                ssize_t n = read(fd, b->p + b->n, CHUNK);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : 0;
                b->n += (size_t)n;
        }
}

/* What ps prints, errors included, as it exits with 0. */
static int run_ps(char **words, size_t n, struct buf *listing, struct error *err)
{
        cleanup_free const char **argv = calloc(n + 3, sizeof(*argv));
        CLEANUP(child_kill) struct child child = CHILD_NONE;
        cleanup_fd int from = -1, to = -1;
        int pipe_ends[2], status = 0;

        if (!argv)
                return error_oom(err);
        argv[0] = "ps";
        argv[1] = "-ef";
        for (size_t i = 0; i < n; i++)
                argv[1 + i] = words[i];
        if (pipe2(pipe_ends, O_CLOEXEC) < 0)
                return error_errno(err, errno, "ps");
        from = pipe_ends[0];
        to = pipe_ends[1];
        const struct child_fd fds[] = {{.from = to, .to = STDOUT_FILENO}, {.from = to, .to = STDERR_FILENO}};
        const struct child_spec spec = {.argv = argv,
                                        .fds = fds,
                                        .n_fds = ARRAY_SIZE(fds),
                                        .uid = (uid_t)-1,
                                        .gid = (gid_t)-1,
                                        .die_with_parent = true};
        int r = child_start(&spec, &child, err);
        if (r < 0)
                return r;
        fd_close_p(&to);
        r = read_all(from, listing);
        if (r == 0)
                r = child_wait(&child, &status);
        if (r < 0)
                return error_errno(err, -r, "ps");
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                return error_set(err, -EIO, "ps failed: %s", buf_string(listing));
        return 0;
}

static int print_table(const pid_t *pids, size_t n_pids, const struct operands *operands, struct error *err)
{
        cleanup_buf struct buf listing = buf_with_max(LISTING_MAX), text = buf_with_max(LISTING_MAX);
        int r = run_ps(operands->items + 1, operands->n - 1, &listing, err);

        if (r == 0)
                r = process_list_filter(buf_view(&listing), pids, n_pids, &text, err);
        return r < 0 ? r : rune_print(buf_view(&text), err);
}

static int check(const void *values, const struct operands *operands, struct error *err)
{
        (void)operands;
        return table_check_format(((const struct ps_values *)values)->format, err);
}

static int run(struct rune *rune, const void *values, const struct operands *operands, int *ret_status,
               struct error *err)
{
        const struct ps_values *v = values;
        bool json = v->format && strcmp(v->format, "json") == 0;
        cleanup_free pid_t *pids = NULL;
        size_t n = 0;

        (void)ret_status;
        int r = container_pids(&rune->engine, operands->items[0], &pids, &n, err);
        if (r < 0)
                return r;
        if (n > 0)
                qsort(pids, n, sizeof(*pids), compare_pids);
        return json ? print_json(pids, n, err) : print_table(pids, n, operands, err);
}

const struct command rune_ps = {
        .name = "ps",
        .summary = "list the processes of a container",
        .usage = "<container-id> [options of ps ...]",
        .description = "The table is what ps(1) prints with the options behind the id (-ef unless given), "
                       "cut down to\n"
                       "the container's processes; it needs a PID column.  JSON is an array of process ids.",
        .options = {.options = options, .n = ARRAY_SIZE(options), .rule = OPERANDS_END_OPTIONS},
        .values_size = sizeof(struct ps_values),
        .min_operands = 1,
        .max_operands = SIZE_MAX,
        .check = check,
        .run = run,
};
