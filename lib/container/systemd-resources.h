/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd-resources.h - what systemd is told of a container: its resources and annotations as properties of
 * its unit.  Sources: systemd.resource-control(5); GVariant's text format for annotations.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/container/spec.h"
#include "lib/container/systemd-property.h"

/* What systemd can be told of `resources`, in the terms of v2 (`unified`) or v1; the rest is for the files of
 * the group.  -EINVAL for a CPU list that is none. */
int systemd_property_add_resources(struct systemd_properties *properties,
                                   const struct spec_resources *resources, bool unified, struct error *err);

/* On v1 systemd writes the device lists of its units anew whenever it is reloaded, so it must have the rules;
 * those that it has no words for are left out. */
void systemd_property_add_devices(struct systemd_properties *properties, const struct spec_device_rule *rules,
                                  size_t n);

/* Adds what the annotations "org.systemd.property.<Name>" say. A name that ends in "Sec" is in seconds and
 * becomes one in "USec".  -EINVAL with the annotation at fault. */
int systemd_property_add_annotations(struct systemd_properties *properties,
                                     const struct spec_pairs *annotations, struct error *err);
