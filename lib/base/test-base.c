/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/array.h"
#include "lib/base/buf.h"
#include "lib/base/checked.h"
#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "lib/base/kernel-modules.h"
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
#include <sys/mount.h>
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
        assert_string_equal(error_text(NULL), "unknown error");
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

static void what_did_not_fit_is_not_taken_for_whole(void **state)
{
        cleanup_buf struct buf b = buf_with_max(6);

        (void)state;
        assert_int_equal(buf_append_string(&b, "1234"), 0);
        assert_int_equal(buf_append_string(&b, "567"), -E2BIG);
        assert_null(buf_take_string(&b));
        assert_int_equal(b.failed, 0);
        assert_int_equal(buf_append_string(&b, "12"), 0);
        cleanup_free char *whole = buf_take_string(&b);
        assert_string_equal(whole, "12");
        cleanup_free char *empty = buf_take_string(&b);
        assert_string_equal(empty, "");
}

static void numbers_are_written_high_byte_first(void **state)
{
        cleanup_buf struct buf b = buf_with_max(6);

        (void)state;
        assert_int_equal(buf_append_be16(&b, 0x0102), 0);
        assert_int_equal(buf_append_be32(&b, 0x03040506), 0);
        assert_memory_equal(b.p, "\1\2\3\4\5\6", 6);
}

