/* SPDX-License-Identifier: Apache-2.0 */
/*  Theory of operation.  Everything that can happen to a running enclave is a descriptor in one poll(): the
 * enclave's own (POLLHUP: it has ended), heartbeat, control channel, console, and an eventfd that another
 * thread writes to for a signal.  session_start() and session_run() are the same step, repeated until the
 * workload runs, and until the enclave has ended.
 *
 * The control channel is written to by the polling thread alone, so it needs no lock: session_signal()
 * leaves the number in a set of bits and wakes it.
 */
#include "pal/nitro/session.h"

#include "pal/nitro/image-file.h"

#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/text.h"
#include "lib/enclave/guest-protocol.h"
#include "lib/enclave/nitro-heartbeat.h"
#include "lib/enclave/nitro.h"
#include "lib/vsock/client.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        BOOT_MS = 240 * 1000,     /* enough where the enclave is emulated */
        BOOT_MS_PER_MIB = 100,    /* of image */
        PORT_MS = 120 * 1000,     /* for a stranger who has the heartbeat's port */
        STRANGER_MS = 2 * 1000,   /* from a heartbeat to the control channel, which comes first, if it does */
        POWER_OFF_MS = 15 * 1000, /* from the workload's end to the enclave's */
        KILL_MS = 5 * 1000,       /* what SIGKILL takes at most */
        LAST_OUTPUT_MS = 2 * 1000, /* for a reader of the console, once all else has ended */
        CONSOLE_TRIES = 50,
        CONSOLE_RETRY_US = 100 * 1000,
        INPUT_MAX = 4 * (GUEST_HEADER_SIZE + GUEST_PAYLOAD_MAX),
        OUTPUT_MAX = 64 * 1024,
        SIGNALS = 64,
        CID_BITS = 0x3fffffff, /* of those that we choose */
        CID_BIT = 0x10000,     /* out of the way of those that people choose */
};

/* What a step waits on. */
enum { ON_ENCLAVE, ON_HEARTBEAT, ON_LISTENER, ON_CONTROL, ON_CONSOLE, ON_OUTPUT, ON_WAKE, ONS };

struct session {
        struct arguments arguments;
        struct boot_image image;
        int device_fd;
        int listener_fd; /* for the control channel */
        int console_fd;  /* debug mode */
        int wake_fd;
        int control_fd;
        int output_fd; /* not ours */
        struct nitro_heartbeat *heartbeat;
        struct nitro *nitro;
        uint32_t cid;
        struct buf input;         /* of the control channel */
        struct buf output;        /* of the console */
        _Atomic uint64_t signals; /* bit n - 1: signal n waits to be passed on */
        bool alive;               /* a heartbeat came */
        bool ours;                /* HELLO came */
        bool started;
        bool settled; /* `status` is known, or `failure` */
        bool ended;
        int status;
        char failure[ERROR_TEXT_MAX]; /* "": none */
        uint64_t deadline;            /* then it is ended; 0: none */
};

/* ---- preparation ---- */

static uint32_t choose_cid(const struct arguments *arguments)
{
        uint32_t number = 0;

        if (arguments->cid != 0)
                return arguments->cid;
        (void)!getrandom(&number, sizeof(number), 0);
        return (number & CID_BITS) | CID_BIT;
}

static int open_sockets(struct session *session, struct error *err)
{
        int r = nitro_heartbeat_new(&session->heartbeat, err);

        if (r < 0)
                return r;
        session->listener_fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (session->arguments.debug)
                session->console_fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
        session->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (session->listener_fd < 0 || session->wake_fd < 0 ||
            (session->arguments.debug && session->console_fd < 0))
                return error_errno(err, errno, "vsock");
        return 0;
}

static int check_memory(const struct session *session, struct error *err)
{
        unsigned need = boot_image_min_mib(&session->image) + NITRO_IMAGE_OFFSET_MIB;

        need += need % NITRO_MEM_STEP_MIB;
        if (session->arguments.memory_mib >= need)
                return 0;
        return error_set(err, -ENOMEM, "memory=%u: the image needs at least %u MiB",
                         session->arguments.memory_mib, need);
}

