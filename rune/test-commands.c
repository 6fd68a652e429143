/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What engines really call, word by word (go-runc of containerd, Docker and BuildKit; conmon of Podman and
 * CRI-O), against what becomes of it.
 */
#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "rune/fake-engine.h"
#include "rune/program.h"
#include "rune/rune.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { WORDS_MAX = 64, OUTPUT_MAX = 64 * 1024 };

/* What a command line came to. */
struct outcome {
        int status;
        char out[OUTPUT_MAX];
        char err[OUTPUT_MAX];
};

static struct outcome outcome;

static void read_back(int fd, char text[OUTPUT_MAX])
{
        ssize_t n = pread(fd, text, OUTPUT_MAX - 1, 0);

        assert_true(n >= 0);
        text[n] = '\0';
}

/* Runs a command line, cut at its blanks, with standard output and error in `outcome`. */
static void rune(const char *line)
{
        cleanup_free char *text = strdup(line);
        char *words[WORDS_MAX + 1] = {NULL}, *rest = text, *word;
        cleanup_fd int out = memfd_create("out", MFD_CLOEXEC), err = memfd_create("err", MFD_CLOEXEC);
        cleanup_fd int old_out = dup(STDOUT_FILENO), old_err = dup(STDERR_FILENO);
        size_t n = 0;

        while ((word = strsep(&rest, " ")) && n < WORDS_MAX)
                words[n++] = word;
        assert_true(dup2(out, STDOUT_FILENO) >= 0 && dup2(err, STDERR_FILENO) >= 0);
        outcome.status = program_run(words);
        assert_true(dup2(old_out, STDOUT_FILENO) >= 0 && dup2(old_err, STDERR_FILENO) >= 0);
        read_back(out, outcome.out);
        read_back(err, outcome.err);
}

static int setup(void **state)
{
        (void)state;
        fake_engine_reset();
        return 0;
}

/* The line makes exactly this call, and nothing is said. */
static void assert_call(const char *line, const char *call)
{
        fake_engine_reset();
        rune(line);
        assert_string_equal(buf_string(&fake_engine.calls), call);
        assert_string_equal(outcome.err, "");
        assert_int_equal(outcome.status, 0);
}

