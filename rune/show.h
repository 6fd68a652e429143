/* SPDX-License-Identifier: Apache-2.0 */
/*
 * show.h - a container as `state` and `list` show it: with runc's members, in its order.
 */
#pragma once

#include "rune/rune.h"

/* A new reference; NULL when out of memory. */
json_t *show_container(const struct container_info *info);

/* The process id as shown: 0 once there is none. */
pid_t show_pid(const struct container_info *info);
