/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-supervisor.c - an enclave's life without a machine.
 *
 * The supervisor runs in a child process, with a back end that is none: the test tells it by single bytes
 * what the machine does, and learns by single bytes what was done to it.  The test plays enclave-init on the
 * guest's connections, the starter on the status socket, and is itself a client.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supervisor/supervisor.h"

#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/base/text.h"
#include "lib/enclave/control.h"
#include "lib/enclave/leash.h"
#include "lib/enclave/registry.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000, SOON_MS = 5000, FLOOD = 3 * 1024 * 1024 };

/* ---- a machine that is none ---- */

/* To the machine. */
enum { DO_POWER_OFF = 'p', DO_CRASH = 'c', DO_SAY = 's', DO_FLOOD = 'f' };
/* From the machine. */
enum { DONE_START = 'S', DONE_FLOOD = 'F', DONE_QUIT = 'Q', DONE_KILL = 'K' };

struct machine {
        struct loop *loop;
        machine_ended_fn ended;
        void *user;
        int console_fd;
        struct loop_source *orders;
        struct loop_source *end;
        struct machine_end how;
};

static int machine_fd; /* the machine's end, in the child */

static void report(char done)
{
        if (write(machine_fd, &done, 1) != 1)
                _exit(9);
}

static int on_end(struct loop_source *source, void *user)
{
        struct machine *machine = user;

        (void)source;
        machine->ended(&machine->how, machine->user);
        return 0;
}

static void end(struct machine *machine, bool orderly, const char *text)
{
        if (machine->end)
                return;
        machine->how.orderly = machine->how.by_guest = orderly;
        snprintf(machine->how.text, sizeof(machine->how.text), "%s", text);
        (void)loop_add_timer(machine->loop, 0, on_end, machine, &machine->end, NULL);
}

