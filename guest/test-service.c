/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-service.c - the process service as an ordinary process, over a socket pair.  A fork runs the loop as
 * init would; the test plays the parent and reads frames with a deadline.
 */
#include "guest/process-child.h"
#include "guest/service.h"

#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "lib/enclave/service-protocol.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { DEADLINE_MS = 20000, ALL_CAPABILITIES = -1, INPUT_MAX = 2 << 20 };

/* ---- the guest ---- */

struct guest {
        struct loop *loop;
        struct service *service;
};

static int set_up(const struct service_container *container, void *user, struct failure *f)
{
        (void)user;
        if (container->hostname && strcmp(container->hostname, "bad") == 0)
                return failure_set(f, EINVAL, "/bad", "set up");
        return 0;
}

static int open_terminal(int *ret_master, int *ret_slave, void *user, struct failure *f)
{
        int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

        (void)user;
        if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
                return failure_set(f, errno, NULL, "open a terminal");
        *ret_master = master;
        *ret_slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
        return *ret_slave < 0 ? failure_set(f, errno, NULL, "open a terminal") : 0;
}

static int start(bool first, const struct service_process *process, struct view encoded, const int stdio[3],
                 pid_t *ret_pid, void *user, struct failure *f)
{
        struct failure why = {0};
        int ends[2];

        (void)first;
        (void)encoded;
        (void)user;
        if (pipe2(ends, O_CLOEXEC) < 0)
                return failure_set(f, errno, NULL, "make a pipe");
        *ret_pid = fork();
        if (*ret_pid == 0) {
                process_child_reset();
                process_child_run(process, stdio, &why);
                fd_write_full(ends[1], &why, sizeof(why));
                _exit(127);
        }
        close(ends[1]);
        int r = fd_read_full(ends[0], &why, sizeof(why));
        close(ends[0]);
        if (r == 0)
                *f = why;
        return r == 0 ? -EINVAL : 0;
}

static void signal_all(int signal, void *user)
{
        struct guest *guest = user;

        service_signal(guest->service, signal);
}

static void over(int status, const char *why, void *user)
{
        struct guest *guest = user;

        loop_quit(guest->loop, why ? 2 : WIFEXITED(status) ? 0 : 1);
}

static int on_child(struct loop_source *source, int signal, void *user)
{
        struct guest *guest = user;
        int status;
        pid_t pid;

        (void)source;
        (void)signal;
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
                service_reaped(guest->service, pid, status);
        return 0;
}

static _Noreturn void run_guest(int fd)
{
        struct guest guest = {0};
        const struct service_hooks hooks = {.set_up = set_up,
                                            .open_terminal = open_terminal,
                                            .start = start,
                                            .signal_all = signal_all,
                                            .over = over,
                                            .user = &guest};

        setpgid(0, 0); /* what it sends to a group is not for the test */
        sigaction(SIGPIPE, &(const struct sigaction){.sa_handler = SIG_IGN}, NULL);
        fd_set_nonblocking(fd);
        if (loop_new(&guest.loop, NULL) < 0 ||
            loop_add_signal(guest.loop, SIGCHLD, on_child, &guest, NULL, NULL) < 0 ||
            service_new(guest.loop, fd, &hooks, NULL, &guest.service, NULL) < 0)
                _exit(3);
        int code = loop_run(guest.loop);
        service_free(guest.service);
        loop_free(guest.loop);
        _exit(code);
}

/* ---- the parent ---- */

struct parent {
        int fd;
        pid_t pid;
        struct buf in;
        struct service_frame frame; /* the last one */
        size_t used;
};

static void send_frame(struct parent *p, const struct service_frame *frame)
{
        cleanup_buf struct buf b = buf_with_max(SERVICE_FROM_PARENT_MAX);

        assert_int_equal(service_frame_encode(frame, &b), 0);
        assert_int_equal(fd_write_full(p->fd, b.p, b.n), 0);
}

