/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/init/init.h"

#include "lib/base/text.h"
#include "lib/container/arena.h"

#include <limits.h>
#include <unistd.h>

const struct plan *init_open_plan(const char *number)
{
        struct arena arena;
        uint64_t fd;

        if (!number || !parse_u64(number, INT_MAX, &fd) || arena_map((int)fd, &arena, NULL) < 0)
                return NULL;
        close((int)fd);
        const struct plan *plan = arena_root(&arena);
        return plan->version == PLAN_VERSION ? plan : NULL;
}
