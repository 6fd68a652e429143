/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-pool.c - shares of a pool, each held by a process of its own, as supervisors do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/enclave/pool.h"

#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "lib/base/path.h"
#include "lib/base/text.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STRANGER = 54321, HOLDERS_MAX = 16, MANY_LOCKS = 6000, SMALL_STACK = 256 * 1024 };

/* A folder with a configuration. */
static char folder[] = "/tmp/test-pool-XXXXXX";

/* Changes it; what is held stays held. */
static void configure_anew(const char *text)
{
        cleanup_free char *path = string_printf("%s/" LIMITS_FILE, folder);

        assert_int_equal(file_write_atomic(AT_FDCWD, path, view_of_string(text), 0644, NULL), 0);
}

static void configure(const char *text)
{
        assert_int_equal(path_remove_tree(AT_FDCWD, folder, NULL), 0);
        assert_int_equal(mkdir(folder, 0755), 0);
        configure_anew(text);
}

static int set_up(void **state)
{
        (void)state;
        return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
        (void)state;
        return path_remove_tree(AT_FDCWD, folder, NULL);
}

/* What a process got, and how it is told to end. */
struct holder {
        pid_t pid;
        int fd; /* to it */
        int result;
        struct pool_share share;
        char text[ERROR_TEXT_MAX];
};

struct answer {
        int result;
        struct pool_share share;
        char text[ERROR_TEXT_MAX];
};

static void run_holder(int fd, unsigned mem_mib, unsigned cpus)
{
        struct answer answer = {0};
        struct error err = {0};
        char byte;

        (void)fd_read_full(fd, &byte, 1); /* all of them begin together */
        answer.result = pool_take(folder, mem_mib, cpus, &answer.share, &err);
        snprintf(answer.text, sizeof(answer.text), "%s", error_text(&err));
        (void)fd_write_full(fd, &answer, sizeof(answer));
        (void)fd_read_full(fd, &byte, 1);
        _exit(0);
}

static struct holder begin(uid_t user, unsigned mem_mib, unsigned cpus)
{
        struct holder holder = {0};
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        holder.pid = fork();
        assert_true(holder.pid >= 0);
        if (holder.pid == 0) {
                close(pair[0]);
                if (user != geteuid() && setresuid(user, user, user) < 0)
                        _exit(1);
                run_holder(pair[1], mem_mib, cpus);
        }
        close(pair[1]);
        holder.fd = pair[0];
        return holder;
}

static void await(struct holder *holder)
{
        struct answer answer;

        assert_int_equal(fd_read_full(holder->fd, &answer, sizeof(answer)), 0);
        holder->result = answer.result;
        holder->share = answer.share;
        memcpy(holder->text, answer.text, sizeof(holder->text));
}

static struct holder hold_as(uid_t user, unsigned mem_mib, unsigned cpus)
{
        struct holder holder = begin(user, mem_mib, cpus);

        assert_int_equal(fd_write_full(holder.fd, "b", 1), 0);
        await(&holder);
        return holder;
}

static struct holder hold(unsigned mem_mib, unsigned cpus)
{
        return hold_as(geteuid(), mem_mib, cpus);
}

static void end_by_kill_9(struct holder *holder)
{
        assert_int_equal(kill(holder->pid, SIGKILL), 0);
        assert_int_equal(waitpid(holder->pid, NULL, 0), holder->pid);
        fd_close_p(&holder->fd);
}

static void expect_refusal(struct holder *holder, const char *words)
{
        assert_int_equal(holder->result, -EDQUOT);
        if (!strstr(holder->text, words))
                fail_msg("\"%s\" does not say \"%s\"", holder->text, words);
        end_by_kill_9(holder);
}

/* ---- tests ---- */

static void share_is_given_back_by_kill_9(void **state)
{
        (void)state;
        configure("memory_mib = 1000\n");
        struct holder first = hold(600, 1);
        assert_int_equal(first.result, 0);
        struct holder second = hold(500, 1);
        expect_refusal(&second,
                       "gives 1000 MiB (memory_mib): 500 MiB wanted and 400 MiB left; in use: 600 MiB by");
        end_by_kill_9(&first);
        struct holder third = hold(1000, 1);
        assert_int_equal(third.result, 0);
        end_by_kill_9(&third);
}

