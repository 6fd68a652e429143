/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Figures of resctrl, under the names that runc's `events` has them.  A resource that the machine doesn't
 * have has no members.  Without a monitoring group of its own a container's figures are those of its group,
 * with whoever else is in it.
 */
#include "lib/container/intel-rdt.h"

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "lib/base/text.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

enum { FILE_MAX = 64 * 1024 };

/* The file's text without the blanks around it; *ret_text points into `content`. */
static int read_trimmed(const char *folder, const char *name, struct buf *content, const char **ret_text,
                        struct error *err)
{
        cleanup_free char *path = string_printf("%s/%s", folder, name);

        if (!path)
                return error_oom(err);
        int r = file_read(AT_FDCWD, path, FILE_MAX, content, err);
        if (r < 0)
                return r;
        while (content->n > 0 && strchr(" \n", content->p[content->n - 1]))
                content->p[--content->n] = '\0';
        const char *text = buf_string(content);
        *ret_text = text + strspn(text, " \n");
        return 0;
}

/* Adds a number to `object`. What isn't there, or is "Unavailable", is left out. */
static int add_number(json_t *object, const char *folder, const char *name, const char *key)
{
        cleanup_buf struct buf content = buf_with_max(0);
        const char *text;
        uint64_t number;

        if (read_trimmed(folder, name, &content, &text, NULL) < 0 || !parse_u64(text, INT64_MAX, &number))
                return 0;
        return json_object_set_new(object, key, json_integer((json_int_t)number));
}

static int add_text(json_t *object, const char *folder, const char *name, const char *key)
{
        cleanup_buf struct buf content = buf_with_max(0);
        const char *text;

        if (read_trimmed(folder, name, &content, &text, NULL) < 0 || !*text)
                return 0;
        return json_object_set_new(object, key, json_string(text));
}

/* ---- schemata ------------------------------------------------------------------------------------------ */

/* The lines of a group's schemata, without the blanks that align them. */
static int read_schemata(const char *folder, json_t **ret_lines, struct error *err)
{
        cleanup_buf struct buf content = buf_with_max(0);
        const char *text;
        int r = read_trimmed(folder, "schemata", &content, &text, err);

        if (r < 0)
                return r;
        json_t *lines = json_array();
        for (int failed = !lines; *text && !failed;) {
                size_t n = strcspn(text, "\n");
                failed = json_array_append_new(lines, json_stringn(text, n)) < 0;
                text += n;
                text += strspn(text, " \n");
        }
        *ret_lines = lines;
        return lines ? 0 : error_oom(err);
}

/* Sets `key` to the last line that begins with `resource`. */
static void set_line(json_t *object, const char *key, const json_t *lines, const char *resource)
{
        for (size_t i = 0; i < json_array_size(lines); i++) {
                json_t *line = json_array_get(lines, i);
                if (strncmp(json_string_value(line), resource, strlen(resource)) == 0)
                        (void)json_object_set(object, key, line);
        }
}

/* ---- monitoring ---------------------------------------------------------------------------------------- */

static bool has_line(const char *text, const char *line)
{
        size_t n = strlen(line);

        for (; text; text = strchr(text, '\n') ? strchr(text, '\n') + 1 : NULL)
                if (strncmp(text, line, n) == 0 && (text[n] == '\n' || text[n] == '\0'))
                        return true;
        return false;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
        return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_domain(const struct dirent *entry)
{
        return entry->d_name[0] != '.' && (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN);
}

/* One object for each domain of the cache, with those of the two figures that the machine has. */
static int add_monitored(json_t *figures, const char *key, const char *folder, const char *features,
                         const char *first, const char *second)
{
        cleanup_free char *data = string_printf("%s/mon_data", folder);
        bool has_first = has_line(features, first), has_second = second && has_line(features, second);
        json_t *domains = json_array();
        struct dirent **entries = NULL;
        int n = data && domains && (has_first || has_second) ? scandir(data, &entries, is_domain, by_name)
                                                             : 0;
        int r = data && domains ? 0 : -1;

        for (int i = 0; i < n; i++) {
                cleanup_free char *domain = string_printf("%s/%s", data, entries[i]->d_name);
                json_t *object = json_object();
                if (!domain || (has_first && add_number(object, domain, first, first) < 0) ||
                    (has_second && add_number(object, domain, second, second) < 0) ||
                    json_array_append(domains, object) < 0)
                        r = -1;
                json_decref(object);
                free(entries[i]);
        }
        free(entries);
        if (r == 0 && (has_first || has_second))
                r = json_object_set(figures, key, domains);
        json_decref(domains);
        return r;
}

static int add_monitoring(json_t *figures, const char *root, const struct intel_rdt *rdt)
{
        cleanup_buf struct buf content = buf_with_max(0);
        const char *folder = rdt->monitor_path ? rdt->monitor_path : rdt->path, *features;

        if (read_trimmed(root, "info/L3_MON/mon_features", &content, &features, NULL) < 0)
                return 0;
        int r = add_monitored(figures, "mbm_stats", folder, features, "mbm_total_bytes", "mbm_local_bytes");
        return r < 0 ? r : add_monitored(figures, "cmt_stats", folder, features, "llc_occupancy", NULL);
}

/* ---- all ----------------------------------------------------------------------------------------------- */

static int add_l3(json_t *figures, const char *info)
{
        json_t *object = json_object();
        int r = json_object_set_new(figures, "l3_cache_info", object);

        if (r == 0)
                r = add_text(object, info, "cbm_mask", "cbm_mask");
        if (r == 0)
                r = add_number(object, info, "min_cbm_bits", "min_cbm_bits");
        return r == 0 ? add_number(object, info, "num_closids", "num_closids") : r;
}

static int add_mb(json_t *figures, const char *info)
{
        static const char *const names[] = {"bandwidth_gran", "delay_linear", "min_bandwidth", "num_closids"};
        json_t *object = json_object();
        int r = json_object_set_new(figures, "mem_bw_info", object);

        for (size_t i = 0; i < ARRAY_SIZE(names) && r == 0; i++)
                r = add_number(object, info, names[i], names[i]);
        return r;
}

int intel_rdt_stats(const char *root, const struct intel_rdt *rdt, json_t **ret_figures, struct error *err)
{
        cleanup_free char *l3 = string_printf("%s/info/L3", root), *mb = string_printf("%s/info/MB", root);
        json_t *figures = json_object(), *whole = NULL, *own = NULL;
        int r = l3 && mb && figures ? 0 : error_oom(err);

        if (r == 0)
                r = read_schemata(root, &whole, err);
        if (r == 0)
                r = read_schemata(rdt->path, &own, err);
        if (r == 0 && json_object_set(figures, "schemata", own) < 0)
                r = error_oom(err);
        if (r == 0 && intel_rdt_has(root, "L3")) {
                r = add_l3(figures, l3) < 0 ? error_oom(err) : 0;
                set_line(figures, "l3_cache_schema_root", whole, "L3");
                set_line(figures, "l3_cache_schema", own, "L3");
        }
        if (r == 0 && intel_rdt_has(root, "MB")) {
                r = add_mb(figures, mb) < 0 ? error_oom(err) : 0;
                set_line(figures, "mem_bw_schema_root", whole, "MB");
                set_line(figures, "mem_bw_schema", own, "MB");
        }
        if (r == 0 && add_monitoring(figures, root, rdt) < 0)
                r = error_oom(err);
        json_decref(whole);
        json_decref(own);
        if (r < 0)
                json_decref(figures);
        else
                *ret_figures = figures;
        return r;
}
