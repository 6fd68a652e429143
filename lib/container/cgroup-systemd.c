/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup-systemd.c - the driver that has systemd make the group: a scope.
 *
 * Theory of operation.  A scope comes to be with its first process, so create() finds out only where the
 * group will be (names of slices say it), and the first enter() asks systemd for the scope, with what
 * systemd can be told of the limits, and waits for it.  From then on it is a group like any other: with
 * Delegate=yes systemd leaves alone what is in it, and what systemd has no words for (and the exact values
 * that it rounds) go to its files.  Its hierarchies of v1 that systemd doesn't manage are ours to make.
 *
 * New limits of a running container are said to systemd first, since it writes what it knows again whenever
 * it is reloaded.  At the end the group is emptied and removed by us, which never waits for a process that
 * ignores SIGTERM; then systemd is told, and forgets the scope, also one that it counts as failed because the
 * OOM killer came.
 *
 * Sources: org.freedesktop.systemd1(5), systemd.scope(5), systemd.slice(5); the form "slice:prefix:name" of
 * linux.cgroupsPath is that of engines and runc.
 */
#include "lib/base/text.h"
#include "lib/container/cgroup-internal.h"
#include "lib/container/device-rules.h"
#include "lib/container/systemd-bus.h"
#include "lib/container/systemd-resources.h"

#include <stdio.h>
#include <string.h>

/* Longest name of a unit (UNIT_NAME_MAX of systemd), with its NUL. */
enum { UNIT_SIZE = 256 };

struct systemd_data {
        struct systemd_bus *bus; /* NULL: not connected */
        enum systemd_scope scope;
        char unit[UNIT_SIZE];
        char slice[UNIT_SIZE];
        char *container;                      /* for the unit's description */
        bool pending;                         /* the unit is yet to be made */
        bool foreign;                         /* somebody else made one of this name */
        const struct spec_pairs *annotations; /* the request's, while pending */
        const struct spec_resources *resources;
};

static void data_free(struct systemd_data *data)
{
        if (!data)
                return;
        systemd_bus_free(data->bus);
        free(data->container);
        free(data);
}

static void systemd_done(struct cgroup *cgroup)
{
        data_free(cgroup->driver_data);
}

static int connected(struct systemd_data *data, struct error *err)
{
        return data->bus ? 0 : systemd_bus_connect(data->scope, &data->bus, err);
}

/* ---- names --------------------------------------------------------------------------------------------- */

/* Appends text as a unit's name may have it: other characters become "\xNN". */
static void put_name(struct buf *name, struct view text)
{
        static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_.-@\\";

        for (size_t i = 0; i < text.n; i++)
                if (text.p[i] && strchr(allowed, text.p[i]))
                        buf_append_byte(name, text.p[i]);
                else
                        buf_printf(name, "\\x%02x", text.p[i]);
}

static int bad_path(const char *path, struct error *err)
{
        return error_set(
                err, -EINVAL,
                "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got "
                "\"%s\" instead",
                path);
}

/* The unit and its slice as cgroupsPath says; each part may be empty but the name. */
static int name_unit(struct systemd_data *data, const struct cgroup_request *request, struct error *err)
{
        const char *slice = data->scope == SYSTEMD_USER ? "user.slice" : "system.slice";
        const char *path = request->path && *request->path ? request->path : NULL;
        struct view prefix = view_of_string("rune"), name = view_of_string(request->id);
        cleanup_buf struct buf unit = buf_with_max(UNIT_SIZE - 1);
        size_t slice_size = strlen(slice);

        if (path) {
                struct cursor c = cursor_of(view_of_string(path));
                struct view given = cursor_until(&c, ':');
                prefix = cursor_until(&c, ':');
                name = cursor_rest(&c);
                if (!cursor_ok(&c) || name.n == 0 || memchr(name.p, ':', name.n))
                        return bad_path(path, err);
                if (given.n > 0) {
                        slice = path;
                        slice_size = given.n;
                }
        }
        if (name.n > 6 && memcmp(name.p + name.n - 6, ".slice", 6) == 0)
                return error_set(err, -EINVAL, "\"%s\" names a slice, which holds no container itself",
                                 path ? path : request->id);
        if (slice_size >= sizeof(data->slice))
                return error_set(err, -ENAMETOOLONG, "cgroupsPath: the slice's name is too long");
        snprintf(data->slice, sizeof(data->slice), "%.*s", (int)slice_size, slice);
        put_name(&unit, prefix);
        buf_append_string(&unit, "-");
        put_name(&unit, name);
        buf_append_string(&unit, ".scope");
        if (unit.failed)
                return error_set(err, unit.failed == -E2BIG ? -ENAMETOOLONG : unit.failed,
                                 "cgroupsPath: \"%s\" makes a unit's name of more than %d characters",
                                 path ? path : request->id, UNIT_SIZE - 1);
        memcpy(data->unit, unit.p, unit.n + 1);
        return 0;
}