static void containerd_and_docker_are_understood(void **state)
{
        static const char *const lines[][2] = {
                {"rune --root /r --rootless=false --log-format json create --bundle /b --pid-file /p "
                 "--console-socket /s "
                 "--no-pivot --no-new-keyring --preserve-fds 3 c1",
                 "create id=c1 root=/r bundle=/b pid-file=/p console-socket=/s no-pivot no-new-keyring "
                 "preserve-fds=3\n"},
                {"rune --root /r --systemd-cgroup --rootless=true create --bundle /b --pidfd-socket /s c1",
                 "create id=c1 root=/r systemd rootless bundle=/b pidfd-socket=/s\n"},
                {"rune --rootless=false start c1", "start id=c1\n"},
                {"rune --rootless=false exec --process /f --console-socket /s --detach --pid-file /p c1",
                 "exec id=c1 process=/f detach pid-file=/p console-socket=/s\n"},
                {"rune --rootless=false kill c1 9", "kill id=c1 signal=9\n"},
                {"rune --rootless=false kill --all c1 9", "kill-all id=c1 signal=9\n"},
                {"rune --rootless=false delete --force c1", "delete-force id=c1\n"},
                {"rune --rootless=false delete c1", "delete id=c1\n"},
                {"rune --rootless=false pause c1", "pause id=c1\n"},
                {"rune --rootless=false resume c1", "resume id=c1\n"},
                {"rune --rootless=false run --bundle /b --no-pivot --preserve-fds 0 --keep c1",
                 "run-and-keep id=c1 bundle=/b no-pivot\n"},
                {"rune --rootless=false run --bundle /b --detach --no-subreaper c1",
                 "run-detached id=c1 bundle=/b\n"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
                assert_call(lines[i][0], lines[i][1]);
}

static void conmon_is_understood(void **state)
{
        static const char *const lines[][2] = {
                {"rune --rootless=false --systemd-cgroup --log-format=json create --bundle /b --pid-file /p "
                 "c1",
                 "create id=c1 systemd bundle=/b pid-file=/p\n"},
                {"rune --rootless=false --log-format=json exec --pid-file /p --process /f --detach "
                 "--console-socket /s c1",
                 "exec id=c1 process=/f detach pid-file=/p console-socket=/s\n"},
                {"rune --rootless=false kill --all c1 15", "kill-all id=c1 signal=15\n"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
                assert_call(lines[i][0], lines[i][1]);
}

static void people_are_understood(void **state)
{
        static const char *const lines[][2] = {
                {"rune --rootless 0 run -b /b c1", "run id=c1 bundle=/b\n"},
                {"rune --rootless 0 run c1", "run id=c1 bundle=.\n"},
                {"rune --rootless 0 run c1 -d", "run-detached id=c1 bundle=.\n"},
                {"rune --rootless 0 kill c1", "kill id=c1 signal=15\n"},
                {"rune --rootless 0 kill c1 SIGHUP", "kill id=c1 signal=1\n"},
                {"rune --rootless 0 kill c1 usr1", "kill id=c1 signal=10\n"},
                {"rune --rootless 0 delete -f c1", "delete-force id=c1\n"},
                {"rune --rootless 0 --cgroup-manager systemd start c1", "start id=c1 systemd\n"},
                {"rune --rootless 0 --cgroup-manager=disabled start c1", "start id=c1 no-cgroup\n"},
                {"rune --rootless 0 --root /a/../b start c1", "start id=c1 root=/b\n"},
                {"rune --rootless 0 --criu /x --root=/b start c1", "start id=c1 root=/b\n"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
                assert_call(lines[i][0], lines[i][1]);
}

static void every_option_of_exec_arrives(void **state)
{
        (void)state;
        assert_call(
                "rune --rootless 0 exec -t -u 1:2 -e A=1 -e B=2 --cwd /w --cap CAP_KILL -c CAP_CHOWN -g 5 "
                "--additional-gids 6 --apparmor p --process-label l --cgroup cpu:a --cgroup pids:b "
                "--no-new-privs "
                "--ignore-paused "
                "--pidfd-socket /s --preserve-fds 2 c1 sh -c --cwd -t",
                "exec id=c1 arg=sh arg=-c arg=--cwd arg=-t env=A=1 env=B=2 cwd=/w user=1:2 gid=5 gid=6 "
                "cap=CAP_KILL cap=CAP_CHOWN apparmor=p label=l cgroup=cpu:a cgroup=pids:b no-new-privs tty "
                "ignore-paused "
                "pidfd-socket=/s preserve-fds=2\n");
}

static void run_and_exec_end_with_the_status_of_the_process(void **state)
{
        static const char *const lines[] = {"rune run c1", "rune run --keep c1", "rune exec c1 false"};

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
                fake_engine.status = 137;
                rune(lines[i]);
                assert_int_equal(outcome.status, 137);
                assert_string_equal(outcome.err, "");
        }
}

static void failures_have_their_status_and_prefix(void **state)
{
        static const struct {
                const char *line;
                int status;
                const char *message;
        } cases[] = {
                {"rune create c1", 1, "rune create failed: it broke"},
                {"rune run c1", 1, "rune run failed: it broke"},
                {"runc run c1", 1, "runc run failed: it broke"},
                {"rune start c1", 1, "it broke"},
                {"rune exec c1 x", 255, "exec failed: it broke"},
                {"rune delete c1", 1, "it broke"},
                {"rune state c1", 1, "it broke"},
                {"rune ps c1", 1, "it broke"},
                {"rune list", 1, "it broke"},
                {"rune update --memory 1m c1", 1, "it broke"},
        };

        (void)state;
        fake_engine.result = -EIO;
        fake_engine.failure = "it broke";
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                char expected[256];

                rune(cases[i].line);
                assert_int_equal(outcome.status, cases[i].status);
                (void)snprintf(expected, sizeof(expected), " level=error msg=\"%s\"\n", cases[i].message);
                assert_non_null(strstr(outcome.err, expected));
                assert_true(strncmp(outcome.err, "time=\"20", 8) == 0);
                assert_string_equal(outcome.out, "");
        }
}

static void wrong_command_lines_make_no_call_and_end_with_2(void **state)
{
        static const char *const lines[][2] = {
                {"rune frob", "No help topic for 'frob'"},
                {"rune state", "rune: \\\"state\\\" requires exactly 1 argument(s)"},
                {"rune state a b", "usage: rune state <container-id>"},
                {"rune kill a 9 9", "requires a maximum of 2"},
                {"rune exec", "requires a minimum of 1"},
                {"rune state --nope a", "flag provided but not defined: -nope"},
                {"rune --nope state a", "flag provided but not defined: -nope"},
                {"rune create --preserve-fds x a", "--preserve-fds"},
                {"rune help frob", "No help topic for 'frob'"},
                {"rune --root", "flag needs an argument: -root"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
                rune(lines[i][0]);
                assert_int_equal(outcome.status, 2);
                assert_non_null(strstr(outcome.err, lines[i][1]));
                assert_string_equal(outcome.out, "");
        }
        assert_string_equal(buf_string(&fake_engine.calls), "");
}

static void values_that_cannot_be_make_no_call(void **state)
{
        static const char *const lines[][2] = {
                {"rune kill c1 FROB", "unknown signal"},
                {"rune exec c1", "exec args cannot be empty"},
                {"rune exec -g -1 c1 x", "--additional-gids"},
                {"rune exec -g 4294967295 c1 x", "--additional-gids"},
                {"rune create --preserve-fds -1 c1", "--preserve-fds"},
                {"rune update --memory lots c1", "invalid value for memory"},
                {"rune events --interval 0 c1", "--interval"},
                {"rune list --format yaml", "invalid format option"},
                {"rune ps --format yaml c1", "invalid format option"},
                {"rune --root / list", "Option --root argument should not be set to /"},
                {"rune --root /a/.. list", "Option --root argument should not be set to /"},
                {"rune --rootless perhaps list", "--rootless"},
                {"rune --cgroup-manager none list", "--cgroup-manager"},
                {"rune --log-format xml list", "invalid log-format"},
                {"rune --log-level loud list", "invalid log-level"},
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
                rune(lines[i][0]);
                assert_int_equal(outcome.status, strstr(lines[i][0], "exec") ? RUNE_EXEC_FAILED : RUNE_USAGE);
                assert_non_null(strstr(outcome.err, lines[i][1]));
        }
        assert_string_equal(buf_string(&fake_engine.calls), "");
}

static void a_log_that_cannot_be_opened_is_a_failure(void **state)
{
        (void)state;
        rune("rune --log /nowhere/at/all list");
        assert_int_equal(outcome.status, RUNE_FAILED);
        assert_non_null(strstr(outcome.err, "--log /nowhere/at/all: No such file or directory"));
}

static void checkpoint_and_restore_are_refused_whatever_their_options(void **state)
{
        static const char *const lines[] = {
                "rune checkpoint --image-path /i --work-path /w --tcp-established --status-fd 3 c1",
                "rune restore --detach --no-subreaper --image-path /i --bundle /b c1"};

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
                rune(lines[i]);
                assert_int_equal(outcome.status, 1);
                assert_non_null(strstr(outcome.err, "not supported"));
        }
}

static void the_log_file_gets_json_lines_and_stderr_the_bare_text(void **state)
{
        char path[] = "/tmp/test-rune-log-XXXXXX", line[128];
        int fd = mkstemp(path);
        cleanup_buf struct buf log = buf_with_max(OUTPUT_MAX);

        (void)state;
        assert_int_equal(close(fd), 0);
        fake_engine.warning = "wa\"r\\n\033ing\303\244\377";
        (void)snprintf(line, sizeof(line), "rune --log %s --log-format json state c1", path);
        rune(line);
        assert_string_equal(outcome.err, "");
        fake_engine.warning = NULL;
        fake_engine.result = -EIO;
        fake_engine.failure = "two\nlines";
        rune(line);
        assert_string_equal(outcome.err, "two\nlines\n");
        assert_int_equal(file_read(AT_FDCWD, path, OUTPUT_MAX, &log, NULL), 0);
        unlink(path);
        const char *second = strchr(buf_string(&log), '\n') + 1;
        assert_true(strncmp(buf_string(&log),
                            "{\"level\":\"warning\",\"msg\":\"wa\\\"r\\\\n\\\\x1bing\303\244\\\\xff\","
                            "\"time\":\"20",
                            60) == 0);
        assert_true(strncmp(second, "{\"level\":\"error\",\"msg\":\"two\\nlines\",\"time\":\"20", 45) == 0);
        assert_null(strchr(strchr(second, '\n') + 1, '\n'));
}

static void levels_filter(void **state)
{
        static const struct {
                const char *line;
                bool said;
        } cases[] = {{"rune state c1", true},
                     {"rune --log-level error state c1", false},
                     {"rune --log-level warning state c1", true},
                     {"rune --log-level error --debug state c1", true}};

        (void)state;
        fake_engine.warning = "careful";
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                rune(cases[i].line);
                assert_true((strstr(outcome.err, "level=warning msg=\"careful\"") != NULL) == cases[i].said);
        }
}

static void state_has_the_members_of_runc_in_its_order(void **state)
{
        (void)state;
        rune("rune state c1");
        assert_string_equal(outcome.out, "{\n"
                                         "  \"ociVersion\": \"1.0.2\",\n"
                                         "  \"id\": \"c1\",\n"
                                         "  \"pid\": 42,\n"
                                         "  \"status\": \"running\",\n"
                                         "  \"bundle\": \"/b\",\n"
                                         "  \"rootfs\": \"/b/rootfs\",\n"
                                         "  \"created\": \"2026-11-20T19:12:00.123456789Z\",\n"
                                         "  \"annotations\": {\n"
                                         "    \"org.example\": \"yes\"\n"
                                         "  },\n"
                                         "  \"owner\": \"root\"\n"
                                         "}\n");
        fake_engine.state = CONTAINER_STOPPED;
        rune("rune state c1");
        assert_non_null(strstr(outcome.out, "\"pid\": 0,\n  \"status\": \"stopped\""));
}

static void list_shows_ids_a_table_or_json(void **state)
{
        (void)state;
        fake_engine.n_containers = 2;
        rune("rune list -q");
        assert_string_equal(outcome.out, "one-0\none-1\n");
        rune("rune list");
        assert_string_equal(
                outcome.out,
                "ID          PID         STATUS      BUNDLE      CREATED                          OWNER\n"
                "one-0       42          running     /b          2026-11-20T19:12:00.123456789Z   root\n"
                "one-1       42          running     /b          2026-11-20T19:12:00.123456789Z   root\n");
        fake_engine.n_containers = 1;
        rune("rune list --format=json");
        assert_string_equal(outcome.out,
                            "[{\"ociVersion\":\"1.0.2\",\"id\":\"one-0\",\"pid\":42,\"status\":\"running\","
                            "\"bundle\":\"/b\","
                            "\"rootfs\":\"/b/rootfs\",\"created\":\"2026-11-20T19:12:00.123456789Z\","
                            "\"annotations\":{\"org.example\":\"yes\"},\"owner\":\"root\"}]\n");
}

static void a_missing_root_is_an_empty_list_unless_it_was_named(void **state)
{
        (void)state;
        fake_engine.result = -ENOENT;
        fake_engine.failure = "no folder";
        rune("rune list");
        assert_int_equal(outcome.status, 0);
        assert_string_equal(outcome.out,
                            "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n");
        rune("rune --root /nowhere list");
        assert_int_equal(outcome.status, 1);
}

static void ps_prints_sorted_ids_or_lines_of_ps(void **state)
{
        (void)state;
        rune("rune ps --format json c1");
        assert_string_equal(outcome.out, "[1,42]\n");
        rune("rune ps c1 -o pid,ppid -p 1");
        const char *line = strchr(outcome.out, '\n');
        assert_non_null(strstr(outcome.out, "PID"));
        assert_string_equal(line + 1 + strspn(line + 1, " "), "1     0\n");
        rune("rune ps c1 --nonsense");
        assert_int_equal(outcome.status, 1);
        assert_non_null(strstr(outcome.err, "ps failed: "));
}

static void events_stats_prints_one_line(void **state)
{
        (void)state;
        fake_engine.pid = getpid();
        rune("rune events --stats c1");
        assert_string_equal(outcome.out,
                            "{\"type\":\"stats\",\"id\":\"c1\",\"data\":{\"pids\":{\"current\":3},"
                            "\"intel_rdt\":{\"l3_cache_schema\":\"c1\"},\"network_interfaces\":null}}\n");
}

static void events_go_on_until_the_container_has_ended(void **state)
{
        static const char line[] = "{\"type\":\"stats\",\"id\":\"c1\",";
        pid_t child = fork();

        (void)state;
        if (child == 0) {
                usleep(200 * 1000);
                _exit(0);
        }
        fake_engine.pid = child;
        rune("rune events --interval 5ms c1");
        assert_int_equal(outcome.status, 0);
        assert_true(strncmp(outcome.out, line, strlen(line)) == 0);
        const char *second = strchr(outcome.out, '\n');
        assert_true(second && strncmp(second + 1, line, strlen(line)) == 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        fake_engine.state = CONTAINER_STOPPED;
        rune("rune events c1");
        assert_int_equal(outcome.status, 1);
        assert_non_null(strstr(outcome.err, "container with id c1 is not running"));
}

static void update_reads_resources(void **state)
{
        char path[] = "/tmp/test-rune-resources-XXXXXX", line[128];
        cleanup_fd int fd = mkstemp(path);
        static const char text[] = "{\"memory\":{\"limit\":1048576},\"pids\":{\"limit\":7}}";

        (void)state;
        assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
        (void)snprintf(line, sizeof(line), "rune --rootless 0 update --resources %s c1 --memory 5", path);
        assert_call(line, "update id=c1 memory=1048576 pids=7\n");
        cleanup_fd int old = dup(STDIN_FILENO);
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        assert_true(dup2(fd, STDIN_FILENO) == STDIN_FILENO);
        assert_call("rune --rootless 0 update --resources=- c1", "update id=c1 memory=1048576 pids=7\n");
        assert_true(dup2(old, STDIN_FILENO) == STDIN_FILENO);
        assert_call("rune --rootless 0 update c1 --memory 512k --pids-limit -1",
                    "update id=c1 memory=524288 pids=-1\n");
        assert_call("rune update --l3-cache-schema L3:0=f --pids-limit 7 c1",
                    "update rdt id=c1 l3=L3:0=f\nupdate id=c1 pids=7\n");
        assert_call("rune update --mem-bw-schema MB:0=20 c1", "update rdt id=c1 mb=MB:0=20\nupdate id=c1\n");
        unlink(path);
        rune(line);
        assert_int_equal(outcome.status, 1);
        assert_non_null(strstr(outcome.err, "No such file or directory"));
}

static void the_version_can_be_parsed(void **state)
{
        (void)state;
        rune("rune --version");
        assert_true(strncmp(outcome.out, "rune version 0.", 15) == 0);
        assert_non_null(strstr(outcome.out, "\ncommit: "));
        assert_non_null(strstr(outcome.out, "\nspec: 1.3.0\n"));
        assert_non_null(strstr(outcome.out, "\nlibseccomp: 2."));
        rune("/x/runc -v");
        assert_true(strncmp(outcome.out, "runc version 0.", 15) == 0);
}

static void help_looks_as_runc_s_does(void **state)
{
        char line[64], expected[64];

        (void)state;
        for (size_t i = 0; rune_commands[i]; i++) {
                (void)snprintf(line, sizeof(line), "rune %s -h", rune_commands[i]->name);
                (void)snprintf(expected, sizeof(expected), "NAME:\n   rune %s - ", rune_commands[i]->name);
                rune(line);
                assert_int_equal(outcome.status, 0);
                assert_true(strncmp(outcome.out, expected, strlen(expected)) == 0);
        }
        rune("rune");
        assert_int_equal(outcome.status, 0);
        assert_true(strncmp(outcome.out, "NAME:\n   rune - Open Container Initiative runtime\n", 45) == 0);
        rune("rune help exec");
        assert_true(strncmp(outcome.out, "NAME:\n   rune exec - ", 20) == 0);
}

static void output_that_cannot_be_written_is_a_failure(void **state)
{
        cleanup_fd int full = open("/dev/full", O_WRONLY | O_CLOEXEC), old = dup(STDOUT_FILENO);
        char name[] = "rune", command[] = "state", id[] = "c1";
        char *words[] = {name, command, id, NULL};

        (void)state;
        assert_true(dup2(full, STDOUT_FILENO) == STDOUT_FILENO);
        int status = program_run(words);
        assert_true(dup2(old, STDOUT_FILENO) == STDOUT_FILENO);
        assert_int_equal(status, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(containerd_and_docker_are_understood, setup),
                cmocka_unit_test_setup(conmon_is_understood, setup),
                cmocka_unit_test_setup(people_are_understood, setup),
                cmocka_unit_test_setup(every_option_of_exec_arrives, setup),
                cmocka_unit_test_setup(run_and_exec_end_with_the_status_of_the_process, setup),
                cmocka_unit_test_setup(failures_have_their_status_and_prefix, setup),
                cmocka_unit_test_setup(wrong_command_lines_make_no_call_and_end_with_2, setup),
                cmocka_unit_test_setup(values_that_cannot_be_make_no_call, setup),
                cmocka_unit_test_setup(a_log_that_cannot_be_opened_is_a_failure, setup),
                cmocka_unit_test_setup(checkpoint_and_restore_are_refused_whatever_their_options, setup),
                cmocka_unit_test_setup(the_log_file_gets_json_lines_and_stderr_the_bare_text, setup),
                cmocka_unit_test_setup(levels_filter, setup),
                cmocka_unit_test_setup(state_has_the_members_of_runc_in_its_order, setup),
                cmocka_unit_test_setup(list_shows_ids_a_table_or_json, setup),
                cmocka_unit_test_setup(a_missing_root_is_an_empty_list_unless_it_was_named, setup),
                cmocka_unit_test_setup(ps_prints_sorted_ids_or_lines_of_ps, setup),
                cmocka_unit_test_setup(events_stats_prints_one_line, setup),
                cmocka_unit_test_setup(events_go_on_until_the_container_has_ended, setup),
                cmocka_unit_test_setup(update_reads_resources, setup),
                cmocka_unit_test_setup(the_version_can_be_parsed, setup),
                cmocka_unit_test_setup(help_looks_as_runc_s_does, setup),
                cmocka_unit_test_setup(output_that_cannot_be_written_is_a_failure, setup),
        };
        int failed = cmocka_run_group_tests(tests, NULL, NULL);

        fake_engine_reset();
        return failed;
}
