/* SPDX-License-Identifier: Apache-2.0 */
/*
 * starting.h - rune's side of plan.h: a process of a container while it comes to be, of a create and of an
 * exec alike.
 *
 * Order: starting_init(), which gives the arena and an empty plan; the caller fills the plan; then
 * starting_launch(), starting_await(), starting_release().  Whoever ends early calls starting_abort().
 */
#pragma once

#include "lib/container/container.h"
#include "lib/container/plan.h"
#include "lib/container/state.h"

struct starting {
        const struct engine *engine;
        struct arena arena;
        struct plan *plan; /* root of the arena */
        struct spec *spec; /* in the arena */
        int folder;        /* of the state, locked; -1 */
        struct cgroup *cgroup;
        struct container_state state;
        int killed_by;       /* the signal that somebody ended init with before it was done; 0: none */
        pid_t pid;           /* our child that is, or becomes, the container's process; 0: none */
        int socket;          /* our end; -1 before the launch and after the end of the other one */
        int console;         /* the pty's master where it was sent to us, else -1 */
        bool outside_cgroup; /* rune is to put the process in, once it has the pid that it keeps */
        bool settled, told_to_go;
        bool running;                  /* an enclave's process was made */
        char call[ERROR_TEXT_MAX / 2]; /* what an enclave's PAL was last called for; "": nothing yet */
        uint64_t call_deadline;        /* clock_ms() by which it must have returned; 0: any time */

        /* What a create has to do once the process has its final pid, and once its namespaces are there. */
        int (*settle)(struct starting *starting, struct error *err);
        int (*at_namespaces)(struct starting *starting, struct error *err);
};

/* An arena with an empty plan for `job`, without descriptors. */
int starting_init(const struct engine *engine, enum plan_job job, struct starting *ret_starting,
                  struct error *err);

/* Refuses a terminal that nobody would have, and a console socket that nothing would come through. */
int starting_check_terminal(const struct spec_process *process, const char *console_socket, bool detached,
                            struct error *err);

/* Compiles linux.seccomp into the plan, through the cache below the engine's root. */
int starting_compile_filter(struct starting *starting, struct error *err);

/* Opens, for the plan, the files by which container-init enters the v1 groups of s->cgroup. */
int starting_open_tasks(struct starting *starting, struct error *err);

/* Starts container-init in `namespaces` (CLONE_NEW*) and in the cgroup; its descriptors, but for those of
 * the plan, are closed. */
int starting_launch(struct starting *starting, unsigned long namespaces, struct error *err);

/* Answers what container-init asks until it says CREATED.  Its error is ours. */
int starting_await_created(struct starting *starting, struct error *err);

/* Lets it go on from CREATED, and waits until the payload executes. For a run and an exec. */
int starting_release(struct starting *starting, struct error *err);

/* Kills and reaps the process, and closes what was for it. */
void starting_abort(struct starting *starting);

/* Closes and frees. The process stays. */
void starting_done(struct starting *starting);
#define cleanup_starting CLEANUP(starting_done)
