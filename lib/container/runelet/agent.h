/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent.h - what a running enclave's first process (runelet) and those who want something of it say to each
 * other: a further process, by `rune exec`, or a report, by `rune attest`.
 *
 * A client connects to agent.sock in the container's state folder and sends one request; all messages are
 *
 *      u8 type, be32 length of the body (at most AGENT_BODY_MAX), body
 *
 *      client to agent
 *      EXEC        be32 number of arguments, be32 number of variables, then the program's path, the process
 *                  as a process object (or nothing), and these, each ended by a NUL.  With its first byte
 *                  come the standard streams as SCM_RIGHTS, three descriptors
 *      SIGNAL      be32 signal for the process; after EXEC, any number
 *      ATTEST      the target's TARGETINFO (pal.h), or nothing
 *      agent to client
 *      STARTED     nothing: the process is made
 *      EXITED      be32 exit status, 0 to 255; last
 *      REPORT      the report; last
 *      FAILED      be32 errno, text; last
 *
 * The socket is for the container's owner alone, so both sides are of one build and one user; lengths and
 * counts are checked all the same.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/error.h"

#include <stdint.h>

enum {
        AGENT_BODY_MAX = 4 * 1024 * 1024,
        AGENT_HEADER_SIZE = 5,
        AGENT_STREAMS = 3,
};

enum agent_type {
        AGENT_EXEC = 'E',
        AGENT_SIGNAL = 'K',
        AGENT_ATTEST = 'A',
        AGENT_STARTED = 'S',
        AGENT_EXITED = 'X',
        AGENT_REPORT = 'R',
        AGENT_FAILED = 'F',
};

struct agent_message {
        enum agent_type type;
        struct buf body;
        int fds[AGENT_STREAMS]; /* -1: none; the message's */
};

/* Frees the body and closes the descriptors. */
void agent_message_done(struct agent_message *message);
#define cleanup_agent_message CLEANUP(agent_message_done)

/* Sends a message; `fds` are AGENT_STREAMS descriptors, or NULL. 0 or -errno. */
int agent_send(int socket, enum agent_type type, struct view body, const int *fds);

/* As that, for bodies that are one number, and for FAILED. */
int agent_send_number(int socket, enum agent_type type, uint32_t number);
int agent_send_failure(int socket, const struct error *err);

/* Waits for the next message.  -ECONNRESET: the other side is gone; -EBADMSG: nonsense. */
int agent_receive(int socket, struct agent_message *ret_message, struct error *err);

/* The one number that a body is. -EBADMSG. */
int agent_number(const struct agent_message *message, uint32_t *ret_number, struct error *err);

/* Sets `err` to what FAILED says; its code. */
int agent_failure(const struct agent_message *message, struct error *err);

/* A program, to and from the body of EXEC.  Arrays end with NULL. */
struct agent_exec {
        char *path;
        char *object;       /* "" where there is none */
        char **argv, **env; /* unpacked: the arrays are on the heap, their strings the body's */
};
int agent_pack_exec(const struct agent_exec *exec, struct buf *b);
int agent_unpack_exec(const struct agent_message *message, struct agent_exec *ret_exec, struct error *err);