static void refusal_names_who_has_it_and_the_way_out(void **state)
{
        (void)state;
        configure("max_enclaves = 1\n");
        struct holder first = hold(1, 1);
        struct holder second = hold(1, 1);
        cleanup_free char *who =
                string_printf("%s/enclave.conf gives 1 (max_enclaves): 1 wanted and 0 left; in "
                              "use: 1 by process %d of user %u; stop an enclave",
                              folder, (int)first.pid, geteuid());
        expect_refusal(&second, who);
        end_by_kill_9(&first);
}

static void last_of_the_pool_goes_to_one_of_many_at_once(void **state)
{
        struct holder holders[HOLDERS_MAX];
        int taken = 0;

        (void)state;
        configure("memory_mib = 1000\ncpus = 3\n");
        struct holder first = hold(300, 1);
        for (size_t i = 0; i < HOLDERS_MAX; i++)
                holders[i] = begin(geteuid(), 400, 1);
        for (size_t i = 0; i < HOLDERS_MAX; i++)
                assert_int_equal(fd_write_full(holders[i].fd, "b", 1), 0);
        for (size_t i = 0; i < HOLDERS_MAX; i++) {
                await(&holders[i]);
                taken += holders[i].result == 0;
                assert_true(holders[i].result == 0 || holders[i].result == -EDQUOT);
        }
        assert_int_equal(taken, 1);
        for (size_t i = 0; i < HOLDERS_MAX; i++)
                end_by_kill_9(&holders[i]);
        end_by_kill_9(&first);
}

static void memory_in_pieces_is_as_good(void **state)
{
        struct holder holders[4];

        (void)state;
        configure("memory_mib = 400\n");
        for (size_t i = 0; i < 4; i++)
                holders[i] = hold(100, 1);
        end_by_kill_9(&holders[0]);
        end_by_kill_9(&holders[2]);
        struct holder wide = hold(200, 1);
        assert_int_equal(wide.result, 0);
        struct holder more = hold(1, 1);
        expect_refusal(&more, "200 MiB by process");
        end_by_kill_9(&wide);
        end_by_kill_9(&holders[1]);
        end_by_kill_9(&holders[3]);
}

/* The one who came last has the lowest part. */
static void what_the_last_comer_has_is_given_to_nobody_else(void **state)
{
        struct holder holders[3];

        (void)state;
        configure("memory_mib = 400\n");
        for (size_t i = 0; i < 3; i++)
                holders[i] = hold(100, 1);
        end_by_kill_9(&holders[0]);
        holders[0] = hold(100, 1);
        struct holder rest = hold(100, 1);
        assert_int_equal(rest.result, 0);
        struct holder more = hold(1, 1);
        expect_refusal(&more, "1 MiB wanted and 0 MiB left");
        end_by_kill_9(&rest);
        for (size_t i = 0; i < 3; i++)
                end_by_kill_9(&holders[i]);
}

static void listed_cpus_go_to_one_enclave_each(void **state)
{
        cpu_set_t both;

        (void)state;
        configure("cpu_list = 3,5-6\n");
        struct holder first = hold(1, 2), second = hold(1, 1), third = hold(1, 1);
        assert_true(first.share.pinned && second.share.pinned);
        assert_int_equal(CPU_COUNT(&first.share.cpus), 2);
        CPU_AND(&both, &first.share.cpus, &second.share.cpus);
        assert_int_equal(CPU_COUNT(&both), 0);
        CPU_OR(&both, &first.share.cpus, &second.share.cpus);
        assert_true(CPU_ISSET(3, &both) && CPU_ISSET(5, &both) && CPU_ISSET(6, &both));
        expect_refusal(&third, "gives 3 (cpu_list): 1 wanted and 0 left; in use: 2 CPUs by process");
        end_by_kill_9(&first);
        struct holder fourth = hold(1, 2);
        assert_int_equal(fourth.result, 0);
        assert_true(CPU_EQUAL(&fourth.share.cpus, &first.share.cpus));
        end_by_kill_9(&second);
        end_by_kill_9(&fourth);
}

static void what_runs_counts_against_a_new_configuration(void **state)
{
        (void)state;
        configure("# no limit yet\n");
        struct holder first = hold(4000, 2);
        configure_anew("memory_mib = 4100\ncpu_list=0-3\n");
        struct holder second = hold(101, 1);
        expect_refusal(&second, "100 MiB left");
        struct holder third = hold(100, 3);
        expect_refusal(&third, "3 wanted and 2 left");
        end_by_kill_9(&first);
}

