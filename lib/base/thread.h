/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread.h - threads that libraries start for themselves.
 */
#pragma once

#include <pthread.h>

/* Starts `work`(`user`) on a thread that blocks every signal: signals are the business of the program's own
 * threads.  *ret_thread is for pthread_join().  0 or -errno. */
int thread_start(void *(*work)(void *user), void *user, pthread_t *ret_thread);
