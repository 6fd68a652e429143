/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service-internal.h - what the parts of the service share: service.c, the connection and what comes on it;
 * service-streams.c, the streams of a process.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/enclave/service-protocol.h"

#include "guest/service.h"

/* One stream.  `window` counts bytes: of output, those that may be sent; of input, those that may come. */
struct service_pipe {
        struct service_process_entry *process;
        enum service_stream stream;
        int fd; /* init's end, non-blocking; -1 while there is none */
        struct loop_source *source;
        uint32_t events; /* what is watched for */
        uint32_t window;
        size_t left;        /* output that is still read of a process that has exited */
        struct buf pending; /* input that the process hasn't taken */
        bool ended;         /* output: END was sent; input: END or CLOSE is behind us */
};

/* A process, from CREATE to its EXITED. */
struct service_process_entry {
        struct service *service;
        struct service_process_entry *next;
        uint32_t id;
        bool first;
        bool terminal;
        pid_t pid; /* 0 until it was started, and again once it was reaped */
        bool started;
        bool exited;
        int status;
        struct service_process spec; /* until it was started */
        struct buf encoded;          /* likewise */
        struct service_pipe pipes[SERVICE_STREAMS];
};

struct service {
        struct loop *loop;
        struct service_hooks hooks;
        const struct log *log;
        int fd;
        struct loop_source *source;
        struct buf in;
        struct buf out;
        bool frames_wait; /* in `in`, as there were too many replies */
        bool setup_came;
        bool is_set_up; /* it was carried out, too */
        bool is_over;
        bool first_came;
        int first_status; /* -1 until the container's process ended */
        size_t n_processes;
        struct service_process_entry *processes;
};

/* True while so much waits to be sent that nothing more is read from processes. */
bool service_is_congested(const struct service *service);

/* Queues a frame.  What can't be queued ends the service. */
void service_send(struct service *service, const struct service_frame *frame);

/* Brings all in line with what has just happened; processes that are done with are forgotten. */
void service_settle(struct service *service);

/* Makes the pipes, or a terminal, of a process that is about to start; *ret_stdio are the process's ends, for
 * the caller to close (one, three times, with a terminal). */
int service_streams_open(struct service_process_entry *process, int ret_stdio[3], struct failure *f);

/* Closes all. */
void service_streams_close(struct service_process_entry *process);

/* Takes DATA, END, CLOSE or WINDOW. False where the parent broke a rule. */
bool service_streams_take(struct service_process_entry *process, const struct service_frame *frame);

/* Watches each stream for what it can do now. */
void service_streams_watch(struct service_process_entry *process);

/* To be called once, when a process has exited: from here on only so much is read of its outputs as it can
 * have left in them, whoever else writes there. */
void service_streams_exited(struct service_process_entry *process);

/* True once a process that has exited has left nothing in its pipes; what is there is sent. */
bool service_streams_drained(struct service_process_entry *process);
