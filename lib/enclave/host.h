/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host.h - what this machine can give to an enclave.
 */
#pragma once

#include "lib/enclave/enclave.h"

/* CPUs that this process may run on: the most an enclave can have. At least 1. */
unsigned host_cpus(void);

/* Memory (MiB) that could be had now without driving the machine into the ground: MemAvailable of
 * /proc/meminfo, less where a memory limit of our control group (v2) leaves less.  UINT_MAX where neither can
 * be read. */
unsigned host_available_mib(void);

/* True where the CPU can run virtual machines: /proc/cpuinfo shows vmx or svm.  A /dev/kvm without them is of
 * the kind that creates machines but cannot run a stock kernel in them. */
bool host_has_virtualization(void);

/* Chooses how to run an enclave for a process whose user `can_open_kvm`.  *ret_lack says why there is no KVM
 * where that is to be warned of, with AUTO: a static text, else NULL.  KVM where it cannot work is
 * -EOPNOTSUPP. */
int host_choose_isolation(enum enclave_accelerator accelerator, bool can_open_kvm,
                          enum enclave_isolation *ret_isolation, const char **ret_lack, struct error *err);
