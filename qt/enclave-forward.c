/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enclave-forward.c - TCP ports of the parent lead to TCP ports in an enclave, over vsock.
 *
 * One event loop accepts clients and carries bytes (relay.h); connecting into the enclave, which can take its
 * time, is left to threads (connector.h); one more thread waits for the end of the enclave.  In the enclave,
 * enclave-init listens on the vsock ports that the image exposes and connects each to the same TCP port on
 * its loopback.
 */
#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/loop.h"
#include "lib/enclave/enclave.h"
#include "lib/enclave/registry.h"
#include "qt/confine.h"
#include "qt/connector.h"
#include "qt/forward-spec.h"
#include "qt/qt.h"
#include "qt/relay.h"
#include "qt/verbs.h"

#include <netdb.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ARG_ENCLAVE_ID, ARGS };

enum {
        PAUSE_MS = 200,            /* where no more can be accepted */
        TELL_AGAIN_MS = 60 * 1000, /* of that */
};

enum { LOST = 1 }; /* the loop ended because nobody can tell whether the enclave has */

struct forward;

struct listener {
        struct forward *forward;
        struct forward_spec spec;
        int fd;
        struct loop_source *source;
};

struct forward {
        const struct qt *qt;
        struct loop *loop;
        struct relays relays;
        struct connector *connector;
        struct enclaves *enclaves; /* as long as the process lives, like all that threads look at */
        struct enclave_info enclave;
        struct vsock_endpoint endpoint;
        char endpoint_name[32];
        struct listener *listeners;
        size_t n_listeners;
        struct loop_source *resume; /* timer, running while nothing is accepted for want of descriptors */
        uint64_t told_at;           /* of that; CLOCK_MONOTONIC milliseconds, 0: never */
        int ended_fd;               /* becomes readable when the enclave has ended, or ... */
        int lost;                   /* ... then negative: nobody can tell whether it has */
        struct error why_lost;
};

/* The process ends while threads may still look at it. */
static struct forward forward;

static void listen_for_more(struct forward *f, uint32_t events)
{
        for (size_t i = 0; i < f->n_listeners; i++)
                if (f->listeners[i].source)
                        loop_set_events(f->listeners[i].source, events);
}

static int on_resume(struct loop_source *source, void *user)
{
        (void)source;
        listen_for_more(user, EPOLLIN);
        return 0;
}

/* Out of descriptors, or of memory for them.  Clients wait in the backlog a while; those that are being
 * connected may have all there are, so that no end of a relay can be waited for. */
static void pause_accepting(struct forward *f, int errnum)
{
        uint64_t now = clock_ms();

        /* As often as clients like would fill somebody's disk. */
        if (f->told_at == 0 || now - f->told_at >= TELL_AGAIN_MS) {
                log_warning(&f->qt->log, "no more connections at once than %zu: %s", f->relays.n,
                            strerror(errnum));
                f->told_at = now;
        }
        if (loop_set_timer(f->resume, PAUSE_MS) == 0)
                listen_for_more(f, 0);
}

static int on_client(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct listener *listener = user;
        struct forward *f = listener->forward;
        int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        (void)source;
        (void)events;
        if (client < 0) {
                if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                        pause_accepting(f, errno);
                return 0;
        }
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        if (connector_ask(f->connector, client, listener->spec.guest_port) < 0)
                fd_close_p(&client);
        return 0;
}

static int on_connected(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct forward *f = user;

        (void)source;
        (void)fd;
        (void)events;
        for (struct connection *connection; (connection = connector_take(f->connector)); free(connection)) {
                struct error err = {0};
                if (connection->guest < 0) {
                        log_info(&f->qt->log, "%s", error_text(&connection->err));
                        fd_close_p(&connection->client);
                } else if (relay_add(&f->relays, connection->client, connection->guest, &err) < 0) {
                        log_warning(&f->qt->log, "%s", error_text(&err));
                }
        }
        return 0;
}

static int on_signal(struct loop_source *source, int signal, void *user)
{
        struct forward *f = user;

        (void)source;
        (void)signal;
        loop_quit(f->loop, 0);
        return 0;
}

static int on_enclave_ended(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct forward *f = user;

        (void)source;
        (void)fd;
        (void)events;
        if (f->lost == 0 && !f->qt->quiet)
                fprintf(stderr, "Enclave %u has ended\n", f->enclave.id);
        loop_quit(f->loop, f->lost < 0 ? LOST : 0);
        return 0;
}

