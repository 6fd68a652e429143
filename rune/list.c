/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/buf.h"
#include "rune/commands.h"
#include "rune/show.h"
#include "rune/table.h"

#include <string.h>
#include <unistd.h>

enum { COLUMNS = 6, PID_TEXT_MAX = 16, LIST_MAX = 64 * 1024 * 1024 };

struct list_values {
        const char *format;
        bool quiet;
};

static const struct option options[] = {
        {.name = "format",
         .letter = 'f',
         OPTION_TEXT_IN(struct list_values, format),
         .metavar = "FORMAT",
         .summary = "table or json",
         .default_text = "table"},
        {.name = "quiet",
         .letter = 'q',
         OPTION_FLAG_IN(struct list_values, quiet),
         .summary = "print ids only"},
};

struct infos {
        struct container_info *items;
        size_t n;
};

static void infos_done(struct infos *infos)
{
        for (size_t i = 0; i < infos->n; i++)
                container_info_done(&infos->items[i]);
        free(infos->items);
}

static int print_ids(const struct infos *infos, struct error *err)
{
        cleanup_buf struct buf text = buf_with_max(LIST_MAX);

        for (size_t i = 0; i < infos->n; i++)
                (void)buf_printf(&text, "%s\n", infos->items[i].state.id);
        if (text.failed)
                return error_oom(err);
        return rune_print(buf_view(&text), err);
}

static int print_table(const struct infos *infos, struct error *err)
{
        static const char *const titles[COLUMNS] = {"ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"};
        cleanup_buf struct buf text = buf_with_max(LIST_MAX);
        cleanup_free const char **cells = calloc(infos->n + 1, sizeof(titles));
        cleanup_free char(*pids)[PID_TEXT_MAX] = calloc(infos->n + 1, sizeof(*pids));

        if (!cells || !pids)
                return error_oom(err);
        memcpy(cells, titles, sizeof(titles));
        for (size_t i = 0; i < infos->n; i++) {
                const struct container_info *info = &infos->items[i];
                const char **row = cells + (i + 1) * COLUMNS;

                (void)snprintf(pids[i], sizeof(pids[i]), "%d", (int)show_pid(info));
                row[0] = info->state.id;
                row[1] = pids[i];
                row[2] = container_status_name(info->status);
                row[3] = info->state.bundle ? info->state.bundle : "";
                row[4] = info->state.created;
                row[5] = info->state.owner ? info->state.owner : "";
        }
        if (table_append(cells, infos->n + 1, COLUMNS, &text) < 0)
                return error_oom(err);
        return rune_print(buf_view(&text), err);
}

static int print_json(const struct infos *infos, struct error *err)
{
        json_t *array = json_array();
        int r = 0;

        for (size_t i = 0; i < infos->n && r == 0; i++)
                r = json_array_append_new(array, show_container(&infos->items[i]));
        r = r < 0 ? error_oom(err) : rune_print_json(array, JSON_COMPACT, err);
        json_decref(array);
        return r;
}

static int check(const void *values, const struct operands *operands, struct error *err)
{
        (void)operands;
        return table_check_format(((const struct list_values *)values)->format, err);
}

static int run(struct rune *rune, const void *values, const struct operands *operands, int *ret_status,
               struct error *err)
{
        const struct list_values *v = values;
        CLEANUP(infos_done) struct infos infos = {0};
        bool json = v->format && strcmp(v->format, "json") == 0;

        (void)operands;
        (void)ret_status;
        /* The default folder comes to be with the first container; one that was named is there. */
        if (rune->root_given && access(rune->engine.root, F_OK) < 0)
                return error_errno(err, errno, "--root %s", rune->engine.root);
        int r = container_list(&rune->engine, &infos.items, &infos.n, err);
        if (r < 0 && r != -ENOENT)
                return r;
        if (v->quiet)
                return print_ids(&infos, err);
        return json ? print_json(&infos, err) : print_table(&infos, err);
}

const struct command rune_list = {
        .name = "list",
        .summary = "list the containers below --root",
        .usage = "",
        .options = {.options = options, .n = ARRAY_SIZE(options)},
        .values_size = sizeof(struct list_values),
        .check = check,
        .run = run,
};
