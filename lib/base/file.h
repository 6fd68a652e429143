/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.h - whole files: read with a limit, written all or not at all, locked, without a name.  Every
 * descriptor made here is close-on-exec.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"

#include <sys/types.h>

/* Reads a whole file, at most `max` bytes, into *ret_b (which must be empty and gets `max` as its ceiling).
 * Refuses anything but a regular file or a pipe; -EFBIG where it is larger.  The error names `path`.
 * `dirfd` may be AT_FDCWD. */
int file_read(int dirfd, const char *path, size_t max, struct buf *ret_b, struct error *err);

/* Reads what is left of `fd`, whatever it is, at most `max` bytes, into *ret_b as above.  0 or -errno. */
int file_read_fd(int fd, size_t max, struct buf *ret_b);

/*
 * A file that appears whole or not at all: written under a temporary name beside its target (O_TMPFILE is not
 * used, so that every file system works), synced, renamed over it by atomic_file_commit().  Anything else, a
 * crash included, leaves the target as it was; the temporary name is ".<name>.<random>.tmp".
 */
struct atomic_file {
        int fd;     /* write here */
        int dirfd;  /* the folder */
        char *name; /* target's name in it */
        char *temporary;
};

#define ATOMIC_FILE_NONE ((struct atomic_file){.fd = -1, .dirfd = -1})

/* Starts writing `path` (relative to dirfd or AT_FDCWD) with `mode`, less the umask.  *ret_f owns its fds;
 * end it with commit or abort. */
int atomic_file_begin(int dirfd, const char *path, mode_t mode, struct atomic_file *ret_f, struct error *err);

/* Syncs and renames. On failure the temporary is gone. Either way *f is done with. */
int atomic_file_commit(struct atomic_file *f, struct error *err);

/* Removes the temporary. Safe on a committed or never begun file; the cleanup of cleanup_atomic_file. */
void atomic_file_abort(struct atomic_file *f);
#define cleanup_atomic_file CLEANUP(atomic_file_abort)

/* Writes `content` to `path` in one atomic step. */
int file_write_atomic(int dirfd, const char *path, struct view content, mode_t mode, struct error *err);

/* Takes an exclusive flock(2) on `path`, made if missing (mode 0600), waiting for it.  *ret_fd holds it until
 * closed. */
int file_lock(int dirfd, const char *path, int *ret_fd, struct error *err);

/* Opens a fresh file without a name, for reading and writing (mode 0600), in `folder` (NULL: $TMPDIR, else
 * /var/tmp); *ret_fd is the caller's.  The error names the folder. */
int file_unnamed(const char *folder, int *ret_fd, struct error *err);

/* As file_unnamed(), with a second descriptor of it, for reading only and at its beginning, which processes
 * of other users can open again (mode 0444).  Once *ret_writer is closed nobody can change the file. */
int file_unnamed_with_reader(const char *folder, int *ret_writer, int *ret_reader, struct error *err);
