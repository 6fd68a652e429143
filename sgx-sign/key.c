/* SPDX-License-Identifier: Apache-2.0 */
#include "sgx-sign/sgx-sign.h"

#include "lib/base/file.h"
#include "lib/sgx/signing-key.h"

#include <fcntl.h>
#include <string.h>

enum { KEY_MODE = 0600 };

int key_command(int argc, char **argv)
{
        cleanup_sgx_signing_key struct sgx_signing_key *key = NULL;
        cleanup_buf struct buf pem = buf_with_max(SIGN_KEY_MAX);
        struct error err = {0};
        int r;

        if (argc != 2 || argv[1][0] == '-')
                return sign_usage("key takes one argument: the file to write the key to");
        r = sgx_signing_key_generate(&key, &err);
        if (r == 0)
                r = sgx_signing_key_pem(key, &pem, &err);
        if (r == 0)
                r = file_write_atomic(AT_FDCWD, argv[1], buf_view(&pem), KEY_MODE, &err);
        if (pem.p)
                explicit_bzero(pem.p, pem.n);
        return r < 0 ? sign_failed(&err) : SIGN_OK;
}
