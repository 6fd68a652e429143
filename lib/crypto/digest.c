/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/crypto/digest.h"

#include "lib/base/cleanup.h"
#include "lib/base/text.h"

#include <stdio.h>

static const struct {
        const char *name;
        size_t size;
} algorithms[] = {
        [HASH_SHA256] = {"sha256", 32},
        [HASH_SHA384] = {"sha384", 48},
        [HASH_SHA512] = {"sha512", 64},
};

/* Longest piece of a refused digest that an error quotes. */
enum { QUOTE_MAX = 160 };

size_t digest_size(enum hash_algorithm algorithm)
{
        return algorithms[algorithm].size;
}

const char *digest_algorithm_name(enum hash_algorithm algorithm)
{
        return algorithms[algorithm].name;
}

/* A printable copy of at most QUOTE_MAX bytes of hostile text, for an error. */
static const char *quote(struct view text, char ret_quoted[static QUOTE_MAX + 1])
{
        text_printable(text, ret_quoted, QUOTE_MAX + 1);
        return ret_quoted;
}

static bool is_lower_hex(struct view v)
{
        for (size_t i = 0; i < v.n; i++)
                if (!((v.p[i] >= '0' && v.p[i] <= '9') || (v.p[i] >= 'a' && v.p[i] <= 'f')))
                        return false;
        return v.n > 0;
}

int digest_parse(struct view text, struct digest *ret_digest, struct error *err)
{
        struct cursor c = cursor_of(text);
        struct view name = cursor_until(&c, ':');
        struct view hex = cursor_rest(&c);
        char quoted[QUOTE_MAX + 1];

        if (!cursor_ok(&c) || name.n == 0 || hex.n == 0)
                return error_set(err, -EBADMSG, "\"%s\" is not a digest; write it as sha256:<64 hex digits>",
                                 quote(text, quoted));
        for (size_t i = 0; i < ARRAY_SIZE(algorithms); i++) {
                struct digest d = {.algorithm = (enum hash_algorithm)i};

                if (!view_equal(name, view_of_string(algorithms[i].name)))
                        continue;
                if (!is_lower_hex(hex) || !hex_decode(hex, d.bytes, algorithms[i].size))
                        return error_set(err, -EBADMSG,
                                         "digest \"%s\" must have %zu lower-case hex digits after the colon",
                                         quote(text, quoted), 2 * algorithms[i].size);
                *ret_digest = d;
                return 0;
        }
        return error_set(err, -ENOTSUP,
                         "digest \"%s\": unknown algorithm; sha256, sha384 and sha512 are known",
                         quote(text, quoted));
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
        return a->algorithm == b->algorithm && view_equal(digest_view(a), digest_view(b));
}

void digest_format(const struct digest *d, char ret_text[static DIGEST_TEXT_MAX])
{
        int n = snprintf(ret_text, DIGEST_TEXT_MAX, "%s:", digest_algorithm_name(d->algorithm));

        hex_encode(d->bytes, digest_size(d->algorithm), ret_text + n);
}

void digest_hex(const struct digest *d, char ret_hex[static DIGEST_HEX_MAX])
{
        hex_encode(d->bytes, digest_size(d->algorithm), ret_hex);
}
