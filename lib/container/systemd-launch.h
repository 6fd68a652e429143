/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd-launch.h - starts systemd-agent out of rune.
 */
#pragma once

#include "lib/base/child.h"
#include "lib/base/error.h"

/* Starts the agent, with our environment, and with a socket (systemd-message.h) and standard error alone.
 * It ends when the socket is closed, and with us.  Whether it finds what it needs is known once it answers.
 * -ENOTSUP where this machine has nothing that loads dynamic programs. */
int systemd_launch(struct child *ret_agent, int *ret_socket, struct error *err);
