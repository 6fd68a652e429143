/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h - a command's options as a table, and words against it.
 *
 * Engines were written for runc, so the rules are those of Go's flag package as runc uses it:
 * `--name value` and `--name=value` are the same, one dash does where two would, and a flag may be told
 * `=true` or `=false`.  Other than qt's, names can't be cut short, and of an option given twice the last one
 * counts. Parsing allocates for lists only; all texts point into argv.
 */
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/container/spec.h"

#include <stdbool.h>
#include <stddef.h>

enum option_kind {
        OPTION_FLAG,    /* bool */
        OPTION_TEXT,    /* const char *: NULL unless given */
        OPTION_INTEGER, /* struct optional_i64 */
        OPTION_LIST,    /* struct option_list: may be given many times */
};

/* NULL-terminated, for free(). */
struct option_list {
        char **items;
        size_t n;
};

struct option {
        const char *name; /* "bundle" */
        char letter;      /* 'b', or 0 */
        enum option_kind kind;
        size_t offset;       /* of its value in the command's values */
        bool hidden;         /* taken for the sake of old callers, not shown */
        const char *metavar; /* "FILE": what it takes; NULL for flags */
        const char *summary;
        const char *default_text; /* what help shows; or NULL */
};

#define OPTION_VALUE_(kind_, type, values, member)                                                           \
        .kind = (kind_),                                                                                     \
        .offset =                                                                                            \
                offsetof(values, member) +                                                                   \
                0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((values *)0)->member), type) ? 1    \
                                                                                                      : -1])

/* Where an option's value goes; a member of the wrong type does not compile. */
#define OPTION_FLAG_IN(values, member)    OPTION_VALUE_(OPTION_FLAG, bool, values, member)
#define OPTION_TEXT_IN(values, member)    OPTION_VALUE_(OPTION_TEXT, const char *, values, member)
#define OPTION_INTEGER_IN(values, member) OPTION_VALUE_(OPTION_INTEGER, struct optional_i64, values, member)
#define OPTION_LIST_IN(values, member)    OPTION_VALUE_(OPTION_LIST, struct option_list, values, member)

/* What becomes of words that are no options. */
enum operand_rule {
        OPERANDS_ANYWHERE,      /* options may come behind them */
        OPERANDS_END_OPTIONS,   /* the first one ends the options */
        OPERANDS_ARE_ALL_WORDS, /* there are no options but --help */
};

struct option_set {
        const struct option *options;
        size_t n;
        /* Rows that several commands share: their values are what the command's values begin with. */
        const struct option *shared;
        size_t n_shared;
        enum operand_rule rule;
};

/* The row at place i, shared ones first; NULL behind the last. */
static inline const struct option *option_at(const struct option_set *set, size_t i)
{
        if (i < set->n_shared)
                return &set->shared[i];
        return i - set->n_shared < set->n ? &set->options[i - set->n_shared] : NULL;
}

/* The words that are no options: n of them, then NULL.  They are argv's own array. */
struct operands {
        char **items;
        size_t n;
};

enum option_outcome {
        OPTIONS_DONE,
        OPTIONS_HELP, /* --help or -h came; nothing behind it was looked at */
};

/* Parses `words` (NULL-terminated; it is reordered) into *values, which is zeroed before and ended with
 * options_done(). An enum option_outcome; -EINVAL for a word that doesn't follow the table. */
int options_parse(const struct option_set *set, char **words, void *values, struct operands *ret_operands,
                  struct error *err);

/* Frees the lists in *values. */
void options_done(const struct option_set *set, void *values);

/* "true", "false" and what else Go's ParseBool takes; false where it is none of them. */
bool parse_bool(const char *text, bool *ret_value);

/* A whole decimal number with an optional sign, as Go's ParseInt takes it; false otherwise. */
bool parse_i64(const char *text, int64_t *ret_value);
