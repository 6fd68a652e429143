/* SPDX-License-Identifier: Apache-2.0 */
/* test-service-protocol.c - frames and specifications of the process service: whole, cut, damaged. */
#include "lib/enclave/service-protocol.h"
#include "lib/enclave/service-spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void assert_frame(const struct service_frame *frame, enum service_side side, const char *expected,
                         size_t n)
{
        cleanup_buf struct buf b = buf_with_max(8192);
        struct service_frame got;
        size_t used;

        assert_int_equal(service_frame_encode(frame, &b), 0);
        assert_int_equal(b.n, n);
        assert_memory_equal(b.p, expected, n);
        /* Every shorter piece is "read more". */
        for (size_t i = 0; i < n; i++)
                assert_int_equal(service_frame_decode(view_of(b.p, i), side, &got, &used, NULL), 0);
        buf_append_byte(&b, 0xff);
        assert_int_equal(service_frame_decode(buf_view(&b), side, &got, &used, NULL), 1);
        assert_int_equal(used, n);
        assert_int_equal(got.type, frame->type);
        assert_int_equal(got.process, frame->process);
}
#define assert_guest_frame(frame, bytes)  assert_frame(frame, SERVICE_GUEST, bytes, sizeof(bytes) - 1)
#define assert_parent_frame(frame, bytes) assert_frame(frame, SERVICE_PARENT, bytes, sizeof(bytes) - 1)

static void test_frames_are_as_documented(void **state)
{
        struct service_frame signaled = {.type = SERVICE_SIGNALED, .process = 1};
        struct service_frame data = {.type = SERVICE_DATA, .process = 258, .stream = SERVICE_STDERR};
        struct service_frame grant = {.type = SERVICE_GRANT, .process = 2, .stream = SERVICE_STDIN};
        struct service_frame resize = {.type = SERVICE_RESIZE, .process = 3};
        struct service_frame failed = service_frame_failed(1, 2, "exec", "/x");

        (void)state;
        signaled.signaled.signal = 11;
        signaled.signaled.core = true;
        data.bytes = view_of_string("hi");
        grant.taken = 256;
        resize.size.rows = 24;
        resize.size.columns = 80;
        assert_guest_frame((&(struct service_frame){.type = SERVICE_HELLO, .version = 1}),
                           "\x01\0\0\0\0\0\0\0\x04\0\0\0\x01");
        assert_guest_frame((&(struct service_frame){.type = SERVICE_EXITED, .process = 7, .status = 255}),
                           "\x06\0\0\0\x07\0\0\0\x04\0\0\0\xff");
        assert_guest_frame(&signaled, "\x07\0\0\0\x01\0\0\0\x05\0\0\0\x0b\x01");
        assert_guest_frame(&failed, "\x05\0\0\0\x01\0\0\0\x0c\0\0\0\x02"
                                    "exec\0/x\0");
        assert_guest_frame(&data, "\x40\0\0\x01\x02\0\0\0\x03\x02hi");
        assert_parent_frame(&grant, "\x43\0\0\0\x02\0\0\0\x05\0\0\0\x01\0");
        assert_parent_frame(&resize, "\x85\0\0\0\x03\0\0\0\x04\0\x18\0\x50");
        assert_parent_frame((&(struct service_frame){.type = SERVICE_SIGNAL, .signal = 9}),
                            "\x84\0\0\0\0\0\0\0\x04\0\0\0\x09");
        assert_parent_frame((&(struct service_frame){.type = SERVICE_SHUTDOWN}), "\x86\0\0\0\0\0\0\0\0");
}

static void assert_bad(enum service_side side, const char *bytes, size_t n)
{
        struct service_frame frame;
        struct error err = {0};
        size_t used;

        assert_int_equal(service_frame_decode(view_of(bytes, n), side, &frame, &used, &err), -EBADMSG);
        assert_true(error_text(&err)[0]);
}
#define assert_bad_from(side, bytes) assert_bad(side, bytes, sizeof(bytes) - 1)

