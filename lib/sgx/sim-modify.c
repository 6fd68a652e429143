/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sgx/sim-modify.h"

#include "lib/sgx/sim-rewrite.h"

#include <string.h>

static bool range_ok(const struct sim_enclave *e, uint64_t offset, uint64_t length)
{
        return e->created && e->head->initialised && offset % SGX_PAGE_SIZE == 0 && length > 0 &&
               length % SGX_PAGE_SIZE == 0 && offset < e->size && length <= e->size - offset;
}

/* EMODPR */
static int restrict_page(struct sim_epcm *entry, uint64_t rights, uint64_t *ret_code)
{
        if (!entry->valid || entry->type != SGX_TYPE_REG)
                return -EFAULT;
        if (entry->state & (SGX_PAGE_PENDING | SGX_PAGE_MODIFIED)) {
                *ret_code = SGX_PAGE_ATTRIBUTES_MISMATCH;
                return -EFAULT;
        }
        entry->state &= (uint8_t)(rights | ~SGX_PAGE_RWX);
        entry->state |= SGX_PAGE_PR;
        return 0;
}

static int do_restrict(struct sim_enclave *e, struct sgx_enclave_restrict_permissions *arg)
{
        size_t page = arg->offset / SGX_PAGE_SIZE;

        if (!range_ok(e, arg->offset, arg->length) || arg->permissions & ~SGX_PAGE_RWX || arg->result ||
            arg->count || (arg->permissions & SGX_PAGE_W && !(arg->permissions & SGX_PAGE_R)))
                return -EINVAL;
        for (; arg->count < arg->length; arg->count += SGX_PAGE_SIZE, page++) {
                __u64 code = 0;
                int r = restrict_page(&e->epcm[page], arg->permissions, (uint64_t *)&code);

                if (r == 0)
                        r = sim_enclave_protect(e, page, page + 1);
                if (r < 0)
                        return arg->result = code, r;
        }
        return 0;
}

/* EMODT */
static int do_modify_types(struct sim_enclave *e, struct sgx_enclave_modify_types *arg)
{
        size_t page = arg->offset / SGX_PAGE_SIZE;

        if (!range_ok(e, arg->offset, arg->length) || arg->result || arg->count ||
            (arg->page_type != SGX_TYPE_TCS && arg->page_type != SGX_TYPE_TRIM))
                return -EINVAL;
        for (; arg->count < arg->length; arg->count += SGX_PAGE_SIZE, page++) {
                struct sim_epcm *entry = &e->epcm[page];
                int r;

                if (!entry->valid || (entry->type != SGX_TYPE_REG && entry->type != SGX_TYPE_TCS))
                        return -EFAULT;
                if (arg->page_type == SGX_TYPE_TCS && entry->type != SGX_TYPE_REG)
                        return -EINVAL;
                entry->type = (uint8_t)arg->page_type;
                entry->state = SGX_PAGE_MODIFIED;
                r = sim_enclave_protect(e, page, page + 1);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* EREMOVE, of pages that the enclave has agreed to lose */
static int do_remove(struct sim_enclave *e, struct sgx_enclave_remove_pages *arg)
{
        size_t page = arg->offset / SGX_PAGE_SIZE;

        if (!range_ok(e, arg->offset, arg->length) || arg->count)
                return -EINVAL;
        for (; arg->count < arg->length; arg->count += SGX_PAGE_SIZE, page++) {
                struct sim_epcm *entry = &e->epcm[page];

                if (!entry->valid)
                        return -EFAULT;
                if (entry->type != SGX_TYPE_TRIM || entry->state & SGX_PAGE_MODIFIED)
                        return -EPERM;
                sim_rewrite_forget(e, page);
                *entry = (struct sim_epcm){0};
                memset(e->epc + page * SGX_PAGE_SIZE, 0, SGX_PAGE_SIZE);
        }
        return 0;
}

int sim_modify_do(struct sim_enclave *e, unsigned long request, union sim_modify *arg)
{
        switch (request) {
        case SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS:
                return do_restrict(e, &arg->restrict_permissions);
        case SGX_IOC_ENCLAVE_MODIFY_TYPES:
                return do_modify_types(e, &arg->modify_types);
        case SGX_IOC_ENCLAVE_REMOVE_PAGES:
                return do_remove(e, &arg->remove_pages);
        default:
                return -ENOTTY;
        }
}

bool sim_augment(struct sim_enclave *e, size_t page)
{
        struct sim_epcm *entry = &e->epcm[page];

        if (entry->valid || !e->head->initialised || !(e->mapped[page] & SIM_MAPPED))
                return false;
        entry->type = SGX_TYPE_REG;
        entry->state = SGX_PAGE_PENDING | SGX_PAGE_R | SGX_PAGE_W;
        entry->valid = 1;
        return true;
}
