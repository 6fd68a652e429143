/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpoint.c - the two commands that are refused: engines ask for them by name, and get an answer in
 * place of a complaint about their options.
 */
#include "rune/commands.h"

static int run(struct rune *rune, const void *values, const struct operands *operands, int *ret_status,
               struct error *err)
{
        (void)values;
        (void)operands;
        (void)ret_status;
        return error_set(
                err, -ENOTSUP,
                "checkpoint and restore are not supported by %s; an engine that needs them can run this "
                "container with runc or crun",
                rune->name);
}

const struct command rune_checkpoint = {
        .name = "checkpoint",
        .summary = "not supported",
        .usage = "<container-id>",
        .options = {.rule = OPERANDS_ARE_ALL_WORDS},
        .max_operands = SIZE_MAX,
        .run = run,
};

const struct command rune_restore = {
        .name = "restore",
        .summary = "not supported",
        .usage = "<container-id>",
        .options = {.rule = OPERANDS_ARE_ALL_WORDS},
        .max_operands = SIZE_MAX,
        .run = run,
};
