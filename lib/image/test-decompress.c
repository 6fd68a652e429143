/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/image/decompress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <isa-l/igzip_lib.h>
#include <zstd.h>

#include "lib/base/buf.h"

enum { PLAIN_SIZE = 3 * 256 * 1024 + 17, BUF_MAX = 64 << 20 };

static const struct decompress_limits no_limits = {0};
static uint8_t plain[PLAIN_SIZE];

/* Text that compresses a little, the same in every run. */
static int make_plain(void **state)
{
        uint32_t x = 1;

        (void)state;
        for (size_t i = 0; i < sizeof(plain); i++) {
                x = x * 1664525 + 1013904223;
                plain[i] = (uint8_t)("coffer\n 0123456789"[(x >> 24) % 18]);
        }
        return 0;
}

static void gzip_append(struct buf *b, struct view v)
{
        struct isal_zstream s;
        size_t room = v.n + v.n / 2 + 1024;

        assert_int_equal(buf_reserve(b, room), 0);
        isal_deflate_init(&s);
        s.gzip_flag = IGZIP_GZIP;
        s.end_of_stream = 1;
        s.next_in = (uint8_t *)(uintptr_t)v.p;
        s.avail_in = (uint32_t)v.n;
        s.next_out = b->p + b->n;
        s.avail_out = (uint32_t)room;
        assert_int_equal(isal_deflate(&s), COMP_OK);
        b->n += room - s.avail_out;
}

static void zstd_append(struct buf *b, struct view v)
{
        size_t room = ZSTD_compressBound(v.n);

        assert_int_equal(buf_reserve(b, room), 0);
        size_t n = ZSTD_compress(b->p + b->n, room, v.p, v.n, 1);
        assert_false(ZSTD_isError(n));
        b->n += n;
}

static void none_append(struct buf *b, struct view v)
{
        buf_append_view(b, v);
}

static int collect(void *user, struct view data, struct error *err)
{
        (void)err;
        return buf_append_view(user, data);
}

static int run(struct view input, size_t step, const struct decompress_limits *limits, struct buf *out,
               enum compression *ret_kind, struct error *err)
{
        cleanup_decompressor struct decompressor *d = NULL;
        int r = decompressor_new(limits, collect, out, &d, err);

        for (size_t at = 0; r == 0 && at < input.n; at += step)
                r = decompressor_feed(d, view_of(input.p + at, step < input.n - at ? step : input.n - at),
                                      err);
        if (r == 0)
                r = decompressor_finish(d, err);
        *ret_kind = decompressor_compression(d);
        return r;
}

static const struct {
        enum compression kind;
        void (*append)(struct buf *b, struct view v);
} formats[] = {
        {COMPRESSION_NONE, none_append},
        {COMPRESSION_GZIP, gzip_append},
        {COMPRESSION_ZSTD, zstd_append},
};

static void one_and_many_members_in_pieces_of_any_size(void **state)
{
        static const size_t steps[] = {1, 2, 3, 4, 5, 1000, 65536, PLAIN_SIZE};
        static const size_t cuts[] = {0, 1, 7, 1 << 18, 1 << 19, PLAIN_SIZE};

        (void)state;
        for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
                for (size_t c = 0; c < ARRAY_SIZE(cuts); c++) {
                        cleanup_buf struct buf blob = buf_with_max(BUF_MAX);
                        formats[f].append(&blob, view_of(plain, cuts[c]));
                        formats[f].append(&blob, view_of(plain + cuts[c], PLAIN_SIZE - cuts[c]));
                        for (size_t s = 0; s < ARRAY_SIZE(steps); s++) {
                                if (steps[s] < 1000 && cuts[c] != 7)
                                        continue; /* slow, and the cut makes no difference to it */
                                cleanup_buf struct buf out = buf_with_max(BUF_MAX);
                                struct error err = {0};
                                enum compression kind;
                                int r = run(buf_view(&blob), steps[s], &no_limits, &out, &kind, &err);
                                assert_int_equal(r, 0);
                                assert_int_equal(kind, formats[f].kind);
                                assert_int_equal(out.n, PLAIN_SIZE);
                                assert_memory_equal(out.p, plain, PLAIN_SIZE);
                        }
                }
        }
}

