/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/confine.h"

#include "lib/base/cleanup.h"
#include "lib/sandbox/sandbox.h"

#include <errno.h>
#include <linux/capability.h>

int confine_supervisor(const char *state_dir)
{
        const struct sandbox_path paths[] = {
                {.path = state_dir, .manage = true},
                {.path = "/proc/self"}, /* sockets are named by the descriptors of their folders */
        };
        /* To end a machine that runs as another user. */
        int r = sandbox_keep_capabilities(UINT64_C(1) << CAP_KILL);

        if (r == 0)
                r = sandbox_restrict_files(paths, ARRAY_SIZE(paths));
        return r == -ENOSYS || r == -EOPNOTSUPP ? 0 : r;
}
