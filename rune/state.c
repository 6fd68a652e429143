/* SPDX-License-Identifier: Apache-2.0 */
#include "rune/commands.h"
#include "rune/show.h"

static int run(struct rune *rune, const void *values, const struct operands *operands, int *ret_status,
               struct error *err)
{
        cleanup_container_info struct container_info info = {0};
        int r = container_find(&rune->engine, operands->items[0], &info, err);

        (void)values;
        (void)ret_status;
        if (r < 0)
                return r;
        json_t *shown = show_container(&info);
        r = rune_print_json(shown, JSON_INDENT(2), err);
        json_decref(shown);
        return r;
}

const struct command rune_state = {
        .name = "state",
        .summary = "print the state of a container as JSON",
        .usage = "<container-id>",
        .min_operands = 1,
        .max_operands = 1,
        .run = run,
};