static void send_type(struct parent *p, enum service_type type, uint32_t process)
{
        send_frame(p, &(struct service_frame){.type = type, .process = process});
}

/* The next frame, valid until the one behind it. False at the end of the connection. */
static bool next(struct parent *p)
{
        struct error err = {0};

        buf_consume(&p->in, p->used);
        p->used = 0;
        for (;;) {
                struct pollfd poll_fd = {.fd = p->fd, .events = POLLIN};
                uint8_t bytes[65536];
                int r = service_frame_decode(buf_view(&p->in), SERVICE_GUEST, &p->frame, &p->used, &err);
                assert_true(r >= 0);
                if (r > 0)
                        return true;
                assert_int_equal(poll(&poll_fd, 1, DEADLINE_MS), 1);
                ssize_t n = recv(p->fd, bytes, sizeof(bytes), 0);
                if (n <= 0)
                        return false;
                assert_int_equal(buf_append(&p->in, bytes, (size_t)n), 0);
        }
}

static void expect(struct parent *p, enum service_type type, uint32_t process)
{
        assert_true(next(p));
        if (p->frame.type == SERVICE_FAILED && type != SERVICE_FAILED)
                print_error("%s %s\n", p->frame.failed.stage, p->frame.failed.path);
        assert_int_equal(p->frame.type, type);
        assert_int_equal(p->frame.process, process);
}

static void grant(struct parent *p, uint32_t process, enum service_stream stream, size_t n)
{
        struct service_frame frame = {.type = SERVICE_GRANT, .process = process, .stream = stream};

        frame.taken = (uint32_t)n;
        send_frame(p, &frame);
}

/* What the guest's end of the connection takes at once, which is root's to say; 0: as much as usual. */
static int connection_room;

static void connect_parent(struct parent *p)
{
        int ends[2];

        *p = (struct parent){.in = buf_with_max(INPUT_MAX)};
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        if (connection_room > 0 &&
            setsockopt(ends[1], SOL_SOCKET, SO_SNDBUFFORCE, &connection_room, sizeof(connection_room)) < 0)
                skip();
        p->fd = ends[0];
        p->pid = fork();
        assert_true(p->pid >= 0);
        if (p->pid == 0) {
                close(ends[0]);
                run_guest(ends[1]);
        }
        close(ends[1]);
        expect(p, SERVICE_HELLO, 0);
        assert_int_equal(p->frame.version, SERVICE_VERSION);
}

static void begin(struct parent *p)
{
        connect_parent(p);
        send_type(p, SERVICE_SETUP, 0);
        expect(p, SERVICE_READY, 0);
}

/* Ends the guest, which must end as `code` says. */
static void finish(struct parent *p, int code)
{
        int status;

        close(p->fd);
        assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), code);
        buf_done(&p->in);
}

static void describe(struct service_process *process, const char *script)
{
        *process = (struct service_process){.cwd = "/", .umask = 022};
        memset(process->capabilities, ALL_CAPABILITIES, sizeof(process->capabilities));
        process->capabilities[2] = process->capabilities[4] = 0;
        process->uid = getuid();
        process->gid = getgid();
        assert_int_equal(service_process_add_arg(process, "/bin/sh"), 0);
        assert_int_equal(service_process_add_arg(process, "-c"), 0);
        assert_int_equal(service_process_add_arg(process, script), 0);
        assert_int_equal(service_process_add_env(process, "PATH=/usr/bin:/bin"), 0);
}

static void create(struct parent *p, uint32_t id, const struct service_process *process)
{
        cleanup_buf struct buf spec = buf_with_max(SERVICE_SPEC_MAX);
        struct service_frame frame = {.type = SERVICE_CREATE, .process = id};

        assert_int_equal(service_process_encode(process, &spec, NULL), 0);
        frame.bytes = buf_view(&spec);
        send_frame(p, &frame);
}

