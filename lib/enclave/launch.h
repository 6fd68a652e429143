/* SPDX-License-Identifier: Apache-2.0 */
/*
 * launch.h - how enclave_start() starts a supervisor, and what it hands to it.
 *
 * Theory of operation.  The supervisor is executed first and told last, so that the starter can give up its
 * rights in between: what it gave up before, its supervisor would lack.  Between both is a socket.  Over it
 * goes one message, numbers and names in a memory file and the rest as descriptors; what comes back are the
 * lines of control.h.
 *
 *     starter                 launcher                         supervisor
 *     launcher_start() ─────▶ waits, is the starter's child
 *     gives up rights, reads
 *     the image
 *     launcher_send() ──────▶ launch_receive(), forks ───────▶ starts the machine
 *                             watches the supervisor           answers the starter
 *     launcher_done() ──────▶ ends
 *
 * So the supervisor is nobody's child, and while it has not answered there is somebody who can tell how it
 * ended.  Where the starter goes, all of them see its socket closed.
 */
#pragma once

#include "lib/enclave/enclave.h"

#include "lib/base/child.h"

/* The supervisor's end of the socket, as it is executed. */
enum { LAUNCH_SOCKET = 3 };

/* What comes over it. */
enum launch_fd {
        LAUNCH_FD_SPEC,   /* memory file: launch_write() */
        LAUNCH_FD_LOCK,   /* the entry's lock, held */
        LAUNCH_FD_ENTRY,  /* the entry's folder */
        LAUNCH_FD_KERNEL, /* nitro: the image file */
        LAUNCH_FD_VSOCK,  /* kernel_vsock: /dev/vhost-vsock with the CID set; else -1 */
        LAUNCH_FD_INITRD, /* has_initrd, else -1 */
        LAUNCH_FD_LEASH,  /* leashed: stream socket, else -1 */
        LAUNCH_FDS,
};

struct launch {
        struct enclave_info info; /* as published, ENCLAVE_STARTING */
        char *state_dir;
        char *cmdline;
        bool nitro;        /* on the Nitro driver, with the kernel's vsock */
        bool kernel_vsock; /* by /dev/vhost-vsock */
        bool has_initrd;
        bool init_of_others; /* nothing comes from init but its heartbeat */
        bool leashed;        /* there is a LAUNCH_FD_LEASH (leash.h) */
        unsigned timeout_ms; /* until the workload runs */
};

#define LAUNCH_NONE ((struct launch){.state_dir = NULL})

/* Frees the strings. Safe on LAUNCH_NONE. */
void launch_done(struct launch *launch);
#define cleanup_launch CLEANUP(launch_done)

/* Writes `launch` into a fresh memory file, at offset 0. */
int launch_write(const struct launch *launch, int *ret_fd, struct error *err);

/* Reads it back; *ret_launch is to be released with launch_done(). -EBADMSG. */
int launch_read(int fd, struct launch *ret_launch, struct error *err);

/* The error that tells how a supervisor ended that had not answered; `status` as waitpid(2) gives it.
 * -EIO. */
int launch_describe_end(int status, struct error *err);

/* ---- the starter's side ---- */

struct launcher {
        struct child child;
        int socket; /* -1 once it was closed */
};

#define LAUNCHER_NONE ((struct launcher){.child = CHILD_NONE, .socket = -1})

/* Executes the supervisor at `path`, which waits. *ret_launcher is to be released with launcher_done(). */
int launcher_start(const char *path, struct launcher *ret_launcher, struct error *err);

/* Hands over what is to be launched.  fds[LAUNCH_FD_SPEC] is made here; the others, -1 where there is none,
 * stay the caller's. */
int launcher_send(struct launcher *launcher, const struct launch *launch, const int fds[LAUNCH_FDS],
                  struct error *err);

/* Where the socket has ended without an answer: waits for the launcher, and says what is known of its end. */
int launcher_lost(struct launcher *launcher, struct error *err);

/* Lets it go, and waits until it has: a supervisor that hasn't answered yet then undoes all.  Safe on
 * LAUNCHER_NONE. */
void launcher_done(struct launcher *launcher);

/* ---- the supervisor's side ---- */

/* Waits for what is to be launched: *ret_launch is to be released with launch_done(), ret_fds[] are the
 * caller's, -1 where there is none.  -ENODATA where the starter has gone, or thought better of it. */
int launch_receive(int socket, struct launch *ret_launch, int ret_fds[LAUNCH_FDS], struct error *err);
