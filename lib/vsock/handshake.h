/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handshake.h - the two lines that a client of the bridge and the device exchange (device.h): "CONNECT
 * <port>\n", and "OK <local port>\n" where the guest has agreed.
 */
#pragma once

#include "lib/base/view.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HANDSHAKE_LINE_MAX = 32 }; /* bytes of either, with the newline and a NUL; both fit */

/* Writes a line, with its newline and a NUL behind it, and returns its length without the NUL. */
size_t handshake_write_connect(uint32_t port, char ret_line[HANDSHAKE_LINE_MAX]);
size_t handshake_write_ok(uint32_t port, char ret_line[HANDSHAKE_LINE_MAX]);

/* The port in a line, which comes without its newline.  False for any other text. */
bool handshake_parse_connect(struct view line, uint32_t *ret_port);
bool handshake_parse_ok(struct view line, uint32_t *ret_port);
