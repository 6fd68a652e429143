/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/array.h"
#include "lib/base/buf.h"
#include "lib/base/checked.h"
#include "lib/base/child.h"
#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "lib/base/kernel-modules.h"
#include "lib/base/loop.h"
#include "lib/base/path.h"
#include "lib/base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int make_folder(void **state)
{
        char *path = strdup("/tmp/coffer-test-base-XXXXXX");

        *state = path;
        return path && mkdtemp(path) ? 0 : -1;
}

static int remove_folder(void **state)
{
        int r = path_remove_tree(AT_FDCWD, *state, NULL);

        free(*state);
        return r;
}

static void error_grows_from_the_inside_out(void **state)
{
        struct error err = {0};

        (void)state;
        assert_int_equal(error_errno(&err, ENOSPC, "write %d bytes", 5), -ENOSPC);
        assert_int_equal(error_wrap(&err, "layer %d", 3), -ENOSPC);
        error_hint(&err, "free some space");
        assert_string_equal(error_text(&err),
                            "layer 3: write 5 bytes: No space left on device; free some space");
        assert_int_equal(error_set(NULL, -EPERM, "nobody listens"), -EPERM);
}

static void error_loses_its_end_and_nothing_else_when_too_long(void **state)
{
        struct error err = {0};

        (void)state;
        error_set(&err, -EINVAL, "%0*d", 5000, 1);
        assert_int_equal(strlen(err.text), ERROR_TEXT_MAX - 1);
        error_wrap(&err, "x");
        assert_int_equal(strncmp(err.text, "x: 000", 6), 0);
}

static void cursor_error_is_sticky_and_moves_nothing(void **state)
{
        const uint8_t bytes[] = {1, 2, 3, 4, 5};
        struct cursor c = cursor_of(view_of(bytes, sizeof(bytes)));

        (void)state;
        assert_int_equal(cursor_be16(&c), 0x0102);
        assert_int_equal(cursor_le16(&c), 0x0403);
        assert_int_equal(cursor_be32(&c), 0);
        assert_false(cursor_ok(&c));
        assert_int_equal(cursor_u8(&c), 0);
        assert_int_equal(cursor_rest(&c).n, 0);
        assert_int_equal(c.at, 4);
}

static void view_slice_refuses_what_wraps(void **state)
{
        const uint8_t bytes[4] = {0};
        struct view v;

        (void)state;
        assert_false(view_slice(view_of(bytes, 4), 2, SIZE_MAX, &v));
        assert_false(view_slice(view_of(bytes, 4), 5, 0, &v));
        assert_true(view_slice(view_of(bytes, 4), 4, 0, &v));
}

static void cursor_until_fails_where_the_delimiter_is_missing(void **state)
{
        struct cursor c = cursor_of(view_of_string("key=value"));

        (void)state;
        assert_true(view_equal(cursor_until(&c, '='), view_of_string("key")));
        cursor_until(&c, '=');
        assert_false(cursor_ok(&c));
}

static void buffer_never_passes_its_ceiling(void **state)
{
        cleanup_buf struct buf b = buf_with_max(10);

        (void)state;
        assert_int_equal(buf_append_string(&b, "123456"), 0);
        assert_int_equal(buf_printf(&b, "%s", "78901"), -E2BIG);
        assert_int_equal(buf_append_byte(&b, '7'), -E2BIG);
        assert_string_equal(buf_string(&b), "123456");
}

static void buffer_filled_to_the_brim_still_ends_in_nul(void **state)
{
        cleanup_buf struct buf b = buf_with_max(6);

        (void)state;
        assert_int_equal(buf_append_string(&b, "123456"), 0);
        assert_string_equal(buf_string(&b), "123456");
        buf_consume(&b, 4);
        assert_string_equal(buf_string(&b), "56");
}

