/* SPDX-License-Identifier: Apache-2.0 */
/*
 * strict-json.h - JSON from strangers, on jansson: one meaning or none.  Duplicate members, NUL characters,
 * deep nesting and anything behind the value are refused, and each member is taken with the type it must
 * have.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/base/view.h"
#include "lib/format/json.h"

#include <jansson.h>
#include <stdint.h>

/* Manifests and configurations nest about six deep. */
enum { STRICT_JSON_DEPTH_MAX = 32 };

/* Reads one JSON value (object or array) of at most `max` bytes. The caller owns *ret_root. -EFBIG or
 * -EBADMSG. */
int strict_json_parse(struct view text, size_t max, json_t **ret_root, struct error *err);

/* The member `name` of object `parent`, which must have the type of the getter; absent or null gives NULL (0
 * for the number) and success, a wrong type -EBADMSG.  Results belong to `parent`. */
int strict_json_string(const json_t *parent, const char *name, const char **ret_value, struct error *err);
int strict_json_object(const json_t *parent, const char *name, json_t **ret_value, struct error *err);
int strict_json_array(const json_t *parent, const char *name, json_t **ret_value, struct error *err);
int strict_json_u64(const json_t *parent, const char *name, uint64_t *ret_value, struct error *err);

/* The member `name`, an array of at most `max` strings, as a NULL-terminated list on the heap ([] where
 * absent or null), for strict_json_free_strings(). */
int strict_json_strings(const json_t *parent, const char *name, size_t max, char ***ret_list,
                        struct error *err);

/* Frees such a list. NULL-safe. */
void strict_json_free_strings(char **list);
