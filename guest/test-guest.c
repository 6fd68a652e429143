/* SPDX-License-Identifier: Apache-2.0 */
/* test-guest.c - what of init can be tried without a machine of its own: command line, home folders, exec's
 * reasons, forks into control groups. */
#include "guest/container-group.h"
#include "guest/control.h"
#include "guest/program.h"
#include "guest/settings.h"
#include "guest/workload.h"

#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "lib/base/path.h"

#include <elf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void test_kernel_command_line(void **state)
{
        static const char NAME[] = "coffer.parent_cid=";

        (void)state;
        assert_int_equal(settings_number("", NAME, 2), 2);
        assert_int_equal(settings_number("quiet coffer.parent_cid=3 x\n", NAME, 2), 3);
        assert_int_equal(settings_number("coffer.parent_cid=3 coffer.parent_cid=4\n", NAME, 2), 4);
        assert_int_equal(settings_number("xcoffer.parent_cid=3", NAME, 2), 2);
        assert_int_equal(settings_number("coffer.parent_cid=", NAME, 2), 2);
        assert_int_equal(settings_number("coffer.parent_cid=3x", NAME, 2), 2);
        assert_int_equal(settings_number("coffer.parent_cid=4294967295", NAME, 2), UINT32_MAX);
        assert_int_equal(settings_number("coffer.parent_cid=4294967296", NAME, 2), 2);
        assert_int_equal(settings_number("coffer.parent_cid=0000000003", NAME, 2), 3);
        assert_int_equal(settings_number("coffer.parent_cid=00000000003", NAME, 2), 2);
        assert_int_equal(settings_number("coffer.parent_cid=00000000000000003", NAME, 2), 2);
}

static void assert_home(const char *passwd, uint32_t uid, const char *expected)
{
        cleanup_free char *home = workload_home(passwd, uid);

        assert_string_equal(home, expected);
}

static void test_home_by_passwd(void **state)
{
        static const char PASSWD[] = "root:x:0:0:root:/root:/bin/sh\nno line at all\n\n::\n"
                                     "a:x:10:0::/a:/bin/sh\nb:x:1:0::rel:/bin/sh\nc:x:1:0::/c";

        (void)state;
        assert_home(PASSWD, 0, "/root");
        assert_home(PASSWD, 10, "/a");
        assert_home(PASSWD, 1, "/c");
        assert_home(PASSWD, 2, "/");
        assert_home("", 0, "/");
}

static void test_environment_is_completed_not_replaced(void **state)
{
        cleanup_guest_config struct guest_config config = {0};
        struct failure f = {0};

        (void)state;
        guest_config_init(&config);
        guest_config_set_hostname(&config, "web", NULL);
        guest_config_add_env(&config, "HOME=/mine", NULL);
        guest_config_add_env(&config, "PATHS=x", NULL);
        assert_int_equal(workload_complete_env(&config, &f), 0);
        assert_string_equal(program_environment(config.env, "HOME"), "/mine");
        assert_string_equal(program_environment(config.env, "HOSTNAME"), "web");
        assert_string_equal(program_environment(config.env, "PATH"), PROGRAM_DEFAULT_PATH);
        assert_null(program_environment(config.env, "HOM"));
}

/* --- exec --- */

struct fixture {
        char folder[64];
        int fd;
};

static int set_up(void **state)
{
        static const char TEMPLATE[] = "/tmp/test-guest-XXXXXX";
        struct fixture *f = calloc(1, sizeof(*f));

        assert_non_null(f);
        memcpy(f->folder, TEMPLATE, sizeof(TEMPLATE));
        assert_non_null(mkdtemp(f->folder));
        f->fd = open(f->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(f->fd >= 0);
        assert_int_equal(chdir(f->folder), 0);
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(chdir("/"), 0);
        path_remove_tree(AT_FDCWD, f->folder, NULL);
        close(f->fd);
        free(f);
        return 0;
}

static void put(struct fixture *f, const char *name, struct view content, mode_t mode)
{
        assert_int_equal(file_write_atomic(f->fd, name, content, mode, NULL), 0);
}

/* An ELF program whose interpreter isn't there. */
static void put_elf(struct fixture *f, const char *name, const char *interpreter)
{
        struct {
                Elf64_Ehdr header;
                Elf64_Phdr segment;
                char interpreter[64];
        } file = {.header = {.e_type = ET_EXEC,
                             .e_machine = EM_X86_64,
                             .e_version = EV_CURRENT,
                             .e_phoff = sizeof(Elf64_Ehdr),
                             .e_ehsize = sizeof(Elf64_Ehdr),
                             .e_phentsize = sizeof(Elf64_Phdr),
                             .e_phnum = 1},
                  .segment = {.p_type = PT_INTERP,
                              .p_offset = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr),
                              .p_filesz = strlen(interpreter) + 1}};

        memcpy(file.header.e_ident, ELFMAG, SELFMAG);
        file.header.e_ident[EI_CLASS] = ELFCLASS64;
        file.header.e_ident[EI_DATA] = ELFDATA2LSB;
        file.header.e_ident[EI_VERSION] = EV_CURRENT;
        memcpy(file.interpreter, interpreter, strlen(interpreter) + 1);
        put(f, name, view_of(&file, sizeof(file)), 0755);
}

