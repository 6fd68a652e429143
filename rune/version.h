/* SPDX-License-Identifier: Apache-2.0 */
/*
 * version.h - what this rune is.
 */
#pragma once

#include "lib/base/buf.h"

/* Appends what --version prints: "rune version X", then "commit: ", "spec: ", "libseccomp: ", one a line.
 * Engines find the version behind the word "version", which is in no other line. 0 or -errno as
 * buf_append. */
int version_append(const char *name, struct buf *text);

/* The commit that it was built from. */
const char *version_commit(void);

/* libseccomp's version; written to ret_text, "2.5.4". */
void version_libseccomp(char ret_text[16]);
