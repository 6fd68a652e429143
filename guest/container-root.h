/* SPDX-License-Identifier: Apache-2.0 */
/* container-root.h - the root file system of a container, as its first process makes it for itself. */
#pragma once

#include "lib/base/log.h"
#include "lib/base/view.h"
#include "lib/enclave/service-spec.h"

#include "guest/failure.h"

/* Makes the image's files the root, with extended attributes, mounts, devices, files, and what is hidden or
 * read-only.  To be called in a mount namespace of its own. */
int container_root_make(const struct service_container *spec, struct view xattrs, const struct log *log,
                        struct failure *f);