int session_new(const struct arguments *arguments, int rootfs_fd, struct session **ret_session,
                struct error *err)
{
        cleanup_session struct session *session = calloc(1, sizeof(*session));
        uint64_t room = (uint64_t)(arguments->memory_mib - NITRO_IMAGE_OFFSET_MIB) << 20;
        int r;

        if (!session)
                return error_oom(err);
        session->arguments = *arguments;
        session->image = BOOT_IMAGE_NONE;
        session->device_fd = session->listener_fd = session->console_fd = session->wake_fd = -1;
        session->control_fd = session->output_fd = -1;
        session->input = buf_with_max(INPUT_MAX);
        session->output = buf_with_max(OUTPUT_MAX);
        session->cid = choose_cid(arguments);
        if ((r = image_file_open(rootfs_fd, arguments->image, room, &session->image, err)) < 0 ||
            (r = check_memory(session, err)) < 0 || (r = nitro_open_device(&session->device_fd, err)) < 0 ||
            (r = open_sockets(session, err)) < 0)
                return r;
        *ret_session = take_pointer(&session);
        return 0;
}

void session_free(struct session *session)
{
        if (!session)
                return;
        nitro_free(session->nitro);
        nitro_heartbeat_free(session->heartbeat);
        boot_image_done(&session->image);
        fd_close_p(&session->device_fd);
        fd_close_p(&session->listener_fd);
        fd_close_p(&session->console_fd);
        fd_close_p(&session->wake_fd);
        fd_close_p(&session->control_fd);
        buf_done(&session->input);
        buf_done(&session->output);
        free(session);
}

int session_annotate(const struct session *session, const struct pal_prepare_args *args)
{
        const struct boot_image *measured = &session->image;
        const struct {
                const char *key;
                const uint8_t *value;
        } pcrs[] = {
                {"enclave.measurements.pcr0", measured->pcr0},
                {"enclave.measurements.pcr1", measured->pcr1},
                {"enclave.measurements.pcr2", measured->pcr2},
                {"enclave.measurements.pcr8", measured->pcr8},
        };
        size_t n = measured->has_pcr8 ? ARRAY_SIZE(pcrs) : ARRAY_SIZE(pcrs) - 1;
        const uint8_t zeros[ENCLAVE_PCR_SIZE] = {0};
        char text[2 * ENCLAVE_PCR_SIZE + 1];
        int r = 0;

        /* A verifier sees zeros for an enclave in debug mode. */
        for (size_t i = 0; r == 0 && i < n; i++) {
                hex_encode(session->arguments.debug ? zeros : pcrs[i].value, ENCLAVE_PCR_SIZE, text);
                r = args->annotate(args->cookie, pcrs[i].key, text);
        }
        return r;
}

int session_load(struct session *session, struct error *err)
{
        const struct arguments *arguments = &session->arguments;
        int r;

        if (session->nitro)
                return error_set(err, -EINVAL, "the enclave is there already");
        if ((r = nitro_create(session->device_fd, &session->nitro, err)) < 0 ||
            (r = nitro_load(session->nitro, arguments->memory_mib, session->image.whole_fd,
                            session->image.whole_size, err)) < 0)
                return r;
        return nitro_add_cpus(session->nitro, arguments->vcpus, err);
}

/* ---- what the guest says ---- */

static void settle(struct session *session, int status, const char *failure)
{
        if (session->settled)
                return;
        session->settled = true;
        session->status = status;
        snprintf(session->failure, sizeof(session->failure), "%s", failure);
}

/* The workload has ended: init waits for us to hang up, and then powers off. */
static void take_end(struct session *session, int status, const char *failure)
{
        settle(session, status, failure);
        session->started = session->started || !failure[0];
        fd_close_p(&session->control_fd);
        session->deadline = clock_ms() + POWER_OFF_MS;
}

