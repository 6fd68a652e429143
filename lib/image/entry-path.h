/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry-path.h - names as they stand in a layer's tar, made safe: normalised for the tree, printable for
 * messages.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/image/tree.h"

#include <stdbool.h>

enum { ENTRY_PATH_PRINTABLE_MAX = 256 };

/* Normalises a tar's name into ret_path, which has room for IMAGE_PATH_MAX + 1 bytes: relative to the root as
 * tar tools read it (leading slashes dropped), without empty and "." components and without trailing slash;
 * the root is "". -EBADMSG for a ".." component, -E2BIG past IMAGE_PATH_MAX, IMAGE_NAME_MAX or
 * IMAGE_DEPTH_MAX. */
int entry_path_normalise(const char *name, char *ret_path, struct error *err);

/* Writes `name` to ret_text, which has room for ENTRY_PATH_PRINTABLE_MAX bytes, so that it can stand in a
 * message: control characters, DEL and backslash as \xNN, a long name shortened by "...", the empty one as
 * "/". */
void entry_path_printable(const char *name, char *ret_text);