static void each_user_has_a_limit_of_his_own(void **state)
{
        (void)state;
        if (geteuid() != 0)
                skip();
        configure("user_memory_mib = 100\n");
        struct holder first = hold_as(STRANGER, 60, 1), second = hold_as(STRANGER, 60, 1);
        struct holder other = hold_as(STRANGER + 1, 100, 1), root = hold(5000, 1);
        assert_int_equal(first.result, 0);
        assert_int_equal(other.result, 0);
        assert_int_equal(root.result, 0);
        cleanup_free char *who =
                string_printf("gives 100 MiB to each user (user_memory_mib): 60 MiB wanted and 40 "
                              "MiB left; in use: 60 MiB by process %d of user %d; ask for less",
                              (int)first.pid, STRANGER);
        expect_refusal(&second, who);
        end_by_kill_9(&first);
        end_by_kill_9(&other);
        end_by_kill_9(&root);
}

static void each_user_has_so_many_cpus_and_enclaves(void **state)
{
        (void)state;
        if (geteuid() != 0)
                skip();
        configure("user_cpus = 3\nuser_max_enclaves = 2\n");
        struct holder first = hold_as(STRANGER, 1, 2), second = hold_as(STRANGER, 1, 2);
        assert_int_equal(first.result, 0);
        expect_refusal(&second, "gives 3 to each user (user_cpus): 2 wanted and 1 left");
        second = hold_as(STRANGER, 1, 1);
        assert_int_equal(second.result, 0);
        struct holder third = hold_as(STRANGER, 1, 0);
        expect_refusal(&third, "gives 2 to each user (user_max_enclaves): 1 wanted and 0 left");
        end_by_kill_9(&first);
        end_by_kill_9(&second);
}

/* As whom a process acts counts, not who began it. */
static void user_is_the_effective_one(void **state)
{
        struct holder holders[2];

        (void)state;
        if (geteuid() != 0)
                skip();
        configure("user_memory_mib = 100\n");
        for (size_t i = 0; i < 2; i++) {
                assert_int_equal(seteuid(STRANGER), 0);
                holders[i] = hold_as(STRANGER, 60, 1);
                assert_int_equal(seteuid(0), 0);
        }
        assert_int_equal(holders[0].result, 0);
        expect_refusal(&holders[1], "60 MiB wanted and 40 MiB left");
        end_by_kill_9(&holders[0]);
}

static void configuration_that_is_not_understood_lets_nothing_start(void **state)
{
        (void)state;
        configure("memory = 100\n");
        struct holder holder = hold(1, 1);
        assert_int_equal(holder.result, -EBADMSG);
        assert_non_null(strstr(holder.text, "/enclave.conf: line 1: there is no setting 'memory'"));
        end_by_kill_9(&holder);
}

static void without_the_folder_there_is_no_pool(void **state)
{
        struct pool_share share;

        (void)state;
        assert_int_equal(pool_take("/nonexistent", 1, 1, &share, NULL), 0);
        assert_int_equal(share.fd, -1);
        assert_false(share.pinned);
}

static void pool_that_somebody_keeps_is_waited_for_and_told(void **state)
{
        (void)state;
        configure("memory_mib = 100\n");
        cleanup_fd int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(flock(fd, LOCK_EX), 0);
        struct holder waits = begin(geteuid(), 1, 1);
        assert_int_equal(fd_write_full(waits.fd, "b", 1), 0);
        struct holder gives_up = hold(1, 1);
        assert_int_equal(gives_up.result, -ETIMEDOUT);
        assert_non_null(strstr(gives_up.text, "some process keeps it locked; /proc/locks names it"));
        end_by_kill_9(&gives_up);
        end_by_kill_9(&waits);
}

static void pool_without_limits_lets_start_who_keeps_it_or_not(void **state)
{
        (void)state;
        configure("# none yet\n");
        cleanup_fd int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(flock(fd, LOCK_EX), 0);
        struct holder counted = hold(60, 1);
        assert_int_equal(counted.result, 0);
        assert_int_equal(flock(fd, LOCK_UN), 0);
        configure_anew("memory_mib = 100\n");
        struct holder refused = hold(60, 1);
        expect_refusal(&refused, "40 MiB left");
        end_by_kill_9(&counted);
}

/* As run_holder(), but takes what any process can that may read the folder: `n` pieces of `size` bytes, the
 * last of them first.  Each is a lock of its own to the kernel, for each has another open folder. */