static void base64_refuses_a_second_spelling_of_the_same_bytes(void **state)
{
        cleanup_buf struct buf b = buf_with_max(100);

        (void)state;
        assert_int_equal(base64_decode(view_of_string("aGVsbG8="), &b), 0);
        assert_string_equal(buf_string(&b), "hello");
        assert_int_equal(base64_decode(view_of_string("aGVsbG9="), &b), -EBADMSG);
        assert_int_equal(base64_decode(view_of_string("aGVsbG8*"), &b), -EBADMSG);
        assert_int_equal(base64_decode(view_of_string("aGVsb"), &b), -EBADMSG);
}

static void base64_round_trips_every_length(void **state)
{
        (void)state;
        for (size_t n = 0; n < 40; n++) {
                uint8_t bytes[40];
                for (size_t i = 0; i < n; i++)
                        bytes[i] = (uint8_t)(i * 37 + n);
                cleanup_buf struct buf text = buf_with_max(100), back = buf_with_max(100);
                assert_int_equal(base64_encode(view_of(bytes, n), &text), 0);
                assert_int_equal(base64_decode(buf_view(&text), &back), 0);
                assert_true(view_equal(buf_view(&back), view_of(bytes, n)));
        }
}

static void numbers_are_parsed_strictly(void **state)
{
        uint64_t value = 7;

        (void)state;
        assert_true(parse_u64("18446744073709551615", UINT64_MAX, &value));
        assert_int_equal(value, UINT64_MAX);
        assert_false(parse_u64("18446744073709551616", UINT64_MAX, &value));
        assert_false(parse_u64("-1", UINT64_MAX, &value));
        assert_false(parse_u64(" 1", UINT64_MAX, &value));
        assert_false(parse_u64("", UINT64_MAX, &value));
        assert_false(parse_u64("5", 4, &value));
}

static void atomic_file_leaves_the_old_content_until_commit(void **state)
{
        cleanup_free char *path = path_join(*state, "target");
        cleanup_buf struct buf b = buf_with_max(100);
        struct atomic_file f;

        assert_int_equal(file_write_atomic(AT_FDCWD, path, view_of_string("old"), 0600, NULL), 0);
        assert_int_equal(atomic_file_begin(AT_FDCWD, path, 0600, &f, NULL), 0);
        assert_int_equal(fd_write_full(f.fd, "new", 3), 0);
        assert_int_equal(file_read(AT_FDCWD, path, 100, &b, NULL), 0);
        assert_string_equal(buf_string(&b), "old");
        assert_int_equal(atomic_file_commit(&f, NULL), 0);
        buf_done(&b);
        assert_int_equal(file_read(AT_FDCWD, path, 100, &b, NULL), 0);
        assert_string_equal(buf_string(&b), "new");
}

static void aborted_atomic_file_leaves_nothing(void **state)
{
        cleanup_free char *path = path_join(*state, "target");
        struct atomic_file f;

        assert_int_equal(atomic_file_begin(AT_FDCWD, path, 0600, &f, NULL), 0);
        atomic_file_abort(&f);
        atomic_file_abort(&f);
        assert_int_equal(rmdir(*state), 0);
        assert_int_equal(mkdir(*state, 0700), 0);
}

static void file_larger_than_its_limit_is_refused_by_name(void **state)
{
        cleanup_free char *path = path_join(*state, "large");
        cleanup_buf struct buf b = {0};
        struct error err = {0};

        assert_int_equal(file_write_atomic(AT_FDCWD, path, view_of_string("12345"), 0600, NULL), 0);
        assert_int_equal(file_read(AT_FDCWD, path, 4, &b, &err), -EFBIG);
        assert_non_null(strstr(err.text, "larger than the limit of 4 bytes"));
        buf_done(&b);
        assert_int_equal(file_read(AT_FDCWD, path, 5, &b, &err), 0);
        assert_int_equal(file_read(AT_FDCWD, *state, 5, &b, &err), -EISDIR);
}

