/* SPDX-License-Identifier: Apache-2.0 */
#include "ne-emulator/machine.h"

#include "lib/base/fd.h"
#include "lib/enclave/backend.h"
#include "lib/enclave/console.h"
#include "lib/enclave/host.h"
#include "lib/enclave/qemu-user.h"

#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONSOLE_SIZE = 1024 * 1024 };

/* Somebody who reads the console. */
struct viewer {
        struct ne_machine *machine;
        LIST_ENTRY(viewer) entry;
        int fd;
        struct loop_source *source;
        uint64_t position;
};

struct ne_machine {
        struct ne_machine_spec spec;
        struct loop *loop;
        struct machine *machine;
        struct vsock_device *device;
        struct console *console; /* debug mode */
        int console_fd;
        struct loop_source *console_source;
        LIST_HEAD(, viewer) viewers;
};

/* ---- console ---- */

static void viewer_free(struct viewer *viewer)
{
        LIST_REMOVE(viewer, entry);
        loop_remove(&viewer->source);
        fd_close_p(&viewer->fd);
        free(viewer);
}

/* Sends what the viewer has not seen. False where it has gone. */
static bool viewer_send(struct viewer *viewer)
{
        uint64_t missed;

        for (;;) {
                struct view piece = console_peek(viewer->machine->console, &viewer->position, &missed);
                if (piece.n == 0)
                        return loop_set_events(viewer->source, EPOLLRDHUP) == 0;
                ssize_t n = send(viewer->fd, piece.p, piece.n, MSG_DONTWAIT | MSG_NOSIGNAL);
                if (n < 0 && errno == EAGAIN)
                        return loop_set_events(viewer->source, EPOLLOUT | EPOLLRDHUP) == 0;
                if (n < 0)
                        return false;
                viewer->position += (uint64_t)n;
        }
}

static int on_viewer(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct viewer *viewer = user;

        (void)source;
        (void)fd;
        if ((events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP)) || !viewer_send(viewer))
                viewer_free(viewer);
        return 0;
}

bool ne_machine_has_console(const struct ne_machine *machine)
{
        return machine->console;
}

int ne_machine_show_console(struct ne_machine *machine, int taken_fd, struct error *err)
{
        cleanup_fd int fd = taken_fd;
        int r;

        if (!machine->console)
                return error_set(err, -EPERM, "the enclave isn't in debug mode");
        cleanup_free struct viewer *viewer = calloc(1, sizeof(*viewer));
        if (!viewer)
                return error_oom(err);
        *viewer = (struct viewer){.machine = machine, .fd = -1};
        r = loop_add_fd(machine->loop, fd, EPOLLOUT | EPOLLRDHUP, on_viewer, viewer, &viewer->source, err);
        if (r < 0)
                return r;
        viewer->fd = take_fd(&fd);
        LIST_INSERT_HEAD(&machine->viewers, viewer, entry);
        take_pointer(&viewer);
        return 0;
}

static void show_to_all(struct ne_machine *machine)
{
        for (struct viewer *viewer = LIST_FIRST(&machine->viewers), *next; viewer; viewer = next) {
                next = LIST_NEXT(viewer, entry);
                if (!viewer_send(viewer))
                        viewer_free(viewer);
        }
}

/* Takes what has come. The bytes, 0 at the end, or -errno. */
static ssize_t read_console(struct ne_machine *machine)
{
        uint8_t piece[16384];
        ssize_t n = recv(machine->console_fd, piece, sizeof(piece), MSG_DONTWAIT);

        if (n > 0 && machine->console)
                console_write(machine->console, view_of(piece, (size_t)n));
        return n < 0 ? -errno : n;
}

static int on_console(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct ne_machine *machine = user;

        (void)source;
        (void)fd;
        (void)events;
        ssize_t n = read_console(machine);
        if (n > 0)
                show_to_all(machine);
        else if (n != -EAGAIN && n != -EINTR)
                loop_remove(&machine->console_source);
        return 0;
}

