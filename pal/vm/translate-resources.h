/* SPDX-License-Identifier: Apache-2.0 */
/* translate-resources.h - translate.c's part about linux.resources. */
#pragma once

#include "pal/vm/translate-refuse.h"
#include "pal/vm/translate.h"

/* Takes all over: what becomes the machine's, and the limits that the container's control group has
 * inside. */
int translate_resources(const struct spec_resources *resources, struct arena *arena,
                        const struct translate_policy *policy, struct translated *translated,
                        struct error *err);
