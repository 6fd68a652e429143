/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - messages for people.  A library gets a `const struct log *` from its caller and says debug and
 * warning through it; only the program decides where the text goes.  NULL is a log that drops everything.
 */
#pragma once

#include <stdbool.h>

enum log_level {
        LOG_LEVEL_ERROR,
        LOG_LEVEL_WARNING,
        LOG_LEVEL_INFO,
        LOG_LEVEL_DEBUG,
};

struct log {
        enum log_level level; /* messages above it are dropped before they are formatted */
        /* Gets each message without newline. `user` is the log's. */
        void (*emit)(void *user, enum log_level level, const char *text);
        void *user;
};

/* Says `format` at a level. `log` may be NULL. */
void log_say(const struct log *log, enum log_level level, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

#define log_error(log, ...)   log_say(log, LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(log, ...) log_say(log, LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(log, ...)    log_say(log, LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(log, ...)   log_say(log, LOG_LEVEL_DEBUG, __VA_ARGS__)

/* An emitter for programs: "LEVEL: text" on stderr, in one write. `user` is ignored. */
void log_emit_stderr(void *user, enum log_level level, const char *text);
