/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/bundle.h"

#include "lib/base/clock.h"
#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "lib/base/path.h"
#include "lib/container/namespace-kinds.h"
#include "lib/container/spec-parse.h"
#include "lib/container/spec-validate.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <linux/sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* "/a/b" stays, "b" counts from the working directory; NULL is that directory. */
static int absolute(const char *path, char **ret_path, struct error *err)
{
        cleanup_free char *here = NULL;

        if (!path || *path != '/') {
                here = getcwd(NULL, 0);
                if (!here)
                        return error_errno(err, errno, "the working directory");
        }
        char *result = !here                             ? strdup(path)
                       : !path || strcmp(path, ".") == 0 ? take_pointer(&here)
                                                         : path_join(here, path);
        if (!result)
                return error_oom(err);
        *ret_path = result;
        return 0;
}

static int annotations(const struct spec *spec, json_t **ret_object, struct error *err)
{
        json_t *object = json_object();

        for (size_t i = 0; i < spec->annotations.n; i++)
                (void)json_object_set_new(object, spec->annotations.items[i].key,
                                          json_string(spec->annotations.items[i].value));
        if (!object)
                return error_oom(err);
        *ret_object = object;
        return 0;
}

/* Engines compare and sort these texts; Docker's have nanoseconds. */
static void now(char *ret_text, size_t size)
{
        char seconds[CLOCK_TEXT_MAX];
        struct timespec t;

        (void)clock_gettime(CLOCK_REALTIME, &t);
        (void)clock_format(t.tv_sec, seconds, sizeof(seconds));
        seconds[strcspn(seconds, "Z")] = '\0';
        (void)snprintf(ret_text, size, "%s.%09uZ", seconds, (unsigned)t.tv_nsec % 1000000000U);
}

static int describe(struct starting *s, char *bundle, struct error *err)
{
        struct container_state *state = &s->state;
        char owner[16] = "root";

        if (geteuid() != 0)
                (void)snprintf(owner, sizeof(owner), "%u", geteuid());
        state->bundle = bundle;
        state->version = strdup(s->spec->version);
        state->rootfs = strdup(s->spec->rootfs);
        state->owner = strdup(owner);
        state->shared_pids = !s->spec->linux.namespaces[SPEC_NAMESPACE_PID].given ||
                             s->spec->linux.namespaces[SPEC_NAMESPACE_PID].path;
        state->poststart = s->spec->hooks.poststart.n > 0;
        state->poststop = s->spec->hooks.poststop.n > 0;
        now(state->created, sizeof(state->created));
        if (!state->version || !state->rootfs || !state->owner)
                return error_oom(err);
        return annotations(s->spec, &state->annotations, err);
}

int bundle_load(struct starting *s, const char *bundle, struct buf *ret_text, struct error *err)
{
        cleanup_free char *folder = NULL, *config = NULL;
        int r = absolute(bundle, &folder, err);

        if (r < 0)
                return r;
        config = path_join(folder, STATE_CONFIG);
        if (!config)
                return error_oom(err);
        r = file_read(AT_FDCWD, config, SPEC_TEXT_MAX, ret_text, err);
        if (r < 0)
                return r == -ENOENT ? error_set(err, r, "JSON specification file %s not found", config) : r;
        r = spec_parse(buf_view(ret_text), folder, &s->arena, s->engine->log, &s->spec, err);
        if (r == 0)
                r = geteuid() == 0 ? spec_validate(s->spec, s->engine->log, err)
                                   : spec_validate_rootless(s->spec, s->engine->log, err);
        if (r < 0)
                return r;
        s->plan->spec = s->spec;
        s->plan->process = s->spec->process;
        s->plan->bundle = arena_string(&s->arena, folder);
        if (!s->plan->bundle)
                return error_oom(err);
        return describe(s, take_pointer(&folder), err);
}

/* ---- namespaces ---------------------------------------------------------------------------------------- */

