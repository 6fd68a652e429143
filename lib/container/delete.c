/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/delete.h"

#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/container/bundle.h"
#include "lib/container/container-rdt.h"
#include "lib/container/hook.h"
#include "lib/container/cgroup-control.h"
#include "lib/container/process.h"

#include <signal.h>
#include <string.h>

enum { KILL_TIMEOUT = 10 * 1000 }; /* milliseconds */

static void run_poststop(const struct engine *engine, const struct container_state *state,
                         const struct spec_hook_list *hooks)
{
        cleanup_free char *text = state_to_text(state, CONTAINER_STOPPED);

        if (text)
                hooks_run_all(hooks, "poststop", text, NULL, engine->log);
}

int delete_remains(const struct engine *engine, const struct container_state *state,
                   const struct spec_hooks *hooks, struct cgroup *cgroup)
{
        struct error err = {0};
        int r = cgroup ? cgroup_destroy(cgroup, &err) : 0;

        /* Without the state nobody would know of the group, nor of the processes that may be in it. */
        if (r < 0) {
                log_warning(engine->log, "unable to remove container's cgroup: %s", error_text(&err));
                return r;
        }
        if (container_rdt_end(state, &err) < 0)
                log_warning(engine->log, "unable to remove container's resctrl groups: %s", error_text(&err));
        r = state_remove(engine->root, state->id, &err);
        if (r < 0)
                log_warning(engine->log, "unable to remove container state dir: %s", error_text(&err));
        if (hooks && hooks->poststop.n > 0)
                run_poststop(engine, state, &hooks->poststop);
        return r;
}

int delete_kill(const struct container_state *state, struct cgroup *cgroup, struct error *err)
{
        int r = process_signal(state->pid, state->start_time, SIGKILL);

        if (r == -ESRCH)
                return 0;
        if (r < 0)
                return error_errno(err, -r, "can't kill process %d of container %s", state->pid, state->id);
        /* In a frozen v1 group it dies once it is thawed. */
        if (cgroup)
                (void)cgroup_thaw(cgroup, NULL);
        r = process_wait_end(state->pid, state->start_time, KILL_TIMEOUT);
        return r < 0 ? error_set(err, r, "container init still running: process %d of container %s",
                                 state->pid, state->id)
                     : 0;
}

/* ---- the command --------------------------------------------------------------------------------------- */

static int open_cgroup(const struct engine *engine, const struct container_state *state,
                       struct cgroup **ret_cgroup, struct error *err)
{
        *ret_cgroup = NULL;
        return state->cgroup ? cgroup_from_json(state->cgroup, engine->log, ret_cgroup, err) : 0;
}

/* The hooks of the configuration, where some are due.  The container goes even where it can't be read. */
static const struct spec_hooks *load_hooks(const struct engine *engine, int folder,
                                           const struct container_state *state, struct arena *arena)
{
        struct error err = {0};
        struct spec *spec;

        if (!state->poststop)
                return NULL;
        if (arena_new_private(arena, &err) == 0 && bundle_reload(folder, state, arena, &spec, &err) == 0)
                return &spec->hooks;
        log_warning(engine->log, "the poststop hooks can't be run: %s", error_text(&err));
        return NULL;
}

static int remove_ended(const struct engine *engine, int folder, const struct container_state *state,
                        struct cgroup *cgroup, struct error *err)
{
        cleanup_arena struct arena arena = ARENA_NONE;
        const struct spec_hooks *hooks = load_hooks(engine, folder, state, &arena);
        int r = delete_remains(engine, state, hooks, cgroup);

        if (r == 0)
                return 0;
        (void)error_set(err, r, "container %s can't be removed wholly", state->id);
        error_hint(err, "delete it once more when the cause is gone");
        return r;
}

