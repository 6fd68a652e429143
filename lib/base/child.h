/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child.h - start a program with exactly the descriptors it should have, and learn how it ended.
 *
 * The child gets: argv, env, the listed descriptors at the listed numbers and no other (close_range),
 * default signal dispositions, an empty signal mask, and PR_SET_PDEATHSIG so that it never outlives us
 * where asked. A program that cannot be executed is an error of child_start(), not a mysterious exit
 * status.
 */
#pragma once

#include "lib/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Descriptor `from` in the parent becomes `to` in the child. */
struct child_fd {
        int from;
        int to;
};

struct child_spec {
        const char *path;           /* what is executed; NULL: argv[0] */
        int program;                /* or, where above 0: the executable behind this descriptor */
        const char *const *argv;    /* NULL-terminated; argv[0] is looked up in PATH unless it has a slash */
        const char *const *env;     /* NULL-terminated, or NULL for ours */
        const struct child_fd *fds; /* 0, 1 and 2 are /dev/null unless listed */
        size_t n_fds;
        uid_t uid; /* (uid_t)-1: unchanged; else groups are set to `groups` */
        gid_t gid;
        const gid_t *groups;
        size_t n_groups;
        int namespaces;       /* CLONE_NEW...: fresh ones, as far as we may make them */
        bool die_with_parent; /* SIGKILL when the starting thread ends */
        bool new_session;
        /* Or NULL: called last in the child, before the program is executed; 0, or -errno to give up. */
        int (*confine)(void *user);
        void *confine_user;
};

struct child {
        pid_t pid; /* 0 where none */
        int pidfd; /* readable once it ended */
};

#define CHILD_NONE ((struct child){.pid = 0, .pidfd = -1})

/* Starts the program. *ret_child owns the process until child_wait() or child_kill(). */
int child_start(const struct child_spec *spec, struct child *ret_child, struct error *err);

/* Waits for the end and reaps. *ret_status is as waitpid(2) gives it. 0 or -errno. */
int child_wait(struct child *child, int *ret_status);

/* SIGKILL, reap, close. Safe on CHILD_NONE. */
void child_kill(struct child *child);
