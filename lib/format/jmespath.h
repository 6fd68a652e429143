/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jmespath.h - the JMESPath query language (https://jmespath.org/specification.html), complete, over jansson
 * values.
 *
 * An expression is compiled once and may then be searched many times.  Everything that can be known without
 * data is said while compiling: bad syntax, unknown functions, wrong numbers of arguments, a slice step of 0.
 * So a program can refuse a query before it does the work whose result it would filter.
 *
 * Where the specification is silent, the reference implementation (jmespath.py) is followed: strings can be
 * ordered (by code point), and a literal that is no JSON, as in [?name==`web`], is taken as a string.
 */
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/error.h"

#include <jansson.h>
#include <stddef.h>

/* Longest expression in bytes, and deepest nesting of its parts. */
#define JMESPATH_LENGTH_MAX 65536
#define JMESPATH_DEPTH_MAX  256

/* What is wrong, in the classes of the specification; LIMIT is ours: too long, too deep, too costly, no
 * memory. */
enum jmespath_class {
        JMESPATH_NONE,
        JMESPATH_SYNTAX,
        JMESPATH_INVALID_TYPE,
        JMESPATH_INVALID_VALUE,
        JMESPATH_INVALID_ARITY,
        JMESPATH_UNKNOWN_FUNCTION,
        JMESPATH_LIMIT,
};

/* Where it is wrong.  Positions are byte offsets into the expression; the length of it means "at its end". */
struct jmespath_problem {
        enum jmespath_class class;
        size_t at;
};

struct jmespath;

/* Compiles `expression` (UTF-8).  Free the result with jmespath_free().  On failure *reterr_problem (may be
 * NULL) says class and position, and the error's text too ("syntax error at character 5: ..."); the code is
 * -EINVAL, or -E2BIG for a limit, which running out of memory counts as. */
int jmespath_compile(const char *expression, struct jmespath **ret_query,
                     struct jmespath_problem *reterr_problem, struct error *err);

/* Applies the query to `value`, which is not changed.  *ret_result is a new reference, the JSON null where
 * nothing matched; it shares parts with `value`.  *ret_made (may be NULL) is a new JSON array of all objects
 * that multi-select hashes made: the ones whose order of keys was written by the user.  Errors as
 * jmespath_compile(), and -ENOMEM. */
int jmespath_search(const struct jmespath *query, json_t *value, json_t **ret_result, json_t **ret_made,
                    struct jmespath_problem *reterr_problem, struct error *err);

/* NULL-safe. */
void jmespath_free(struct jmespath *query);
DEFINE_CLEANUP(cleanup_jmespath_p, struct jmespath *, jmespath_free)
#define cleanup_jmespath CLEANUP(cleanup_jmespath_p)

/* The specification's name of a class: "syntax", "invalid-type", ...; "limit" for ours.  Static. */
const char *jmespath_class_name(enum jmespath_class class);
