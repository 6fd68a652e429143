/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sgx-sign.h - what the files of sgx-sign share: exit statuses, usage errors, and its commands.
 */
#pragma once

#include "lib/base/error.h"

enum {
        SIGN_OK = 0,
        SIGN_FAILED = 1,
        SIGN_USAGE = 2,
};

enum { SIGN_KEY_MAX = 64 * 1024 }; /* bytes of a key's file */

/* Signs an enclave; prints SIGSTRUCT's content; makes a key.  argv[0] is the command's name.  The exit
 * status. */
int sign_command(int argc, char **argv);
int show_command(int argc, char **argv);
int key_command(int argc, char **argv);

/* Says `text` on stderr with a hint to --help. SIGN_USAGE. */
int sign_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Says the error on stderr. SIGN_FAILED. */
int sign_failed(const struct error *err);
