/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device-rules.h - which devices a container may use.  What config.json says comes first, what every
 * container may have comes behind it and so wins; what is mentioned nowhere is denied.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/container/spec.h"

/* The rules of `resources`, with those that every container has behind them, on the heap for the caller to
 * free: what both versions of control groups, systemd and enclaves are told. */
int device_rules_complete(const struct spec_resources *resources, struct spec_device_rule **ret_rules,
                          size_t *ret_n, struct error *err);
