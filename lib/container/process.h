/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.h - processes by pid and start time, so that a number that was given to another process since is
 * never taken for a container's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Field 22 of /proc/<pid>/stat: clock ticks after boot when the process started.  -ESRCH where there is none,
 * or where it has ended and is only not reaped yet. */
int process_start_time(pid_t pid, uint64_t *ret_start_time);

/* True where the process is there, has not ended, and started then. */
bool process_is(pid_t pid, uint64_t start_time);

/* A pidfd of the process that started then; the caller's.  -ESRCH where it is gone, -ENOSYS before Linux
 * 5.3. */
int process_open(pid_t pid, uint64_t start_time, int *ret_pidfd);

/* Sends a signal to the process that started then (through a pidfd where the kernel has one). -ESRCH where
 * it is gone. */
int process_signal(pid_t pid, uint64_t start_time, int signal);

/* Waits until the process has ended, at most `timeout_ms`. -ETIME where it hasn't. */
int process_wait_end(pid_t pid, uint64_t start_time, int timeout_ms);

/* How the process ended, as of waitpid(2), where it has just done so and nobody has reaped it yet.
 * -ESRCH where it is gone; -ETIME where it hasn't ended. */
int process_end(pid_t pid, uint64_t start_time, int *ret_status);
