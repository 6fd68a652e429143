/* SPDX-License-Identifier: Apache-2.0 */
/*
 * user.h - what an image's `User` means inside that image.
 */
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/image/tree.h"

#include <stddef.h>
#include <stdint.h>

struct image_user {
        uint32_t uid;
        uint32_t gid;
        uint32_t *groups; /* supplementary, in the order of /etc/group, without duplicates */
        size_t n_groups;
        char *home; /* never NULL; "/" where the image names none */
};

/*
 * Resolves `user` ("", "name", "uid", "name:group", "uid:gid" and mixtures; NULL is "") in the image's own
 * /etc/passwd and /etc/group, as Docker does: "" is uid 0; a number needs no entry, and takes gid and home
 * from its entry where there is one (else gid 0, home "/"); supplementary groups are those that list the
 * user's name, and none where a group is given.  Malformed lines are skipped.  *ret_user is the caller's, to
 * end with image_user_done().  -ENOENT where a name is in neither file, the text saying which file lacks it;
 * -EINVAL for a number that is no id.
 */
int image_user_resolve(const struct image_tree *tree, const char *user, struct image_user *ret_user,
                       struct error *err);

/* Frees what it holds and zeroes it. Safe on a zeroed struct. */
void image_user_done(struct image_user *user);
#define cleanup_image_user CLEANUP(image_user_done)
