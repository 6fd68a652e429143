/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.h - what is known of each container between two commands: the folder ROOT/<id>/ with
 *
 *      config.json  the configuration as it was at create: what later commands go by
 *      state.json   pid, its start time, bundle, cgroup, ...; written atomically, before the process could
 *                   outlive the command that makes it
 *      new.fifo     the exec fifo while the container is being created
 *      exec.fifo    the same from then on until start
 *      notify/      the socket of a container that reports to systemd
 *
 * The folder itself is locked (flock) by the command that changes the container.  One without state.json
 * whose lock is free is what a killed `create` left; `delete --force` removes it.  Whether a container runs
 * is never stored: it is asked of the kernel (pid and its start time).  Nothing here is synced to a disk: no
 * container outlives the machine.
 */
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/container/cgroup.h"

#include <jansson.h>

enum container_status {
        CONTAINER_CREATING,
        CONTAINER_CREATED,
        CONTAINER_RUNNING,
        CONTAINER_PAUSED,
        CONTAINER_STOPPED,
};

struct container_state {
        char *id;
        char *version; /* ociVersion of the state: the one of config.json */
        char *bundle;
        char *rootfs;
        char *owner;         /* user name, or number, that created it */
        pid_t pid;           /* of its first process in our PID namespace; 0 until there is one */
        uint64_t start_time; /* of pid, clock ticks since boot, /proc/<pid>/stat field 22 */
        char created[48];    /* RFC 3339 in UTC with nanoseconds */
        json_t *annotations; /* object */
        json_t *cgroup;      /* cgroup_to_json(), or NULL */
        bool shared_pids;    /* it has no PID namespace of its own: its end doesn't end the others */
        bool poststart;      /* config.json has such hooks */
        bool poststop;
        json_t *extra; /* object: what other parts keep (Intel RDT, enclaves), by their key */
};

/* Names in the folder. */
#define STATE_FILE        "state.json"
#define STATE_CONFIG      "config.json"
#define STATE_FIFO        "exec.fifo"
#define STATE_FIFO_UNMADE "new.fifo"
#define STATE_NOTIFY      "notify"

/* True where `id` follows [A-Za-z0-9_+-][A-Za-z0-9_+.-]* and has at most 1024 bytes. */
bool container_id_valid(const char *id);

/* Makes ROOT and ROOT/<id>, locked, for a new container.  *ret_folder (O_RDONLY | O_DIRECTORY) is the
 * caller's and holds the lock until closed. -EEXIST where the id is taken. */
int state_reserve(const char *root, const char *id, int *ret_folder, struct error *err);

/* Opens the folder of a container. -ENOENT: "container "x" does not exist". */
int state_open(const char *root, const char *id, int *ret_folder, struct error *err);

/* Takes the lock, waiting for whoever holds it; `folder` holds it until closed.  -ENOENT where the container
 * was removed meanwhile. */
int state_lock(int folder, struct error *err);

/* Reads state.json. -ENOENT while it isn't there. */
int state_read(int folder, struct container_state *ret_state, struct error *err);

/* Writes state.json in one atomic step. */
int state_write(int folder, const struct container_state *state, struct error *err);

/* Removes the folder and all in it. */
int state_remove(const char *root, const char *id, struct error *err);

/* The ids in ROOT, sorted, as a NULL-terminated array on the heap (free each and the array). */
int state_ids(const char *root, char ***ret_ids, struct error *err);

/* The status by asking the kernel. */
int state_status(int folder, const struct container_state *state, enum container_status *ret_status,
                 struct error *err);

/* "creating", "created", "running", "paused", "stopped". */
const char *container_status_name(enum container_status status);

/* The specification's state (runtime.md, "State"): for `state`, hooks, and the seccomp listener. A new
 * reference. */
json_t *state_to_oci(const struct container_state *state, enum container_status status);

/* The same as compact JSON text on the heap, for the caller to free; NULL when out of memory. */
char *state_to_text(const struct container_state *state, enum container_status status);

/* Frees what is in it. */
void container_state_done(struct container_state *state);
#define cleanup_container_state CLEANUP(container_state_done)
