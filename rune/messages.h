/* SPDX-License-Identifier: Apache-2.0 */
/*
 * messages.h - what rune tells: to --log's file and to standard error, in the forms that engines read.
 *
 * containerd's shim (so Docker, too) reads the file and shows the last error's "msg"; conmon (so Podman and
 * CRI-O) reads standard error.  Each message is one write of one line, and a file is only appended to, so
 * that several processes may share it. Forms: those of Go's logrus.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/base/log.h"

#include <stdbool.h>

struct messages {
        int fd; /* of --log's file; -1: standard error takes its place */
        bool json;
        struct log log; /* gives what it gets to messages_say() */
};

/* Prepares *messages, whose address must not change: to `file` (made if missing; NULL or "": standard
 * error), in `format` "text", "json" or NULL. */
int messages_init(struct messages *messages, const char *file, const char *format, enum log_level level,
                  struct error *err);

/* Writes one message. */
void messages_say(const struct messages *messages, enum log_level level, const char *text);

/* Says why a command failed: as an error in the log, and where that is a file to standard error as well. */
void messages_failed(const struct messages *messages, const char *text);

/* Closes the file. */
void messages_done(struct messages *messages);
