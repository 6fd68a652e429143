/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client-internal.h - what the parts of client.h share: client.c, the connection; client-streams.c, the
 * streams of one process.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/enclave/service-protocol.h"

#include "pal/vm/client.h"

#include <pthread.h>

enum client_state {
        CLIENT_ASKED, /* CREATE was sent */
        CLIENT_CREATED,
        CLIENT_STARTED,
        CLIENT_ENDED, /* `status` */
        CLIENT_FAILED,
};

/* What comes from the process. */
struct client_output {
        struct buf pending; /* SERVICE_WINDOW bytes at most */
        uint32_t window;    /* bytes that may still come */
        bool closed;        /* whoever read it takes no more */
};

struct client_process {
        struct client *client;
        struct client_process *next;
        uint32_t id;
        enum client_state state;
        bool start_was_sent;
        uint64_t held; /* bit n - 1: signal n came before START was sent, and follows it */
        int status;
        struct service_frame failure; /* CLIENT_FAILED */
        struct client_stdio stdio;
        int wake_fd; /* eventfd: something has changed */
        struct client_output outputs[SERVICE_STREAMS];
        uint32_t input_window; /* bytes that may still be sent */
        bool input_ended;
};

struct client {
        pthread_mutex_t lock;
        pthread_cond_t changed; /* broadcast whenever a state has */
        pthread_t thread;
        bool has_thread;
        int fd;
        int timeout_ms;
        int wake_fd; /* eventfd, for the thread */
        bool quit;
        bool lost; /* the connection has ended: `why` */
        char why[ERROR_TEXT_MAX];
        struct buf in;
        struct buf out;
        uint32_t last_id;
        struct client_process *processes;
};

/* All below are called with the lock held. */

/* Queues a frame, and sends what can be sent now. What can't be queued ends the connection. */
void client_send(struct client *client, const struct service_frame *frame);

/* True while so much waits to be sent that no more input should be read. */
bool client_is_congested(const struct client *client);

/* Wakes the thread that serves a process. */
void client_wake(const struct client_process *process);

/* Takes DATA, END, CLOSE or WINDOW. False where the guest broke a rule. */
bool client_streams_take(struct client_process *process, const struct service_frame *frame);

/* Serves the streams of a started process until it has ended, or the connection has, and nothing is left to
 * pass on. Gives the lock up while it waits. */
void client_streams_serve(struct client_process *process);

/* Tells the size of the process's terminal. */
void client_streams_resize(struct client_process *process);