static void run(struct parent *p, uint32_t id, const char *script)
{
        cleanup_service_process struct service_process process;

        describe(&process, script);
        create(p, id, &process);
        expect(p, SERVICE_CREATED, id);
        send_type(p, SERVICE_START, id);
        expect(p, SERVICE_STARTED, id);
}

/* Collects a process's output until its end; *ret_status is its status, 128 + n for a signal. */
static void collect(struct parent *p, uint32_t id, struct buf *out, struct buf *err, int *ret_status)
{
        while (next(p)) {
                assert_int_equal(p->frame.process, id);
                if (p->frame.type == SERVICE_DATA) {
                        enum service_stream stream = p->frame.stream;
                        size_t n = p->frame.bytes.n;
                        buf_append_view(stream == SERVICE_STDOUT ? out : err, p->frame.bytes);
                        grant(p, id, stream, n);
                } else if (p->frame.type == SERVICE_EXITED || p->frame.type == SERVICE_SIGNALED) {
                        *ret_status = p->frame.type == SERVICE_EXITED ? (int)p->frame.status
                                                                      : 128 + (int)p->frame.signaled.signal;
                        return;
                } else {
                        assert_true(p->frame.type == SERVICE_END || p->frame.type == SERVICE_GRANT ||
                                    p->frame.type == SERVICE_CLOSE);
                }
        }
        fail_msg("the guest hung up");
}

static void send_input(struct parent *p, uint32_t id, const char *text)
{
        struct service_frame frame = {.type = SERVICE_DATA, .process = id, .stream = SERVICE_STDIN};

        frame.bytes = view_of_string(text);
        send_frame(p, &frame);
}

/* ---- tests ---- */

static void test_streams_are_apart_and_the_status_is_exact(void **state)
{
        cleanup_buf struct buf out = buf_with_max(4096), err = buf_with_max(4096);
        struct parent p;
        int status = -1;

        (void)state;
        begin(&p);
        run(&p, 1, "echo out; echo err >&2; cat; exit 42");
        send_input(&p, 1, "typed");
        send_type(&p, SERVICE_END, 1);
        collect(&p, 1, &out, &err, &status);
        assert_string_equal(buf_string(&out), "out\ntyped");
        assert_string_equal(buf_string(&err), "err\n");
        assert_int_equal(status, 42);
        send_type(&p, SERVICE_SHUTDOWN, 0);
        finish(&p, 0);
}

static void test_a_flood_blocks_nobody_else(void **state)
{
        cleanup_buf struct buf out = buf_with_max(INPUT_MAX), err = buf_with_max(4096);
        struct parent p;
        size_t flooded = 0;
        int status = -1;

        (void)state;
        begin(&p);
        run(&p, 1, "exec cat /dev/zero");
        /* Nothing is granted: it may send a window's worth, and no more. */
        while (flooded < SERVICE_WINDOW) {
                expect(&p, SERVICE_DATA, 1);
                flooded += p.frame.bytes.n;
        }
        assert_int_equal(flooded, SERVICE_WINDOW);
        run(&p, 2, "echo through; exit 3");
        collect(&p, 2, &out, &err, &status);
        assert_string_equal(buf_string(&out), "through\n");
        assert_int_equal(status, 3);
        finish(&p, 2);
}

static void test_who_writes_on_behind_the_end_does_not_hold_it_up(void **state)
{
        enum { PIECE = 64, ENOUGH = SERVICE_WINDOW + 256 * 1024 };
        struct parent p;
        size_t flooded = 0;

        (void)state;
        begin(&p);
        run(&p, 1, "cat /dev/zero 2>/dev/null & read line; exit 7");
        while (next(&p) && p.frame.type != SERVICE_EXITED && flooded < ENOUGH) {
                size_t n = p.frame.type == SERVICE_DATA ? p.frame.bytes.n : 0;
                flooded += n;
                if (n > 0 && flooded == SERVICE_WINDOW)
                        send_input(&p, 1, "end\n");
                /* stderr was the shell's alone.  From here on pieces are granted, so that there is always
                 * more. */
                else if (n > 0 ? flooded > SERVICE_WINDOW : p.frame.type == SERVICE_END)
                        grant(&p, 1, SERVICE_STDOUT, PIECE);
        }
        assert_int_equal(p.frame.type, SERVICE_EXITED);
        assert_int_equal(p.frame.status, 7);
        finish(&p, 2);
}

