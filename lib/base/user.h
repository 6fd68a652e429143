/* SPDX-License-Identifier: Apache-2.0 */
/* user.h - whose rights this process has. */
#pragma once

#include <stdbool.h>

/* True for the host's root: effective user 0, in the user namespace that the machine began with
 * (user_namespaces(7): all ids mean themselves there).  Root of another is somebody's own. */
bool user_is_host_root(void);
