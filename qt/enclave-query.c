/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/enclave.h"
#include "lib/enclave/registry.h"
#include "lib/format/json.h"
#include "qt/enclave-json.h"
#include "qt/confine.h"
#include "qt/qt.h"
#include "qt/verbs.h"

#include <stdlib.h>

enum { ARG_ENCLAVE_ID, ARGS };

/* One that is not there is no error: the answer is an empty array. */
static int find_one(struct enclaves *enclaves, uint32_t id, json_t *array, struct error *err)
{
        struct enclave_info info;
        int r = enclave_find(enclaves, id, &info, err);

        if (r == -ENOENT)
                return 0;
        if (r == 0 && json_array_append_new(array, enclave_json(&info)) < 0)
                return error_oom(err);
        return r;
}

static int find_all(struct enclaves *enclaves, json_t *array, struct error *err)
{
        cleanup_free struct enclave_info *infos = NULL;
        size_t n = 0;
        int r = enclave_list(enclaves, &infos, &n, err);

        for (size_t i = 0; r == 0 && i < n; i++)
                if (json_array_append_new(array, enclave_json(&infos[i])) < 0)
                        r = error_oom(err);
        return r;
}

static int run(void *context, const struct cli_parsed *parsed)
{
        const struct qt *qt = context;
        cleanup_json json_t *array = json_array();
        cleanup_enclaves struct enclaves *enclaves = NULL;
        struct error err = {0};

        (void)parsed;
        int r = enclaves_open(NULL, &enclaves, &err);
        if (r == 0)
                r = confine_client(registry_path(enclaves), &err);
        if (r == 0 && qt_given(qt, ARG_ENCLAVE_ID))
                r = find_one(enclaves, (uint32_t)qt_number(qt, ARG_ENCLAVE_ID), array, &err);
        else if (r == 0)
                r = find_all(enclaves, array, &err);
        return r < 0 ? qt_fail(qt, &err) : qt_print_result(qt, array);
}

static const struct cli_argument arguments[ARGS] = {
        [ARG_ENCLAVE_ID] =
                {.name = "--enclave-id",
                 .metavar = "ENCLAVE_ID",
                 .kind = CLI_NUMBER,
                 .max = QT_ENCLAVE_ID_MAX,
                 .summary = "Only this one; also one that has ended by itself, until its id is used again."},
};

static const struct cli_example examples[] = {
        {"Given an enclave-id to query an enclave", "qt enclave query --enclave-id [ENCLAVE-ID]"},
        {"Query all enclaves without enclave-id", "qt enclave query"},
};

const struct cli_command qt_enclave_query = {
        .name = "query",
        .summary = "Query an enclave via the enclave-id or query all enclaves.",
        .arguments = arguments,
        .n_arguments = ARGS,
        .examples = examples,
        .n_examples = ARRAY_SIZE(examples),
        .run = run,
};