static void test_a_megabyte_comes_back_through_stdin(void **state)
{
        cleanup_buf struct buf out = buf_with_max(INPUT_MAX), err = buf_with_max(4096);
        static uint8_t sent[1024 * 1024];
        struct parent p;
        size_t at = 0, window = SERVICE_WINDOW;
        int status = -1;

        (void)state;
        for (size_t i = 0; i < sizeof(sent); i++)
                sent[i] = (uint8_t)(i * 2654435761U >> 13);
        begin(&p);
        run(&p, 1, "exec cat");
        while (out.n < sizeof(sent)) {
                while (at < sizeof(sent) && window > 0) {
                        struct service_frame data = {
                                .type = SERVICE_DATA, .process = 1, .stream = SERVICE_STDIN};
                        size_t n = window < SERVICE_DATA_MAX ? window : SERVICE_DATA_MAX;
                        n = n < sizeof(sent) - at ? n : sizeof(sent) - at;
                        data.bytes = view_of(sent + at, n);
                        send_frame(&p, &data);
                        at += n;
                        window -= n;
                }
                assert_true(next(&p));
                if (p.frame.type == SERVICE_GRANT) {
                        window += p.frame.taken;
                } else {
                        assert_int_equal(p.frame.type, SERVICE_DATA);
                        size_t n = p.frame.bytes.n;
                        buf_append_view(&out, p.frame.bytes);
                        grant(&p, 1, SERVICE_STDOUT, n);
                }
        }
        assert_memory_equal(out.p, sent, sizeof(sent));
        send_type(&p, SERVICE_END, 1);
        collect(&p, 1, &out, &err, &status);
        assert_int_equal(status, 0);
        finish(&p, 2);
}

static void test_a_terminal_has_a_size_and_takes_another(void **state)
{
        cleanup_service_process struct service_process process;
        cleanup_buf struct buf out = buf_with_max(4096), err = buf_with_max(4096);
        struct service_frame resize = {.type = SERVICE_RESIZE, .process = 1};
        struct parent p;
        int status = -1;

        (void)state;
        begin(&p);
        describe(&process, "tty >/dev/null && stty size; read x; stty size; exit 5");
        process.terminal = true;
        process.rows = 30;
        process.columns = 100;
        create(&p, 1, &process);
        expect(&p, SERVICE_CREATED, 1);
        send_type(&p, SERVICE_START, 1);
        expect(&p, SERVICE_STARTED, 1);
        expect(&p, SERVICE_DATA, 1);
        assert_memory_equal(p.frame.bytes.p, "30 100", 6);
        resize.size.rows = 41;
        resize.size.columns = 142;
        send_frame(&p, &resize);
        send_input(&p, 1, "go\n");
        collect(&p, 1, &out, &err, &status);
        assert_non_null(strstr(buf_string(&out), "41 142\r\n"));
        assert_int_equal(status, 5);
        finish(&p, 2);
}

static void test_signals_reach_their_process(void **state)
{
        cleanup_buf struct buf out = buf_with_max(4096), err = buf_with_max(4096);
        struct service_frame signal = {.type = SERVICE_SIGNAL, .process = 1};
        struct parent p;
        int status = -1;

        (void)state;
        begin(&p);
        run(&p, 1, "trap 'echo caught; exit 7' USR1; echo ready; while :; do sleep 0.05; done");
        expect(&p, SERVICE_DATA, 1);
        signal.signal = SIGUSR1;
        send_frame(&p, &signal);
        collect(&p, 1, &out, &err, &status);
        assert_string_equal(buf_string(&out), "caught\n");
        assert_int_equal(status, 7);
        finish(&p, 2);
}

