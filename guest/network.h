/* SPDX-License-Identifier: Apache-2.0 */
/* network.h - the loopback, and the names that programs look up. */
#pragma once

#include "lib/base/log.h"

/* Brings the loopback up (127.0.0.1 and ::1), and lets every user bind low ports as container engines do.
 * What fails is a warning, here and below: a program that needs it will say so. */
void network_set_up(const struct log *log);

/* Sets the host name, and writes /etc/hosts, /etc/hostname and /etc/resolv.conf where the image has none or
 * empty ones. */
void network_set_name(const char *hostname, const struct log *log);
