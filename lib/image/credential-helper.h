/* SPDX-License-Identifier: Apache-2.0 */
/*
 * credential-helper.h - credentials from a program, docker-credential-NAME, as Docker's credHelpers and
 * credsStore have it: "get" as its argument, the registry on its standard input, JSON on its standard output.
 *
 * It is a program that a configuration file chose: it is run only where the caller said so, gets 30 seconds
 * and may say 64 KiB.
 */
#pragma once

#include "lib/image/registry-auth.h"

enum {
        CREDENTIAL_HELPER_OUTPUT_MAX = 64 * 1024,
        CREDENTIAL_HELPER_SECONDS = 30,
        CREDENTIAL_HELPER_NAME_MAX = 64,
};

/* Whether `name` can be a helper's: letters, digits, "-", "_" and "." that is not the first. */
bool credential_helper_name_is_valid(const char *name);

/* Asks docker-credential-`name` (looked up in PATH) about `server`.  `timeout_ms` is for tests, 0 the usual
 * limit.  -ENOENT where it has none for it; -ETIMEDOUT, -EFBIG, -EBADMSG, -EACCES (it failed) with its
 * name. */
int credential_helper_get(const char *name, const char *server, unsigned timeout_ms,
                          struct registry_credentials *ret_credentials, struct error *err);

/* Reads its answer: {"Username": ..., "Secret": ...}.  The user name "<token>" makes the secret an identity
 * token. -EBADMSG, which never shows the text. */
int credential_helper_parse(struct view json, struct registry_credentials *ret_credentials,
                            struct error *err);
