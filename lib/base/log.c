/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/log.h"

#include "lib/base/error.h"
#include "lib/base/text.h"

#include <stdarg.h>
#include <stdio.h>

void log_say(const struct log *log, enum log_level level, const char *format, ...)
{
        char text[ERROR_TEXT_MAX * 2];
        va_list args;

        if (!log || !log->emit || level > log->level)
                return;
        va_start(args, format);
        (void)vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        log->emit(log->user, level, text);
}

void log_emit_stderr(void *user, enum log_level level, const char *text)
{
        static const char *const names[] = {
                [LOG_LEVEL_ERROR] = "ERROR",
                [LOG_LEVEL_WARNING] = "WARNING",
                [LOG_LEVEL_INFO] = "INFO",
                [LOG_LEVEL_DEBUG] = "DEBUG",
        };

        cleanup_buf struct buf shown = buf_with_max((size_t)8 * ERROR_TEXT_MAX);

        (void)user;
        /* Half of all errors quote what they complain about. */
        (void)text_append_printable(view_of_string(text), "", &shown);
        fprintf(stderr, "%s: %s\n", names[level], buf_string(&shown));
}
