/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/crypto/cbor-stream.h"

#include <cbor.h>

#include <string.h>

/* First bytes of the tags that need no second one: major type 6, values 0 to 23. */
enum { TAG_FIRST = 0xc0, TAG_LAST = 0xd7 };

/* One head as libcbor's callbacks report it. */
struct item {
        enum cbor_kind kind;
        uint64_t value;   /* integer, count or tag number */
        struct view data; /* of a string */
};

static void set(void *user, enum cbor_kind kind, uint64_t value)
{
        struct item *item = user;

        *item = (struct item){.kind = kind, .value = value};
}

static void on_uint8(void *user, uint8_t value)
{
        set(user, CBOR_KIND_UINT, value);
}

static void on_uint16(void *user, uint16_t value)
{
        set(user, CBOR_KIND_UINT, value);
}

static void on_uint32(void *user, uint32_t value)
{
        set(user, CBOR_KIND_UINT, value);
}

static void on_uint64(void *user, uint64_t value)
{
        set(user, CBOR_KIND_UINT, value);
}

static void on_negint8(void *user, uint8_t value)
{
        set(user, CBOR_KIND_NEGINT, value);
}

static void on_negint16(void *user, uint16_t value)
{
        set(user, CBOR_KIND_NEGINT, value);
}

static void on_negint32(void *user, uint32_t value)
{
        set(user, CBOR_KIND_NEGINT, value);
}

static void on_negint64(void *user, uint64_t value)
{
        set(user, CBOR_KIND_NEGINT, value);
}

static void set_string(void *user, enum cbor_kind kind, cbor_data p, size_t n)
{
        struct item *item = user;

        *item = (struct item){.kind = kind, .data = view_of(p, n)};
}

static void on_bytes(void *user, cbor_data p, size_t n)
{
        set_string(user, CBOR_KIND_BYTES, p, n);
}

static void on_text(void *user, cbor_data p, size_t n)
{
        set_string(user, CBOR_KIND_TEXT, p, n);
}

static void on_array(void *user, size_t n)
{
        set(user, CBOR_KIND_ARRAY, n);
}

static void on_map(void *user, size_t n)
{
        set(user, CBOR_KIND_MAP, n);
}

static void on_tag(void *user, uint64_t value)
{
        set(user, CBOR_KIND_TAG, value);
}

static void on_simple(void *user)
{
        set(user, CBOR_KIND_SIMPLE, 0);
}

static void on_boolean(void *user, bool value)
{
        set(user, CBOR_KIND_SIMPLE, value);
}

static void on_float(void *user, float value)
{
        (void)value;
        set(user, CBOR_KIND_SIMPLE, 0);
}

static void on_double(void *user, double value)
{
        (void)value;
        set(user, CBOR_KIND_SIMPLE, 0);
}

/* Starts of indefinite lengths and lone breaks: `kind` stays NONE, which refuses them. */
static void on_refused(void *user)
{
        set(user, CBOR_KIND_NONE, 0);
}

static const struct cbor_callbacks callbacks = {
        .uint8 = on_uint8,
        .uint16 = on_uint16,
        .uint32 = on_uint32,
        .uint64 = on_uint64,
        .negint8 = on_negint8,
        .negint16 = on_negint16,
        .negint32 = on_negint32,
        .negint64 = on_negint64,
        .byte_string = on_bytes,
        .byte_string_start = on_refused,
        .string = on_text,
        .string_start = on_refused,
        .array_start = on_array,
        .indef_array_start = on_refused,
        .map_start = on_map,
        .indef_map_start = on_refused,
        .tag = on_tag,
        .float2 = on_float,
        .float4 = on_float,
        .float8 = on_double,
        .undefined = on_simple,
        .null = on_simple,
        .boolean = on_boolean,
        .indef_break = on_refused,
};

/* Decodes the next head. *ret_used is its length, with the bytes of a string. */
static const char *decode(struct view rest, struct item *ret_item, size_t *ret_used)
{
        struct cbor_decoder_result result;
        struct item item = {.kind = CBOR_KIND_NONE};

        if (rest.n == 0)
                return "ends early";
        if (rest.p[0] >= TAG_FIRST && rest.p[0] <= TAG_LAST) {
                /* Tags 0 to 23. Older releases of libcbor (0.8 is one) take most of them, COSE's among them,
                 * for malformed. */
                *ret_item = (struct item){.kind = CBOR_KIND_TAG, .value = rest.p[0] - TAG_FIRST};
                *ret_used = 1;
                return NULL;
        }
        result = cbor_stream_decode(rest.p, rest.n, &callbacks, &item);
        switch (result.status) {
        case CBOR_DECODER_NEDATA:
                return "ends early";
        case CBOR_DECODER_ERROR:
                return "has a malformed item";
        case CBOR_DECODER_FINISHED:
                break;
        }
        if (item.kind == CBOR_KIND_NONE)
                return "has an item of indefinite length";
        *ret_item = item;
        *ret_used = result.read;
        return NULL;
}

static void fail_at(struct cbor_reader *r, size_t at, const char *problem)
{
        if (r->problem)
                return;
        r->problem = problem;
        r->problem_at = at;
        r->at.failed = true;
}

void cbor_fail(struct cbor_reader *r, const char *problem)
{
        fail_at(r, r->last, problem);
}

/* Takes the next item of any kind; kind NONE once failed. */
static struct item take_any(struct cbor_reader *r)
{
        struct item item = {.kind = CBOR_KIND_NONE};
        size_t used = 0;
        const char *problem;