static void *wait_for_enclave(void *user)
{
        struct forward *f = user;
        struct enclave_info info;

        int r = enclave_wait(f->enclaves, f->enclave.id, -1, &info, &f->why_lost);
        /* One that was stopped leaves no record. */
        f->lost = r == -ENOENT ? 0 : r;
        eventfd_write(f->ended_fd, 1);
        return NULL;
}

static int find_enclave(struct forward *f, uint32_t id, struct error *err)
{
        int r = enclaves_open(NULL, &f->enclaves, err);

        if (r == 0)
                r = enclave_find(f->enclaves, id, &f->enclave, err);
        if (r < 0)
                return r;
        if (f->enclave.state == ENCLAVE_EXITED || f->enclave.state == ENCLAVE_FAILED)
                return error_set(err, -ENOENT, "enclave %u has ended", id);
        snprintf(f->endpoint_name, sizeof(f->endpoint_name), "enclave %u", id);
        f->endpoint = (struct vsock_endpoint){
                .bridge = *f->enclave.vsock_path ? f->enclave.vsock_path : NULL,
                .cid = f->enclave.cid,
                .name = f->endpoint_name,
        };
        return 0;
}

/* Only exposed ports are bridged in the enclave: others would never answer. */
static int check_port(const struct enclave_info *enclave, uint16_t port, struct error *err)
{
        cleanup_buf struct buf ports = buf_with_max(1024);

        for (size_t i = 0; i < enclave->n_ports; i++) {
                if (enclave->ports[i] == port)
                        return 0;
                buf_printf(&ports, "%s%u", i ? ", " : "", enclave->ports[i]);
        }
        if (enclave->n_ports == ENCLAVE_PORTS_MAX)
                return 0; /* the list was cut */
        if (enclave->n_ports == 0)
                return error_set(err, -EINVAL,
                                 "port %u is not reachable: the image of enclave %u exposes no TCP ports",
                                 port, enclave->id);
        return error_set(err, -EINVAL, "port %u is not reachable: the image of enclave %u exposes %s", port,
                         enclave->id, buf_string(&ports));
}

static int listen_on(const struct forward_spec *spec, int *ret_fd, struct error *err)
{
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
        struct addrinfo *found = NULL;
        char port[8];

        snprintf(port, sizeof(port), "%u", spec->port);
        int r = getaddrinfo(spec->host, port, &hints, &found);
        if (r != 0)
                return error_set(err, -EINVAL, "%s: %s", spec->host, gai_strerror(r));
        cleanup_fd int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd >= 0)
                setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
        if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, SOMAXCONN) < 0)
                r = error_errno(err, errno, "cannot listen on %s port %u", spec->host, spec->port);
        freeaddrinfo(found);
        if (r < 0)
                return r;
        *ret_fd = take_fd(&fd);
        return 0;
}

/* The port that the kernel chose where 0 was asked for. */
static uint16_t bound_port(int fd)
{
        struct sockaddr_storage address;
        socklen_t size = sizeof(address);
        char port[8] = "0";
        uint16_t number = 0;

        if (getsockname(fd, (struct sockaddr *)&address, &size) == 0 &&
            getnameinfo((struct sockaddr *)&address, size, NULL, 0, port, sizeof(port), NI_NUMERICSERV) == 0)
                number = (uint16_t)strtoul(port, NULL, 10);
        return number;
}

static int add_listener(struct forward *f, const char *text, struct error *err)
{
        struct listener *listener = &f->listeners[f->n_listeners];
        int r = forward_spec_parse(text, &listener->spec, err);

        listener->forward = f;
        listener->fd = -1;
        if (r == 0)
                r = check_port(&f->enclave, listener->spec.guest_port, err);
        if (r == 0)
                r = listen_on(&listener->spec, &listener->fd, err);
        if (r < 0)
                return r;
        f->n_listeners++;
        return loop_add_fd(f->loop, listener->fd, EPOLLIN, on_client, listener, &listener->source, err);
}

/* A line per listener, when all of them take connections. */
static void announce(const struct forward *f)
{
        for (size_t i = 0; !f->qt->quiet && i < f->n_listeners; i++) {
                const struct listener *listener = &f->listeners[i];
                bool ipv6 = strchr(listener->spec.host, ':') != NULL;
                fprintf(stderr, "Forwarding %s%s%s:%u to enclave %u port %u\n", ipv6 ? "[" : "",
                        listener->spec.host, ipv6 ? "]" : "", bound_port(listener->fd), f->enclave.id,
                        listener->spec.guest_port);
        }
}

