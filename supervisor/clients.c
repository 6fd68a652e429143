/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clients.c - who is connected to the control socket, and what they wait for.
 *
 * A client sends one line.  STOP and WAIT then stand in line until the end.  CONSOLE gets the ring from its
 * oldest byte; it has a position of its own and is served as fast as it reads, and never waited for.  A
 * client that sends nonsense, or that isn't our user or root, is told so and dropped.
 *
 * There is always room for a request to stop: not all may wait, and who says nothing gives way to who comes.
 *
 * Where the socket's file is deleted, as a session's runtime folder is at its end, nobody could see or stop
 * the enclave any more: that counts as a request to stop it.
 */
#include "supervisor/clients.h"

#include "lib/base/fd.h"
#include "lib/base/unix-socket.h"

#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS_MAX = 64, WAITERS_MAX = CLIENTS_MAX - 8, FLUSH_SECONDS = 2 };

enum client_role {
        CLIENT_NONE, /* a free slot */
        CLIENT_ASKS, /* has not sent its line yet */
        CLIENT_WAITS,
        CLIENT_READS, /* the console */
};

struct client {
        struct clients *clients;
        enum client_role role;
        uint64_t number; /* the smaller, the longer it is here */
        int fd;
        struct loop_source *source;
        struct buf input;
        uint64_t position; /* READS: in the console */
        struct buf output; /* READS: notes and the reply, before the console's next byte */
};

struct clients {
        struct loop *loop;
        struct clients_options options;
        int fd;
        struct loop_source *source;
        int watch_fd; /* inotify; -1 where there is none */
        struct loop_source *watch;
        uint64_t came; /* clients, so far */
        struct client all[CLIENTS_MAX];
};

static void drop(struct client *client)
{
        loop_remove(&client->source);
        fd_close_p(&client->fd);
        buf_done(&client->input);
        buf_done(&client->output);
        client->role = CLIENT_NONE;
}

static void append_reply(struct buf *b, int code, const char *text)
{
        struct control_reply reply = {.code = code};

        snprintf(reply.text, sizeof(reply.text), "%s", text);
        (void)control_append_reply(&reply, b);
}