        if (r->problem)
                return item;
        problem = decode(cursor_rest(&r->at), &item, &used);
        r->last = r->at.at;
        if (problem)
                cbor_fail(r, problem);
        else
                cursor_take(&r->at, used);
        return item;
}

/* Takes the next item, which must be of that kind. */
static struct item take(struct cbor_reader *r, enum cbor_kind kind, const char *problem)
{
        enum cbor_kind next = cbor_peek(r);

        if (next != kind && next != CBOR_KIND_NONE)
                fail_at(r, r->at.at, problem);
        return take_any(r);
}

enum cbor_kind cbor_peek(const struct cbor_reader *r)
{
        struct item item = {.kind = CBOR_KIND_NONE};
        size_t used = 0;

        if (r->problem || decode(cursor_rest(&r->at), &item, &used))
                return CBOR_KIND_NONE;
        return item.kind;
}

uint64_t cbor_take_uint(struct cbor_reader *r)
{
        return take(r, CBOR_KIND_UINT, "has something else where an unsigned integer belongs").value;
}

int64_t cbor_take_int(struct cbor_reader *r)
{
        bool negative = cbor_peek(r) == CBOR_KIND_NEGINT;
        struct item item = take(r, negative ? CBOR_KIND_NEGINT : CBOR_KIND_UINT,
                                "has something else where an integer belongs");

        if (item.value > INT64_MAX) {
                cbor_fail(r, "has an integer that is too large");
                return 0;
        }
        return negative && item.kind == CBOR_KIND_NEGINT ? -1 - (int64_t)item.value : (int64_t)item.value;
}

struct view cbor_take_bytes(struct cbor_reader *r)
{
        return take(r, CBOR_KIND_BYTES, "has something else where a byte string belongs").data;
}

struct view cbor_take_text(struct cbor_reader *r)
{
        return take(r, CBOR_KIND_TEXT, "has something else where a text string belongs").data;
}

uint64_t cbor_take_array(struct cbor_reader *r, uint64_t max)
{
        uint64_t n = take(r, CBOR_KIND_ARRAY, "has something else where an array belongs").value;

        if (n > max)
                cbor_fail(r, "has an array with too many items");
        return n > max ? 0 : n;
}

uint64_t cbor_take_map(struct cbor_reader *r, uint64_t max)
{
        uint64_t n = take(r, CBOR_KIND_MAP, "has something else where a map belongs").value;

        if (n > max)
                cbor_fail(r, "has a map with too many entries");
        return n > max ? 0 : n;
}

uint64_t cbor_take_tag(struct cbor_reader *r)
{
        return take(r, CBOR_KIND_TAG, "has something else where a tag belongs").value;
}

/* How many items follow a head and belong to it.  A map fails whose items can't be counted; what else can't
 * be there ends early. */
static uint64_t children(struct cbor_reader *r, struct item item)
{
        uint64_t n = item.kind == CBOR_KIND_TAG ? 1 : item.kind == CBOR_KIND_ARRAY ? item.value : 0;

        if (item.kind == CBOR_KIND_MAP && !__builtin_mul_overflow(item.value, 2, &n))
                return n;
        if (item.kind == CBOR_KIND_MAP)
                cbor_fail(r, "has a map with too many entries");
        return n;
}

void cbor_skip(struct cbor_reader *r)
{
        uint64_t left[CBOR_DEPTH_MAX + 1] = {1}; /* items still to come, for each level */
        size_t depth = 0;

        while (!r->problem) {
                uint64_t inside;

                while (left[depth] == 0) {
                        if (depth == 0)
                                return;
                        depth--;
                }
                left[depth]--;
                inside = children(r, take_any(r));
                if (inside == 0)
                        continue;
                if (depth == CBOR_DEPTH_MAX) {
                        cbor_fail(r, "is nested too deeply");
                        return;
                }
                left[++depth] = inside;
        }
}

int cbor_end(const struct cbor_reader *r, const char *what, struct error *err)
{
        if (r->problem)
                return error_set(err, -EBADMSG, "%s %s at byte %zu", what, r->problem, r->problem_at);
        if (!cursor_at_end(&r->at))
                return error_set(err, -EBADMSG, "%s has %zu bytes behind its end", what,
                                 r->at.v.n - r->at.at);
        return 0;
}

/* Longest head of an item. */
enum { HEAD_MAX = 9 };

void cbor_put_uint(struct buf *b, uint64_t value)
{
        unsigned char head[HEAD_MAX];

        buf_append(b, head, cbor_encode_uint(value, head, sizeof(head)));
}

void cbor_put_int(struct buf *b, int64_t value)
{
        unsigned char head[HEAD_MAX];

        if (value >= 0)
                cbor_put_uint(b, (uint64_t)value);
        else
                buf_append(b, head, cbor_encode_negint((uint64_t)(-1 - value), head, sizeof(head)));
}

void cbor_put_bytes(struct buf *b, struct view v)
{
        unsigned char head[HEAD_MAX];

        buf_append(b, head, cbor_encode_bytestring_start(v.n, head, sizeof(head)));
        buf_append_view(b, v);
}

void cbor_put_text(struct buf *b, const char *text)
{
        unsigned char head[HEAD_MAX];
        size_t n = strlen(text);

        buf_append(b, head, cbor_encode_string_start(n, head, sizeof(head)));
        buf_append(b, text, n);
}

void cbor_put_array(struct buf *b, size_t n)
{
        unsigned char head[HEAD_MAX];

        buf_append(b, head, cbor_encode_array_start(n, head, sizeof(head)));
}

void cbor_put_map(struct buf *b, size_t n)
{
        unsigned char head[HEAD_MAX];

        buf_append(b, head, cbor_encode_map_start(n, head, sizeof(head)));
}
