/* SPDX-License-Identifier: Apache-2.0 */
#include "qt/qt.h"
#include "qt/verbs.h"

static const char welcome[] = "  ____  _          _______ _\n"
                              " / __ \\(_)        |__   __(_)\n"
                              "| |  | |_ _ __   __ _| |   _  __ _ _ __\n"
                              "| |  | | | '_ \\ / _` | |  | |/ _` | '_ \\\n"
                              "| |__| | | | | | (_| | |  | | (_| | | | |\n"
                              " \\___\\_\\_|_| |_|\\__, |_|  |_|\\__,_|_| |_|\n"
                              "                 __/ |\n"
                              "                |___/\n"
                              "\n"
                              "Welcome to the cool QingTian new CLI!\n"
                              "\n";

/* In the order of enum qt_global. */
static const struct cli_argument globals[QT_GLOBALS] = {
        [QT_GLOBAL_DEBUG] = {.name = "--debug",
                             .summary = "Increase logging verbosity to show all debug logs."},
        [QT_GLOBAL_ONLY_SHOW_ERRORS] = {.name = "--only-show-errors",
                                        .summary = "Only show errors, suppressing warnings."},
        [QT_GLOBAL_OUTPUT] = {.name = "--output",
                              .alias = "-o",
                              .kind = CLI_CHOICE,
                              .default_text = "json",
                              .summary = "Output format.",
                              .choices = output_format_names},
        [QT_GLOBAL_QUERY] =
                {.name = "--query",
                 .metavar = "JMESPATH",
                 .kind = CLI_TEXT,
                 .summary = "JMESPath query string. See http://jmespath.org/ for more information and "
                            "examples."},
        [QT_GLOBAL_VERBOSE] = {.name = "--verbose",
                               .summary = "Increase logging verbosity. Use --debug for full debug logs."},
};

/* QingTian's commands in its order, then ours. */
static const struct cli_command *const enclave_commands[] = {
        &qt_enclave_make_img, &qt_enclave_start,     &qt_enclave_stop,     &qt_enclave_query,
        &qt_enclave_console,  &qt_enclave_query_eif, &qt_enclave_sign_eif, &qt_enclave_forward,
};

/* A first session; each line can be typed as it is. */
static const struct cli_example session[] = {
        {"A first session: make an enclave image of a container image, and note its measurements",
         "qt enclave make-img --docker-uri redis:7 --eif redis.eif"},
        {"Start it, and wait until its workload runs", "qt enclave start --eif redis.eif --mem 512"},
        {"See what runs", "qt enclave query --output table"},
        {"Reach a port of it, until Ctrl-C", "qt enclave forward --enclave-id 0 6379:6379"},
        {"Stop it", "qt enclave stop --enclave-id 0"},
        {"More: each command's own help, and qt-enclave(1)", "qt enclave start --help"},
};

static const struct cli_group groups[] = {
        {.name = "enclave",
         .summary = "Enclave life-circle management.",
         .description = "enclave command line interface",
         .commands = enclave_commands,
         .n_commands = ARRAY_SIZE(enclave_commands),
         .examples = session,
         .n_examples = ARRAY_SIZE(session)},
};

const struct cli_program qt_program = {
        .name = "qt",
        .welcome = welcome,
        .groups = groups,
        .n_groups = ARRAY_SIZE(groups),
        .globals = globals,
        .n_globals = QT_GLOBALS,
};
