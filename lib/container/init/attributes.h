/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attributes.h - what a process is before it becomes the payload: who, what it may, how it is scheduled.
 * Each call sets what the process object says, and nothing where it is silent.  The order in which they
 * must be called is init_create()'s affair and explained there. Sources: runtime-spec config.md "Process",
 * config-linux.md; credentials(7), capabilities(7), sched_setattr(2), ioprio_set(2), set_mempolicy(2),
 * personality(2), seccomp(2).
 */
#pragma once

#include "lib/base/error.h"
#include "lib/container/plan.h"

/* Resource limits. */
int attributes_rlimits(const struct spec_process *process, struct error *err);

/* Raises the hard limits that are to be higher, and nothing else: only the host's root may, so this comes
 * before a user namespace is entered. */
int attributes_raise_rlimits(const struct spec_process *process, struct error *err);

/* Scheduler and I/O priority. */
int attributes_scheduling(const struct spec_process *process, struct error *err);

/* The CPUs it may run on, as a list "0-3,7"; NULL: any. */
int attributes_affinity(const char *cpus, struct error *err);

/* All CPUs that our cpuset has, whatever our starter was confined to. */
void attributes_all_cpus(void);

/* NUMA memory policy (NULL: none) and personality of the container. */
int attributes_memory_policy(const struct spec_memory_policy *policy, struct error *err);
int attributes_personality(unsigned long value, struct error *err);

/* How readily the kernel kills it when out of memory; while the process is dumpable and the host's root. */
int attributes_oom_score(const struct plan *plan, const struct spec_process *process, struct error *err);

/* A new session keyring "_ses.<id>" (of an exec: the container's), labelled where the process has an SELinux
 * label.  Where another user has made one of that name it is one without a name, which is warned of. */
int attributes_keyring(const struct plan *plan, const struct spec_process *process, struct error *err);

/* AppArmor and SELinux labels for the coming execve, through a checked procfs. */
int attributes_labels(const struct plan *plan, const struct spec_process *process, struct error *err);

/* Bounding set; then groups, gid, uid with the permitted set kept (stdio becomes the user's); then all five
 * sets, less what can't be granted, with a warning; no_new_privs. */
int attributes_bounding_set(const struct spec_process *process, struct error *err);
int attributes_identity(const struct plan *plan, const struct spec_process *process, struct error *err);
int attributes_capabilities(const struct plan *plan, const struct spec_process *process, struct error *err);
int attributes_no_new_privileges(const struct spec_process *process, struct error *err);

/* Loads the filter; *ret_listener is the listener where the plan has one (the caller's), else -1. */
int attributes_seccomp(const struct plan_seccomp *seccomp, int *ret_listener, struct error *err);