static void file_of_many_reads_is_whole(void **state)
{
        cleanup_free char *path = path_join(*state, "long");
        cleanup_buf struct buf written = buf_with_max(1 << 20), b = {0};

        for (uint32_t i = 0; i < 100000; i++)
                assert_int_equal(buf_append_be32(&written, i), 0);
        assert_int_equal(file_write_atomic(AT_FDCWD, path, buf_view(&written), 0600, NULL), 0);
        assert_int_equal(file_read(AT_FDCWD, path, written.n, &b, NULL), 0);
        assert_true(view_equal(buf_view(&b), buf_view(&written)));
}

/* Doubling it to see the end of the file would move, and so touch, all of it. */
static void short_file_is_read_into_the_first_room(void **state)
{
        cleanup_free char *path = path_join(*state, "short");
        cleanup_buf struct buf b = {0};

        assert_int_equal(file_write_atomic(AT_FDCWD, path, view_of_string("12345"), 0600, NULL), 0);
        assert_int_equal(file_read(AT_FDCWD, path, 1 << 20, &b, NULL), 0);
        assert_string_equal(buf_string(&b), "12345");
        assert_in_range(b.capacity, 5, 65536);
}

static void held_lock_is_seen_and_released(void **state)
{
        cleanup_free char *path = path_join(*state, "lock");
        cleanup_fd int first = -1, second = -1;

        assert_int_equal(file_lock(AT_FDCWD, path, &first, NULL), 0);
        cleanup_fd int other = open(path, O_RDWR | O_CLOEXEC);
        assert_int_equal(flock(other, LOCK_EX | LOCK_NB), -1);
        assert_int_equal(errno, EWOULDBLOCK);
        fd_close_p(&first);
        assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
        fd_close_p(&other);
        assert_int_equal(file_lock(AT_FDCWD, path, &second, NULL), 0);
}

static void unnamed_file_is_in_no_folder(void **state)
{
        cleanup_fd int fd = -1;
        struct error err = {0};
        struct stat st;

        assert_int_equal(file_unnamed(*state, &fd, NULL), 0);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_nlink, 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(rmdir(*state), 0);
        assert_int_equal(file_unnamed(*state, &fd, &err), -ENOENT);
        assert_non_null(strstr(error_text(&err), *state));
        assert_non_null(strstr(error_text(&err), "TMPDIR"));
}

static void reader_of_an_unnamed_file_sees_what_is_written_and_writes_nothing(void **state)
{
        cleanup_fd int writer = -1, reader = -1;
        struct stat st;
        char text[4] = "";

        assert_int_equal(file_unnamed_with_reader(*state, &writer, &reader, NULL), 0);
        assert_int_equal(fd_write_full(writer, "abc", 3), 0);
        assert_int_equal(fd_read_full(reader, text, 3), 0);
        assert_string_equal(text, "abc");
        assert_int_equal(fstat(reader, &st), 0);
        assert_int_equal(st.st_nlink, 0);
        assert_int_equal(st.st_mode & 07777, 0444);
        assert_int_equal(fd_write_full(reader, "x", 1), -EBADF);
}