/* ---- life ---- */

static void on_ended(const struct machine_end *end, void *user)
{
        struct ne_machine *machine = user;

        while (read_console(machine) > 0)
                show_to_all(machine);
        machine->spec.ended(end->by_guest, end->text, machine->spec.user);
}

static int make_vsock(struct ne_machine *machine, int *ret_fd, struct error *err)
{
        const struct vsock_device_options options = {
                .guest_cid = machine->spec.cid, .dirfd = -1, .log = machine->spec.log};
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return error_errno(err, errno, "vsock");
        cleanup_fd int ours = pair[0];
        cleanup_fd int theirs = pair[1];
        int r = vsock_device_new(machine->loop, &options, ours, &machine->device, err);
        if (r < 0)
                return r;
        (void)take_fd(&ours);
        *ret_fd = take_fd(&theirs);
        return 0;
}

static int make_console(struct ne_machine *machine, int *ret_fd, struct error *err)
{
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return error_errno(err, errno, "console");
        machine->console_fd = pair[0];
        *ret_fd = pair[1];
        if (machine->spec.debug && !(machine->console = console_new(CONSOLE_SIZE)))
                return error_oom(err);
        return loop_add_fd(machine->loop, machine->console_fd, EPOLLIN, on_console, machine,
                           &machine->console_source, err);
}

static int boot(struct ne_machine *machine, const struct boot_image *image, struct error *err)
{
        const struct ne_machine_spec *spec = &machine->spec;
        cleanup_fd int vsock = -1;
        cleanup_fd int console = -1;
        enum enclave_isolation isolation;
        const char *lack;
        int r;

        if ((r = host_choose_isolation(spec->accelerator, qemu_user_can_open_kvm(), &isolation, &lack, err)) <
                    0 ||
            (r = make_vsock(machine, &vsock, err)) < 0 || (r = make_console(machine, &console, err)) < 0)
                return r;
        const struct machine_spec machine_spec = {
                .id = spec->slot,
                .cid = spec->cid,
                .cpus = spec->cpus,
                .mem_mib = spec->mem_mib,
                .isolation = isolation,
                .cmdline = image->cmdline,
                .kernel_fd = image->kernel_fd,
                .initrd_fd = image->initrd_fd,
                .console_fd = console,
                .vsock_fd = vsock,
        };
        return backend_qemu.start(&machine_spec, machine->loop, on_ended, machine, &machine->machine, err);
}

int ne_machine_start(struct loop *loop, const struct ne_machine_spec *spec, struct ne_machine **ret_machine,
                     struct error *err)
{
        unsigned need = boot_image_min_mib(spec->image);
        cleanup_ne_machine struct ne_machine *machine = calloc(1, sizeof(*machine));
        int r;

        if (!machine)
                return error_oom(err);
        machine->spec = *spec;
        machine->loop = loop;
        machine->console_fd = -1;
        if (spec->mem_mib < need)
                log_warning(
                        spec->log,
                        "enclave %u has %u MiB of memory, and its image needs about %u: expect its kernel "
                        "to fail",
                        spec->slot, spec->mem_mib, need);
        if ((r = boot(machine, spec->image, err)) < 0)
                return r;
        *ret_machine = take_pointer(&machine);
        return 0;
}

void ne_machine_free(struct ne_machine *machine)
{
        struct viewer *viewer;

        if (!machine)
                return;
        backend_qemu.free(machine->machine);
        vsock_device_free(machine->device);
        loop_remove(&machine->console_source);
        fd_close_p(&machine->console_fd);
        while ((viewer = LIST_FIRST(&machine->viewers)))
                viewer_free(viewer);
        console_free(machine->console);
        free(machine);
}

struct vsock_device *ne_machine_vsock(struct ne_machine *machine)
{
        return machine->device;
}
