/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings.h - the global options as what lib/container takes.
 */
#pragma once

#include "rune/rune.h"

#include <limits.h>

/* The log and what goes there, in rune->messages. */
int settings_messages(const struct global_values *globals, struct rune *rune, struct error *err);

/* The rest: rune->engine, whose root points to `root`. */
int settings_engine(const struct global_values *globals, char root[PATH_MAX], struct rune *rune,
                    struct error *err);

/* Writes `path` as an absolute one without ".", "..", or doubled slashes to ret_path, by its text alone.
 * -ENAMETOOLONG, or getcwd(3)'s error. */
int settings_absolute(const char *path, char ret_path[PATH_MAX]);
