/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli.h - a command line as tables: parsing, help, usage lines and errors all come from the same rows.
 *
 * The rules are those of Python's argparse under Microsoft's knack, which QingTian's `qt` is made with:
 * global arguments work anywhere, `--name value` and `--name=value` are the same, a name may be cut short as
 * long as it is clear, help has knack's columns.  Nothing here prints: texts go to a buffer, and the outcome
 * says where to.
 */
#pragma once

#include "lib/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum {
        CLI_ARGUMENTS_MAX = 32, /* of one command, and global ones */
        CLI_LIST_MAX = 16,      /* times that one argument may be given */
};

enum cli_kind {
        CLI_FLAG,   /* takes no value */
        CLI_TEXT,   /* any */
        CLI_LIST,   /* any, and it may be given several times */
        CLI_NUMBER, /* a whole number from min to max */
        CLI_CHOICE, /* one of a list, in any case of letters */
};

struct cli_argument {
        const char *name;    /* "--eif" */
        const char *alias;   /* "-o", or NULL */
        const char *metavar; /* of its value in usage lines; NULL: none, or the choices */
        enum cli_kind kind;
        bool required;
        const char *default_text; /* what help shows, and what the value is unless given; or NULL */
        const char *summary;
        uint64_t min;
        uint64_t max;
        const char *const *choices; /* NULL-terminated */
};

struct cli_example {
        const char *title;
        const char *text;
};

struct cli_parsed;

struct cli_command {
        const char *name;
        const char *summary;
        const struct cli_argument *arguments;
        size_t n_arguments;
        const char *operand; /* metavar of one or more values without a name; NULL: it takes none */
        const char *operand_summary;
        const struct cli_example *examples;
        size_t n_examples;
        int (*run)(void *context, const struct cli_parsed *parsed); /* the exit status */
};

struct cli_group {
        const char *name;
        const char *summary;
        const char *description; /* printed below the usage error where no command is given */
        const struct cli_command *const *commands;
        size_t n_commands;
        const struct cli_example *examples;
        size_t n_examples;
};

struct cli_program {
        const char *name;
        const char *welcome; /* printed where there are no arguments, above the groups */
        const struct cli_group *groups;
        size_t n_groups;
        const struct cli_argument *globals;
        size_t n_globals;
};

struct cli_value {
        bool given;
        const char *text;                   /* the last one given, else the default, else NULL */
        uint64_t number;                    /* CLI_NUMBER: of `text`; CLI_CHOICE: its index */
        const char *list[CLI_LIST_MAX + 1]; /* CLI_LIST: all that were given, NULL-terminated */
};

/* What was asked for.  Texts point into argv and into the tables. */
struct cli_parsed {
        const struct cli_group *group;              /* NULL: none was named */
        const struct cli_command *command;          /* NULL: likewise */
        struct cli_value values[CLI_ARGUMENTS_MAX]; /* at the index of the command's argument */
        struct cli_value globals[CLI_ARGUMENTS_MAX];
        const char **operands; /* for free() */
        size_t n_operands;
};

enum cli_outcome {
        CLI_RUN,     /* parsed->command->run */
        CLI_HELP,    /* the text is help: stdout, status 0 */
        CLI_VERSION, /* --version was asked for */
        CLI_ERROR,   /* the text is an error: stderr, status 2 */
};

/* Parses argv (argv[0] is skipped).  *ret_parsed is always set, as far as it got; end it with
 * cli_parsed_done(). Text for people is appended to `text`. */
enum cli_outcome cli_parse(const struct cli_program *program, int argc, char *const *argv,
                           struct cli_parsed *ret_parsed, struct buf *text);

/* Frees what parsing took. Safe on a zeroed struct. */
void cli_parsed_done(struct cli_parsed *parsed);
#define cleanup_cli_parsed CLEANUP(cli_parsed_done)

/* Appends the usage lines and "qt enclave start: error: <message>" for where `parsed` stands. */
void cli_usage_error(const struct cli_program *program, const struct cli_parsed *parsed, struct buf *text,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Appends help: of the command where there is one, else of the group, else of the program. */
void cli_help(const struct cli_program *program, const struct cli_parsed *parsed, struct buf *text);

/* Appends the welcome and the list of groups. */
void cli_welcome(const struct cli_program *program, struct buf *text);

/* Appends "qt", "qt enclave" or "qt enclave start": where `parsed` stands. */
void cli_append_path(const struct cli_program *program, const struct cli_parsed *parsed, struct buf *text);

/* The one of n names that is most like `word`; NULL where none is much like it. */
const char *cli_nearest(const char *word, const char *const *names, size_t n);
