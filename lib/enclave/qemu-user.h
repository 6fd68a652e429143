/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qemu-user.h - who QEMU runs as: ourselves, or, where we are root, somebody without rights.
 */
#pragma once

#include "lib/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* As struct child_spec wants it. */
struct qemu_user {
        uid_t uid; /* (uid_t)-1: unchanged */
        gid_t gid;
        gid_t groups[1]; /* the group of /dev/kvm, where that group may open it */
        size_t n_groups;
};

/* Root's QEMU gets a user and group of its own, which nobody has: whoever runs as the same user can read its
 * memory, and that is the enclave's.  In a user namespace that has no such id it is the user `coffer`, or
 * `nobody`.  -ENOENT where there are neither. */
int qemu_user_choose(struct qemu_user *ret_user, struct error *err);

/* True where that user can open /dev/kvm. */
bool qemu_user_can_open_kvm(void);