/* Writes as a guest does: somebody has to read, or it waits. So it is a process of its own. */
static void flood(const struct machine *machine)
{
        if (fork() != 0)
                return;
        static char line[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\n";
        for (size_t n = 0; n < FLOOD; n += sizeof(line) - 1) {
                if (fd_write_full(machine->console_fd, line, sizeof(line) - 1) < 0)
                        _exit(1);
        }
        report(DONE_FLOOD);
        _exit(0);
}

static int on_order(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct machine *machine = user;
        char order;

        (void)source;
        (void)events;
        if (read(fd, &order, 1) != 1)
                loop_remove(&machine->orders);
        else if (order == DO_POWER_OFF)
                end(machine, true, "the machine was powered off");
        else if (order == DO_CRASH)
                end(machine, false, "the machine caught fire");
        else if (order == DO_SAY)
                (void)fd_write_full(machine->console_fd, "Linux version\n", 14);
        else if (order == DO_FLOOD)
                flood(machine);
        return 0;
}

static int fake_start(const struct machine_spec *spec, struct loop *loop, machine_ended_fn ended, void *user,
                      struct machine **ret_machine, struct error *err)
{
        struct machine *machine = calloc(1, sizeof(*machine));

        machine->loop = loop;
        machine->ended = ended;
        machine->user = user;
        machine->console_fd = dup(spec->console_fd);
        *ret_machine = machine;
        return loop_add_fd(loop, machine_fd, EPOLLIN, on_order, machine, &machine->orders, err);
}

static void fake_quit(struct machine *machine)
{
        report(DONE_QUIT);
        end(machine, true, "the machine was powered off");
}

static void fake_kill(struct machine *machine)
{
        report(DONE_KILL);
        end(machine, false, "the machine was killed");
}

static void fake_free(struct machine *machine)
{
        if (!machine)
                return;
        loop_remove(&machine->orders);
        loop_remove(&machine->end);
        fd_close_p(&machine->console_fd);
        free(machine);
}

static const struct backend fake = {
        .name = "fake", .start = fake_start, .quit = fake_quit, .kill = fake_kill, .free = fake_free};

/* ---- the fixture ---- */

struct fixture {
        char folder[64];
        struct enclaves *enclaves;
        pid_t pid;
        int status_fd;  /* the starter's end */
        int leash_fd;   /* likewise; -1: there is none */
        int machine_fd; /* the test's end */
        int init_fd;    /* enclave-init's end of the control channel */
        int heartbeat_fd;
};

static void make_pair(int pair[2])
{
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
}

static void run_child(const struct supervisor_parts *parts, int init_fd, int heartbeat_fd)
{
        const struct sigaction ignore = {.sa_handler = SIG_IGN};
        struct supervisor *supervisor = NULL;

        (void)sigaction(SIGXFSZ, &ignore, NULL);
        if (supervisor_new(parts, &supervisor) < 0)
                _exit(1);
        struct guest *guest = supervisor_guest(supervisor);
        guest_accept(guest, GUEST_HEARTBEAT_PORT, heartbeat_fd);
        if (init_fd >= 0)
                guest_accept(guest, guest_control_port(parts->launch->info.cid), init_fd);
        report(DONE_START);
        int r = supervisor_run(supervisor);
        supervisor_free(supervisor);
        _exit(r < 0);
}

static struct launch make_launch(const struct fixture *f, bool debug_mode, unsigned timeout_ms)
{
        struct launch launch = {
                .info = {.cpus = 1,
                         .mem_mib = 128,
                         .debug_mode = debug_mode,
                         .exit_status = ENCLAVE_EXIT_UNKNOWN},
                .state_dir = string_printf("%s", registry_path(f->enclaves)),
                .cmdline = string_printf("console=ttyS0"),
                .timeout_ms = timeout_ms,
        };

        assert_non_null(launch.state_dir);
        assert_non_null(launch.cmdline);
        return launch;
}

static void expect_done_within(struct fixture *f, char expected, int ms)
{
        struct pollfd fds = {.fd = f->machine_fd, .events = POLLIN};
        char done = 0;

        assert_int_equal(poll(&fds, 1, ms), 1);
        assert_int_equal(read(f->machine_fd, &done, 1), 1);
        assert_int_equal(done, expected);
}

static void expect_done(struct fixture *f, char expected)
{
        expect_done_within(f, expected, PATIENCE_MS);
}

enum init {
        INIT_OURS,
        INIT_LEASHED /* also ours */,
        INIT_SILENT /* ours, but never opens the control channel */,
        INIT_OF_OTHERS
};

static struct fixture *start_with(enum init kind, bool debug_mode, unsigned timeout_ms)
{
        struct fixture *f = calloc(1, sizeof(*f));
        int status[2], leash[2], machine[2], init[2], heartbeat[2];
        cleanup_registry_entry struct registry_entry entry = REGISTRY_ENTRY_NONE;

        snprintf(f->folder, sizeof(f->folder), "/tmp/test-supervisor-XXXXXX");
        assert_non_null(mkdtemp(f->folder));
        cleanup_free char *path = string_printf("%s/state", f->folder);
        assert_int_equal(enclaves_open(path, &f->enclaves, NULL), 0);
        cleanup_launch struct launch launch = make_launch(f, debug_mode, timeout_ms);
        launch.leashed = kind == INIT_LEASHED;
        launch.init_of_others = kind == INIT_OF_OTHERS;
        assert_int_equal(registry_reserve(f->enclaves, &launch.info, true, NULL, NULL, &entry, NULL), 0);
        make_pair(status);
        make_pair(leash);
        make_pair(machine);
        make_pair(init);
        make_pair(heartbeat);
        f->pid = fork();
        assert_true(f->pid >= 0);
        if (f->pid == 0) {
                close(status[0]);
                close(leash[0]);
                close(machine[0]);
                close(init[0]);
                close(heartbeat[0]);
                machine_fd = machine[1];
                const struct supervisor_parts parts = {.launch = &launch,
                                                       .backend = &fake,
                                                       .pool_folder = "/nonexistent",
                                                       .status_fd = status[1],
                                                       .entry_dirfd = entry.dirfd,
                                                       .kernel_fd = -1,
                                                       .initrd_fd = -1,
                                                       .vsock_fd = -1,
                                                       .leash_fd = leash[1]};
                run_child(&parts, kind == INIT_OF_OTHERS || kind == INIT_SILENT ? -1 : init[1], heartbeat[1]);
        }
        close(status[1]);
        close(leash[1]);
        close(machine[1]);
        close(init[1]);
        close(heartbeat[1]);
        f->status_fd = status[0];
        f->leash_fd = leash[0];
        f->machine_fd = machine[0];
        f->init_fd = init[0];
        f->heartbeat_fd = heartbeat[0];
        expect_done(f, DONE_START);
        return f;
}

static struct fixture *start(bool debug_mode, unsigned timeout_ms)
{
        return start_with(INIT_OURS, debug_mode, timeout_ms);
}

/* The supervisor has ended well, and there is no entry. */
static void finish(struct fixture *f)
{
        cleanup_free struct enclave_info *infos = NULL;
        int status = -1;
        size_t n = 1;

        assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
        assert_int_equal(status, 0);
        assert_int_equal(enclave_list(f->enclaves, &infos, &n, NULL), 0);
        assert_int_equal(n, 0);
        fd_close_p(&f->status_fd);
        fd_close_p(&f->leash_fd);
        fd_close_p(&f->machine_fd);
        fd_close_p(&f->init_fd);
        fd_close_p(&f->heartbeat_fd);
        enclaves_free(f->enclaves);
        assert_int_equal(path_remove_tree(AT_FDCWD, f->folder, NULL), 0);
        free(f);
}

static void order(struct fixture *f, char what)
{
        assert_int_equal(write(f->machine_fd, &what, 1), 1);
}

static void say(struct fixture *f, struct guest_message message)
{
        cleanup_buf struct buf b = buf_with_max(8192);

        assert_int_equal(guest_message_encode(&message, &b), 0);
        assert_int_equal(fd_write_full(f->init_fd, b.p, b.n), 0);
}

/* What init is told, in a frame with this many bytes of payload. */
static struct guest_message next_message(struct fixture *f, size_t payload)
{
        uint8_t frame[GUEST_HEADER_SIZE + 4];
        struct guest_message message;
        size_t n = GUEST_HEADER_SIZE + payload, used;

        assert_int_equal(fd_read_full(f->init_fd, frame, n), 0);
        assert_int_equal(guest_message_decode(view_of(frame, n), &message, &used, NULL), 1);
        return message;
}

static void say_started(struct fixture *f)
{
        say(f, (struct guest_message){.type = GUEST_HELLO, .version = GUEST_PROTOCOL_VERSION});
        say(f, (struct guest_message){.type = GUEST_STARTED, .pid = 2});
}

/* What the starter is told at last. */
static struct control_reply starters_answer(struct fixture *f)
{
        cleanup_buf struct buf b = buf_with_max((size_t)2 * CONTROL_LINE_MAX);
        struct control_event event = {.kind = CONTROL_PROGRESS};

        while (event.kind != CONTROL_REPLY) {
                struct view line;
                size_t used;
                uint8_t byte;
                struct pollfd fds = {.fd = f->status_fd, .events = POLLIN};
                assert_int_equal(poll(&fds, 1, PATIENCE_MS), 1);
                assert_int_equal(read(f->status_fd, &byte, 1), 1);
                assert_int_equal(buf_append_byte(&b, byte), 0);
                if (!control_line(buf_view(&b), &line, &used))
                        continue;
                assert_int_equal(control_decode_event(line, &event, NULL), 0);
                buf_consume(&b, used);
        }
        return event.reply;
}

static struct enclave_info find(struct fixture *f)
{
        struct enclave_info info;

        assert_int_equal(enclave_find(f->enclaves, 0, &info, NULL), 0);
        return info;
}

static void expect_hang_up(struct fixture *f)
{
        struct pollfd fds = {.fd = f->init_fd, .events = POLLIN};
        char byte;

        assert_int_equal(poll(&fds, 1, PATIENCE_MS), 1);
        assert_int_equal(read(f->init_fd, &byte, 1), 0);
}

/* A client that waits, or stops, in a process of its own; its exit status is 0 where that succeeded. */
static pid_t in_background(struct fixture *f, int (*call)(struct enclaves *enclaves))
{
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                fd_close_p(&f->status_fd);
                fd_close_p(&f->machine_fd);
                fd_close_p(&f->init_fd);
                _exit(call(f->enclaves));
        }
        return pid;
}

