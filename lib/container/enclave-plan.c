/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/enclave-plan.h"

#include "lib/base/fd.h"
#include "lib/container/enclave-type.h"
#include "lib/container/pal-path.h"
#include "lib/container/spec-process-text.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char KEY[] = "enclave";

/* Further processes of an enclave that wait to be let in; each is served at once. */
enum { AGENT_BACKLOG = 64 };

bool enclave_is(const struct container_state *state)
{
        return state->extra && json_object_get(state->extra, KEY);
}

static int remember(struct container_state *state, const struct enclave_settings *settings, struct error *err)
{
        json_t *enclave = json_pack("{ss ss sI}", "type", settings->type, "pal", settings->pal, "timeout",
                                    (json_int_t)settings->timeout);

        if (!state->extra)
                state->extra = json_object();
        if (!enclave || !state->extra || json_object_set_new(state->extra, KEY, enclave) < 0)
                return error_oom(err);
        return 0;
}

static int add_to_plan(struct starting *s, struct enclave_settings *settings, struct error *err)
{
        struct plan_enclave *enclave = arena_alloc(&s->arena, 1, sizeof(*enclave));

        if (!enclave)
                return error_oom(err);
        *enclave = (struct plan_enclave){.settings = settings, .agent_fd = -1};
        s->plan->enclave = enclave;
        return 0;
}

/* The one that the configuration names, if it may be loaded, or ours for the type. */
static int find_pal(struct starting *s, struct enclave_settings *settings, struct error *err)
{
        cleanup_free char *real = NULL;
        int r = settings->pal ? pal_path_check(settings->pal, s->engine->pal_path, &real, err)
                              : enclave_type_own_pal(settings->type, &real, err);

        if (r < 0)
                return r;
        settings->pal = arena_string(&s->arena, real);
        return settings->pal ? 0 : error_oom(err);
}

static int check_process(const struct spec *spec, struct error *err)
{
        return spec->process ? 0
                             : error_set(err, -EINVAL, "an enclave needs a process property in config.json");
}

/* The container's own limit of processes holds where they are; on this side there is what stands for them,
 * with threads of its own. */
static void free_stand_in(const struct enclave_settings *settings, struct spec *spec)
{
        if (enclave_type_has_own_kernel(settings->type))
                spec->linux.resources.pids_limit = (struct optional_i64){0};
}

int enclave_plan_create(struct starting *s, struct view config, struct error *err)
{
        struct enclave_settings *settings;
        int r = enclave_settings_take(s->spec, &s->arena, s->engine->log, &settings, err);

        if (r < 0 || !settings)
                return r;
        r = check_process(s->spec, err);
        if (r == 0)
                r = enclave_type_check(settings, "", err);
        if (r == 0)
                r = find_pal(s, settings, err);
        if (r == 0)
                r = enclave_type_equip(settings, "", s->spec, &s->arena, err);
        if (r == 0)
                r = remember(&s->state, settings, err);
        if (r == 0)
                r = add_to_plan(s, settings, err);
        if (r < 0)
                return r;
        free_stand_in(settings, s->spec);
        s->plan->enclave->config = arena_string_of(&s->arena, config);
        s->plan->enclave->config_size = config.n;
        return s->plan->enclave->config ? 0 : error_oom(err);
}

/* The path of a socket may be longer than an address has room for; by way of the folder it never is. */
static struct sockaddr_un address_in(int folder)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        (void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" ENCLAVE_AGENT_SOCKET,
                       folder);
        return address;
}

int enclave_plan_listen(struct starting *s, struct error *err)
{
        struct sockaddr_un address = address_in(s->folder);

        if (!s->plan->enclave)
                return 0;
        cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return error_errno(err, errno, "can't make the socket of the enclave's agent");
        /* Only who made the container connects; it is not the container's. */
        if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            listen(fd, AGENT_BACKLOG) < 0)
                return error_errno(err, errno, "can't listen for the enclave's agent");
        s->plan->enclave->agent_fd = take_fd(&fd);
        return 0;
}

int enclave_connect_agent(int folder, const struct container_state *state, int *ret_fd, struct error *err)
{
        struct sockaddr_un address = address_in(folder);

        if (!enclave_is(state))
                return error_set(err, -EINVAL, "container \"%s\" is no enclave", state->id);
        cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return error_errno(err, errno, "can't reach the agent of enclave \"%s\"", state->id);
        *ret_fd = take_fd(&fd);
        return 0;
}

int enclave_check_change(const struct container_state *state, const char *change, struct error *err)
{
        const json_t *kept = state->extra ? json_object_get(state->extra, KEY) : NULL;
        const char *type = json_string_value(json_object_get(kept, "type"));

        if (!type || !enclave_type_has_own_kernel(type))
                return 0;
        return error_set(err, -ENOTSUP,
                         "an enclave of type \"%s\" can't %s: its processes aren't in the container's cgroup",
                         type, change);
}

uint32_t enclave_timeout(const struct container_state *state)
{
        const json_t *kept = state->extra ? json_object_get(state->extra, KEY) : NULL;
        json_int_t seconds = json_integer_value(json_object_get(kept, "timeout"));

        return seconds > 0 && seconds <= UINT32_MAX ? (uint32_t)seconds : 0;
}

/* A further process is of the same PAL, whose path was looked up at create. */
static int recall(struct starting *s, struct enclave_settings **ret_settings, struct error *err)
{
        const char *pal = json_string_value(json_object_get(json_object_get(s->state.extra, KEY), "pal"));
        struct enclave_settings *settings;
        int r = enclave_settings_take(s->spec, &s->arena, NULL, &settings, err);

        if (r < 0)
                return r;
        if (!settings || !pal)
                return error_set(err, -EBADMSG,
                                 "the container's state says that it is an enclave, its config.json doesn't");
        settings->pal = arena_string(&s->arena, pal);
        *ret_settings = settings;
        return settings->pal ? 0 : error_oom(err);
}

int enclave_plan_exec(struct starting *s, struct error *err)
{
        struct enclave_settings *settings = NULL;

        if (!enclave_is(&s->state))
                return 0;
        int r = recall(s, &settings, err);
        if (r == 0)
                r = add_to_plan(s, settings, err);
        return r < 0 ? r : enclave_connect_agent(s->folder, &s->state, &s->plan->enclave->agent_fd, err);
}

int enclave_plan_process(struct starting *s, struct spec_process *process, struct error *err)
{
        enclave_settings_strip(process);
        cleanup_free char *text = spec_process_text(process);
        s->plan->enclave->process = text ? arena_string(&s->arena, text) : NULL;
        return s->plan->enclave->process ? 0 : error_oom(err);
}
