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

static void warn_of_stale_size(const struct qt *qt, const struct eif *eif)
{
        int i = eif_find(eif, EIF_SECTION_SIGNATURE, 0);

        if (i >= 0 && eif_header(eif)->section[i].stale)
                log_warning(
                        &qt->log,
                        "%s: it was signed anew by a tool that left the old signature's size in the file's "
                        "table, and others refuse it; `qt enclave sign-eif` writes it right",
                        qt_text(qt, ARG_EIF));
}

static int describe(const struct qt *qt, json_t **ret_object, struct error *err)
{
        const char *path = qt_text(qt, ARG_EIF);
        cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        cleanup_eif struct eif *eif = NULL;
        cleanup_eif_measured struct eif_measured measured = {0};

        if (fd < 0)
                return error_set(err, -errno, "%s", strerror(errno));
        int r = confine_to_open_files(err);
        if (r == 0)
                r = eif_open(fd, &eif, err);
        if (r == 0) {
                warn_of_stale_size(qt, eif);
                r = eif_measure(eif, NULL, NULL, &measured, err);
        }
        return r < 0 ? r : eif_describe(eif, &measured, (int64_t)time(NULL), ret_object, err);
}

static int run(void *context, const struct cli_parsed *parsed)
{
        const struct qt *qt = context;
        cleanup_json json_t *object = NULL;
        struct error err = {0};

        (void)parsed;
        if (describe(qt, &object, &err) < 0) {
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
