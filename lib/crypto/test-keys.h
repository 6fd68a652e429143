/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-keys.h - keys and certificates made on the spot, for tests.  Nothing of it is linked into a program.
 */
#pragma once

#include "lib/crypto/private-key.h"

#include <stdint.h>

struct test_keys_spec {
        const char *group;  /* OpenSSL's name of a curve, or "RSA" */
        int64_t not_before; /* seconds since 1970 */
        int64_t not_after;
        const char *passphrase; /* encrypts the key, or NULL */
};

struct test_keys {
        struct buf certificate_pem; /* self-signed, CN=coffer test, O=Coffer */
        struct buf key_pem;
};

/* A fresh pair. Aborts the test where it can't be made. Release with test_keys_done(). */
void test_keys_init(struct test_keys *ret_keys, const struct test_keys_spec *spec);

/* Releases the pair. */
void test_keys_done(struct test_keys *keys);
#define cleanup_test_keys CLEANUP(test_keys_done)
