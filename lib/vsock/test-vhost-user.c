/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/vsock/vhost-user.h"

#include "lib/base/fd.h"
#include "lib/vsock/fake-driver.h"
#include "lib/vsock/vhost-user-message.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { MEMORY = 64 * 1024 };

struct fixture {
        int fd; /* the front end's */
        int theirs;
        struct vhost_user_device device;
        struct vhost_user *session;
        int started, stopped, resets;
};

static int on_start(void *user, size_t index, int kick_fd, struct error *err)
{
        (void)index, (void)err;
        assert_true(kick_fd >= 0);
        ((struct fixture *)user)->started++;
        return 0;
}

static void on_stop(void *user, size_t index)
{
        (void)index;
        ((struct fixture *)user)->stopped++;
}

static void on_reset(void *user)
{
        ((struct fixture *)user)->resets++;
}

static void set_up(struct fixture *f)
{
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        *f = (struct fixture){.fd = fds[0], .theirs = fds[1]};
        f->device = (struct vhost_user_device){
                .n_queues = 2,
                .config = {1, 2, 3, 4, 5, 6, 7, 8, 9}, /* and one that is not to be seen */
                .config_size = 8,
                .start = on_start,
                .stop = on_stop,
                .reset = on_reset,
                .user = f,
        };
        assert_int_equal(vhost_user_new(f->theirs, &f->device, NULL, &f->session, NULL), 0);
}

static void tear_down(struct fixture *f)
{
        vhost_user_free(f->session);
        fd_close_p(&f->fd);
        fd_close_p(&f->theirs);
}

static void send_flags(struct fixture *f, uint32_t request, uint32_t flags, const void *payload,
                       uint32_t size, const int *fds, size_t n_fds)
{
        driver_send_raw(f->fd, request, flags, payload, size, fds, n_fds);
}

static void say(struct fixture *f, uint32_t request, const void *payload, uint32_t size, const int *fds,
                size_t n_fds)
{
        struct error err = {0};

        send_flags(f, request, 1, payload, size, fds, n_fds);
        if (vhost_user_service(f->session, &err) < 0)
                fail_msg("%s", error_text(&err));
}

static void expect_error(struct fixture *f, int code, const char *text)
{
        struct error err = {0};

        assert_int_equal(vhost_user_service(f->session, &err), code);
        assert_string_equal(error_text(&err), text);
        tear_down(f);
}

static int sealed_memory(void)
{
        int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, MEMORY), 0);
        assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
        return fd;
}

static void give_memory(struct fixture *f)
{
        const uint64_t table[5] = {1, 0, MEMORY, 0x10000, 0};
        cleanup_fd int fd = sealed_memory();

        say(f, VHOST_USER_SET_MEM_TABLE, table, sizeof(table), &fd, 1);
}

static void say_vring(struct fixture *f, uint32_t request, uint32_t index, uint32_t value)
{
        const uint32_t payload[2] = {index, value};

        say(f, request, payload, sizeof(payload), NULL, 0);
}

static void say_addresses(struct fixture *f, uint32_t index)
{
        const uint64_t payload[5] = {index, 0x10000, 0x12000, 0x11000, 0};

        say(f, VHOST_USER_SET_VRING_ADDR, payload, sizeof(payload), NULL, 0);
}

static void say_kick(struct fixture *f, uint64_t index)
{
        cleanup_fd int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

        say(f, VHOST_USER_SET_VRING_KICK, &index, sizeof(index), &fd, 1);
}

static void run_ring(struct fixture *f)
{
        say_vring(f, VHOST_USER_SET_VRING_NUM, 1, 8);
        say_addresses(f, 1);
        say_kick(f, 1);
        say_vring(f, VHOST_USER_SET_VRING_ENABLE, 1, 1);
}

static uint64_t answer_u64(struct fixture *f, uint32_t request)
{
        uint32_t header[3];
        uint64_t value;

        assert_int_equal(recv(f->fd, header, sizeof(header), MSG_DONTWAIT), sizeof(header));
        assert_int_equal(header[0], request);
        assert_int_equal(header[1], 1 | 4);
        assert_int_equal(header[2], 8);
        assert_int_equal(recv(f->fd, &value, sizeof(value), MSG_DONTWAIT), sizeof(value));
        return value;
}

