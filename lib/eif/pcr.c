/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/eif/pcr.h"

#include "lib/crypto/hash.h"

int pcr_extend_fresh(struct view data, struct digest *ret_pcr)
{
        static const uint8_t zeros[PCR_SIZE];
        cleanup_hash struct hash h = HASH_NONE;

        hash_init(&h, HASH_SHA384);
        hash_update(&h, zeros, sizeof(zeros));
        hash_update(&h, data.p, data.n);
        return hash_final(&h, ret_pcr);
}

int pcr_of_hash(const struct digest *content, struct digest *ret_pcr)
{
        if (content->algorithm != HASH_SHA384)
                return -EINVAL;
        return pcr_extend_fresh(digest_view(content), ret_pcr);
}

int pcr_of_content(struct view content, struct digest *ret_pcr)
{
        struct digest inner;
        int r = hash_view(HASH_SHA384, content, &inner);

        return r < 0 ? r : pcr_of_hash(&inner, ret_pcr);
}
