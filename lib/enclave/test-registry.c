/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/enclave/control.h"
#include "lib/enclave/registry.h"

#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "lib/base/path.h"
#include "lib/base/text.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* A registry in a temporary folder. */
struct fixture {
        char folder[64];
        char *path;
        struct enclaves *enclaves;
};

static int set_up(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));

        snprintf(f->folder, sizeof(f->folder), "/tmp/test-registry-XXXXXX");
        assert_non_null(mkdtemp(f->folder));
        f->path = string_printf("%s/state", f->folder);
        assert_int_equal(enclaves_open(f->path, &f->enclaves, NULL), 0);
        *state = f;
        return 0;
}

static int tear_down(void **state)
{
        struct fixture *f = *state;

        enclaves_free(f->enclaves);
        path_remove_tree(AT_FDCWD, f->folder, NULL);
        free(f->path);
        free(f);
        return 0;
}

static struct enclave_info sample(void)
{
        return (struct enclave_info){
                .pid = 1,
                .cpus = 1,
                .mem_mib = 128,
                .state = ENCLAVE_RUNNING,
                .exit_status = ENCLAVE_EXIT_UNKNOWN,
                .started_at = "2026-11-20T16:08:21Z",
        };
}

static struct registry_entry reserve(struct fixture *f, uint32_t expected_id, uint32_t expected_cid)
{
        struct registry_entry entry = REGISTRY_ENTRY_NONE;
        struct enclave_info info = sample();
        struct error err = {0};

        if (registry_reserve(f->enclaves, &info, true, NULL, NULL, &entry, &err) < 0)
                fail_msg("%s", error_text(&err));
        assert_int_equal(info.id, expected_id);
        assert_int_equal(info.cid, expected_cid);
        return entry;
}

static size_t count_live(struct fixture *f)
{
        cleanup_free struct enclave_info *infos = NULL;
        size_t n = 99;

        assert_int_equal(enclave_list(f->enclaves, &infos, &n, NULL), 0);
        for (size_t i = 1; i < n; i++)
                assert_true(infos[i - 1].id < infos[i].id);
        return n;
}

