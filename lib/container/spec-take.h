/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec-take.h - functions for struct spec_field (spec-json.h) that take values of the common types.  The
 * comment of each says what ret_target points at.
 */
#pragma once

#include "lib/container/spec-json.h"
#include "lib/container/spec-names.h"

/* bool */
spec_take spec_take_bool;
/* struct optional_bool */
spec_take spec_take_optional_bool;
/* uint32_t */
spec_take spec_take_u32;
/* uint64_t */
spec_take spec_take_u64;
/* struct optional_i64 */
spec_take spec_take_optional_i64;
/* struct optional_u64; the next two with numbers of that many bits alone */
spec_take spec_take_optional_u64;
spec_take spec_take_optional_u32;
spec_take spec_take_optional_u16;
/* const char *; "" gives NULL */
spec_take spec_take_text;
/* const char *; -EINVAL for what doesn't begin with "/"; "" gives NULL */
spec_take spec_take_path;
/* struct spec_strings */
spec_take spec_take_strings;
/* struct spec_strings of paths from "/" */
spec_take spec_take_paths;
/* struct spec_pairs; no name is empty */
spec_take spec_take_pairs;
/* struct spec_id_mappings */
spec_take spec_take_id_mappings;

/* A copy of `text` in the arena, NULL for "". */
int spec_copy(const struct spec_node *node, const char *text, const char **ret_copy);

/* What the word stands for. -EINVAL for others: invalid `what` "x"; one of ... */
int spec_word(const struct spec_node *node, enum spec_vocabulary vocabulary, const char *what,
              uint64_t *ret_value);

/* The values of an array of words, joined by "or". */
int spec_flags(const struct spec_node *node, enum spec_vocabulary vocabulary, const char *what,
               uint64_t *ret_flags);

/* Checks a list of numbers as "0-3,7" (cpuset(7), "List format"), blanks allowed, and sets their bits in
 * `ret_words`, which has room for `max` numbers from 0 up. -EINVAL for another syntax or larger ones: invalid
 * `what` ... */
int spec_number_list(const struct spec_node *node, const char *text, size_t max, const char *what,
                     uint64_t *ret_words);
