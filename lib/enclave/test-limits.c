/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/enclave/pool-limits.h"

#include "lib/base/buf.h"
#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "lib/base/path.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct limits parse(const char *text)
{
        struct limits limits;
        struct error err = {0};

        if (limits_parse(view_of_string(text), &limits, &err) < 0)
                fail_msg("%s", error_text(&err));
        return limits;
}

static void refuses(const char *text, const char *words)
{
        struct limits limits;
        struct error err = {0};

        assert_int_equal(limits_parse(view_of_string(text), &limits, &err), -EBADMSG);
        if (!strstr(error_text(&err), words))
                fail_msg("\"%s\" does not say \"%s\"", error_text(&err), words);
}

static void settings_comments_and_spaces_are_understood(void **state)
{
        (void)state;
        struct limits limits =
                parse("# for enclaves\n\n  memory_mib=2048\t# two GiB\ncpus =  4\r\n"
                      "max_enclaves = 0\nuser_memory_mib = 512\nuser_cpus = 2\nuser_max_enclaves = 3");
        assert_int_equal(limits.memory_mib, 2048);
        assert_int_equal(limits.cpus, 4);
        assert_int_equal(limits.max_enclaves, 0);
        assert_int_equal(limits.user_memory_mib, 512);
        assert_int_equal(limits.user_cpus, 2);
        assert_int_equal(limits.user_max_enclaves, 3);
        assert_false(limits.has_list);
}

static void what_is_not_set_is_not_limited(void **state)
{
        (void)state;
        struct limits limits = parse("# nothing\n");
        assert_memory_equal(&limits, &limits_none, sizeof(limits));
}

static void list_of_cpus_is_their_number_too(void **state)
{
        (void)state;
        struct limits limits = parse("cpu_list = 2-4,9,1023\n");
        assert_true(limits.has_list);
        assert_int_equal(limits.cpus, 5);
        assert_true(CPU_ISSET(3, &limits.list) && CPU_ISSET(1023, &limits.list) &&
                    !CPU_ISSET(5, &limits.list));
}

static void defects_are_named_with_their_line(void **state)
{
        (void)state;
        refuses("\nmemory = 5\n", "line 2: there is no setting 'memory'; there are memory_mib, cpus");
        refuses("memory_mib 5", "line 1: not of the form");
        refuses("memory_mib = 5 MiB", "memory_mib = 5 MiB: not a number from 0 to 1073741824");
        refuses("memory_mib = -1", "not a number");
        refuses("cpus = 1\ncpus = 1", "line 2: cpus is set a second time");
        refuses("cpu_list = 1\ncpu_list = 1", "line 2: cpu_list is set a second time");
        refuses("cpus = 1\ncpu_list = 1", "both set");
        refuses("cpu_list = 3-1", "'3-1' is no list of CPUs");
        refuses("cpu_list = 1024", "no list");
        refuses("cpu_list = 5-1024", "no list");
        refuses("cpu_list = 1,", "no list");
        refuses("cpu_list =", "no list");
        refuses("cpus = 1025", "from 0 to 1024");
        refuses("\x1b[31m = 1", "'?[31m'");
}

