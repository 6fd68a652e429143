/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signing.h - a signing certificate and its key, as the command line names them.
 */
#pragma once

#include "lib/crypto/private-key.h"
#include "lib/eif/writer.h"

struct signing {
        struct certificate *certificate;
        struct private_key *key; /* NULL: elsewhere */
        struct eif_signer signer;
};

/* Reads a certificate that is valid now, and its key where `key_path` is not NULL; then the process is in
 * no core dump and for no debugger of the same user from then on.  Release with signing_done(), also after
 * an error. */
int signing_read(const char *certificate_path, const char *key_path, struct signing *ret_signing,
                 struct error *err);

/* Wipes and releases both. Safe on an empty struct. */
void signing_done(struct signing *signing);
#define cleanup_signing CLEANUP(signing_done)
