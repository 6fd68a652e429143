/* SPDX-License-Identifier: Apache-2.0 */
#include "rune/commands.h"

static int run(struct rune *rune, const void *values, const struct operands *operands, int *ret_status,
               struct error *err)
{
        (void)values;
        (void)ret_status;
        return container_pause(&rune->engine, operands->items[0], err);
}

const struct command rune_pause = {
        .name = "pause",
        .summary = "stop all processes of a container where they are",
        .usage = "<container-id>",
        .min_operands = 1,
        .max_operands = 1,
        .run = run,
};
