/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandbox.h - what a process gives up before it runs a program that may fall to its input.
 *
 * The calls are for the child between fork() and exec().  They set no_new_privs, last for ever and pass on
 * to all descendants.  Where the kernel lacks a facility they answer -ENOSYS or -EOPNOTSUPP, and the caller
 * decides.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A file, or a folder with all in it, that may still be opened. */
struct sandbox_path {
        const char *path; /* NULL: `fd`; one that leads nowhere, or nowhere for us, is left out */
        int fd;
        bool execute; /* programs in it may be run, too */
        bool write;
        bool manage; /* a folder: files in it may be made, written, renamed and removed */
};

/* From now on only these can be opened, whatever their modes allow; nothing can be made or removed
 * elsewhere, no TCP port bound or dialled, and no process traced that isn't restricted likewise.
 * Descriptors that are open stay usable.  By Landlock.  0 or -errno. */
int sandbox_restrict_files(const struct sandbox_path *paths, size_t n);

/* From now on files can be written, made and removed only in these, which have `write` or `manage`; all
 * can still be read and run.  By Landlock.  0 or -errno. */
int sandbox_restrict_writes(const struct sandbox_path *paths, size_t n);

/* From now on no process can be signalled and no abstract Unix socket connected to but those of our
 * descendants.  By Landlock, from its sixth version on.  0 or -errno. */
int sandbox_restrict_signals(void);

/* Gives up all capabilities but those in `keep` (1 << CAP_...), for good.  0 or -errno. */
int sandbox_keep_capabilities(uint64_t keep);

/* From now on the calls fail with EPERM that make or name a socket, reach into other processes, change
 * what is mounted or drive parts of the kernel that no machine needs (bpf, io_uring, keyrings, namespaces,
 * modules, performance counters).  By seccomp.  0 or -errno. */
int sandbox_deny_calls(void);

/* As sandbox_deny_calls(), for a program that has to make sockets. */
int sandbox_deny_kernel_calls(void);

/* A system call that stays allowed: its number, and where `only_with` is above 0, only where its argument
 * number `argument` (from 0) has that value. */
struct sandbox_call {
        unsigned number;
        unsigned argument;
        uint32_t only_with;
};

enum { SANDBOX_CALLS_MAX = 200 };

/* From now on only these calls work, in all threads of the process; all others fail with EPERM, but clone3
 * with ENOSYS, which the C library takes for an older kernel.  At most SANDBOX_CALLS_MAX.  By seccomp.  0
 * or -errno. */
int sandbox_allow_calls(const struct sandbox_call *calls, size_t n);

/* What a call here answers on an older kernel, or one that was built or booted without the facility. */
bool sandbox_is_lacking(int r);
