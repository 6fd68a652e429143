/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jmespath-internal.h - what lexer, parser, interpreter and functions of JMESPath share.
 *
 * text --lexer--> tokens --parser--> tree of nodes --interpreter (+ functions)--> JSON value
 */
#pragma once

#include "lib/format/json.h"
#include "lib/format/jmespath.h"

#include <stdbool.h>
#include <stdint.h>

enum token_type {
        TOKEN_END,
        TOKEN_IDENTIFIER, /* unquoted */
        TOKEN_QUOTED,     /* quoted identifier */
        TOKEN_LITERAL,    /* JSON literal or raw string */
        TOKEN_NUMBER,
        TOKEN_DOT,
        TOKEN_STAR,
        TOKEN_FLATTEN,  /* [] */
        TOKEN_FILTER,   /* [? */
        TOKEN_LBRACKET, /* [ */
        TOKEN_RBRACKET,
        TOKEN_LBRACE,
        TOKEN_RBRACE,
        TOKEN_LPAREN,
        TOKEN_RPAREN,
        TOKEN_COMMA,
        TOKEN_COLON,
        TOKEN_CURRENT, /* @ */
        TOKEN_EXPREF,  /* & */
        TOKEN_AND,
        TOKEN_OR,
        TOKEN_PIPE,
        TOKEN_NOT,
        TOKEN_EQ,
        TOKEN_NE,
        TOKEN_LT,
        TOKEN_LE,
        TOKEN_GT,
        TOKEN_GE,
        TOKEN_TYPES, /* how many there are */
};

struct token {
        enum token_type type;
        size_t at;      /* byte offset of its first character */
        json_t *value;  /* identifiers and literals: owned by the query's `values`; else NULL */
        int64_t number; /* TOKEN_NUMBER, held at the ends of its range */
};

enum node_type {
        NODE_CURRENT,
        NODE_IDENTITY, /* the right side of a projection that has none */
        NODE_FIELD,
        NODE_LITERAL,
        NODE_INDEX,
        NODE_SLICE,
        NODE_SUBEXPRESSION, /* left . right; also pipes and indexes: right is applied to left's result */
        NODE_PROJECTION,
        NODE_VALUE_PROJECTION,
        NODE_FILTER_PROJECTION,
        NODE_FLATTEN,
        NODE_AND,
        NODE_OR,
        NODE_NOT,
        NODE_COMPARE,
        NODE_MULTI_LIST,
        NODE_MULTI_HASH,
        NODE_FUNCTION,
        NODE_EXPREF,
};

struct node;

/* The parts of a multi-select or the arguments of a function. */
struct node_list {
        struct node **items;
        json_t **keys; /* multi-select hash: strings that belong to the query */
        size_t n;
};

struct slice {
        int64_t start;
        int64_t stop;
        int64_t step;
        bool has_start;
        bool has_stop;
};

struct jmespath_function;

struct node {
        enum node_type type;
        enum token_type comparator; /* NODE_COMPARE */
        size_t at;                  /* where errors about it point */
        unsigned height;            /* of the tree below it: bounds the interpreter's recursion */
        struct node *left;          /* the operand that is evaluated first */
        struct node *right;
        struct node *condition; /* NODE_FILTER_PROJECTION */
        json_t *value;          /* NODE_FIELD: its name; NODE_LITERAL; belongs to the query */
        int64_t index;
        struct slice slice;
        struct node_list list;
        const struct jmespath_function *function;
        struct node *next; /* the row of all nodes, by which they are freed without recursion */
};

struct jmespath {
        char *text;
        struct node *root;
        struct node *nodes; /* all of them */
        json_t *values;     /* array that owns all names and literals */
};

/* Where and how an error is told. */
struct jmespath_report {
        const char *text; /* the expression */
        struct jmespath_problem *problem;
        struct error *err;
};

/* Records an error of `class` at byte `at`: its text becomes "<class> error at character N: <format>".
 * Returns the negative errno of the class. */
int jmespath_fail(const struct jmespath_report *report, enum jmespath_class class, size_t at,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Splits the expression; *ret_tokens (for free()) ends with TOKEN_END. Values are added to `values`. */
int jmespath_tokenize(const struct jmespath_report *report, json_t *values, struct token **ret_tokens);

/* Parses tokens into query->root; all nodes hang on query->nodes, on failure as well. */
int jmespath_parse(const struct jmespath_report *report, const struct token *tokens, struct jmespath *query);

/* How a token is called in messages: "'['", "a number". Static. */
const char *jmespath_token_name(enum token_type type);

/* The state of one search. */
struct evaluation {
        const struct jmespath_report *report;
        uint64_t steps; /* what is left of the budget */
        json_t *made;   /* objects from multi-select hashes */
};

/* The value of `node` at `value`: a new reference, or NULL after an error was recorded. */
json_t *jmespath_evaluate(struct evaluation *ev, const struct node *node, json_t *value);

/* Takes `n` steps from the budget. False, with the error recorded, where it is used up. */
bool jmespath_spend(struct evaluation *ev, const struct node *node, size_t n);

/* The same for `n` bytes that are read, and for `n` bytes of text that are made. */
bool jmespath_spend_read(struct evaluation *ev, const struct node *node, size_t n);
bool jmespath_spend_made(struct evaluation *ev, const struct node *node, size_t n);

/* Whether two values are equal, at the cost of what is looked at.  False, with the error recorded, where the
 * budget is used up. */
bool jmespath_same(struct evaluation *ev, const struct node *node, const json_t *a, const json_t *b,
                   bool *ret_same);

/* Takes a step for each value in `value`, as often as it is in there, and what its texts cost.  A query can
 * make much of little, twice as much with each `[@, @]`; whoever compares or writes it walks it all. */
bool jmespath_spend_tree(struct evaluation *ev, const struct node *node, const json_t *value);

/* Records "out of memory"; returns NULL for the caller to return. */
json_t *jmespath_no_memory(struct evaluation *ev, const struct node *node);

/* JMESPath's truth: all but null, false, "", [] and {}. */
bool jmespath_true(const json_t *value);

/* Below, at or above 0 as `a` is to `b`: both numbers, or both strings, which are ordered by code point. */
int jmespath_compare(const json_t *a, const json_t *b);

/* The function called `name`, or NULL. */
const struct jmespath_function *jmespath_function_find(const char *name);

/* Checks the number of arguments of a call, and which of them are expression references. */
int jmespath_function_check(const struct jmespath_report *report, const struct node *call);

/* The value of a checked call, as jmespath_evaluate(). */
json_t *jmespath_function_call(struct evaluation *ev, const struct node *call, json_t *value);