static void test_the_others_end_with_the_first(void **state)
{
        cleanup_service_process struct service_process process;
        struct service_frame signal = {.type = SERVICE_SIGNAL, .process = 1};
        struct parent p;
        int ended = 0;

        (void)state;
        begin(&p);
        run(&p, 1, "exec sleep 100");
        run(&p, 2, "exec sleep 100");
        signal.signal = SIGKILL;
        send_frame(&p, &signal);
        while (ended < 2) {
                assert_true(next(&p));
                if (p.frame.type == SERVICE_SIGNALED) {
                        assert_int_equal(p.frame.signaled.signal, SIGKILL);
                        ended++;
                }
        }
        describe(&process, "true");
        create(&p, 3, &process);
        expect(&p, SERVICE_FAILED, 3);
        assert_int_equal(p.frame.failed.errnum, ESRCH);
        finish(&p, 2);
}

static void test_no_process_comes_after_the_first_however_that_ended(void **state)
{
        cleanup_buf struct buf out = buf_with_max(4096), err = buf_with_max(4096);
        cleanup_service_process struct service_process process;
        struct parent p;
        int status = -1;

        (void)state;
        begin(&p);
        run(&p, 1, "exit 0");
        collect(&p, 1, &out, &err, &status);
        assert_int_equal(status, 0);
        describe(&process, "true");
        create(&p, 2, &process);
        expect(&p, SERVICE_FAILED, 2);
        assert_int_equal(p.frame.failed.errnum, ESRCH);
        finish(&p, 2);
}

static void test_a_signal_before_the_start_reaches_nobody(void **state)
{
        cleanup_buf struct buf out = buf_with_max(4096), err = buf_with_max(4096);
        cleanup_service_process struct service_process process;
        struct service_frame signal = {.type = SERVICE_SIGNAL, .process = 1};
        struct parent p;
        int status = -1;

        (void)state;
        begin(&p);
        describe(&process, "exit 6");
        create(&p, 1, &process);
        expect(&p, SERVICE_CREATED, 1);
        signal.signal = SIGTERM;
        send_frame(&p, &signal);
        send_type(&p, SERVICE_START, 1);
        expect(&p, SERVICE_STARTED, 1);
        collect(&p, 1, &out, &err, &status);
        assert_int_equal(status, 6);
        finish(&p, 2);
}

static void test_there_are_as_many_processes_as_the_protocol_says(void **state)
{
        cleanup_service_process struct service_process process;
        struct parent p;

        (void)state;
        begin(&p);
        describe(&process, "true");
        for (uint32_t id = 1; id <= SERVICE_PROCESSES_MAX; id++) {
                create(&p, id, &process);
                expect(&p, SERVICE_CREATED, id);
        }
        create(&p, SERVICE_PROCESSES_MAX + 1, &process);
        expect(&p, SERVICE_FAILED, SERVICE_PROCESSES_MAX + 1);
        assert_int_equal(p.frame.failed.errnum, EAGAIN);
        finish(&p, 2);
}

