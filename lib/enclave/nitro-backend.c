/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nitro-backend.c - an enclave's machine on the Nitro Enclaves driver.
 *
 * Theory of operation.  All is done by start(), before the supervisor gives up its rights: memory, image,
 * CPUs, the start, and in debug mode the connection to the console.  What is left is to wait for the
 * enclave's descriptor and to hand the console's bytes on.  The driver doesn't tell why an enclave ended;
 * its console may.
 */
#include "lib/enclave/backend.h"
#include "lib/enclave/nitro.h"

#include "lib/base/clock.h"
#include "lib/base/fd.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

enum { CPUS_MAX = 4096, CONSOLE_TRIES = 50, CONSOLE_RETRY_US = 100 * 1000, PIECE = 16384 };

struct machine {
        struct nitro *nitro;
        machine_ended_fn ended;
        void *user;
        struct loop_source *end_source;
        struct loop_source *quit_timer;
        int from_fd; /* the console; -1: none, or its end came */
        int to_fd;
        struct loop_source *from_source;
        struct loop_source *to_source;
        uint8_t piece[PIECE]; /* that is on its way */
        size_t at, n;
};

static int nitro_prepare(const struct backend_request *request, struct backend_choice *ret_choice,
                         struct error *err)
{
        if (request->cpus < 1 || request->cpus > CPUS_MAX)
                return error_set(err, -EINVAL, "--cpus %u: an enclave can have as many as the CPU pool",
                                 request->cpus);
        if (request->mem_mib < NITRO_MEM_MIN_MIB || request->mem_mib % NITRO_MEM_STEP_MIB != 0)
                return error_set(err, -EINVAL, "--mem %u: an even number of at least %d MiB is wanted here",
                                 request->mem_mib, NITRO_MEM_MIN_MIB);
        *ret_choice = nitro_is_emulated() ? (struct backend_choice){ENCLAVE_ISOLATION_EMULATED, "ne-emulator"}
                                          : (struct backend_choice){ENCLAVE_ISOLATION_NITRO, NULL};
        return 0;
}

/* ---- console ---- */

/* Hands on what is there. False where the supervisor's socket is full. */
static bool hand_on(struct machine *machine)
{
        while (machine->at < machine->n) {
                ssize_t n = send(machine->to_fd, machine->piece + machine->at, machine->n - machine->at,
                                 MSG_DONTWAIT | MSG_NOSIGNAL);
                if (n < 0)
                        return errno != EAGAIN;
                machine->at += (size_t)n;
        }
        return true;
}

static void end_console(struct machine *machine)
{
        loop_remove(&machine->from_source);
        loop_remove(&machine->to_source);
        fd_close_p(&machine->from_fd);
        fd_close_p(&machine->to_fd);
}

static int on_console(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct machine *machine = user;

        (void)events;
        ssize_t n = recv(fd, machine->piece, PIECE, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n <= 0) {
                end_console(machine);
                return 0;
        }
        machine->at = 0;
        machine->n = (size_t)n;
        if (hand_on(machine))
                return 0;
        (void)loop_set_events(source, 0);
        return loop_set_events(machine->to_source, EPOLLOUT);
}

static int on_room(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct machine *machine = user;

        (void)fd;
        if (events & (EPOLLHUP | EPOLLERR)) {
                end_console(machine);
                return 0;
        }
        if (!hand_on(machine))
                return 0;
        (void)loop_set_events(source, 0);
        return loop_set_events(machine->from_source, EPOLLIN);
}

static int connect_console(struct machine *machine, const struct machine_spec *spec, struct loop *loop,
                           struct error *err)
{
        const struct sockaddr_vm address = {.svm_family = AF_VSOCK,
                                            .svm_cid = VMADDR_CID_HYPERVISOR,
                                            .svm_port = spec->cid + NITRO_CONSOLE_PORT_BASE};
        int r = -1;

        machine->from_fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
        machine->to_fd = fcntl(spec->console_fd, F_DUPFD_CLOEXEC, 0);
        if (machine->from_fd < 0 || machine->to_fd < 0)
                return error_errno(err, errno, "console");
        for (int i = 0; i < CONSOLE_TRIES && r < 0; i++) {
                r = connect(machine->from_fd, (const struct sockaddr *)&address, sizeof(address));
                if (r < 0)
                        clock_sleep_us(CONSOLE_RETRY_US);
        }
        if (r < 0)
                return error_errno(err, errno, "cannot connect to the enclave's console");
        r = loop_add_fd(loop, machine->from_fd, EPOLLIN, on_console, machine, &machine->from_source, err);
        return r < 0 ? r : loop_add_fd(loop, machine->to_fd, 0, on_room, machine, &machine->to_source, err);
}

