/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program.h - all of rune but main(), so that tests can call it.
 */
#pragma once

/* Does what argv, NULL-terminated and reordered on the way, asks for; the exit status. */
int program_run(char **argv);
