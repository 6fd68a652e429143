/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay.h - stands between a terminal and a process in the foreground: signals and terminal input go to the
 * process, its output and its exit status come back.
 *
 * relay_begin() is called before the process runs, so that no signal for it is lost and none ends us.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/base/log.h"

#include <signal.h>
#include <sys/types.h>

struct relay {
        sigset_t caught; /* blocked since relay_begin() */
        sigset_t before;
        int notify; /* socket whose messages notify_take() gets, or -1 */
        const struct log *log;
};

/* Blocks the signals that are to be passed on. */
void relay_begin(struct relay *ret_relay);

/*
 * Before the payload writes or asks: gives the terminal whose master `console` is the size of ours, where we
 * have one, and has its lines end with a newline alone, as they would in a pipe.  What they come out at, if
 * it is a terminal, does the rest.
 */
void relay_prepare(int console);

/* Passes on until `pid`, our child, ends; further children are reaped.  `console` is the master of its
 * terminal, or -1: ours (0, 1) is then put into raw mode meanwhile.  An input that ends is ended for whoever
 * reads the terminal.  *ret_status is the exit status, 128+n for signal n. */
int relay_run(const struct relay *relay, pid_t pid, int console, int *ret_status, struct error *err);

/* Unblocks what relay_begin() blocked; what has come for a process that is gone by now is dropped.  To be
 * called once all is cleared up. */
void relay_end(const struct relay *relay);
