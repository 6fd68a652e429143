/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve.h - systemd-agent's side of systemd-message.h: one connection to systemd, for as long as rune asks.
 */
#pragma once

/* Answers the requests that come on the socket by the calls of systemd-bus.h.  0 once the other end has
 * closed it, -EBADMSG for a request that makes no sense, or another negative errno of the socket. */
int serve(int socket);
