/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target.h - a file that appears whole or not at all, even where Ctrl-C comes in the middle of long work.
 *
 * The work itself (downloads, hashing) need not look at signals: a thread waits for them, removes the
 * temporary file and ends the process.  A lock keeps it from doing so while the file is renamed.
 */
#pragma once

#include "lib/base/file.h"
#include "qt/progress.h"

#include <pthread.h>
#include <signal.h>

struct target {
        struct atomic_file file;
        struct progress *progress; /* cleared before the process ends; not owned */
        pthread_mutex_t lock;      /* over `file` */
        sigset_t signals;
};

/* Begins writing `path`, and holds up SIGINT, SIGTERM and SIGHUP until target_watch().  `target` must live as
 * long as the process.  -EISDIR where the path is a folder, -ELOOP where it is a symbolic link. */
int target_begin(struct target *target, const char *path, struct progress *progress, struct error *err);

/* From now on those signals end the process with status 1.  By a thread: what a process gives up of its
 * rights thread by thread, it must have given up before. */
int target_watch(struct target *target, struct error *err);

/* Puts the file in its place. */
int target_commit(struct target *target, struct error *err);

/* Removes the temporary file, if any. */
void target_abort(struct target *target);
