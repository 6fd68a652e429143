/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec-json.h - JSON values that know the way to them; for the files spec-*.c alone.
 *
 * A parser of a part gets a node: a value, its name or index, and the node above.  Nodes lie on the stacks of
 * those who descend, so a path costs nothing until an error needs its text.  An object is taken by a table of
 * fields: name, function that takes the value, place in the struct.  Null and absent are the same, as the Go
 * programs that write these files have it; so are "" and absent, for the texts that no one can leave empty in
 * earnest.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/view.h"
#include "lib/container/arena.h"
#include "lib/container/spec.h"

#include <jansson.h>

/* What all nodes of a text share. */
struct spec_reader {
        struct arena *arena;
        const struct log *log;
        struct error *err;
        const char *file;   /* what the text is called in errors */
        const char *bundle; /* absolute path of the bundle, or NULL */
};

struct spec_node {
        const struct spec_reader *reader;
        const struct spec_node *parent; /* NULL: the text's root */
        const char *key;                /* of an object's member; NULL for an array's item and the root */
        size_t index;                   /* of an array's item */
        const json_t *json;             /* never NULL, never null */
};

/* Takes a value into *ret_target, whose type is the function's affair. 0 or negative errno with the error
 * set. */
typedef int spec_take(const struct spec_node *node, void *ret_target);

struct spec_field {
        const char *key;
        spec_take *take;
        size_t offset;
        bool required;
};

/* An array in the arena. */
struct spec_items {
        void *items;
        size_t n;
};

/* Reads `text`, whose root must be an object; the caller owns *ret_json.  Whole numbers up to 2^64-1 are kept
 * exactly, see spec_number_u64(). */
int spec_json_load(const struct spec_reader *reader, struct view text, json_t **ret_json);

/* Sets the reader's error to "file: .path: text" and returns `code`. */
int spec_fail(const struct spec_node *node, int code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* Says "file: .path: text" as a warning. */
void spec_warn(const struct spec_node *node, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The arena is full. Returns -ENOMEM. */
int spec_full(const struct spec_node *node);

/* A whole number, at most `max`; or from `min` to `max`. -EINVAL else. */
int spec_number_u64(const struct spec_node *node, uint64_t max, uint64_t *ret_value);
int spec_number_i64(const struct spec_node *node, int64_t min, int64_t max, int64_t *ret_value);

/* A string, the JSON value's own memory, valid while the text is. -EINVAL where it is none. */
int spec_string(const struct spec_node *node, const char **ret_text);

/* Takes the members of an object that `fields` lists, into the struct at `target`, in the order of the
 * list. -EINVAL where it is no object or lacks a required one. */
int spec_take_object(const struct spec_node *node, const struct spec_field *fields, size_t n, void *target);

/* Takes the items of an array one after the other, all by `take` and into the same *target. */
int spec_take_each(const struct spec_node *node, spec_take *take, void *target);

/* Takes an array, each item by `take` into `size` bytes of arena. */
int spec_take_array(const struct spec_node *node, size_t size, spec_take *take, struct spec_items *ret_array);

/* Takes an object as an array, in the text's order: each member, whose node has its name as `key`. */
int spec_take_members(const struct spec_node *node, size_t size, spec_take *take,
                      struct spec_items *ret_array);
