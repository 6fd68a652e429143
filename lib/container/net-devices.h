/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net-devices.h - linux.netDevices: network devices of the host that become the container's. Sources:
 * runtime-spec config-linux.md "Network Devices", rtnetlink(7).
 */
#pragma once

#include "lib/base/error.h"
#include "lib/container/spec.h"

/* Moves each device into the network namespace `netns_fd`, under its new name, with the permanent addresses
 * of global scope that it has, and brings it up.  To be called where the devices are: in rune's own network
 * namespace, once the container's is there, and before hooks that expect them. The calling thread's
 * namespace is another one for a moment, so the caller has one thread.  The error names the device.  What
 * was moved before a failure stays there, and comes back to the host with the namespace's end where it is
 * hardware; virtual devices end with it. */
int net_devices_move(const struct spec_net_device *devices, size_t n, int netns_fd, struct error *err);
