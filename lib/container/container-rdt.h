/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container-rdt.h - Intel RDT in a container's life: when its groups come, are joined, and go (intel-rdt.h
 * has the groups themselves).  What there is of them stands in the state's "extra".
 */
#pragma once

#include "lib/container/starting.h"

/* Makes the groups that config.json asks for, puts the container's first process into them and remembers
 * them in the state. Nothing where config.json asks for none. */
int container_rdt_begin(struct starting *s, struct error *err);

/* Puts a further process where the container is. */
int container_rdt_join(struct starting *s, struct error *err);

/* Changes the schemata of the group, as intel_rdt_update(). */
int container_rdt_update(const struct container_state *state, const struct spec_intel_rdt *spec,
                         struct error *err);

/* The group's figures (intel_rdt_stats()), an empty object where there is none. */
int container_rdt_stats(const struct container_state *state, json_t **ret_figures, struct error *err);

/* Removes what the state remembers. */
int container_rdt_end(const struct container_state *state, struct error *err);