static int status_of(pid_t pid)
{
        int status = -1;

        assert_int_equal(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_ids_and_cids_are_the_lowest_free_ones(void **state)
{
        struct fixture *f = *state;
        struct registry_entry zero = reserve(f, 0, 4), one = reserve(f, 1, 5), two = reserve(f, 2, 6);

        assert_int_equal(count_live(f), 3);
        assert_int_equal(registry_retire(f->enclaves, 1, NULL, view_of(NULL, 0), NULL), 0);
        registry_entry_done(&one);
        one = reserve(f, 1, 5);
        registry_entry_done(&zero);
        registry_entry_done(&one);
        registry_entry_done(&two);
        assert_int_equal(count_live(f), 0);
}

static void test_cid_that_is_taken_is_refused_with_one_that_is_free(void **state)
{
        struct fixture *f = *state;
        struct registry_entry entry = reserve(f, 0, 4), none = REGISTRY_ENTRY_NONE;
        struct enclave_info info = sample();
        struct error err = {0};

        info.cid = 4;
        assert_int_equal(registry_reserve(f->enclaves, &info, true, NULL, NULL, &none, &err), -EADDRINUSE);
        assert_non_null(strstr(error_text(&err), "CID 4 is in use by enclave 0; 5 is free"));
        registry_entry_done(&entry);
}

/* Says that CIDs below 10 belong to others. */
static int claim_from_10(uint32_t cid, void *user, struct error *err)
{
        (*(int *)user)++;
        return cid < 10 ? error_set(err, -EADDRINUSE, "CID %" PRIu32 " is somebody else's", cid) : 0;
}

static void test_cid_that_others_have_is_passed_over(void **state)
{
        struct fixture *f = *state;
        cleanup_registry_entry struct registry_entry entry = REGISTRY_ENTRY_NONE;
        struct enclave_info info = sample();
        int asked = 0;

        assert_int_equal(registry_reserve(f->enclaves, &info, false, claim_from_10, &asked, &entry, NULL), 0);
        assert_int_equal(info.cid, 10);
        assert_int_equal(asked, 7);
        assert_string_equal(info.vsock_path, "");
        registry_entry_done(&entry);
        info.cid = 5;
        assert_int_equal(registry_reserve(f->enclaves, &info, false, claim_from_10, &asked, &entry, NULL),
                         -EADDRINUSE);
}

static int claim_nothing(uint32_t cid, void *user, struct error *err)
{
        (*(int *)user)++;
        return error_set(err, -EACCES, "CID %" PRIu32 " can't be had", cid);
}

static void test_cids_are_not_tried_on_after_another_error(void **state)
{
        struct fixture *f = *state;
        struct registry_entry entry = REGISTRY_ENTRY_NONE;
        struct enclave_info info = sample();
        int asked = 0;

        assert_int_equal(registry_reserve(f->enclaves, &info, false, claim_nothing, &asked, &entry, NULL),
                         -EACCES);
        assert_int_equal(asked, 1);
        assert_int_equal(count_live(f), 0);
}

static void test_stale_entry_is_removed_and_remembered_as_failed(void **state)
{
        struct fixture *f = *state;
        struct registry_entry entry = reserve(f, 0, 4);
        struct enclave_info info;

        assert_int_equal(enclave_find(f->enclaves, 0, &info, NULL), 0);
        assert_int_equal(info.state, ENCLAVE_RUNNING);
        /* Nobody holds the lock any more, as after kill -9. */
        registry_entry_done(&entry);
        assert_int_equal(count_live(f), 0);
        assert_int_equal(enclave_find(f->enclaves, 0, &info, NULL), 0);
        assert_int_equal(info.state, ENCLAVE_FAILED);
        assert_non_null(strstr(info.reason, "killed"));
        assert_int_equal(info.pid, 0);
        entry = reserve(f, 0, 4);
        registry_entry_done(&entry);
}

static void test_id_of_a_killed_supervisor_is_free_at_once(void **state)
{
        struct fixture *f = *state;
        struct registry_entry entry = reserve(f, 0, 4);
        struct enclave_info info;

        registry_entry_done(&entry);
        entry = reserve(f, 0, 4);
        assert_int_equal(enclave_find(f->enclaves, 0, &info, NULL), 0);
        assert_int_equal(info.state, ENCLAVE_RUNNING);
        registry_entry_done(&entry);
}

static void test_looks_at_once_do_not_take_each_other_for_a_supervisor(void **state)
{
        struct fixture *f = *state;
        struct registry_entry entry = reserve(f, 0, 4);
        cleanup_free char *path = string_printf("%s/enclaves/0/lock", f->path);
        cleanup_fd int look = open(path, O_RDONLY | O_CLOEXEC);

        registry_entry_done(&entry);
        assert_int_equal(flock(look, LOCK_SH | LOCK_NB), 0);
        assert_int_equal(count_live(f), 0);
        assert_int_equal(access(path, F_OK), -1);
}

/* Until the process waits for a flock. */
static void await_lock_wait(pid_t pid)
{
        cleanup_free char *wanted = string_printf(" %d ", (int)pid);
        char line[256];

        for (bool waits = false; !waits; (void)poll(NULL, 0, 1)) {
                cleanup_file FILE *locks = fopen("/proc/locks", "re");
                assert_non_null(locks);
                while (fgets(line, sizeof(line), locks))
                        waits = waits || (strstr(line, "-> FLOCK") && strstr(line, wanted));
                assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
        }
}

/* Somebody saw a dead entry, and before he could remove it another one came under its id. */
static void test_entry_that_replaced_a_dead_one_is_not_taken_for_it(void **state)
{
        struct fixture *f = *state;
        struct registry_entry entry = reserve(f, 0, 4);
        cleanup_free char *registry_lock = string_printf("%s/lock", f->path);
        cleanup_free char *folder = string_printf("%s/enclaves/0", f->path);
        cleanup_fd int lock = -1, live = -1;
        struct enclave_info info;

        assert_int_equal(enclave_find(f->enclaves, 0, &info, NULL), 0);
        registry_entry_done(&entry);
        assert_int_equal(file_lock(AT_FDCWD, registry_lock, &lock, NULL), 0);
        pid_t looker = fork();
        if (looker == 0) {
                cleanup_free struct enclave_info *infos = NULL;
                size_t n;
                fd_close_p(&lock);
                _exit(enclave_list(f->enclaves, &infos, &n, NULL) < 0);
        }
        await_lock_wait(looker);
        assert_int_equal(path_remove_tree(AT_FDCWD, folder, NULL), 0);
        assert_int_equal(mkdir(folder, 0700), 0);
        cleanup_fd int dirfd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(file_lock(dirfd, "lock", &live, NULL), 0);
        assert_int_equal(registry_publish(dirfd, &info, NULL), 0);
        fd_close_p(&lock);
        assert_int_equal(status_of(looker), 0);
        assert_true(registry_entry_is_live(dirfd));
}

/* No file can be written meanwhile: the disk is full. */
static void set_disk_full(bool full)
{
        const struct sigaction action = {.sa_handler = full ? SIG_IGN : SIG_DFL};
        struct rlimit limit;

        assert_int_equal(sigaction(SIGXFSZ, &action, NULL), 0);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
        limit.rlim_cur = full ? 0 : limit.rlim_max;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_entry_that_cannot_be_written_leaves_nothing(void **state)
{
        struct fixture *f = *state;
        struct registry_entry entry = REGISTRY_ENTRY_NONE;
        struct enclave_info info = sample();
        struct error err = {0};
        cleanup_free char *folder = string_printf("%s/enclaves/0", f->path);

        set_disk_full(true);
        int r = registry_reserve(f->enclaves, &info, true, NULL, NULL, &entry, &err);
        set_disk_full(false);
        assert_int_equal(r, -EFBIG);
        assert_non_null(strstr(error_text(&err), folder));
        assert_int_equal(entry.dirfd, -1);
        assert_int_equal(access(folder, F_OK), -1);
        entry = reserve(f, 0, 4);
        info = sample();
        info.cid = 4;
        set_disk_full(true);
        r = registry_retire(f->enclaves, 0, &info, view_of(NULL, 0), NULL);
        set_disk_full(false);
        assert_int_equal(r, -EFBIG);
        assert_int_equal(access(folder, F_OK), -1);
        registry_entry_done(&entry);
}

/* Its state can't be read, so that nobody knows that its id is in use. */
static void test_entry_that_is_in_the_way_is_not_removed(void **state)
{
        struct fixture *f = *state;
        struct registry_entry entry = reserve(f, 0, 4), none = REGISTRY_ENTRY_NONE;
        struct enclave_info info = sample();

        assert_int_equal(unlinkat(entry.dirfd, "state.json", 0), 0);
        assert_int_equal(registry_reserve(f->enclaves, &info, true, NULL, NULL, &none, NULL), -EEXIST);
        assert_true(registry_entry_is_live(entry.dirfd));
        registry_entry_done(&entry);
}

static void test_start_that_died_leaves_no_memory(void **state)
{
        struct fixture *f = *state;
        struct registry_entry entry = REGISTRY_ENTRY_NONE;
        struct enclave_info info = sample();

        info.state = ENCLAVE_STARTING;
        assert_int_equal(registry_reserve(f->enclaves, &info, true, NULL, NULL, &entry, NULL), 0);
        registry_entry_done(&entry);
        assert_int_equal(enclave_find(f->enclaves, 0, &info, NULL), -ENOENT);
}

static void test_entry_cut_off_before_its_state_was_written_is_cleaned(void **state)
{
        struct fixture *f = *state;
        cleanup_free char *entry = string_printf("%s/enclaves/0", f->path);
        cleanup_free char *dead = string_printf("%s/enclaves/.dead-0", f->path);

        assert_int_equal(mkdir(entry, 0700), 0);
        assert_int_equal(mkdir(dead, 0700), 0);
        assert_int_equal(count_live(f), 0);
        struct registry_entry one = reserve(f, 0, 4);
        registry_entry_done(&one);
}

/* Makes what a process leaves that is killed while it removes an entry or writes a record. */
static void test_remains_of_killed_processes_are_cleaned(void **state)
{
        struct fixture *f = *state;
        cleanup_free char *dead = string_printf("%s/enclaves/.dead-7", f->path);
        cleanup_free char *inside = string_printf("%s/state.json", dead);
        cleanup_free char *temporary = string_printf("%s/ended/.0.json.abc.tmp", f->path);
        cleanup_free struct enclave_info *infos = NULL;
        size_t n = 0;

        assert_int_equal(mkdir(dead, 0700), 0);
        assert_int_equal(file_write_atomic(AT_FDCWD, inside, view_of_string("{}"), 0600, NULL), 0);
        assert_int_equal(file_write_atomic(AT_FDCWD, temporary, view_of_string("{"), 0600, NULL), 0);
        assert_int_equal(enclave_list(f->enclaves, &infos, &n, NULL), 0);
        assert_int_equal(n, 0);
        assert_true(access(dead, F_OK) < 0 && access(temporary, F_OK) < 0);
}

static void test_record_stays_until_forgotten_or_its_id_is_used(void **state)
{
        struct fixture *f = *state;
        struct registry_entry entry = reserve(f, 0, 4);
        struct enclave_info info = sample(), back;
        struct error err = {0};
        char text[8] = {0};
        int fd = -1;

        info.cid = 4;
        info.state = ENCLAVE_EXITED;
        info.exit_status = 7;
        snprintf(info.vsock_path, sizeof(info.vsock_path), "/gone");
        assert_int_equal(registry_retire(f->enclaves, 0, &info, view_of("boot", 4), NULL), 0);
        registry_entry_done(&entry);
        assert_int_equal(count_live(f), 0);
        assert_int_equal(enclave_find(f->enclaves, 0, &back, NULL), 0);
        assert_int_equal(back.exit_status, 7);
        assert_int_equal(back.pid, 0);
        assert_string_equal(back.vsock_path, "");
        assert_int_equal(registry_open_console(f->enclaves, 0, &fd, NULL), 0);
        assert_int_equal(read(fd, text, sizeof(text)), 4);
        fd_close_p(&fd);
        assert_int_equal(registry_forget(f->enclaves, 0, NULL), 0);
        assert_int_equal(enclave_find(f->enclaves, 0, &back, &err), -ENOENT);
        assert_string_equal(error_text(&err),
                            "there is no enclave 0; `qt enclave query` shows those that are");
        assert_int_equal(registry_forget(f->enclaves, 0, NULL), -ENOENT);

        entry = reserve(f, 0, 4);
        assert_int_equal(registry_retire(f->enclaves, 0, &info, view_of("boot", 4), NULL), 0);
        registry_entry_done(&entry);
        entry = reserve(f, 0, 4);
        assert_int_equal(registry_open_console(f->enclaves, 0, &fd, NULL), -ENOENT);
        registry_entry_done(&entry);
}

/* A process that reserves, says what it got, and holds it until `hold` is closed. */
static void run_reserver(const char *path, int report, int hold)
{
        struct registry_entry entry = REGISTRY_ENTRY_NONE;
        struct enclave_info info = sample();
        struct enclaves *enclaves = NULL;
        char byte;

        if (enclaves_open(path, &enclaves, NULL) < 0 ||
            registry_reserve(enclaves, &info, true, NULL, NULL, &entry, NULL) < 0)
                _exit(1);
        uint32_t got[2] = {info.id, info.cid};
        _exit(write(report, got, sizeof(got)) != sizeof(got) || read(hold, &byte, 1) != 0);
}

static void test_processes_that_start_at_once_get_different_ids_and_cids(void **state)
{
        enum { PROCESSES = 8 };
        struct fixture *f = *state;
        int report[2], hold[2], status;
        bool seen[PROCESSES] = {false};

        assert_int_equal(pipe(report), 0);
        assert_int_equal(pipe(hold), 0);
        for (int i = 0; i < PROCESSES; i++) {
                pid_t pid = fork();
                assert_true(pid >= 0);
                if (pid == 0) {
                        close(hold[1]);
                        run_reserver(f->path, report[1], hold[0]);
                }
        }
        for (int i = 0; i < PROCESSES; i++) {
                uint32_t got[2];
                assert_int_equal(fd_read_full(report[0], got, sizeof(got)), 0);
                assert_true(got[0] < PROCESSES && !seen[got[0]]);
                seen[got[0]] = true;
                assert_int_equal(got[1], got[0] + 4);
        }
        assert_int_equal(count_live(f), PROCESSES);
        close(hold[0]);
        close(hold[1]);
        for (int i = 0; i < PROCESSES; i++) {
                assert_true(wait(&status) > 0);
                assert_int_equal(status, 0);
        }
        close(report[0]);
        close(report[1]);
        assert_int_equal(count_live(f), 0);
}

static void test_folder_that_others_can_write_is_refused(void **state)
{
        struct fixture *f = *state;
        struct enclaves *enclaves = NULL;
        struct error err = {0};
        cleanup_free char *link = string_printf("%s/link", f->folder);

        assert_int_equal(symlink(f->path, link), 0);
        assert_true(enclaves_open(link, &enclaves, NULL) < 0);
        assert_int_equal(chmod(f->path, 0770), 0);
        assert_int_equal(enclaves_open(f->path, &enclaves, &err), -EPERM);
        assert_non_null(strstr(error_text(&err), "can be written by others"));
}

static void test_folder_of_another_user_is_refused(void **state)
{
        struct fixture *f = *state;
        struct enclaves *enclaves = NULL;
        struct error err = {0};

        if (geteuid() != 0)
                skip();
        assert_int_equal(chown(f->path, 54321, 54321), 0);
        assert_int_equal(enclaves_open(f->path, &enclaves, &err), -EPERM);
        assert_non_null(strstr(error_text(&err), "belongs to user 54321, not to user 0"));
}

/* What clients are told fits as a whole, or there is no enclave. */
static void test_path_of_the_vsock_fits_or_is_refused(void **state)
{
        enum { LONGEST = PATH_MAX - 1 - (sizeof("/enclaves/0/" REGISTRY_VSOCK_SOCKET) - 1) };
        struct fixture *f = *state;
        char path[LONGEST + 2];

        for (size_t n = LONGEST; n <= LONGEST + 1; n++) {
                struct registry_entry entry = REGISTRY_ENTRY_NONE;
                struct enclave_info info = sample();
                struct enclaves *enclaves = NULL;
                memset(path, 'x', n);
                for (size_t at = strlen(f->folder); at < n - 200; at += 200)
                        path[at] = '/';
                memcpy(path, f->folder, strlen(f->folder));
                path[n] = '\0';
                assert_int_equal(enclaves_open(path, &enclaves, NULL), 0);
                assert_int_equal(registry_reserve(enclaves, &info, true, NULL, NULL, &entry, NULL),
                                 n == LONGEST ? 0 : -ENAMETOOLONG);
                assert_int_equal(strlen(info.vsock_path), n == LONGEST ? PATH_MAX - 1 : 0);
                registry_entry_done(&entry);
                enclaves_free(enclaves);
        }
}

static void test_folder_that_cannot_be_used_is_named_in_full(void **state)
{
        struct fixture *f = *state;
        struct enclaves *enclaves = NULL;
        struct error err = {0};
        cleanup_free char *ended = string_printf("%s/ended", f->path);
        cleanup_free char *below = string_printf("%s/ended/state", f->path);

        assert_int_equal(rmdir(ended), 0);
        assert_int_equal(file_write_atomic(AT_FDCWD, ended, view_of_string("x"), 0600, NULL), 0);
        assert_int_equal(enclaves_open(f->path, &enclaves, &err), -ENOTDIR);
        assert_non_null(strstr(error_text(&err), ended));
        err = (struct error){0};
        assert_int_equal(enclaves_open(below, &enclaves, &err), -ENOTDIR);
        assert_non_null(strstr(error_text(&err), ended));
        assert_non_null(strstr(error_text(&err), "COFFER_STATE_DIR names another"));
}

static void test_folder_whose_name_is_not_utf8_is_refused_with_the_way_out(void **state)
{
        struct fixture *f = *state;
        struct enclaves *enclaves = NULL;
        struct error err = {0};
        cleanup_free char *path = string_printf("%s/st\xe4te", f->folder);
        struct stat st;

        assert_int_equal(enclaves_open(path, &enclaves, &err), -EINVAL);
        assert_non_null(strstr(error_text(&err), "/st\\xe4te: "));
        assert_non_null(strstr(error_text(&err), "not UTF-8"));
        assert_non_null(strstr(error_text(&err), "set COFFER_STATE_DIR"));
        assert_int_equal(stat(path, &st), -1);
}

/* A supervisor that starts to listen in the entry's folder, takes one request and ends. Returns only on
 * failure. */
static int answer_once(const char *folder)
{
        const struct control_reply reply = {.code = 0};
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        cleanup_buf struct buf line = buf_with_max(CONTROL_LINE_MAX);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char byte;

        snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", folder, CONTROL_SOCKET);
        if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
                return 1;
        int client = accept(fd, NULL, NULL);
        while (read(client, &byte, 1) == 1 && byte != '\n')
                ;
        if (control_append_reply(&reply, &line) < 0)
                return 1;
        return write(client, line.p, line.n) != (ssize_t)line.n;
}

/* As answer_once(), of one that hangs up on a client and goes on. */
static int hang_up_once(const char *folder)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", folder, CONTROL_SOCKET);
        if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
                return 1;
        return close(accept(fd, NULL, NULL));
}

static void test_supervisor_that_does_not_listen_yet_is_waited_for(void **state)
{
        struct fixture *f = *state;
        cleanup_registry_entry struct registry_entry entry = reserve(f, 0, 4);
        cleanup_free char *folder = string_printf("%s/enclaves/0", f->path);
        struct enclave_info starting = sample();

        starting.state = ENCLAVE_STARTING;
        starting.pid = 0;
        starting.cid = entry.cid;
        assert_int_equal(registry_publish(entry.dirfd, &starting, NULL), 0);
        pid_t stopper = fork();
        if (stopper == 0)
                _exit(enclave_stop(f->enclaves, 0, 0, NULL) < 0);
        cleanup_fd int pidfd = (int)syscall(SYS_pidfd_open, stopper, 0);
        struct pollfd ended = {.fd = pidfd, .events = POLLIN};
        assert_int_equal(poll(&ended, 1, 200), 0); /* it has not taken the silence for an end */
        pid_t supervisor = fork();
        if (supervisor == 0)
                _exit(answer_once(folder));
        assert_int_equal(status_of(supervisor), 0);
        assert_int_equal(status_of(stopper), 0);
}

static void test_stop_that_is_not_answered_is_no_success_while_the_supervisor_lives(void **state)
{
        struct fixture *f = *state;
        cleanup_registry_entry struct registry_entry entry = reserve(f, 0, 4);
        cleanup_free char *folder = string_printf("%s/enclaves/0", f->path);
        struct enclave_info info = sample();
        struct error err = {0};

        info.pid = 0;
        info.cid = entry.cid;
        assert_int_equal(registry_publish(entry.dirfd, &info, NULL), 0);
        pid_t supervisor = fork();
        if (supervisor == 0)
                _exit(hang_up_once(folder));
        assert_int_equal(enclave_stop(f->enclaves, 0, 0, &err), -EIO);
        assert_non_null(strstr(error_text(&err), "enclave 0 still runs"));
        assert_int_equal(status_of(supervisor), 0);
        assert_int_equal(count_live(f), 1);
}

static void test_entry_that_was_retired_is_not_waited_for(void **state)
{
        struct fixture *f = *state;
        cleanup_registry_entry struct registry_entry entry = reserve(f, 0, 4);

        assert_true(registry_entry_is_live(entry.dirfd));
        assert_int_equal(registry_retire(f->enclaves, 0, NULL, view_of(NULL, 0), NULL), 0);
        assert_false(registry_entry_is_live(entry.dirfd));
}

/* The lowest number that a descriptor can still have. */
static int next_descriptor(void)
{
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        close(fd);
        return fd;
}

/* Whatever step it is that the descriptors don't suffice for. */
static void test_look_without_descriptors_removes_nothing(void **state)
{
        struct fixture *f = *state;
        cleanup_registry_entry struct registry_entry entry = reserve(f, 0, 4);
        struct rlimit all;

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
        for (int more = 0; more < 8; more++) {
                const struct rlimit few = {.rlim_cur = (rlim_t)next_descriptor() + (rlim_t)more,
                                           .rlim_max = all.rlim_max};
                cleanup_free struct enclave_info *infos = NULL;
                struct enclave_info info;
                size_t n;

                assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
                (void)enclave_list(f->enclaves, &infos, &n, NULL);
                (void)enclave_find(f->enclaves, 0, &info, NULL);
                assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);
                assert_true(registry_entry_is_live(entry.dirfd));
                assert_int_equal(count_live(f), 1);
        }
}

int main(void)
{
#define REGISTRY_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                REGISTRY_TEST(test_ids_and_cids_are_the_lowest_free_ones),
                REGISTRY_TEST(test_cid_that_is_taken_is_refused_with_one_that_is_free),
                REGISTRY_TEST(test_cid_that_others_have_is_passed_over),
                REGISTRY_TEST(test_cids_are_not_tried_on_after_another_error),
                REGISTRY_TEST(test_stale_entry_is_removed_and_remembered_as_failed),
                REGISTRY_TEST(test_id_of_a_killed_supervisor_is_free_at_once),
                REGISTRY_TEST(test_looks_at_once_do_not_take_each_other_for_a_supervisor),
                REGISTRY_TEST(test_entry_that_replaced_a_dead_one_is_not_taken_for_it),
                REGISTRY_TEST(test_entry_that_cannot_be_written_leaves_nothing),
                REGISTRY_TEST(test_entry_that_is_in_the_way_is_not_removed),
                REGISTRY_TEST(test_start_that_died_leaves_no_memory),
                REGISTRY_TEST(test_entry_cut_off_before_its_state_was_written_is_cleaned),
                REGISTRY_TEST(test_remains_of_killed_processes_are_cleaned),
                REGISTRY_TEST(test_look_without_descriptors_removes_nothing),
                REGISTRY_TEST(test_record_stays_until_forgotten_or_its_id_is_used),
                REGISTRY_TEST(test_processes_that_start_at_once_get_different_ids_and_cids),
                REGISTRY_TEST(test_folder_that_others_can_write_is_refused),
                REGISTRY_TEST(test_folder_of_another_user_is_refused),
                REGISTRY_TEST(test_path_of_the_vsock_fits_or_is_refused),
                REGISTRY_TEST(test_folder_that_cannot_be_used_is_named_in_full),
                REGISTRY_TEST(test_folder_whose_name_is_not_utf8_is_refused_with_the_way_out),
                REGISTRY_TEST(test_supervisor_that_does_not_listen_yet_is_waited_for),
                REGISTRY_TEST(test_stop_that_is_not_answered_is_no_success_while_the_supervisor_lives),
                REGISTRY_TEST(test_entry_that_was_retired_is_not_waited_for),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
