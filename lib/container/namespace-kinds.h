/* SPDX-License-Identifier: Apache-2.0 */
/*
 * namespace-kinds.h - the kernel's number, file and name of each kind of namespace.
 */
#pragma once

#include "lib/container/spec.h"

struct namespace_kind {
        unsigned long flag; /* CLONE_NEW* */
        const char *file;   /* below /proc/<pid>/ns */
        const char *name;   /* "network", for texts */
};

extern const struct namespace_kind namespace_kinds[SPEC_NAMESPACE_TYPES];
