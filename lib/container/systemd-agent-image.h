/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd-agent-image.h - the executable systemd-agent, as rune carries it.
 *
 * It is a dynamic program for this machine and its C library.  Descriptor 3 is to be the socket on which it
 * answers; its arguments are ignored, its environment is what libsystemd looks at.
 */
#pragma once

#include "lib/base/view.h"

/* Its bytes; static. */
struct view systemd_agent_image(void);
