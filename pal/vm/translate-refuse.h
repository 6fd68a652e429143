/* SPDX-License-Identifier: Apache-2.0 */
/* translate-refuse.h - translate.c's part about what can't be (man/libpal_vm.8 has the table). */
#pragma once

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/container/spec.h"

#include <stdbool.h>

/* What becomes of that. */
struct translate_policy {
        bool leave_out;        /* enclave.vm.allow-unenforced: it is left out, with a warning */
        const struct log *log; /* NULL: no warning */
};

/* True where the annotation is "true". */
bool translate_allows(const struct spec *spec, const char *annotation);

/* What can't be enforced: 0 where it is left out, else -ENOTSUP with the way out. */
int translate_refuse(const struct translate_policy *policy, struct error *err, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* Refuses what a container can't have beyond mounts and resources. */
int translate_check(const struct spec *spec, const struct translate_policy *policy, struct error *err);

/* Refuses what a process, the container's own or a further one, can't have. */
int translate_check_process(const struct spec_process *process, const struct translate_policy *policy,
                            struct error *err);
