/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sgx/sim-cpu.h"
#include "lib/sgx/sim-device.h"
#include "lib/sgx/sim-ioctl.h"
#include "lib/sgx/measure.h"
#include "lib/sgx/sigstruct.h"

#include <string.h>

/* Drivers tell EINIT's code to nobody but the kernel's log; users of a simulation shall read why. */
static _Thread_local int last_code;
static _Thread_local struct error last_why;

void sgx_sim_last_einit(int *ret_code, struct error *ret_why)
{
        *ret_code = last_code;
        *ret_why = last_why;
}

/* What becomes of SECS when all is well. */
static int identify(struct sgx_secs *secs, const struct sgx_sigstruct *s, const uint8_t *mrenclave)
{
        int r = sgx_sigstruct_mrsigner(s, secs->mrsigner);

        memcpy(secs->mrenclave, mrenclave, SGX_HASH_SIZE);
        memcpy(secs->isv_ext_prod_id, s->isv_ext_prod_id, sizeof(secs->isv_ext_prod_id));
        memcpy(secs->isv_family_id, s->isv_family_id, sizeof(secs->isv_family_id));
        secs->isv_prod_id = s->isv_prod_id;
        secs->isv_svn = s->isv_svn;
        return r;
}

/* SGX_SUCCESS, a code, or -errno. A token that isn't marked valid leaves it to flexible launch control, which
 * every machine has that Linux' own driver supports. */
static int check_token(const uint8_t *bytes, const struct sgx_secs *secs, struct error *err)
{
        struct sgx_token token;
        int r = SGX_INVALID_EINITTOKEN;

        if (!bytes)
                return SGX_SUCCESS;
        if (sgx_token_decode(bytes, &token) == 0)
                r = token.valid ? sgx_token_check(sim_root(), &token, secs) : SGX_SUCCESS;
        if (r == SGX_INVALID_EINITTOKEN)
                error_set(err, -EPERM, "the launch token is not for this enclave, or not of this machine's");
        return r;
}

static int einit(struct sim_enclave *e, const uint8_t sigstruct[static SGX_SIGSTRUCT_SIZE],
                 const uint8_t *token, struct error *err)
{
        struct sgx_secs secs = e->head->secs;
        uint8_t mrenclave[SGX_HASH_SIZE];
        struct sgx_sigstruct s;
        struct hash copy;
        int code = SGX_SUCCESS, r;

        if (sgx_sigstruct_decode(view_of(sigstruct, SGX_SIGSTRUCT_SIZE), &s, err) < 0)
                return SGX_INVALID_SIG_STRUCT;
        r = hash_copy(&e->measurement, &copy); /* EINIT may be tried again */
        if (r == 0)
                r = sgx_measure_final(&copy, mrenclave);
        if (r == 0)
                r = sgx_sigstruct_check(&s, &secs, mrenclave, &code, err);
        if (r < 0 || code)
                return r < 0 ? r : code;
        r = identify(&secs, &s, mrenclave);
        if (r == 0)
                r = check_token(token, &secs, err);
        if (r != 0)
                return r;
        secs.attributes.flags |= SGX_ATTRIBUTE_INIT;
        e->head->secs = secs;
        e->head->initialised = 1;
        return SGX_SUCCESS;
}

int sim_init(struct sim_enclave *e, const uint8_t sigstruct[static SGX_SIGSTRUCT_SIZE], const uint8_t *token)
{
        int r;

        last_code = SGX_SUCCESS;
        last_why = (struct error){0};
        /* As the kernel: a key for provisioning needs leave, which is its own ioctl. */
        if (e->head->secs.attributes.flags & SGX_ATTRIBUTE_PROVISIONKEY && !e->head->provision)
                return -EACCES;
        r = einit(e, sigstruct, token, &last_why);
        last_code = r > 0 ? r : SGX_SUCCESS;
        return r;
}
