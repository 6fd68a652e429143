/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/enclave/control.h"
#include "lib/enclave/state.h"

#include <string.h>

static struct enclave_info sample(void)
{
        struct enclave_info info = {
                .id = 3,
                .name = "redis",
                .pid = 4711,
                .cid = 4294967294,
                .cpus = 2,
                .mem_mib = 512,
                .debug_mode = true,
                .state = ENCLAVE_FAILED,
                .exit_status = ENCLAVE_EXIT_UNKNOWN,
                .isolation = ENCLAVE_ISOLATION_EMULATED,
                .started_at = "2026-11-20T16:08:21Z",
                .has_pcr8 = true,
                .ports = {6379, 65535},
                .n_ports = 2,
                .reason = "a \"quoted\"\nreason",
                .vsock_path = "/run/coffer/enclaves/3/vsock.sock",
        };

        memset(info.pcr0, 0xab, sizeof(info.pcr0));
        memset(info.pcr8, 0x01, sizeof(info.pcr8));
        return info;
}

static void assert_same(const struct enclave_info *a, const struct enclave_info *b)
{
        assert_int_equal(a->id, b->id);
        assert_string_equal(a->name, b->name);
        assert_int_equal(a->pid, b->pid);
        assert_int_equal(a->cid, b->cid);
        assert_int_equal(a->cpus, b->cpus);
        assert_int_equal(a->mem_mib, b->mem_mib);
        assert_int_equal(a->debug_mode, b->debug_mode);
        assert_int_equal(a->state, b->state);
        assert_int_equal(a->exit_status, b->exit_status);
        assert_int_equal(a->signal, b->signal);
        assert_int_equal(a->isolation, b->isolation);
        assert_string_equal(a->started_at, b->started_at);
        assert_int_equal(a->has_pcr8, b->has_pcr8);
        assert_memory_equal(a->pcr0, b->pcr0, ENCLAVE_PCR_SIZE);
        assert_memory_equal(a->pcr8, b->pcr8, ENCLAVE_PCR_SIZE);
        assert_int_equal(a->n_ports, b->n_ports);
        assert_memory_equal(a->ports, b->ports, sizeof(a->ports));
        assert_string_equal(a->reason, b->reason);
        assert_string_equal(a->vsock_path, b->vsock_path);
}

static struct view first_line(const struct buf *b)
{
        struct view line = {0};
        size_t used = 0;

        assert_true(control_line(buf_view(b), &line, &used));
        assert_int_equal(used, b->n);
        return line;
}

static void test_reply_comes_back_as_it_was_in_one_line(void **state)
{
        const struct control_reply reply = {
                .code = -16, .text = "two\nlines", .has_info = true, .info = sample()};
        cleanup_buf struct buf b = buf_with_max(CONTROL_LINE_MAX);
        struct control_reply back;

        (void)state;
        assert_int_equal(control_append_reply(&reply, &b), 0);
        assert_int_equal(control_decode_reply(first_line(&b), &back, NULL), 0);
        assert_int_equal(back.code, -16);
        assert_string_equal(back.text, "two\nlines");
        assert_true(back.has_info);
        assert_same(&back.info, &reply.info);
}

static void test_text_of_a_guest_that_is_no_utf8_cannot_break_a_reply(void **state)
{
        struct control_reply reply = {.code = -5, .text = "\xff\xfe", .has_info = true, .info = sample()},
                             back;
        cleanup_buf struct buf b = buf_with_max(CONTROL_LINE_MAX);

        (void)state;
        memcpy(reply.info.reason, "\xff", 2);
        assert_int_equal(control_append_reply(&reply, &b), 0);
        assert_int_equal(control_decode_reply(first_line(&b), &back, NULL), 0);
        assert_string_equal(back.info.reason, "");
}

