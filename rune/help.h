/* SPDX-License-Identifier: Apache-2.0 */
/*
 * help.h - the tables as text for people, laid out as runc's help is.
 */
#pragma once

#include "lib/base/buf.h"
#include "rune/rune.h"

/* Appends what `rune --help` prints. 0 or -errno as buf_append, here and below. */
int help_program(const char *name, struct buf *text);

/* Appends what `rune COMMAND --help` prints. */
int help_command(const char *name, const struct command *command, struct buf *text);

/* Appends "rune create [options] <container-id>". */
int help_usage(const char *name, const struct command *command, struct buf *text);
