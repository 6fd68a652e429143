/* SPDX-License-Identifier: Apache-2.0 */
/*
 * init-image.h - the executable container-init, as rune carries it.
 *
 * It is a static program for this machine.  Execute it from a sealed memory file, so that no file of the
 * host is ever /proc/self/exe in a container (CVE-2019-5736):
 *
 *      argv  { any name, descriptor of the arena in decimal, NULL }
 *      env   ignored
 *
 * The root of the arena (arena.h) is a struct plan.  The descriptors that the plan names, and those of
 * preserve_fds, are to be inherited; all others from 3 on are made close-on-exec first of all.
 */
#pragma once

#include "lib/base/view.h"

/* Its bytes; static. */
struct view init_image(void);

/* The same of runelet, which takes its place where there is an enclave (runelet/runelet.h).  It is no static
 * program: it loads what a PAL needs from the host's libraries. */
struct view runelet_image(void);