static void test_requests_come_back_as_they_were(void **state)
{
        static const struct control_request requests[] = {{CONTROL_STOP, 0, 0},
                                                          {CONTROL_STOP, CONTROL_GRACE_MAX_MS, 0},
                                                          {CONTROL_WAIT, 0, 0},
                                                          {CONTROL_CONSOLE, 0, 0},
                                                          {CONTROL_SIGNAL, 0, 64}};

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
                cleanup_buf struct buf b = buf_with_max(CONTROL_REQUEST_MAX);
                struct control_request back;
                assert_int_equal(control_append_request(&requests[i], &b), 0);
                assert_int_equal(control_decode_request(first_line(&b), &back, NULL), 0);
                assert_int_equal(back.op, requests[i].op);
                assert_int_equal(back.grace_ms, requests[i].grace_ms);
                assert_int_equal(back.signal, requests[i].signal);
        }
}

static void test_bad_requests_are_refused(void **state)
{
        static const char *const bad[] = {"",
                                          "{}",
                                          "[]",
                                          "stop",
                                          "{\"op\":\"halt\"}",
                                          "{\"op\":1}",
                                          "{\"op\":\"stop\",\"grace_ms\":-1}",
                                          "{\"op\":\"stop\",\"grace_ms\":86400001}",
                                          "{\"op\":\"stop\",\"grace_ms\":\"1\"}",
                                          "{\"op\":\"signal\"}",
                                          "{\"op\":\"signal\",\"signal\":0}",
                                          "{\"op\":\"signal\",\"signal\":65}",
                                          "{\"op\":\"stop\",\"op\":\"wait\"}",
                                          "{\"op\":\"stop\"} {}"};
        char large[CONTROL_REQUEST_MAX];
        struct control_request request;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_int_equal(control_decode_request(view_of_string(bad[i]), &request, NULL), -EBADMSG);
        /* With its newline it is too long by one. */
        int n = snprintf(large, sizeof(large), "{\"op\":\"stop\"}");
        memset(large + n, ' ', sizeof(large) - (size_t)n);
        assert_int_equal(control_decode_request(view_of(large, CONTROL_REQUEST_MAX - 1), &request, NULL), 0);
        assert_int_equal(control_decode_request(view_of(large, CONTROL_REQUEST_MAX), &request, NULL),
                         -EBADMSG);
}

static void test_events_are_told_from_the_reply(void **state)
{
        cleanup_buf struct buf b = buf_with_max(CONTROL_LINE_MAX);
        struct control_event event;
        struct view line;
        size_t used;

        (void)state;
        assert_int_equal(control_append_event(CONTROL_PROGRESS, "boots", &b), 0);
        assert_int_equal(control_append_reply(&(struct control_reply){.code = 0}, &b), 0);
        assert_true(control_line(buf_view(&b), &line, &used));
        assert_int_equal(control_decode_event(line, &event, NULL), 0);
        assert_int_equal(event.kind, CONTROL_PROGRESS);
        assert_string_equal(event.text, "boots");
        buf_consume(&b, used);
        assert_int_equal(control_decode_event(first_line(&b), &event, NULL), 0);
        assert_int_equal(event.kind, CONTROL_REPLY);
        assert_false(event.reply.has_info);
}

/* A reply in which this field of its enclave's, or else its own, has another value. */
static int decode_with(const char *enclave_field, const char *reply_field, json_t *value, struct error *err)
{
        const struct control_reply reply = {.has_info = true, .info = sample()};
        cleanup_buf struct buf b = buf_with_max(CONTROL_LINE_MAX);
        cleanup_json json_t *json = NULL;
        struct control_reply back;

        assert_int_equal(control_append_reply(&reply, &b), 0);
        assert_int_equal(state_parse_object(first_line(&b), &json, NULL), 0);
        json_t *object = enclave_field ? json_object_get(json, "enclave") : json;
        assert_int_equal(json_object_set_new(object, enclave_field ? enclave_field : reply_field, value), 0);
        b.n = 0;
        assert_int_equal(state_append_line(json, &b), 0);
        return control_decode_reply(first_line(&b), &back, err);
}

