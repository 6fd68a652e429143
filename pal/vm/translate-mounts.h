/* SPDX-License-Identifier: Apache-2.0 */
/* translate-mounts.h - translate.c's part about mounts. */
#pragma once

#include "pal/vm/translate-refuse.h"
#include "pal/vm/translate.h"

/* Takes all mounts over. */
int translate_mounts(const struct spec *spec, struct arena *arena, const struct translate_policy *policy,
                     struct translated *translated, struct error *err);
