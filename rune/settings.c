/* SPDX-License-Identifier: Apache-2.0 */
#include "rune/settings.h"
#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/base/user.h"

#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static const char default_root[] = "/run/rune";

/* logrus knows more names; these are the ones that differ. */
static const struct {
        const char *name;
        enum log_level level;
} levels[] = {
        {"error", LOG_LEVEL_ERROR},     {"fatal", LOG_LEVEL_ERROR},  {"panic", LOG_LEVEL_ERROR},
        {"warning", LOG_LEVEL_WARNING}, {"warn", LOG_LEVEL_WARNING}, {"info", LOG_LEVEL_INFO},
        {"debug", LOG_LEVEL_DEBUG},     {"trace", LOG_LEVEL_DEBUG},
};

static int level_of(const struct global_values *globals, enum log_level *ret_level, struct error *err)
{
        *ret_level = globals->debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
        if (!globals->log_level)
                return 0;
        for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
                if (strcasecmp(globals->log_level, levels[i].name) != 0)
                        continue;
                if (!globals->debug)
                        *ret_level = levels[i].level;
                return 0;
        }
        return error_set(err, -EINVAL, "invalid log-level: %s; it is error, warning, info or debug",
                         globals->log_level);
}

int settings_messages(const struct global_values *globals, struct rune *rune, struct error *err)
{
        enum log_level level;
        int r = level_of(globals, &level, err);

        if (r < 0)
                return r;
        return messages_init(&rune->messages, globals->log, globals->log_format, level, err);
}

static int rootless_of(const char *given, bool *ret_rootless, struct error *err)
{
        if (given && *given && strcasecmp(given, "auto") != 0) {
                if (parse_bool(given, ret_rootless))
                        return 0;
                return error_set(err, -EINVAL,
                                 "invalid value \"%s\" for --rootless: it takes true, false or auto", given);
        }
        *ret_rootless = !user_is_host_root();
        return 0;
}

static int cgroups_of(const struct global_values *globals, struct engine *engine, struct error *err)
{
        const char *manager = globals->cgroup_manager;

        engine->systemd_cgroup = globals->systemd_cgroup || (manager && strcmp(manager, "systemd") == 0);
        engine->no_cgroup = manager && strcmp(manager, "disabled") == 0;
        if (!manager || engine->systemd_cgroup || engine->no_cgroup || strcmp(manager, "cgroupfs") == 0)
                return 0;
        return error_set(err, -EINVAL,
                         "invalid value \"%s\" for --cgroup-manager: it takes cgroupfs, systemd or disabled",
                         manager);
}

int settings_absolute(const char *path, char ret_path[PATH_MAX])
{
        char here[PATH_MAX] = "", joined[2 * PATH_MAX];

        if (*path != '/' && !getcwd(here, sizeof(here)))
                return -errno;
        if ((size_t)snprintf(joined, sizeof(joined), "%s/%s", here, path) >= sizeof(joined))
                return -ENAMETOOLONG;
        return path_clean(joined, ret_path, PATH_MAX);
}

/* As with runc: root keeps to /run, but for the root of a user namespace that someone else entered. */
static const char *runtime_folder(void)
{
        const char *folder = getenv("XDG_RUNTIME_DIR"), *user = getenv("USER");

        if (!folder || !*folder)
                return NULL;
        if (geteuid() != 0)
                return folder;
        return user_is_host_root() || (user && strcmp(user, "root") == 0) ? NULL : folder;
}

/* What is in $XDG_RUNTIME_DIR without the sticky bit may be tidied away (XDG base directory
 * specification). */
static int prepare_runtime_folder(const char *root, struct error *err)
{
        if ((mkdir(root, 0700) < 0 && errno != EEXIST) || chmod(root, 0700 | S_ISVTX) < 0)
                return error_errno(err, errno, "%s (below $XDG_RUNTIME_DIR, for containers' states)", root);
        return 0;
}

static int root_of(const char *given, char ret_root[PATH_MAX], struct error *err)
{
        const char *folder = given ? NULL : runtime_folder();

        if (folder) {
                if (snprintf(ret_root, PATH_MAX, "%s/rune", folder) >= PATH_MAX)
                        return error_set(err, -ENAMETOOLONG, "$XDG_RUNTIME_DIR is too long");
                return prepare_runtime_folder(ret_root, err);
        }
        int r = settings_absolute(given ? given : default_root, ret_root);
        if (r < 0)
                return error_errno(err, -r, "--root %s", given);
        if (strcmp(ret_root, "/") == 0)
                return error_set(err, -EINVAL, "Option --root argument should not be set to /");
        return 0;
}

int settings_engine(const struct global_values *globals, char root[PATH_MAX], struct rune *rune,
                    struct error *err)
{
        int r = root_of(globals->root, root, err);

        if (r == 0)
                r = cgroups_of(globals, &rune->engine, err);
        if (r == 0)
                r = rootless_of(globals->rootless, &rune->engine.rootless, err);
        rune->engine.root = root;
        rune->engine.log = &rune->messages.log;
        rune->engine.pal_path = globals->pal_path;
        rune->root_given = globals->root != NULL;
        return r;
}
