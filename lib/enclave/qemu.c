/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qemu.c - an enclave's machine as a QEMU process.
 *
 * Theory of operation.  QEMU gets all it needs as inherited descriptors (qemu-args.h): it opens no file of
 * ours by name, needs no right on our folders, and where we are root it runs as somebody who has none.  Its
 * own seccomp filter keeps it from starting anything, and before it begins it gives up what no machine needs
 * (qemu-confine.h).  It is killed by the kernel when the supervisor ends, however that happens.
 *
 * The machine has ended when the process has: pidfd readable.  What QMP and standard error said before then
 * explains why.  quit() asks by QMP; kill() doesn't ask.
 */
#include "lib/enclave/backend.h"
#include "lib/enclave/host.h"
#include "lib/enclave/qemu-args.h"
#include "lib/enclave/qemu-confine.h"
#include "lib/enclave/qemu-user.h"
#include "lib/enclave/qmp.h"
#include "lib/enclave/tsc.h"

#include "lib/base/child.h"
#include "lib/base/fd.h"
#include "lib/base/text.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STDERR_MAX = 16 * 1024, QMP_INPUT_MAX = 2 * QMP_LINE_MAX };

struct machine {
        struct child child;
        machine_ended_fn ended;
        void *user;
        int qmp_fd;
        int stderr_fd;
        struct buf qmp_input;
        struct buf stderr_text;
        bool shut_down; /* QMP: the machine ended, QEMU will follow */
        bool reset;     /* ... because the guest started over, as a kernel does that panicked */
        bool panicked;
        struct loop_source *exit_source;
        struct loop_source *qmp_source;
        struct loop_source *stderr_source;
};

static int qemu_prepare(const struct backend_request *request, struct backend_choice *ret_choice,
                        struct error *err)
{
        bool all = host_cpus() <= QEMU_CPUS_MAX;
        unsigned cpus = all ? host_cpus() : QEMU_CPUS_MAX;

        if (request->cpus < 1 || request->cpus > cpus)
                return error_set(err, -EINVAL, "--cpus %u: an enclave can have 1 to %u here, as many as %s",
                                 request->cpus, cpus, all ? "this machine has" : "QEMU's microvm can");
        return host_choose_isolation(request->accelerator, qemu_user_can_open_kvm(), &ret_choice->isolation,
                                     &ret_choice->why_emulated, err);
}

/* ---- what QEMU says ---- */

static void handle_message(struct machine *machine, const struct qmp_message *message)
{
        if (message->kind == QMP_EVENT && message->event == QMP_EVENT_SHUTDOWN) {
                machine->shut_down = true;
                if (strcmp(message->text, "guest-reset") == 0)
                        machine->reset = true;
        } else if (message->kind == QMP_EVENT && message->event == QMP_EVENT_GUEST_PANICKED) {
                machine->panicked = true;
        }
}

