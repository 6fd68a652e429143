/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-signed-payload.c - what a stranger signed with a key of their own: the signature is right, and so the
 * payload is read.
 */
#include "lib/crypto/cose.h"
#include "lib/crypto/test-keys.h"
#include "lib/eif/signature.h"

#include <stdlib.h>

enum { MESSAGE_MAX = 1 << 16, NOW = 1000 };

struct stranger {
        struct private_key *key;
        struct certificate *certificate;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Made once, kept to the end. */
static const struct stranger *the_stranger(void)
{
        static const struct test_keys_spec spec = {
                .group = "P-256", .not_before = 0, .not_after = INT64_C(2) * NOW};
        static struct stranger s;
        cleanup_test_keys struct test_keys keys = {0};

        if (s.key)
                return &s;
        test_keys_init(&keys, &spec);
        if (private_key_parse(buf_view(&keys.key_pem), &s.key, NULL) < 0 ||
            certificate_parse(buf_view(&keys.certificate_pem), &s.certificate, NULL) < 0)
                abort();
        return &s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const struct stranger *stranger = the_stranger();
        const struct digest zero = {.algorithm = HASH_SHA384};
        const struct digest other = {.algorithm = HASH_SHA384, .bytes = {1}};
        struct eif_signature signature = {
                .certificate = stranger->certificate, .message = buf_with_max(MESSAGE_MAX), .n = 1};
        struct error err = {0};

        if (cose_sign1_sign(stranger->key, view_of(data, size), &signature.message, &err) < 0)
                abort();
        /* One payload is a signature of one PCR0 at most. */
        if (eif_signature_verify(&signature, &zero, NOW, &err) == 0 &&
            eif_signature_verify(&signature, &other, NOW, &err) == 0)
                abort();
        buf_done(&signature.message);
        return 0;
}
