/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/device-rules.h"

#include "lib/base/checked.h"
#include "lib/base/cleanup.h"

#include <stdlib.h>

#define ANY (-1)
#define ALL (SPEC_ACCESS_READ | SPEC_ACCESS_WRITE | SPEC_ACCESS_MKNOD)

struct entry {
        char type;            /* 'b' or 'c' */
        int64_t major, minor; /* ANY: "*" */
        unsigned access;
};

/* Making a node is no access to it; null, zero, full, random, urandom, tty; console, ptmx, ptys; tun. */
static const struct entry defaults[] = {
        {'c', ANY, ANY, SPEC_ACCESS_MKNOD},
        {'b', ANY, ANY, SPEC_ACCESS_MKNOD},
        {'c', 1, 3, ALL},
        {'c', 1, 5, ALL},
        {'c', 1, 7, ALL},
        {'c', 1, 8, ALL},
        {'c', 1, 9, ALL},
        {'c', 5, 0, ALL},
        {'c', 5, 2, ALL},
        {'c', 136, ANY, ALL},
        {'c', 10, 200, ALL},
};

static struct optional_u64 optional_number(int64_t number)
{
        return (struct optional_u64){.set = number != ANY, .value = number == ANY ? 0 : (uint64_t)number};
}

int device_rules_complete(const struct spec_resources *resources, struct spec_device_rule **ret_rules,
                          size_t *ret_n, struct error *err)
{
        struct spec_device_rule *rules;
        size_t n = resources->n_devices, total;

        if (!checked_add(n, ARRAY_SIZE(defaults), &total))
                return error_oom(err);
        rules = calloc(total, sizeof(*rules));
        if (!rules)
                return error_oom(err);
        for (size_t i = 0; i < n; i++)
                rules[i] = resources->devices[i];
        for (size_t i = 0; i < ARRAY_SIZE(defaults); i++)
                rules[n + i] = (struct spec_device_rule){
                        .allow = true,
                        .type = defaults[i].type,
                        .major = optional_number(defaults[i].major),
                        .minor = optional_number(defaults[i].minor),
                        .access = defaults[i].access,
                };
        *ret_rules = rules;
        *ret_n = total;
        return 0;
}
