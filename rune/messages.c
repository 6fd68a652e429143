/* SPDX-License-Identifier: Apache-2.0 */
#include "rune/messages.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/text.h"

#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 16 * ERROR_TEXT_MAX };

static const char *const level_names[] = {
        [LOG_LEVEL_ERROR] = "error",
        [LOG_LEVEL_WARNING] = "warning",
        [LOG_LEVEL_INFO] = "info",
        [LOG_LEVEL_DEBUG] = "debug",
};

static int append_piece(const char *piece, size_t n, void *line)
{
        return buf_append(line, piece, n);
}

/* JSON's quotes are those of Go, too, once what is no text has been made visible. */
static void append_quoted(struct buf *line, const char *text)
{
        cleanup_buf struct buf shown = buf_with_max(LINE_MAX_BYTES / 2);

        if (text_append_printable(view_of_string(text), "\t\n", &shown) < 0)
                (void)buf_append_string(&shown, "...");
        json_t *string = json_stringn(buf_string(&shown), strlen(buf_string(&shown)));
        if (!string || json_dump_callback(string, append_piece, line, JSON_ENCODE_ANY) < 0)
                (void)buf_append_string(line, "\"\"");
        json_decref(string);
}

static void append_json(struct buf *line, enum log_level level, const char *time, const char *text)
{
        (void)buf_printf(line, "{\"level\":\"%s\",\"msg\":", level_names[level]);
        append_quoted(line, text);
        (void)buf_printf(line, ",\"time\":\"%s\"}\n", time);
}

static void append_logfmt(struct buf *line, enum log_level level, const char *time, const char *text)
{
        (void)buf_printf(line, "time=\"%s\" level=%s msg=", time, level_names[level]);
        append_quoted(line, text);
        (void)buf_append_byte(line, '\n');
}

void messages_say(const struct messages *messages, enum log_level level, const char *text)
{
        cleanup_buf struct buf line = buf_with_max(LINE_MAX_BYTES);
        char now[CLOCK_TEXT_MAX];

        /* A person reads a terminal, programs all the rest. */
        if (messages->fd < 0 && !messages->json && isatty(STDERR_FILENO)) {
                log_emit_stderr(NULL, level, text);
                return;
        }
        (void)clock_format(time(NULL), now, sizeof(now));
        if (messages->json)
                append_json(&line, level, now, text);
        else
                append_logfmt(&line, level, now, text);
        (void)fd_write_full(messages->fd < 0 ? STDERR_FILENO : messages->fd, line.p, line.n);
}

static void emit(void *user, enum log_level level, const char *text)
{
        messages_say(user, level, text);
}

int messages_init(struct messages *messages, const char *file, const char *format, enum log_level level,
                  struct error *err)
{
        *messages = (struct messages){.fd = -1, .log = {.level = level, .emit = emit, .user = messages}};
        if (format && strcmp(format, "json") == 0)
                messages->json = true;
        else if (format && *format && strcmp(format, "text") != 0)
                return error_set(err, -EINVAL, "invalid log-format: %s; it is text or json", format);
        if (!file || !*file)
                return 0;
        messages->fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644);
        if (messages->fd < 0)
                return error_errno(err, errno, "--log %s", file);
        return 0;
}

void messages_failed(const struct messages *messages, const char *text)
{
        cleanup_buf struct buf line = buf_with_max(LINE_MAX_BYTES);

        messages_say(messages, LOG_LEVEL_ERROR, text);
        if (messages->fd < 0)
                return;
        (void)text_append_printable(view_of_string(text), "\t\n", &line);
        (void)buf_append_byte(&line, '\n');
        (void)fd_write_full(STDERR_FILENO, line.p, line.n);
}

void messages_done(struct messages *messages)
{
        fd_close_p(&messages->fd);
}