static void ring_runs_once_it_has_all(void **state)
{
        struct fixture f;

        (void)state;
        set_up(&f);
        give_memory(&f);
        assert_null(vhost_user_queue(f.session, 1));
        run_ring(&f);
        assert_int_equal(f.started, 1);
        assert_non_null(vhost_user_queue(f.session, 1));
        assert_null(vhost_user_queue(f.session, 0));
        say_vring(&f, VHOST_USER_SET_VRING_ENABLE, 1, 0);
        assert_int_equal(f.stopped, 1);
        assert_null(vhost_user_queue(f.session, 1));
        say_vring(&f, VHOST_USER_SET_VRING_ENABLE, 1, 1);
        assert_int_equal(f.started, 2);
        tear_down(&f);
}

static void new_memory_moves_running_rings(void **state)
{
        struct fixture f;

        (void)state;
        set_up(&f);
        give_memory(&f);
        run_ring(&f);
        give_memory(&f);
        assert_int_equal(f.stopped, 1);
        assert_int_equal(f.started, 2);
        assert_non_null(vhost_user_queue(f.session, 1));
        tear_down(&f);
}

static void new_memory_without_the_ring_ends_the_session(void **state)
{
        struct fixture f;

        (void)state;
        set_up(&f);
        give_memory(&f);
        run_ring(&f);
        const uint64_t none = 0;
        send_flags(&f, VHOST_USER_SET_MEM_TABLE, 1, &none, sizeof(none), NULL, 0);
        expect_error(&f, -EINVAL,
                     "vhost-user: SET_MEM_TABLE: ring 1: descriptor ring at 0x10000 lies outside of the "
                     "guest's memory");
}

static void ring_that_starts_from_zero_after_work_is_a_reset(void **state)
{
        struct fixture f;

        (void)state;
        set_up(&f);
        give_memory(&f);
        run_ring(&f);
        vhost_user_queue(f.session, 1)->next_avail = 5;
        say_vring(&f, VHOST_USER_GET_VRING_BASE, 1, 0);
        assert_int_equal(answer_u64(&f, VHOST_USER_GET_VRING_BASE), UINT64_C(0x500000001));
        say_vring(&f, VHOST_USER_SET_VRING_BASE, 1, 5);
        assert_int_equal(f.resets, 0);
        say_vring(&f, VHOST_USER_SET_VRING_BASE, 1, 0);
        assert_int_equal(f.resets, 1);
        tear_down(&f);
}

static void ring_that_was_stopped_waits_for_a_new_kick(void **state)
{
        struct fixture f;

        (void)state;
        set_up(&f);
        give_memory(&f);
        run_ring(&f);
        say_vring(&f, VHOST_USER_GET_VRING_BASE, 1, 0);
        assert_int_equal(f.stopped, 1);
        say_vring(&f, VHOST_USER_SET_VRING_ENABLE, 1, 1);
        assert_int_equal(f.started, 1);
        assert_null(vhost_user_queue(f.session, 1));
        say_kick(&f, 1);
        assert_int_equal(f.started, 2);
        tear_down(&f);
}

static void reset_of_the_owner_stops_all_and_forgets(void **state)
{
        struct fixture f;

        (void)state;
        set_up(&f);
        give_memory(&f);
        run_ring(&f);
        say(&f, VHOST_USER_RESET_OWNER, NULL, 0, NULL, 0);
        assert_int_equal(f.stopped, 1);
        assert_int_equal(f.resets, 1);
        assert_null(vhost_user_queue(f.session, 1));
        say_kick(&f, 1);
        assert_int_equal(f.started, 1);
        say_vring(&f, VHOST_USER_SET_VRING_ENABLE, 1, 1);
        assert_int_equal(f.started, 2);
        tear_down(&f);
}

