/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-cose.c - hostile COSE_Sign1 messages.
 */
#include "lib/crypto/cose.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A certificate of nobody, so that verification runs too. */
static const char pem[] = "-----BEGIN CERTIFICATE-----\n"
                          "MIIBeTCCAR+gAwIBAgIUY7J+cxLkQfwqHDqQ+zBDVIsdfIMwCgYIKoZIzj0EAwIw\n"
                          "ETEPMA0GA1UEAwwGbm9ib2R5MCAXDTI2MTEyMDE2MzMxM1oYDzIxMjYxMDI3MTYz\n"
                          "MzEzWjARMQ8wDQYDVQQDDAZub2JvZHkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC\n"
                          "AARtrz+y3tqOCxF5dmCuJ4Z5sC4d8074z5+yAuO9WqX8jTxbqseCUcgNXquy7Ec4\n"
                          "QrSGX2MNjfk4fMLzNSJMQmzMo1MwUTAdBgNVHQ4EFgQUVq3OWdu0vaJ3CEyCEnq9\n"
                          "JQTGP9YwHwYDVR0jBBgwFoAUVq3OWdu0vaJ3CEyCEnq9JQTGP9YwDwYDVR0TAQH/\n"
                          "BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiBHRsScWFyxVY9IJ1t07vwxWJdtorgz\n"
                          "Iu2XhHR2Dc8bqgIhAPkAvWeSaKIH+pLDnRKbX9cGeW2kJuH+k86h8ZOuEbja\n"
                          "-----END CERTIFICATE-----\n";

static bool inside(struct view part, struct view whole)
{
        return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        cleanup_certificate struct certificate *certificate = NULL;
        struct view message = view_of(data, size);
        struct cose_sign1 sign1;
        struct error err = {0};

        if (cose_sign1_decode(message, &sign1, &err) < 0)
                return 0;
        if (!inside(sign1.payload, message) || !inside(sign1.signature, message) ||
            !inside(sign1.protected_header, message))
                abort();
        if (certificate_parse(view_of_string(pem), &certificate, &err) < 0)
                abort();
        (void)cose_sign1_verify(&sign1, certificate, &err);
        return 0;
}
