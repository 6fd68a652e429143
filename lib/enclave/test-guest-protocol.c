/* SPDX-License-Identifier: Apache-2.0 */
/* test-guest-protocol.c - frames as guest-protocol.h writes them down, whole, cut and damaged. */
#include "lib/enclave/guest-protocol.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void assert_frame(const struct guest_message *message, const char *expected, size_t n)
{
        cleanup_buf struct buf b = buf_with_max(8192);
        struct guest_message got;
        size_t used;

        assert_int_equal(guest_message_encode(message, &b), 0);
        assert_int_equal(b.n, n);
        assert_memory_equal(b.p, expected, n);
        /* Every shorter piece is "read more". */
        for (size_t i = 0; i < n; i++)
                assert_int_equal(guest_message_decode(view_of(b.p, i), &got, &used, NULL), 0);
        buf_append_byte(&b, 0xff);
        assert_int_equal(guest_message_decode(buf_view(&b), &got, &used, NULL), 1);
        assert_int_equal(used, n);
        assert_int_equal(got.type, message->type);
}
#define assert_frame_is(message, bytes) assert_frame(message, bytes, sizeof(bytes) - 1)

static void test_frames_are_as_documented(void **state)
{
        struct guest_message signaled = {.type = GUEST_SIGNALED};
        struct guest_message failed = guest_message_failed(2, "exec", "/x");

        (void)state;
        signaled.signaled.signal = 11;
        signaled.signaled.core = true;
        assert_frame_is((&(struct guest_message){.type = GUEST_HELLO, .version = 1}),
                        "\x01\x00\x00\x00\x04\x00\x00\x00\x01");
        assert_frame_is((&(struct guest_message){.type = GUEST_STARTED, .pid = 0x1234}),
                        "\x02\x00\x00\x00\x04\x00\x00\x12\x34");
        assert_frame_is((&(struct guest_message){.type = GUEST_EXITED, .status = 255}),
                        "\x03\x00\x00\x00\x04\x00\x00\x00\xff");
        assert_frame_is(&signaled, "\x04\x00\x00\x00\x05\x00\x00\x00\x0b\x01");
        assert_frame_is(&failed, "\x05\x00\x00\x00\x0e\x00\x00\x00\x02\x00\x04"
                                 "exec\x00\x02/x");
        assert_frame_is((&(struct guest_message){.type = PARENT_SIGNAL, .signal = 9}),
                        "\x81\x00\x00\x00\x04\x00\x00\x00\x09");
        assert_frame_is((&(struct guest_message){.type = PARENT_SHUTDOWN}), "\x82\x00\x00\x00\x00");
}

static void test_values_come_back(void **state)
{
        cleanup_buf struct buf b = buf_with_max(8192);
        struct guest_message failed = guest_message_failed(13, "run the workload", "/sbin/\x1b[2Jx\xff");
        struct guest_message got;
        size_t used;

        (void)state;
        assert_int_equal(guest_message_encode(&failed, &b), 0);
        assert_int_equal(guest_message_decode(buf_view(&b), &got, &used, NULL), 1);
        assert_int_equal(got.failed.errnum, 13);
        assert_string_equal(got.failed.stage, "run the workload");
        assert_string_equal(got.failed.path, "/sbin/?[2Jx?");
}

static void test_long_texts_are_cut(void **state)
{
        cleanup_buf struct buf b = buf_with_max(8192);
        static char text[8000];
        struct guest_message got;
        size_t used;

        (void)state;
        memset(text, 'x', sizeof(text) - 1);
        struct guest_message failed = guest_message_failed(1, text, text);
        assert_int_equal(guest_message_encode(&failed, &b), 0);
        assert_int_equal(guest_message_decode(buf_view(&b), &got, &used, NULL), 1);
        assert_int_equal(strlen(got.failed.stage), GUEST_STAGE_MAX);
        assert_int_equal(strlen(got.failed.path), GUEST_PATH_MAX);
}

