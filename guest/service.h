/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service.h - the process service: runs processes that the parent asks for, and carries their streams
 * (lib/enclave/service-protocol.h).
 *
 * What a process is made of, namespaces and mounts, stands behind the hooks, so that the service runs as an
 * ordinary process over a socket pair in tests.
 */
#pragma once

#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/enclave/service-spec.h"

#include "guest/failure.h"

#include <sys/types.h>

struct service;

struct service_hooks {
        /* Carries SETUP out. */
        int (*set_up)(const struct service_container *container, void *user, struct failure *f);
        /* A fresh terminal of the container: both ends are the service's, close-on-exec. */
        int (*open_terminal)(int *ret_master, int *ret_slave, void *user, struct failure *f);
        /* Starts a process, the container's own where `first`; returns once its program was executed.
         * `encoded` is what `process` was decoded from.  *ret_pid is then init's child, in init's numbers. */
        int (*start)(bool first, const struct service_process *process, struct view encoded,
                     const int stdio[3], pid_t *ret_pid, void *user, struct failure *f);
        /* Sends a signal to all processes of the container. */
        void (*signal_all)(int signal, void *user);
        /* The service is over: the parent said so, has gone, or broke the protocol (`why`, else NULL).  It
         * must not be freed from within.
         * `status` is the container's process's as waitpid(2) gives it, or -1 where it hasn't ended. */
        void (*over)(int status, const char *why, void *user);
        void *user;
};

/* A service on `fd`, a connected non-blocking stream socket, which becomes the service's; it says HELLO.
 * SIGPIPE must be ignored.
 * `hooks` is copied; `log` must outlive it. */
int service_new(struct loop *loop, int fd, const struct service_hooks *hooks, const struct log *log,
                struct service **ret_service, struct error *err);

/* Closes the connection; processes stay as they are. NULL-safe. */
void service_free(struct service *service);
DEFINE_CLEANUP(cleanup_service_p, struct service *, service_free)
#define cleanup_service CLEANUP(cleanup_service_p)

/* A child of init has ended, with `status` as waitpid(2) gives it; one that isn't the service's is ignored.
 * */
void service_reaped(struct service *service, pid_t pid, int status);

/* Sends a signal to the container's process, if it runs. */
void service_signal(struct service *service, int signal);
