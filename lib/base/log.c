/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/log.h"

#include "lib/base/error.h"

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

        (void)user;
        fprintf(stderr, "%s: %s\n", names[level], text);
}
