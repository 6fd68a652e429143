/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake-engine.h - stands in for lib/container in tests of the command line: every call is written down, and
 * answered as the test says.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/container/container-control.h"

struct fake_engine {
        struct buf calls;            /* one line each: name, then what was asked for */
        int result;                  /* of every call: 0, or -errno */
        const char *failure;         /* the text where result is negative */
        int status;                  /* what run and exec give */
        size_t n_containers;         /* how many container_list() finds */
        enum container_status state; /* of each */
        pid_t pid;                   /* of each */
        const char *warning;         /* said to the engine's log in every call, or NULL */
};

extern struct fake_engine fake_engine;

/* Everything as at the start. */
void fake_engine_reset(void);
