/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/enclave/console.h"

#include <string.h>

static void write_text(struct console *console, const char *text)
{
        console_write(console, view_of_string(text));
}

static void assert_copy(const struct console *console, const char *expected)
{
        cleanup_buf struct buf b = buf_with_max(4096);

        assert_int_equal(console_copy(console, &b), 0);
        assert_string_equal(buf_string(&b), expected);
}

static void test_everything_is_kept_while_it_fits(void **state)
{
        cleanup_console struct console *console = console_new(16);

        (void)state;
        assert_copy(console, "");
        write_text(console, "hello ");
        write_text(console, "world");
        assert_copy(console, "hello world");
        assert_int_equal(console_end(console), 11);
}

static void test_oldest_bytes_go_and_a_note_says_how_many(void **state)
{
        cleanup_console struct console *console = console_new(8);

        (void)state;
        write_text(console, "0123456");
        write_text(console, "7");
        assert_copy(console, "01234567");
        write_text(console, "8");
        assert_copy(console, "[coffer: 1 bytes of console output were dropped here]\n12345678");
        write_text(console, "9ab");
        assert_copy(console, "[coffer: 4 bytes of console output were dropped here]\n456789ab");
}

static void test_one_write_larger_than_the_ring_leaves_its_end(void **state)
{
        cleanup_console struct console *console = console_new(4);

        (void)state;
        write_text(console, "x");
        write_text(console, "0123456789");
        assert_copy(console, "[coffer: 7 bytes of console output were dropped here]\n6789");
        assert_int_equal(console_end(console), 11);
}

static void test_reader_goes_on_where_it_was_and_learns_what_it_missed(void **state)
{
        cleanup_console struct console *console = console_new(4);
        uint64_t position = 0, missed = 77;

        (void)state;
        write_text(console, "abc");
        struct view piece = console_peek(console, &position, &missed);
        assert_int_equal(missed, 0);
        assert_true(view_equal(piece, view_of_string("abc")));
        position += 2;
        write_text(console, "defg");
        piece = console_peek(console, &position, &missed);
        assert_int_equal(missed, 1);
        assert_int_equal(piece.p[0], 'd');
        position = console_end(console);
        assert_int_equal(console_peek(console, &position, &missed).n, 0);
        assert_int_equal(missed, 0);
}

static void test_tail_is_one_printable_line_of_whole_lines(void **state)
{
        cleanup_console struct console *console = console_new(64);
        cleanup_buf struct buf b = buf_with_max(256);

        (void)state;
        write_text(console, "a first line\r\n\r\n\x1b[31mred\x07\r\nlast\r\n");
        assert_int_equal(console_tail(console, 20, &b), 0);
        assert_string_equal(buf_string(&b), "[31mred | last");
}

static void test_tail_begins_with_a_panic(void **state)
{
        cleanup_console struct console *console = console_new(1024);
        cleanup_buf struct buf b = buf_with_max(256);

        (void)state;
        write_text(console, "[1.0] boots\n[1.5] Kernel panic - not syncing: No init found\n");
        for (int i = 0; i < 20; i++)
                write_text(console, " a_function+0x12/0x34\n");
        assert_int_equal(console_tail(console, 60, &b), 0);
        assert_string_equal(buf_string(&b), "Kernel panic - not syncing: No init found |  a_function+0x12/0");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_everything_is_kept_while_it_fits),
                cmocka_unit_test(test_oldest_bytes_go_and_a_note_says_how_many),
                cmocka_unit_test(test_one_write_larger_than_the_ring_leaves_its_end),
                cmocka_unit_test(test_reader_goes_on_where_it_was_and_learns_what_it_missed),
                cmocka_unit_test(test_tail_begins_with_a_panic),
                cmocka_unit_test(test_tail_is_one_printable_line_of_whole_lines),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
