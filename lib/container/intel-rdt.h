/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intel-rdt.h - linux.intelRdt: a container's share of the last cache and of memory bandwidth, by resctrl.
 * Sources: runtime-spec config-linux.md "IntelRdt", kernel Documentation/arch/x86/resctrl.rst.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/container/spec.h"

#include <jansson.h>

/* The container's group (CLOS), and its monitoring group: what a state file keeps of them, and what goes with
 * the container. */
struct intel_rdt {
        char *path;         /* of the group; NULL: none */
        char *monitor_path; /* NULL: none */
        bool made;          /* by us, without a closID: it is ours to remove */
};

/* Where resctrl is mounted; *ret_root is on the heap. -ENOTSUP where it isn't, or this machine has none. */
int intel_rdt_root(char **ret_root, struct error *err);

/* Makes, or finds, the group of a container below `root` (intel_rdt_root()), writes its schemata, and puts
 * `pid` into it and into a monitoring group where one is asked for.  To be called once there is a process,
 * before it runs anything of the container's.  -EINVAL where closID is no name, or names a group that isn't
 * there and has no schemata. What was made before a failure is gone again. */
int intel_rdt_apply(const char *root, const char *id, const struct spec_intel_rdt *spec, pid_t pid,
                    struct intel_rdt *ret_rdt, struct error *err);

/* Writes the two older schemata of `spec`, where they are given, to the group of a container that is there:
 * -EINVAL where it has none. */
int intel_rdt_update(const char *root, const struct intel_rdt *rdt, const struct spec_intel_rdt *spec,
                     struct error *err);

/* What the group uses and may use: "l3_cache_info", "l3_cache_schema", "mbm_stats" and so on, as runc's
 * `events` has them.  A new reference. */
int intel_rdt_stats(const char *root, const struct intel_rdt *rdt, json_t **ret_figures, struct error *err);

/* True where the machine has the resource: "L3", "MB". */
bool intel_rdt_has(const char *root, const char *resource);

/* Puts a further process where the container is. */
int intel_rdt_enter(const struct intel_rdt *rdt, pid_t pid, struct error *err);

/* Removes the group where we made it, and the monitoring group.  Missing is success. */
int intel_rdt_destroy(const struct intel_rdt *rdt, struct error *err);

/* To and from a state file ("intel_rdt" of container_state.extra). A new reference, NULL when out of
 * memory. */
json_t *intel_rdt_to_json(const struct intel_rdt *rdt);
int intel_rdt_from_json(const json_t *json, struct intel_rdt *ret_rdt, struct error *err);

/* Frees what is in it. */
void intel_rdt_done(struct intel_rdt *rdt);
#define cleanup_intel_rdt CLEANUP(intel_rdt_done)
