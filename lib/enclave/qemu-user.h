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

/* Root's QEMU runs as the user `coffer`, or `nobody` where there is none.  -ENOENT where there is neither. */
int qemu_user_choose(struct qemu_user *ret_user, struct error *err);

/* True where that user can open /dev/kvm. */
bool qemu_user_can_open_kvm(void);