/* "a-b.slice" is "/a.slice/a-b.slice", "-.slice" the root. */
static int append_slice(struct buf *path, const char *slice, struct error *err)
{
        size_t n = strlen(slice);

        if (!string_ends_with(slice, ".slice") || n == strlen(".slice") || strchr(slice, '/'))
                return error_set(err, -EINVAL, "invalid slice name: %s", slice);
        if (strcmp(slice, "-.slice") == 0)
                return 0;
        n -= strlen(".slice");
        for (size_t i = 0; i <= n; i++) {
                if (i < n && slice[i] != '-')
                        continue;
                if (i == 0 || slice[i - 1] == '-')
                        return error_set(err, -EINVAL, "invalid slice name: %s", slice);
                buf_printf(path, "/%.*s.slice", (int)i, slice);
        }
        return 0;
}

static int place(struct cgroup *cgroup, struct systemd_data *data, struct error *err)
{
        cleanup_free char *root = NULL;
        cleanup_buf struct buf path = buf_with_max(CGROUP_PATH_MAX - 1);

        int r = systemd_bus_root_group(data->bus, &root, err);
        if (r < 0)
                return r;
        buf_append_string(&path, root);
        r = append_slice(&path, data->slice, err);
        if (r < 0)
                return r;
        buf_printf(&path, "/%s", data->unit);
        if (path.failed)
                return error_set(err, -ENAMETOOLONG, "cgroup: the path of %s is too long", data->unit);
        return cgroup_place(cgroup, buf_string(&path), err);
}

/* The processes of another's unit would be killed with the container. */
static int check_empty(struct cgroup *cgroup, const struct systemd_data *data, struct error *err)
{
        for (size_t i = 0; i < cgroup->n; i++) {
                cleanup_free pid_t *pids = NULL;
                size_t n;
                int r = cgroup_pids_in(&cgroup->hierarchies[i], &pids, &n, err);
                if (r < 0)
                        return r;
                if (n > 0)
                        return error_set(err, -EEXIST,
                                         "container's cgroup is not empty: %zu process(es) found in unit %s",
                                         n, data->unit);
        }
        return 0;
}

/* ---- the driver ---------------------------------------------------------------------------------------- */

static int systemd_create(struct cgroup *cgroup, const struct cgroup_request *request, struct error *err)
{
        struct systemd_data *data = calloc(1, sizeof(*data));

        if (!data)
                return error_oom(err);
        cgroup->driver_data = data;
        data->scope = request->rootless ? SYSTEMD_USER : SYSTEMD_SYSTEM;
        data->pending = true;
        data->annotations = request->annotations;
        data->resources = request->resources;
        data->container = strdup(request->id);
        if (!data->container)
                return error_oom(err);
        int r = name_unit(data, request, err);
        if (r == 0)
                r = connected(data, err);
        if (r == 0)
                r = place(cgroup, data, err);
        if (r == 0)
                r = check_empty(cgroup, data, err);
        if (r == 0)
                cgroup->made_later = true;
        return r;
}

static int add_resources(struct cgroup *cgroup, struct systemd_properties *properties,
                         const struct spec_resources *resources, struct error *err)
{
        cleanup_free struct spec_device_rule *rules = NULL;
        size_t n;

        if (!resources)
                return 0;
        int r = systemd_property_add_resources(properties, resources, cgroup->unified, err);
        if (r < 0 || cgroup->unified || (resources->n_devices == 0 && !cgroup->made_later))
                return r;
        r = device_rules_complete(resources, &rules, &n, err);
        if (r == 0)
                systemd_property_add_devices(properties, rules, n);
        return r;
}

static int start_scope(struct cgroup *cgroup, struct systemd_data *data, pid_t pid, struct error *err)
{
        static const char *const v1_accounting[] = {"CPUAccounting", "MemoryAccounting", "TasksAccounting",
                                                    "BlockIOAccounting"};
        static const char *const v2_accounting[] = {"CPUAccounting", "MemoryAccounting", "TasksAccounting",
                                                    "IOAccounting"};
        cleanup_systemd_properties struct systemd_properties properties = {0};
        char description[UNIT_SIZE];

        snprintf(description, sizeof(description), "rune container %s", data->container);
        systemd_property_add_string(&properties, "Description", description);
        systemd_property_add_string(&properties, "Slice", data->slice);
        systemd_property_add_number(&properties, "Delegate", SYSTEMD_BOOLEAN, true);
        systemd_property_add_number(&properties, "PIDs", SYSTEMD_PIDS, (uint64_t)pid);
        systemd_property_add_number(&properties, "DefaultDependencies", SYSTEMD_BOOLEAN, false);
        for (size_t i = 0; i < ARRAY_SIZE(v1_accounting); i++)
                systemd_property_add_number(&properties,
                                            cgroup->unified ? v2_accounting[i] : v1_accounting[i],
                                            SYSTEMD_BOOLEAN, true);
        int r = add_resources(cgroup, &properties, data->resources, err);
        if (r == 0)
                r = systemd_property_add_annotations(&properties, data->annotations, err);
        if (r == 0 && properties.failed)
                r = error_oom(err);
        return r < 0 ? r : systemd_bus_start_unit(data->bus, data->unit, &properties, err);
}

