/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sockets-internal.h - what the parts of sockets.h share: sockets.c (which sockets there are, the simple
 * calls), sockets-connect.c and sockets-accept.c.
 *
 * Theory of operation.  The socket that the command gets is bound to an abstract Unix name of its own, the
 * file's inode is how it is known again, and whether that name is still taken tells whether any copy of it is
 * still open: none of ours has to be kept, and what is only known here may be forgotten late.
 *
 * Connecting.  Once the peer has agreed, we connect the command's socket, by a copy, to a socket that we
 * listen on, and give the other end to the peer.  So the file stays the same one, in whichever processes and
 * epoll sets it is.
 *
 * Accepting.  A listening socket listens for real, so that poll(2) works.  For each stream that comes we
 * connect a messenger to it, under a name that we know the stream by; accepting takes the messenger out of
 * the queue and gives the stream instead.  A stranger who connects to our names has none that we know.
 */
#pragma once

#include "ne-emulator/sockets.h"

#include <linux/vm_sockets.h>
#include <sys/queue.h>
#include <sys/un.h>

enum {
        PARENT_CID = 3,
        CONSOLE_PORT_BASE = 10000,
        CONNECT_TIMEOUT_MS = 2000, /* the kernel's own */
        WAITERS_CHECK_MS = 500,
};

/* An abstract Unix name. */
struct unix_name {
        struct sockaddr_un address;
        socklen_t n;
};

struct vm_address {
        uint32_t cid;
        uint32_t port;
};

/* A stream that waits to be accepted. */
struct arrival {
        TAILQ_ENTRY(arrival) entry;
        struct unix_name messenger;
        int messenger_fd;
        int fd;
        struct vm_address peer;
};

enum socket_state { SOCKET_FRESH, SOCKET_LISTENING, SOCKET_CONNECTED };

struct vsocket {
        LIST_ENTRY(vsocket) entry;
        ino_t inode;
        struct unix_name name;
        enum socket_state state;
        bool is_bound;
        bool unreported; /* connected, but the call was interrupted before it could be told */
        struct vm_address local, peer;
        uint64_t timeout_ms; /* of connect */
        TAILQ_HEAD(, arrival) arrivals;
};

/* A connect() or accept() that waits. */
struct waiter {
        LIST_ENTRY(waiter) entry;
        struct socket_set *set;
        struct call call;
        ino_t inode;
        int fd; /* a copy of the command's socket */
        struct loop_source *source;
        struct vm_address peer; /* connect */
};

struct socket_set {
        struct loop *loop;
        struct enclave_set *enclaves;
        const struct log *log;
        uint64_t last_serial;
        uint32_t last_port;
        struct unix_name name; /* of listen_fd, which takes the other ends of what is connected */
        int listen_fd;
        LIST_HEAD(, vsocket) sockets;
        size_t n;
        size_t sweep_at; /* so many sockets: time to look which are closed */
        LIST_HEAD(, waiter) accepts;
        LIST_HEAD(, waiter) connects;
        struct loop_source *timer; /* looks for waiters that nobody waits for */
};

/* ---- sockets.c ---- */

/* A name that nothing has yet. */
struct unix_name sockets_make_name(struct socket_set *set);

/* A Unix stream socket bound to `name`, with these SOCK_ flags; *ret_fd is the caller's. 0 or -errno. */
int sockets_make_unix(const struct unix_name *name, int flags, int *ret_fd);

/* Enters the socket `fd`, which is bound to `name`. 0 or -errno. */
int sockets_add(struct socket_set *set, int fd, const struct unix_name *name, struct vsocket **ret_socket);

/* Forgets it, with all that waits to be accepted. */
void sockets_remove(struct socket_set *set, struct vsocket *socket);

/* The one with this inode, or that listens on this port; NULL. */
struct vsocket *sockets_find(struct socket_set *set, ino_t inode);
struct vsocket *sockets_find_listener(struct socket_set *set, uint32_t port);

/* A port that no socket is bound to. */
uint32_t sockets_choose_port(struct socket_set *set);

/* Writes an address as accept(), getsockname() and getpeername() do. 0 or -errno. */
int sockets_write_address(struct target *target, uint64_t to, uint64_t to_length,
                          const struct vm_address *address);

/* Reads one as bind() and connect() do. 0, -EFAULT, -EINVAL, -EAFNOSUPPORT. */
int sockets_read_address(struct target *target, uint64_t from, uint64_t length,
                         struct vm_address *ret_address);

/* A waiter in `accepts` or `connects`, with its copy of the socket; NULL where memory is out. */
struct waiter *sockets_wait(struct socket_set *set, const struct call *call, ino_t inode, int taken_fd,
                            bool connects);

/* Ends a waiter, without an answer. */
void sockets_stop_waiting(struct waiter *waiter);

/* ---- sockets-connect.c ---- */

/* Answers connect(), now or later. */
void sockets_connect(struct socket_set *set, const struct call *call, struct target *target,
                     struct vsocket *socket);

/* ---- sockets-accept.c ---- */

/* Answers listen(), accept(), accept4(). */
void sockets_listen(struct socket_set *set, const struct call *call, struct target *target,
                    struct vsocket *socket);
void sockets_accept(struct socket_set *set, const struct call *call, struct target *target,
                    struct vsocket *socket);

/* Hands a stream to a listening socket, whose it is then.  -ECONNREFUSED: it was closed, and is forgotten
 * now. */
int sockets_deliver(struct socket_set *set, struct vsocket *socket, int taken_fd,
                    const struct vm_address *peer);

/* The enclaves no longer reach the socket. */
void sockets_unlisten(struct socket_set *set, struct vsocket *socket);
