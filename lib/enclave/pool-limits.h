/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool-limits.h - /etc/coffer/enclave.conf, enclave.conf(5): how much of this machine all enclaves together
 * may take.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/base/view.h"

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#define LIMITS_FILE "enclave.conf"

enum { LIMITS_FILE_MAX = 65536, LIMITS_CPUS_MAX = CPU_SETSIZE };

/* UINT32_MAX: as much as there is. */
struct limits {
        uint32_t memory_mib;
        uint32_t cpus; /* with has_list: how many are in `list` */
        uint32_t max_enclaves;
        uint32_t user_memory_mib; /* of one user, root excepted */
        uint32_t user_cpus;
        uint32_t user_max_enclaves;
        bool has_list;
        cpu_set_t list; /* CPUs that enclaves run on, each for one enclave only */
};

/* No limit at all. */
extern const struct limits limits_none;

/* Nothing is limited. */
bool limits_are_none(const struct limits *limits);

/* Parses the text of an enclave.conf.  -EBADMSG names the line, the setting and what would do: a limit
 * that was meant and not understood must not become none. */
int limits_parse(struct view text, struct limits *ret_limits, struct error *err);

/* Reads LIMITS_FILE in the folder behind `dirfd`, which messages call `folder`; without one there are no
 * limits.  A file that cannot be read, or that others than its owner can write, is an error: -EACCES,
 * -EPERM, -EBADMSG. */
int limits_read(int dirfd, const char *folder, struct limits *ret_limits, struct error *err);

/* Parses CPU numbers as Linux writes them, "0-3,8": ascending or not, each below LIMITS_CPUS_MAX. 
 * -EBADMSG. */
int limits_parse_cpus(const char *text, cpu_set_t *ret_cpus, struct error *err);