static void test_why_something_failed_is_told(void **state)
{
        cleanup_service_process struct service_process process;
        cleanup_service_process struct service_process nowhere;
        struct service_frame setup = {.type = SERVICE_SETUP};
        struct parent p;

        (void)state;
        connect_parent(&p);
        setup.bytes = view_of("\x01\0\0\0\x04"
                              "bad",
                              9);
        send_frame(&p, &setup);
        expect(&p, SERVICE_FAILED, 0);
        assert_string_equal(p.frame.failed.path, "/bad");
        /* There is no container that a process could be of. */
        describe(&process, "true");
        create(&p, 1, &process);
        assert_false(next(&p));
        finish(&p, 2);
        service_process_done(&process);

        begin(&p);
        describe(&process, "");
        process.argv[0] = "/nonexistent";
        create(&p, 1, &process);
        expect(&p, SERVICE_CREATED, 1);
        send_type(&p, SERVICE_START, 1);
        expect(&p, SERVICE_FAILED, 1);
        assert_int_equal(p.frame.failed.errnum, ENOENT);
        assert_string_equal(p.frame.failed.path, "/nonexistent");
        describe(&nowhere, "true");
        nowhere.cwd = "/dev/null/x";
        create(&p, 2, &nowhere);
        expect(&p, SERVICE_CREATED, 2);
        send_type(&p, SERVICE_START, 2);
        expect(&p, SERVICE_FAILED, 2);
        assert_string_equal(p.frame.failed.stage, "enter the working folder");
        finish(&p, 2);
}

static void send_bytes(struct parent *p, uint32_t id, size_t n)
{
        static uint8_t zeros[SERVICE_DATA_MAX];
        struct service_frame frame = {.type = SERVICE_DATA, .process = id, .stream = SERVICE_STDIN};

        for (size_t at = 0; at < n; at += frame.bytes.n) {
                frame.bytes = view_of(zeros, n - at < sizeof(zeros) ? n - at : sizeof(zeros));
                send_frame(p, &frame);
        }
}

/* Sends process 1, which reads nothing, all that it may be sent: what its pipe takes is granted again. */
static void fill_input(struct parent *p, const struct service_process *process)
{
        uint32_t id = 2; /* of a process whose making says that all before it has had its effect */

        for (size_t window = SERVICE_WINDOW; window > 0; id++) {
                send_bytes(p, 1, window);
                window = 0;
                create(p, id, process);
                while (next(p) && p->frame.type == SERVICE_GRANT)
                        window += p->frame.taken;
                assert_int_equal(p->frame.type, SERVICE_CREATED);
        }
}

static void test_a_parent_sends_no_more_than_was_granted(void **state)
{
        cleanup_service_process struct service_process process;
        struct service_frame grant_of_input = {.type = SERVICE_GRANT, .process = 1, .stream = SERVICE_STDIN};
        struct parent p;

        (void)state;
        describe(&process, "true");
        begin(&p);
        run(&p, 1, "exec sleep 100");
        fill_input(&p, &process);
        send_bytes(&p, 1, 1);
        assert_false(next(&p));
        finish(&p, 2);

        begin(&p);
        run(&p, 1, "exec sleep 100");
        fill_input(&p, &process);
        grant_of_input.taken = 1; /* to itself */
        send_frame(&p, &grant_of_input);
        assert_false(next(&p));
        finish(&p, 2);
}

static void test_streams_have_a_direction_and_a_time(void **state)
{
        static const struct {
                const char *what;
                struct service_frame frame;
                bool started;
        } cases[] = {
                {"before the start", {.type = SERVICE_END, .process = 1, .stream = SERVICE_STDIN}, false},
                {"an input that is closed",
                 {.type = SERVICE_CLOSE, .process = 1, .stream = SERVICE_STDIN},
                 true},
                {"an output that is ended",
                 {.type = SERVICE_END, .process = 1, .stream = SERVICE_STDOUT},
                 true},
        };
        cleanup_service_process struct service_process process;
        struct parent p;

        (void)state;
        describe(&process, "exec sleep 100");
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                print_message("%s\n", cases[i].what);
                begin(&p);
                create(&p, 1, &process);
                expect(&p, SERVICE_CREATED, 1);
                if (cases[i].started) {
                        send_type(&p, SERVICE_START, 1);
                        expect(&p, SERVICE_STARTED, 1);
                }
                send_frame(&p, &cases[i].frame);
                assert_false(next(&p));
                finish(&p, 2);
        }
}

