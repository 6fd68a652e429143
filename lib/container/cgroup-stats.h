/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup-stats.h - what the two halves of the figures share. */
#pragma once

#include "lib/base/view.h"
#include "lib/container/cgroup-internal.h"

/* A JSON integer; what is beyond 2^63 - 1 becomes that. */
json_t *cgroup_stats_number(uint64_t value);

/* The number in a file; 0 where there is none. */
uint64_t cgroup_stats_read(const struct cgroup_hierarchy *h, const char *file);

/* The next line that has room, NUL-terminated, into ret_line; false at the end. */
bool cgroup_stats_line(struct cursor *c, char *ret_line, size_t size);

/* The lines "key number" of a file as an object; an empty one where there is none. */
json_t *cgroup_stats_map(const struct cgroup_hierarchy *h, const char *file);

/* Block I/O: {"ioServiceBytesRecursive": [{"major": .., "minor": .., "op": .., "value": ..}, ...], ...}. */
json_t *cgroup_stats_io(struct cgroup *cgroup);
