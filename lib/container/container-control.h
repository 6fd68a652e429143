/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container-control.h - looking at containers, and changing running ones.
 */
#pragma once

#include "lib/container/container.h"
#include "lib/container/state.h"

/* What `state` and `list` show. */
struct container_info {
        struct container_state state;
        enum container_status status;
};

/* Frees what is in it. */
void container_info_done(struct container_info *info);
#define cleanup_container_info CLEANUP(container_info_done)

/* Finds a container. -ENOENT where there is none. */
int container_find(const struct engine *engine, const char *id, struct container_info *ret_info,
                   struct error *err);

/* All containers below the root, by id; *ret_infos is for the caller to free, each with
 * container_info_done(). */
int container_list(const struct engine *engine, struct container_info **ret_infos, size_t *ret_n,
                   struct error *err);

/* Freezes, thaws. -EINVAL where it isn't running, isn't paused. */
int container_pause(const struct engine *engine, const char *id, struct error *err);
int container_resume(const struct engine *engine, const char *id, struct error *err);

/* Sets new limits. */
int container_update(const struct engine *engine, const char *id, const struct spec_resources *resources,
                     struct error *err);

/* Sets new schemata of Intel RDT: l3_cache_schema and mem_bw_schema of `spec`, each of which may be NULL.
 * -EINVAL where the container was made without linux.intelRdt. */
int container_update_rdt(const struct engine *engine, const char *id, const struct spec_intel_rdt *spec,
                         struct error *err);

/* Figures of Intel RDT as runc's `events` has them, an empty object where it has none.  A new reference. */
int container_rdt_figures(const struct engine *engine, const char *id, json_t **ret_figures,
                          struct error *err);

/* Ids of its processes in our PID namespace, on the heap. */
int container_pids(const struct engine *engine, const char *id, pid_t **ret_pids, size_t *ret_n,
                   struct error *err);

/* The cgroup of a container, for figures and OOM events; the caller frees it. */
int container_cgroup(const struct engine *engine, const char *id, struct cgroup **ret_cgroup,
                     struct error *err);