static void test_what_no_side_may_send_ends_the_conversation(void **state)
{
        (void)state;
        assert_bad_from(SERVICE_GUEST, "\x81");                            /* a parent's type */
        assert_bad_from(SERVICE_PARENT, "\x01");                           /* a guest's type */
        assert_bad_from(SERVICE_PARENT, "\x55");                           /* nobody's */
        assert_bad_from(SERVICE_GUEST, "\x06\0\0\0\0\0\0\0\x04");          /* an exit of no process */
        assert_bad_from(SERVICE_PARENT, "\x81\0\0\0\x01\0\0\0\0");         /* a setup of a process */
        assert_bad_from(SERVICE_GUEST, "\x40\0\0\0\x01\x00\x00\x80\x02");  /* data, one byte too long */
        assert_bad_from(SERVICE_PARENT, "\x82\0\0\0\x01\x00\x40\x00\x01"); /* a process, one byte too long */
        assert_bad_from(SERVICE_GUEST, "\x40\0\0\0\x01\0\0\0\x01\x01");    /* data without a byte */
        assert_bad_from(SERVICE_GUEST, "\x40\0\0\0\x01\0\0\0\x02\x03x");   /* a fourth stream */
        assert_bad_from(SERVICE_GUEST, "\x06\0\0\0\x01\0\0\0\x04\0\0\x01\0");      /* status 256 */
        assert_bad_from(SERVICE_PARENT, "\x84\0\0\0\x01\0\0\0\x04\0\0\0\x41");     /* signal 65 */
        assert_bad_from(SERVICE_PARENT, "\x43\0\0\0\x01\0\0\0\x05\0\0\0\0\0");     /* a grant of nothing */
        assert_bad_from(SERVICE_PARENT, "\x43\0\0\0\x01\0\0\0\x05\0\0\x04\0\x01"); /* more than a window */
        assert_bad_from(SERVICE_GUEST, "\x05\0\0\0\x01\0\0\0\x05\0\0\0\0x");       /* a text without end */
}

static void assert_failure_of(size_t stage, size_t path, int expected)
{
        cleanup_buf struct buf b = buf_with_max(SERVICE_REPLY_MAX);
        struct service_frame got;
        size_t used;

        buf_append_byte(&b, SERVICE_FAILED);
        buf_append_be32(&b, 0);
        buf_append_be32(&b, (uint32_t)(4 + stage + 1 + path + 1));
        buf_append_be32(&b, 13);
        for (size_t i = 0; i < stage + path + 2; i++)
                buf_append_byte(&b, i == stage || i == stage + path + 1 ? 0 : 'x');
        assert_int_equal(service_frame_decode(buf_view(&b), SERVICE_GUEST, &got, &used, NULL), expected);
}

static void test_texts_of_a_failure_have_their_longest(void **state)
{
        (void)state;
        assert_failure_of(SERVICE_STAGE_MAX, SERVICE_PATH_MAX, 1);
        assert_failure_of(SERVICE_STAGE_MAX + 1, 0, -EBADMSG);
        assert_failure_of(0, SERVICE_PATH_MAX + 1, -EBADMSG);
}

static void test_failures_are_printable(void **state)
{
        cleanup_buf struct buf b = buf_with_max(8192);
        struct service_frame failed = service_frame_failed(0, 13, "mount \x1b[2J", "/a\nb");
        struct service_frame got;
        size_t used;

        (void)state;
        assert_int_equal(service_frame_encode(&failed, &b), 0);
        assert_int_equal(service_frame_decode(buf_view(&b), SERVICE_GUEST, &got, &used, NULL), 1);
        assert_string_equal(got.failed.stage, "mount ?[2J");
        assert_string_equal(got.failed.path, "/a?b");
        assert_int_equal(got.failed.errnum, 13);
}

/* --- specifications --- */

static void fill_process(struct service_process *process)
{
        static const struct sock_filter allow = {.code = 0x06, .jt = 1, .jf = 2, .k = 0x7fff0000};

        assert_int_equal(service_process_add_arg(process, "sh"), 0);
        assert_int_equal(service_process_add_arg(process, ""), 0);
        assert_int_equal(service_process_add_arg(process, "a\nb \xff"), 0);
        assert_int_equal(service_process_add_env(process, "ODD=\x01=\n"), 0);
        process->cwd = "/srv";
        process->uid = 1000;
        process->gid = 100;
        process->umask = 0027;
        process->capabilities[0] = UINT64_C(0x8000000000000001);
        process->capabilities[4] = 2;
        process->no_new_privileges = true;
        process->terminal = true;
        process->rows = 24;
        process->columns = 80;
        process->has_oom_score = true;
        process->oom_score = -500;
        process->groups = calloc(1, sizeof(*process->groups));
        process->limits = calloc(1, sizeof(*process->limits));
        process->filter = calloc(1, sizeof(*process->filter));
        assert_true(process->groups && process->limits && process->filter);
        process->groups[process->n_groups++] = 7;
        process->limits[process->n_limits++] =
                (struct service_limit){.resource = 7, .soft = 1, .hard = UINT64_MAX};
        process->filter[process->n_filter++] = allow;
        process->has_filter = true;
}