static void test_nothing_comes_behind_the_end_of_an_input(void **state)
{
        cleanup_service_process struct service_process process;
        struct parent p;

        (void)state;
        describe(&process, "true");
        for (int again = 0; again < 2; again++) {
                begin(&p);
                run(&p, 1, "exec sleep 100");
                fill_input(&p, &process); /* so that the end waits behind it */
                send_type(&p, SERVICE_END, 1);
                if (again)
                        send_type(&p, SERVICE_END, 1);
                else
                        send_input(&p, 1, "x");
                assert_false(next(&p));
                finish(&p, 2);
        }
}

static void test_a_parent_that_breaks_the_rules_ends_the_service(void **state)
{
        struct parent p;

        (void)state;
        begin(&p);
        send_type(&p, SERVICE_SETUP, 0); /* again */
        assert_false(next(&p));
        finish(&p, 2);

        begin(&p);
        send_type(&p, SERVICE_START, 9); /* never created */
        assert_false(next(&p));
        finish(&p, 2);

        cleanup_service_process struct service_process process;
        describe(&process, "exec sleep 100");
        begin(&p);
        create(&p, 1, &process);
        expect(&p, SERVICE_CREATED, 1);
        create(&p, 1, &process); /* the number is taken */
        assert_false(next(&p));
        finish(&p, 2);

        begin(&p);
        run(&p, 1, "exec sleep 100");
        send_type(&p, SERVICE_START, 1); /* again */
        assert_false(next(&p));
        finish(&p, 2);

        begin(&p);
        run(&p, 1, "exec sleep 100");
        grant(&p, 1, SERVICE_STDOUT, 1); /* nothing was taken */
        assert_false(next(&p));
        finish(&p, 2);

        begin(&p);
        assert_int_equal(fd_write_full(p.fd, "\xff", 1), 0);
        assert_false(next(&p));
        finish(&p, 2);
}

static void test_who_takes_no_more_is_told(void **state)
{
        cleanup_buf struct buf out = buf_with_max(4096), err = buf_with_max(4096);
        struct service_frame close_it = {.type = SERVICE_CLOSE, .process = 2, .stream = SERVICE_STDOUT};
        struct parent p;
        int status = -1;

        (void)state;
        begin(&p);
        run(&p, 1, "exec sleep 100");
        run(&p, 2, "exec yes");
        expect(&p, SERVICE_DATA, 2);
        send_frame(&p, &close_it);
        while (next(&p) && p.frame.type != SERVICE_SIGNALED)
                ;
        assert_int_equal(p.frame.signaled.signal, SIGPIPE);
        run(&p, 3, "exec <&-; echo closed; sleep 0.1; exit 9");
        expect(&p, SERVICE_DATA, 3);
        send_input(&p, 3, "nobody reads this");
        expect(&p, SERVICE_CLOSE, 3);
        assert_int_equal(p.frame.stream, SERVICE_STDIN);
        send_input(&p, 3, "this was on its way");
        collect(&p, 3, &out, &err, &status);
        assert_int_equal(status, 9);
        finish(&p, 2);
}

/* A connection that takes all at once; else the kernel asks for the rest in time by itself. */
static void test_many_requests_at_once_are_all_answered(void **state)
{
        enum { REQUESTS = 7000, ROOM = 8 << 20 };
        const struct service_frame request = {.type = SERVICE_CREATE, .process = 1};
        cleanup_buf struct buf all = buf_with_max((size_t)REQUESTS * SERVICE_HEADER_SIZE);
        struct parent p;
        int status;

        (void)state;
        connection_room = ROOM;
        begin(&p);
        connection_room = 0;
        for (int i = 0; i < REQUESTS; i++)
                assert_int_equal(service_frame_encode(&request, &all), 0);
        assert_int_equal(kill(p.pid, SIGSTOP), 0);
        assert_int_equal(waitpid(p.pid, &status, WUNTRACED), p.pid);
        assert_int_equal(fd_write_full(p.fd, all.p, all.n), 0);
        assert_int_equal(kill(p.pid, SIGCONT), 0);
        for (int i = 0; i < REQUESTS; i++)
                expect(&p, SERVICE_FAILED, 1);
        finish(&p, 2);
}

