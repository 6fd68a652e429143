/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-resolve.c - a hostile registry: from a root of any type over indexes to a manifest and the
 * configuration.  The input is a row of texts that end in NUL: the root's media type, the root, and up to
 * eight blobs.  What a registry sends has to have the digest and size by which it is asked for, which no
 * fuzzer guesses: 64 times the digit N in a text before the Nth stands for that one's digest, and six times
 * for its size.
 */
#include "lib/crypto/hash.h"
#include "lib/image/source.h"

#include <string.h>

enum { TEXTS_MAX = 10, ROOT = 1, TEXT_MAX = 1 << 16, HEX = 64, SIZE_DIGITS = 6 };

struct registry {
        struct image_source base;
        struct view texts[TEXTS_MAX];
        struct buf bytes[TEXTS_MAX];
        struct digest digests[TEXTS_MAX];
        size_t n;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int read_text(struct image_source *base, const struct descriptor *d, image_sink_fn sink, void *user,
                     struct error *err)
{
        const struct registry *r = (const struct registry *)base;

        for (size_t i = ROOT + 1; i < r->n; i++)
                if (digest_equal(&d->digest, &r->digests[i]))
                        return sink(user, buf_view(&r->bytes[i]), err);
        return error_set(err, -ENOENT, "not there");
}

static void keep(struct image_source *base)
{
        (void)base;
}

/* Which text a run of the same digit stands for; 0: none. */
static size_t stands_for(struct view v, size_t run)
{
        if (v.n < run || v.p[0] < '2' || v.p[0] > '9')
                return 0;
        for (size_t i = 1; i < run; i++)
                if (v.p[i] != v.p[0])
                        return 0;
        return (size_t)(v.p[0] - '0');
}

/* Text i, with those behind it put in; they are complete. */
static void complete(struct registry *r, size_t i)
{
        struct buf *out = &r->bytes[i];
        struct view v = r->texts[i];
        char hex[DIGEST_HEX_MAX], decimal[24];
        size_t to;

        *out = buf_with_max(TEXT_MAX);
        while (v.n > 0 && !out->failed) {
                if ((to = stands_for(v, HEX)) > i && to < r->n) {
                        digest_hex(&r->digests[to], hex);
                        buf_append_view(out, view_of_string(hex));
                        v = view_of(v.p + HEX, v.n - HEX);
                } else if ((to = stands_for(v, SIZE_DIGITS)) > i && to < r->n) {
                        snprintf(decimal, sizeof(decimal), "%zu", r->bytes[to].n);
                        buf_append_view(out, view_of_string(decimal));
                        v = view_of(v.p + SIZE_DIGITS, v.n - SIZE_DIGITS);
                } else {
                        buf_append(out, v.p, 1);
                        v = view_of(v.p + 1, v.n - 1);
                }
        }
        if (hash_view(HASH_SHA256, buf_view(out), &r->digests[i]) < 0)
                abort();
}

static void split(struct registry *r, struct view input)
{
        struct cursor c = cursor_of(input);

        while (r->n < TEXTS_MAX && !cursor_at_end(&c)) {
                struct view rest = cursor_rest(&c), text = cursor_until(&c, 0);
                if (!cursor_ok(&c)) {
                        r->texts[r->n++] = rest;
                        return;
                }
                r->texts[r->n++] = text;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const struct image_source_ops ops = {read_text, read_text, keep};
        struct registry r = {.base.ops = &ops};
        cleanup_image_content struct image_content content = {0};
        cleanup_free char *type = NULL;
        struct error err = {0};

        split(&r, view_of(data, size));
        if (r.n <= ROOT)
                return 0;
        for (size_t i = r.n; i-- > ROOT;)
                complete(&r, i);
        type = view_to_string(r.texts[0]);
        if (type &&
            image_resolve_bytes(&r.base, buf_view(&r.bytes[ROOT]), type, "amd64", &content, &err) == 0 &&
            content.n_layers != content.config.n_diff_ids)
                abort();
        for (size_t i = ROOT; i < r.n; i++)
                buf_done(&r.bytes[i]);
        return 0;
}
