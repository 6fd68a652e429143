/* SPDX-License-Identifier: Apache-2.0 */
#include "rune/commands.h"
#include "rune/create-options.h"

static int run(struct rune *rune, const void *values, const struct operands *operands, int *ret_status,
               struct error *err)
{
        struct create_request request;
        int r = create_request_of(values, operands->items[0], &request, err);

        (void)ret_status;
        if (r < 0)
                return r;
        return container_create(&rune->engine, &request, err);
}

const struct command rune_create = {
        .name = "create",
        .summary = "create a container",
        .usage = "<container-id>",
        .description = create_description,
        .options = {.shared = create_options, .n_shared = CREATE_OPTIONS},
        .values_size = sizeof(struct create_values),
        .min_operands = 1,
        .max_operands = 1,
        .failure_prefix = "create failed",
        .failure_is_named = true,
        .check = create_check,
        .run = run,
};
