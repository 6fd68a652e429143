/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create-options.h - what `create` and `run` have in common.
 */
#pragma once

#include "rune/rune.h"

enum { CREATE_OPTIONS = 8 };

struct create_values {
        const char *bundle;
        const char *console_socket;
        const char *pid_file;
        const char *pidfd_socket;
        bool no_pivot;
        bool no_new_keyring;
        bool no_subreaper;
        struct optional_i64 preserve_fds;
};

/* The rows: for an option_set's `shared`. */
extern const struct option create_options[CREATE_OPTIONS];

/* The paragraph of help about config.json. */
extern const char create_description[];

/* The number that --preserve-fds gives; -EINVAL for a negative one. */
int preserve_fds_of(struct optional_i64 given, size_t *ret_n, struct error *err);

/* The check of commands whose values begin with struct create_values (rune.h). */
int create_check(const void *values, const struct operands *operands, struct error *err);

/* The request that the values make; its texts are theirs. */
int create_request_of(const struct create_values *values, const char *id, struct create_request *ret_request,
                      struct error *err);
