/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/container-control.h"

#include "lib/base/array.h"
#include "lib/base/fd.h"
#include "lib/container/cgroup-control.h"
#include "lib/container/container-rdt.h"
#include "lib/container/enclave-plan.h"
#include "lib/container/process.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* A container looked up by a command. */
struct found {
        int folder;
        struct container_info info;
        struct cgroup *cgroup; /* NULL where it has none */
};

static void found_done(struct found *found)
{
        fd_close_p(&found->folder);
        container_info_done(&found->info);
        cgroup_free(found->cgroup);
}

#define cleanup_found CLEANUP(found_done)
#define FOUND_NONE    ((struct found){.folder = -1})

static int read_info(int folder, const char *id, struct container_info *ret_info, struct error *err)
{
        int r = state_read(folder, &ret_info->state, err);

        if (r == -ENOENT)
                return error_set(err, r, "container \"%s\" does not exist", id);
        return r < 0 ? r : state_status(folder, &ret_info->state, &ret_info->status, err);
}

static int open_cgroup(const struct engine *engine, struct found *found, struct error *err)
{
        if (!found->info.state.cgroup)
                return 0;
        return cgroup_from_json(found->info.state.cgroup, engine->log, &found->cgroup, err);
}

static int find(const struct engine *engine, const char *id, struct found *found, struct error *err)
{
        int r = state_open(engine->root, id, &found->folder, err);

        if (r == 0)
                r = read_info(found->folder, id, &found->info, err);
        return r < 0 ? r : open_cgroup(engine, found, err);
}

static int no_cgroup(const char *id, struct error *err)
{
        return error_set(err, -ENOTSUP, "container %s has no cgroup", id);
}

/* The same with the lock held, for what is done to its cgroup. */
static int find_for_change(const struct engine *engine, const char *id, struct found *found,
                           struct error *err)
{
        int r = state_open(engine->root, id, &found->folder, err);

        if (r == 0)
                r = state_lock(found->folder, err);
        if (r == 0)
                r = read_info(found->folder, id, &found->info, err);
        if (r == 0)
                r = open_cgroup(engine, found, err);
        return r < 0 || found->cgroup ? r : no_cgroup(id, err);
}

static int not_running(struct error *err)
{
        return error_set(err, -ESRCH, "container not running");
}

/* ---- looking ------------------------------------------------------------------------------------------- */

void container_info_done(struct container_info *info)
{
        container_state_done(&info->state);
}

int container_find(const struct engine *engine, const char *id, struct container_info *ret_info,
                   struct error *err)
{
        cleanup_container_info struct container_info info = {0};
        cleanup_fd int folder = -1;
        int r = state_open(engine->root, id, &folder, err);

        if (r == 0)
                r = read_info(folder, id, &info, err);
        if (r < 0)
                return r;
        *ret_info = info;
        info = (struct container_info){0};
        return 0;
}

static void free_ids(char ***ids)
{
        for (char **id = *ids; id && *id; id++)
                free(*id);
        free(*ids);
}

static int append(struct container_info **infos, size_t *n, const struct container_info *info)
{
        if (array_grow(infos, *n, sizeof(**infos)) < 0)
                return -ENOMEM;
        (*infos)[*n] = *info;
        *n += 1;
        return 0;
}

int container_list(const struct engine *engine, struct container_info **ret_infos, size_t *ret_n,
                   struct error *err)
{
        CLEANUP(free_ids) char **ids = NULL;
        struct container_info *infos = NULL;
        size_t n = 0;
        int r = state_ids(engine->root, &ids, err);

        for (size_t i = 0; r == 0 && ids[i]; i++) {
                cleanup_container_info struct container_info info = {0};
                struct error reason = {0};
                int found = container_find(engine, ids[i], &info, &reason);
                /* One that comes or goes at this moment isn't in the list; others are shown all the same. */
                if (found < 0) {
                        if (found != -ENOENT)
                                log_warning(engine->log, "container %s: %s", ids[i], error_text(&reason));
                        continue;
                }
                r = append(&infos, &n, &info);
                if (r == 0)
                        info = (struct container_info){0};
                else
                        error_oom(err);
        }
        if (r < 0) {
                for (size_t i = 0; i < n; i++)
                        container_info_done(&infos[i]);
                free(infos);
                return r;
        }
        *ret_infos = infos;
        *ret_n = n;
        return 0;
}

int container_pids(const struct engine *engine, const char *id, pid_t **ret_pids, size_t *ret_n,
                   struct error *err)
{
        cleanup_found struct found found = FOUND_NONE;
        int r = find(engine, id, &found, err);

        if (r < 0)
                return r;
        if (found.cgroup)
                return cgroup_pids(found.cgroup, ret_pids, ret_n, err);
        pid_t *pid = malloc(sizeof(*pid));
        if (!pid)
                return error_oom(err);
        *pid = found.info.state.pid;
        *ret_pids = pid;
        *ret_n = found.info.status == CONTAINER_STOPPED ? 0 : 1;
        return 0;
}

