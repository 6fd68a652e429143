/* SPDX-License-Identifier: Apache-2.0 */
#include "rune/commands.h"

struct delete_values {
        bool force;
};

static const struct option options[] = {
        {.name = "force",
         .letter = 'f',
         OPTION_FLAG_IN(struct delete_values, force),
         .summary = "kill it first where it runs; a container that isn't there is no error"},
};

static int run(struct rune *rune, const void *values, const struct operands *operands, int *ret_status,
               struct error *err)
{
        const struct delete_values *v = values;

        (void)ret_status;
        if (v->force)
                return container_delete_force(&rune->engine, operands->items[0], err);
        return container_delete(&rune->engine, operands->items[0], err);
}

const struct command rune_delete = {
        .name = "delete",
        .summary = "remove a container that doesn't run, with all that it holds",
        .usage = "<container-id>",
        .options = {.options = options, .n = ARRAY_SIZE(options)},
        .values_size = sizeof(struct delete_values),
        .min_operands = 1,
        .max_operands = 1,
        .run = run,
};
