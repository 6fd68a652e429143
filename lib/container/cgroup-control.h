/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup-control.h - what is done to the processes of a running container's groups, and what is read there.
 */
#pragma once

#include "lib/container/cgroup.h"

/* Stops, or lets go on, every process in the group and those below; returns once it is so. -ENOTSUP where
 * the host has no freezer. */
int cgroup_freeze(struct cgroup *cgroup, struct error *err);
int cgroup_thaw(struct cgroup *cgroup, struct error *err);

/* *ret_frozen: whether it is stopped (or about to be). */
int cgroup_is_frozen(struct cgroup *cgroup, bool *ret_frozen, struct error *err);

/* All process ids in the group and those below, on the heap for the caller to free. */
int cgroup_pids(struct cgroup *cgroup, pid_t **ret_pids, size_t *ret_n, struct error *err);

/* Sends `signal` to all of them; for SIGKILL none escapes by forking. */
int cgroup_signal(struct cgroup *cgroup, int signal, struct error *err);

/* Figures as `runc events` prints them below "data": cpu, cpuset, memory, pids, blkio, hugetlb, intel_rdt
 * left to others. */
int cgroup_stats(struct cgroup *cgroup, json_t **ret_stats, struct error *err);

/* How often the OOM killer came, and a descriptor that becomes readable (EPOLLIN or EPOLLPRI) when it may
 * have come again: v1 eventfd, v2 memory.events. The descriptor is the caller's. */
int cgroup_oom_events(struct cgroup *cgroup, int *ret_fd, struct error *err);
int cgroup_oom_count(struct cgroup *cgroup, uint64_t *ret_count, struct error *err);

/* ---- groups within the container's --------------------------------------------------------------------- */

/* A handle of the group `path` (as `exec --cgroup` gives it; ".." leads no higher than the container's own
 * group) below the container's, which must be there; the caller frees it. */
int cgroup_open_subgroup(const struct cgroup *cgroup, const char *path, struct cgroup **ret_subgroup,
                         struct error *err);

/* The same of the group in which `pid`, the container's first process, is now: where a further process goes
 * when the container's own group answers EBUSY, because the container has cut it up (v2). */
int cgroup_open_group_of(const struct cgroup *cgroup, pid_t pid, struct cgroup **ret_group,
                         struct error *err);

/* Gives the group (v2) to `uid`, the container's root as the host knows it, so that the container can make
 * groups in it: right only where the container has a cgroup namespace of its own and sees the hierarchy
 * writable.  Limits stay ours.  Source: runtime-spec config-linux.md "Cgroup ownership". */
int cgroup_delegate(struct cgroup *cgroup, uid_t uid, struct error *err);
