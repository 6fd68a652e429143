/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container.h - what the process service runs its processes in: a process and a mount namespace of their own,
 * with the image as root.
 *
 * Theory of operation.  Init stays in the bootstrap ramdisk, with its own /proc and /dev, out of reach.
 * SETUP makes a child in new namespaces, the container's first process: it makes the image's files its root,
 * mounts what is asked for, and waits; START hands it what to run and its streams.  So `ps` in the container
 * shows what any container's does, and when the first process ends the kernel ends the others.  Further
 * processes join its namespaces: a child of init's enters them, and clones with CLONE_PARENT, so that the
 * process is a child of init for waitpid(2) and of the container for everything else.
 *
 * They are in a control group of their own (container-group.h); init isn't.  What is only one in a machine,
 * host name, network, sysctls, is the container's.
 */
#pragma once

#include "lib/base/log.h"
#include "lib/base/view.h"
#include "lib/enclave/service-spec.h"

#include "guest/failure.h"

#include <sys/types.h>

struct container;

/* Where the ramdisks hold the folders that mounts of type "copied" name. */
#define CONTAINER_COPIES "/copies"

/* Makes the container, its first process waiting to be started.  `xattrs` are the image's (xattrs.h). */
int container_new(const struct service_container *spec, struct view xattrs, const struct log *log,
                  struct container **ret_container, struct failure *f);

/* Forgets it, and ends what runs in it. NULL-safe. */
void container_free(struct container *container);

/* The first process, as init numbers it. */
pid_t container_pid(const struct container *container);

/* A fresh terminal of the container's devpts: both ends are the caller's. */
int container_open_terminal(struct container *container, int *ret_master, int *ret_slave, struct failure *f);

/* Starts a process, as service.h's hook says. */
int container_start(struct container *container, bool first, const struct service_process *process,
                    struct view encoded, const int stdio[3], pid_t *ret_pid, struct failure *f);
