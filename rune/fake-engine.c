/* SPDX-License-Identifier: Apache-2.0 */
#include "rune/fake-engine.h"
#include "lib/base/array.h"
#include "lib/container/cgroup-control.h"

#include <inttypes.h>
#include <string.h>

enum { CALLS_MAX = 64 * 1024 };

struct fake_engine fake_engine = {.calls = {.max = CALLS_MAX}};

void fake_engine_reset(void)
{
        buf_done(&fake_engine.calls);
        fake_engine =
                (struct fake_engine){.calls = buf_with_max(CALLS_MAX), .state = CONTAINER_RUNNING, .pid = 42};
}

static void say_text(const char *name, const char *value)
{
        if (value)
                (void)buf_printf(&fake_engine.calls, " %s=%s", name, value);
}

static void say_flag(const char *name, bool value)
{
        if (value)
                (void)buf_printf(&fake_engine.calls, " %s", name);
}

static void say_list(const char *name, char *const *items)
{
        for (; items && *items; items++)
                say_text(name, *items);
}

static void say_number(const char *name, int64_t value)
{
        (void)buf_printf(&fake_engine.calls, " %s=%" PRId64, name, value);
}

static void begin(const struct engine *engine, const char *name, const char *id)
{
        (void)buf_printf(&fake_engine.calls, "%s", name);
        say_text("id", id);
        if (strcmp(engine->root, "/run/rune") != 0)
                say_text("root", engine->root);
        say_flag("systemd", engine->systemd_cgroup);
        say_flag("no-cgroup", engine->no_cgroup);
        say_flag("rootless", engine->rootless);
        if (fake_engine.warning)
                log_warning(engine->log, "%s", fake_engine.warning);
}

static int end(struct error *err)
{
        (void)buf_append_byte(&fake_engine.calls, '\n');
        if (fake_engine.result < 0)
                return error_set(err, fake_engine.result, "%s", fake_engine.failure);
        return 0;
}

static void say_create(const struct create_request *request)
{
        say_text("bundle", request->bundle);
        say_text("pid-file", request->pid_file);
        say_text("console-socket", request->console_socket);
        say_text("pidfd-socket", request->pidfd_socket);
        say_flag("no-pivot", request->no_pivot);
        say_flag("no-new-keyring", request->no_new_keyring);
        if (request->preserve_fds)
                say_number("preserve-fds", (int64_t)request->preserve_fds);
}

int container_create(const struct engine *engine, const struct create_request *request, struct error *err)
{
        begin(engine, "create", request->id);
        say_create(request);
        return end(err);
}

int container_run_detached(const struct engine *engine, const struct create_request *request,
                           struct error *err)
{
        begin(engine, "run-detached", request->id);
        say_create(request);
        return end(err);
}

int container_run(const struct engine *engine, const struct create_request *request, int *ret_status,
                  struct error *err)
{
        begin(engine, "run", request->id);
        say_create(request);
        int r = end(err);
        if (r == 0)
                *ret_status = fake_engine.status;
        return r;
}

int container_run_and_keep(const struct engine *engine, const struct create_request *request, int *ret_status,
                           struct error *err)
{
        begin(engine, "run-and-keep", request->id);
        say_create(request);
        int r = end(err);
        if (r == 0)
                *ret_status = fake_engine.status;
        return r;
}

int container_exec(const struct engine *engine, const struct exec_request *request, int *ret_status,
                   struct error *err)
{
        begin(engine, "exec", request->id);
        say_text("process", request->process_file);
        say_list("arg", request->args);
        say_list("env", request->env);
        say_text("cwd", request->cwd);
        say_text("user", request->user);
        for (size_t i = 0; i < request->n_additional_gids; i++)
                say_number("gid", request->additional_gids[i]);
        say_list("cap", request->capabilities);
        say_text("apparmor", request->apparmor);
        say_text("label", request->process_label);
        say_list("cgroup", request->cgroups);
        say_flag("no-new-privs", request->no_new_privileges);
        say_flag("tty", request->terminal);
        say_flag("ignore-paused", request->ignore_paused);
        say_flag("detach", request->detach);
        say_text("pid-file", request->pid_file);
        say_text("console-socket", request->console_socket);
        say_text("pidfd-socket", request->pidfd_socket);
        if (request->preserve_fds)
                say_number("preserve-fds", (int64_t)request->preserve_fds);
        int r = end(err);
        if (r == 0)
                *ret_status = fake_engine.status;
        return r;
}

int container_start(const struct engine *engine, const char *id, struct error *err)
{
        begin(engine, "start", id);
        return end(err);
}

int container_kill(const struct engine *engine, const char *id, int signal, struct error *err)
{
        begin(engine, "kill", id);
        say_number("signal", signal);
        return end(err);
}

int container_kill_all(const struct engine *engine, const char *id, int signal, struct error *err)
{
        begin(engine, "kill-all", id);
        say_number("signal", signal);
        return end(err);
}

