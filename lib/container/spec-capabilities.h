/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec-capabilities.h - capabilities that can't be granted: they are left out and warned of, as config.md
 * ("Linux Process", capabilities) asks for.
 */
#pragma once

#include "lib/base/log.h"
#include "lib/container/spec.h"

/* Drops what this kernel doesn't know, and ambient ones that aren't both permitted and inheritable: for a
 * process in a user namespace of its own, whose first process has all that there are. */
void spec_drop_unknown_capabilities(struct spec_process *process, const struct log *log);

/* Drops what we ourselves lack as well: for a process in our own user namespace. */
void spec_drop_unavailable_capabilities(struct spec_process *process, const struct log *log);