static void test_attributes_are_the_processs(void **state)
{
        cleanup_service_process struct service_process process;
        cleanup_buf struct buf out = buf_with_max(8192), err = buf_with_max(4096);
        struct parent p;
        int status = -1;

        (void)state;
        if (getuid() != 0)
                skip(); /* to become somebody else takes root */
        begin(&p);
        describe(&process,
                 "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs)' /proc/self/status; umask; ulimit -n; pwd; "
                 "echo \"$ODD\"");
        assert_int_equal(service_process_add_env(&process, "ODD=\x01\xff\n="), 0);
        process.uid = 1234;
        process.gid = 2345;
        process.groups = calloc(1, sizeof(*process.groups));
        process.limits = calloc(1, sizeof(*process.limits));
        assert_true(process.groups && process.limits);
        process.groups[process.n_groups++] = 3456;
        process.limits[process.n_limits++] =
                (struct service_limit){.resource = RLIMIT_NOFILE, .soft = 77, .hard = 88};
        memset(process.capabilities, 0, sizeof(process.capabilities));
        for (size_t i = 0; i < SERVICE_CAPABILITY_SETS; i++)
                process.capabilities[i] = 1; /* CAP_CHOWN, ambient too */
        process.no_new_privileges = true;
        process.umask = 027;
        process.cwd = "/tmp";
        create(&p, 1, &process);
        expect(&p, SERVICE_CREATED, 1);
        send_type(&p, SERVICE_START, 1);
        expect(&p, SERVICE_STARTED, 1);
        collect(&p, 1, &out, &err, &status);
        assert_int_equal(status, 0);
        assert_string_equal(buf_string(&out), "Uid:\t1234\t1234\t1234\t1234\n"
                                              "Gid:\t2345\t2345\t2345\t2345\n"
                                              "Groups:\t3456 \n"
                                              "CapInh:\t0000000000000001\n"
                                              "CapPrm:\t0000000000000001\n"
                                              "CapEff:\t0000000000000001\n"
                                              "CapBnd:\t0000000000000001\n"
                                              "CapAmb:\t0000000000000001\n"
                                              "NoNewPrivs:\t1\n"
                                              "0027\n77\n/tmp\n\x01\xff\n=\n");
        finish(&p, 2);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_streams_are_apart_and_the_status_is_exact),
                cmocka_unit_test(test_a_flood_blocks_nobody_else),
                cmocka_unit_test(test_who_writes_on_behind_the_end_does_not_hold_it_up),
                cmocka_unit_test(test_a_megabyte_comes_back_through_stdin),
                cmocka_unit_test(test_a_terminal_has_a_size_and_takes_another),
                cmocka_unit_test(test_signals_reach_their_process),
                cmocka_unit_test(test_the_others_end_with_the_first),
                cmocka_unit_test(test_no_process_comes_after_the_first_however_that_ended),
                cmocka_unit_test(test_a_signal_before_the_start_reaches_nobody),
                cmocka_unit_test(test_there_are_as_many_processes_as_the_protocol_says),
                cmocka_unit_test(test_why_something_failed_is_told),
                cmocka_unit_test(test_a_parent_that_breaks_the_rules_ends_the_service),
                cmocka_unit_test(test_a_parent_sends_no_more_than_was_granted),
                cmocka_unit_test(test_streams_have_a_direction_and_a_time),
                cmocka_unit_test(test_nothing_comes_behind_the_end_of_an_input),
                cmocka_unit_test(test_who_takes_no_more_is_told),
                cmocka_unit_test(test_many_requests_at_once_are_all_answered),
                cmocka_unit_test(test_attributes_are_the_processs),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
