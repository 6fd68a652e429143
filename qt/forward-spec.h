/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward-spec.h - "[HOST:]PORT:GUESTPORT", as people type it.
 */
#pragma once

#include "lib/base/error.h"

#include <stdint.h>

enum { FORWARD_HOST_MAX = 256 };

struct forward_spec {
        char host[FORWARD_HOST_MAX]; /* "127.0.0.1" where none was given; without brackets */
        uint16_t port;               /* 0: any free one */
        uint16_t guest_port;         /* 1 to 65535 */
};

/* Reads "6379:6379", "0.0.0.0:80:8080", "[::1]:80:8080".  -EINVAL with a text that says what is expected. */
int forward_spec_parse(const char *text, struct forward_spec *ret_spec, struct error *err);
