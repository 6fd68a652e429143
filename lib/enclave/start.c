/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start.c - from an image file to a running workload.
 *
 * Theory of operation.  All that can be refused is refused here, in the client, before anything exists, and
 * in this order: what asks the machine only; then the image, which others made, and which the caller may want
 * to read with fewer rights (`confine`).  What needs those rights is had in between: the files to copy the
 * image into are open, and the supervisor has been executed and waits to be told (launch.h).
 *
 * Then an entry is reserved, whose lock we hold, and the supervisor gets a copy of that lock's descriptor:
 * from the first moment on, the entry lives exactly as long as somebody is responsible for it.  Between us
 * and the supervisor is a socket.  It carries what the supervisor has to say until the workload runs; and
 * where our end is closed before that, because we were interrupted, gave up or died, the supervisor undoes
 * all.
 */
#include "lib/enclave/enclave.h"

#include "lib/enclave/backend.h"
#include "lib/enclave/boot-image.h"
#include "lib/enclave/control.h"
#include "lib/enclave/host.h"
#include "lib/enclave/launch.h"
#include "lib/enclave/nitro.h"
#include "lib/enclave/registry.h"

#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/base/text.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/vhost.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
        KVM_TIMEOUT_MS = 120 * 1000,
        KVM_MS_PER_MIB = 100, /* of ramdisks: measuring, loading and unpacking them */
        TCG_TIMEOUT_MS = 240 * 1000,
        TCG_MS_PER_MIB = 500,
        SUPERVISOR_SLACK_MS = 30 * 1000, /* what we grant a supervisor to report beyond its own time-out */
        UNDO_MS = 20 * 1000,             /* ... and to undo a start */
        MIB = 1024 * 1024,
};

/* Everything of a start that has to be released. */
struct start {
        const struct enclave_start_options *options;
        const struct backend *backend;
        const char *why_emulated; /* to be warned of; or NULL */
        unsigned available_mib;   /* memory of this machine */
        unsigned mem_mib;
        int image_fd; /* the caller's where it was built */
        struct boot_image image;
        struct registry_entry entry;
        struct launch launch;
        struct launcher launcher;
        int vhost_fd;
        int leash_fd; /* ours; -1 where none is wanted */
};

static void start_done(struct start *start)
{
        if (!start->options->built_pcrs)
                fd_close_p(&start->image_fd);
        boot_image_done(&start->image);
        registry_entry_done(&start->entry);
        launch_done(&start->launch);
        launcher_done(&start->launcher);
        fd_close_p(&start->vhost_fd);
        fd_close_p(&start->leash_fd);
}
#define cleanup_start CLEANUP(start_done)

/* ---- refusing what cannot work ---- */

static const char *mem_name(const struct enclave_start_options *options)
{
        return options->mem_name ? options->mem_name : "--mem";
}

static int check_numbers(const struct enclave_start_options *options, struct error *err)
{
        if (options->has_cid && (options->cid < ENCLAVE_CID_MIN || options->cid > ENCLAVE_CID_MAX))
                return error_set(err, -EINVAL,
                                 "--cid %" PRIu32 ": an enclave can have a CID from %" PRIu32 " to %" PRIu32,
                                 options->cid, ENCLAVE_CID_MIN, ENCLAVE_CID_MAX);
        if (options->mem_mib == 0)
                return error_set(err, -EINVAL, "%s 0: an enclave needs memory, in MiB; %d is the default",
                                 mem_name(options), ENCLAVE_MEM_DEFAULT);
        return 0;
}

static int check_memory(struct start *start, struct error *err)
{
        const struct enclave_start_options *options = start->options;
        unsigned need = boot_image_min_mib(&start->image), available = start->available_mib;

        if (start->backend->whole_images)
                need += NITRO_IMAGE_OFFSET_MIB;
        if (options->mem_grows && start->mem_mib < need)
                start->mem_mib = need;
        if (start->mem_mib < need)
                return error_set(err, -EINVAL, "%s %u: this image needs at least %u MiB", mem_name(options),
                                 start->mem_mib, need);
        /* What isn't this machine's ordinary memory only the back end can tell. */
        if (start->backend->whole_images)
                return 0;
        if (start->mem_mib > available && available < need)
                return error_set(
                        err, -ENOMEM,
                        "%s %u: this machine has %u MiB of memory to give away, and this image needs "
                        "at least %u MiB",
                        mem_name(options), start->mem_mib, available, need);
        if (start->mem_mib > available)
                return error_set(err, -ENOMEM,
                                 "%s %u: this machine has no more than %u MiB of memory to give away",
                                 mem_name(options), start->mem_mib, available);
        return 0;
}