int container_delete(const struct engine *engine, const char *id, struct error *err)
{
        cleanup_container_state struct container_state state = {0};
        cleanup_cgroup struct cgroup *cgroup = NULL;
        enum container_status status = CONTAINER_CREATING;
        cleanup_fd int folder = -1;
        int r = state_open(engine->root, id, &folder, err);

        if (r == 0)
                r = state_lock(folder, err);
        if (r < 0)
                return r;
        r = state_read(folder, &state, err);
        if (r == -ENOENT) {
                error_set(err, r, "container \"%s\" does not exist", id);
                error_hint(err, "what a killed command left of it goes by `delete --force`");
        }
        if (r == 0)
                r = open_cgroup(engine, &state, &cgroup, err);
        if (r == 0)
                r = state_status(folder, &state, &status, err);
        if (r < 0)
                return r;
        if (status == CONTAINER_CREATED || status == CONTAINER_CREATING)
                r = delete_kill(&state, cgroup, err);
        else if (status != CONTAINER_STOPPED)
                r = error_set(err, -EBUSY, "cannot delete container %s that is not stopped: %s", id,
                              container_status_name(status));
        return r < 0 ? r : remove_ended(engine, folder, &state, cgroup, err);
}

/* How long a container-init whose rune was killed may take to be killed by that (PR_SET_PDEATHSIG). */
enum { ORPHAN_END_MS = 2000, ORPHAN_POLL_US = 5000 };

/* Makes the group where it isn't there yet, so that there is one to remove.  Where it still has processes
 * they are an orphan's that is about to end, or else it is another's and stays. */
static int reclaim_cgroup(const struct engine *engine, const char *id, const struct spec *spec,
                          struct cgroup **ret_cgroup)
{
        const struct cgroup_request request = bundle_cgroup_request(engine, id, spec);
        const uint64_t end = clock_ms() + ORPHAN_END_MS;

        for (;;) {
                int r = cgroup_create(&request, engine->log, ret_cgroup, NULL);
                if (r != -EEXIST || clock_ms() > end)
                        return r;
                clock_sleep_us(ORPHAN_POLL_US);
        }
}

/* What a killed create left: no state yet, so no process that outlived it; perhaps a cgroup. */
static int remove_half_made(const struct engine *engine, int folder, const char *id, struct error *err)
{
        cleanup_arena struct arena arena = ARENA_NONE;
        cleanup_cgroup struct cgroup *cgroup = NULL;
        struct container_state state = {0};
        struct spec *spec;

        int r = arena_new_private(&arena, err);
        if (r == 0 && bundle_reload(folder, &state, &arena, &spec, NULL) == 0 &&
            reclaim_cgroup(engine, id, spec, &cgroup) == 0)
                r = cgroup_destroy(cgroup, err);
        return r < 0 ? r : state_remove(engine->root, id, err);
}

/* A process that is being made, or hangs in a hook, is killed before the lock is waited for: whoever makes
 * it then gives up. */
static void kill_before_lock(int folder)
{
        cleanup_container_state struct container_state state = {0};

        if (state_read(folder, &state, NULL) == 0)
                (void)process_signal(state.pid, state.start_time, SIGKILL);
}

int container_delete_force(const struct engine *engine, const char *id, struct error *err)
{
        cleanup_container_state struct container_state state = {0};
        cleanup_cgroup struct cgroup *cgroup = NULL;
        cleanup_fd int folder = -1;
        int r = state_open(engine->root, id, &folder, err);

        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        kill_before_lock(folder);
        r = state_lock(folder, err);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        r = state_read(folder, &state, err);
        if (r == -ENOENT || r == -EBADMSG)
                return remove_half_made(engine, folder, id, err);
        if (r < 0)
                return r;
        struct error cgroup_error = {0};
        if (open_cgroup(engine, &state, &cgroup, &cgroup_error) < 0)
                log_warning(engine->log, "%s", error_text(&cgroup_error));
        r = delete_kill(&state, cgroup, err);
        return r < 0 ? r : remove_ended(engine, folder, &state, cgroup, err);
}