static void send_command(struct machine *machine, const char *name)
{
        cleanup_buf struct buf line = buf_with_max(256);

        if (machine->qmp_fd >= 0 && qmp_append_command(name, &line) == 0)
                /* A few bytes into an empty socket; where QEMU has gone, its exit tells. */
                (void)!send(machine->qmp_fd, line.p, line.n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Reads what there is. True while more may come. */
static bool read_some(int fd, struct buf *b)
{
        uint8_t piece[4096];
        ssize_t n = read(fd, piece, sizeof(piece));

        if (n > 0)
                return buf_append(b, piece, (size_t)n) == 0;
        return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static void stop_qmp(struct machine *machine)
{
        loop_remove(&machine->qmp_source);
        fd_close_p(&machine->qmp_fd);
}

static int on_qmp(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct machine *machine = user;
        struct qmp_message message;
        int r = 0;

        (void)source;
        (void)events;
        bool more = read_some(fd, &machine->qmp_input);
        while ((r = qmp_next(&machine->qmp_input, &message, NULL)) > 0) {
                if (message.kind == QMP_GREETING)
                        send_command(machine, "qmp_capabilities");
                handle_message(machine, &message);
        }
        /* Whoever speaks no QMP here is not the QEMU that we started any more. */
        if (r < 0)
                kill(machine->child.pid, SIGKILL);
        if (r < 0 || !more)
                stop_qmp(machine);
        return 0;
}

/* Keeps the end of what QEMU complains about. */
static int on_stderr(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct machine *machine = user;

        (void)events;
        if (machine->stderr_text.n > STDERR_MAX / 2)
                buf_consume(&machine->stderr_text, machine->stderr_text.n - STDERR_MAX / 2);
        if (!read_some(fd, &machine->stderr_text))
                loop_remove(&machine->stderr_source);
        (void)source;
        return 0;
}

/* ---- the end ---- */

/* The last line that QEMU wrote to standard error, in printable characters; "" where it wrote none. */
static void last_complaint(const struct machine *machine, char *ret_text, size_t size)
{
        struct view v = buf_view(&machine->stderr_text);
        size_t start;

        while (v.n > 0 && v.p[v.n - 1] <= ' ')
                v.n--;
        for (start = v.n; start > 0 && v.p[start - 1] != '\n'; start--)
                ;
        text_printable(view_of(v.p + start, v.n - start), ret_text, size);
}

static struct machine_end describe_end(const struct machine *machine, int status)
{
        struct machine_end end = {.by_guest = machine->shut_down || machine->panicked};
        char complaint[512];

        last_complaint(machine, complaint, sizeof(complaint));
        if (machine->panicked || machine->reset)
                snprintf(end.text, sizeof(end.text), "the guest's kernel gave up (it %s)",
                         machine->panicked ? "panicked" : "restarted the machine, as it does after a panic");
        else if (WIFSIGNALED(status))
                snprintf(end.text, sizeof(end.text), "QEMU was killed by signal %d (%s)%s%s",
                         WTERMSIG(status), strsignal(WTERMSIG(status)), complaint[0] ? ": " : "", complaint);
        else if (WEXITSTATUS(status) != 0 || !machine->shut_down)
                snprintf(end.text, sizeof(end.text), "QEMU ended with status %d%s%s", WEXITSTATUS(status),
                         complaint[0] ? ": " : "", complaint);
        else
                end.orderly = true;
        if (end.orderly)
                snprintf(end.text, sizeof(end.text), "the machine was powered off");
        return end;
}

static void drain(struct machine *machine)
{
        struct qmp_message message;

        while (machine->qmp_fd >= 0 && machine->qmp_input.n < QMP_LINE_MAX) {
                size_t before = machine->qmp_input.n;
                if (!read_some(machine->qmp_fd, &machine->qmp_input) || machine->qmp_input.n == before)
                        break;
        }
        while (qmp_next(&machine->qmp_input, &message, NULL) > 0)
                handle_message(machine, &message);
        while (machine->stderr_text.n < STDERR_MAX) {
                size_t before = machine->stderr_text.n;
                if (!read_some(machine->stderr_fd, &machine->stderr_text) || machine->stderr_text.n == before)
                        break;
        }
}

static int on_exit_event(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct machine *machine = user;
        int status = 0;

        (void)source;
        (void)fd;
        (void)events;
        drain(machine);
        loop_remove(&machine->exit_source);
        loop_remove(&machine->stderr_source);
        stop_qmp(machine);
        (void)child_wait(&machine->child, &status);
        struct machine_end end = describe_end(machine, status);
        machine->ended(&end, machine->user);
        return 0;
}

/* ---- starting ---- */

static int spawn(struct machine *machine, const struct machine_spec *spec, int qmp_fd, int stderr_fd,
                 struct error *err)
{
        cleanup_qemu_args char **argv = NULL;
        const char *const *words;
        struct qemu_user user;
        cleanup_free char *whose = string_printf("COFFER_STATE_DIR=%s", getenv("COFFER_STATE_DIR") ?: "");
        /* The last one is not for QEMU: it tells in /proc to whose registry a QEMU belongs. */
        const char *const env[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", whose, NULL};
        const struct child_fd fds[] = {
                {stderr_fd, STDERR_FILENO},          {spec->kernel_fd, QEMU_FD_KERNEL},
                {spec->console_fd, QEMU_FD_CONSOLE}, {qmp_fd, QEMU_FD_QMP},
                {spec->vsock_fd, QEMU_FD_VSOCK},     {spec->initrd_fd, QEMU_FD_INITRD},
        };
        cleanup_free char *home = qemu_home();
        struct machine_spec told = *spec;

        if (spec->isolation == ENCLAVE_ISOLATION_EMULATED && spec->tsc_khz == 0)
                told.tsc_khz = tsc_khz();
        int r = qemu_user_choose(&user, err);
        if (r < 0 || (r = qemu_args_build(&told, &argv, err)) < 0)
                return r;
        words = (const char *const *)argv;
        struct child_spec child = {
                .argv = words,
                .env = env,
                .fds = fds,
                .n_fds = spec->initrd_fd >= 0 ? ARRAY_SIZE(fds) : ARRAY_SIZE(fds) - 1,
                .uid = user.uid,
                .gid = user.gid,
                .groups = user.groups,
                .n_groups = user.n_groups,
                /* With no network, no other's shared memory, and no name to change: it needs none of them. */
                .namespaces = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS,
                .die_with_parent = true,
                .new_session = true,
                .confine = qemu_confine,
                .confine_user = home,
        };
        r = child_start(&child, &machine->child, err);
        if (r == -ENOENT)
                error_hint(err, "install QEMU (qemu-system-x86)");
        return r;
}

static int watch(struct machine *machine, struct loop *loop, struct error *err)
{
        int r;

        if ((r = loop_add_fd(loop, machine->child.pidfd, EPOLLIN, on_exit_event, machine,
                             &machine->exit_source, err)) < 0 ||
            (r = loop_add_fd(loop, machine->qmp_fd, EPOLLIN, on_qmp, machine, &machine->qmp_source, err)) <
                    0 ||
            (r = loop_add_fd(loop, machine->stderr_fd, EPOLLIN, on_stderr, machine, &machine->stderr_source,
                             err)) < 0)
                return r;
        return 0;
}

static void qemu_free(struct machine *machine)
{
        if (!machine)
                return;
        loop_remove(&machine->exit_source);
        loop_remove(&machine->qmp_source);
        loop_remove(&machine->stderr_source);
        child_kill(&machine->child);
        fd_close_p(&machine->qmp_fd);
        fd_close_p(&machine->stderr_fd);
        buf_done(&machine->qmp_input);
        buf_done(&machine->stderr_text);
        free(machine);
}
DEFINE_CLEANUP(cleanup_machine_p, struct machine *, qemu_free)

static int qemu_start(const struct machine_spec *spec, struct loop *loop, machine_ended_fn ended, void *user,
                      struct machine **ret_machine, struct error *err)
{
        CLEANUP(cleanup_machine_p) struct machine *machine = malloc(sizeof(*machine));
        int pair[2], pipe_fds[2];
        int r;

        if (!machine)
                return error_oom(err);
        *machine = (struct machine){
                .child = CHILD_NONE,
                .ended = ended,
                .user = user,
                .qmp_fd = -1,
                .stderr_fd = -1,
                .qmp_input = buf_with_max(QMP_INPUT_MAX),
                .stderr_text = buf_with_max(STDERR_MAX),
        };
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return error_errno(err, errno, "QMP");
        machine->qmp_fd = pair[0];
        cleanup_fd int qmp_peer = pair[1];
        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return error_errno(err, errno, "QEMU's standard error");
        machine->stderr_fd = pipe_fds[0];
        cleanup_fd int stderr_peer = pipe_fds[1];
        if ((r = fd_set_nonblocking(machine->qmp_fd)) < 0 || (r = fd_set_nonblocking(machine->stderr_fd)) < 0)
                return error_errno(err, -r, "QEMU");
        if ((r = spawn(machine, spec, qmp_peer, stderr_peer, err)) < 0 || (r = watch(machine, loop, err)) < 0)
                return r;
        *ret_machine = take_pointer(&machine);
        return 0;
}

static void qemu_quit(struct machine *machine)
{
        send_command(machine, "quit");
}

static void qemu_kill(struct machine *machine)
{
        if (machine->child.pid > 0)
                kill(machine->child.pid, SIGKILL);
}

const struct backend backend_qemu = {
        .name = "qemu",
        .prepare = qemu_prepare,
        .start = qemu_start,
        .quit = qemu_quit,
        .kill = qemu_kill,
        .free = qemu_free,
};
