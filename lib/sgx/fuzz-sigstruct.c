/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-sigstruct.c - hostile SIGSTRUCTs, TARGETINFOs, KEYREQUESTs, tokens, and enclave files.
 */
#include "lib/sgx/image.h"
#include "lib/sgx/report.h"
#include "lib/sgx/sigstruct.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is accepted comes back byte by byte, and has one answer from EINIT. */
static void read_as_sigstruct(struct view input)
{
        static const struct sgx_secs secs = {.attributes = {SGX_ATTRIBUTE_MODE64, SGX_XFRM_LEGACY}};
        uint8_t again[SGX_SIGSTRUCT_SIZE];
        struct sgx_sigstruct s;
        struct error err = {0};
        int code = -1;

        if (sgx_sigstruct_decode(input, &s, &err) < 0)
                return;
        sgx_sigstruct_encode(&s, again);
        if (memcmp(again, input.p, sizeof(again)) != 0)
                abort();
        if (sgx_sigstruct_check(&s, &secs, s.mrenclave, &code, &err) < 0 || code < 0)
                abort();
        /* One that verifies says so again. */
        if (code != SGX_INVALID_SIGNATURE && sgx_sigstruct_verify(&s, &err) < 0)
                abort();
}

static void read_as_small_structures(struct view input)
{
        uint8_t bytes[SGX_TARGETINFO_SIZE] = {0}, again[SGX_TARGETINFO_SIZE] = {0};
        struct sgx_targetinfo target;
        struct sgx_keyrequest request;
        struct sgx_token token;

        if (input.n)
                memcpy(bytes, input.p, input.n < sizeof(bytes) ? input.n : sizeof(bytes));
        if (sgx_targetinfo_decode(bytes, &target) == 0) {
                sgx_targetinfo_encode(&target, again);
                if (memcmp(bytes, again, SGX_TARGETINFO_SIZE) != 0)
                        abort();
        }
        if (sgx_keyrequest_decode(bytes, &request) == 0) {
                sgx_keyrequest_encode(&request, again);
                if (memcmp(bytes, again, SGX_KEYREQUEST_SIZE) != 0)
                        abort();
        }
        if (sgx_token_decode(bytes, &token) == 0) {
                sgx_token_encode(&token, again);
                if (memcmp(bytes, again, SGX_TOKEN_SIZE) != 0)
                        abort();
        }
}

static void read_as_image(struct view input)
{
        uint8_t mrenclave[SGX_HASH_SIZE];
        struct sgx_image image;

        /* The number of frames is the file's word; measuring as many takes its time, and nothing else. */
        if (sgx_image_open(input, SGX_XFRM_LEGACY, 0, &image, NULL) == 0 && image.n_pages < 64 &&
            sgx_image_measure(&image, mrenclave) < 0)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct view input = view_of(data, size);

        read_as_sigstruct(input);
        read_as_small_structures(input);
        read_as_image(input);
        return 0;
}