/* ---- life ---- */

static void tell_end(struct machine *machine, const char *text)
{
        struct machine_end end = {.orderly = true, .by_guest = true};

        /* What the console said last: as much as the supervisor takes now. */
        if (machine->from_fd >= 0 && hand_on(machine)) {
                ssize_t n;
                while ((n = recv(machine->from_fd, machine->piece, PIECE, MSG_DONTWAIT)) > 0) {
                        machine->at = 0;
                        machine->n = (size_t)n;
                        if (!hand_on(machine))
                                break;
                }
        }
        end_console(machine);
        loop_remove(&machine->end_source);
        /* Its CPUs, memory and CID are free before anybody is told that it ended. */
        nitro_free(take_pointer(&machine->nitro));
        snprintf(end.text, sizeof(end.text), "%s", text);
        machine->ended(&end, machine->user);
}

static int on_end(struct loop_source *source, int fd, uint32_t events, void *user)
{
        (void)source;
        (void)fd;
        (void)events;
        tell_end(user, "the enclave ended");
        return 0;
}

static int on_quit(struct loop_source *source, void *user)
{
        struct machine *machine = user;

        (void)source;
        /* Nobody else has the descriptor: closing it ends the enclave. */
        loop_remove(&machine->end_source);
        nitro_free(take_pointer(&machine->nitro));
        tell_end(machine, "the enclave was ended");
        return 0;
}

static void nitro_backend_free(struct machine *machine)
{
        if (!machine)
                return;
        loop_remove(&machine->end_source);
        loop_remove(&machine->quit_timer);
        end_console(machine);
        nitro_free(machine->nitro);
        free(machine);
}
DEFINE_CLEANUP(cleanup_machine_p, struct machine *, nitro_backend_free)

static int boot(struct machine *machine, const struct machine_spec *spec, struct error *err)
{
        cleanup_fd int device = -1;
        struct stat st;
        uint32_t cid;
        int r;

        if (fstat(spec->kernel_fd, &st) < 0)
                return error_errno(err, errno, "the image");
        if ((r = nitro_open_device(&device, err)) < 0 ||
            (r = nitro_create(device, &machine->nitro, err)) < 0 ||
            (r = nitro_load(machine->nitro, spec->mem_mib, spec->kernel_fd, (uint64_t)st.st_size, err)) < 0 ||
            (r = nitro_add_cpus(machine->nitro, spec->cpus, err)) < 0)
                return r;
        return nitro_start(machine->nitro, spec->debug_mode, spec->cid, &cid, err);
}

static int nitro_backend_start(const struct machine_spec *spec, struct loop *loop, machine_ended_fn ended,
                               void *user, struct machine **ret_machine, struct error *err)
{
        CLEANUP(cleanup_machine_p) struct machine *machine = calloc(1, sizeof(*machine));
        int r;

        if (!machine)
                return error_oom(err);
        machine->ended = ended;
        machine->user = user;
        machine->from_fd = machine->to_fd = -1;
        if ((r = boot(machine, spec, err)) < 0 ||
            (r = loop_add_fd(loop, nitro_fd(machine->nitro), EPOLLIN, on_end, machine, &machine->end_source,
                             err)) < 0 ||
            (r = loop_add_timer(loop, UINT32_MAX, on_quit, machine, &machine->quit_timer, err)) < 0)
                return r;
        if (spec->debug_mode && (r = connect_console(machine, spec, loop, err)) < 0)
                return r;
        *ret_machine = take_pointer(&machine);
        return 0;
}

static void nitro_end(struct machine *machine)
{
        (void)loop_set_timer(machine->quit_timer, 0);
}

const struct backend backend_nitro = {
        .name = "nitro",
        .whole_images = true,
        .prepare = nitro_prepare,
        .start = nitro_backend_start,
        .quit = nitro_end,
        .kill = nitro_end,
        .free = nitro_backend_free,
};
