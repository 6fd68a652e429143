/* SPDX-License-Identifier: Apache-2.0 */
#include "rune/process-list.h"
#include "lib/base/text.h"

#include <stdlib.h>
#include <string.h>

enum { NUMBER_MAX = 16 };

/* The next line without its end; *rest moves behind it. False where there is none. */
static bool next_line(struct view *rest, struct view *ret_line)
{
        if (rest->n == 0)
                return false;
        const uint8_t *end = memchr(rest->p, '\n', rest->n);
        size_t n = end ? (size_t)(end - rest->p) : rest->n;

        *ret_line = view_of(rest->p, n);
        n += end != NULL;
        *rest = view_of(rest->p + n, rest->n - n);
        return true;
}

static bool is_blank(uint8_t byte)
{
        return byte == ' ' || byte == '\t';
}

/* The word at place `n` in `line`, counted from 0; empty where it has fewer. */
static struct view nth_word(struct view line, size_t n)
{
        size_t at = 0;

        for (;; n--) {
                while (at < line.n && is_blank(line.p[at]))
                        at++;
                size_t from = at;
                while (at < line.n && !is_blank(line.p[at]))
                        at++;
                if (n == 0 || from == at)
                        return view_of(line.p + from, at - from);
        }
}

static int compare_pids(const void *a, const void *b)
{
        pid_t left = *(const pid_t *)a, right = *(const pid_t *)b;

        return (left > right) - (left < right);
}

static int pid_column(struct view titles, size_t *ret_column, struct error *err)
{
        for (size_t i = 0;; i++) {
                struct view word = nth_word(titles, i);

                if (word.n == 0)
                        return error_set(err, -EINVAL, "couldn't find PID field in ps output");
                if (view_equal(word, view_of_string("PID"))) {
                        *ret_column = i;
                        return 0;
                }
        }
}

static int parse_pid(struct view word, pid_t *ret_pid, struct error *err)
{
        char number[NUMBER_MAX];
        uint64_t pid;

        text_printable(word, number, sizeof(number));
        if (!parse_u64(number, INT32_MAX, &pid))
                return error_set(err, -EINVAL, "unable to parse pid: \"%s\" in ps output", number);
        *ret_pid = (pid_t)pid;
        return 0;
}

int process_list_filter(struct view listing, const pid_t *pids, size_t n_pids, struct buf *text,
                        struct error *err)
{
        struct view line;
        size_t column;

        if (!next_line(&listing, &line))
                return error_set(err, -EINVAL, "ps printed nothing");
        int r = pid_column(line, &column, err);
        if (r < 0)
                return r;
        do {
                (void)buf_append_view(text, line);
                (void)buf_append_byte(text, '\n');
                for (bool wanted = false; !wanted;) {
                        pid_t pid;

                        if (!next_line(&listing, &line))
                                return text->failed ? error_oom(err) : 0;
                        if (line.n == 0)
                                continue;
                        r = parse_pid(nth_word(line, column), &pid, err);
                        if (r < 0)
                                return r;
                        wanted = bsearch(&pid, pids, n_pids, sizeof(*pids), compare_pids) != NULL;
                }
        } while (true);
}
