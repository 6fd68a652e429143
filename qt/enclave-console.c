/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/fd.h"
#include "lib/enclave/enclave.h"
#include "lib/enclave/registry.h"
#include "qt/confine.h"
#include "qt/qt.h"
#include "qt/verbs.h"
#include "qt/watch.h"

enum { ARG_ENCLAVE_ID, ARGS };

static int run(void *context, const struct cli_parsed *parsed)
{
        const struct qt *qt = context;
        cleanup_enclaves struct enclaves *enclaves = NULL;
        cleanup_fd int interrupt = -1, console = -1;
        struct error err = {0};

        (void)parsed;
        int r = watch_interrupt(&interrupt, &err);
        if (r == 0)
                r = enclaves_open(NULL, &enclaves, &err);
        if (r == 0)
                r = confine_client(registry_path(enclaves), &err);
        if (r == 0)
                r = enclave_console_open(enclaves, (uint32_t)qt_number(qt, ARG_ENCLAVE_ID), &console, &err);
        if (r < 0)
                return qt_fail(qt, &err);
        r = watch_console(console, interrupt, &err);
        /* Ctrl-C is how one leaves a console, and `| head` how one looks at its beginning. */
        return r == 0 || r == -ECANCELED || r == -EPIPE ? QT_OK : qt_fail(qt, &err);
}

static const struct cli_argument arguments[ARGS] = {
        [ARG_ENCLAVE_ID] = {.name = "--enclave-id",
                            .metavar = "ENCLAVE_ID",
                            .kind = CLI_NUMBER,
                            .required = true,
                            .max = QT_ENCLAVE_ID_MAX,
                            .summary =
                                    "The enclave, started with --debug-mode. Leave its console with Ctrl-C."},
};

static const struct cli_example examples[] = {
        {"Given an enclave-id to console an enclave", "qt enclave console --enclave-id [ENCLAVE-ID]"},
};

const struct cli_command qt_enclave_console = {
        .name = "console",
        .summary = "Console an enclave via the enclave-id while debugging.",
        .arguments = arguments,
        .n_arguments = ARGS,
        .examples = examples,
        .n_examples = ARRAY_SIZE(examples),
        .run = run,
};