static void requests_are_acknowledged_where_asked(void **state)
{
        struct fixture f;
        const uint64_t ack = 1 << VHOST_USER_PROTOCOL_F_REPLY_ACK, none = 0;

        (void)state;
        set_up(&f);
        /* Not before it is agreed on. */
        send_flags(&f, VHOST_USER_SET_FEATURES, 1 | 8, &none, 8, NULL, 0);
        say(&f, VHOST_USER_SET_PROTOCOL_FEATURES, &ack, 8, NULL, 0);
        send_flags(&f, VHOST_USER_SET_FEATURES, 1 | 8, &none, 8, NULL, 0);
        assert_int_equal(vhost_user_service(f.session, NULL), 0);
        assert_int_equal(answer_u64(&f, VHOST_USER_SET_FEATURES), 0);
        char byte;
        assert_int_equal(recv(f.fd, &byte, 1, MSG_DONTWAIT), -1);
        tear_down(&f);
}

static void features_are_those_that_we_have(void **state)
{
        struct fixture f;

        (void)state;
        set_up(&f);
        say(&f, VHOST_USER_GET_FEATURES, NULL, 0, NULL, 0);
        /* VERSION_1, PROTOCOL_FEATURES, EVENT_IDX, INDIRECT_DESC, ANY_LAYOUT */
        assert_int_equal(answer_u64(&f, VHOST_USER_GET_FEATURES), UINT64_C(0x178000000));
        const uint64_t other = 2;
        send_flags(&f, VHOST_USER_SET_FEATURES, 1, &other, 8, NULL, 0);
        expect_error(&f, -EBADMSG, "vhost-user: SET_FEATURES: feature bits 0x2 were not offered");
}

/* QEMU offers VIRTIO_F_ANY_LAYOUT to legacy drivers by itself. */
static void legacy_driver_may_take_any_layout(void **state)
{
        struct fixture f;
        const uint64_t any_layout = UINT64_C(1) << 27;

        (void)state;
        set_up(&f);
        send_flags(&f, VHOST_USER_SET_FEATURES, 1, &any_layout, 8, NULL, 0);
        assert_int_equal(vhost_user_service(f.session, NULL), 0);
        tear_down(&f);
}

static void reading_behind_the_configuration_gives_zeros(void **state)
{
        struct fixture f;
        const uint32_t question[7] = {4, 16, 0, 9, 9, 9, 9};
        uint8_t answer[12 + 28];

        (void)state;
        set_up(&f);
        say(&f, VHOST_USER_GET_CONFIG, question, sizeof(question), NULL, 0);
        assert_int_equal(recv(f.fd, answer, sizeof(answer), MSG_DONTWAIT), sizeof(answer));
        const uint8_t expected[16] = {5, 6, 7, 8};
        assert_memory_equal(answer + 24, expected, sizeof(expected));
        tear_down(&f);
}

/* As QEMU does: the guest's own descriptor comes when the ring has run for a moment. */
static void interrupt_before_the_guest_could_get_any_is_repeated(void **state)
{
        cleanup_fd int masked = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        cleanup_fd int own = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        const uint64_t index = 1;
        eventfd_t count = 0;
        struct fixture f;

        (void)state;
        set_up(&f);
        give_memory(&f);
        say(&f, VHOST_USER_SET_VRING_CALL, &index, sizeof(index), &masked, 1);
        run_ring(&f);
        assert_int_equal(eventfd_read(masked, &count), -1);
        virtqueue_push(vhost_user_queue(f.session, 1), 0, 0);
        vhost_user_signal(f.session, 1);
        assert_int_equal(eventfd_read(masked, &count), 0);
        say(&f, VHOST_USER_SET_VRING_CALL, &index, sizeof(index), &own, 1);
        assert_int_equal(eventfd_read(own, &count), 0);
        tear_down(&f);
}

/* --- what ends a session
 * ----------------------------------------------------------------------------------------- */

