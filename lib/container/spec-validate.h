/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec-validate.h - what a configuration must not combine.
 *
 * spec_parse() looks at each property by itself.  Here is what concerns several: settings that would change
 * the host where the container has no namespace of its own for them (a hostname without a UTS namespace,
 * sysctl settings), and those that need another one (id mappings a user namespace).  It is asked once, before
 * a container is made; a configuration that was accepted is not asked about again.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/container/spec.h"

/* -EINVAL with the JSON path and the way out.  Looks at the host for one thing alone: whether a network
 * namespace given by path is our own, where settings for it are asked for. */
int spec_validate(const struct spec *spec, const struct log *log, struct error *err);

/* As spec_validate(), and what a user without rights over the host must observe besides: a user namespace
 * with mappings, no moving of network devices, no id-mapped mounts. */
int spec_validate_rootless(const struct spec *spec, const struct log *log, struct error *err);
