/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command.h - the command under the filter, and its end, whoever ends first.
 *
 *     emulator        answers calls
 *       guard         waits for the command, and ends whatever it left running
 *         command     under the filter, with all that it starts
 *
 * The guard ends all below it when the command has ended, and when the emulator has, however that happens;
 * where the guard itself is killed, the emulator does its work.
 */
#pragma once

#include "lib/base/error.h"

#include <stdbool.h>
#include <sys/types.h>

struct command {
        pid_t guard;
        int guard_pidfd; /* readable once all has ended */
        int listener;    /* where the command's calls wait */
};

#define COMMAND_NONE ((struct command){.guard_pidfd = -1, .listener = -1})

enum { COMMAND_NOT_FOUND = 127, COMMAND_NOT_EXECUTABLE = 126 };

/* Starts argv (ended by NULL; argv[0] is looked up in PATH) with our standard streams and environment.  A
 * command that cannot be executed shows as its exit status, 126 or 127, with a message on standard error.
 * For command_end(). */
int command_start(char *const argv[], bool huge_pages, struct command *ret_command, struct error *err);

/* After guard_pidfd became readable: the exit status, 128 plus the number of the signal where one ended
 * it. */
int command_status(struct command *command);

/* Ends what is left below us, the emulator's own children included, and closes. Safe on COMMAND_NONE. */
void command_end(struct command *command);
