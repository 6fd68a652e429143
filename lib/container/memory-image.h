/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory-image.h - programs that rune carries in itself, as something that execveat(2) takes.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/base/view.h"

/* Writes the executable `image` to a sealed memory file, which nobody can change and which is no file of the
 * host.  `name` is what /proc/<pid>/exe says of it.  Where the machine's owner forbids such files it becomes
 * one without a name in `folder` (-1: none), or else in a folder for temporary ones.  *ret_fd is the
 * caller's, close-on-exec, and to be executed by AT_EMPTY_PATH. */
int memory_image_open(const char *name, struct view image, int folder, int *ret_fd, struct error *err);
