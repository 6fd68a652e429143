/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payload.h - the program that a container is for: its folder, environment, executable, and its start.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/container/plan.h"

/* A program on its way to be executed. */
struct payload {
        bool in_folder; /* we are in process.cwd */
        char *path;
        char **env; /* NULL-terminated; the strings are those of the plan, and: */
        char *home, *listen_pid;
};

/* Frees what is in it. */
void payload_done(struct payload *payload);
#define cleanup_payload CLEANUP(payload_done)

/* Changes into process.cwd, before the user changes: root may be let in where the user isn't.  Where root
 * isn't let in, that is left to payload_enter_folder_as_user().  A create makes the folder where it is
 * missing.  -EXDEV where it isn't inside the container (CVE-2024-21626); that takes getcwd(2), so it is found
 * out before a filter may forbid the call. */
int payload_enter_folder(const struct plan *plan, struct payload *payload, struct error *err);

/* The same as the user, where root couldn't. */
int payload_enter_folder_as_user(const struct plan *plan, const struct payload *payload, struct error *err);

/* The environment: process.env, of equal names the last; HOME from the container's /etc/passwd where there is
 * none; LISTEN_PID where there is LISTEN_FDS.  For a process that has its final pid. */
int payload_environment(const struct spec_process *process, struct payload *payload, struct error *err);

/* Finds process.args[0] as execvp(3) would with the payload's environment. */
int payload_find(const struct spec_process *process, struct payload *payload, struct error *err);

/* Executes; returns only on failure. */
int payload_execute(const struct spec_process *process, const struct payload *payload, struct error *err);
