/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A group in a container's state file:
 *
 *      {"driver": "cgroupfs", "unified": false, "rootless": false, "path_given": true,
 *       "hierarchies": [{"name": "memory", "mountpoint": "/sys/fs/cgroup/memory", "path": "/docker/x",
 *                        "controllers": "memory", "version": 1}, ...]}
 *
 * The file is root's, or the user's own; what it says is checked all the same, since a group is removed by
 * the path that it names.
 */
#include "lib/container/cgroup-internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* "cpu,cpuacct" of a mask, into text that has room for all. */
static void controllers_text(unsigned controllers, char ret_text[256])
{
        size_t n = 0;

        ret_text[0] = 0;
        for (unsigned i = 0; i < CGROUP_CONTROLLERS; i++)
                if (controllers & (1u << i))
                        n += (size_t)snprintf(ret_text + n, 256 - n, "%s%s", n ? "," : "",
                                              cgroup_controller_name(i, false));
}

json_t *cgroup_to_json(const struct cgroup *cgroup)
{
        json_t *hierarchies = json_array();
        json_t *object;

        for (size_t i = 0; i < cgroup->n; i++) {
                const struct cgroup_hierarchy *h = &cgroup->hierarchies[i];
                char controllers[256];
                if (!h->path)
                        continue;
                controllers_text(h->unified ? 0 : h->controllers, controllers);
                json_array_append_new(hierarchies,
                                      json_pack("{s:s, s:s, s:s, s:s, s:i}", "name", h->name, "mountpoint",
                                                h->mountpoint, "path", h->path, "controllers", controllers,
                                                "version", h->unified ? 2 : 1));
        }
        object = json_pack("{s:s, s:b, s:b, s:b, s:o}", "driver", cgroup->driver->name, "unified",
                           cgroup->unified, "rootless", cgroup->rootless, "path_given", cgroup->path_given,
                           "hierarchies", hierarchies);
        if (object && cgroup->driver->to_json && cgroup->driver->to_json(cgroup, object) < 0) {
                json_decref(object);
                return NULL;
        }
        return object;
}

/* An absolute path without "..", of bounded length. */
static bool path_ok(const char *path)
{
        char clean[CGROUP_PATH_MAX];

        return path && path[0] == '/' && cgroup_clean_path(path, clean, NULL) == 0 &&
               strcmp(path, clean) == 0;
}

static int add_hierarchy(struct cgroup *cgroup, const json_t *item, struct error *err)
{
        struct cgroup_hierarchy *h = &cgroup->hierarchies[cgroup->n];
        const char *name = json_string_value(json_object_get(item, "name"));
        const char *mountpoint = json_string_value(json_object_get(item, "mountpoint"));
        const char *path = json_string_value(json_object_get(item, "path"));
        const char *controllers = json_string_value(json_object_get(item, "controllers"));
        json_int_t version = json_integer_value(json_object_get(item, "version"));
        char folder[CGROUP_FILE_PATH_MAX];

        if (!name || strlen(name) > NAME_MAX || strchr(name, '/') || !controllers ||
            !(version == 1 || version == 2) || !path_ok(mountpoint) || !path_ok(path) ||
            strcmp(path, "/") == 0 || strcmp(mountpoint, "/") == 0)
                return error_set(err, -EBADMSG, "a control group hierarchy of the state isn't one");
        *h = (struct cgroup_hierarchy){.fd = -1, .unified = version == 2};
        cgroup->n++;
        h->name = strdup(name);
        h->mountpoint = strdup(mountpoint);
        h->path = strdup(path);
        if (!h->unified)
                h->controllers = cgroup_controllers_of(view_of_string(controllers), ",");
        h->named = !h->unified && !h->controllers;
        if (!h->name || !h->mountpoint || !h->path)
                return error_oom(err);
        if (h->unified && cgroup_file_path(h, "", folder) == 0)
                h->fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC); /* a group that has gone has none */
        return 0;
}

static const struct cgroup_driver *driver_named(const char *name)
{
        static const struct cgroup_driver *const drivers[] = {&cgroup_fs_driver, &cgroup_systemd_driver,
                                                              &cgroup_none_driver};

        for (size_t i = 0; name && i < ARRAY_SIZE(drivers); i++)
                if (strcmp(drivers[i]->name, name) == 0)
                        return drivers[i];
        return NULL;
}

int cgroup_from_json(const json_t *json, const struct log *log, struct cgroup **ret_cgroup, struct error *err)
{
        const json_t *hierarchies = json_object_get(json, "hierarchies");
        cleanup_cgroup struct cgroup *cgroup = calloc(1, sizeof(*cgroup));
        int r;

        if (!cgroup)
                return error_oom(err);
        cgroup->log = log;
        cgroup->unified = json_is_true(json_object_get(json, "unified"));
        cgroup->rootless = json_is_true(json_object_get(json, "rootless"));
        cgroup->path_given = json_is_true(json_object_get(json, "path_given"));
        cgroup->driver = driver_named(json_string_value(json_object_get(json, "driver")));
        if (!cgroup->driver || !json_is_array(hierarchies) ||
            json_array_size(hierarchies) > CGROUP_HIERARCHIES_MAX)
                return error_set(err, -EBADMSG, "the control group of the state isn't one");
        for (size_t i = 0; i < json_array_size(hierarchies); i++) {
                r = add_hierarchy(cgroup, json_array_get(hierarchies, i), err);
                if (r < 0)
                        return r;
        }
        if (cgroup->driver->from_json) {
                r = cgroup->driver->from_json(cgroup, json, err);
                if (r < 0)
                        return r;
        }
        *ret_cgroup = take_pointer(&cgroup);
        return 0;
}
