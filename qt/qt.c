/* SPDX-License-Identifier: Apache-2.0 */
#include "qt/qt.h"
#include "lib/base/fd.h"
#include "lib/format/json.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What an image says of itself has 4 MiB at most; a stranger's may nest so that it is all indents. */
enum { OUTPUT_MAX = 64 * 1024 * 1024 };

/* knack's rule: colour only where both outputs are terminals. */
static bool has_colour(void)
{
        const char *no_color = getenv("NO_COLOR");

        return isatty(STDOUT_FILENO) && isatty(STDERR_FILENO) && !(no_color && *no_color);
}

/* A reader that has seen enough (`| head -1`) is no failure. */
static int write_stdout(const void *p, size_t n, const struct log *log)
{
        int r = fd_write_full(STDOUT_FILENO, p, n);

        if (r == 0 || r == -EPIPE)
                return QT_OK;
        log_error(log, "cannot write to stdout: %s", strerror(-r));
        return QT_FAILED;
}

static int render(const struct qt *qt, json_t *result, struct buf *b, struct error *err)
{
        cleanup_json json_t *filtered = NULL, *made = NULL;
        struct output_style style = {.format = qt->format,
                                     .colour = has_colour(),
                                     .terminal = isatty(STDOUT_FILENO),
                                     .query_active = qt->query != NULL};

        if (!result)
                return error_oom(err);
        if (qt->query) {
                int r = jmespath_search(qt->query, result, &filtered, &made, NULL, err);
                if (r < 0) {
                        error_wrap(err, "--query");
                        return r;
                }
        }
        style.made = made;
        return output_write(qt->query ? filtered : result, &style, b, err);
}

int qt_print_result(const struct qt *qt, json_t *result)
{
        cleanup_buf struct buf b = buf_with_max(OUTPUT_MAX);
        struct error err = {0};

        if (render(qt, result, &b, &err) < 0)
                return qt_fail(qt, &err);
        return write_stdout(b.p, b.n, &qt->log);
}

int qt_print_text(const struct qt *qt, const char *text)
{
        const struct log fallback = {.level = LOG_LEVEL_ERROR, .emit = log_emit_stderr};

        return write_stdout(text, strlen(text), qt ? &qt->log : &fallback);
}

int qt_fail(const struct qt *qt, const struct error *err)
{
        log_error(&qt->log, "%s", error_text(err));
        return QT_FAILED;
}

int qt_usage(const struct qt *qt, const char *format, ...)
{
        cleanup_buf struct buf text = buf_with_max(1 << 20);
        cleanup_free char *message = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&message, format, ap) < 0)
                message = NULL;
        va_end(ap);
        cli_usage_error(&qt_program, qt->parsed, &text, "%s", message ? message : "out of memory");
        fputs(buf_string(&text), stderr);
        return QT_USAGE;
}

const char *qt_text(const struct qt *qt, size_t index)
{
        return qt->parsed->values[index].text;
}

uint64_t qt_number(const struct qt *qt, size_t index)
{
        return qt->parsed->values[index].number;
}

const char *const *qt_list(const struct qt *qt, size_t index)
{
        return qt->parsed->values[index].list;
}

bool qt_given(const struct qt *qt, size_t index)
{
        return qt->parsed->values[index].given;
}
