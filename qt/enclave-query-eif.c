/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/fd.h"
#include "lib/eif/describe.h"
#include "lib/format/json.h"
#include "qt/confine.h"
#include "qt/qt.h"
#include "qt/verbs.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>

enum { ARG_EIF, ARGS };

static int describe(const char *path, json_t **ret_object, struct error *err)
{
        cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        cleanup_eif struct eif *eif = NULL;
        cleanup_eif_measured struct eif_measured measured = {0};

        if (fd < 0)
                return error_set(err, -errno, "%s", strerror(errno));
        int r = confine_to_open_files(err);
        if (r == 0)
                r = eif_open(fd, &eif, err);
        if (r == 0)
                r = eif_measure(eif, NULL, NULL, &measured, err);
        return r < 0 ? r : eif_describe(eif, &measured, (int64_t)time(NULL), ret_object, err);
}

static int run(void *context, const struct cli_parsed *parsed)
{
        const struct qt *qt = context;
        cleanup_json json_t *object = NULL;
        struct error err = {0};

        (void)parsed;
        if (describe(qt_text(qt, ARG_EIF), &object, &err) < 0) {
                error_wrap(&err, "%s", qt_text(qt, ARG_EIF));
                return qt_fail(qt, &err);
        }
        return qt_print_result(qt, object);
}

static const struct cli_argument arguments[ARGS] = {
        [ARG_EIF] = {.name = "--eif",
                     .metavar = "EIF",
                     .kind = CLI_TEXT,
                     .required = true,
                     .summary = "The enclave image file to look into."},
};

static const struct cli_example examples[] = {
        {"Show measurements, signature and metadata of an eif image", "qt enclave query-eif --eif [EIF]"},
        {"Show only PCR0", "qt enclave query-eif --eif [EIF] --query Measurements.PCR0 --output tsv"},
};

const struct cli_command qt_enclave_query_eif = {
        .name = "query-eif",
        .summary = "Query everything that an eif image file holds.",
        .arguments = arguments,
        .n_arguments = ARGS,
        .examples = examples,
        .n_examples = ARRAY_SIZE(examples),
        .run = run,
};
