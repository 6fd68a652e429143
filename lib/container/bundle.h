/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bundle.h - from a bundle to a plan: reads config.json, and prepares all that doesn't depend on the
 * container's id being free.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/container/starting.h"

/* Reads and parses the configuration of `bundle` into the plan; *ret_text (empty before) is its text, and
 * s->state gets what config.json says of it. */
int bundle_load(struct starting *s, const char *bundle, struct buf *ret_text, struct error *err);

/* Opens what the plan's descriptors stand for (root, namespaces with a path) and decides who makes which new
 * namespace: *ret_namespaces are those that the process begins in. */
int bundle_open(struct starting *s, unsigned long *ret_namespaces, struct error *err);

/* Adds "NAME=value" to the environment of the payload. */
int bundle_add_env(struct starting *s, struct spec_process *process, const char *variable, struct error *err);

/* The configuration as it was at create, from a container's folder, parsed into `arena`. */
int bundle_reload(int folder, const struct container_state *state, struct arena *arena,
                  struct spec **ret_spec, struct error *err);

/* What a container's cgroup is made of; points into `spec`. */
struct cgroup_request bundle_cgroup_request(const struct engine *engine, const char *id,
                                            const struct spec *spec);