/* A member of 300 bytes of plain, whose header has these of the parts that RFC 1952 (2.3) allows. */
static void gzip_with_header(struct buf *b, bool extra, bool name, bool checked)
{
        static uint8_t field[] = "extra\0\xff\xfe";
        static char text[] = "layer.tar";
        struct isal_gzip_header header = {
                .extra = extra ? field : NULL,
                .extra_len = extra ? sizeof(field) : 0,
                .extra_buf_len = extra ? sizeof(field) : 0,
                .name = name ? text : NULL,
                .name_buf_len = sizeof(text),
                .comment = name ? text : NULL,
                .comment_buf_len = sizeof(text),
                .hcrc = checked,
        };
        struct isal_zstream s;

        assert_int_equal(buf_reserve(b, 4096), 0);
        isal_deflate_init(&s);
        s.gzip_flag = IGZIP_GZIP_NO_HDR;
        s.end_of_stream = 1;
        s.next_out = b->p + b->n;
        s.avail_out = 4096;
        assert_int_equal(isal_write_gzip_header(&s, &header), COMP_OK);
        s.next_in = plain;
        s.avail_in = 300;
        assert_int_equal(isal_deflate(&s), COMP_OK);
        b->n += 4096 - s.avail_out;
}

/* Leaves `byte` where the next call's locals will be. */
__attribute__((noinline)) static void litter_stack(int byte)
{
        volatile uint8_t litter[8192];

        for (size_t i = 0; i < sizeof(litter); i++)
                litter[i] = (uint8_t)byte;
}

static void assert_inflates_bytewise(struct view input, int litter)
{
        cleanup_buf struct buf out = buf_with_max(BUF_MAX);
        cleanup_decompressor struct decompressor *d = NULL;
        struct error err = {0};

        assert_int_equal(decompressor_new(&no_limits, collect, &out, &d, &err), 0);
        for (size_t i = 0; i < input.n; i++) {
                litter_stack(litter);
                assert_int_equal(decompressor_feed(d, view_of(input.p + i, 1), &err), 0);
        }
        assert_int_equal(decompressor_finish(d, &err), 0);
        assert_int_equal(out.n, 600);
        assert_memory_equal(out.p, plain, 300);
        assert_memory_equal(out.p + 300, plain, 300);
}

static void a_header_in_pieces_does_not_depend_on_what_the_stack_held(void **state)
{
        static const int litters[] = {0, 0xff, 0x02, 0x1c};

        (void)state;
        for (unsigned parts = 0; parts < 8; parts++) {
                cleanup_buf struct buf blob = buf_with_max(BUF_MAX);
                gzip_with_header(&blob, parts & 1, parts & 2, parts & 4);
                gzip_with_header(&blob, parts & 1, parts & 2, parts & 4);
                for (size_t i = 0; i < ARRAY_SIZE(litters); i++)
                        assert_inflates_bytewise(buf_view(&blob), litters[i]);
        }
}

static void every_truncation_is_an_error(void **state)
{
        (void)state;
        for (size_t f = 1; f < ARRAY_SIZE(formats); f++) {
                cleanup_buf struct buf blob = buf_with_max(BUF_MAX);
                formats[f].append(&blob, view_of(plain, 300));
                size_t first = blob.n;
                formats[f].append(&blob, view_of(plain, 300));
                for (size_t n = 4; n < blob.n; n++) {
                        cleanup_buf struct buf out = buf_with_max(BUF_MAX);
                        struct error err = {0};
                        enum compression kind;
                        int r = run(view_of(blob.p, n), n, &no_limits, &out, &kind, &err);
                        assert_int_equal(r, n == first ? 0 : -EBADMSG);
                        if (n != first)
                                assert_non_null(strstr(err.text, "ends in the middle"));
                }
        }
}

static void trailing_garbage_is_an_error(void **state)
{
        static const char *const garbage[] = {"x", "\x1f", "\x1f\x8bxxxxxxxxxxxxxxxxx", "\x28\xb5",
                                              "garbage garbage"};

        (void)state;
        for (size_t f = 1; f < ARRAY_SIZE(formats); f++) {
                for (size_t g = 0; g < ARRAY_SIZE(garbage); g++) {
                        cleanup_buf struct buf blob = buf_with_max(BUF_MAX), out = buf_with_max(BUF_MAX);
                        struct error err = {0};
                        enum compression kind;
                        formats[f].append(&blob, view_of(plain, 300));
                        buf_append_string(&blob, garbage[g]);
                        assert_int_equal(run(buf_view(&blob), 50, &no_limits, &out, &kind, &err), -EBADMSG);
                }
                cleanup_buf struct buf blob = buf_with_max(BUF_MAX), out = buf_with_max(BUF_MAX);
                enum compression kind;
                formats[f].append(&blob, view_of(plain, 300));
                buf_append_byte(&blob, 0);
                assert_int_equal(run(buf_view(&blob), 50, &no_limits, &out, &kind, NULL), -EBADMSG);
        }
}