static int result_of(pid_t pid)
{
        int status = -1;

        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static int stop_politely(struct enclaves *enclaves)
{
        return enclave_stop(enclaves, 0, PATIENCE_MS, NULL) < 0;
}

static int stop_soon(struct enclaves *enclaves)
{
        return enclave_stop(enclaves, 0, 50, NULL) < 0;
}

static int stop_in_a_second(struct enclaves *enclaves)
{
        return enclave_stop(enclaves, 0, 1000, NULL) < 0;
}

static int wait_for_137(struct enclaves *enclaves)
{
        struct enclave_info info;

        return enclave_wait(enclaves, 0, -1, &info, NULL) < 0 || info.state != ENCLAVE_EXITED ||
               info.exit_status != 137 || info.signal != SIGKILL;
}

static int wait_for_fire(struct enclaves *enclaves)
{
        struct enclave_info info;

        return enclave_wait(enclaves, 0, -1, &info, NULL) < 0 || info.state != ENCLAVE_FAILED ||
               !strstr(info.reason, "caught fire");
}

/* ---- the tests ---- */

static void test_life_from_start_to_exit_status(void **state)
{
        struct fixture *f = start(false, PATIENCE_MS);
        struct enclave_info info;

        (void)state;
        assert_int_equal(find(f).state, ENCLAVE_STARTING);
        say_started(f);
        struct control_reply reply = starters_answer(f);
        assert_int_equal(reply.code, 0);
        assert_true(reply.has_info);
        assert_int_equal(reply.info.state, ENCLAVE_RUNNING);
        assert_int_equal(reply.info.pid, f->pid);
        assert_int_equal(find(f).state, ENCLAVE_RUNNING);
        /* The starter goes, as qt does; nothing follows from that. */
        fd_close_p(&f->status_fd);
        say(f, (struct guest_message){.type = GUEST_EXITED, .status = 7});
        expect_hang_up(f);
        order(f, DO_POWER_OFF);
        assert_int_equal(enclave_wait(f->enclaves, 0, -1, &info, NULL), 0);
        assert_int_equal(info.state, ENCLAVE_EXITED);
        assert_int_equal(info.exit_status, 7);
        assert_int_equal(enclave_stop(f->enclaves, 0, 0, NULL), 0);
        assert_int_equal(enclave_find(f->enclaves, 0, &info, NULL), -ENOENT);
        finish(f);
}

static void test_signal_that_ended_the_workload_is_told_as_a_shell_does(void **state)
{
        struct fixture *f = start(false, PATIENCE_MS);
        struct enclave_info info;

        (void)state;
        say_started(f);
        say(f, (struct guest_message){.type = GUEST_SIGNALED, .signaled = {.signal = SIGSEGV, .core = true}});
        order(f, DO_POWER_OFF);
        assert_int_equal(enclave_wait(f->enclaves, 0, -1, &info, NULL), 0);
        assert_int_equal(info.exit_status, 128 + SIGSEGV);
        assert_int_equal(info.signal, SIGSEGV);
        finish(f);
}

static void test_exec_that_fails_is_the_starters_error_and_leaves_nothing(void **state)
{
        struct fixture *f = start(false, PATIENCE_MS);
        struct enclave_info info;

        (void)state;
        say(f, (struct guest_message){.type = GUEST_HELLO, .version = GUEST_PROTOCOL_VERSION});
        say(f, guest_message_failed(ENOENT, "execute the command", "/bin/none"));
        expect_hang_up(f);
        order(f, DO_POWER_OFF);
        struct control_reply reply = starters_answer(f);
        assert_int_equal(reply.code, -EIO);
        assert_string_equal(reply.text, "the workload did not start: cannot execute the command: /bin/none: "
                                        "No such file or directory");
        assert_int_equal(enclave_find(f->enclaves, 0, &info, NULL), -ENOENT);
        finish(f);
}

static void test_workload_whose_state_cannot_be_written_has_not_started(void **state)
{
        struct fixture *f = start(false, PATIENCE_MS);
        const struct rlimit full = {.rlim_cur = 0, .rlim_max = RLIM_INFINITY};

        (void)state;
        assert_int_equal(prlimit(f->pid, RLIMIT_FSIZE, &full, NULL), 0);
        say_started(f);
        expect_done(f, DONE_KILL);
        struct control_reply reply = starters_answer(f);
        assert_int_equal(reply.code, -EIO);
        assert_non_null(strstr(reply.text, "/enclaves/0: state.json: File too large"));
        finish(f);
}

static void test_entry_that_somebody_deletes_stops_the_enclave(void **state)
{
        struct fixture *f = start(false, PATIENCE_MS);
        cleanup_free char *path = string_printf("%s/enclaves/0/" CONTROL_SOCKET, registry_path(f->enclaves));

        (void)state;
        say_started(f);
        assert_int_equal(starters_answer(f).code, 0);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(next_message(f, 0).type, PARENT_SHUTDOWN);
        say(f, (struct guest_message){.type = GUEST_EXITED, .status = 0});
        expect_hang_up(f);
        order(f, DO_POWER_OFF);
        finish(f);
}

static void test_stop_asks_the_workload_first_and_leaves_no_record(void **state)
{
        struct fixture *f = start(false, PATIENCE_MS);
        struct enclave_info info;

        (void)state;
        say_started(f);
        assert_int_equal(starters_answer(f).code, 0);
        pid_t client = in_background(f, stop_politely);
        assert_int_equal(next_message(f, 0).type, PARENT_SHUTDOWN);
        for (int waited = 0; find(f).state != ENCLAVE_STOPPING; waited++) {
                assert_true(waited < PATIENCE_MS);
                (void)poll(NULL, 0, 1);
        }
        say(f, (struct guest_message){.type = GUEST_EXITED, .status = 0});
        expect_hang_up(f);
        order(f, DO_POWER_OFF);
        assert_int_equal(result_of(client), 0);
        assert_int_equal(enclave_find(f->enclaves, 0, &info, NULL), -ENOENT);
        finish(f);
}

static void test_a_leash_carries_signals_and_the_end_and_leaves_no_record(void **state)
{
        struct fixture *f = start_with(INIT_LEASHED, false, PATIENCE_MS);
        struct enclave_info info;

        (void)state;
        say_started(f);
        assert_int_equal(starters_answer(f).code, 0);
        fd_close_p(&f->status_fd);
        assert_int_equal(leash_signal(f->leash_fd, SIGUSR1, NULL), 0);
        struct guest_message message = next_message(f, 4);
        assert_int_equal(message.type, PARENT_SIGNAL);
        assert_int_equal(message.signal, SIGUSR1);
        say(f, (struct guest_message){.type = GUEST_EXITED, .status = 7});
        expect_hang_up(f);
        order(f, DO_POWER_OFF);
        assert_int_equal(leash_wait(f->leash_fd, &info, NULL), 0);
        assert_int_equal(info.state, ENCLAVE_EXITED);
        assert_int_equal(info.exit_status, 7);
        assert_int_equal(enclave_find(f->enclaves, 0, &info, NULL), -ENOENT);
        finish(f);
}

static void test_an_enclave_ends_with_its_leash(void **state)
{
        struct fixture *f = start_with(INIT_LEASHED, false, PATIENCE_MS);

        (void)state;
        say_started(f);
        assert_int_equal(starters_answer(f).code, 0);
        fd_close_p(&f->leash_fd);
        expect_done(f, DONE_QUIT);
        finish(f);
}

/* Its init has said how the workload ended, and then doesn't end the machine. */
static void test_an_enclave_that_is_over_ends_with_its_leash_too(void **state)
{
        struct fixture *f = start_with(INIT_LEASHED, false, PATIENCE_MS);

        (void)state;
        say_started(f);
        say(f, (struct guest_message){.type = GUEST_EXITED, .status = 7});
        expect_hang_up(f);
        fd_close_p(&f->leash_fd);
        expect_done_within(f, DONE_KILL, SOON_MS);
        finish(f);
}

static void test_nonsense_on_a_leash_ends_the_enclave(void **state)
{
        static const char *const lines[] = {"{\"op\":\"console\"}\n", "nonsense\n"};

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
                struct fixture *f = start_with(INIT_LEASHED, false, PATIENCE_MS);
                say_started(f);
                assert_int_equal(starters_answer(f).code, 0);
                assert_int_equal(fd_write_full(f->leash_fd, lines[i], strlen(lines[i])), 0);
                expect_done(f, DONE_QUIT);
                finish(f);
        }
}

