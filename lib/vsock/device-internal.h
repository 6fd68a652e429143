/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device-internal.h - what the parts of the device share: device.c (life, loop), rings.c (packets in and
 * out), connection.c (one stream's state machine), connection-table.c (which streams there are), bridge.c
 * (where streams come from and go to on the parent).
 */
#pragma once

#include "lib/vsock/device.h"
#include "lib/vsock/packet.h"
#include "lib/vsock/vhost-user.h"

#include <stdbool.h>
#include <sys/queue.h>

#define VSOCK_CID_HOST   2u /* the parent, as virtio has it */
#define VSOCK_CID_PARENT 3u /* the parent, as guests built for Nitro have it */

enum {
        QUEUE_RX = 0, /* towards the guest */
        QUEUE_TX = 1,
        QUEUES = 2,

        TABLE_BUCKETS = 1024,
        CONNECTIONS_DEFAULT = 4096,
        /* Guest data that waits for a slow reader: per connection, and what is promised to all of them.  When
         * that is reached, new connections are promised the small amount. */
        BUFFER_SIZE = 256 * 1024,
        BUFFER_SIZE_SMALL = 16 * 1024,
        BUFFER_BUDGET = 128 * 1024 * 1024,

        RX_BATCH_BUFFERS = 32,      /* guest buffers that are filled by one read */
        RX_BATCH_BYTES = 64 * 1024, /* longest run of one stream before the next has its turn */
        REPLIES_MAX = 256,          /* RSTs that wait for a guest buffer */
        HANDSHAKES_MAX = 64,        /* clients that have not yet said where to connect to */

        HANDSHAKE_MS = 10 * 1000, /* time for that */
        CLOSE_MS = 10 * 1000,     /* time for the guest to confirm a close; Linux gives itself 8 s */
        ACCEPT_PAUSE_MS = 500,    /* when descriptors run out */
};

/* --- one stream
 * ------------------------------------------------------------------------------------------------- */

enum connection_state {
        CONNECTION_REQUESTED, /* we asked the guest and wait for its answer */
        CONNECTION_OPEN,      /* both sides agreed */
        CONNECTION_RESETTING, /* only waits for its RST to leave; fd is closed */
        CONNECTION_LINGERING, /* the guest has forgotten it; what it sent is still being written to fd */
};

/* Packets that a connection wants to send besides data. */
enum {
        PENDING_REQUEST = 1 << 0,
        PENDING_RESPONSE = 1 << 1,
        PENDING_RST = 1 << 2,
        PENDING_SHUTDOWN = 1 << 3,
        PENDING_CREDIT_REQUEST = 1 << 4,
        PENDING_CREDIT_UPDATE = 1 << 5,
};

struct connection_key {
        uint32_t guest_port;
        uint32_t host_port;
        uint32_t host_cid; /* 2 or 3: as whom the guest knows us */
};

struct connection {
        struct vsock_device *device;
        struct connection_key key;
        enum connection_state state;
        LIST_ENTRY(connection) all;
        LIST_ENTRY(connection) bucket; /* unless lingering */
        TAILQ_ENTRY(connection) ready; /* while is_ready */
        bool is_ready;

        int fd; /* the parent's side; -1 while there is none */
        struct loop_source *source;
        /* What epoll said and no call has refuted since; the source is edge-triggered. */
        bool readable;
        bool writable;
        bool hung_up;
        bool ends;     /* nothing more will be written at the other end: the end can be read */
        bool urgent;   /* urgent bytes came: reads stop short at each, whatever is behind it */
        bool discards; /* the parent's side takes no more: what the guest sends is dropped */

        unsigned pending;
        uint8_t shut_by_guest; /* VSOCK_SHUTDOWN_* */
        uint8_t shut_by_us;
        uint64_t deadline; /* CLOCK_MONOTONIC milliseconds, 0: none */

        /* Credit, virtio 1.2, section 5.10.6.3; all counters wrap. */
        uint32_t peer_buf_alloc;
        uint32_t peer_fwd_cnt;
        uint32_t tx_cnt; /* bytes that we sent */
        bool asked_for_credit;
        uint32_t buf_alloc; /* what we promised */
        uint32_t rx_cnt;    /* bytes that the guest sent */
        uint32_t fwd_cnt;   /* of these, handed on or dropped */
        uint32_t told_fwd_cnt;

        /* rx_cnt - fwd_cnt bytes that the parent's side did not take yet; buf_alloc bytes, allocated when
         * needed. */
        uint8_t *ring;
        size_t ring_at;
        size_t ring_n;

        /* Who waits for the guest's answer: a function, or (NULL) a client of the bridge, on fd. */
        vsock_device_connected_fn connected;
        vsock_device_stream_fn stream; /* or NULL: a pair of sockets */
        void *connected_user;
};

/* The guest sent a packet for this connection; `chain` holds it, header and all, and is only read. */
void connection_packet(struct connection *c, const struct vsock_packet_header *header,
                       const struct virtqueue_chain *chain);

/* Puts the next control packet (not data) that wants to leave into *ret_header: false where there is none.
 * The connection may be gone afterwards where that packet was its RST. */
bool connection_next_control(struct connection *c, struct vsock_packet_header *ret_header);

/* How many bytes of data may be read from fd and sent to the guest now; 0 where none wait. */
size_t connection_may_send(struct connection *c);

/* Says how a read from fd for the guest went: `n` bytes, 0 for the end, or a negative errno; `drained` where
 * it took all that was there. */
void connection_did_read(struct connection *c, ssize_t n, bool drained);

/* The header for n bytes of data, which count as sent. */
struct vsock_packet_header connection_data_header(struct connection *c, uint32_t n);

/* Gives the connection its descriptor, which it owns from then on, and watches it. */
int connection_attach(struct connection *c, int fd, struct error *err);

/* Its deadline came. */
void connection_expired(struct connection *c);

/* A new connection to the guest's `port`, which asks as soon as it can.  -EMFILE, -ENOMEM. */
int connection_request(struct vsock_device *device, uint32_t port, struct connection **ret_connection);

/* Ends it from our side: RST to the guest.  `result` is what somebody who still waits for a connection is
 * told. */
void connection_reset(struct connection *c, int result);

/* Ends it without a word to the guest, which knows or has forgotten.  What the guest sent before is still
 * written. */
void connection_drop(struct connection *c, int result);

/* Ends it here and now, without a word to the guest. */
void connection_abandon(struct connection *c, int result);

/* --- all streams
 * ------------------------------------------------------------------------------------------------ */

LIST_HEAD(connection_list, connection);
TAILQ_HEAD(connection_queue, connection);

struct connection_table {
        struct connection_list buckets[TABLE_BUCKETS];
        struct connection_list all;
        size_t n;
        size_t max;
        uint64_t promised; /* sum of buf_alloc */
        uint64_t seed;     /* so that a guest cannot choose ports that share a bucket */
        uint32_t next_port;
};

/* An empty table. */
int connection_table_init(struct connection_table *table, size_t max, struct error *err);

/* A new connection in the table, in `state`, without descriptor. -EMFILE where there are too many. */
int connection_table_add(struct connection_table *table, struct vsock_device *device,
                         const struct connection_key *key, enum connection_state state,
                         struct connection **ret_connection);

/* The connection with this key, or NULL. */
struct connection *connection_table_find(const struct connection_table *table,
                                         const struct connection_key *key);

/* Makes the key free for another connection. */
void connection_table_forget_key(struct connection *c);

/* Frees the connection, which has to be off every queue and has neither source nor descriptor. */
void connection_table_remove(struct connection_table *table, struct connection *c);

/* A parent's port that is free for connections with this port of the guest. */
uint32_t connection_table_choose_port(struct connection_table *table, uint32_t guest_port);

/* --- the device
 * ------------------------------------------------------------------------------------------------- */

/* An RST for a packet that belongs to no connection. */
struct stray_reply {
        uint64_t host_cid;
        uint32_t host_port;
        uint32_t guest_port;
        uint16_t type;
};

struct listener;
struct handshake;
LIST_HEAD(listener_list, listener);
LIST_HEAD(handshake_list, handshake);

struct bridge {
        int dirfd;
        char *name; /* NULL: no files */
        int fd;
        struct loop_source *source;
        uint64_t resume_at; /* accepting is paused until then; 0: it is not */
        struct listener_list listeners;
        struct handshake_list handshakes;
        size_t n_handshakes;
};

struct vsock_device {
        struct loop *loop;
        const struct log *log;
        uint32_t guest_cid;
        vsock_device_ended_fn on_ended;
        void *user;
        bool ended;

        int fd; /* vhost-user */
        struct loop_source *source;
        struct vhost_user_device description;
        struct vhost_user *session;
        struct loop_source *kicks[QUEUES];

        struct connection_table table;
        struct connection_queue ready;
        struct stray_reply replies[REPLIES_MAX]; /* a ring */
        size_t replies_at;
        size_t replies_n;

        int wake_fd; /* eventfd: go on with the rings */
        struct loop_source *wake;
        bool woken;
        bool in_service;    /* device_service() is at work, or will be, and looks at the rings anyway */
        bool more;          /* it used up its budget */
        uint32_t peer_port; /* of the guest, of the connection that is being delivered */
        struct loop_source *timer;
        uint64_t timer_at; /* 0: not armed */

        struct bridge bridge;
        struct virtqueue_chain tx_chain;
        struct virtqueue_chain rx_chains[RX_BATCH_BUFFERS];
};

/* The connection has, or may have, something to send to the guest. */
void device_mark_ready(struct connection *c);

/* Takes a connection off the queue of those that have something to send. */
void device_unmark_ready(struct connection *c);

/* The rings are looked at soon, from the loop. */
void device_wake(struct vsock_device *device);

/* A loop callback begins that ends in device_service(): what it makes ready wakes nobody until then. */
void device_enter(struct vsock_device *device);

/* Does what there is to do with the rings, now; for the end of a loop callback.  0. */
int device_service(struct vsock_device *device);

/* Deals with one packet of the guest's, which is only read. */
void device_packet(struct vsock_device *device, const struct virtqueue_chain *chain);

/* Takes what the guest transmitted: 0, or the ring is broken.  Sets device->more where something is left. */
int rings_receive(struct vsock_device *device, struct error *err);

/* Sends what there is while the guest has buffers: 0, or the ring is broken.  Sets device->more likewise. */
int rings_send(struct vsock_device *device, struct error *err);

/* Deadlines are looked at at `when` or later.  0 is no deadline. */
void device_set_timer(struct vsock_device *device, uint64_t when);

/* --- the parent's side
 * ------------------------------------------------------------------------------------------ */

/* Opens the bridge's socket where options name one. */
int bridge_init(struct vsock_device *device, const struct vsock_device_options *options, struct error *err);

/* Ends what clients wait for and removes the socket; listeners stay. */
void bridge_close(struct vsock_device *device);

/* As bridge_close(), and frees. */
void bridge_done(struct vsock_device *device);

/* Ends what waits too long, resumes accepting; returns the next deadline (0: none). */
uint64_t bridge_deadlines(struct vsock_device *device, uint64_t now);

/* The guest wants a stream to the parent's `port`: ret_fds[0] is for the connection; -ECONNREFUSED, -ENOENT
 * and the like where nobody listens.  Where *ret_listener is not NULL, ret_fds[1] is for bridge_deliver(),
 * else it is -1. */
int bridge_dial(struct vsock_device *device, uint32_t port, struct listener **ret_listener, int ret_fds[2],
                struct error *err);

/* Hands the other end of a stream to the listener that bridge_dial() named. */
void bridge_deliver(struct vsock_device *device, struct listener *listener, int fd);

/* Tells a client of the bridge that its stream is connected, from local port `port`. 0 or -errno. */
int bridge_confirm(int fd, uint32_t port);
