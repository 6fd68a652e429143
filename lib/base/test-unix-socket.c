/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/unix-socket.h"

#include "lib/base/fd.h"
#include "lib/base/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

/* A folder whose path is longer than a socket's address may be. */
struct fixture {
        char path[256];
        int fd;
};

static int set_up(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));
        char root[] = "/tmp/test-unix-socket-XXXXXX";

        if (!f || !mkdtemp(root))
                return -1;
        snprintf(f->path, sizeof(f->path), "%s/%0150d", root, 0);
        if (mkdir(f->path, 0700) < 0)
                return -1;
        f->fd = open(f->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        *state = f;
        return f->fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
        struct fixture *f = *state;

        close(f->fd);
        *strrchr(f->path, '/') = '\0';
        int r = path_remove_tree(AT_FDCWD, f->path, NULL);
        free(f);
        return r;
}

static void a_socket_is_its_owners_alone_and_can_be_reached(void **state)
{
        struct fixture *f = *state;
        cleanup_fd int listener = -1, client = -1;
        struct stat st;
        mode_t before = umask(0);

        assert_int_equal(unix_socket_listen(f->fd, "s", &listener, NULL), 0);
        umask(before);
        assert_int_equal(fstatat(f->fd, "s", &st, AT_SYMLINK_NOFOLLOW), 0);
        assert_int_equal(st.st_mode, S_IFSOCK | 0600);
        assert_int_equal(unix_socket_connect(f->fd, "s", &client, NULL), 0);
        cleanup_fd int server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        assert_true(server >= 0);
        const int ours[] = {listener, client};
        for (size_t i = 0; i < 2; i++) {
                assert_true(fcntl(ours[i], F_GETFD) & FD_CLOEXEC);
                assert_true(fcntl(ours[i], F_GETFL) & O_NONBLOCK);
        }
}

static void a_socket_that_was_left_behind_is_replaced_and_nothing_else_is(void **state)
{
        struct fixture *f = *state;
        cleanup_fd int first = -1, second = -1, client = -1;
        cleanup_fd int file = openat(f->fd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        assert_true(file >= 0);
        assert_int_equal(unix_socket_listen(f->fd, "s", &first, NULL), 0);
        fd_close_p(&first);
        assert_int_equal(unix_socket_connect(f->fd, "s", &client, NULL), -ECONNREFUSED);
        assert_int_equal(unix_socket_listen(f->fd, "s", &second, NULL), 0);
        assert_int_equal(unix_socket_connect(f->fd, "s", &client, NULL), 0);

        assert_int_equal(unix_socket_listen(f->fd, "file", &first, NULL), -EADDRINUSE);
        assert_int_equal(faccessat(f->fd, "file", F_OK, 0), 0);
        assert_int_equal(unix_socket_connect(f->fd, "none", &first, NULL), -ENOENT);
        assert_int_equal(first, -1);
}

static void names_have_a_longest_and_no_slash(void **state)
{
        struct fixture *f = *state;
        cleanup_fd int fd = -1;
        struct error err = {0};
        char name[UNIX_SOCKET_NAME_MAX + 2];

        memset(name, 'n', sizeof(name));
        name[UNIX_SOCKET_NAME_MAX + 1] = '\0';
        assert_int_equal(unix_socket_listen(f->fd, name, &fd, &err), -ENAMETOOLONG);
        assert_non_null(strstr(error_text(&err), "1 to 80 bytes, no slash"));
        assert_int_equal(unix_socket_connect(f->fd, name, &fd, NULL), -ENAMETOOLONG);
        assert_int_equal(unix_socket_listen(f->fd, "", &fd, NULL), -ENAMETOOLONG);
        assert_int_equal(unix_socket_listen(f->fd, "../s", &fd, NULL), -ENAMETOOLONG);
        name[UNIX_SOCKET_NAME_MAX] = '\0';
        assert_int_equal(unix_socket_listen(f->fd, name, &fd, NULL), 0);
}

/* Connects until the listener has no room more. */
static size_t fill(const struct fixture *f, int *fds, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                int r = unix_socket_connect(f->fd, "s", &fds[i], NULL);
                if (r == -EAGAIN)
                        return i;
                assert_int_equal(r, 0);
        }
        fail_msg("%zu connections wait and there is still room", n);
        return n;
}

static void a_listener_without_room_is_waited_for_as_long_as_was_said(void **state)
{
        struct fixture *f = *state;
        cleanup_fd int listener = -1, client = -1;
        struct timeval timeout = {.tv_sec = 1};
        socklen_t size = sizeof(timeout);
        int fds[512];

        assert_int_equal(unix_socket_listen(f->fd, "s", &listener, NULL), 0);
        size_t n = fill(f, fds, 512);
        alarm(20);
        assert_int_equal(unix_socket_connect_wait(f->fd, "s", 0, &client, NULL), -EAGAIN);
        assert_int_equal(unix_socket_connect_wait(f->fd, "s", 10, &client, NULL), -EAGAIN);
        alarm(0);
        cleanup_fd int server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        assert_true(server >= 0);
        assert_int_equal(unix_socket_connect_wait(f->fd, "s", 10, &client, NULL), 0);
        /* The limit was for connecting alone. */
        assert_int_equal(getsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &timeout, &size), 0);
        assert_int_equal(timeout.tv_sec, 0);
        assert_int_equal(timeout.tv_usec, 0);
        assert_false(fcntl(client, F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(client, F_GETFD) & FD_CLOEXEC);
        for (size_t i = 0; i < n; i++)
                close(fds[i]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                TEST(a_socket_is_its_owners_alone_and_can_be_reached),
                TEST(a_socket_that_was_left_behind_is_replaced_and_nothing_else_is),
                TEST(names_have_a_longest_and_no_slash),
                TEST(a_listener_without_room_is_waited_for_as_long_as_was_said),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