static void test_reply_with_a_wrong_enclave_names_the_field(void **state)
{
        static const struct {
                const char *field;
                json_int_t good, bad;
        } numbers[] = {
                {"id", UINT32_MAX, UINT32_MAX + INT64_C(1)},
                {"pid", 0, -1},
                {"pid", INT32_MAX, INT32_MAX + INT64_C(1)},
                {"cid", 4, 3},
                {"cid", UINT32_MAX - 1, UINT32_MAX},
                {"cpus", 1, 0},
                {"mem_mib", 1, 0},
                {"exit_status", 255, 256},
                {"exit_status", ENCLAVE_EXIT_UNKNOWN, ENCLAVE_EXIT_UNKNOWN - 1},
                {"signal", 127, 128},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
                struct error err = {0};
                assert_int_equal(decode_with(numbers[i].field, NULL, json_integer(numbers[i].good), NULL), 0);
                assert_int_equal(decode_with(numbers[i].field, NULL, json_integer(numbers[i].bad), &err),
                                 -EBADMSG);
                assert_non_null(strstr(error_text(&err), numbers[i].field));
        }
        assert_int_equal(decode_with("state", NULL, json_string("on fire"), NULL), -EBADMSG);
        assert_int_equal(decode_with("has_pcr8", NULL, json_integer(1), NULL), -EBADMSG);
}

static json_t *letters(size_t n)
{
        cleanup_free char *text = malloc(n + 1);

        assert_non_null(text);
        memset(text, 'x', n);
        text[n] = '\0';
        return json_string(text);
}

static json_t *ports(size_t n, json_int_t port)
{
        json_t *array = json_array();

        for (size_t i = 0; i < n; i++)
                assert_int_equal(json_array_append_new(array, json_integer(port)), 0);
        return array;
}

static void test_texts_and_lists_of_a_reply_fit_or_are_refused(void **state)
{
        (void)state;
        assert_int_equal(decode_with("name", NULL, letters(ENCLAVE_NAME_MAX - 1), NULL), 0);
        assert_int_equal(decode_with("name", NULL, letters(ENCLAVE_NAME_MAX), NULL), -EBADMSG);
        assert_int_equal(decode_with(NULL, "text", letters(ERROR_TEXT_MAX - 1), NULL), 0);
        assert_int_equal(decode_with(NULL, "text", letters(ERROR_TEXT_MAX), NULL), -EBADMSG);
        assert_int_equal(decode_with("pcr0", NULL, letters((size_t)2 * ENCLAVE_PCR_SIZE), NULL), -EBADMSG);
        assert_int_equal(decode_with("ports", NULL, ports(ENCLAVE_PORTS_MAX, 1), NULL), 0);
        assert_int_equal(decode_with("ports", NULL, ports(ENCLAVE_PORTS_MAX + 1, 1), NULL), -EBADMSG);
        assert_int_equal(decode_with("ports", NULL, ports(1, 0), NULL), -EBADMSG);
        assert_int_equal(decode_with("ports", NULL, ports(1, 65536), NULL), -EBADMSG);
        assert_int_equal(decode_with(NULL, "code", json_integer(-4095), NULL), 0);
        assert_int_equal(decode_with(NULL, "code", json_integer(-4096), NULL), -EBADMSG);
        assert_int_equal(decode_with(NULL, "code", json_integer(1), NULL), -EBADMSG);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_reply_comes_back_as_it_was_in_one_line),
                cmocka_unit_test(test_text_of_a_guest_that_is_no_utf8_cannot_break_a_reply),
                cmocka_unit_test(test_requests_come_back_as_they_were),
                cmocka_unit_test(test_bad_requests_are_refused),
                cmocka_unit_test(test_events_are_told_from_the_reply),
                cmocka_unit_test(test_reply_with_a_wrong_enclave_names_the_field),
                cmocka_unit_test(test_texts_and_lists_of_a_reply_fit_or_are_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
