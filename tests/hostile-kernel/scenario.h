/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scenario.h - what this guest does to its parent, by name.
 */
#pragma once

#include <stddef.h>

struct scenario {
        const char *name;
        void (*attack)(void);
};

/* Break the rings; the parent takes none of them. */
extern const struct scenario ring_scenarios[];
extern const size_t n_ring_scenarios;

/* Break what lies around the rings: the device's registers, the order of its life; see device.c. */
extern const struct scenario device_scenarios[];
extern const size_t n_device_scenarios;

/* Break the rules of packets and streams; each ends with a parent that has done what it should. */
extern const struct scenario packet_scenarios[];
extern const size_t n_packet_scenarios;