static void hex_is_decoded_where_it_is_as_long_as_asked_for(void **state)
{
        uint8_t bytes[2] = {9, 9};

        (void)state;
        assert_true(hex_decode(view_of_string("00fF"), bytes, 2));
        assert_memory_equal(bytes, "\x00\xff", 2);
        assert_false(hex_decode(view_of_string("00f"), bytes, 2));
        assert_false(hex_decode(view_of_string("00ff0"), bytes, 2));
        assert_false(hex_decode(view_of_string("00ff00"), bytes, 2));
        assert_false(hex_decode(view_of_string("00fg"), bytes, 2));
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
        assert_int_equal(base64_decode(view_of_string("AAAAA"), &b), -EBADMSG);
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

static void content_of_a_file_keeps_to_its_limit_afterwards(void **state)
{
        cleanup_free char *path = path_join(*state, "file");
        cleanup_buf struct buf b = {0};

        assert_int_equal(file_write_atomic(AT_FDCWD, path, view_of_string("12345"), 0600, NULL), 0);
        assert_int_equal(file_read(AT_FDCWD, path, 5, &b, NULL), 0);
        assert_int_equal(buf_append_byte(&b, '6'), -E2BIG);
}

static void devices_are_neither_read_nor_replaced(void **state)
{
        cleanup_free char *fifo = path_join(*state, "fifo");
        cleanup_buf struct buf b = {0};
        struct error err = {0};
        struct atomic_file f;

        assert_int_equal(file_read(AT_FDCWD, "/dev/zero", 5, &b, &err), -EINVAL);
        assert_string_equal(error_text(&err), "/dev/zero: not a regular file");
        assert_int_equal(mkfifo(fifo, 0600), 0);
        assert_int_equal(atomic_file_begin(AT_FDCWD, fifo, 0600, &f, &err), -EINVAL);
        assert_non_null(strstr(error_text(&err), "exists and is not a regular file"));
        assert_int_equal(atomic_file_begin(AT_FDCWD, *state, 0600, &f, NULL), -EISDIR);
        assert_int_equal(unlink(fifo), 0);
        assert_int_equal(rmdir(*state), 0); /* nothing else was left in it */
        assert_int_equal(mkdir(*state, 0700), 0);
}

static void atomic_file_that_cannot_take_its_place_leaves_nothing(void **state)
{
        cleanup_free char *path = path_join(*state, "target");
        struct atomic_file f;
        struct error err = {0};

        assert_int_equal(atomic_file_begin(AT_FDCWD, path, 0600, &f, NULL), 0);
        assert_int_equal(mkdir(path, 0700), 0);
        assert_int_equal(atomic_file_commit(&f, &err), -EISDIR);
        assert_int_equal(f.fd, -1);
        assert_int_equal(rmdir(path), 0);
        assert_int_equal(rmdir(*state), 0);
        assert_int_equal(mkdir(*state, 0700), 0);
}

static void atomic_file_may_have_the_longest_name_and_its_own_mode(void **state)
{
        char name[NAME_MAX + 1];
        cleanup_fd int folder = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct stat st;

        memset(name, 'n', sizeof(name));
        name[NAME_MAX] = '\0';
        assert_int_equal(file_write_atomic(folder, name, view_of_string("x"), 0640, NULL), 0);
        assert_int_equal(fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW), 0);
        assert_int_equal(st.st_mode & 07777, 0640);
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

static void lock_is_exclusive_its_owners_and_no_link(void **state)
{
        cleanup_free char *path = path_join(*state, "lock");
        cleanup_free char *link = path_join(*state, "link");
        cleanup_fd int held = -1, none = -1;
        struct stat st;
        mode_t before = umask(0);

        assert_int_equal(file_lock(AT_FDCWD, path, &held, NULL), 0);
        umask(before);
        assert_int_equal(fstat(held, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        cleanup_fd int other = open(path, O_RDWR | O_CLOEXEC);
        assert_int_equal(flock(other, LOCK_SH | LOCK_NB), -1);
        assert_int_equal(errno, EWOULDBLOCK);
        assert_int_equal(symlink("elsewhere", link), 0);
        assert_int_equal(file_lock(AT_FDCWD, link, &none, NULL), -ELOOP);
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
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void folders_are_made_where_nothing_else_is_in_the_way(void **state)
{
        cleanup_free char *file = path_join(*state, "file");
        cleanup_free char *below = path_join(file, "below");

        assert_int_equal(path_make_dirs(*state, 0700, NULL), 0);
        assert_int_equal(file_write_atomic(AT_FDCWD, file, view_of_string("x"), 0600, NULL), 0);
        assert_int_equal(path_make_dirs(file, 0700, NULL), -ENOTDIR);
        assert_int_equal(path_make_dirs(below, 0700, NULL), -ENOTDIR);
}

static void what_has_no_last_name_has_no_parent(void **state)
{
        static const char *const cases[] = {"", "/", "a/", ".", "a/.", "..", "a/.."};
        cleanup_fd int dir = open(*state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cleanup_fd int parent = -1;
        const char *name = NULL;

        assert_int_equal(mkdirat(dir, "a", 0700), 0);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
                assert_int_equal(path_open_parent(dir, cases[i], &parent, &name, NULL), -EISDIR);
        assert_int_equal(path_open_parent(dir, "a/b", &parent, &name, NULL), 0);
        assert_string_equal(name, "b");
}

/* By its own code where nobody wants the text, too: not by the folder that is then not empty. */
static void tree_that_cannot_be_removed_says_why(void **state)
{
        cleanup_free char *path = path_join(*state, "mounted");
        cleanup_free char *file = path_join(path, "file");
        struct error err = {0};

        assert_int_equal(mkdir(path, 0700), 0);
        if (mount("tmpfs", path, "tmpfs", 0, NULL) < 0)
                skip(); /* takes CAP_SYS_ADMIN */
        int r = file_write_atomic(AT_FDCWD, file, view_of_string("x"), 0600, NULL);
        if (r == 0)
                r = mount(NULL, path, NULL, MS_REMOUNT | MS_RDONLY, NULL);
        int with = path_remove_tree(AT_FDCWD, path, &err), without = path_remove_tree(AT_FDCWD, path, NULL);
        assert_int_equal(umount(path), 0); /* first, or a failure would leave it behind */
        assert_int_equal(r, 0);
        assert_int_equal(with, -EROFS);
        assert_int_equal(without, -EROFS);
        assert_non_null(strstr(error_text(&err), "mounted: file: Read-only file system"));
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
                {"last of C1 \xc2\x9f, first behind it \xc2\xa0",
                 "last of C1 \\xc2\\x9f, first behind it \xc2\xa0"},
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
                cmocka_unit_test(what_did_not_fit_is_not_taken_for_whole),
                cmocka_unit_test(numbers_are_written_high_byte_first),
                cmocka_unit_test(hex_is_decoded_where_it_is_as_long_as_asked_for),
                cmocka_unit_test_setup_teardown(content_of_a_file_keeps_to_its_limit_afterwards, make_folder,
                                                remove_folder),
                cmocka_unit_test_setup_teardown(devices_are_neither_read_nor_replaced, make_folder,
                                                remove_folder),
                cmocka_unit_test_setup_teardown(atomic_file_that_cannot_take_its_place_leaves_nothing,
                                                make_folder, remove_folder),
                cmocka_unit_test_setup_teardown(atomic_file_may_have_the_longest_name_and_its_own_mode,
                                                make_folder, remove_folder),
                cmocka_unit_test_setup_teardown(lock_is_exclusive_its_owners_and_no_link, make_folder,
                                                remove_folder),
                cmocka_unit_test_setup_teardown(folders_are_made_where_nothing_else_is_in_the_way,
                                                make_folder, remove_folder),
                cmocka_unit_test_setup_teardown(what_has_no_last_name_has_no_parent, make_folder,
                                                remove_folder),
                cmocka_unit_test_setup_teardown(tree_that_cannot_be_removed_says_why, make_folder,
                                                remove_folder),
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
                cmocka_unit_test(text_of_strangers_cannot_command_a_terminal),
        };

        return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
