/* SPDX-License-Identifier: Apache-2.0 */
/* network.h - the loopback, and the names that programs look up. */
#pragma once

#include "lib/base/log.h"

/* Brings the loopback up (127.0.0.1 and ::1), sets the host name, lets every user bind low ports as container
 * engines do, and writes /etc/hosts, /etc/hostname and /etc/resolv.conf where the image has none or empty
 * ones.  What fails is a warning: a program that needs it will say so. */
void network_set_up(const char *hostname, const struct log *log);
