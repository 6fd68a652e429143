/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup.h - the control groups of a container: v1 (split), hybrid, v2, or none; by the file system or by
 * systemd.
 *
 * A group is made by cgroup_create(), which finds out what the host has, or opened from a state file; it gets
 * its limits by cgroup_apply() and processes by cgroup_enter(), cgroup_clone_fd() or cgroup_open_tasks().
 * Under systemd the scope comes to be with its first process, in cgroup_enter().  Nothing here follows a path
 * of the container.
 *
 * Sources: cgroups(7), kernel Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst, runtime-spec
 * config-linux.md "Control groups" (conversion of shares and weights as in crun(1)).
 */
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/log.h"
#include "lib/container/arena.h"
#include "lib/container/plan.h"
#include "lib/container/spec.h"

#include <jansson.h>

struct cgroup;

struct cgroup_request {
        const char *id;
        const char *path;                     /* linux.cgroupsPath, or NULL: one is made of the id */
        bool systemd;                         /* path is "slice:prefix:name" */
        bool disabled;                        /* none is made, whatever path says */
        bool rootless;                        /* go without where the user has no right to make groups */
        const struct spec_pairs *annotations; /* org.systemd.property.*, run.oci.systemd.subgroup */
        const struct spec_resources
                *resources; /* some (a device filter) must be known as the group comes to be */
};

/* Makes the group (not under systemd, where cgroup_enter() does).  -EEXIST where it has processes. */
int cgroup_create(const struct cgroup_request *request, const struct log *log, struct cgroup **ret_cgroup,
                  struct error *err);

/* A descriptor of the v2 group's folder for CLONE_INTO_CGROUP, the cgroup's; -1 where there is none (yet). */
int cgroup_clone_fd(const struct cgroup *cgroup);

/*
 * The way in that costs nothing: opens `tasks` of the group in each v1 hierarchy for container-init, which
 * enters by writing "0" there.  A process that moves itself alone needs no lock against its own threads,
 * while an id written to cgroup.procs from outside makes the kernel wait for an RCU grace period, 4 to 10
 * ms on a machine at rest (measured; kernel/cgroup/cgroup.c, cgroup_procs_write_start).  The descriptors
 * are close-on-exec and the caller's, in an array on the heap; n is 0 where there is no v1 hierarchy, or
 * systemd makes the group.
 */
int cgroup_open_tasks(const struct cgroup *cgroup, int **ret_fds, size_t *ret_n, struct error *err);

/* Puts a process into the group, in every hierarchy: for those that can't enter by themselves, or by
 * CLONE_INTO_CGROUP. */
int cgroup_enter(struct cgroup *cgroup, pid_t pid, struct error *err);

/* Sets limits and device rules.  What `resources` doesn't mention stays.  What this host has no controller
 * for is an error that names it, but for what the specification allows to be ignored: then a warning. */
int cgroup_apply(struct cgroup *cgroup, const struct spec_resources *resources, struct error *err);

/* What of it goes into the state file; a new reference, NULL when out of memory. */
json_t *cgroup_to_json(const struct cgroup *cgroup);

/* The cgroup of a state file. */
int cgroup_from_json(const json_t *json, const struct log *log, struct cgroup **ret_cgroup,
                     struct error *err);

/* Describes the hierarchies for container-init, in the plan's arena. */
int cgroup_describe(const struct cgroup *cgroup, struct arena *arena, struct plan_cgroup *ret_description,
                    struct error *err);

/* Kills what is left in it, waits until it is empty (bounded), removes it and all below.  Missing is
 * success. */
int cgroup_destroy(struct cgroup *cgroup, struct error *err);

/* Frees the handle only. NULL-safe. */
void cgroup_free(struct cgroup *cgroup);
DEFINE_CLEANUP(cleanup_cgroup_p, struct cgroup *, cgroup_free)
#define cleanup_cgroup CLEANUP(cleanup_cgroup_p)
