/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.  One loop, one thread: calls that wait (call.h), what enclaves and their sockets do,
 * and the end of the command.  A call is answered at once, but for accept() and connect(), which wait on the
 * loop.
 *
 * What this is no defence against.  The command, the enclaves' QEMUs apart, has the rights of whoever
 * started us, and we do nothing for it that it could not do itself.  So a command that changes a path while
 * we look at it fools itself only: it gets the kernel's answer instead of ours, or ours for what it named a
 * moment ago.
 */
#include "ne-emulator/emulator.h"

#include "ne-emulator/command.h"
#include "ne-emulator/files.h"
#include "ne-emulator/pages.h"
#include "ne-emulator/sockets.h"

#include "lib/base/fd.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>

struct emulator {
        const struct options *options;
        const struct log *log;
        struct loop *loop;
        struct enclave_set *enclaves;
        struct socket_set *sockets;
        struct command command;
        struct loop_source *calls;
};

static void handle_ioctl(struct emulator *emulator, const struct call *call)
{
        cleanup_target struct target target = TARGET_NONE;

        if (target_open(call, &target) < 0 || (!files_ioctl(emulator->enclaves, call, &target) &&
                                               !enclave_set_ioctl(emulator->enclaves, call, &target)))
                call_continue(call);
}

static void handle(struct emulator *emulator, const struct call *call)
{
        switch (call->nr) {
        case SYS_ioctl:
                handle_ioctl(emulator, call);
                break;
        case SYS_mmap:
                pages_call(call, emulator->log);
                break;
        case SYS_socket:
                socket_set_create(emulator->sockets, call);
                break;
        case SYS_bind:
        case SYS_listen:
        case SYS_connect:
        case SYS_accept:
        case SYS_accept4:
        case SYS_getsockname:
        case SYS_getpeername:
        case SYS_getsockopt:
        case SYS_setsockopt:
                socket_set_call(emulator->sockets, call);
                break;
        default:
                files_call(emulator->enclaves, call);
        }
}

static int on_call(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct emulator *emulator = user;
        struct call call;

        (void)source;
        if (events & EPOLLIN) {
                int r = call_receive(fd, &call);
                if (r == 0)
                        handle(emulator, &call);
                return r == -ENOENT || r == -EINTR ? 0 : r;
        }
        /* The last process under the filter has gone. */
        loop_remove(&emulator->calls);
        return 0;
}

static int on_guard_ended(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct emulator *emulator = user;

        (void)source;
        (void)fd;
        (void)events;
        loop_quit(emulator->loop, command_status(&emulator->command));
        return 0;
}

static int on_signal(struct loop_source *source, int signal, void *user)
{
        const struct emulator *emulator = user;

        (void)source;
        (void)kill(emulator->command.guard, signal);
        return 0;
}

static void on_started(uint32_t cid, struct vsock_device *device, void *user)
{
        struct emulator *emulator = user;

        (void)cid;
        socket_set_join(emulator->sockets, device);
}

/* Each connection of an enclave takes descriptors of ours. */
static void raise_limit(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max;
                (void)setrlimit(RLIMIT_NOFILE, &limit);
        }
}

static int prepare(struct emulator *emulator, struct error *err)
{
        const struct options *options = emulator->options;
        const struct enclave_set_options set_options = {
                .pool = options->cpus,
                .threads = options->threads,
                .any_pages = options->no_huge_pages,
                .enclaves_max = options->enclaves_max,
                .accelerator = options->accelerator,
                .log = emulator->log,
                .started = on_started,
                .user = emulator,
        };
        int r;

        if ((r = loop_new(&emulator->loop, err)) < 0 ||
            (r = enclave_set_new(emulator->loop, &set_options, &emulator->enclaves, err)) < 0)
                return r;
        return socket_set_new(emulator->loop, emulator->enclaves, emulator->log, &emulator->sockets, err);
}

static int watch(struct emulator *emulator, struct error *err)
{
        static const int signals[] = {SIGTERM, SIGHUP};
        int r = loop_add_fd(emulator->loop, emulator->command.listener, EPOLLIN, on_call, emulator,
                            &emulator->calls, err);

        if (r == 0)
                r = loop_add_fd(emulator->loop, emulator->command.guard_pidfd, EPOLLIN, on_guard_ended,
                                emulator, NULL, err);
        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(signals); i++)
                r = loop_add_signal(emulator->loop, signals[i], on_signal, emulator, NULL, err);
        return r;
}

int emulator_run(const struct options *options, const struct log *log, int *ret_status, struct error *err)
{
        struct emulator emulator = {.options = options, .log = log, .command = COMMAND_NONE};
        int r = prepare(&emulator, err);

        if (r == 0)
                r = command_start(options->command, options->no_huge_pages, &emulator.command, err);
        if (r == 0) {
                raise_limit();
                r = watch(&emulator, err);
        }
        if (r == 0 && (r = loop_run(emulator.loop)) < 0)
                (void)error_errno(err, -r, "the emulator failed");
        if (r >= 0)
                *ret_status = r;
        socket_set_free(emulator.sockets);
        enclave_set_free(emulator.enclaves);
        loop_free(emulator.loop);
        command_end(&emulator.command);
        return r < 0 ? r : 0;
}