static void test_stop_is_hard_after_the_grace_period(void **state)
{
        struct fixture *f = start(false, PATIENCE_MS);

        (void)state;
        say_started(f);
        assert_int_equal(starters_answer(f).code, 0);
        pid_t waiter = in_background(f, wait_for_137);
        pid_t client = in_background(f, stop_soon);
        expect_done(f, DONE_KILL);
        assert_int_equal(result_of(waiter), 0);
        finish(f);
        assert_int_equal(result_of(client), 0);
}

/* As by a script that asks every few seconds whether it has ended yet. */
static void test_stop_that_is_asked_for_again_puts_off_no_end(void **state)
{
        struct fixture *f = start(false, PATIENCE_MS);

        (void)state;
        say_started(f);
        assert_int_equal(starters_answer(f).code, 0);
        pid_t client = in_background(f, stop_in_a_second);
        assert_int_equal(next_message(f, 0).type, PARENT_SHUTDOWN);
        assert_int_equal(kill(f->pid, SIGTERM), 0);
        expect_done_within(f, DONE_KILL, SOON_MS);
        finish(f);
        assert_int_equal(result_of(client), 0);
}

static void test_stop_during_the_boot_ends_it_at_once(void **state)
{
        struct fixture *f = start(false, PATIENCE_MS);

        (void)state;
        pid_t client = in_background(f, stop_politely);
        expect_done(f, DONE_QUIT);
        struct control_reply reply = starters_answer(f);
        assert_int_equal(reply.code, -ECANCELED);
        assert_non_null(strstr(reply.text, "stopped before"));
        finish(f);
        assert_int_equal(result_of(client), 0);
}

