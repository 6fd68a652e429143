/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/container/process.h"
#include "lib/container/state.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char root[] = "/tmp/test-state.XXXXXX";

static int make_root(void **state)
{
        (void)state;
        (void)stpcpy(root + sizeof(root) - 7, "XXXXXX");
        return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
        (void)state;
        return path_remove_tree(AT_FDCWD, root, NULL);
}

static struct container_state example(void)
{
        struct container_state state = {
                .id = strdup("c"),
                .version = strdup("1.2.0"),
                .bundle = strdup("/b \"\\\n"),
                .rootfs = strdup("/r"),
                .owner = strdup("root"),
                .pid = getpid(),
                .shared_pids = true,
                .poststop = true,
                .created = "2026-11-20T16:08:42.000000001Z",
                .annotations = json_pack("{ss}", "key", "value"),
        };

        assert_int_equal(process_start_time(getpid(), &state.start_time), 0);
        return state;
}

static void ids_are_plain_names(void **state)
{
        (void)state;
        static const char *const good[] = {"a", "0", "_", "+x", "-", "a.b", "A-z_0+9."};
        static const char *const bad[] = {"", ".", "..", ".a", "a/b", "a b", "\303\244", "a\n"};
        char longest[1026];

        for (size_t i = 0; i < ARRAY_SIZE(good); i++)
                assert_true(container_id_valid(good[i]));
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
                assert_false(container_id_valid(bad[i]));
        memset(longest, 'a', 1025);
        longest[1025] = '\0';
        assert_false(container_id_valid(longest));
        longest[1024] = '\0';
        assert_true(container_id_valid(longest));
}

static void an_id_is_reserved_once_and_locked(void **state)
{
        (void)state;
        cleanup_fd int folder = -1, second = -1;
        struct error err = {0};

        assert_int_equal(state_reserve(root, "c", &folder, NULL), 0);
        assert_int_equal(state_reserve(root, "c", &second, &err), -EEXIST);
        assert_non_null(strstr(error_text(&err), "already exists"));
        assert_int_equal(state_open(root, "c", &second, NULL), 0);
        assert_int_equal(flock(second, LOCK_EX | LOCK_NB), -1);
        fd_close_p(&folder);
        assert_int_equal(flock(second, LOCK_EX | LOCK_NB), 0);
}

