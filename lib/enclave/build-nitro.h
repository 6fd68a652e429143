/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build-nitro.h - an image's configuration as far as AWS's init can take it.
 *
 * That init reads two files, /cmd and /env, one entry a line, and runs the command as root in /.  It looks
 * the command up in /sbin:/usr/sbin:/bin:/usr/bin, whatever PATH the image has, and what it doesn't find ends
 * the enclave without a word.  So the command is looked up here, as a container engine would in the image,
 * and its absolute path is written.  It is Entrypoint followed by Cmd, as everywhere else: nitro-cli, which
 * takes Cmd if there is one and else Entrypoint, gives the same for images that have only one of them.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/image/image.h"
#include "lib/image/tree.h"

struct nitro_texts {
        struct buf cmd;
        struct buf env;
};

/* Makes both.  What can't be kept is a warning: User, WorkingDir, extended attributes.  -EINVAL where an
 * argument or a variable has a line break, which that init would take for its end; -ENOENT, -EACCES where
 * the command isn't in the image or can't be executed.  *ret_texts is for nitro_texts_done(), also after
 * an error. */
int nitro_texts_make(const struct image_config *config, const struct image_tree *tree, const struct log *log,
                     struct nitro_texts *ret_texts, struct error *err);

/* Frees both. Safe on an empty struct. */
void nitro_texts_done(struct nitro_texts *texts);
#define cleanup_nitro_texts CLEANUP(nitro_texts_done)
