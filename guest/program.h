/* SPDX-License-Identifier: Apache-2.0 */
/* program.h - find a program, execute it, and say in full why it doesn't start. */
#pragma once

#include "guest/failure.h"

/* Where programs are looked for where the environment has no PATH; container engines' default. */
#define PROGRAM_DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* The value of `name` in env (NULL-terminated NAME=VALUE entries; may be NULL), or NULL. Belongs to env. */
const char *program_environment(char *const *env, const char *name);

/* Executes argv[0] with argv and env.  A name without a slash is looked for in the PATH of `env`, not of
 * init. Returns only on failure: a negative errno, with *f set.  Where the file is there but its interpreter
 * is not, *f names that. */
int program_execute(char *const *argv, char *const *env, struct failure *f);

/* Writes the path of the interpreter that `path` asks for ("#!" line, or ELF PT_INTERP) to ret_path of `size`
 * bytes; "" where it asks for none or can't be read. */
void program_interpreter(const char *path, char *ret_path, size_t size);