static void wrong_messages_are_refused(void **state)
{
        static const uint8_t zeros[600];
        static const uint32_t ring_2[2] = {2, 0}, base[2] = {0, 65536}, num[2] = {0, 4096};
        static const uint64_t no_kick = 0x100, odd_kick = 0x10000;
        static const uint32_t config[3] = {0xffffffff, 2, 0}, config_short[3] = {0, 8, 0};
        static const uint32_t config_over[3 + 64] = {1, 256, 0};
        static const uint64_t log_shmfd = 2;
        static const uint32_t nine_regions[2] = {9, 0}, one_region[2] = {1, 0};
        static const struct {
                uint32_t request, flags;
                const void *payload;
                uint32_t size;
                int code;
                const char *text;
        } cases[] = {
                {0, 1, NULL, 0, -EOPNOTSUPP, "request 0 is not supported"},
                {6, 1, zeros, 16, -EOPNOTSUPP, "request 6 is not supported"},
                {4000000000, 1, NULL, 0, -EOPNOTSUPP, "request 4000000000 is not supported"},
                {1, 0, NULL, 0, -EBADMSG, "request 1 has flags 0x0"},
                {1, 5, NULL, 0, -EBADMSG, "request 1 has flags 0x5"},
                {2, 1, zeros, 513, -EBADMSG, "SET_FEATURES has 513 bytes of payload"},
                {2, 1, zeros, 7, -EBADMSG, "SET_FEATURES has a payload of 7 bytes"},
                {2, 1, zeros, 9, -EBADMSG, "SET_FEATURES has a payload of 9 bytes"},
                {8, 1, ring_2, 8, -EBADMSG, "SET_VRING_NUM: ring 2 of a device with 2"},
                {8, 1, num, 8, -EBADMSG, "SET_VRING_NUM: ring of 4096 descriptors"},
                {10, 1, base, 8, -EBADMSG, "SET_VRING_BASE: ring base 65536"},
                {11, 1, ring_2, 8, -EBADMSG, "GET_VRING_BASE: ring 2 of a device with 2"},
                {12, 1, &no_kick, 8, -EOPNOTSUPP, "SET_VRING_KICK: a ring without kicks is not supported"},
                {12, 1, zeros, 8, -EBADMSG, "SET_VRING_KICK: 0 descriptors where 1 is announced"},
                {12, 1, &odd_kick, 8, -EBADMSG, "SET_VRING_KICK: unknown bits in 0x10000"},
                {24, 1, config, 12, -EBADMSG, "GET_CONFIG: 2 bytes of configuration space at 4294967295"},
                {24, 1, config_short, 12, -EBADMSG, "GET_CONFIG has a payload of 12 bytes"},
                {24, 1, config_over, 268, -EBADMSG, "GET_CONFIG: 256 bytes of configuration space at 1"},
                {16, 1, &log_shmfd, 8, -EBADMSG,
                 "SET_PROTOCOL_FEATURES: protocol feature bits 0x2 were not offered"},
                {5, 1, nine_regions, 8, -EBADMSG, "SET_MEM_TABLE: 9 memory regions with 0 descriptors"},
                {5, 1, one_region, 8, -EBADMSG, "SET_MEM_TABLE: 1 memory regions with 0 descriptors"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct fixture f;
                char text[200];
                set_up(&f);
                send_flags(&f, cases[i].request, cases[i].flags, cases[i].payload, cases[i].size, NULL, 0);
                snprintf(text, sizeof(text), "vhost-user: %s", cases[i].text);
                expect_error(&f, cases[i].code, text);
        }
}

static void wrong_descriptors_are_refused(void **state)
{
        struct fixture f;
        int fds[9];

        (void)state;
        set_up(&f);
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                fds[i] = f.fd;
        send_flags(&f, VHOST_USER_GET_FEATURES, 1, NULL, 0, fds, 1);
        expect_error(&f, -EBADMSG, "vhost-user: GET_FEATURES with 1 descriptors");
        set_up(&f);
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                fds[i] = f.fd;
        send_flags(&f, VHOST_USER_GET_FEATURES, 1, NULL, 0, fds, 9);
        expect_error(&f, -EBADMSG, "vhost-user: message with more than 8 descriptors");
}

/* There may be room for all eight regions behind those in use, and nothing else. */
static void bytes_behind_the_memory_table_are_whole_regions(void **state)
{
        const uint64_t table[1 + 2 * 4 + 1] = {1, 0, MEMORY, 0x10000, 0};
        cleanup_fd int fd = sealed_memory();
        struct fixture f;

        (void)state;
        set_up(&f);
        say(&f, VHOST_USER_SET_MEM_TABLE, table, 9 * sizeof(table[0]), &fd, 1);
        send_flags(&f, VHOST_USER_SET_MEM_TABLE, 1, table, sizeof(table), &fd, 1);
        expect_error(&f, -EBADMSG, "vhost-user: SET_MEM_TABLE has a payload of 80 bytes");
}

static void impossible_memory_is_refused(void **state)
{
        static const struct {
                uint64_t guest, size, user, offset;
                const char *text;
        } cases[] = {
                {0, 0, 0, 0, "memory region at 0x0 has an impossible size 0x0"},
                {UINT64_MAX - 10, 4096, 0, 0,
                 "memory region at 0xfffffffffffffff5 has an impossible size 0x1000"},
                {0, 4096, UINT64_MAX - 10, 0, "memory region at 0x0 has an impossible size 0x1000"},
                {0, 4096, 0, UINT64_MAX - 10,
                 "memory region at 0x0 has an impossible offset 0xfffffffffffffff5"},
                {0, MEMORY, 0, 4096, "guest memory at 0x0 needs 69632 bytes of a file of 65536 bytes"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct fixture f;
                char text[200];
                const uint64_t table[5] = {1, cases[i].guest, cases[i].size, cases[i].user, cases[i].offset};
                cleanup_fd int fd = sealed_memory();
                set_up(&f);
                send_flags(&f, VHOST_USER_SET_MEM_TABLE, 1, table, sizeof(table), &fd, 1);
                snprintf(text, sizeof(text), "vhost-user: SET_MEM_TABLE: %s", cases[i].text);
                expect_error(&f, -EINVAL, text);
        }
}

static void overlapping_memory_is_refused(void **state)
{
        struct fixture f;
        const uint64_t table[9] = {2, 0, 8192, 0x10000, 0, 4096, 8192, 0x20000, 0};
        cleanup_fd int fd = sealed_memory();
        const int fds[2] = {fd, fd};

        (void)state;
        set_up(&f);
        send_flags(&f, VHOST_USER_SET_MEM_TABLE, 1, table, sizeof(table), fds, 2);
        expect_error(&f, -EINVAL, "vhost-user: SET_MEM_TABLE: memory regions at 0x0 and 0x1000 overlap");
}

static void running_ring_is_not_changed(void **state)
{
        struct fixture f;
        const uint32_t num[2] = {1, 16};

        (void)state;
        set_up(&f);
        give_memory(&f);
        run_ring(&f);
        send_flags(&f, VHOST_USER_SET_VRING_NUM, 1, num, sizeof(num), NULL, 0);
        expect_error(&f, -EBADMSG, "vhost-user: SET_VRING_NUM: ring 1 is running");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(ring_runs_once_it_has_all),
                cmocka_unit_test(new_memory_moves_running_rings),
                cmocka_unit_test(new_memory_without_the_ring_ends_the_session),
                cmocka_unit_test(ring_that_starts_from_zero_after_work_is_a_reset),
                cmocka_unit_test(ring_that_was_stopped_waits_for_a_new_kick),
                cmocka_unit_test(reset_of_the_owner_stops_all_and_forgets),
                cmocka_unit_test(requests_are_acknowledged_where_asked),
                cmocka_unit_test(features_are_those_that_we_have),
                cmocka_unit_test(legacy_driver_may_take_any_layout),
                cmocka_unit_test(reading_behind_the_configuration_gives_zeros),
                cmocka_unit_test(interrupt_before_the_guest_could_get_any_is_repeated),
                cmocka_unit_test(wrong_messages_are_refused),
                cmocka_unit_test(wrong_descriptors_are_refused),
                cmocka_unit_test(bytes_behind_the_memory_table_are_whole_regions),
                cmocka_unit_test(impossible_memory_is_refused),
                cmocka_unit_test(overlapping_memory_is_refused),
                cmocka_unit_test(running_ring_is_not_changed),
        };

        return cmocka_run_group_tests_name("vhost-user", tests, NULL, NULL);
}
