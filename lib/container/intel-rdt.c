/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intel-rdt.c - groups of resctrl.
 *
 * A group is a folder; a process is in one, by its `tasks`.  A group by a closID may be others' as well, and
 * stays; one by the container's id is the container's, and goes with it.  The kernel says why it refuses a
 * schemata line in info/last_cmd_status, and so do the errors here.
 */
#include "lib/container/intel-rdt.h"

#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "lib/base/text.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char default_root[] = "/sys/fs/resctrl";

enum { SCHEMATA_MAX = 64 * 1024, MOUNTINFO_MAX = 16 * 1024 * 1024, STATUS_MAX = 256 };

void intel_rdt_done(struct intel_rdt *rdt)
{
        free(rdt->path);
        free(rdt->monitor_path);
        *rdt = (struct intel_rdt){0};
}

/* ---- where --------------------------------------------------------------------------------------------- */

/* The mountpoint of the first file system of this type in mountinfo(5), by fields 5 and, behind " - ", 1. */
static char *find_mount(const char *mountinfo)
{
        for (const char *line = mountinfo; *line;) {
                size_t n = strcspn(line, "\n");
                const char *type = memmem(line, n, " - ", 3);
                if (type && strncmp(type, " - resctrl ", 11) == 0) {
                        const char *point = line;
                        for (int i = 0; i < 4; i++)
                                point += strcspn(point, " ") + 1;
                        return strndup(point, strcspn(point, " "));
                }
                line += n;
                line += *line != 0;
        }
        return NULL;
}

int intel_rdt_root(char **ret_root, struct error *err)
{
        cleanup_buf struct buf mounts = buf_with_max(0);
        struct stat st;

        if (stat(default_root, &st) < 0) {
                error_set(err, -ENOTSUP, "intelRdt is specified in config, but Intel RDT is not enabled");
                error_hint(err, "this machine or its kernel has no resctrl");
                return -ENOTSUP;
        }
        int r = file_read(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &mounts, err);
        if (r < 0)
                return r;
        char *root = find_mount(buf_string(&mounts));
        if (!root) {
                error_set(err, -ENOTSUP, "intelRdt is specified in config, but Intel RDT is not enabled");
                error_hint(err, "mount it: mount -t resctrl resctrl %s", default_root);
                return -ENOTSUP;
        }
        *ret_root = root;
        return 0;
}

/* ---- files --------------------------------------------------------------------------------------------- */

/* `code`, with what the kernel says of the last command. */
static int rdt_error(const char *root, int code, struct error *err, const char *what, const char *path)
{
        cleanup_free char *status_path = string_printf("%s/info/last_cmd_status", root);
        cleanup_buf struct buf status = buf_with_max(0);
        char text[STATUS_MAX];

        error_errno(err, -code, "intelRdt: %s %s", what, path);
        if (status_path && file_read(AT_FDCWD, status_path, 4096, &status, NULL) == 0) {
                text_printable(view_of(status.p, strcspn(buf_string(&status), "\n")), text, sizeof(text));
                error_hint(err, "last_cmd_status: %s", text);
        }
        return code;
}

