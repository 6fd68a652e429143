/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/enclave/control.h"

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
                                          "{\"op\":\"stop\",\"op\":\"wait\"}",
                                          "{\"op\":\"stop\"} {}"};
        char large[CONTROL_REQUEST_MAX + 32];
        struct control_request request;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_int_equal(control_decode_request(view_of_string(bad[i]), &request, NULL), -EBADMSG);
        memset(large, ' ', sizeof(large));
        large[0] = '{';
        large[sizeof(large) - 1] = '}';
        assert_int_equal(control_decode_request(view_of(large, sizeof(large)), &request, NULL), -EBADMSG);
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

static void test_reply_with_a_wrong_enclave_names_the_field(void **state)
{
        struct control_reply reply = {.has_info = true, .info = sample()}, back;
        cleanup_buf struct buf b = buf_with_max(CONTROL_LINE_MAX);
        struct error err = {0};

        (void)state;
        reply.info.cid = 3;
        assert_int_equal(control_append_reply(&reply, &b), 0);
        assert_int_equal(control_decode_reply(first_line(&b), &back, &err), -EBADMSG);
        assert_non_null(strstr(error_text(&err), "\"cid\""));
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
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
