/* SPDX-License-Identifier: Apache-2.0 */
/*
 * background.h - into the background, with somebody left behind who tells the starter what became of us.
 */
#pragma once

#include "lib/enclave/launch.h"

/* Sends the starter the answer that its start has failed, on `socket`. */
void background_tell(int socket, int code, const char *text);

/* Returns in a child that belongs to no terminal and to no command.  The process itself closes `fds` and
 * stays, as long as the starter waits: where the child ends meanwhile, it tells the starter how.  Then it
 * ends.  -errno where there can be no child. */
int background_enter(int socket, const int fds[LAUNCH_FDS], struct error *err);
