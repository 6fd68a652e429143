/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leash-end.h - the supervisor's end of a leash (lib/enclave/leash.h).
 */
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/loop.h"
#include "lib/enclave/enclave.h"

struct leash_end;

struct leash_events {
        void (*stop)(uint32_t grace_ms, void *user); /* asked for; with 0, also where the holder has gone */
        void (*signal)(uint32_t signal, void *user);
        void *user;
};

/* Watches the leash; `fd` stays the caller's. */
int leash_end_new(struct loop *loop, int fd, const struct leash_events *events, struct leash_end **ret_end,
                  struct error *err);

/* Tells the holder how the enclave ended. NULL-safe. */
void leash_end_finish(struct leash_end *end, const struct enclave_info *info);

/* NULL-safe. */
void leash_end_free(struct leash_end *end);
DEFINE_CLEANUP(cleanup_leash_end_p, struct leash_end *, leash_end_free)
#define cleanup_leash_end CLEANUP(cleanup_leash_end_p)
