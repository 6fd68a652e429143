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

static const struct cli_group groups[] = {
        {.name = "enclave",
         .summary = "Enclave life-circle management.",
         .description = "enclave command line interface",
         .commands = enclave_commands,
         .n_commands = ARRAY_SIZE(enclave_commands)},
};

const struct cli_program qt_program = {
        .name = "qt",
        .welcome = welcome,
        .groups = groups,
        .n_groups = ARRAY_SIZE(groups),
        .globals = globals,
        .n_globals = QT_GLOBALS,
};
