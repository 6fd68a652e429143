/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte says into how large pieces the rest is cut: the result must not depend on it. */
#include "lib/crypto/hash.h"
#include "lib/image/decompress.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
        int r;
        struct digest digest;
};

static int take(void *user, struct view data, struct error *err)
{
        (void)err;
        hash_update(user, data.p, data.n);
        return 0;
}

static struct outcome run(struct view input, size_t step)
{
        static const struct decompress_limits limits = {.max_output = 8388608};
        struct outcome o = {0};
        cleanup_hash struct hash h = HASH_NONE;
        cleanup_decompressor struct decompressor *d = NULL;

        if (hash_init(&h, HASH_SHA256) < 0 || decompressor_new(&limits, take, &h, &d, NULL) < 0)
                abort();
        for (size_t at = 0; at < input.n && o.r == 0; at += step) {
                size_t left = input.n - at;
                o.r = decompressor_feed(d, view_of(input.p + at, left < step ? left : step), NULL);
        }
        if (o.r == 0)
                o.r = decompressor_finish(d, NULL);
        if (o.r == 0 && hash_final(&h, &o.digest) < 0)
                abort();
        return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0)
                return 0;
        struct view input = view_of(data + 1, size - 1);
        struct outcome whole = run(input, input.n ? input.n : 1), pieces = run(input, (size_t)data[0] + 1);
        if ((whole.r == 0) != (pieces.r == 0) ||
            (whole.r == 0 && !digest_equal(&whole.digest, &pieces.digest)))
                abort();
        return 0;
}