/* The folders that systemd made, and those of hierarchies that it knows nothing of. */
static int open_groups(struct cgroup *cgroup, const struct spec_resources *resources, struct error *err)
{
        for (size_t i = 0; i < cgroup->n; i++) {
                int r = cgroup_make_in(cgroup, &cgroup->hierarchies[i], resources, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int systemd_enter(struct cgroup *cgroup, pid_t pid, struct error *err)
{
        struct systemd_data *data = cgroup->driver_data;

        if (!data->pending)
                return cgroup_fs_enter(cgroup, pid, err);
        int r = connected(data, err);
        if (r == 0)
                r = start_scope(cgroup, data, pid, err);
        if (r < 0) {
                data->foreign = r == -EEXIST;
                return r;
        }
        data->pending = false;
        cgroup->made_later = false;
        cgroup->fresh = true;
        r = open_groups(cgroup, data->resources, err);
        /* In v2 it is in already. */
        if (r == 0 && !cgroup->unified)
                r = cgroup_fs_enter(cgroup, pid, err);
        data->resources = NULL;
        data->annotations = NULL;
        return r;
}

/* What a fresh scope was told as it was made isn't told again. */
static int systemd_apply(struct cgroup *cgroup, const struct spec_resources *resources, struct error *err)
{
        struct systemd_data *data = cgroup->driver_data;
        cleanup_systemd_properties struct systemd_properties properties = {0};
        int r = 0;

        if (cgroup->fresh)
                return cgroup_fs_apply(cgroup, resources, err);
        /* systemd doesn't ask whether the memory is in use already. */
        if (resources->memory.check_before_update.set && resources->memory.check_before_update.value)
                r = cgroup_apply_memory(cgroup, resources, err);
        if (r == 0)
                r = add_resources(cgroup, &properties, resources, err);
        if (r == 0 && properties.failed)
                r = error_oom(err);
        if (r == 0 && properties.n > 0) {
                r = connected(data, err);
                if (r == 0)
                        r = systemd_bus_set_properties(data->bus, data->unit, &properties, err);
        }
        return r < 0 ? r : cgroup_fs_apply(cgroup, resources, err);
}

static int systemd_destroy(struct cgroup *cgroup, struct error *err)
{
        struct systemd_data *data = cgroup->driver_data;
        struct error bus_error = {0};

        if (data->foreign)
                return 0;
        int r = cgroup_fs_destroy(cgroup, err);
        if (r < 0)
                return r;
        r = connected(data, &bus_error);
        if (r == 0)
                r = systemd_bus_stop_unit(data->bus, data->unit, &bus_error);
        /* The group has gone: systemd finds out by itself as well. */
        if (r < 0)
                log_warning(cgroup->log, "%s", error_text(&bus_error));
        return 0;
}

/* ---- state --------------------------------------------------------------------------------------------- */

static int systemd_to_json(const struct cgroup *cgroup, json_t *object)
{
        const struct systemd_data *data = cgroup->driver_data;

        if (json_object_set_new(object, "unit", json_string(data->unit)) < 0 ||
            json_object_set_new(object, "user", json_boolean(data->scope == SYSTEMD_USER)) < 0)
                return -ENOMEM;
        return 0;
}

static int systemd_from_json(struct cgroup *cgroup, const json_t *object, struct error *err)
{
        const char *unit = json_string_value(json_object_get(object, "unit"));
        struct systemd_data *data;

        if (!unit || strlen(unit) >= UNIT_SIZE || !string_ends_with(unit, ".scope"))
                return error_set(err, -EBADMSG, "the control group of the state names no scope");
        data = calloc(1, sizeof(*data));
        if (!data)
                return error_oom(err);
        cgroup->driver_data = data;
        memcpy(data->unit, unit, strlen(unit) + 1);
        data->scope = json_is_true(json_object_get(object, "user")) ? SYSTEMD_USER : SYSTEMD_SYSTEM;
        return 0;
}

const struct cgroup_driver cgroup_systemd_driver = {
        .name = "systemd",
        .create = systemd_create,
        .enter = systemd_enter,
        .apply = systemd_apply,
        .destroy = systemd_destroy,
        .to_json = systemd_to_json,
        .from_json = systemd_from_json,
        .done = systemd_done,
};
