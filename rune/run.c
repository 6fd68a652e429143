/* SPDX-License-Identifier: Apache-2.0 */
#include "rune/commands.h"
#include "rune/create-options.h"

struct run_values {
        struct create_values create; /* first: create_options go there */
        bool detach;
        bool keep;
};

static const struct option options[] = {
        {.name = "detach",
         .letter = 'd',
         OPTION_FLAG_IN(struct run_values, detach),
         .summary = "return once the container runs"},
        {.name = "keep",
         OPTION_FLAG_IN(struct run_values, keep),
         .summary = "don't delete the container once it has ended"},
};

static int run(struct rune *rune, const void *values, const struct operands *operands, int *ret_status,
               struct error *err)
{
        const struct run_values *v = values;
        struct create_request request;
        int r = create_request_of(&v->create, operands->items[0], &request, err);

        if (r < 0)
                return r;
        if (v->detach)
                return container_run_detached(&rune->engine, &request, err);
        if (v->keep)
                return container_run_and_keep(&rune->engine, &request, ret_status, err);
        return container_run(&rune->engine, &request, ret_status, err);
}

const struct command rune_run = {
        .name = "run",
        .summary = "create and start a container, wait for its end, delete it",
        .usage = "<container-id>",
        .description = create_description,
        .options = {.options = options,
                    .n = ARRAY_SIZE(options),
                    .shared = create_options,
                    .n_shared = CREATE_OPTIONS},
        .values_size = sizeof(struct run_values),
        .min_operands = 1,
        .max_operands = 1,
        .failure_prefix = "run failed",
        .failure_is_named = true,
        .check = create_check,
        .run = run,
};
