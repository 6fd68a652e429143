/* SPDX-License-Identifier: Apache-2.0 */
#include "qt/enclave-json.h"
#include "lib/base/text.h"
#include "lib/format/json.h"

static json_t *pcr_json(const uint8_t pcr[static ENCLAVE_PCR_SIZE])
{
        char hex[2 * ENCLAVE_PCR_SIZE + 1];

        hex_encode(pcr, ENCLAVE_PCR_SIZE, hex);
        return json_string(hex);
}

json_t *enclave_json(const struct enclave_info *info)
{
        bool known = info->exit_status != ENCLAVE_EXIT_UNKNOWN;
        json_t *pcrs =
                json_pack("{s:o, s:o, s:o, s:o*}", "PCR0", pcr_json(info->pcr0), "PCR1", pcr_json(info->pcr1),
                          "PCR2", pcr_json(info->pcr2), "PCR8", info->has_pcr8 ? pcr_json(info->pcr8) : NULL);

        return json_pack("{s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:o, s:s, s:s, s:o, s:s*}", "EnclaveID",
                         (json_int_t)info->id, "ProcessID", (json_int_t)info->pid, "EnclaveCID",
                         (json_int_t)info->cid, "NumberOfCPUs", (json_int_t)info->cpus, "MemoryMiB",
                         (json_int_t)info->mem_mib, "LaunchMode", info->debug_mode ? "debug" : "normal",
                         "State", enclave_state_name(info->state), "ExitStatus",
                         known ? json_integer(info->exit_status) : json_null(), "Isolation",
                         enclave_isolation_name(info->isolation), "StartedAt", info->started_at, "PCRs", pcrs,
                         "Reason", info->state == ENCLAVE_FAILED ? info->reason : NULL);
}