/* Reads an enclave.conf of this mode that begins with "cpus = 3", and has a comment up to `size` bytes. */
static int read_from(mode_t mode, size_t size, struct error *err)
{
        char folder[] = "/tmp/test-limits-XXXXXX";
        cleanup_buf struct buf text = buf_with_max(2 * (size_t)LIMITS_FILE_MAX);
        struct limits limits;

        assert_non_null(mkdtemp(folder));
        cleanup_fd int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cleanup_fd int file = openat(fd, LIMITS_FILE, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(buf_append_string(&text, "cpus = 3\n"), 0);
        for (size_t n = 9; n < size; n++)
                (void)buf_append_byte(&text, '#');
        assert_int_equal(fd_write_full(file, text.p, text.n), 0);
        assert_int_equal(fchmod(file, mode), 0);
        int r = limits_read(fd, folder, &limits, err);
        assert_int_equal(path_remove_tree(AT_FDCWD, folder, NULL), 0);
        return r < 0 ? r : (int)limits.cpus;
}

static void file_that_is_too_large_is_refused(void **state)
{
        struct error err = {0};

        (void)state;
        assert_int_equal(read_from(0644, LIMITS_FILE_MAX, &err), 3);
        assert_int_equal(read_from(0644, LIMITS_FILE_MAX + 1, &err), -EBADMSG);
        assert_non_null(strstr(error_text(&err), "enclave.conf: larger than 65536 bytes"));
}

static void file_that_others_can_write_is_refused(void **state)
{
        struct error err = {0};

        (void)state;
        assert_int_equal(read_from(0644, 0, &err), 3);
        assert_int_equal(read_from(0664, 0, &err), -EPERM);
        assert_non_null(
                strstr(error_text(&err), "enclave.conf: others than its owner can write it; chmod 0644 it"));
        assert_int_equal(read_from(0646, 0, &err), -EPERM);
}

static void longest_line_is_read_and_one_byte_more_refused(void **state)
{
        char line[4096 + 1];

        (void)state;
        memset(line, 'x', sizeof(line));
        line[10] = '=';
        line[4095] = '\0';
        refuses(line, "there is no setting 'xxxxxxxxxx'");
        line[4095] = 'x';
        line[4096] = '\0';
        refuses(line, "line 1: longer than 4095 bytes");
}

/* One that limits nothing because it is empty must not come in the place of the real one. */
static void what_is_no_file_is_refused(void **state)
{
        char folder[] = "/tmp/test-limits-XXXXXX";
        struct limits limits;
        struct error err = {0};

        (void)state;
        assert_non_null(mkdtemp(folder));
        cleanup_fd int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(mkfifoat(fd, LIMITS_FILE, 0600), 0);
        assert_int_equal(limits_read(fd, folder, &limits, &err), -EPERM);
        assert_non_null(strstr(error_text(&err), "enclave.conf: not a regular file"));
        assert_int_equal(path_remove_tree(AT_FDCWD, folder, NULL), 0);
}

static void file_that_cannot_be_read_is_refused(void **state)
{
        char folder[] = "/tmp/test-limits-XXXXXX";
        const uid_t self = geteuid();
        struct limits limits;
        struct error err = {0};

        (void)state;
        assert_non_null(mkdtemp(folder));
        cleanup_fd int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cleanup_fd int file = openat(fd, LIMITS_FILE, O_WRONLY | O_CREAT | O_CLOEXEC, 0);
        assert_true(file >= 0);
        assert_int_equal(fchmod(fd, 0755), 0);
        if (self == 0)
                assert_int_equal(seteuid(54321), 0);
        int r = limits_read(fd, folder, &limits, &err);
        assert_int_equal(seteuid(self), 0);
        assert_int_equal(r, -EACCES);
        assert_non_null(strstr(error_text(&err), "enclave.conf: Permission denied"));
        assert_int_equal(path_remove_tree(AT_FDCWD, folder, NULL), 0);
}

static void file_that_is_not_there_limits_nothing(void **state)
{
        struct limits limits;
        cleanup_fd int fd = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        (void)state;
        assert_int_equal(limits_read(fd, "/proc/self", &limits, NULL), 0);
        assert_memory_equal(&limits, &limits_none, sizeof(limits));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(settings_comments_and_spaces_are_understood),
                cmocka_unit_test(what_is_not_set_is_not_limited),
                cmocka_unit_test(list_of_cpus_is_their_number_too),
                cmocka_unit_test(defects_are_named_with_their_line),
                cmocka_unit_test(file_that_others_can_write_is_refused),
                cmocka_unit_test(file_that_is_too_large_is_refused),
                cmocka_unit_test(longest_line_is_read_and_one_byte_more_refused),
                cmocka_unit_test(what_is_no_file_is_refused),
                cmocka_unit_test(file_that_cannot_be_read_is_refused),
                cmocka_unit_test(file_that_is_not_there_limits_nothing),
        };

        return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