static void send_refusal(int fd, int code, const char *text)
{
        cleanup_buf struct buf line = buf_with_max(CONTROL_LINE_MAX);

        append_reply(&line, code, text);
        if (line.n > 0)
                (void)!send(fd, line.p, line.n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void refuse(struct client *client, int code, const char *text)
{
        send_refusal(client->fd, code, text);
        drop(client);
}

/* ---- the console's reader ---- */

/* Sends `v`: the bytes that went, -EAGAIN where none can go now, -errno. */
static ssize_t send_some(int fd, struct view v, int flags)
{
        ssize_t n = send(fd, v.p, v.n, flags | MSG_NOSIGNAL);

        if (n < 0)
                return errno == EWOULDBLOCK || errno == EINTR ? -EAGAIN : -errno;
        return n;
}

/* Sends what there is, until all has gone (0) or no more can go now (-EAGAIN); else the reader has gone. */
static int show(struct client *client, int flags)
{
        const struct console *console = client->clients->options.console;

        for (;;) {
                uint64_t missed = 0;
                bool note = client->output.n > 0;
                struct view piece =
                        note ? buf_view(&client->output) : console_peek(console, &client->position, &missed);
                if (missed > 0) {
                        if (console_note(missed, &client->output) < 0)
                                return -ENOMEM;
                        continue;
                }
                if (piece.n == 0)
                        return 0;
                ssize_t n = send_some(client->fd, piece, flags);
                if (n < 0)
                        return (int)n;
                if (note)
                        buf_consume(&client->output, (size_t)n);
                else
                        client->position += (uint64_t)n;
        }
}

static void show_now(struct client *client)
{
        int r = show(client, MSG_DONTWAIT);

        if (r < 0 && r != -EAGAIN)
                drop(client);
        else
                loop_set_events(client->source, r == -EAGAIN ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void clients_console_grew(struct clients *clients)
{
        for (size_t i = 0; i < CLIENTS_MAX; i++) {
                if (clients->all[i].role == CLIENT_READS)
                        show_now(&clients->all[i]);
        }
}

/* ---- requests ---- */

static void serve_stop(struct client *client, const struct control_request *request)
{
        client->role = CLIENT_WAITS;
        client->clients->options.stop(request->grace_ms, client->clients->options.user);
}

static void serve_wait(struct client *client, const struct control_request *request)
{
        size_t waiting = 0;

        (void)request;
        for (size_t i = 0; i < CLIENTS_MAX; i++)
                waiting += client->clients->all[i].role == CLIENT_WAITS;
        if (waiting >= WAITERS_MAX)
                refuse(client, -EBUSY, "as many as can already wait for its end");
        else
                client->role = CLIENT_WAITS;
}

static void serve_console(struct client *client, const struct control_request *request)
{
        struct clients *clients = client->clients;

        (void)request;
        if (!clients->options.console) {
                refuse(client, -EPERM, "its console is not shown, because it is not in debug mode");
                return;
        }
        for (size_t i = 0; i < CLIENTS_MAX; i++) {
                if (clients->all[i].role == CLIENT_READS) {
                        refuse(client, -EBUSY, "another reader has its console");
                        return;
                }
        }
        client->role = CLIENT_READS;
        append_reply(&client->output, 0, "");
        show_now(client);
}

static void (*const serve[])(struct client *client, const struct control_request *request) = {
        [CONTROL_STOP] = serve_stop,
        [CONTROL_WAIT] = serve_wait,
        [CONTROL_CONSOLE] = serve_console,
};

static void take_request(struct client *client)
{
        struct control_request request;
        struct error err = {0};
        struct view line;
        size_t used;

        if (!control_line(buf_view(&client->input), &line, &used)) {
                if (client->input.n >= CONTROL_REQUEST_MAX)
                        refuse(client, -EBADMSG, "a request without end");
                return;
        }
        if (control_decode_request(line, &request, &err) < 0)
                refuse(client, -EBADMSG, error_text(&err));
        else if (request.op == CONTROL_SIGNAL)
                refuse(client, -EBADMSG, "a request that is for leashes");
        else
                serve[request.op](client, &request);
}

static int on_client(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct client *client = user;
        uint8_t piece[CONTROL_REQUEST_MAX];

        (void)source;
        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
                ssize_t n = recv(fd, piece, sizeof(piece), MSG_DONTWAIT);
                if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
                        drop(client);
                        return 0;
                }
                /* Behind its line a client has nothing to say; it is read to learn when it goes. */
                if (n > 0 && client->role == CLIENT_ASKS) {
                        if (buf_append(&client->input, piece, (size_t)n) < 0)
                                refuse(client, -EBADMSG, "a request without end");
                        else
                                take_request(client);
                }
        }
        if ((events & EPOLLOUT) && client->role == CLIENT_READS)
                show_now(client);
        return 0;
}

/* ---- connections ---- */

static bool is_trusted(int fd)
{
        struct ucred peer;
        socklen_t size = sizeof(peer);

        return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
               (peer.uid == geteuid() || peer.uid == 0);
}

/* A free slot, or one that is taken from whoever has been silent longest; NULL where all others wait. */
static struct client *find_slot(struct clients *clients)
{
        struct client *silent = NULL;

        for (size_t i = 0; i < CLIENTS_MAX; i++) {
                struct client *client = &clients->all[i];
                if (client->role == CLIENT_NONE)
                        return client;
                if (client->role == CLIENT_ASKS && (!silent || client->number < silent->number))
                        silent = client;
        }
        if (silent)
                refuse(silent, -ETIMEDOUT, "it said nothing while others came");
        return silent;
}

static int on_connection(struct loop_source *source, int listen_fd, uint32_t events, void *user)
{
        struct clients *clients = user;
        cleanup_fd int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);

        (void)source;
        (void)events;
        if (fd < 0 || !is_trusted(fd))
                return 0;
        struct client *client = find_slot(clients);
        if (!client) {
                send_refusal(fd, -EBUSY, "its supervisor has as many clients as it can serve; try again");
                return 0;
        }
        *client = (struct client){
                .clients = clients,
                .number = clients->came++,
                .fd = -1,
                .input = buf_with_max((size_t)2 * CONTROL_REQUEST_MAX),
                .output = buf_with_max(CONTROL_LINE_MAX),
        };
        if (loop_add_fd(clients->loop, fd, EPOLLIN, on_client, client, &client->source, NULL) < 0)
                return 0;
        client->fd = take_fd(&fd);
        client->role = CLIENT_ASKS;
        return 0;
}

static int on_deleted(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct clients *clients = user;
        _Alignas(struct inotify_event) char text[4096];
        ssize_t n = read(fd, text, sizeof(text));

        (void)source;
        (void)events;
        for (ssize_t at = 0; at < n;) {
                const struct inotify_event *event = (const struct inotify_event *)(text + at);
                if (event->len > 0 && strcmp(event->name, CONTROL_SOCKET) == 0)
                        clients->options.stop(ENCLAVE_GRACE_MS, clients->options.user);
                at += (ssize_t)(sizeof(*event) + event->len);
        }
        return 0;
}

/* A system has few such watches to give away: without one an enclave runs as well. */
static void watch_socket(struct clients *clients)
{
        char folder[64];

        snprintf(folder, sizeof(folder), "/proc/self/fd/%d", clients->options.entry_dirfd);
        clients->watch_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (clients->watch_fd < 0 || inotify_add_watch(clients->watch_fd, folder, IN_DELETE) < 0)
                return;
        (void)loop_add_fd(clients->loop, clients->watch_fd, EPOLLIN, on_deleted, clients, &clients->watch,
                          NULL);
}

int clients_new(struct loop *loop, const struct clients_options *options, struct clients **ret_clients,
                struct error *err)
{
        cleanup_clients struct clients *clients = calloc(1, sizeof(*clients));
        int r;

        if (!clients)
                return error_oom(err);
        clients->loop = loop;
        clients->options = *options;
        clients->fd = -1;
        clients->watch_fd = -1;
        for (size_t i = 0; i < CLIENTS_MAX; i++)
                clients->all[i].fd = -1;
        if ((r = unix_socket_listen(options->entry_dirfd, CONTROL_SOCKET, &clients->fd, err)) < 0 ||
            (r = loop_add_fd(loop, clients->fd, EPOLLIN, on_connection, clients, &clients->source, err)) < 0)
                return r;
        watch_socket(clients);
        *ret_clients = take_pointer(&clients);
        return 0;
}

void clients_free(struct clients *clients)
{
        if (!clients)
                return;
        for (size_t i = 0; i < CLIENTS_MAX; i++)
                drop(&clients->all[i]);
        loop_remove(&clients->source);
        fd_close_p(&clients->fd);
        loop_remove(&clients->watch);
        fd_close_p(&clients->watch_fd);
        free(clients);
}

void clients_finish(struct clients *clients, const struct enclave_info *info)
{
        const struct timeval patience = {.tv_sec = FLUSH_SECONDS};
        const struct control_reply reply = {.has_info = true, .info = *info};
        cleanup_buf struct buf line = buf_with_max(CONTROL_LINE_MAX);

        (void)control_append_reply(&reply, &line);
        for (size_t i = 0; i < CLIENTS_MAX; i++) {
                struct client *client = &clients->all[i];
                if (client->role == CLIENT_WAITS && line.n > 0)
                        (void)!send(client->fd, line.p, line.n, MSG_DONTWAIT | MSG_NOSIGNAL);
        }
        for (size_t i = 0; i < CLIENTS_MAX; i++) {
                struct client *client = &clients->all[i];
                if (client->role == CLIENT_READS) {
                        (void)setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
                        (void)show(client, 0);
                }
        }
}
