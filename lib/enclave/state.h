/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.h - struct enclave_info as JSON: the form in which it lies in the registry, and travels between a
 * supervisor and its clients.
 */
#pragma once

#include "lib/enclave/enclave.h"

#include "lib/base/buf.h"
#include "lib/format/json.h"

enum { STATE_JSON_MAX = 65536 }; /* bytes of one encoded enclave */

/* A fresh JSON object for `info`, to be released with json_decref(); NULL when out of memory. */
json_t *state_to_json(const struct enclave_info *info);

/* Reads an object made by state_to_json().  -EBADMSG names the field that is missing or wrong. */
int state_from_json(const json_t *json, struct enclave_info *ret_info, struct error *err);

/* Parses one JSON object out of at most STATE_JSON_MAX bytes.  *ret_json is the caller's. -EBADMSG. */
int state_parse_object(struct view text, json_t **ret_json, struct error *err);

/* Appends `json` in one line (it holds no newline), and a newline. 0, -ENOMEM or -E2BIG. */
int state_append_line(const json_t *json, struct buf *b);
