/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sgx/sgx.h"

static const struct {
        int code;
        const char *text;
} texts[] = {
        {SGX_SUCCESS, "no error (0)"},
        {SGX_INVALID_SIG_STRUCT, "SGX_INVALID_SIG_STRUCT (1): SIGSTRUCT is not well-formed"},
        {SGX_INVALID_ATTRIBUTE, "SGX_INVALID_ATTRIBUTE (2): attributes are not those that were signed"},
        {SGX_INVALID_MEASUREMENT, "SGX_INVALID_MEASUREMENT (4): the pages are not those that were signed"},
        {SGX_INVALID_SIGNATURE, "SGX_INVALID_SIGNATURE (8): SIGSTRUCT's signature does not verify"},
        {SGX_PAGE_NOT_TRACKED, "SGX_PAGE_NOT_TRACKED (11)"},
        {SGX_INVALID_EINITTOKEN, "SGX_INVALID_EINITTOKEN (16): the launch token is not for this enclave"},
        {SGX_PAGE_ATTRIBUTES_MISMATCH, "SGX_PAGE_ATTRIBUTES_MISMATCH (19)"},
        {SGX_INVALID_CPUSVN, "SGX_INVALID_CPUSVN (32)"},
        {SGX_INVALID_ISVSVN, "SGX_INVALID_ISVSVN (64)"},
        {SGX_UNMASKED_EVENT, "SGX_UNMASKED_EVENT (128): interrupted too often; try again"},
        {SGX_INVALID_KEYNAME, "SGX_INVALID_KEYNAME (256)"},
};

const char *sgx_code_text(int code)
{
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
                if (texts[i].code == code)
                        return texts[i].text;
        return "a code that Intel's manual does not list";
}