static void test_machine_that_dies_is_a_failure_with_its_reason(void **state)
{
        struct fixture *f = start(false, PATIENCE_MS);

        (void)state;
        say_started(f);
        assert_int_equal(starters_answer(f).code, 0);
        pid_t waiter = in_background(f, wait_for_fire);
        order(f, DO_CRASH);
        assert_int_equal(result_of(waiter), 0);
        struct enclave_info info = find(f);
        assert_int_equal(info.state, ENCLAVE_FAILED);
        assert_string_equal(info.reason, "the machine caught fire"); /* nothing that its console could add */
        finish(f);
}

static void test_machine_that_dies_while_booting_shows_its_console_in_debug_mode(void **state)
{
        struct fixture *f = start(true, PATIENCE_MS);

        (void)state;
        order(f, DO_SAY);
        order(f, DO_CRASH);
        struct control_reply reply = starters_answer(f);
        assert_int_equal(reply.code, -EIO);
        assert_string_equal(reply.text,
                            "the workload did not start: the machine caught fire; its console ends with: "
                            "Linux version");
        finish(f);
}

static void test_starter_that_goes_away_undoes_the_start(void **state)
{
        struct fixture *f = start(false, PATIENCE_MS);
        struct enclave_info info;

        (void)state;
        fd_close_p(&f->status_fd);
        expect_done(f, DONE_KILL);
        expect_hang_up(f);
        assert_int_equal(enclave_wait(f->enclaves, 0, -1, &info, NULL), -ENOENT);
        finish(f);
}

