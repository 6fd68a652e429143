/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seccomp-internal.h - what the parts of seccomp.h share: rules to a program, and the cache of programs.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/container/seccomp.h"

/* A program on the heap, before it moves into an arena. */
struct seccomp_program {
        struct sock_filter *filter;
        size_t n;
        unsigned flags; /* SECCOMP_FILTER_FLAG_*, as the kernel takes them but for NEW_LISTENER */
};

/* Frees the instructions. */
void seccomp_program_done(struct seccomp_program *program);
#define cleanup_seccomp_program CLEANUP(seccomp_program_done)

/* True where a rule's action hands the call to a listener. */
bool seccomp_has_notify(const struct spec_seccomp *seccomp);

/* Rules to BPF by libseccomp, checked against this kernel; *ret_program is the caller's.  As
 * seccomp_compile() says. */
int seccomp_program_make(const struct spec_seccomp *seccomp, const struct log *log,
                         struct seccomp_program *ret_program, struct error *err);

/* All that a program depends on, the versions of libseccomp and of this code, and the running kernel
 * included, as bytes from which each differing input differs. 0, -ENOMEM or -E2BIG (with the buffer's
 * ceiling). */
int seccomp_cache_key(const struct spec_seccomp *seccomp, struct buf *key);

/* Looks the program of `key` up in the folder.  1: found, *ret_program (in `arena`) has filter, n and flags
 * set; 0: it isn't there, or not to be trusted; -ENOMEM. */
int seccomp_cache_load(const char *folder, struct view key, struct arena *arena,
                       struct plan_seccomp *ret_program);

/* Keeps a program; the oldest entries give way where there are too many. */
int seccomp_cache_store(const char *folder, struct view key, const struct seccomp_program *program,
                        struct error *err);
