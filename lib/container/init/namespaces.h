/* SPDX-License-Identifier: Apache-2.0 */
/*
 * namespaces.h - joining existing namespaces and making new ones, in an order that the rights allow.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/container/plan.h"

/* Joins the plan's existing namespaces but that of PIDs.  The user namespace comes last where ours has the
 * rights to all others, else as soon as it is needed. Afterwards we are root of a joined user namespace. */
int namespaces_join(const struct plan *plan, struct error *err);

/* Makes the new user namespace, has rune write its id maps, and becomes its root. */
int namespaces_new_user(const struct plan *plan, struct error *err);

/* Makes the other new namespaces but those of cgroups and PIDs, with the time offsets of the plan. */
int namespaces_new(const struct plan *plan, struct error *err);

/* Starts the loopback device of the container's network namespace, where that is a new one: it is off in
 * those, and engines leave it to the runtime. */
int namespaces_start_loopback(const struct plan *plan, struct error *err);

/* Makes or joins a PID namespace where that is left to us: returns in the successor only (plan.h). */
int namespaces_enter_pid(const struct plan *plan, struct error *err);

/* Makes the new cgroup namespace: its root is the group that we are in now. */
int namespaces_new_cgroup(const struct plan *plan, struct error *err);