static void test_workload_that_does_not_start_in_time_is_given_up(void **state)
{
        struct fixture *f = start(false, 100);

        (void)state;
        expect_done(f, DONE_KILL);
        struct control_reply reply = starters_answer(f);
        assert_int_equal(reply.code, -ETIMEDOUT);
        assert_non_null(strstr(reply.text, "did not start within"));
        finish(f);
}

static void test_init_of_another_version_is_refused(void **state)
{
        struct fixture *f = start(false, PATIENCE_MS);

        (void)state;
        say(f, (struct guest_message){.type = GUEST_HELLO, .version = GUEST_PROTOCOL_VERSION + 1});
        expect_done(f, DONE_KILL);
        assert_non_null(strstr(starters_answer(f).text, "make the image again"));
        finish(f);
}

static void test_init_that_greets_twice_is_not_blamed_for_its_version(void **state)
{
        struct fixture *f = start(false, PATIENCE_MS);

        (void)state;
        for (int i = 0; i < 2; i++)
                say(f, (struct guest_message){.type = GUEST_HELLO, .version = GUEST_PROTOCOL_VERSION});
        expect_done(f, DONE_KILL);
        assert_non_null(strstr(starters_answer(f).text, "said HELLO twice"));
        finish(f);
}

static void test_init_that_breaks_the_protocol_ends_its_enclave_only(void **state)
{
        struct fixture *f = start(false, PATIENCE_MS);

        (void)state;
        say_started(f);
        assert_int_equal(fd_write_full(f->init_fd, "\x77\0\0\0\0", 5), 0);
        expect_hang_up(f);
        expect_done(f, DONE_KILL);
        finish(f);
}

static void test_started_before_hello_counts_for_nothing(void **state)
{
        struct fixture *f = start(false, 300);

        (void)state;
        say(f, (struct guest_message){.type = GUEST_STARTED, .pid = 2});
        expect_done(f, DONE_KILL);
        assert_int_equal(starters_answer(f).code, -ETIMEDOUT);
        finish(f);
}

static void test_heartbeat_is_returned(void **state)
{
        struct fixture *f = start(false, PATIENCE_MS);
        uint8_t byte = GUEST_HEARTBEAT_BYTE;

        (void)state;
        assert_int_equal(write(f->heartbeat_fd, &byte, 1), 1);
        byte = 0;
        assert_int_equal(fd_read_full(f->heartbeat_fd, &byte, 1), 0);
        assert_int_equal(byte, GUEST_HEARTBEAT_BYTE);
        order(f, DO_CRASH);
        finish(f);
}

/* Its heartbeat is all that it says; and nobody in it can be asked to end, so it is ended. */
static void check_heartbeat_suffices(enum init kind)
{
        struct fixture *f = start_with(kind, false, PATIENCE_MS);
        const uint8_t byte = GUEST_HEARTBEAT_BYTE;

        assert_int_equal(write(f->heartbeat_fd, &byte, 1), 1);
        struct control_reply reply = starters_answer(f);
        assert_int_equal(reply.code, 0);
        assert_int_equal(reply.info.state, ENCLAVE_RUNNING);
        pid_t client = in_background(f, stop_politely);
        expect_done(f, DONE_QUIT);
        finish(f);
        assert_int_equal(result_of(client), 0);
}

static void test_init_of_others_counts_as_started_by_its_heartbeat_at_once(void **state)
{
        uint64_t begin = clock_ms();

        (void)state;
        check_heartbeat_suffices(INIT_OF_OTHERS);
        uint64_t at_once = clock_ms() - begin;
        begin = clock_ms();
        check_heartbeat_suffices(INIT_SILENT); /* after a time of its own, which is far longer */
        assert_true(at_once < (clock_ms() - begin) / 2);
}

static void test_end_of_an_init_of_others_is_an_end_whose_status_nobody_knows(void **state)
{
        struct fixture *f = start_with(INIT_OF_OTHERS, false, PATIENCE_MS);
        const uint8_t byte = GUEST_HEARTBEAT_BYTE;
        struct enclave_info info;

        (void)state;
        assert_int_equal(write(f->heartbeat_fd, &byte, 1), 1);
        assert_int_equal(starters_answer(f).code, 0);
        order(f, DO_POWER_OFF);
        assert_int_equal(enclave_wait(f->enclaves, 0, -1, &info, NULL), 0);
        assert_int_equal(info.state, ENCLAVE_EXITED);
        assert_int_equal(info.exit_status, ENCLAVE_EXIT_UNKNOWN);
        finish(f);
}