static int write_file(const char *folder, const char *name, const char *text)
{
        cleanup_free char *path = string_printf("%s/%s", folder, name);

        if (!path)
                return -ENOMEM;
        cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static int add_task(const char *root, const char *folder, pid_t pid, struct error *err)
{
        char text[16];

        snprintf(text, sizeof(text), "%d", pid);
        int r = write_file(folder, "tasks", text);
        return r < 0 ? rdt_error(root, r, err, "add a process to", folder) : 0;
}

static void put_line(struct buf *lines, const char *line)
{
        if (line && *line) {
                buf_append_string(lines, line);
                buf_append_byte(lines, '\n');
        }
}

static bool has_schemata(const struct spec_intel_rdt *spec)
{
        return (spec->l3_cache_schema && *spec->l3_cache_schema) ||
               (spec->mem_bw_schema && *spec->mem_bw_schema) || spec->schemata.n > 0;
}

/* All lines in one write, the newer field last: it wins. */
static int write_schemata(const char *root, const char *folder, const struct spec_intel_rdt *spec,
                          struct error *err)
{
        cleanup_buf struct buf lines = buf_with_max(SCHEMATA_MAX);

        put_line(&lines, spec->l3_cache_schema);
        put_line(&lines, spec->mem_bw_schema);
        for (size_t i = 0; i < spec->schemata.n; i++)
                put_line(&lines, spec->schemata.items[i]);
        if (lines.failed)
                return error_set(err, lines.failed, "intelRdt: schemata are longer than %d bytes",
                                 SCHEMATA_MAX);
        if (lines.n == 0)
                return 0;
        int r = write_file(folder, "schemata", buf_string(&lines));
        return r < 0 ? rdt_error(root, r, err, "write the schemata of", folder) : 0;
}

/* ---- groups -------------------------------------------------------------------------------------------- */

bool intel_rdt_has(const char *root, const char *resource)
{
        cleanup_free char *path = string_printf("%s/info/%s", root, resource);
        struct stat st;

        return path && stat(path, &st) == 0;
}

/* "/" is resctrl's own group. */
static int check_spec(const char *root, const struct spec_intel_rdt *spec, struct error *err)
{
        const char *clos = spec->clos_id;

        if (clos && (strcmp(clos, ".") == 0 || strcmp(clos, "..") == 0 ||
                     (strchr(clos, '/') && strcmp(clos, "/") != 0)))
                return error_set(err, -EINVAL, "invalid intelRdt.ClosID \"%s\"", clos);
        if (spec->l3_cache_schema && *spec->l3_cache_schema && !intel_rdt_has(root, "L3"))
                return error_set(
                        err, -ENOTSUP,
                        "intelRdt.l3CacheSchema is specified in config, but Intel RDT/CAT is not enabled");
        if (spec->mem_bw_schema && *spec->mem_bw_schema && !intel_rdt_has(root, "MB"))
                return error_set(
                        err, -ENOTSUP,
                        "intelRdt.memBwSchema is specified in config, but Intel RDT/MBA is not enabled");
        return 0;
}

static int make_group(const char *root, const char *id, const struct spec_intel_rdt *spec,
                      struct intel_rdt *rdt, struct error *err)
{
        bool named = spec->clos_id && *spec->clos_id;
        struct stat st;

        if (named && strcmp(spec->clos_id, "/") == 0)
                rdt->path = strdup(root);
        else
                rdt->path = string_printf("%s/%s", root, named ? spec->clos_id : id);
        if (!rdt->path)
                return error_oom(err);
        if (named && !has_schemata(spec) && stat(rdt->path, &st) < 0) {
                error_errno(err, errno, "intelRdt: clos dir not accessible: %s", rdt->path);
                error_hint(err, "it must be there already where config.json gives no schemata for it");
                return -EINVAL;
        }
        if (mkdir(rdt->path, 0755) == 0)
                rdt->made = !named;
        else if (errno != EEXIST)
                return rdt_error(root, -errno, err, "make the group", rdt->path);
        return 0;
}

static int make_monitor(const char *root, const char *id, struct intel_rdt *rdt, struct error *err)
{
        rdt->monitor_path = string_printf("%s/mon_groups/%s", rdt->path, id);
        if (!rdt->monitor_path)
                return error_oom(err);
        if (mkdir(rdt->monitor_path, 0755) < 0 && errno != EEXIST)
                return rdt_error(root, -errno, err, "make the monitoring group", rdt->monitor_path);
        return 0;
}

int intel_rdt_apply(const char *root, const char *id, const struct spec_intel_rdt *spec, pid_t pid,
                    struct intel_rdt *ret_rdt, struct error *err)
{
        cleanup_intel_rdt struct intel_rdt rdt = {0};

        int r = check_spec(root, spec, err);
        if (r == 0)
                r = make_group(root, id, spec, &rdt, err);
        if (r < 0)
                return r;
        r = write_schemata(root, rdt.path, spec, err);
        if (r == 0)
                r = add_task(root, rdt.path, pid, err);
        if (r == 0 && spec->enable_monitoring)
                r = make_monitor(root, id, &rdt, err);
        if (r == 0 && spec->enable_monitoring)
                r = add_task(root, rdt.monitor_path, pid, err);
        if (r < 0) {
                (void)intel_rdt_destroy(&rdt, NULL);
                return r;
        }
        *ret_rdt = rdt;
        take_pointer(&rdt.path);
        take_pointer(&rdt.monitor_path);
        return 0;
}

int intel_rdt_update(const char *root, const struct intel_rdt *rdt, const struct spec_intel_rdt *spec,
                     struct error *err)
{
        if (!rdt->path) {
                error_set(err, -EINVAL, "updating a non-existent Intel RDT configuration is not supported");
                error_hint(err, "the container was made without linux.intelRdt");
                return -EINVAL;
        }
        if (spec->l3_cache_schema && !intel_rdt_has(root, "L3"))
                return error_set(err, -ENOTSUP, "Intel RDT/CAT: l3 cache schema is not enabled");
        if (spec->mem_bw_schema && !intel_rdt_has(root, "MB"))
                return error_set(err, -ENOTSUP, "Intel RDT/MBA: memory bandwidth schema is not enabled");
        return write_schemata(root, rdt->path, spec, err);
}

int intel_rdt_enter(const struct intel_rdt *rdt, pid_t pid, struct error *err)
{
        if (!rdt->path)
                return 0;
        int r = add_task(default_root, rdt->path, pid, err);
        return r < 0 || !rdt->monitor_path ? r : add_task(default_root, rdt->monitor_path, pid, err);
}

int intel_rdt_destroy(const struct intel_rdt *rdt, struct error *err)
{
        const char *paths[] = {rdt->monitor_path, rdt->made ? rdt->path : NULL};

        for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
                if (paths[i] && rmdir(paths[i]) < 0 && errno != ENOENT)
                        return error_errno(err, errno, "intelRdt: remove the group %s", paths[i]);
        return 0;
}

/* ---- state --------------------------------------------------------------------------------------------- */

json_t *intel_rdt_to_json(const struct intel_rdt *rdt)
{
        return json_pack("{s:s*, s:s*, s:b}", "path", rdt->path, "monitor_path", rdt->monitor_path, "made",
                         rdt->made);
}

/* Folders are removed by these: absolute, and without a way back. */
static int take_path(const json_t *json, const char *name, char **ret_path, struct error *err)
{
        const char *path = json_string_value(json_object_get(json, name));

        *ret_path = NULL;
        if (!path)
                return 0;
        if (path[0] != '/' || strstr(path, "/../") || string_ends_with(path, "/.."))
                return error_set(err, -EBADMSG, "intelRdt: %s of the state isn't the path of a group", name);
        *ret_path = strdup(path);
        return *ret_path ? 0 : error_oom(err);
}

int intel_rdt_from_json(const json_t *json, struct intel_rdt *ret_rdt, struct error *err)
{
        cleanup_intel_rdt struct intel_rdt rdt = {.made = json_is_true(json_object_get(json, "made"))};

        int r = take_path(json, "path", &rdt.path, err);
        if (r == 0)
                r = take_path(json, "monitor_path", &rdt.monitor_path, err);
        if (r < 0)
                return r;
        *ret_rdt = rdt;
        take_pointer(&rdt.path);
        take_pointer(&rdt.monitor_path);
        return 0;
}