static const struct backend *choose_backend(const struct enclave_start_options *options)
{
        bool nitro =
                options->accelerator == ENCLAVE_ACCELERATOR_AUTO && !options->own_vsock && nitro_is_here();

        return nitro ? &backend_nitro : &backend_qemu;
}

/* Opens the image, and all that it will be copied into. */
static int open_image(struct start *start, struct error *err)
{
        const struct enclave_start_options *options = start->options;
        int r;

        start->image_fd = options->built_pcrs
                                  ? options->built_fd
                                  : open(options->eif, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (start->image_fd < 0)
                return error_errno(err, errno, "%s", options->eif);
        if (!start->backend->whole_images)
                return boot_image_make_files(&start->image, err);
        r = boot_image_copy_whole(start->image_fd, &start->image, err);
        if (r < 0)
                error_wrap(err, "%s", options->eif);
        return r;
}

static int read_image(struct start *start, struct error *err)
{
        int fd = start->backend->whole_images ? start->image.whole_fd : start->image_fd;
        int r = boot_image_read(fd, start->options->built_pcrs, &start->image, err);

        if (r < 0 && !start->options->built_pcrs)
                error_wrap(err, "%s", start->options->eif);
        return r;
}

/* Where the machine is emulated, unpacking the kernel is better done here.  That takes the kernel's choice
 * of a random address from it, which is no loss: an emulated machine isn't what keeps others out. */
static int unpack_kernel(struct start *start, struct error *err)
{
        struct error why = {0};
        int r = boot_image_unpack_kernel(&start->image, &why);

        if (r == -EOPNOTSUPP) {
                log_debug(start->options->log, "%s", error_text(&why));
                return 0;
        }
        return r < 0 ? error_set(err, r, "%s", error_text(&why)) : 0;
}

static void warn_of_emulation(const struct start *start)
{
        if (start->why_emulated)
                log_warning(start->options->log,
                            "the enclave is emulated (%s): everything works, but nothing protects it from "
                            "this machine's programs",
                            start->why_emulated);
}

/* What needs our rights. */
static int prepare(struct start *start, struct error *err)
{
        const struct enclave_start_options *options = start->options;
        const struct backend_request request = {
                .cpus = options->cpus, .mem_mib = start->mem_mib, .accelerator = options->accelerator};
        struct backend_choice choice;
        int r;

        start->backend = choose_backend(options);
        start->launch.nitro = start->backend == &backend_nitro;
        if ((r = check_numbers(options, err)) < 0 || (r = open_image(start, err)) < 0 ||
            (r = start->backend->prepare(&request, &choice, err)) < 0)
                return r;
        start->launch.info.isolation = choice.isolation;
        start->why_emulated = choice.why_emulated;
        start->available_mib = host_available_mib();
        return launcher_start(options->supervisor, &start->launcher, err);
}

/* What reads the image. */
static int examine(struct start *start, struct error *err)
{
        bool emulated = start->launch.info.isolation == ENCLAVE_ISOLATION_EMULATED;
        int r;

        if ((r = read_image(start, err)) < 0 || (r = check_memory(start, err)) < 0)
                return r;
        warn_of_emulation(start);
        /* A back end that takes whole images has its kernel from those. */
        return emulated && !start->backend->whole_images ? unpack_kernel(start, err) : 0;
}

/* ---- what will be ---- */

static unsigned choose_timeout(const struct start *start)
{
        bool kvm = start->launch.info.isolation == ENCLAVE_ISOLATION_KVM;
        uint64_t mib = start->image.initrd_size / MIB;
        uint64_t ms = kvm ? KVM_TIMEOUT_MS + mib * KVM_MS_PER_MIB : TCG_TIMEOUT_MS + mib * TCG_MS_PER_MIB;

        if (start->options->timeout_ms != ENCLAVE_TIMEOUT_AUTO)
                return start->options->timeout_ms;
        return ms < INT_MAX - SUPERVISOR_SLACK_MS ? (unsigned)ms : INT_MAX - SUPERVISOR_SLACK_MS;
}

static void fill_info(struct start *start)
{
        const struct enclave_start_options *options = start->options;
        const struct boot_image *image = &start->image;
        struct enclave_info *info = &start->launch.info;
        const char *name = options->name ? options->name : image->name;

        snprintf(info->name, sizeof(info->name), "%s", name);
        info->cid = options->has_cid ? options->cid : 0;
        info->cpus = options->cpus;
        info->mem_mib = start->mem_mib;
        info->debug_mode = options->debug_mode;
        info->state = ENCLAVE_STARTING;
        info->exit_status = ENCLAVE_EXIT_UNKNOWN;
        (void)clock_format(time(NULL), info->started_at, sizeof(info->started_at));
        memcpy(info->ports, image->ports, sizeof(info->ports));
        info->n_ports = image->n_ports;
        info->has_pcr8 = image->has_pcr8;
        /* A verifier sees zeros for an enclave in debug mode: others could have looked into it. */
        if (!options->debug_mode) {
                memcpy(info->pcr0, image->pcr0, ENCLAVE_PCR_SIZE);
                memcpy(info->pcr1, image->pcr1, ENCLAVE_PCR_SIZE);
                memcpy(info->pcr2, image->pcr2, ENCLAVE_PCR_SIZE);
                memcpy(info->pcr8, image->pcr8, ENCLAVE_PCR_SIZE);
        }
}

/* Others on this machine, whom our registry doesn't know, may have the CID: the kernel knows. */
static int claim_cid(uint32_t cid, void *user, struct error *err)
{
        const int *fd = user;
        uint64_t wide = cid;

        if (ioctl(*fd, VHOST_VSOCK_SET_GUEST_CID, &wide) == 0)
                return 0;
        if (errno == EADDRINUSE)
                return error_set(err, -EADDRINUSE,
                                 "CID %" PRIu32 " is in use by a virtual machine that isn't ours", cid);
        return error_errno(err, errno, "/dev/vhost-vsock: CID %" PRIu32, cid);
}

/* The kernel's vsock lets any AF_VSOCK program on the parent talk to the enclave; but it knows the parent as
 * CID 2 only, so the image has to say that this will do. */
static void choose_vsock(struct start *start)
{
        if (!start->launch.nitro && !start->options->own_vsock &&
            boot_image_has_word(&start->image, "coffer.parent_cid=2"))
                start->vhost_fd = open("/dev/vhost-vsock", O_RDWR | O_CLOEXEC);
        start->launch.kernel_vsock = start->vhost_fd >= 0;
}

static int reserve(struct start *start, struct enclaves *enclaves, struct error *err)
{
        struct launch *launch = &start->launch;

        launch->timeout_ms = choose_timeout(start);
        launch->cmdline = take_pointer(&start->image.cmdline);
        launch->has_initrd = start->image.initrd_fd >= 0;
        launch->leashed = start->options->ret_leash_fd;
        launch->init_of_others = !start->image.own_init;
        launch->state_dir = string_printf("%s", registry_path(enclaves));
        if (!launch->state_dir)
                return error_oom(err);
        return registry_reserve(enclaves, &launch->info, !launch->kernel_vsock && !launch->nitro,
                                launch->kernel_vsock ? claim_cid : NULL, &start->vhost_fd, &start->entry,
                                err);
}

/* ---- the supervisor ---- */

static int make_leash(struct start *start, int *ret_theirs, struct error *err)
{
        int pair[2];

        if (!start->launch.leashed)
                return 0;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return error_errno(err, errno, "start the supervisor");
        start->leash_fd = pair[0];
        *ret_theirs = pair[1];
        return 0;
}

static int hand_over(struct start *start, struct error *err)
{
        cleanup_fd int leash = -1;
        int r = make_leash(start, &leash, err);
        const int fds[LAUNCH_FDS] = {
                [LAUNCH_FD_SPEC] = -1,
                [LAUNCH_FD_LOCK] = start->entry.lock_fd,
                [LAUNCH_FD_ENTRY] = start->entry.dirfd,
                [LAUNCH_FD_KERNEL] = start->launch.nitro ? start->image.whole_fd : start->image.kernel_fd,
                [LAUNCH_FD_VSOCK] = start->vhost_fd,
                [LAUNCH_FD_INITRD] = start->image.initrd_fd,
                [LAUNCH_FD_LEASH] = leash,
        };

        return r < 0 ? r : launcher_send(&start->launcher, &start->launch, fds, err);
}

/* ---- waiting for the workload ---- */

/* Reads once, waiting for it: 1, 0 at the end, -ETIMEDOUT, -ECANCELED, -errno. */
static int read_status(int fd, int cancel_fd, int64_t deadline, struct buf *input)
{
        struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = cancel_fd, .events = POLLIN}};
        int64_t left = deadline - (int64_t)clock_ms();
        uint8_t piece[4096];

        if (left <= 0)
                return -ETIMEDOUT;
        int r = poll(fds, ARRAY_SIZE(fds), left < INT_MAX ? (int)left : INT_MAX);
        if (r < 0)
                return errno == EINTR ? 1 : -errno;
        if (fds[1].revents)
                return -ECANCELED;
        if (!fds[0].revents)
                return 1;
        ssize_t n = read(fd, piece, sizeof(piece));
        if (n < 0)
                return errno == ECONNRESET ? 0 : -errno;
        return n == 0 ? 0 : (r = buf_append(input, piece, (size_t)n)) < 0 ? r : 1;
}