static void take_failed(struct session *session, const struct guest_message *message)
{
        char text[ERROR_TEXT_MAX];
        int errnum = (int)(message->failed.errnum & 4095);

        snprintf(text, sizeof(text), "the enclave's init cannot %.250s%s%.600s%s%s", message->failed.stage,
                 message->failed.path[0] ? ": " : "", message->failed.path, errnum ? ": " : "",
                 errnum ? strerror(errnum) : "");
        take_end(session, 1, text);
}

static void take_message(struct session *session, const struct guest_message *message)
{
        if (message->type == GUEST_HELLO) {
                if (message->version != GUEST_PROTOCOL_VERSION)
                        take_end(session, 1,
                                 "the image's init speaks another version of the protocol than this "
                                 "host; make the image again");
                session->ours = true;
                return;
        }
        if (!session->ours)
                return;
        if (message->type == GUEST_STARTED)
                session->started = true;
        else if (message->type == GUEST_EXITED)
                take_end(session, (int)(message->status & 255), "");
        else if (message->type == GUEST_SIGNALED)
                take_end(session, 128 + (int)(message->signaled.signal & 127), "");
        else if (message->type == GUEST_FAILED)
                take_failed(session, message);
}

/* Without the channel nobody will tell how the workload ends. */
static void lose_control(struct session *session, const char *why)
{
        char text[256];

        fd_close_p(&session->control_fd);
        if (session->settled)
                return;
        snprintf(text, sizeof(text), "the enclave's init vanished: %.200s", why);
        settle(session, 1, text);
        session->deadline = clock_ms() + KILL_MS;
}

static void hear_control(struct session *session)
{
        struct guest_message message;
        struct error err = {0};
        uint8_t piece[4096];
        size_t used;
        int r;

        ssize_t n = recv(session->control_fd, piece, sizeof(piece), MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n <= 0 || buf_append(&session->input, piece, (size_t)n) < 0) {
                lose_control(session, n <= 0 ? "it closed the connection" : "it sent too much at once");
                return;
        }
        while (session->control_fd >= 0 &&
               (r = guest_message_decode(buf_view(&session->input), &message, &used, &err)) != 0) {
                if (r < 0) {
                        lose_control(session, error_text(&err));
                        return;
                }
                buf_consume(&session->input, used);
                take_message(session, &message);
        }
}

/* One control channel is all that init opens; and it is the enclave's own, not another's on this machine. */
static void take_control(struct session *session)
{
        cleanup_fd int fd = -1;
        uint32_t cid;

        if (vsock_accept(session->listener_fd, 0, &fd, &cid, NULL) < 0 || cid != session->cid)
                return;
        session->control_fd = take_fd(&fd);
        fd_close_p(&session->listener_fd);
}

static void hear_heartbeat(struct session *session)
{
        if (nitro_heartbeat_service(session->heartbeat) == 0)
                return;
        session->alive = true;
        nitro_heartbeat_free(take_pointer(&session->heartbeat));
}

/* ---- signals ---- */

static bool ends_a_program(int signal)
{
        return signal == SIGKILL || signal == SIGTERM || signal == SIGINT || signal == SIGQUIT ||
               signal == SIGHUP;
}

static void pass_on(struct session *session, int signal)
{
        const struct guest_message message = {.type = PARENT_SIGNAL, .signal = (uint32_t)signal};
        cleanup_buf struct buf frame = buf_with_max(64);

        if (session->control_fd >= 0 && guest_message_encode(&message, &frame) == 0) {
                (void)!send(session->control_fd, frame.p, frame.n, MSG_DONTWAIT | MSG_NOSIGNAL);
                if (signal == SIGKILL)
                        session->deadline = clock_ms() + KILL_MS;
        } else if (ends_a_program(signal)) {
                settle(session, 128 + signal, "");
                session->deadline = clock_ms();
        }
}

static void hear_wake(struct session *session)
{
        uint64_t count;

        (void)!read(session->wake_fd, &count, sizeof(count));
        uint64_t signals = atomic_exchange(&session->signals, 0);
        for (int signal = 1; signal <= SIGNALS; signal++) {
                if (signals & (UINT64_C(1) << (signal - 1)))
                        pass_on(session, signal);
        }
}