static void a_changed_byte_is_an_error(void **state)
{
        cleanup_buf struct buf blob = buf_with_max(BUF_MAX);

        (void)state;
        gzip_append(&blob, view_of(plain, 3000));
        for (size_t i = 18; i < blob.n; i += 7) {
                cleanup_buf struct buf out = buf_with_max(BUF_MAX);
                enum compression kind;
                blob.p[i] ^= 0x10;
                assert_int_equal(run(buf_view(&blob), blob.n, &no_limits, &out, &kind, NULL), -EBADMSG);
                blob.p[i] ^= 0x10;
        }
}

static void limits_hold(void **state)
{
        static const struct decompress_limits small = {.max_output = 100000};
        static const struct decompress_limits flat = {.max_ratio = 10, .ratio_floor = 1000};
        static uint8_t zeros[1 << 20];

        (void)state;
        for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
                cleanup_buf struct buf blob = buf_with_max(BUF_MAX), out = buf_with_max(BUF_MAX);
                struct error err = {0};
                enum compression kind;
                formats[f].append(&blob, view_of(zeros, sizeof(zeros)));
                assert_int_equal(run(buf_view(&blob), blob.n, &small, &out, &kind, &err), -EFBIG);
                assert_true(out.n <= small.max_output);
                assert_non_null(strstr(err.text, "more than 100000 bytes"));
                if (f == 0)
                        continue;
                out.n = 0;
                assert_int_equal(run(buf_view(&blob), blob.n, &flat, &out, &kind, &err), -EFBIG);
                assert_non_null(strstr(err.text, "more than 10-fold"));
        }
}

static void limits_are_reached_and_not_passed(void **state)
{
        static const struct decompress_limits exact = {.max_output = PLAIN_SIZE},
                                              less = {.max_output = PLAIN_SIZE - 1};

        (void)state;
        for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
                cleanup_buf struct buf blob = buf_with_max(BUF_MAX), out = buf_with_max(BUF_MAX);
                enum compression kind;
                formats[f].append(&blob, view_of(plain, PLAIN_SIZE));
                assert_int_equal(run(buf_view(&blob), blob.n, &exact, &out, &kind, NULL), 0);
                out.n = 0;
                assert_int_equal(run(buf_view(&blob), blob.n, &less, &out, &kind, NULL), -EFBIG);
        }
}

/* All of it is read at once here, so that the ratio is that of the whole. */
static void the_ratio_counts_from_its_floor_on(void **state)
{
        static uint8_t zeros[100000];
        cleanup_buf struct buf blob = buf_with_max(BUF_MAX);
        const struct {
                uint64_t ratio;
                uint64_t floor;
                int r;
        } cases[] = {{1, sizeof(zeros), 0}, {1, sizeof(zeros) - 1, -EFBIG}, {0, 0, 0}, {999999, 0, 0}};

        (void)state;
        gzip_append(&blob, view_of(zeros, sizeof(zeros)));
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const struct decompress_limits limits = {.max_ratio = cases[i].ratio,
                                                         .ratio_floor = cases[i].floor};
                cleanup_buf struct buf out = buf_with_max(BUF_MAX);
                enum compression kind;
                assert_int_equal(run(buf_view(&blob), blob.n, &limits, &out, &kind, NULL), cases[i].r);
        }
        /* What isn't compressed grows once. */
        cleanup_buf struct buf same = buf_with_max(BUF_MAX);
        enum compression none;
        assert_int_equal(run(view_of(plain, PLAIN_SIZE), PLAIN_SIZE,
                             &(struct decompress_limits){.max_ratio = 1}, &same, &none, NULL),
                         0);
        /* The least ratio that the whole has, rounded up, and one below. */
        const uint64_t ratio = (sizeof(zeros) + blob.n - 1) / blob.n;
        for (uint64_t less = 0; less < 2; less++) {
                const struct decompress_limits limits = {.max_ratio = ratio - less};
                cleanup_buf struct buf out = buf_with_max(BUF_MAX);
                enum compression kind;
                assert_int_equal(run(buf_view(&blob), blob.n, &limits, &out, &kind, NULL), less ? -EFBIG : 0);
        }
}

/* The last pieces that a sink was given, and what was in them. */
struct kept {
        struct view piece[DECOMPRESS_BUFFERS - 1];
        struct buf content[DECOMPRESS_BUFFERS - 1];
        size_t n;
};