static void test_crash_of_a_machine_with_an_init_of_others_is_a_failure(void **state)
{
        struct fixture *f = start_with(INIT_OF_OTHERS, false, PATIENCE_MS);
        const uint8_t byte = GUEST_HEARTBEAT_BYTE;
        struct enclave_info info;

        (void)state;
        assert_int_equal(write(f->heartbeat_fd, &byte, 1), 1);
        assert_int_equal(starters_answer(f).code, 0);
        order(f, DO_CRASH);
        assert_int_equal(enclave_wait(f->enclaves, 0, -1, &info, NULL), 0);
        assert_int_equal(info.state, ENCLAVE_FAILED);
        finish(f);
}

static void test_wrong_heartbeat_counts_for_nothing(void **state)
{
        struct fixture *f = start_with(INIT_OF_OTHERS, false, 300);
        uint8_t byte = 0x42;

        (void)state;
        assert_int_equal(write(f->heartbeat_fd, &byte, 1), 1);
        assert_int_equal(read(f->heartbeat_fd, &byte, 1), 0);
        expect_done(f, DONE_KILL);
        assert_int_equal(starters_answer(f).code, -ETIMEDOUT);
        finish(f);
}

static void test_console_is_shown_from_the_beginning_to_one_reader(void **state)
{
        struct fixture *f = start(true, PATIENCE_MS);
        struct error err = {0};
        char text[15] = {0};
        int fd = -1, second = -1;

        (void)state;
        order(f, DO_SAY);
        say_started(f);
        assert_int_equal(enclave_console_open(f->enclaves, 0, &fd, NULL), 0);
        assert_int_equal(fd_read_full(fd, text, 14), 0);
        assert_string_equal(text, "Linux version\n");
        assert_int_equal(enclave_console_open(f->enclaves, 0, &second, &err), -EBUSY);
        assert_non_null(strstr(error_text(&err), "another reader"));
        fd_close_p(&fd);
        /* The supervisor sees the reader go in its own time. */
        while (enclave_console_open(f->enclaves, 0, &fd, NULL) == -EBUSY)
                poll(NULL, 0, 1);
        assert_int_equal(fd_read_full(fd, text, 14), 0);
        order(f, DO_POWER_OFF);
        assert_int_equal(read(fd, text, 1), 0);
        fd_close_p(&fd);
        finish(f);
}

static void test_console_is_refused_outside_debug_mode(void **state)
{
        struct fixture *f = start(false, PATIENCE_MS);
        struct enclave_info info;
        struct error err = {0};
        int fd = -1;

        (void)state;
        assert_int_equal(enclave_console_open(f->enclaves, 0, &fd, &err), -EPERM);
        assert_non_null(strstr(error_text(&err), "debug mode"));
        /* Nor is anything of it remembered. */
        say_started(f);
        assert_int_equal(starters_answer(f).code, 0);
        order(f, DO_SAY);
        order(f, DO_CRASH);
        assert_int_equal(enclave_wait(f->enclaves, 0, -1, &info, NULL), 0);
        assert_int_equal(info.state, ENCLAVE_FAILED);
        assert_int_equal(registry_open_console(f->enclaves, 0, &fd, NULL), -ENOENT);
        finish(f);
}

static void test_flood_ends_though_its_reader_does_not_read(void **state)
{
        struct fixture *f = start(true, PATIENCE_MS);
        int fd = -1, record = -1;
        char text[200] = {0};

        (void)state;
        say_started(f);
        assert_int_equal(enclave_console_open(f->enclaves, 0, &fd, NULL), 0);
        order(f, DO_FLOOD);
        expect_done(f, DONE_FLOOD);
        say(f, (struct guest_message){.type = GUEST_EXITED, .status = 0});
        order(f, DO_POWER_OFF);
        /* What is remembered of it begins with how much was dropped. */
        while (registry_open_console(f->enclaves, 0, &record, NULL) < 0)
                poll(NULL, 0, 1);
        assert_true(read(record, text, sizeof(text) - 1) > 0);
        assert_non_null(strstr(text, "[coffer: 2097"));
        fd_close_p(&record);
        finish(f); /* it isn't waited for for long */
        fd_close_p(&fd);
}

