/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pal-load.h - a PAL (include/coffer/pal.h) as loaded: its version, and its functions checked to be there.
 */
#pragma once

#include "include/coffer/pal.h"
#include "lib/base/error.h"

struct pal {
        const char *path;                         /* the caller's, for messages */
        int version;                              /* 1 to PAL_VERSION_MAX */
        pal_prepare_fn prepare;                   /* or NULL */
        pal_describe_process_fn describe_process; /* or NULL */
        pal_last_error_fn last_error;             /* or NULL */
        union {
                pal_init_v1_fn v1; /* versions 1 and 2 */
                pal_init_v3_fn v3;
        } init;
        pal_create_process_fn create_process; /* NULL in version 1, as kill */
        union {
                pal_exec_v1_fn v1;
                pal_exec_v2_fn v2; /* versions 2 and 3 */
        } exec;
        pal_kill_fn kill;
        pal_get_local_report_fn get_local_report; /* NULL below version 3 */
        pal_destroy_fn destroy;
};

/* Loads the PAL at `path`, for good.  -ELIBACC with the linker's own words where it can't be loaded,
 * -ENOSYS with the names of what it lacks, -EPROTONOSUPPORT for a version that isn't known. */
int pal_load(const char *path, struct pal *ret_pal, struct error *err);

/* Sets `err` for a call of the PAL that returned `result`, which is not 0: "PAL <path>: <call>:
 * <cause>".  A negative errno. */
int pal_failed(const struct pal *pal, const char *call, int result, struct error *err);