/* The path is the configuration's, but what it leads to must be a namespace, and one of this kind. */
static int open_namespace(const char *path, enum spec_namespace_type type, int *ret_fd, struct error *err)
{
        cleanup_fd int fd = open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

        if (fd < 0)
                return error_errno(err, errno, "%s namespace %s", namespace_kinds[type].name, path);
        int flag = ioctl(fd, NS_GET_NSTYPE);
        if (flag < 0 || (unsigned long)flag != namespace_kinds[type].flag)
                return error_set(err, -EINVAL, "%s is no %s namespace", path, namespace_kinds[type].name);
        *ret_fd = take_fd(&fd);
        return 0;
}

static int open_root(struct starting *s, struct error *err)
{
        int fd = open(s->spec->rootfs, O_PATH | O_CLOEXEC);
        struct stat st;

        if (fd < 0)
                return error_errno(err, errno, "the container's root %s", s->spec->rootfs);
        s->plan->rootfs_fd = fd;
        if (fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode))
                return error_set(err, -ENOTDIR, "the container's root %s is no directory", s->spec->rootfs);
        return 0;
}

/* A PID namespace that we make with the process belongs to our user namespace.  Where it must belong to
 * another one, init makes it, as it makes every new user namespace (plan.h).  So does runelet: what a PAL
 * starts on the host, before that, is not the container's. */
static unsigned long begin_in(const struct plan *plan, unsigned long new)
{
        bool other_user = plan->namespace_fds[SPEC_NAMESPACE_USER] >= 0 || new &CLONE_NEWUSER;

        return other_user || plan->enclave ? 0 : new &CLONE_NEWPID;
}

/* Destinations may begin with the rootfs' own path, as written by those who took them for the host's. */
static void strip_root(const struct spec *spec)
{
        size_t n = strlen(spec->rootfs);

        for (size_t i = 0; n > 1 && i < spec->n_mounts; i++) {
                struct spec_mount *mount = &spec->mounts[i];
                if (strncmp(mount->destination, spec->rootfs, n) == 0 && mount->destination[n] == '/')
                        mount->destination += n;
        }
}

int bundle_open(struct starting *s, unsigned long *ret_namespaces, struct error *err)
{
        struct plan *plan = s->plan;
        unsigned long new = 0;
        int r = open_root(s, err);

        if (r == 0)
                strip_root(s->spec);
        for (size_t type = 0; type < SPEC_NAMESPACE_TYPES && r == 0; type++) {
                const struct spec_namespace *namespace = &s->spec->linux.namespaces[type];
                if (namespace->given && !namespace->path)
                        new |= namespace_kinds[type].flag;
                if (!namespace->given || !namespace->path)
                        continue;
                r = open_namespace(namespace->path, type, &plan->namespace_fds[type], err);
        }
        if (r < 0)
                return r;
        unsigned long begin = begin_in(plan, new);
        plan->new_user_namespace = new &CLONE_NEWUSER;
        plan->new_namespaces = new & ~begin;
        *ret_namespaces = begin;
        return 0;
}

int bundle_add_env(struct starting *s, struct spec_process *process, const char *variable, struct error *err)
{
        size_t n = process->env.n;
        char **items = arena_alloc(&s->arena, n + 2, sizeof(*items));
        char *copy = arena_string(&s->arena, variable);

        if (!items || !copy)
                return error_oom(err);
        if (n > 0)
                memcpy(items, process->env.items, n * sizeof(*items));
        items[n] = copy;
        process->env.items = items;
        process->env.n = n + 1;
        return 0;
}

int bundle_reload(int folder, const struct container_state *state, struct arena *arena,
                  struct spec **ret_spec, struct error *err)
{
        cleanup_buf struct buf text = {0};
        int r = file_read(folder, STATE_CONFIG, SPEC_TEXT_MAX, &text, err);

        if (r == 0)
                r = spec_parse(buf_view(&text), state->bundle ? state->bundle : "/", arena, NULL, ret_spec,
                               err);
        if (r < 0)
                error_wrap(err, "the container's configuration");
        return r;
}

struct cgroup_request bundle_cgroup_request(const struct engine *engine, const char *id,
                                            const struct spec *spec)
{
        return (struct cgroup_request){
                .id = id,
                .path = spec->linux.cgroups_path,
                .systemd = engine->systemd_cgroup,
                .disabled = engine->no_cgroup,
                .rootless = engine->rootless,
                .annotations = &spec->annotations,
                .resources = &spec->linux.resources,
        };
}