/* Executes `name`, with the working folder in PATH, and expects failure. */
static void assert_fails(const char *name, int errnum, const char *expected)
{
        cleanup_free char *command = strdup(name);
        cleanup_free char *path = strdup("PATH=/nonexistent:.");
        char *const argv[] = {command, NULL};
        char *const env[] = {path, NULL};
        struct failure failure = {0};
        char text[2048];

        assert_int_equal(program_execute(argv, env, &failure), -errnum);
        assert_int_equal(failure.errnum, errnum);
        failure_text(&failure, text, sizeof(text));
        assert_string_equal(text, expected);
}

static void test_why_a_command_does_not_start(void **state)
{
        struct fixture *f = *state;

        put(f, "data", view_of_string("x"), 0644);
        put(f, "junk", view_of_string("\x01\x02"), 0755);
        put(f, "script", view_of_string("#! /nonexistent/python -I\n"), 0755);
        put_elf(f, "dynamic", "/nonexistent/ld.so");
        assert_fails("", ENOENT, "cannot execute the command: its name is empty: No such file or directory");
        assert_fails("/nonexistent/x", ENOENT,
                     "cannot execute the command: /nonexistent/x: No such file or directory");
        assert_fails("absent", ENOENT,
                     "cannot find the command in PATH /nonexistent:.: absent: No such file or directory");
        assert_fails("data", EACCES, "cannot execute the command: ./data: Permission denied");
        assert_fails("junk", ENOEXEC, "cannot execute the command: ./junk: Exec format error");
        assert_fails("script", ENOENT,
                     "cannot execute ./script: the image lacks its interpreter: /nonexistent/python: "
                     "No such file or directory");
        assert_fails("dynamic", ENOENT,
                     "cannot execute ./dynamic: the image lacks its interpreter: /nonexistent/ld.so: "
                     "No such file or directory");
}

static void test_interpreters_of_damaged_files(void **state)
{
        struct fixture *f = *state;
        char interpreter[8] = "unset";
        cleanup_free char *path = path_join(f->folder, "x");

        put(f, "x", view_of_string("#!/a/long/interpreter"), 0755);
        program_interpreter(path, interpreter, sizeof(interpreter));
        assert_string_equal(interpreter, "/a/long");
        put(f, "x", view_of_string("#!"), 0755);
        program_interpreter(path, interpreter, sizeof(interpreter));
        assert_string_equal(interpreter, "");
        put(f, "x", view_of(ELFMAG "\2\1\1", 7), 0755);
        program_interpreter(path, interpreter, sizeof(interpreter));
        assert_string_equal(interpreter, "");
}

/* --- the control channel --- */

static void test_messages_are_taken_whole(void **state)
{
        static const uint8_t FRAMES[] = {0x81, 0, 0, 0, 4, 0, 0, 0, 10, 0x82, 0, 0, 0, 0};
        struct control control = CONTROL_NONE;
        struct guest_message message;
        int ends[2];

        (void)state;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        control.fd = ends[0];
        assert_int_equal(control_receive(&control, &message), 0);
        assert_int_equal(fd_write_full(ends[1], FRAMES, 7), 0);
        assert_int_equal(control_receive(&control, &message), 0);
        assert_int_equal(fd_write_full(ends[1], FRAMES + 7, sizeof(FRAMES) - 7), 0);
        assert_int_equal(control_receive(&control, &message), 1);
        assert_int_equal(message.type, PARENT_SIGNAL);
        assert_int_equal(message.signal, 10);
        assert_int_equal(control_receive(&control, &message), 1);
        assert_int_equal(message.type, PARENT_SHUTDOWN);
        assert_int_equal(fd_write_full(ends[1], "\xff\0\0\0\0", 5), 0);
        assert_int_equal(control_receive(&control, &message), -EBADMSG);
        close(ends[1]);
        control_close(&control);
        assert_int_equal(control.fd, -1);
}

static void test_a_parent_that_hangs_up_is_noticed(void **state)
{
        struct control control = CONTROL_NONE;
        struct guest_message message;
        int ends[2];

        (void)state;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        control.fd = ends[0];
        close(ends[1]);
        assert_int_equal(control_receive(&control, &message), -ENOTCONN);
        control_close(&control);
}

static void assert_forks_outside(int group_fd)
{
        bool is_inside = true;
        int status;
        pid_t pid = container_group_fork(group_fd, 0, &is_inside);

        assert_true(pid >= 0);
        if (pid == 0)
                _exit(is_inside);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
}

/* As with kernels before 5.7, or where the group takes nobody. */
static void test_a_child_that_cannot_be_born_in_its_group_is_told_so(void **state)
{
        cleanup_fd int no_group = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        (void)state;
        assert_forks_outside(-1);
        assert_forks_outside(no_group);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_kernel_command_line),
                cmocka_unit_test(test_home_by_passwd),
                cmocka_unit_test(test_environment_is_completed_not_replaced),
                cmocka_unit_test_setup_teardown(test_why_a_command_does_not_start, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_interpreters_of_damaged_files, set_up, tear_down),
                cmocka_unit_test(test_a_child_that_cannot_be_born_in_its_group_is_told_so),
                cmocka_unit_test(test_messages_are_taken_whole),
                cmocka_unit_test(test_a_parent_that_hangs_up_is_noticed),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