static void run_stranger(int fd, size_t n, off_t size)
{
        char byte;

        for (size_t i = n; i > 0; i--) {
                struct flock lock = {.l_type = F_RDLCK,
                                     .l_whence = SEEK_SET,
                                     .l_start = (off_t)(2 * (i - 1)) * size,
                                     .l_len = size};
                if (fcntl(open(folder, O_RDONLY | O_DIRECTORY), F_OFD_SETLK, &lock) < 0)
                        _exit(1);
        }
        (void)fd_write_full(fd, "r", 1);
        (void)fd_read_full(fd, &byte, 1);
        _exit(0);
}

static struct holder lock_as_a_stranger(size_t n, off_t size)
{
        struct holder holder = {0};
        int pair[2];
        char byte;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        holder.pid = fork();
        assert_true(holder.pid >= 0);
        if (holder.pid == 0) {
                close(pair[0]);
                run_stranger(pair[1], n, size);
        }
        close(pair[1]);
        holder.fd = pair[0];
        assert_int_equal(fd_read_full(holder.fd, &byte, 1), 0);
        return holder;
}

/* As many descriptors as `MANY_LOCKS` takes, or the test is skipped. */
static void need_descriptors(void)
{
        struct rlimit limit;

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        limit.rlim_cur = limit.rlim_max;
        if (limit.rlim_max < MANY_LOCKS + 100 || setrlimit(RLIMIT_NOFILE, &limit) < 0)
                skip();
}

static void locks_of_strangers_refuse_nobody_where_nothing_is_limited(void **state)
{
        (void)state;
        configure("# no limit\n");
        struct holder all = lock_as_a_stranger(1, INT64_C(1) << 32);
        struct holder first = hold(100, 1);
        assert_int_equal(first.result, 0);
        end_by_kill_9(&all);
        end_by_kill_9(&first);
        need_descriptors();
        struct holder many = lock_as_a_stranger(MANY_LOCKS, 1);
        struct holder second = hold(100, 1);
        assert_int_equal(second.result, 0);
        end_by_kill_9(&many);
        end_by_kill_9(&second);
}

static void lock_on_everything_counts_as_each_region(void **state)
{
        (void)state;
        configure("cpus = 4\n");
        struct holder all = lock_as_a_stranger(1, 0 /* to the end */);
        struct holder holder = hold(1, 1);
        expect_refusal(&holder, "1 wanted and 0 left; in use: 65536 CPUs by process 0 of user 0");
        end_by_kill_9(&all);
}

static void strangers_do_not_choose_how_deep_the_stack_gets(void **state)
{
        struct rlimit stack;

        (void)state;
        need_descriptors();
        configure("memory_mib = 100\n");
        struct holder many = lock_as_a_stranger(MANY_LOCKS, 1);
        assert_int_equal(getrlimit(RLIMIT_STACK, &stack), 0);
        const struct rlimit small = {.rlim_cur = SMALL_STACK, .rlim_max = stack.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_STACK, &small), 0);
        struct holder holder = hold(1, 1);
        assert_int_equal(setrlimit(RLIMIT_STACK, &stack), 0);
        assert_int_equal(holder.result, -E2BIG);
        assert_non_null(strstr(holder.text, "/proc/locks names the processes"));
        end_by_kill_9(&holder);
        end_by_kill_9(&many);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(share_is_given_back_by_kill_9),
                cmocka_unit_test(refusal_names_who_has_it_and_the_way_out),
                cmocka_unit_test(last_of_the_pool_goes_to_one_of_many_at_once),
                cmocka_unit_test(memory_in_pieces_is_as_good),
                cmocka_unit_test(what_the_last_comer_has_is_given_to_nobody_else),
                cmocka_unit_test(listed_cpus_go_to_one_enclave_each),
                cmocka_unit_test(what_runs_counts_against_a_new_configuration),
                cmocka_unit_test(each_user_has_a_limit_of_his_own),
                cmocka_unit_test(each_user_has_so_many_cpus_and_enclaves),
                cmocka_unit_test(user_is_the_effective_one),
                cmocka_unit_test(configuration_that_is_not_understood_lets_nothing_start),
                cmocka_unit_test(without_the_folder_there_is_no_pool),
                cmocka_unit_test(pool_that_somebody_keeps_is_waited_for_and_told),
                cmocka_unit_test(pool_without_limits_lets_start_who_keeps_it_or_not),
                cmocka_unit_test(locks_of_strangers_refuse_nobody_where_nothing_is_limited),
                cmocka_unit_test(lock_on_everything_counts_as_each_region),
                cmocka_unit_test(strangers_do_not_choose_how_deep_the_stack_gets),
        };

        return cmocka_run_group_tests_name("pool", tests, set_up, tear_down);
}
