/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/enclave/qmp.h"

#include <string.h>

/* As QEMU 7.2 says it, with its line ends. */
static const char GREETING[] =
        "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, "
        "\"package\": \"\"}, \"capabilities\": [\"oob\"]}}\r\n";
static const char RETURN[] = "{\"return\": {}}\r\n";
static const char SHUTDOWN[] =
        "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"SHUTDOWN\", "
        "\"data\": {\"guest\": true, \"reason\": \"guest-shutdown\"}}\r\n";

static void add(struct buf *b, const char *text)
{
        assert_int_equal(buf_append_string(b, text), 0);
}

static void test_conversation_with_qemu_is_understood(void **state)
{
        cleanup_buf struct buf b = buf_with_max((size_t)2 * QMP_LINE_MAX);
        struct qmp_message message;

        (void)state;
        add(&b, GREETING);
        add(&b, RETURN);
        add(&b, SHUTDOWN);
        assert_int_equal(qmp_next(&b, &message, NULL), 1);
        assert_int_equal(message.kind, QMP_GREETING);
        assert_int_equal(qmp_next(&b, &message, NULL), 1);
        assert_int_equal(message.kind, QMP_RETURN);
        assert_int_equal(qmp_next(&b, &message, NULL), 1);
        assert_int_equal(message.kind, QMP_EVENT);
        assert_int_equal(message.event, QMP_EVENT_SHUTDOWN);
        assert_string_equal(message.text, "guest-shutdown");
        assert_int_equal(qmp_next(&b, &message, NULL), 0);
        assert_int_equal(b.n, 0);
}

static void test_message_in_pieces_waits_for_its_end(void **state)
{
        cleanup_buf struct buf b = buf_with_max((size_t)2 * QMP_LINE_MAX);
        struct qmp_message message;

        (void)state;
        for (size_t i = 0; i + 1 < strlen(RETURN); i++) {
                assert_int_equal(buf_append_byte(&b, (uint8_t)RETURN[i]), 0);
                assert_int_equal(qmp_next(&b, &message, NULL), 0);
        }
        assert_int_equal(buf_append_byte(&b, '\n'), 0);
        assert_int_equal(qmp_next(&b, &message, NULL), 1);
}

static void test_text_is_made_fit_for_a_terminal(void **state)
{
        struct qmp_message message;
        static const char line[] = "{\"error\": {\"desc\": \"a\\u001b[31mb\\u00fc\"}}";

        (void)state;
        assert_int_equal(qmp_decode(view_of_string(line), &message, NULL), 0);
        assert_int_equal(message.kind, QMP_ERROR);
        assert_string_equal(message.text, "a?[31mb??");
}

static void test_what_is_no_qmp_is_refused(void **state)
{
        static const char *const bad[] = {"hello", "[]", "{", "{\"event\": 3}", "{\"event\": null}", "3"};
        cleanup_buf struct buf b = buf_with_max((size_t)2 * QMP_LINE_MAX);
        struct qmp_message message;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_int_equal(qmp_decode(view_of_string(bad[i]), &message, NULL), -EBADMSG);
        for (size_t i = 0; i < QMP_LINE_MAX + 1; i++)
                assert_int_equal(buf_append_byte(&b, ' '), 0);
        assert_int_equal(qmp_next(&b, &message, NULL), -EBADMSG);
}

static void test_messages_of_no_interest_pass(void **state)
{
        static const char *const other[] = {"{}",
                                            "{\"event\": \"RTC_CHANGE\"}",
                                            "{\"event\": \"SHUTDOWN\"}",
                                            "{\"event\": \"SHUTDOWN\", \"data\": 3}",
                                            "{\"error\": 1}",
                                            "{\"QMP\": 1}"};
        struct qmp_message message;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(other); i++)
                assert_int_equal(qmp_decode(view_of_string(other[i]), &message, NULL), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_conversation_with_qemu_is_understood),
                cmocka_unit_test(test_message_in_pieces_waits_for_its_end),
                cmocka_unit_test(test_text_is_made_fit_for_a_terminal),
                cmocka_unit_test(test_what_is_no_qmp_is_refused),
                cmocka_unit_test(test_messages_of_no_interest_pass),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