/* A workload that speaks our protocol itself, and would live on by it. */
static void test_end_that_is_told_again_and_again_buys_no_time(void **state)
{
        struct fixture *f = start(false, PATIENCE_MS);
        cleanup_buf struct buf b = buf_with_max(65536);

        (void)state;
        const struct guest_message messages[] = {
                {.type = GUEST_HELLO, .version = GUEST_PROTOCOL_VERSION},
                {.type = GUEST_HELLO, .version = GUEST_PROTOCOL_VERSION + 1},
                {.type = GUEST_STARTED, .pid = 2},
                {.type = GUEST_EXITED, .status = 0},
                {.type = GUEST_SIGNALED, .signaled = {.signal = 1}},
        };
        for (size_t i = 0; i < ARRAY_SIZE(messages); i++)
                assert_int_equal(guest_message_encode(&messages[i], &b), 0);
        /* All at once: the second greeting has the machine killed, and what stands behind it changes
         * nothing. */
        assert_int_equal(fd_write_full(f->init_fd, b.p, b.n), 0);
        expect_done_within(f, DONE_KILL, SOON_MS);
        assert_non_null(strstr(starters_answer(f).text, "make the image again"));
        finish(f);
}

/* Its workload has ended and the machine goes on.  It is given some time, in which the other tests run. */
static struct fixture *outliving;

static int begin_outliving(void **state)
{
        (void)state;
        outliving = start(false, PATIENCE_MS);
        say_started(outliving);
        say(outliving, (struct guest_message){.type = GUEST_EXITED, .status = 3});
        return 0;
}

static void test_machine_that_outlives_its_workload_is_killed(void **state)
{
        struct enclave_info info;

        (void)state;
        expect_done(outliving, DONE_KILL);
        assert_int_equal(enclave_wait(outliving->enclaves, 0, -1, &info, NULL), 0);
        assert_int_equal(info.state, ENCLAVE_EXITED);
        assert_int_equal(info.exit_status, 3);
        finish(outliving);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_life_from_start_to_exit_status),
                cmocka_unit_test(test_signal_that_ended_the_workload_is_told_as_a_shell_does),
                cmocka_unit_test(test_exec_that_fails_is_the_starters_error_and_leaves_nothing),
                cmocka_unit_test(test_workload_whose_state_cannot_be_written_has_not_started),
                cmocka_unit_test(test_entry_that_somebody_deletes_stops_the_enclave),
                cmocka_unit_test(test_stop_asks_the_workload_first_and_leaves_no_record),
                cmocka_unit_test(test_a_leash_carries_signals_and_the_end_and_leaves_no_record),
                cmocka_unit_test(test_an_enclave_ends_with_its_leash),
                cmocka_unit_test(test_an_enclave_that_is_over_ends_with_its_leash_too),
                cmocka_unit_test(test_nonsense_on_a_leash_ends_the_enclave),
                cmocka_unit_test(test_stop_is_hard_after_the_grace_period),
                cmocka_unit_test(test_stop_that_is_asked_for_again_puts_off_no_end),
                cmocka_unit_test(test_stop_during_the_boot_ends_it_at_once),
                cmocka_unit_test(test_machine_that_dies_is_a_failure_with_its_reason),
                cmocka_unit_test(test_machine_that_dies_while_booting_shows_its_console_in_debug_mode),
                cmocka_unit_test(test_starter_that_goes_away_undoes_the_start),
                cmocka_unit_test(test_workload_that_does_not_start_in_time_is_given_up),
                cmocka_unit_test(test_init_of_another_version_is_refused),
                cmocka_unit_test(test_init_that_greets_twice_is_not_blamed_for_its_version),
                cmocka_unit_test(test_init_that_breaks_the_protocol_ends_its_enclave_only),
                cmocka_unit_test(test_started_before_hello_counts_for_nothing),
                cmocka_unit_test(test_heartbeat_is_returned),
                cmocka_unit_test(test_init_of_others_counts_as_started_by_its_heartbeat_at_once),
                cmocka_unit_test(test_end_of_an_init_of_others_is_an_end_whose_status_nobody_knows),
                cmocka_unit_test(test_crash_of_a_machine_with_an_init_of_others_is_a_failure),
                cmocka_unit_test(test_wrong_heartbeat_counts_for_nothing),
                cmocka_unit_test(test_console_is_shown_from_the_beginning_to_one_reader),
                cmocka_unit_test(test_console_is_refused_outside_debug_mode),
                cmocka_unit_test(test_flood_ends_though_its_reader_does_not_read),
                cmocka_unit_test(test_end_that_is_told_again_and_again_buys_no_time),
                cmocka_unit_test(test_machine_that_outlives_its_workload_is_killed),
        };
        struct sigaction ignore = {.sa_handler = SIG_IGN};
        (void)sigaction(SIGPIPE, &ignore, NULL);
        return cmocka_run_group_tests(tests, begin_outliving, NULL);
}