int container_cgroup(const struct engine *engine, const char *id, struct cgroup **ret_cgroup,
                     struct error *err)
{
        cleanup_found struct found found = FOUND_NONE;
        int r = find(engine, id, &found, err);

        if (r < 0)
                return r;
        if (!found.cgroup)
                return no_cgroup(id, err);
        *ret_cgroup = take_pointer(&found.cgroup);
        return 0;
}

/* ---- changing ------------------------------------------------------------------------------------------ */

int container_pause(const struct engine *engine, const char *id, struct error *err)
{
        cleanup_found struct found found = FOUND_NONE;
        int r = find_for_change(engine, id, &found, err);

        if (r < 0)
                return r;
        if (found.info.status == CONTAINER_PAUSED)
                return error_set(err, -EINVAL, "container already paused");
        if (found.info.status != CONTAINER_RUNNING && found.info.status != CONTAINER_CREATED)
                return error_set(err, -EINVAL, "container not running");
        r = enclave_check_change(&found.info.state, "be paused", err);
        return r < 0 ? r : cgroup_freeze(found.cgroup, err);
}

int container_resume(const struct engine *engine, const char *id, struct error *err)
{
        cleanup_found struct found found = FOUND_NONE;
        int r = find_for_change(engine, id, &found, err);

        if (r < 0)
                return r;
        if (found.info.status != CONTAINER_PAUSED)
                return error_set(err, -EINVAL, "container not paused");
        return cgroup_thaw(found.cgroup, err);
}

/* Created, running or paused: what has limits still. */
static int find_to_update(const struct engine *engine, const char *id, struct found *found, struct error *err)
{
        int r = find_for_change(engine, id, found, err);

        if (r < 0)
                return r;
        if (found->info.status == CONTAINER_STOPPED)
                return not_running(err);
        return enclave_check_change(&found->info.state, "get other limits while it runs", err);
}

int container_update(const struct engine *engine, const char *id, const struct spec_resources *resources,
                     struct error *err)
{
        cleanup_found struct found found = FOUND_NONE;
        int r = find_to_update(engine, id, &found, err);

        if (r < 0)
                return r;
        return cgroup_apply(found.cgroup, resources, err);
}

int container_update_rdt(const struct engine *engine, const char *id, const struct spec_intel_rdt *spec,
                         struct error *err)
{
        cleanup_found struct found found = FOUND_NONE;
        int r = find_to_update(engine, id, &found, err);

        if (r < 0)
                return r;
        return container_rdt_update(&found.info.state, spec, err);
}

int container_rdt_figures(const struct engine *engine, const char *id, json_t **ret_figures,
                          struct error *err)
{
        cleanup_found struct found found = FOUND_NONE;
        int r = find(engine, id, &found, err);

        return r < 0 ? r : container_rdt_stats(&found.info.state, ret_figures, err);
}

/* Where the PID namespace is shared, the end of the first process doesn't end the others: the container is
 * stopped, and yet there may be somebody to kill. */
static int kill_group(struct found *found, struct error *err)
{
        cleanup_free pid_t *pids = NULL;
        size_t n = 0;
        int r = found->info.status == CONTAINER_STOPPED ? cgroup_pids(found->cgroup, &pids, &n, err) : 0;

        if (r == 0)
                r = cgroup_signal(found->cgroup, SIGKILL, err);
        return r == 0 && found->info.status == CONTAINER_STOPPED && n == 0 ? not_running(err) : r;
}

/* Signals don't take the lock: a container whose start hangs must be killable. */
int container_kill(const struct engine *engine, const char *id, int signal, struct error *err)
{
        cleanup_found struct found found = FOUND_NONE;
        int r = find(engine, id, &found, err);

        if (r < 0)
                return r;
        const struct container_state *state = &found.info.state;
        if (signal == SIGKILL && state->shared_pids && found.cgroup)
                return kill_group(&found, err);
        if (found.info.status == CONTAINER_STOPPED)
                return not_running(err);
        r = process_signal(state->pid, state->start_time, signal);
        if (r == -ESRCH)
                return not_running(err);
        if (r < 0)
                return error_errno(err, -r, "unable to signal init of container %s", id);
        /* A frozen v1 group gets even SIGKILL only as it is thawed. */
        if (signal == SIGKILL && found.info.status == CONTAINER_PAUSED)
                (void)cgroup_thaw(found.cgroup, NULL);
        return 0;
}

int container_kill_all(const struct engine *engine, const char *id, int signal, struct error *err)
{
        cleanup_found struct found found = FOUND_NONE;
        int r = find(engine, id, &found, err);

        if (r < 0)
                return r;
        if (!found.cgroup)
                return container_kill(engine, id, signal, err);
        r = cgroup_signal(found.cgroup, signal, err);
        if (r == 0 && signal == SIGKILL && found.info.status == CONTAINER_PAUSED)
                (void)cgroup_thaw(found.cgroup, NULL);
        return r;
}