static int keep(void *user, struct view data, struct error *err)
{
        struct kept *k = user;
        size_t count = ARRAY_SIZE(k->piece), now = k->n++ % count;

        (void)err;
        k->piece[now] = data;
        buf_done(&k->content[now]);
        k->content[now] = buf_with_max(BUF_MAX);
        assert_int_equal(buf_append_view(&k->content[now], data), 0);
        for (size_t i = 0; i < count && i < k->n; i++)
                assert_true(view_equal(k->piece[i], buf_view(&k->content[i])));
        return 0;
}

static void pieces_stay_as_they_are_for_as_long_as_was_said(void **state)
{
        (void)state;
        for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
                cleanup_buf struct buf blob = buf_with_max(BUF_MAX);
                cleanup_decompressor struct decompressor *d = NULL;
                struct kept kept = {.n = 0};

                for (int i = 0; i < 5; i++)
                        formats[f].append(&blob, view_of(plain, PLAIN_SIZE - (size_t)i * 1000));
                assert_int_equal(decompressor_new(&no_limits, keep, &kept, &d, NULL), 0);
                assert_int_equal(decompressor_feed(d, buf_view(&blob), NULL), 0);
                assert_int_equal(decompressor_finish(d, NULL), 0);
                assert_true(kept.n > 2 * ARRAY_SIZE(kept.piece));
                for (size_t i = 0; i < ARRAY_SIZE(kept.content); i++)
                        buf_done(&kept.content[i]);
        }
}

/* RFC 8878, 3.1.1.1.2: an empty frame with a window of 2^(10 + the byte's upper five bits). */
static void a_window_has_its_limit(void **state)
{
        static const uint8_t largest[] = {0x28, 0xb5, 0x2f, 0xfd, 0, 17 << 3, 1, 0, 0},
                             larger[] = {0x28, 0xb5, 0x2f, 0xfd, 0, 18 << 3, 1, 0, 0};
        cleanup_buf struct buf out = buf_with_max(BUF_MAX);
        struct error err = {0};
        enum compression kind;

        (void)state;
        assert_int_equal(run(view_of(largest, 9), 9, &no_limits, &out, &kind, &err), 0);
        assert_int_equal(run(view_of(larger, 9), 9, &no_limits, &out, &kind, &err), -EBADMSG);
        assert_non_null(strstr(err.text, "zstd: "));
}

static void short_and_empty_inputs_are_plain(void **state)
{
        (void)state;
        for (size_t n = 0; n < 4; n++) {
                cleanup_buf struct buf out = buf_with_max(BUF_MAX);
                enum compression kind;
                assert_int_equal(run(view_of("\x1f\x8b\x08", n), 1, &no_limits, &out, &kind, NULL), 0);
                assert_int_equal(kind, COMPRESSION_NONE);
                assert_int_equal(out.n, n);
        }
}

static int refuse(void *user, struct view data, struct error *err)
{
        (void)user;
        (void)data;
        return error_set(err, -ENOSPC, "full");
}

static void the_sinks_error_comes_out(void **state)
{
        (void)state;
        for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
                cleanup_decompressor struct decompressor *d = NULL;
                cleanup_buf struct buf blob = buf_with_max(BUF_MAX);
                struct error err = {0};
                formats[f].append(&blob, view_of(plain, 3000));
                assert_int_equal(decompressor_new(&no_limits, refuse, NULL, &d, &err), 0);
                int r = decompressor_feed(d, buf_view(&blob), &err);
                assert_int_equal(r, -ENOSPC);
                assert_string_equal(err.text, "full");
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(one_and_many_members_in_pieces_of_any_size),
                cmocka_unit_test(a_header_in_pieces_does_not_depend_on_what_the_stack_held),
                cmocka_unit_test(every_truncation_is_an_error),
                cmocka_unit_test(trailing_garbage_is_an_error),
                cmocka_unit_test(a_changed_byte_is_an_error),
                cmocka_unit_test(limits_hold),
                cmocka_unit_test(limits_are_reached_and_not_passed),
                cmocka_unit_test(the_ratio_counts_from_its_floor_on),
                cmocka_unit_test(pieces_stay_as_they_are_for_as_long_as_was_said),
                cmocka_unit_test(a_window_has_its_limit),
                cmocka_unit_test(short_and_empty_inputs_are_plain),
                cmocka_unit_test(the_sinks_error_comes_out),
        };
        return cmocka_run_group_tests(tests, make_plain, NULL);
}