static void test_a_process_comes_back(void **state)
{
        cleanup_service_process struct service_process process = {0}, got = {0};
        cleanup_buf struct buf b = buf_with_max(SERVICE_SPEC_MAX);

        (void)state;
        fill_process(&process);
        assert_int_equal(service_process_encode(&process, &b, NULL), 0);
        assert_int_equal(service_process_decode(buf_view(&b), &got, NULL), 0);
        assert_int_equal(got.n_argv, 3);
        assert_string_equal(got.argv[1], "");
        assert_string_equal(got.argv[2], "a\nb \xff");
        assert_null(got.argv[3]);
        assert_string_equal(got.env[0], "ODD=\x01=\n");
        assert_string_equal(got.cwd, "/srv");
        assert_int_equal(got.uid, 1000);
        assert_int_equal(got.groups[0], 7);
        assert_int_equal(got.umask, 0027);
        assert_true(got.capabilities[0] == UINT64_C(0x8000000000000001) && got.capabilities[4] == 2);
        assert_true(got.limits[0].hard == UINT64_MAX);
        assert_int_equal(got.oom_score, -500);
        assert_int_equal(got.columns, 80);
        assert_true(got.no_new_privileges && got.has_filter);
        assert_memory_equal(got.filter, process.filter, sizeof(*got.filter));
        /* Cut anywhere but between two records that may be the last, it is refused; nothing is read beyond.
         * */
        for (size_t i = 0; i < b.n; i++) {
                cleanup_service_process struct service_process cut = {0};
                cleanup_free uint8_t *exact = malloc(i + 1);
                assert_non_null(exact);
                memcpy(exact, b.p, i);
                (void)service_process_decode(view_of(exact, i), &cut, NULL);
        }
}

static void test_a_container_comes_back(void **state)
{
        struct service_mount mount = {.flags = UINT64_C(1) << 40,
                                      .type = "tmpfs",
                                      .source = "tmpfs",
                                      .destination = "/tmp",
                                      .data = "size=1m"};
        struct service_file file = {.mode = 0644, .path = "/etc/hosts", .content = view_of("a\0b", 3)};
        struct service_sysctl sysctl = {.key = "net/x", .value = "1"};
        struct service_limit_file limit = {.name = "pids.max", .value = "7"};
        const char *masked = "/proc/kcore";
        struct service_container container = {.hostname = "h",
                                              .readonly_root = true,
                                              .mounts = &mount,
                                              .n_mounts = 1,
                                              .files = &file,
                                              .n_files = 1,
                                              .sysctls = &sysctl,
                                              .n_sysctls = 1,
                                              .masked_paths = &masked,
                                              .n_masked_paths = 1,
                                              .limits = &limit,
                                              .n_limits = 1,
                                              .device_filter = view_of("\x95\0\0\0\0\0\0\0", 8)};
        cleanup_service_container struct service_container got = {0};
        cleanup_buf struct buf b = buf_with_max(SERVICE_SPEC_MAX);

        (void)state;
        assert_int_equal(service_container_encode(&container, &b, NULL), 0);
        assert_int_equal(service_container_decode(buf_view(&b), &got, NULL), 0);
        assert_string_equal(got.hostname, "h");
        assert_null(got.domainname);
        assert_true(got.readonly_root);
        assert_true(got.mounts[0].flags == UINT64_C(1) << 40);
        assert_string_equal(got.mounts[0].data, "size=1m");
        assert_string_equal(got.masked_paths[0], "/proc/kcore");
        assert_string_equal(got.sysctls[0].value, "1");
        assert_true(view_equal(got.files[0].content, file.content));
        assert_string_equal(got.limits[0].name, "pids.max");
        assert_string_equal(got.limits[0].value, "7");
        assert_true(view_equal(got.device_filter, container.device_filter));
}

static void test_bad_records_of_a_container_are_refused(void **state)
{
        static const struct view bad[] = {
                {(const uint8_t *)"\x09\0\0\0\x06../x\0y", 11},          /* a value without end */
                {(const uint8_t *)"\x09\0\0\0\x07../x\0y\0", 12},        /* out of the group */
                {(const uint8_t *)"\x09\0\0\0\x05..\0y\0", 10},          /* likewise */
                {(const uint8_t *)"\x09\0\0\0\x03\0y\0", 8},             /* no name */
                {(const uint8_t *)"\x09\0\0\0\x04.\0y\0", 9},            /* the group itself */
                {(const uint8_t *)"\x08\0\0\0\x07\0\0\x10\0/x\0", 12},   /* a mode of 010000 */
                {(const uint8_t *)"\x0a\0\0\0\0", 5},                    /* no instruction */
                {(const uint8_t *)"\x0a\0\0\0\x07\x95\0\0\0\0\0\0", 12}, /* part of one */
        };

        (void)state;
        for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
                cleanup_service_container struct service_container got = {0};
                struct error err = {0};
                assert_int_equal(service_container_decode(bad[i], &got, &err), -EBADMSG);
                assert_true(error_text(&err)[0]);
        }
}

