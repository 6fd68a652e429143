/* SPDX-License-Identifier: Apache-2.0 */
/*
 * id-map.h - tells the kernel how the ids of a user namespace map to ours (user_namespaces(7)).
 */
#pragma once

#include "lib/base/error.h"
#include "lib/container/spec.h"

#include <sys/types.h>

/* Writes the maps of the process's user namespace, found below `proc_fd` (procfs_open()).  Where we may not
 * write them, newuidmap(1) and newgidmap(1) do, by /etc/subuid and /etc/subgid; but a map of nothing but our
 * own group needs no helper and takes setgroups(2) away: *ret_setgroups_denied. */
int id_map_write(int proc_fd, pid_t pid, const struct spec_id_mappings *uids,
                 const struct spec_id_mappings *gids, bool *ret_setgroups_denied, struct error *err);
