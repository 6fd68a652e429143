/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target.h - the thread that made a call: its memory, descriptors and paths.
 *
 * Thread numbers are used again.  So a target is found once by its number, and the call is then checked to
 * be still wanted; from there on all goes through a descriptor of its folder in /proc, which never leads to
 * another thread's.
 *
 * The thread's memory is its own and other threads', who may write to it at any time.  What decides is read
 * once, and it is that copy that is acted on.
 */
#pragma once

#include "ne-emulator/call.h"

#include <sys/stat.h>

struct target {
        pid_t tid;
        int proc_fd; /* its folder in /proc */
        int mem_fd;  /* its memory, once something was read or written; else -1 */
};

#define TARGET_NONE ((struct target){.proc_fd = -1, .mem_fd = -1})

/* The thread behind a call.  0 or -errno (-ESRCH: it no longer waits; -EACCES: it doesn't let us look, as a
 * process does that switched off PR_SET_DUMPABLE).  For target_done(). */
int target_open(const struct call *call, struct target *ret_target);

/* Closes it. Safe on TARGET_NONE. */
void target_done(struct target *target);
#define cleanup_target __attribute__((cleanup(target_done)))

/* Reads n bytes at `address`. 0, or -EFAULT where not all of them are there. */
int target_read(struct target *target, uint64_t address, void *ret_bytes, size_t n);

/* Writes n bytes to `address`. 0 or -EFAULT. */
int target_write(struct target *target, uint64_t address, const void *bytes, size_t n);

/* Reads a string of at most `size` - 1 bytes out of the calling thread's memory, without more ado: for a
 * first look, by which nothing is decided but that a call is none of ours.  False where there is none. */
bool target_peek_string(pid_t tid, uint64_t address, char *ret_text, size_t size);

/* What the target's descriptor `fd` is, or -errno. */
int target_fstat(const struct target *target, int fd, struct stat *ret_stat);

/* The status flags (O_NONBLOCK and so on) of the target's descriptor, or -errno. */
int target_fd_flags(const struct target *target, int fd);

/* A copy of the target's descriptor for ourselves. 0 or -errno. */
int target_copy_fd(const struct target *target, int fd, int *ret_fd);

/* Where (dirfd, path) leads by its text, in the target's own root: an absolute path without "." and "..".
 * `below` is set where the path is to be read as though dirfd were the root.  0 or -errno. */
int target_resolve(const struct target *target, int dirfd, const char *path, bool below, char *ret_path,
                   size_t size);

/* The thread's process, or -errno. */
pid_t target_process(const struct target *target);

/* True where `target` and the process `pid`, which must be alive, have one memory. */
bool target_shares_memory(const struct target *target, pid_t pid);
