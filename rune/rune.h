/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rune.h - what all commands of rune share.
 *
 * rune is a thin front of lib/container: a command is a table of options, and a function that makes a
 * request of their values and prints what comes back.  main.c finds the command, parses, and tells errors;
 * no command does that by itself.
 */
#pragma once

#include "lib/container/container-control.h"
#include "rune/messages.h"
#include "rune/options.h"

#include <jansson.h>

/* The newest specification that we know, which `rune spec` and `features` name. */
#define RUNE_SPEC_VERSION "1.3.0"

/* Exit statuses of our own; run and exec otherwise end with the container's. */
enum {
        RUNE_OK = 0,
        RUNE_FAILED = 1,
        RUNE_USAGE = 2,
        RUNE_EXEC_FAILED = 255, /* `exec` couldn't start the process */
};

struct rune {
        const char *name; /* what we are called: "rune", or "runc" where installed as such */
        struct engine engine;
        bool root_given; /* --root */
        struct messages messages;
};

struct command {
        const char *name;
        const char *summary;
        const char *usage;       /* operands: "<container-id>" */
        const char *description; /* paragraphs for help, without final newline; may be NULL */
        struct option_set options;
        size_t values_size; /* of the struct that the options' values go to */
        size_t min_operands;
        size_t max_operands;        /* SIZE_MAX: any number */
        const char *failure_prefix; /* put before an error, "exec failed"; or NULL */
        bool failure_is_named;      /* with the program's name before it */
        int failure_status;         /* 0: RUNE_FAILED */

        /* Looks at the values before anything is done: its error is one of the command line, RUNE_USAGE.
         * NULL: whatever is wrong shows when it is done. */
        int (*check)(const void *values, const struct operands *operands, struct error *err);

        /* Does it.  `values` points at the values.  *ret_status, the exit status, is 0 unless set. */
        int (*run)(struct rune *rune, const void *values, const struct operands *operands, int *ret_status,
                   struct error *err);
};

/* The commands, in the order of help; NULL-terminated. */
extern const struct command *const rune_commands[];

/* The global options and where their values go. */
struct global_values {
        bool debug;
        bool systemd_cgroup;
        bool version;
        const char *cgroup_manager;
        const char *criu;
        const char *log;
        const char *log_format;
        const char *log_level;
        const char *pal_path;
        const char *root;
        const char *rootless;
};
extern const struct option_set rune_global_options;

/* The command by name, or NULL. */
const struct command *rune_command(const char *name);

/* Writes all of `text` to standard output. 0, or the error. */
int rune_print(struct view text, struct error *err);

/* Prints JSON with a newline behind it; `flags` are json_dumps()'s, JSON_COMPACT or JSON_INDENT(n). `value`
 * may be NULL: then memory ran out. */
int rune_print_json(const json_t *value, size_t flags, struct error *err);
