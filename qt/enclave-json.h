/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enclave-json.h - one enclave as start and query print it.
 */
#pragma once

#include "lib/enclave/enclave.h"

#include <jansson.h>

/* QingTian's members in its order (EnclaveID, ProcessID, EnclaveCID, NumberOfCPUs, MemoryMiB, LaunchMode),
 * then State, ExitStatus (null while unknown), Isolation, StartedAt, PCRs and, where it failed, Reason.  A
 * new reference; NULL when out of memory. */
json_t *enclave_json(const struct enclave_info *info);
