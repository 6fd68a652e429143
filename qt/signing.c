/* SPDX-License-Identifier: Apache-2.0 */
#include "qt/signing.h"

#include <fcntl.h>
#include <time.h>
#include <sys/prctl.h>

/* The certificate is checked against the clock even where SOURCE_DATE_EPOCH is set. */
static int check(const struct signing *signing, struct error *err)
{
        int r = signing->key ? private_key_match(signing->key, signing->certificate, err) : 0;

        return r < 0 ? r : certificate_check_time(signing->certificate, (int64_t)time(NULL), err);
}

int signing_read(const char *certificate_path, const char *key_path, struct signing *ret_signing,
                 struct error *err)
{
        int r;

        *ret_signing = (struct signing){0};
        if (key_path && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return error_errno(err, errno, "cannot protect the private key");
        if ((r = certificate_read(AT_FDCWD, certificate_path, &ret_signing->certificate, err)) < 0 ||
            (key_path && (r = private_key_read(AT_FDCWD, key_path, &ret_signing->key, err)) < 0))
                return r;
        if ((r = check(ret_signing, err)) < 0)
                error_wrap(err, "%s", certificate_path);
        ret_signing->signer =
                (struct eif_signer){.certificate = ret_signing->certificate, .key = ret_signing->key};
        return r;
}

void signing_done(struct signing *signing)
{
        certificate_free(signing->certificate);
        private_key_free(signing->key);
        *signing = (struct signing){0};
}
