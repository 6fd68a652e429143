/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remains.h - what stays of a process that was killed while it removed an entry of the registry or wrote a
 * record: names that begin with a dot.
 */
#pragma once

#include <stdbool.h>

/* True where there are some in the folder.  Those of a process that is still at work look the same. */
bool remains_are_in(int dirfd);

/* Removes them, under the registry's lock, so that nobody is at work. */
void remains_remove(int dirfd);