/* Takes what has come: 1 where the reply is there, else 0. */
static int take_events(const struct start *start, struct buf *input, struct control_reply *ret_reply,
                       struct error *err)
{
        const struct log *log = start->options->log;
        struct control_event event;
        struct view line;
        size_t used;

        while (control_line(buf_view(input), &line, &used)) {
                int r = control_decode_event(line, &event, err);
                if (r < 0)
                        return r;
                buf_consume(input, used);
                if (event.kind == CONTROL_PROGRESS)
                        log_info(log, "%s", event.text);
                else if (event.kind == CONTROL_WARNING)
                        log_warning(log, "%s", event.text);
                else {
                        *ret_reply = event.reply;
                        return 1;
                }
        }
        return 0;
}

/* Tells the supervisor to undo the start, and waits until it has. */
static void undo(const struct start *start)
{
        cleanup_buf struct buf rest = buf_with_max(CONTROL_LINE_MAX);
        int64_t deadline = (int64_t)clock_ms() + UNDO_MS;

        shutdown(start->launcher.socket, SHUT_WR);
        while (read_status(start->launcher.socket, -1, deadline, &rest) > 0)
                buf_consume(&rest, rest.n);
}

static int wait_for_workload(struct start *start, struct enclave_info *ret_info, struct error *err)
{
        cleanup_buf struct buf input = buf_with_max((size_t)2 * CONTROL_LINE_MAX);
        int64_t deadline = (int64_t)clock_ms() + start->launch.timeout_ms + SUPERVISOR_SLACK_MS;
        struct control_reply reply;
        int r;

        while ((r = read_status(start->launcher.socket, start->options->cancel_fd, deadline, &input)) > 0) {
                if ((r = take_events(start, &input, &reply, err)) < 0)
                        break;
                if (r == 0)
                        continue;
                if (reply.code == 0 && reply.has_info)
                        *ret_info = reply.info;
                else
                        error_set(err, reply.code < 0 ? reply.code : -EPROTO, "%s", reply.text);
                return reply.code < 0 ? reply.code : reply.has_info ? 0 : -EPROTO;
        }
        if (r == -ECANCELED || r == -ETIMEDOUT) {
                undo(start);
                return error_set(err, r,
                                 r == -ECANCELED ? "the start was interrupted and undone"
                                                 : "the supervisor does not answer");
        }
        if (r < 0)
                return error_errno(err, -r, "the supervisor's answer");
        return launcher_lost(&start->launcher, err);
}