struct bad {
        const char *bytes;
        size_t n;
        const char *text;
};
#define BAD(bytes, text)                                                                                     \
        {                                                                                                    \
                bytes, sizeof(bytes) - 1, text                                                               \
        }

static void test_bad_frames(void **state)
{
        static const struct bad BADS[] = {
                BAD("\x00\x00\x00\x00\x00", "message of unknown type 0x00"),
                BAD("\x7f\x00\x00\x00\x00", "message of unknown type 0x7f"),
                BAD("\x05\x00\x00\x10\x01", "FAILED with 4097 bytes; at most 4096 are allowed"),
                BAD("\x05\xff\xff\xff\xff", "FAILED with 4294967295 bytes; at most 4096 are allowed"),
                BAD("\x03\x00\x00\x00\x03\x00\x00\x00",
                    "EXITED has a payload of 3 bytes, which is not its size"),
                BAD("\x03\x00\x00\x00\x05\x00\x00\x00\x00\x00",
                    "EXITED has a payload of 5 bytes, which is not its size"),
                BAD("\x82\x00\x00\x00\x01\x00", "SHUTDOWN has a payload of 1 bytes, which is not its size"),
                BAD("\x03\x00\x00\x00\x04\x00\x00\x01\x00", "EXITED holds a value out of range"),
                BAD("\x81\x00\x00\x00\x04\x00\x00\x00\x00", "SIGNAL holds a value out of range"),
                BAD("\x81\x00\x00\x00\x04\x00\x00\x00\x41", "SIGNAL holds a value out of range"),
                BAD("\x04\x00\x00\x00\x05\x00\x00\x00\x0b\x02", "SIGNALED holds a value out of range"),
                BAD("\x04\x00\x00\x00\x05\x00\x00\x00\x41\x00", "SIGNALED holds a value out of range"),
                BAD("\x04\x00\x00\x00\x05\x00\x00\x00\x00\x00", "SIGNALED holds a value out of range"),
                BAD("\x02\x00\x00\x00\x04\x80\x00\x00\x00", "STARTED holds a value out of range"),
                BAD("\x02\x00\x00\x00\x04\x00\x00\x00\x00", "STARTED holds a value out of range"),
                BAD("\x01\x00\x00\x00\x04\x00\x00\x00\x00", "HELLO holds a value out of range"),
                BAD("\x05\x00\x00\x00\x08\x00\x00\x00\x02\x00\x09\x00\x00",
                    "FAILED has a payload of 8 bytes, which is not its size"),
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(BADS); i++) {
                struct guest_message message;
                struct error err = {0};
                size_t used;

                assert_int_equal(
                        guest_message_decode(view_of(BADS[i].bytes, BADS[i].n), &message, &used, &err),
                        -EBADMSG);
                assert_string_equal(error_text(&err), BADS[i].text);
        }
}

static void test_out_of_range_values_are_not_sent(void **state)
{
        cleanup_buf struct buf b = buf_with_max(64);

        (void)state;
        assert_int_equal(
                guest_message_encode(&(struct guest_message){.type = GUEST_EXITED, .status = 256}, &b),
                -EINVAL);
        assert_int_equal(
                guest_message_encode(&(struct guest_message){.type = PARENT_SIGNAL, .signal = 65}, &b),
                -EINVAL);
        assert_int_equal(guest_message_encode(&(struct guest_message){.type = 0}, &b), -EINVAL);
        assert_int_equal(b.n, 0);
}

static void test_control_ports_differ_between_guests(void **state)
{
        (void)state;
        assert_int_equal(guest_control_port(4), 0xc0ff0004u);
        assert_int_not_equal(guest_control_port(0x10004), guest_control_port(4));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_frames_are_as_documented),
                cmocka_unit_test(test_values_come_back),
                cmocka_unit_test(test_long_texts_are_cut),
                cmocka_unit_test(test_bad_frames),
                cmocka_unit_test(test_out_of_range_values_are_not_sent),
                cmocka_unit_test(test_control_ports_differ_between_guests),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
