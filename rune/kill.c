/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/spec-parse.h"
#include "rune/commands.h"

struct kill_values {
        bool all;
};

static const struct option options[] = {
        {.name = "all",
         .letter = 'a',
         OPTION_FLAG_IN(struct kill_values, all),
         .summary = "send it to all processes of the container"},
};

static const char *word_of(const struct operands *operands)
{
        return operands->n > 1 ? operands->items[1] : "TERM";
}

static int check(const void *values, const struct operands *operands, struct error *err)
{
        (void)values;
        if (spec_signal_number(word_of(operands)) >= 0)
                return 0;
        return error_set(err, -EINVAL, "unknown signal \"%s\"; it takes a number or a name, as in KILL",
                         word_of(operands));
}

static int run(struct rune *rune, const void *values, const struct operands *operands, int *ret_status,
               struct error *err)
{
        const struct kill_values *v = values;
        const char *id = operands->items[0];
        int signal = spec_signal_number(word_of(operands));

        (void)ret_status;
        if (v->all)
                return container_kill_all(&rune->engine, id, signal, err);
        return container_kill(&rune->engine, id, signal, err);
}

const struct command rune_kill = {
        .name = "kill",
        .summary = "send a signal (TERM unless given) to a container's first process",
        .usage = "<container-id> [signal]",
        .options = {.options = options, .n = ARRAY_SIZE(options)},
        .values_size = sizeof(struct kill_values),
        .min_operands = 1,
        .max_operands = 2,
        .check = check,
        .run = run,
};
