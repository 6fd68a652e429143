/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console.h - a container's terminal.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/container/init/rootfs.h"

/* Makes a pty (rootfs_console()), sizes it as process.consoleSize says, and hands the master to
 * the console socket, or to rune (PLAN_CONSOLE) where there is none.  The slave becomes the controlling
 * terminal and the standard streams.  For a session leader; nothing where the process has no terminal. */
int console_set_up(const struct plan *plan, const struct rootfs *rootfs, struct error *err);
