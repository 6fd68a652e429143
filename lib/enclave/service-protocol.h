/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service-protocol.h - how a parent runs processes in an enclave: what a plug-in of `rune` and enclave-init's
 * process service say to each other.
 *
 * Theory of operation.  An image whose configuration says "serve" (guest-config.h) has no command of its own.
 * Its init listens on vsock port SERVICE_PORT and takes the first connection, once, before anything else
 * runs in the enclave; that connection is the container's life line: where it ends, the enclave ends.  All
 * processes share it.  Frames on it are
 *
 *     u8 type, be32 process, be32 payload length, payload
 *
 * with numbers in network byte order.  `process` is a number that the parent chose in CREATE, from 1 up; 0
 * means the enclave as a whole.  A number is free again once its process has ended or failed.
 *
 *     guest to parent   process  payload
 *     HELLO             0        be32 version; first, and once
 *     READY             0        none: SETUP was carried out
 *     CREATED           n        none: CREATE is understood
 *     STARTED           n        be32 pid in the enclave: its program was executed
 *     FAILED            0, n     be32 errno (0: none fits), stage and path, a NUL behind each: SETUP, CREATE
 *                                or START was in vain; "cannot STAGE: PATH: strerror(errno)".  There is no
 *                                process n any more
 *     EXITED            n        be32 exit status, 0 to 255
 *     SIGNALED          n        be32 signal that ended it, u8 1 where it dumped core, else 0
 *
 *     parent to guest
 *     SETUP             0        the container (service-spec.h); once, before the first CREATE
 *     CREATE            n        the process (service-spec.h)
 *     START             n        none
 *     SIGNAL            0, n     be32 signal, 1 to 64; 0: to all processes of the container
 *     RESIZE            n        be16 rows, be16 columns of its terminal
 *     SHUTDOWN          0        none: the enclave ends
 *
 *     either way
 *     DATA              n        u8 stream, then 1 to SERVICE_DATA_MAX bytes of it
 *     END               n        u8 stream: its writer has closed it
 *     CLOSE             n        u8 stream: its reader takes no more, as where a pipe breaks
 *     WINDOW            n        u8 stream, be32 bytes that were taken
 *
 * The first process created is the container's own: when it ends, all others are ended with it, each with its
 * EXITED or SIGNALED, and the guest waits for SHUTDOWN.  EXITED and SIGNALED come behind all output that the
 * process has left, and are the last that is said about it.
 *
 * Flow control.  A stream is stdin (parent to guest), stdout or stderr (guest to parent); with a terminal
 * there is no stderr.  Its writer may be SERVICE_WINDOW bytes ahead of what its reader has granted by WINDOW
 * frames; a reader keeps what it can't pass on, and so needs no more than that for each stream, and nobody
 * ever stops reading the connection because of one stream.
 *
 * Whoever gets a frame that breaks these rules ends the connection.  The parent owes the guest no trust: all
 * it takes from it is bounded, and printed as printable text only.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* Beyond the range of TCP ports, which images expose under their own numbers. */
#define SERVICE_PORT UINT32_C(0xc0fe0001)

enum {
        SERVICE_VERSION = 1,
        SERVICE_HEADER_SIZE = 9,
        SERVICE_DATA_MAX = 32 * 1024,
        SERVICE_SPEC_MAX = 4 * 1024 * 1024, /* bytes of SETUP's and CREATE's payloads */
        SERVICE_REPLY_MAX = 4096,           /* bytes of any other payload but DATA's */
        SERVICE_WINDOW = 256 * 1024,
        SERVICE_PROCESSES_MAX = 512, /* at a time */
        SERVICE_SIGNAL_MAX = 64,
        SERVICE_STAGE_MAX = 255, /* bytes of FAILED's texts */
        SERVICE_PATH_MAX = 1023,
};

/* The most bytes that a frame of either side takes. */
enum {
        SERVICE_FROM_GUEST_MAX = SERVICE_HEADER_SIZE + 1 + SERVICE_DATA_MAX,
        SERVICE_FROM_PARENT_MAX = SERVICE_HEADER_SIZE + SERVICE_SPEC_MAX,
};

enum service_stream {
        SERVICE_STDIN,
        SERVICE_STDOUT,
        SERVICE_STDERR,
        SERVICE_STREAMS,
};

enum service_side {
        SERVICE_GUEST = 1,
        SERVICE_PARENT = 2,
};

enum service_type {
        SERVICE_HELLO = 0x01,
        SERVICE_READY = 0x02,
        SERVICE_CREATED = 0x03,
        SERVICE_STARTED = 0x04,
        SERVICE_FAILED = 0x05,
        SERVICE_EXITED = 0x06,
        SERVICE_SIGNALED = 0x07,
        SERVICE_DATA = 0x40,
        SERVICE_END = 0x41,
        SERVICE_CLOSE = 0x42,
        SERVICE_GRANT = 0x43, /* WINDOW */
        SERVICE_SETUP = 0x81,
        SERVICE_CREATE = 0x82,
        SERVICE_START = 0x83,
        SERVICE_SIGNAL = 0x84,
        SERVICE_RESIZE = 0x85,
        SERVICE_SHUTDOWN = 0x86,
};

/* One frame.  Views point into what it was decoded from, or belong to whoever has it encoded. */
struct service_frame {
        enum service_type type;
        uint32_t process;
        enum service_stream stream; /* DATA, END, CLOSE, WINDOW */
        union {
                struct view bytes; /* DATA, SETUP, CREATE */
                uint32_t version;  /* HELLO */
                uint32_t pid;      /* STARTED */
                uint32_t status;   /* EXITED */
                uint32_t signal;   /* SIGNAL */
                uint32_t taken;    /* WINDOW: 1 to SERVICE_WINDOW */
                struct {
                        uint16_t rows;
                        uint16_t columns;
                } size; /* RESIZE */
                struct {
                        uint32_t signal;
                        bool core;
                } signaled;
                struct {
                        uint32_t errnum;
                        char stage[SERVICE_STAGE_MAX + 1]; /* both NUL-terminated */
                        char path[SERVICE_PATH_MAX + 1];
                } failed;
        };
};

/* A FAILED frame; texts that are too long lose their end. `path` may be NULL for none. */
struct service_frame service_frame_failed(uint32_t process, uint32_t errnum, const char *stage,
                                          const char *path);

/* Appends the frame. 0, -EINVAL where a field is out of its range, or as buf_append(). */
int service_frame_encode(const struct service_frame *frame, struct buf *b);

/* Decodes the first frame of `input`, which came from `side`.  1: *ret_frame and *ret_used (bytes it took)
 * are set.  0: there is less than a frame; read more.  -EBADMSG: no such frame, whatever follows; a length
 * beyond its type's limit is found from the header alone.  Bytes in FAILED's texts that aren't printable
 * ASCII come as '?'. */
int service_frame_decode(struct view input, enum service_side side, struct service_frame *ret_frame,
                         size_t *ret_used, struct error *err);
