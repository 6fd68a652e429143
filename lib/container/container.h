/* SPDX-License-Identifier: Apache-2.0 */
/*
 * container.h - the engine: containers by id, as the OCI runtime operations have them (runtime.md,
 * "Operations").
 *
 * Each call is one command of `rune`, whole: it takes the container's lock, does its work, and leaves
 * either the new state or the old one.  A create that fails leaves nothing: no process, mount, group or
 * folder.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/container/spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Where containers live and how they are made: the global options. */
struct engine {
        const char *root; /* folder of all states */
        bool systemd_cgroup;
        bool no_cgroup;       /* --cgroup-manager=disabled */
        bool rootless;        /* --rootless, or what was found out */
        const char *pal_path; /* --pal-path: further folders of PALs, apart by colons; NULL: none */
        const struct log *log;
};

struct create_request {
        const char *id;
        const char *bundle;   /* folder of config.json */
        const char *pid_file; /* each of these may be NULL */
        const char *console_socket;
        const char *pidfd_socket;
        bool no_pivot;
        bool no_new_keyring;
        size_t preserve_fds;
};

struct exec_request {
        const char *id;
        const char *
                process_file; /* a process object as JSON; NULL: made of config.json's and the fields below */
        char *const *args;    /* NULL-terminated; NULL with process_file */
        char *const *env;     /* NULL-terminated, added to config.json's; may be NULL */
        const char *cwd;      /* NULL: config.json's */
        const char *user;     /* "uid[:gid]", NULL: config.json's */
        const uint32_t *additional_gids;
        size_t n_additional_gids;
        char *const *capabilities; /* NULL-terminated, added; may be NULL */
        const char *apparmor;
        const char *process_label;
        /* NULL-terminated, or NULL: one "group" below the container's, or "controller,...:group"s. */
        char *const *cgroups;
        bool no_new_privileges; /* only ever switches it on */
        bool terminal;
        bool ignore_paused;
        bool detach;
        const char *pid_file;
        const char *console_socket;
        const char *pidfd_socket;
        size_t preserve_fds;
};

/* Makes the container up to where its process waits for the start. */
int container_create(const struct engine *engine, const struct create_request *request, struct error *err);

/* Lets a created container's process go on; returns once it has executed the payload, or with the reason
 * why it could not. */
int container_start(const struct engine *engine, const char *id, struct error *err);

/* create, start, relay terminal and signals, wait, delete.  *ret_status: the exit status, 128+n for signal
 * n. */
int container_run(const struct engine *engine, const struct create_request *request, int *ret_status,
                  struct error *err);

/* create and start; the container stays. */
int container_run_detached(const struct engine *engine, const struct create_request *request,
                           struct error *err);

/* As container_run(), but leaves the stopped container there (`run --keep`). */
int container_run_and_keep(const struct engine *engine, const struct create_request *request, int *ret_status,
                           struct error *err);

/* Runs a further process.  With request->detach returns as it runs, *ret_status 0; else with its exit
 * status. */
int container_exec(const struct engine *engine, const struct exec_request *request, int *ret_status,
                   struct error *err);

/* A report of the enclave that the container is, for `target` (pal.h; empty: for itself), appended to
 * *ret_report.  -EINVAL for a plain container, -EOPNOTSUPP where its PAL has none. */
int container_report(const struct engine *engine, const char *id, struct view target, struct buf *ret_report,
                     struct error *err);

/* Sends a signal to the container's first process. */
int container_kill(const struct engine *engine, const char *id, int signal, struct error *err);

/* Sends a signal to all its processes. */
int container_kill_all(const struct engine *engine, const char *id, int signal, struct error *err);

/* Removes a stopped container and runs its poststop hooks. -EBUSY where it runs. */
int container_delete(const struct engine *engine, const char *id, struct error *err);

/* Kills it if need be, and removes whatever is there of it: also what a killed command left.  A missing
 * container is success. */
int container_delete_force(const struct engine *engine, const char *id, struct error *err);
