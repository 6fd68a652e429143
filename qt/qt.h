/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qt.h - what the commands of qt share: the program's state for one command line, the printing of results,
 * and the table of commands (one file per verb, enclave-<verb>.c).
 */
#pragma once

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/format/jmespath.h"
#include "lib/format/output.h"
#include "qt/cli.h"

#include <jansson.h>

/* The index of each global argument in cli_parsed.globals. */
enum qt_global {
        QT_GLOBAL_DEBUG,
        QT_GLOBAL_ONLY_SHOW_ERRORS,
        QT_GLOBAL_OUTPUT,
        QT_GLOBAL_QUERY,
        QT_GLOBAL_VERBOSE,
        QT_GLOBALS,
};

struct qt {
        const struct cli_parsed *parsed;
        struct log log;
        struct jmespath *query; /* NULL: none */
        enum output_format format;
        bool plain; /* neither --output nor --query was given: a command may print a sentence instead */
        bool quiet; /* --only-show-errors */
};

/* Exit statuses. */
enum { QT_OK = 0, QT_FAILED = 1, QT_USAGE = 2 };

/* The whole program as tables. */
extern const struct cli_program qt_program;

/* Applies --query, prints the result in the format of --output and gives the exit status. `result` is not
 * taken over; NULL means that memory ran out. */
int qt_print_result(const struct qt *qt, json_t *result);

/* Prints a text as it is; the exit status. */
int qt_print_text(const struct qt *qt, const char *text);

/* Says an error; QT_FAILED. */
int qt_fail(const struct qt *qt, const struct error *err);

/* Says a usage error with the usage lines of the command; QT_USAGE. */
int qt_usage(const struct qt *qt, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The value of the command's argument at `index`: its text (default or NULL where not given), its number,
 * all texts that were given for it (NULL-terminated), whether it was given. */
const char *qt_text(const struct qt *qt, size_t index);
uint64_t qt_number(const struct qt *qt, size_t index);
const char *const *qt_list(const struct qt *qt, size_t index);
bool qt_given(const struct qt *qt, size_t index);