int enclave_start(struct enclaves *enclaves, const struct enclave_start_options *options,
                  struct enclave_info *ret_info, struct error *err)
{
        cleanup_start struct start start = {
                .options = options,
                .mem_mib = options->mem_mib,
                .image_fd = -1,
                .image = BOOT_IMAGE_NONE,
                .entry = REGISTRY_ENTRY_NONE,
                .launch = LAUNCH_NONE,
                .launcher = LAUNCHER_NONE,
                .vhost_fd = -1,
                .leash_fd = -1,
        };
        start.image.cancel_fd = options->cancel_fd;
        int r = prepare(&start, err);

        if (r == 0 && options->confine)
                r = options->confine(options->confine_user, err);
        if (r == 0)
                r = examine(&start, err);
        if (r < 0)
                return r;
        fill_info(&start);
        choose_vsock(&start);
        if ((r = reserve(&start, enclaves, err)) < 0)
                return r;
        uint32_t id = start.launch.info.id;
        if ((r = hand_over(&start, err)) < 0) {
                registry_retire(enclaves, id, NULL, view_of(NULL, 0), NULL);
                return r;
        }
        /* From here on the supervisor alone is responsible: its death must show. */
        registry_entry_done(&start.entry);
        r = wait_for_workload(&start, ret_info, err);
        if (r == 0)
                boot_image_give_back(&start.image);
        if (r == 0 && options->ret_leash_fd)
                *options->ret_leash_fd = take_fd(&start.leash_fd);
        if (r < 0) {
                /* Where the supervisor was killed, this look removes its entry. */
                struct enclave_info info;
                (void)enclave_find(enclaves, id, &info, NULL);
        }
        return r;
}