/* Two descriptors per connection: as many as we may have. */
static void raise_descriptor_limit(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max;
                setrlimit(RLIMIT_NOFILE, &limit);
        }
}

static int watch_everything(struct forward *f, struct error *err)
{
        static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
        struct loop_source *source;
        pthread_t thread = 0;
        int r = 0;

        /* Signals first: they are blocked for the threads that follow. */
        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(signals); i++)
                r = loop_add_signal(f->loop, signals[i], on_signal, f, &source, err);
        if (r == 0)
                r = loop_add_timer(f->loop, PAUSE_MS, on_resume, f, &f->resume, err);
        if (r == 0)
                r = connector_new(&f->endpoint, &f->connector, err);
        if (r == 0)
                r = loop_add_fd(f->loop, connector_fd(f->connector), EPOLLIN, on_connected, f, &source, err);
        if (r < 0)
                return r;
        f->ended_fd = eventfd(0, EFD_CLOEXEC);
        if (f->ended_fd < 0)
                return error_errno(err, errno, "cannot make an event descriptor");
        r = pthread_create(&thread, NULL, wait_for_enclave, f);
        if (r != 0)
                return error_errno(err, r, "cannot start a thread");
        pthread_detach(thread);
        return loop_add_fd(f->loop, f->ended_fd, EPOLLIN, on_enclave_ended, f, &source, err);
}

static int serve(struct forward *f, const struct cli_parsed *parsed, struct error *err)
{
        int r = find_enclave(f, (uint32_t)parsed->values[ARG_ENCLAVE_ID].number, err);

        if (r == 0)
                r = loop_new(&f->loop, err);
        f->relays = (struct relays){.loop = f->loop};
        f->listeners = calloc(parsed->n_operands + 1, sizeof(*f->listeners));
        if (r == 0 && !f->listeners)
                return error_oom(err);
        for (size_t i = 0; r == 0 && i < parsed->n_operands; i++)
                r = add_listener(f, parsed->operands[i], err);
        /* From here on only enclaves are reached, and the clients that come. */
        if (r == 0)
                r = confine_client(registry_path(f->enclaves), err);
        if (r == 0)
                r = watch_everything(f, err);
        if (r < 0)
                return r;
        announce(f);
        r = loop_run(f->loop);
        if (r == LOST) {
                *err = f->why_lost;
                return f->lost;
        }
        return r < 0 ? error_set(err, r, "forwarding failed: %s", strerror(-r)) : 0;
}

static void forward_done(struct forward *f)
{
        relays_done(&f->relays);
        for (size_t i = 0; i < f->n_listeners; i++)
                fd_close_p(&f->listeners[i].fd);
        loop_free(f->loop);
        free(f->listeners);
}

static int run(void *context, const struct cli_parsed *parsed)
{
        const struct qt *qt = context;
        struct error err = {0};

        forward.qt = qt;
        for (size_t i = 0; i < parsed->n_operands; i++) {
                struct forward_spec ignored;
                if (forward_spec_parse(parsed->operands[i], &ignored, &err) < 0)
                        return qt_usage(qt, "%s", error_text(&err));
        }
        raise_descriptor_limit();
        int r = serve(&forward, parsed, &err);
        forward_done(&forward);
        return r < 0 ? qt_fail(qt, &err) : QT_OK;
}

static const struct cli_argument arguments[ARGS] = {
        [ARG_ENCLAVE_ID] = {.name = "--enclave-id",
                            .metavar = "ENCLAVE_ID",
                            .kind = CLI_NUMBER,
                            .required = true,
                            .max = QT_ENCLAVE_ID_MAX,
                            .summary = "The enclave, started with qt enclave start."},
};

static const struct cli_example examples[] = {
        {"Reach port 6379 of an enclave on port 16379 of this machine, until Ctrl-C",
         "qt enclave forward --enclave-id [ENCLAVE-ID] 16379:6379"},
        {"Let other machines in, and forward a second port",
         "qt enclave forward --enclave-id [ENCLAVE-ID] 0.0.0.0:8080:80 [::1]:8443:443"},
};

const struct cli_command qt_enclave_forward = {
        .name = "forward",
        .summary = "Forward TCP ports of this machine to an enclave.",
        .arguments = arguments,
        .n_arguments = ARGS,
        .operand = "PORTS",
        .operand_summary =
                "Each is [HOST:]PORT:GUESTPORT. HOST is 127.0.0.1 unless given, PORT 0 takes a free one. "
                "GUESTPORT must be exposed by the image.",
        .examples = examples,
        .n_examples = ARRAY_SIZE(examples),
        .run = run,
};
