/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/crypto/hash.h"

#include "lib/crypto/openssl-internal.h"

const EVP_MD *hash_method(enum hash_algorithm algorithm)
{
        switch (algorithm) {
        case HASH_SHA256:
                return EVP_sha256();
        case HASH_SHA384:
                return EVP_sha384();
        case HASH_SHA512:
                return EVP_sha512();
        }
        return NULL;
}

int hash_init(struct hash *h, enum hash_algorithm algorithm)
{
        *h = (struct hash){.context = EVP_MD_CTX_new(), .algorithm = algorithm};
        if (!h->context)
                return h->failed = -ENOMEM;
        if (EVP_DigestInit_ex(h->context, hash_method(algorithm), NULL) != 1) {
                hash_done(h);
                return h->failed = -ENOTSUP;
        }
        return 0;
}

int hash_copy(const struct hash *h, struct hash *ret_h)
{
        struct hash copy = {.algorithm = h->algorithm};

        if (h->failed || !h->context)
                return h->failed ? h->failed : -EINVAL;
        copy.context = EVP_MD_CTX_new();
        if (!copy.context)
                return -ENOMEM;
        if (EVP_MD_CTX_copy_ex(copy.context, h->context) != 1) {
                hash_done(&copy);
                return -ENOMEM;
        }
        *ret_h = copy;
        return 0;
}

void hash_update(struct hash *h, const void *p, size_t n)
{
        if (h->failed || n == 0)
                return;
        if (!h->context)
                h->failed = -EINVAL;
        else if (EVP_DigestUpdate(h->context, p, n) != 1)
                h->failed = -EIO;
}

int hash_final(struct hash *h, struct digest *ret_digest)
{
        struct digest d = {.algorithm = h->algorithm};
        int r = h->failed;

        if (r == 0 && !h->context)
                r = -EINVAL;
        if (r == 0 && EVP_DigestFinal_ex(h->context, d.bytes, NULL) != 1)
                r = -EIO;
        hash_done(h);
        if (r == 0)
                *ret_digest = d;
        return r;
}

void hash_done(struct hash *h)
{
        EVP_MD_CTX_free(h->context);
        h->context = NULL;
}

int hash_view(enum hash_algorithm algorithm, struct view v, struct digest *ret_digest)
{
        cleanup_hash struct hash h = HASH_NONE;
        int r = hash_init(&h, algorithm);

        if (r < 0)
                return r;
        hash_update(&h, v.p, v.n);
        return hash_final(&h, ret_digest);
}
