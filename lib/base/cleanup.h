/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cleanup.h - scope-bound ownership.
 *
 *     cleanup_free char *text = NULL;
 *     cleanup_fd int fd = open(...);
 *     ...
 *     return take_fd(&fd);              // ownership leaves the scope
 *
 * A resource with a cleanup attribute is never released by hand; hand it on with take_*().
 */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define CLEANUP(function) __attribute__((cleanup(function)))

/* Defines `static inline void name(type *p)`, which calls `destroy(*p)` if *p is not NULL. */
#define DEFINE_CLEANUP(name, type, destroy)                                                                  \
        static inline __attribute__((unused)) void name(type *p)                                             \
        {                                                                                                    \
                if (*p)                                                                                      \
                        destroy(*p);                                                                         \
        }

/* Frees *p; the target of cleanup_free. */
static inline void cleanup_free_p(void *p)
{
        free(*(void **)p);
}

#define cleanup_free CLEANUP(cleanup_free_p)

DEFINE_CLEANUP(cleanup_dir_p, DIR *, closedir)
#define cleanup_dir CLEANUP(cleanup_dir_p)

DEFINE_CLEANUP(cleanup_file_p, FILE *, fclose)
#define cleanup_file CLEANUP(cleanup_file_p)

/* Yields the pointer at `p` and leaves NULL there: ownership leaves the scope. */
#define take_pointer(p)                                                                                      \
        ({                                                                                                   \
                __typeof__(*(p)) taken_ = *(p);                                                              \
                *(p) = NULL;                                                                                 \
                taken_;                                                                                      \
        })

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