int session_signal(struct session *session, int signal, struct error *err)
{
        const uint64_t one = 1;

        if (signal < 1 || signal > SIGNALS)
                return error_set(err, -EINVAL, "%d is no signal", signal);
        atomic_fetch_or(&session->signals, UINT64_C(1) << (signal - 1));
        return write(session->wake_fd, &one, sizeof(one)) == sizeof(one) || errno == EAGAIN
                       ? 0
                       : error_errno(err, errno, "signal");
}

/* ---- console ---- */

static int connect_console(struct session *session, struct error *err)
{
        const struct sockaddr_vm address = {.svm_family = AF_VSOCK,
                                            .svm_cid = VMADDR_CID_HYPERVISOR,
                                            .svm_port = session->cid + NITRO_CONSOLE_PORT_BASE};

        if (session->console_fd < 0)
                return 0;
        for (int i = 0; i < CONSOLE_TRIES; i++) {
                if (connect(session->console_fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
                        return 0;
                if (errno != ECONNRESET && errno != EINTR)
                        break;
                clock_sleep_us(CONSOLE_RETRY_US);
        }
        return error_errno(err, errno, "cannot connect to the enclave's console");
}

static void hear_console(struct session *session)
{
        uint8_t piece[16384];
        size_t room = OUTPUT_MAX - session->output.n;
        ssize_t n =
                recv(session->console_fd, piece, sizeof(piece) < room ? sizeof(piece) : room, MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n <= 0 || buf_append(&session->output, piece, (size_t)n) < 0)
                fd_close_p(&session->console_fd);
}

/* One write, which a pipe or terminal that is ready takes, if only in part where it would block otherwise. */
static void write_output(struct session *session)
{
        size_t n = session->output.n < PIPE_BUF ? session->output.n : PIPE_BUF;
        ssize_t written = write(session->output_fd, session->output.p, n);

        if (written >= 0)
                buf_consume(&session->output, (size_t)written);
        else if (errno != EAGAIN && errno != EINTR)
                session->output_fd = -1; /* nobody reads any more: what comes is dropped */
        if (session->output_fd < 0)
                buf_consume(&session->output, session->output.n);
}

/* ---- waiting ---- */

static void list_fds(const struct session *session, struct pollfd *fds)
{
        bool waits_to_write = session->output.n > 0;
        bool room = session->output.n < OUTPUT_MAX;
        const int numbers[ONS] = {
                [ON_ENCLAVE] = session->ended ? -1 : nitro_fd(session->nitro),
                [ON_HEARTBEAT] = session->heartbeat ? nitro_heartbeat_fd(session->heartbeat) : -1,
                [ON_LISTENER] = session->listener_fd,
                [ON_CONTROL] = session->control_fd,
                [ON_CONSOLE] = room ? session->console_fd : -1,
                [ON_OUTPUT] = waits_to_write ? session->output_fd : -1,
                [ON_WAKE] = session->wake_fd,
        };

        for (size_t i = 0; i < ONS; i++)
                fds[i] = (struct pollfd){.fd = numbers[i], .events = i == ON_OUTPUT ? POLLOUT : POLLIN};
}

static int time_left(uint64_t deadline)
{
        uint64_t now = clock_ms();

        if (deadline == 0)
                return -1;
        return deadline <= now ? 0 : deadline - now < INT32_MAX ? (int)(deadline - now) : INT32_MAX;
}

/* Waits until something happens or the time comes, and deals with it. 0 or -errno. */
static int step(struct session *session, uint64_t deadline)
{
        static void (*const hear[ONS])(struct session * session) = {
                [ON_HEARTBEAT] = hear_heartbeat, [ON_LISTENER] = take_control, [ON_CONTROL] = hear_control,
                [ON_CONSOLE] = hear_console,     [ON_OUTPUT] = write_output,   [ON_WAKE] = hear_wake,
        };
        struct pollfd fds[ONS];

        if (session->deadline != 0 && (deadline == 0 || session->deadline < deadline))
                deadline = session->deadline;
        list_fds(session, fds);
        int n = poll(fds, ONS, time_left(deadline));
        if (n < 0)
                return errno == EINTR ? 0 : -errno;
        for (size_t i = ON_ENCLAVE + 1; i < ONS; i++) {
                if (fds[i].revents)
                        hear[i](session);
        }
        if (fds[ON_ENCLAVE].revents)
                session->ended = true;
        if (session->deadline != 0 && clock_ms() >= session->deadline)
                session->ended = true;
        return 0;
}

/* What the enclave said last: its control channel and its console, for a moment. */
static void hear_the_rest(struct session *session)
{
        uint64_t deadline = clock_ms() + LAST_OUTPUT_MS;

        session->deadline = 0;
        /* A machine that has gone has closed them, or will at once. */
        while ((session->control_fd >= 0 || session->console_fd >= 0 || session->output.n > 0) &&
               clock_ms() < deadline) {
                if (step(session, deadline) < 0)
                        break;
        }
        if (!session->settled && session->ours)
                settle(session, 1, "the enclave ended, and its init did not say how its workload did");
        settle(session, 0, "");
}

/* ---- start and run ---- */

static int listen_for_it(struct session *session, struct error *err)
{
        int r = vsock_listen_on(session->listener_fd, guest_control_port(session->cid), err);

        if (r < 0)
                return r;
        return nitro_heartbeat_begin(session->heartbeat, session->cid, PORT_MS, err);
}

static int explain_failure(const struct session *session, struct error *err)
{
        if (session->settled && session->failure[0])
                return error_set(err, -EIO, "%s", session->failure);
        error_set(err, -EIO, "the enclave ended before its workload ran");
        if (!session->arguments.debug)
                error_hint(err, "with the argument \"debug\" its console tells more");
        return -EIO;
}

static int wait_for_workload(struct session *session, struct error *err)
{
        uint64_t patience = BOOT_MS + (session->image.whole_size >> 20) * BOOT_MS_PER_MIB;
        uint64_t deadline = clock_ms() + patience;

        while (!session->started && !session->settled && !session->ended) {
                int r = step(session, deadline);
                if (r < 0)
                        return error_errno(err, -r, "poll");
                if (clock_ms() >= deadline && session->alive && !session->ours)
                        session->started = true; /* another's init, which tells nothing more */
                else if (clock_ms() >= deadline)
                        return error_set(err, -ETIMEDOUT, "the workload did not start within %u seconds",
                                         (unsigned)(patience / 1000));
                if (session->alive && session->control_fd < 0 && !session->ours &&
                    deadline > clock_ms() + STRANGER_MS)
                        deadline = clock_ms() + STRANGER_MS;
        }
        if (session->started)
                return 0;
        hear_the_rest(session);
        return session->started ? 0 : explain_failure(session, err);
}

int session_start(struct session *session, int output, struct error *err)
{
        const struct arguments *arguments = &session->arguments;
        uint32_t cid;
        int r;

        if (!session->nitro || session->started)
                return error_set(err, -EOPNOTSUPP, "an enclave runs the program of its image, once");
        session->output_fd = output;
        if ((r = listen_for_it(session, err)) < 0 ||
            (r = nitro_start(session->nitro, arguments->debug, session->cid, &cid, err)) < 0)
                return r;
        if (cid != session->cid)
                return error_set(err, -EPROTO, "the driver gave it CID %" PRIu32 " instead of %" PRIu32, cid,
                                 session->cid);
        if ((r = connect_console(session, err)) < 0)
                return r;
        return wait_for_workload(session, err);
}

int session_run(struct session *session, int *ret_status, struct error *err)
{
        if (!session->started)
                return error_set(err, -EINVAL, "the enclave hasn't been started");
        while (session->nitro && !session->ended) {
                int r = step(session, 0);
                if (r < 0)
                        return error_errno(err, -r, "poll");
        }
        hear_the_rest(session);
        nitro_free(take_pointer(&session->nitro));
        if (session->failure[0])
                return error_set(err, -EIO, "%s", session->failure);
        *ret_status = session->status;
        return 0;
}