int container_delete(const struct engine *engine, const char *id, struct error *err)
{
        begin(engine, "delete", id);
        return end(err);
}

int container_delete_force(const struct engine *engine, const char *id, struct error *err)
{
        begin(engine, "delete-force", id);
        return end(err);
}

int container_pause(const struct engine *engine, const char *id, struct error *err)
{
        begin(engine, "pause", id);
        return end(err);
}

int container_resume(const struct engine *engine, const char *id, struct error *err)
{
        begin(engine, "resume", id);
        return end(err);
}

int container_update(const struct engine *engine, const char *id, const struct spec_resources *resources,
                     struct error *err)
{
        begin(engine, "update", id);
        if (resources->memory.limit.set)
                say_number("memory", resources->memory.limit.value);
        if (resources->pids_limit.set)
                say_number("pids", resources->pids_limit.value);
        return end(err);
}

int container_update_rdt(const struct engine *engine, const char *id, const struct spec_intel_rdt *spec,
                         struct error *err)
{
        begin(engine, "update rdt", id);
        say_text("l3", spec->l3_cache_schema);
        say_text("mb", spec->mem_bw_schema);
        return end(err);
}

int container_rdt_figures(const struct engine *engine, const char *id, json_t **ret_figures,
                          struct error *err)
{
        (void)engine;
        *ret_figures = json_pack("{s:s}", "l3_cache_schema", id);
        return *ret_figures ? 0 : error_oom(err);
}

static int make_info(const char *id, struct container_info *ret_info, struct error *err)
{
        json_t *annotations = json_pack("{s:s}", "org.example", "yes");

        *ret_info = (struct container_info){
                .status = fake_engine.state,
                .state = {.id = strdup(id),
                          .version = strdup("1.0.2"),
                          .bundle = strdup("/b"),
                          .rootfs = strdup("/b/rootfs"),
                          .owner = strdup("root"),
                          .pid = fake_engine.pid,
                          .created = "2026-11-20T19:12:00.123456789Z",
                          .annotations = annotations},
        };
        return annotations ? 0 : error_oom(err);
}

void container_info_done(struct container_info *info)
{
        free(info->state.id);
        free(info->state.version);
        free(info->state.bundle);
        free(info->state.rootfs);
        free(info->state.owner);
        json_decref(info->state.annotations);
}

int container_find(const struct engine *engine, const char *id, struct container_info *ret_info,
                   struct error *err)
{
        begin(engine, "find", id);
        int r = end(err);
        return r < 0 ? r : make_info(id, ret_info, err);
}

int container_list(const struct engine *engine, struct container_info **ret_infos, size_t *ret_n,
                   struct error *err)
{
        struct container_info *infos = NULL;
        char id[] = "one-0";
        size_t n = 0;

        begin(engine, "list", NULL);
        int r = end(err);
        for (; r == 0 && n < fake_engine.n_containers; n++) {
                id[4] = (char)('0' + n);
                r = array_grow(&infos, n, sizeof(*infos));
                if (r == 0)
                        r = make_info(id, &infos[n], err);
        }
        if (r < 0)
                return r;
        *ret_infos = infos;
        *ret_n = n;
        return 0;
}

int container_pids(const struct engine *engine, const char *id, pid_t **ret_pids, size_t *ret_n,
                   struct error *err)
{
        begin(engine, "pids", id);
        int r = end(err);
        if (r < 0)
                return r;
        *ret_pids = calloc(2, sizeof(**ret_pids));
        if (!*ret_pids)
                return error_oom(err);
        (*ret_pids)[0] = 42;
        (*ret_pids)[1] = 1;
        *ret_n = 2;
        return 0;
}

int container_cgroup(const struct engine *engine, const char *id, struct cgroup **ret_cgroup,
                     struct error *err)
{
        begin(engine, "cgroup", id);
        *ret_cgroup = NULL;
        return end(err);
}

const char *container_status_name(enum container_status status)
{
        static const char *const names[] = {"creating", "created", "running", "paused", "stopped"};

        return names[status];
}

int cgroup_stats(struct cgroup *cgroup, json_t **ret_stats, struct error *err)
{
        (void)cgroup;
        *ret_stats = json_pack("{s:{s:i}}", "pids", "current", 3);
        return *ret_stats ? 0 : error_oom(err);
}

int cgroup_oom_events(struct cgroup *cgroup, int *ret_fd, struct error *err)
{
        (void)cgroup;
        (void)ret_fd;
        return error_set(err, -ENOTSUP, "no memory controller");
}

int cgroup_oom_count(struct cgroup *cgroup, uint64_t *ret_count, struct error *err)
{
        (void)cgroup;
        (void)ret_count;
        return error_set(err, -ENOTSUP, "no memory controller");
}

void cgroup_free(struct cgroup *cgroup)
{
        (void)cgroup;
}