static void assert_bad_process(const char *bytes, size_t n)
{
        cleanup_service_process struct service_process got = {0};
        struct error err = {0};

        assert_int_equal(service_process_decode(view_of(bytes, n), &got, &err), -EBADMSG);
        assert_true(error_text(&err)[0]);
}

static void test_bad_records_are_refused(void **state)
{
#define BAD(bytes) assert_bad_process(bytes, sizeof(bytes) - 1)
        (void)state;
        BAD("");                                               /* nothing to run */
        BAD("\x01\0\0\0\x02x\0");                              /* no working folder */
        BAD("\x01\0\0\0\x02xy\x03\0\0\0\x02/\0");              /* a text without end */
        BAD("\x01\0\0\0\x03x\0y\x03\0\0\0\x02/\0");            /* more than a text */
        BAD("\x01\0\0\0\x02x\0\x03\0\0\0\x02.\0");             /* a relative folder */
        BAD("\x01\0\0\0\x02x\0\x03\0\0\0\x02/\0\x7f\0\0\0\0"); /* an unknown tag */
        BAD("\x01\0\0\0\x02x\0\x03\0\0\0\x02/\0\x04\0\0\0\x08\xff\xff\xff\xff\0\0\0\0"); /* no user */
        BAD("\x01\0\0\0\x02x\0\x03\0\0\0\x02/\0\x04\0\0\0\x08\0\0\0\0\xff\xff\xff\xff"); /* no group */
        BAD("\x01\0\0\0\x02x\0\x03\0\0\0\x02/\0\x05\0\0\0\x04\xff\xff\xff\xff");         /* likewise */
        BAD("\x01\0\0\0\x02x\0\x03\0\0\0\x02/\0\x07\0\0\0\x14\0\0\0\x10"
            "\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\1");                            /* a limit that there isn't */
        BAD("\x01\0\0\0\x02x\0\x03\0\0\0\x02/\0\x06\0\0\0\x04\0\0\x02\0");  /* a umask of 01000 */
        BAD("\x01\0\0\0\x02x\0\x03\0\0\0\x02/\0\x0c\0\0\0\x07\0\0\0\0abc"); /* part of an instruction */
        BAD("\x01\xff\xff\xff\xff");                                        /* beyond the end */
#undef BAD
}

static void test_what_is_too_much_is_refused_with_its_limit(void **state)
{
        cleanup_service_process struct service_process process = {0};
        cleanup_buf struct buf b = buf_with_max((size_t)2 * SERVICE_SPEC_MAX);
        cleanup_free char *big = calloc(1, SERVICE_SPEC_MAX + 1);
        struct error err = {0};

        (void)state;
        assert_non_null(big);
        memset(big, 'x', SERVICE_SPEC_MAX);
        assert_int_equal(service_process_add_arg(&process, big), 0);
        assert_int_equal(service_process_encode(&process, &b, &err), -E2BIG);
        assert_non_null(strstr(error_text(&err), "4194304 bytes"));
        assert_int_equal(service_process_decode(view_of(big, SERVICE_SPEC_MAX + 1), &process, &err),
                         -EBADMSG);
        assert_string_equal(error_text(&err), "larger than 4194304 bytes");
}

static void test_device_filter_has_its_longest(void **state)
{
        cleanup_free uint8_t *program = calloc(1, SERVICE_DEVICE_FILTER_MAX + 8);

        (void)state;
        assert_non_null(program);
        for (size_t more = 0; more <= 8; more += 8) {
                const struct service_container container = {
                        .device_filter = view_of(program, SERVICE_DEVICE_FILTER_MAX + more)};
                cleanup_service_container struct service_container got = {0};
                cleanup_buf struct buf b = buf_with_max(SERVICE_SPEC_MAX);
                assert_int_equal(service_container_encode(&container, &b, NULL), 0);
                assert_int_equal(service_container_decode(buf_view(&b), &got, NULL), more ? -EBADMSG : 0);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_frames_are_as_documented),
                cmocka_unit_test(test_what_no_side_may_send_ends_the_conversation),
                cmocka_unit_test(test_texts_of_a_failure_have_their_longest),
                cmocka_unit_test(test_failures_are_printable),
                cmocka_unit_test(test_a_process_comes_back),
                cmocka_unit_test(test_bad_records_of_a_container_are_refused),
                cmocka_unit_test(test_a_container_comes_back),
                cmocka_unit_test(test_bad_records_are_refused),
                cmocka_unit_test(test_what_is_too_much_is_refused_with_its_limit),
                cmocka_unit_test(test_device_filter_has_its_longest),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
