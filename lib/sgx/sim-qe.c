/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sgx/sim-qe.h"

#include <string.h>

_Static_assert(sizeof(SGX_SIM_QE_MRENCLAVE) - 1 == SGX_HASH_SIZE, "it stands for a hash");
_Static_assert(sizeof(SGX_SIM_QE_MRSIGNER) - 1 == SGX_HASH_SIZE, "likewise");

const uint8_t sgx_simulated_cpu_svn[SGX_KEY_SIZE] = {'C', 'O', 'F', 'F', 'E', 'R', '-', 'S',
                                                     'I', 'M', 'U', 'L', 'A', 'T', 'E', 'D'};

bool sgx_report_is_simulated(const struct sgx_report *report)
{
        return memcmp(report->cpu_svn, sgx_simulated_cpu_svn, SGX_KEY_SIZE) == 0;
}

void sgx_sim_qe_target(struct sgx_targetinfo *ret_target)
{
        *ret_target = (struct sgx_targetinfo){
                .attributes = {SGX_ATTRIBUTE_INIT | SGX_ATTRIBUTE_DEBUG | SGX_ATTRIBUTE_MODE64,
                               SGX_XFRM_LEGACY},
        };
        memcpy(ret_target->mrenclave, SGX_SIM_QE_MRENCLAVE, SGX_HASH_SIZE);
}