static void link_out_of_the_root_stays_in_it(void **state)
{
        cleanup_free char *inside = path_join(*state, "root/etc");
        cleanup_free char *link = path_join(*state, "root/link");
        cleanup_free char *root_path = path_join(*state, "root");
        cleanup_free char *secret = path_join(*state, "secret");
        cleanup_fd int root = -1, fd = -1;

        assert_int_equal(path_make_dirs(inside, 0700, NULL), 0);
        assert_int_equal(file_write_atomic(AT_FDCWD, secret, view_of_string("x"), 0600, NULL), 0);
        assert_int_equal(symlink("../secret", link), 0);
        root = open(root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(path_open_in_root(root, "link", O_RDONLY, 0, &fd, NULL), -ENOENT);
        assert_int_equal(path_open_in_root(root, "../secret", O_RDONLY, 0, &fd, NULL), -ENOENT);
        assert_int_equal(path_open_in_root(root, "../etc", O_RDONLY, 0, &fd, NULL), 0);
}

static void tree_is_removed_without_following_links(void **state)
{
        cleanup_free char *deep = path_join(*state, "tree/a/b");
        cleanup_free char *link = path_join(*state, "tree/a/link");
        cleanup_free char *keep = path_join(*state, "keep/inner");
        cleanup_free char *keep_folder = path_join(*state, "keep");
        cleanup_free char *tree = path_join(*state, "tree");

        assert_int_equal(path_make_dirs(deep, 0700, NULL), 0);
        assert_int_equal(path_make_dirs(keep, 0700, NULL), 0);
        assert_int_equal(symlink(keep_folder, link), 0);
        assert_int_equal(path_remove_tree(AT_FDCWD, tree, NULL), 0);
        assert_int_equal(access(tree, F_OK), -1);
        assert_int_equal(access(keep, F_OK), 0);
        assert_int_equal(path_remove_tree(AT_FDCWD, tree, NULL), 0);
}

static void program_that_is_missing_is_an_error_of_the_start(void **state)
{
        const char *const argv[] = {"/nonexistent/program", NULL};
        const struct child_spec spec = {.argv = argv, .uid = (uid_t)-1};
        struct child child = CHILD_NONE;
        struct error err = {0};

        (void)state;
        assert_int_equal(child_start(&spec, &child, &err), -ENOENT);
        assert_string_equal(err.text, "start /nonexistent/program: No such file or directory");
        assert_int_equal(child.pid, 0);
}

static void child_gets_the_listed_descriptors_and_no_other(void **state)
{
        /* The list crosses over (a becomes b's number), which a naive row of dup2() gets wrong. */
        const char *const argv[] = {"/bin/sh", "-c", "cat <&3; cat <&4; ls /proc/self/fd | tr '\\n' ' '",
                                    NULL};
        int a[2], b[2], out[2];
        char text[64] = {0};
        struct child child = CHILD_NONE;
        int status = -1;

        (void)state;
        assert_int_equal(pipe2(a, O_CLOEXEC) | pipe2(b, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
        int leak = dup(out[1]);
        assert_int_equal(fd_write_full(a[1], "A", 1) | fd_write_full(b[1], "B", 1), 0);
        const struct child_fd fds[] = {{b[0], 3}, {a[0], 4}, {out[1], 1}};
        const struct child_spec spec = {.argv = argv, .fds = fds, .n_fds = 3, .uid = (uid_t)-1};
        close(a[1]);
        close(b[1]);
        assert_int_equal(child_start(&spec, &child, NULL), 0);
        close(out[1]);
        close(leak);
        assert_int_equal(child_wait(&child, &status), 0);
        assert_int_equal(status, 0);
        assert_true(read(out[0], text, sizeof(text) - 1) > 0);
        /* ls itself opens the folder: one more than we gave. */
        assert_string_equal(text, "BA0 1 2 3 4 5 ");
        close(a[0]);
        close(b[0]);
        close(out[0]);
}

/* The descriptor may be below the pipe's of the start, or above it. */
static void program_behind_a_descriptor_is_not_left_open(void **state)
{
        const char *const argv[] = {"ls", "/proc/self/fd", NULL};
        int lowest = open("/bin/ls", O_RDONLY | O_CLOEXEC);
        const int programs[] = {lowest, fcntl(lowest, F_DUPFD_CLOEXEC, 100)};

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
                int out[2], status = -1;
                char text[64] = {0};
                struct child child = CHILD_NONE;

                assert_int_equal(pipe2(out, O_CLOEXEC), 0);
                const struct child_fd fds[] = {{out[1], 1}};
                const struct child_spec spec = {
                        .argv = argv, .program = programs[i], .fds = fds, .n_fds = 1, .uid = (uid_t)-1};
                assert_int_equal(child_start(&spec, &child, NULL), 0);
                close(out[1]);
                assert_int_equal(child_wait(&child, &status), 0);
                assert_int_equal(status, 0);
                assert_true(read(out[0], text, sizeof(text) - 1) > 0);
                assert_string_equal(text, "0\n1\n2\n3\n");
                close(out[0]);
        }
        close(programs[0]);
        close(programs[1]);
}

static void child_does_not_outlive_its_parent(void **state)
{
        int pipe_fds[2];

        (void)state;
        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        pid_t middle = fork();
        if (middle == 0) {
                const char *const argv[] = {"/bin/sleep", "1000", NULL};
                const struct child_fd fds[] = {{pipe_fds[1], 1}};
                const struct child_spec spec = {
                        .argv = argv, .fds = fds, .n_fds = 1, .uid = (uid_t)-1, .die_with_parent = true};
                struct child child;
                _exit(child_start(&spec, &child, NULL) == 0 ? 0 : 1);
        }
        int status;
        close(pipe_fds[1]);
        assert_int_equal(waitpid(middle, &status, 0), middle);
        assert_int_equal(status, 0);
        /* The sleeper holds the only writing end: end of file is its death. */
        char byte;
        assert_int_equal(read(pipe_fds[0], &byte, 1), 0);
        close(pipe_fds[0]);
}

struct two_sources {
        struct loop *loop;
        struct loop_source *sources[2];
        int calls;
};

static int remove_the_other(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct two_sources *two = user;

        (void)fd;
        (void)events;
        two->calls++;
        loop_remove(source == two->sources[0] ? &two->sources[1] : &two->sources[0]);
        loop_quit(two->loop, 42);
        return 0;
}

static void text_of_strangers_cannot_command_a_terminal(void **state)
{
        static const struct {
                const char *text;
                const char *shown;
        } cases[] = {
                {"", ""},
                {"plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
                 "plain \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
                {"a\x1b[2Jb\x07\x7f", "a\\x1b[2Jb\\x07\\x7f"},
                {"kept\n not\r", "kept\n not\\x0d"},
                {"C1 \xc2\x9b"
                 "31m and raw \x9b",
                 "C1 \\xc2\\x9b31m and raw \\x9b"},
                {"cut \xe2\x82", "cut \\xe2\\x82"},
                {"overlong \xc0\x9b \xe0\x80\x9b", "overlong \\xc0\\x9b \\xe0\\x80\\x9b"},
                {"surrogate \xed\xa0\x80", "surrogate \\xed\\xa0\\x80"},
                {"beyond \xf4\x90\x80\x80", "beyond \\xf4\\x90\\x80\\x80"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_buf struct buf b = buf_with_max(200);
                assert_int_equal(text_append_printable(view_of_string(cases[i].text), "\n", &b), 0);
                assert_string_equal(buf_string(&b), cases[i].shown);
        }
        cleanup_buf struct buf b = buf_with_max(200);
        assert_int_equal(text_append_printable(view_of("a\0b", 3), "\n", &b), 0);
        assert_string_equal(buf_string(&b), "a\\x00b");
}

static void removed_source_is_not_called_from_the_same_batch(void **state)
{
        struct two_sources two = {0};
        int a[2], b[2];

        (void)state;
        assert_int_equal(pipe2(a, O_CLOEXEC) | pipe2(b, O_CLOEXEC), 0);
        assert_int_equal(fd_write_full(a[1], "x", 1) | fd_write_full(b[1], "x", 1), 0);
        assert_int_equal(loop_new(&two.loop, NULL), 0);
        assert_int_equal(loop_add_fd(two.loop, a[0], EPOLLIN, remove_the_other, &two, &two.sources[0], NULL),
                         0);
        assert_int_equal(loop_add_fd(two.loop, b[0], EPOLLIN, remove_the_other, &two, &two.sources[1], NULL),
                         0);
        assert_int_equal(loop_run(two.loop), 42);
        assert_int_equal(two.calls, 1);
        loop_free(two.loop);
        close(a[0]);
        close(a[1]);
        close(b[0]);
        close(b[1]);
}

static int raise_signal(struct loop_source *source, void *user)
{
        (void)source;
        (void)user;
        return raise(SIGUSR1);
}

static int quit_with_signal(struct loop_source *source, int sig, void *user)
{
        (void)source;
        loop_quit(user, sig);
        return 0;
}

static void timers_and_signals_reach_their_callbacks(void **state)
{
        cleanup_loop struct loop *loop = NULL;

        (void)state;
        assert_int_equal(loop_new(&loop, NULL), 0);
        assert_int_equal(loop_add_signal(loop, SIGUSR1, quit_with_signal, loop, NULL, NULL), 0);
        assert_int_equal(loop_add_timer(loop, 0, raise_signal, NULL, NULL, NULL), 0);
        assert_int_equal(loop_run(loop), SIGUSR1);
}

static int take_byte(struct loop_source *source, int fd, uint32_t events, void *user)
{
        char byte;

        (void)source, (void)events;
        assert_int_equal(read(fd, &byte, 1), 1);
        ++*(int *)user;
        return byte == '!' ? -EPIPE : 0;
}

static void a_turn_does_what_is_ready_and_waits_for_nothing(void **state)
{
        cleanup_loop struct loop *loop = NULL;
        int fds[2], taken = 0;

        (void)state;
        assert_int_equal(loop_new(&loop, NULL), 0);
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(loop_add_fd(loop, fds[0], EPOLLIN, take_byte, &taken, NULL, NULL), 0);
        assert_int_equal(loop_turn(loop), 0);
        assert_int_equal(taken, 0);
        assert_int_equal(write(fds[1], "a!", 2), 2);
        assert_int_equal(loop_turn(loop), 0);
        assert_int_equal(taken, 1);
        assert_int_equal(loop_turn(loop), -EPIPE);
        assert_int_equal(taken, 2);
        close(fds[0]);
        close(fds[1]);
}

static int fail_with_pipe(struct loop_source *source, void *user)
{
        (void)source;
        (void)user;
        return -EPIPE;
}

static void callback_error_ends_the_loop(void **state)
{
        cleanup_loop struct loop *loop = NULL;

        (void)state;
        assert_int_equal(loop_new(&loop, NULL), 0);
        assert_int_equal(loop_add_timer(loop, 1, fail_with_pipe, NULL, NULL, NULL), 0);
        assert_int_equal(loop_run(loop), -EPIPE);
}

static void checked_arithmetic_sees_overflow(void **state)
{
        size_t r = 1;
        uint64_t r64 = 1;

        (void)state;
        assert_false(checked_add(SIZE_MAX, 1, &r));
        assert_false(checked_mul(SIZE_MAX / 2 + 1, 2, &r));
        assert_false(checked_align64(UINT64_MAX - 2, 4, &r64));
        assert_int_equal(r, 1);
        assert_true(checked_align64(5, 4, &r64));
        assert_int_equal(r64, 8);
}

static void array_keeps_its_members_while_it_grows(void **state)
{
        cleanup_free uint32_t *numbers = NULL;

        (void)state;
        for (size_t n = 0; n < 1000; n++) {
                assert_int_equal(array_grow(&numbers, n, sizeof(*numbers)), 0);
                numbers[n] = (uint32_t)n;
        }
        for (size_t i = 0; i < 1000; i++)
                assert_int_equal(numbers[i], i);
        assert_int_equal(array_grow(&numbers, (SIZE_MAX >> 1) + 1, sizeof(*numbers)), -ENOMEM);
        assert_int_equal(numbers[999], 999);
}

static void moments_are_written_as_rfc_3339_or_not_at_all(void **state)
{
        char text[CLOCK_TEXT_MAX];

        (void)state;
        assert_true(clock_format(1795190922, text, sizeof(text)));
        assert_string_equal(text, "2026-11-20T16:08:42Z");
        assert_true(clock_format(-1, text, sizeof(text)));
        assert_string_equal(text, "1969-12-31T23:59:59Z");
        /* Every turn of months, years and centuries, by the C library's calendar. */
        for (int64_t moment = -80LL * 366 * 24 * 3600; moment < 500LL * 366 * 24 * 3600;
             moment += 11 * 3600 + 7) {
                char expected[CLOCK_TEXT_MAX];
                struct tm utc;

                assert_true(strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%SZ",
                                     gmtime_r(&moment, &utc)) > 0);
                assert_true(clock_format(moment, text, sizeof(text)));
                assert_string_equal(text, expected);
        }
        assert_false(clock_format(0, text, 20));
        assert_string_equal(text, "");
        assert_false(clock_format(INT64_MAX, text, sizeof(text)));
        assert_string_equal(text, "");
}

static void printable_text_is_cut_and_commands_no_terminal(void **state)
{
        char text[6];

        (void)state;
        text_printable(view_of("a\033\0\377~b", 6), text, sizeof(text));
        assert_string_equal(text, "a???~");
        text_printable(view_of(NULL, 0), text, 1);
        assert_string_equal(text, "");
}

static void a_number_is_taken_off_a_text(void **state)
{
        const char *at = "12-18446744073709551615x", *none = "x1";
        uint64_t value = 7;

        (void)state;
        assert_true(take_u64(&at, 12, &value));
        assert_int_equal(value, 12);
        assert_string_equal(at, "-18446744073709551615x");
        assert_false(take_u64(&at, UINT64_MAX, &value));
        at++;
        assert_false(take_u64(&at, UINT32_MAX, &value));
        assert_int_equal(value, 12);
        assert_true(take_u64(&at, UINT64_MAX, &value));
        assert_true(value == UINT64_MAX);
        assert_string_equal(at, "x");
        assert_false(take_u64(&none, UINT64_MAX, &value));
        none = "18446744073709551616";
        assert_false(take_u64(&none, UINT64_MAX, &value));
}

static void paths_are_cleaned_by_their_text(void **state)
{
        static const char *const cases[][2] = {
                {"", "/"},      {"/", "/"},          {"//a//b/", "/a/b"}, {"a/./b/../c", "/a/c"},
                {"../..", "/"}, {"a/../../b", "/b"}, {"/...", "/..."},    {"/a/..b", "/a/..b"},
        };
        char path[16];

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                assert_int_equal(path_clean(cases[i][0], path, sizeof(path)), 0);
                assert_string_equal(path, cases[i][1]);
        }
        assert_int_equal(path_clean("/abcdefghijklmn", path, sizeof(path)), 0);
        assert_int_equal(path_clean("/abcdefghijklmno", path, sizeof(path)), -ENAMETOOLONG);
        assert_int_equal(path_clean("abcdefghijklmno", path, sizeof(path)), -ENAMETOOLONG);
        assert_int_equal(path_clean("/", path, 2), 0);
        assert_int_equal(path_clean("/", path, 1), -ENAMETOOLONG);
}

/* ---- modules of a guest's kernel ---- */

/* A file of this name in the folder, which no kernel takes for a module. */
static void put_no_module(const char *folder, const char *name)
{
        cleanup_fd int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cleanup_fd int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        assert_int_equal(fd_write_full(fd, "no module", 9), 0);
}

static void kernel_without_modules_has_nothing_to_load(void **state)
{
        char name[NAME_MAX + 1];

        (void)state;
        assert_int_equal(kernel_modules_load("/nonexistent/modules", name), 0);
}

static void first_kernel_module_that_fails_is_named_and_stays(void **state)
{
        char name[NAME_MAX + 1];

        put_no_module(*state, "02-b.ko");
        put_no_module(*state, "01-a.ko");
        put_no_module(*state, "00-text");
        assert_true(kernel_modules_load(*state, name) < 0);
        assert_string_equal(name, "01-a.ko");
        cleanup_fd int dir = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(faccessat(dir, "01-a.ko", F_OK, 0), 0);
}

static void only_files_named_as_kernel_modules_are_loaded(void **state)
{
        char name[NAME_MAX + 1];

        put_no_module(*state, "text");
        assert_int_equal(kernel_modules_load(*state, name), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_number_is_taken_off_a_text),
                cmocka_unit_test(paths_are_cleaned_by_their_text),
                cmocka_unit_test(error_grows_from_the_inside_out),
                cmocka_unit_test(error_loses_its_end_and_nothing_else_when_too_long),
                cmocka_unit_test(cursor_error_is_sticky_and_moves_nothing),
                cmocka_unit_test(view_slice_refuses_what_wraps),
                cmocka_unit_test(cursor_until_fails_where_the_delimiter_is_missing),
                cmocka_unit_test(buffer_never_passes_its_ceiling),
                cmocka_unit_test(buffer_filled_to_the_brim_still_ends_in_nul),
                cmocka_unit_test(base64_refuses_a_second_spelling_of_the_same_bytes),
                cmocka_unit_test(base64_round_trips_every_length),
                cmocka_unit_test(numbers_are_parsed_strictly),
                cmocka_unit_test(checked_arithmetic_sees_overflow),
                cmocka_unit_test(array_keeps_its_members_while_it_grows),
                cmocka_unit_test(moments_are_written_as_rfc_3339_or_not_at_all),
                cmocka_unit_test(printable_text_is_cut_and_commands_no_terminal),
                cmocka_unit_test_setup_teardown(atomic_file_leaves_the_old_content_until_commit, make_folder,
                                                remove_folder),
                cmocka_unit_test_setup_teardown(aborted_atomic_file_leaves_nothing, make_folder,
                                                remove_folder),
                cmocka_unit_test_setup_teardown(file_of_many_reads_is_whole, make_folder, remove_folder),
                cmocka_unit_test_setup_teardown(short_file_is_read_into_the_first_room, make_folder,
                                                remove_folder),
                cmocka_unit_test_setup_teardown(file_larger_than_its_limit_is_refused_by_name, make_folder,
                                                remove_folder),
                cmocka_unit_test_setup_teardown(held_lock_is_seen_and_released, make_folder, remove_folder),
                cmocka_unit_test_setup_teardown(unnamed_file_is_in_no_folder, make_folder, remove_folder),
                cmocka_unit_test_setup_teardown(
                        reader_of_an_unnamed_file_sees_what_is_written_and_writes_nothing, make_folder,
                        remove_folder),
                cmocka_unit_test_setup_teardown(link_out_of_the_root_stays_in_it, make_folder, remove_folder),
                cmocka_unit_test_setup_teardown(tree_is_removed_without_following_links, make_folder,
                                                remove_folder),
                cmocka_unit_test(kernel_without_modules_has_nothing_to_load),
                cmocka_unit_test_setup_teardown(first_kernel_module_that_fails_is_named_and_stays,
                                                make_folder, remove_folder),
                cmocka_unit_test_setup_teardown(only_files_named_as_kernel_modules_are_loaded, make_folder,
                                                remove_folder),
                cmocka_unit_test(program_that_is_missing_is_an_error_of_the_start),
                cmocka_unit_test(child_gets_the_listed_descriptors_and_no_other),
                cmocka_unit_test(program_behind_a_descriptor_is_not_left_open),
                cmocka_unit_test(child_does_not_outlive_its_parent),
                cmocka_unit_test(removed_source_is_not_called_from_the_same_batch),
                cmocka_unit_test(timers_and_signals_reach_their_callbacks),
                cmocka_unit_test(a_turn_does_what_is_ready_and_waits_for_nothing),
                cmocka_unit_test(callback_error_ends_the_loop),
                cmocka_unit_test(text_of_strangers_cannot_command_a_terminal),
        };

        return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