static void the_root_is_made_with_its_parents_and_kept_from_others(void **state)
{
        (void)state;
        cleanup_fd int folder = -1;
        char path[64];
        struct stat st;

        (void)snprintf(path, sizeof(path), "%s/a/b", root);
        assert_int_equal(state_reserve(path, "c", &folder, NULL), 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
}

/* Whatever the caller's umask leaves open. */
static void others_may_pass_through_a_containers_folder_and_no_more(void **state)
{
        (void)state;
        cleanup_fd int folder = -1;
        cleanup_container_state struct container_state written = example();
        struct stat st;
        mode_t before = umask(0);

        assert_int_equal(state_reserve(root, "c", &folder, NULL), 0);
        assert_int_equal(state_write(folder, &written, NULL), 0);
        umask(before);
        assert_int_equal(fstat(folder, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0711);
        assert_int_equal(fstatat(folder, STATE_FILE, &st, 0), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
}

static void names_lead_nowhere_but_into_the_root(void **state)
{
        (void)state;
        cleanup_fd int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        char below[64];
        int fd;

        assert_int_equal(mkdirat(root_fd, "below", 0700), 0);
        assert_int_equal(mkdirat(root_fd, "other", 0700), 0);
        assert_int_equal(symlinkat("../other", root_fd, "below/link"), 0);
        (void)snprintf(below, sizeof(below), "%s/below", root);
        assert_int_equal(state_open(below, "../other", &fd, NULL), -EINVAL);
        assert_int_equal(state_remove(below, "../other", NULL), -EINVAL);
        assert_int_equal(state_reserve(below, "../new", &fd, NULL), -EINVAL);
        assert_int_equal(state_open(below, "link", &fd, NULL), -ENOTDIR);
        assert_int_equal(faccessat(root_fd, "other", F_OK, 0), 0);
        assert_int_equal(faccessat(root_fd, "new", F_OK, 0), -1);
}

static void a_lock_on_a_folder_that_was_removed_is_refused(void **state)
{
        (void)state;
        cleanup_fd int folder = -1, waiting = -1;

        assert_int_equal(state_reserve(root, "c", &folder, NULL), 0);
        assert_int_equal(state_open(root, "c", &waiting, NULL), 0);
        assert_int_equal(state_remove(root, "c", NULL), 0);
        fd_close_p(&folder);
        assert_int_equal(state_lock(waiting, NULL), -ENOENT);
}

static void what_is_written_is_read(void **state)
{
        (void)state;
        cleanup_fd int folder = -1;
        cleanup_container_state struct container_state written = example(), read = {0};

        assert_int_equal(state_reserve(root, "c", &folder, NULL), 0);
        assert_int_equal(state_read(folder, &read, NULL), -ENOENT);
        assert_int_equal(state_write(folder, &written, NULL), 0);
        assert_int_equal(state_read(folder, &read, NULL), 0);
        assert_string_equal(read.id, "c");
        assert_string_equal(read.bundle, written.bundle);
        assert_string_equal(read.created, written.created);
        assert_int_equal(read.pid, written.pid);
        assert_int_equal(read.start_time, written.start_time);
        assert_true(read.shared_pids);
        assert_false(read.poststart);
        assert_true(read.poststop);
        assert_true(json_equal(read.annotations, written.annotations));
        assert_null(read.cgroup);
}

/* Who reads has the one or the other, and never half of one. */
static void a_state_that_is_being_read_stays_whole(void **state)
{
        (void)state;
        cleanup_fd int folder = -1, reading = -1;
        cleanup_container_state struct container_state c = example();
        char before[1024] = "", after[1024] = "";

        assert_int_equal(state_reserve(root, "c", &folder, NULL), 0);
        assert_int_equal(state_write(folder, &c, NULL), 0);
        reading = openat(folder, STATE_FILE, O_RDONLY | O_CLOEXEC);
        assert_true(pread(reading, before, sizeof(before) - 1, 0) > 0);
        c.created[0] = '3';
        assert_int_equal(state_write(folder, &c, NULL), 0);
        assert_true(pread(reading, after, sizeof(after) - 1, 0) > 0);
        assert_string_equal(before, after);
        assert_int_equal(faccessat(folder, STATE_FILE ".new", F_OK, 0), -1);
}

static void put_state(int folder, const char *text)
{
        cleanup_fd int fd = openat(folder, STATE_FILE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
}

static void damaged_states_are_told_apart_from_missing_ones(void **state)
{
        (void)state;
#define STATE(created, more)                                                                                 \
        "{\"id\":\"c\",\"ociVersion\":\"1\",\"bundle\":\"/\",\"created\":\"" created "\"," more "}"
#define DIGITS_47 "01234567890123456789012345678901234567890123456"
        static const char *const bad[] = {"",
                                          "{",
                                          "[]",
                                          "{\"id\": 3}",
                                          STATE("x", "\"pid\":-1"),
                                          STATE("x", "\"pid\":4294967297"), /* 2^32 + 1 is not PID 1 */
                                          STATE("x", "\"pid\":1,\"startTime\":-1"),
                                          STATE(DIGITS_47 "7", "\"pid\":1")};
        static const char good[] = STATE(DIGITS_47, "\"pid\":1,\"startTime\":0");
        cleanup_container_state struct container_state read = {0};
        cleanup_fd int folder = -1;

        assert_int_equal(state_reserve(root, "c", &folder, NULL), 0);
        for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
                put_state(folder, bad[i]);
                assert_int_equal(state_read(folder, &read, NULL), -EBADMSG);
        }
        put_state(folder, good);
        assert_int_equal(state_read(folder, &read, NULL), 0);
}

static void ids_of_folders_are_listed_sorted_without_hidden_ones(void **state)
{
        (void)state;
        static const char *const made[] = {"b", "a", ".seccomp", "c"};
        char **ids;

        for (size_t i = 0; i < ARRAY_SIZE(made); i++) {
                char path[64];
                (void)snprintf(path, sizeof(path), "%s/%s", root, made[i]);
                assert_int_equal(mkdir(path, 0700), 0);
        }
        cleanup_fd int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        cleanup_fd int file = openat(root_fd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(file >= 0);
        assert_int_equal(symlinkat("a", root_fd, "link"), 0);
        assert_int_equal(state_ids(root, &ids, NULL), 0);
        assert_string_equal(ids[0], "a");
        assert_string_equal(ids[1], "b");
        assert_string_equal(ids[2], "c");
        assert_null(ids[3]);
        for (char **id = ids; *id; id++)
                free(*id);
        free(ids);
        assert_int_equal(state_ids("/no/such/root", &ids, NULL), 0);
        assert_null(ids[0]);
        free(ids);
}

static enum container_status status_of(int folder, const struct container_state *state)
{
        enum container_status status;

        assert_int_equal(state_status(folder, state, &status, NULL), 0);
        return status;
}

static void the_status_is_the_kernels(void **state)
{
        (void)state;
        cleanup_fd int folder = -1;
        cleanup_container_state struct container_state c = example();

        assert_int_equal(state_reserve(root, "c", &folder, NULL), 0);
        assert_int_equal(status_of(folder, &c), CONTAINER_RUNNING);
        assert_int_equal(mkfifoat(folder, STATE_FIFO_UNMADE, 0600), 0);
        assert_int_equal(status_of(folder, &c), CONTAINER_CREATING);
        /* We are no container-init: a fifo that is left doesn't make us one that waits. */
        assert_int_equal(renameat(folder, STATE_FIFO_UNMADE, folder, STATE_FIFO), 0);
        assert_int_equal(status_of(folder, &c), CONTAINER_RUNNING);
        c.start_time++;
        assert_int_equal(status_of(folder, &c), CONTAINER_STOPPED);
        c.start_time -= 2;
        assert_int_equal(status_of(folder, &c), CONTAINER_STOPPED);
}

static void a_stopped_container_has_no_pid_in_its_state(void **state)
{
        (void)state;
        cleanup_container_state struct container_state c = example();
        json_t *running = state_to_oci(&c, CONTAINER_RUNNING), *stopped = state_to_oci(&c, CONTAINER_STOPPED);

        assert_int_equal(json_integer_value(json_object_get(running, "pid")), getpid());
        assert_string_equal(json_string_value(json_object_get(running, "status")), "running");
        assert_int_equal(json_integer_value(json_object_get(stopped, "pid")), 0);
        json_decref(running);
        json_decref(stopped);
}

/* ---- processes ----------------------------------------------------------------------------------------- */

static void a_process_that_is_not_reaped_yet_has_ended(void **state)
{
        (void)state;
        uint64_t start_time;
        pid_t pid = fork();

        if (pid == 0) {
                (void)pause();
                _exit(0);
        }
        assert_int_equal(process_start_time(pid, &start_time), 0);
        assert_true(process_is(pid, start_time));
        assert_int_equal(process_signal(pid, start_time + 1, SIGKILL), -ESRCH);
        assert_int_equal(process_wait_end(pid, start_time, 10), -ETIME);
        assert_int_equal(process_signal(pid, start_time, SIGKILL), 0);
        assert_int_equal(process_wait_end(pid, start_time, 10000), 0);
        assert_false(process_is(pid, start_time));
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_int_equal(process_start_time(pid, &start_time), -ESRCH);
}

/* The name is the process's own choice, and so a container's. */
static void a_process_is_known_whatever_it_calls_itself(void **state)
{
        static const char *const names[] = {"a) Z 1 1 1", ") X", "((", ") ", "))) Z 0"};
        char name[16];
        uint64_t before, now;

        (void)state;
        assert_int_equal(prctl(PR_GET_NAME, name), 0);
        assert_int_equal(process_start_time(getpid(), &before), 0);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                assert_int_equal(prctl(PR_SET_NAME, names[i]), 0);
                assert_int_equal(process_start_time(getpid(), &now), 0);
                assert_int_equal(now, before);
                assert_true(process_is(getpid(), before));
        }
        assert_int_equal(prctl(PR_SET_NAME, name), 0);
}

static void no_process_has_a_number_below_one(void **state)
{
        (void)state;
        int fd;

        assert_int_equal(process_signal(0, 0, SIGKILL), -ESRCH);
        assert_int_equal(process_signal(-1, 0, SIGKILL), -ESRCH);
        assert_int_equal(process_open(0, 0, &fd), -ESRCH);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(ids_are_plain_names),
                cmocka_unit_test_setup_teardown(an_id_is_reserved_once_and_locked, make_root, remove_root),
                cmocka_unit_test_setup_teardown(the_root_is_made_with_its_parents_and_kept_from_others,
                                                make_root, remove_root),
                cmocka_unit_test_setup_teardown(others_may_pass_through_a_containers_folder_and_no_more,
                                                make_root, remove_root),
                cmocka_unit_test_setup_teardown(names_lead_nowhere_but_into_the_root, make_root, remove_root),
                cmocka_unit_test_setup_teardown(a_lock_on_a_folder_that_was_removed_is_refused, make_root,
                                                remove_root),
                cmocka_unit_test_setup_teardown(what_is_written_is_read, make_root, remove_root),
                cmocka_unit_test_setup_teardown(a_state_that_is_being_read_stays_whole, make_root,
                                                remove_root),
                cmocka_unit_test_setup_teardown(damaged_states_are_told_apart_from_missing_ones, make_root,
                                                remove_root),
                cmocka_unit_test_setup_teardown(ids_of_folders_are_listed_sorted_without_hidden_ones,
                                                make_root, remove_root),
                cmocka_unit_test_setup_teardown(the_status_is_the_kernels, make_root, remove_root),
                cmocka_unit_test(a_stopped_container_has_no_pid_in_its_state),
                cmocka_unit_test(a_process_that_is_not_reaped_yet_has_ended),
                cmocka_unit_test(a_process_is_known_whatever_it_calls_itself),
                cmocka_unit_test(no_process_has_a_number_below_one),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
