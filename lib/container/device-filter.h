/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device-filter.h - device rules on cgroup v2: an eBPF program of type BPF_PROG_TYPE_CGROUP_DEVICE made of
 * the rules and attached to the group. Sources: kernel Documentation/admin-guide/cgroup-v2.rst "Device
 * controller", bpf(2).
 */
#pragma once

#include "lib/base/error.h"
#include "lib/container/spec.h"

#include <linux/bpf.h>

/* Makes a filter of `rules` (the last that matches wins, else access is denied) and attaches it to the group
 * whose folder is `cgroup_fd` (any descriptor of it, O_PATH too), in place of those that were there. */
int device_filter_apply(int cgroup_fd, const struct spec_device_rule *rules, size_t n, struct error *err);

/* The program alone, on the heap for the caller to free: 1 for access that the rules allow, else 0. "Wins" is
 * said of each kind of access by itself: where one rule lets read and another write, both at once may be
 * asked for. -E2BIG. */
int device_filter_make(const struct spec_device_rule *rules, size_t n, struct bpf_insn **ret_instructions,
                       size_t *ret_n, struct error *err);
