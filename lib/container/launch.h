/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launch.h - makes the process that becomes a container's: container-init, executed from memory.
 *
 * Theory of operation.  The executable is in a sealed memory file (memory-image.h).  The process is cloned
 * with CLONE_VFORK, in rune's own memory, and does nothing but keep the listed descriptors open and execute.
 * It is in its new PID namespace from birth, where nobody else is yet who could look at it before it
 * executes; a namespace that others are in is joined by container-init itself, after that, and a user
 * namespace made by it.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/base/view.h"

#include <stddef.h>
#include <sys/types.h>

struct launch {
        struct view image; /* the executable: container-init, or runelet (init-image.h) */
        int arena_fd;      /* the plan; inherited */
        const int *fds;    /* inherited as well; negative ones are passed over */
        size_t n_fds;
        char *const *env;         /* its environment, NULL-terminated; NULL: empty */
        unsigned long namespaces; /* CLONE_NEW* that it begins in */
        int cgroup_fd;            /* v2 group that it begins in; -1: ours */
        int folder;               /* where an executable without a name can be made, if not in memory */
        int *failure;             /* a cell of the arena, for its errno where it can't be executed */
};

/* Its NULL included. */
enum { LAUNCH_PAL_ENVIRONMENT_MAX = 3 };

/* Chooses of our environment what a PAL finds its user's state on this machine by, COFFER_STATE_DIR and
 * XDG_RUNTIME_DIR, and no secret.  The strings are the environment's; container-init needs none. */
void launch_pal_environment(char *ret_env[static LAUNCH_PAL_ENVIRONMENT_MAX]);

/* Starts container-init, our child from then on, which dies with us (PR_SET_PDEATHSIG).  *ret_in_cgroup is
 * 1 where it began in cgroup_fd, 0 where this kernel can't do that.  The error says which step failed. */
int launch_init(const struct launch *launch, pid_t *ret_pid, int *ret_in_cgroup, struct error *err);
