/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec-template.h - the configuration that `rune spec` writes: a plain container that runs a shell, as
 * people know it from `runc spec`, member by member.
 */
#pragma once

#include "lib/base/buf.h"

#include <sys/types.h>

/* Appends the template, indented with tabs, with a newline at the end.  0, or -errno as buf_append(). */
int spec_write_template(struct buf *b);

/* Appends the template for a user without rights over the host: a user namespace in which `uid` and `gid` are
 * root, the host's network and /sys, no limits. */
int spec_write_rootless_template(uid_t uid, gid_t gid, struct buf *b);
