/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd-bus.h - the calls of systemd's manager that make and unmake a unit, each with the wait for its job.
 * Source: org.freedesktop.systemd1(5).  Errors name the unit, and systemd's own error.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/container/systemd-property.h"

struct systemd_bus;

/* Whose manager: the system's, or that of the calling user. */
enum systemd_scope {
        SYSTEMD_SYSTEM,
        SYSTEMD_USER,
};

/* Connects to a manager: its private socket where we may, else through the bus. -ENOTSUP with what is missing
 * where there is no libsystemd, -ENOTCONN where nobody answers. */
int systemd_bus_connect(enum systemd_scope scope, struct systemd_bus **ret_bus, struct error *err);

/* Disconnects. NULL-safe. */
void systemd_bus_free(struct systemd_bus *bus);
DEFINE_CLEANUP(cleanup_systemd_bus_p, struct systemd_bus *, systemd_bus_free)
#define cleanup_systemd_bus CLEANUP(cleanup_systemd_bus_p)

/* The group below which the manager makes its own: "" for that of a host, else absolute.  The text is on the
 * heap, for the caller to free. */
int systemd_bus_root_group(struct systemd_bus *bus, char **ret_path, struct error *err);

/* Makes a transient unit and waits until it is there. What a failed unit of this name left is cleared away
 * first. -EEXIST where one is active. */
int systemd_bus_start_unit(struct systemd_bus *bus, const char *unit,
                           const struct systemd_properties *properties, struct error *err);

/* Sets properties of a unit, for as long as it is there. */
int systemd_bus_set_properties(struct systemd_bus *bus, const char *unit,
                               const struct systemd_properties *properties, struct error *err);

/* Stops the unit, waits until it has gone, and has systemd forget it, also where it failed.  An unknown unit
 * is success. */
int systemd_bus_stop_unit(struct systemd_bus *bus, const char *unit, struct error *err);
