/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/vsock/client.h"

#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/base/unix-socket.h"

#include <fcntl.h>
#include <setjmp.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_MS = 20000 };

/* A bridge that answers one client with fixed words, in a thread; its path is longer than a socket's
 * address. */
struct bridge {
        char folder[512];
        char path[600];
        struct vsock_endpoint endpoint;
        int listener;
        const char *answer;
        char asked[64];
        pthread_t thread;
};

static void *answer_one(void *arg)
{
        struct bridge *b = arg;
        int fd = -1;
        uint32_t cid;

        if (vsock_accept(b->listener, PATIENCE_MS, &fd, &cid, NULL) < 0)
                return NULL;
        ssize_t n = recv(fd, b->asked, sizeof(b->asked) - 1, 0);
        b->asked[n > 0 ? n : 0] = '\0';
        if (write(fd, b->answer, strlen(b->answer)) < 0)
                b->asked[0] = '\0';
        fd_close_p(&fd);
        return NULL;
}

static void make_folder(struct bridge *b)
{
        const char *tmp = getenv("TMPDIR");
        char top[128];

        *b = (struct bridge){.listener = -1};
        snprintf(top, sizeof(top), "%s/vsock-XXXXXX", tmp ? tmp : "/tmp");
        assert_non_null(mkdtemp(top));
        snprintf(b->folder, sizeof(b->folder), "%s/%0150d", top, 0);
        assert_int_equal(mkdir(b->folder, 0700), 0);
        snprintf(b->path, sizeof(b->path), "%s/vsock.sock", b->folder);
        b->endpoint = (struct vsock_endpoint){.bridge = b->path, .name = "enclave 0"};
}

static void start_bridge(struct bridge *b, const char *answer)
{
        make_folder(b);
        cleanup_fd int dirfd = open(b->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(unix_socket_listen(dirfd, "vsock.sock", &b->listener, NULL), 0);
        b->answer = answer;
        assert_int_equal(pthread_create(&b->thread, NULL, answer_one, b), 0);
}

static void remove_folder(struct bridge *b)
{
        fd_close_p(&b->listener);
        *strrchr(b->folder, '/') = '\0';
        assert_int_equal(path_remove_tree(AT_FDCWD, b->folder, NULL), 0);
}

static void stop_bridge(struct bridge *b)
{
        assert_int_equal(pthread_join(b->thread, NULL), 0);
        remove_folder(b);
}

static void expect_failure(const struct vsock_endpoint *endpoint, int timeout_ms, int code, const char *text)
{
        struct error err = {0};
        int fd = -1;

        assert_int_equal(vsock_connect(endpoint, 6379, timeout_ms, &fd, &err), code);
        assert_string_equal(error_text(&err), text);
        assert_int_equal(fd, -1);
}

static void connected_stream_begins_behind_the_answer(void **state)
{
        struct bridge b;
        char text[16] = {0};

        (void)state;
        start_bridge(&b, "OK 1073741824\nbanner");
        cleanup_fd int fd = -1;
        assert_int_equal(vsock_connect(&b.endpoint, 6379, PATIENCE_MS, &fd, NULL), 0);
        assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
        assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        assert_int_equal(fd_read_full(fd, text, 6), 0);
        assert_string_equal(text, "banner");
        stop_bridge(&b);
        assert_string_equal(b.asked, "CONNECT 6379\n");
}

static void hanging_up_means_that_nothing_listens(void **state)
{
        struct bridge b;

        (void)state;
        start_bridge(&b, "");
        expect_failure(&b.endpoint, PATIENCE_MS, -ECONNREFUSED,
                       "enclave 0 has nothing listening on port 6379");
        stop_bridge(&b);
}

static void nonsense_is_no_answer(void **state)
{
        static const char *const answers[] = {"NO\n", "OK\n", "OK x\n",
                                              "OK 123456789012345678901234567890\n"};
        struct bridge b;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
                start_bridge(&b, answers[i]);
                expect_failure(&b.endpoint, PATIENCE_MS, -EPROTO, "enclave 0, port 6379: Protocol error");
                stop_bridge(&b);
        }
}

static void missing_and_stale_sockets_mean_that_it_is_gone(void **state)
{
        struct bridge b;
        struct vsock_endpoint nowhere = {.bridge = "/nonexistent/vsock.sock"};

        (void)state;
        expect_failure(&nowhere, PATIENCE_MS, -ENOENT,
                       "the enclave behind /nonexistent/vsock.sock is not there");
        make_folder(&b);
        expect_failure(&b.endpoint, PATIENCE_MS, -ENOENT, "enclave 0 is not there");
        cleanup_fd int dirfd = open(b.folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(unix_socket_listen(dirfd, "vsock.sock", &b.listener, NULL), 0);
        fd_close_p(&b.listener);
        expect_failure(&b.endpoint, PATIENCE_MS, -ENOENT, "enclave 0 is not there");
        remove_folder(&b);
}

static void silence_times_out(void **state)
{
        struct bridge b;

        (void)state;
        make_folder(&b);
        cleanup_fd int dirfd = open(b.folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
        /* Its backlog takes the client; nobody ever accepts. */
        assert_int_equal(unix_socket_listen(dirfd, "vsock.sock", &b.listener, NULL), 0);
        expect_failure(&b.endpoint, 10, -ETIMEDOUT, "enclave 0 does not answer on port 6379");
        remove_folder(&b);
}

static void listener_gets_what_comes_for_its_port(void **state)
{
        struct bridge b;
        struct stat st;
        struct error err = {0};
        int listener, accepted;
        uint32_t cid = 1;

        (void)state;
        make_folder(&b);
        cleanup_fd int dirfd = open(b.folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(vsock_listen(&b.endpoint, 7000, &listener, NULL), 0);
        assert_int_equal(fstatat(dirfd, "vsock.sock_7000", &st, 0), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        assert_int_equal(fcntl(listener, F_GETFL) & O_NONBLOCK, 0);
        assert_int_equal(vsock_accept(listener, 0, &accepted, &cid, &err), -ETIMEDOUT);
        cleanup_fd int fd = -1;
        assert_int_equal(unix_socket_connect(dirfd, "vsock.sock_7000", &fd, NULL), 0);
        assert_int_equal(vsock_accept(listener, PATIENCE_MS, &accepted, &cid, NULL), 0);
        assert_int_equal(cid, 0);
        assert_int_equal(fcntl(accepted, F_GETFL) & O_NONBLOCK, 0);
        fd_close_p(&accepted);
        fd_close_p(&listener);
        vsock_unlisten(&b.endpoint, 7000);
        assert_int_equal(fstatat(dirfd, "vsock.sock_7000", &st, 0), -1);
        remove_folder(&b);
}

static void unreachable_cid_is_an_error_that_names_it(void **state)
{
        struct vsock_endpoint endpoint = {.cid = 3999999999};
        struct error err = {0};
        int fd = -1;

        (void)state;
        /* What exactly is missing depends on the kernel that this runs on. */
        assert_true(vsock_connect(&endpoint, 6379, 1000, &fd, &err) < 0);
        assert_non_null(strstr(error_text(&err), "CID 3999999999"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(connected_stream_begins_behind_the_answer),
                cmocka_unit_test(hanging_up_means_that_nothing_listens),
                cmocka_unit_test(nonsense_is_no_answer),
                cmocka_unit_test(missing_and_stale_sockets_mean_that_it_is_gone),
                cmocka_unit_test(silence_times_out),
                cmocka_unit_test(listener_gets_what_comes_for_its_port),
                cmocka_unit_test(unreachable_cid_is_an_error_that_names_it),
        };

        return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
