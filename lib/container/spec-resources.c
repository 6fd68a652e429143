/* SPDX-License-Identifier: Apache-2.0 */
/* linux.resources (config-linux.md, "Control groups"). */
#include "lib/container/spec-parts.h"
#include "lib/container/spec-take.h"

#include "lib/base/cleanup.h"

#include <string.h>

/* ---- devices ------------------------------------------------------------------------------------------- */

static int take_rule_type(const struct spec_node *node, void *ret_target)
{
        const char *text;
        int r = spec_string(node, &text);

        if (r < 0)
                return r;
        if (*text && (!strchr("abc", *text) || text[1]))
                return spec_fail(node, -EINVAL, "\"%.16s\" is no type of device; one of a b c", text);
        if (*text)
                *(char *)ret_target = *text;
        return 0;
}

/* -1 stands for any, as an absent one does. */
static int take_rule_number(const struct spec_node *node, void *ret_target)
{
        struct optional_u64 *number = ret_target;
        int64_t value;
        int r = spec_number_i64(node, -1, UINT32_MAX, &value);

        if (r < 0)
                return r;
        *number = (struct optional_u64){.set = value >= 0, .value = value >= 0 ? (uint64_t)value : 0};
        return 0;
}

static int take_rule_access(const struct spec_node *node, void *ret_target)
{
        unsigned *access = ret_target;
        const char *text;
        int r = spec_string(node, &text);

        if (r < 0)
                return r;
        if (*text)
                *access = 0;
        for (; *text; text++) {
                if (*text == 'r')
                        *access |= SPEC_ACCESS_READ;
                else if (*text == 'w')
                        *access |= SPEC_ACCESS_WRITE;
                else if (*text == 'm')
                        *access |= SPEC_ACCESS_MKNOD;
                else if (*text != 'a') /* means nothing, and is written by some */
                        return spec_fail(node, -EINVAL, "access can be made of r, w and m alone");
        }
        return 0;
}

static int take_rule(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"allow", spec_take_bool, offsetof(struct spec_device_rule, allow), true},
                {"type", take_rule_type, offsetof(struct spec_device_rule, type), false},
                {"major", take_rule_number, offsetof(struct spec_device_rule, major), false},
                {"minor", take_rule_number, offsetof(struct spec_device_rule, minor), false},
                {"access", take_rule_access, offsetof(struct spec_device_rule, access), false},
        };
        struct spec_device_rule *rule = ret_target;

        rule->type = 'a';
        rule->access = SPEC_ACCESS_READ | SPEC_ACCESS_WRITE | SPEC_ACCESS_MKNOD;
        return spec_take_object(node, fields, ARRAY_SIZE(fields), rule);
}

static int take_rules(const struct spec_node *node, void *ret_target)
{
        struct spec_resources *resources = ret_target;
        struct spec_items array;
        int r = spec_take_array(node, sizeof(struct spec_device_rule), take_rule, &array);

        if (r < 0)
                return r;
        resources->devices = array.items;
        resources->n_devices = array.n;
        return 0;
}

/* ---- memory, CPU, processes ---------------------------------------------------------------------------- */

static int take_swappiness(const struct spec_node *node, void *ret_target)
{
        struct optional_u64 *swappiness = ret_target;

        swappiness->set = true;
        return spec_number_u64(node, 100, &swappiness->value);
}

static int take_memory(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"limit", spec_take_optional_i64, offsetof(struct spec_memory, limit), false},
                {"reservation", spec_take_optional_i64, offsetof(struct spec_memory, reservation), false},
                {"swap", spec_take_optional_i64, offsetof(struct spec_memory, swap), false},
                {"kernel", spec_take_optional_i64, offsetof(struct spec_memory, kernel), false},
                {"kernelTCP", spec_take_optional_i64, offsetof(struct spec_memory, kernel_tcp), false},
                {"swappiness", take_swappiness, offsetof(struct spec_memory, swappiness), false},
                {"disableOOMKiller", spec_take_optional_bool,
                 offsetof(struct spec_memory, disable_oom_killer), false},
                {"useHierarchy", spec_take_optional_bool, offsetof(struct spec_memory, use_hierarchy), false},
                {"checkBeforeUpdate", spec_take_optional_bool,
                 offsetof(struct spec_memory, check_before_update), false},
        };
        return spec_take_object(node, fields, ARRAY_SIZE(fields), ret_target);
}

static int take_idle(const struct spec_node *node, void *ret_target)
{
        struct optional_i64 *idle = ret_target;
        int r = spec_take_optional_i64(node, idle);

        if (r == 0 && idle->value != 0 && idle->value != 1)
                return spec_fail(node, -EINVAL, "invalid cpu idle value %lld; it is 0 or 1",
                                 (long long)idle->value);
        return r;
}

static int take_cpu(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"shares", spec_take_optional_u64, offsetof(struct spec_cpu, shares), false},
                {"quota", spec_take_optional_i64, offsetof(struct spec_cpu, quota), false},
                {"burst", spec_take_optional_u64, offsetof(struct spec_cpu, burst), false},
                {"period", spec_take_optional_u64, offsetof(struct spec_cpu, period), false},
                {"realtimeRuntime", spec_take_optional_i64, offsetof(struct spec_cpu, realtime_runtime),
                 false},
                {"realtimePeriod", spec_take_optional_u64, offsetof(struct spec_cpu, realtime_period), false},
                {"cpus", spec_take_text, offsetof(struct spec_cpu, cpus), false},
                {"mems", spec_take_text, offsetof(struct spec_cpu, mems), false},
                {"idle", take_idle, offsetof(struct spec_cpu, idle), false},
        };
        return spec_take_object(node, fields, ARRAY_SIZE(fields), ret_target);
}

static int take_pids(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {{"limit", spec_take_optional_i64, 0, false}};

        return spec_take_object(node, fields, ARRAY_SIZE(fields), ret_target);
}

/* ---- block devices ------------------------------------------------------------------------------------- */

static int take_weight_device(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"major", spec_take_u32, offsetof(struct spec_weight_device, major), true},
                {"minor", spec_take_u32, offsetof(struct spec_weight_device, minor), true},
                {"weight", spec_take_optional_u16, offsetof(struct spec_weight_device, weight), false},
                {"leafWeight", spec_take_optional_u16, offsetof(struct spec_weight_device, leaf_weight),
                 false},
        };
        return spec_take_object(node, fields, ARRAY_SIZE(fields), ret_target);
}

static int take_weight_devices(const struct spec_node *node, void *ret_target)
{
        struct spec_block_io *block = ret_target;
        struct spec_items array;
        int r = spec_take_array(node, sizeof(struct spec_weight_device), take_weight_device, &array);

        if (r < 0)
                return r;
        block->weight_devices = array.items;
        block->n_weight_devices = array.n;
        return 0;
}

static int take_throttle_device(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"major", spec_take_u32, offsetof(struct spec_throttle_device, major), true},
                {"minor", spec_take_u32, offsetof(struct spec_throttle_device, minor), true},
                {"rate", spec_take_u64, offsetof(struct spec_throttle_device, rate), true},
        };
        return spec_take_object(node, fields, ARRAY_SIZE(fields), ret_target);
}

static int take_throttles(const struct spec_node *node, void *ret_target)
{
        struct spec_throttle_list *list = ret_target;
        struct spec_items array;
        int r = spec_take_array(node, sizeof(struct spec_throttle_device), take_throttle_device, &array);

        if (r < 0)
                return r;
        *list = (struct spec_throttle_list){array.items, array.n};
        return 0;
}

static int take_block_io(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"weight", spec_take_optional_u16, offsetof(struct spec_block_io, weight), false},
                {"leafWeight", spec_take_optional_u16, offsetof(struct spec_block_io, leaf_weight), false},
                {"weightDevice", take_weight_devices, 0, false},
                {"throttleReadBpsDevice", take_throttles, offsetof(struct spec_block_io, read_bps), false},
                {"throttleWriteBpsDevice", take_throttles, offsetof(struct spec_block_io, write_bps), false},
                {"throttleReadIOPSDevice", take_throttles, offsetof(struct spec_block_io, read_iops), false},
                {"throttleWriteIOPSDevice", take_throttles, offsetof(struct spec_block_io, write_iops),
                 false},
        };
        return spec_take_object(node, fields, ARRAY_SIZE(fields), ret_target);
}

/* ---- huge pages, network, RDMA, unified ---------------------------------------------------------------- */

/* As the kernel's file names have it, "64KB", "2MB", "1GB". */
static int take_page_size(const struct spec_node *node, void *ret_target)
{
        const char *text;
        int r = spec_string(node, &text);

        if (r < 0)
                return r;
        size_t digits = strspn(text, "0123456789");
        if (digits == 0 || *text == '0' || !text[digits] || !strchr("KMGTPE", text[digits]) ||
            strcmp(text + digits + 1, "B") != 0)
                return spec_fail(node, -EINVAL, "\"%.32s\" is no page size as 64KB, 2MB, 1GB", text);
        return spec_copy(node, text, ret_target);
}

static int take_hugepage_limit(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"pageSize", take_page_size, offsetof(struct spec_hugepage_limit, page_size), true},
                {"limit", spec_take_u64, offsetof(struct spec_hugepage_limit, limit), true},
        };
        return spec_take_object(node, fields, ARRAY_SIZE(fields), ret_target);
}

static int take_hugepage_limits(const struct spec_node *node, void *ret_target)
{
        struct spec_resources *resources = ret_target;
        struct spec_items array;
        int r = spec_take_array(node, sizeof(struct spec_hugepage_limit), take_hugepage_limit, &array);

        if (r < 0)
                return r;
        resources->hugepage_limits = array.items;
        resources->n_hugepage_limits = array.n;
        return 0;
}

static int take_priority(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"name", spec_take_text, offsetof(struct spec_interface_priority, name), true},
                {"priority", spec_take_u32, offsetof(struct spec_interface_priority, priority), true},
        };
        struct spec_interface_priority *priority = ret_target;
        int r = spec_take_object(node, fields, ARRAY_SIZE(fields), priority);

        if (r < 0)
                return r;
        return priority->name ? 0 : spec_fail(node, -EINVAL, "name can't be empty");
}

static int take_priorities(const struct spec_node *node, void *ret_target)
{
        struct spec_resources *resources = ret_target;
        struct spec_items array;
        int r = spec_take_array(node, sizeof(struct spec_interface_priority), take_priority, &array);

        if (r < 0)
                return r;
        resources->network_priorities = array.items;
        resources->n_network_priorities = array.n;
        return 0;
}

static int take_network(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"classID", spec_take_optional_u32, offsetof(struct spec_resources, network_class_id), false},
                {"priorities", take_priorities, 0, false},
        };
        return spec_take_object(node, fields, ARRAY_SIZE(fields), ret_target);
}

static int take_rdma_device(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"hcaHandles", spec_take_optional_u32, offsetof(struct spec_rdma, hca_handles), false},
                {"hcaObjects", spec_take_optional_u32, offsetof(struct spec_rdma, hca_objects), false},
        };
        struct spec_rdma *rdma = ret_target;
        int r = spec_copy(node, node->key, &rdma->device);

        if (r < 0)
                return r;
        if (!rdma->device)
                return spec_fail(node, -EINVAL, "a name can't be empty");
        return spec_take_object(node, fields, ARRAY_SIZE(fields), rdma);
}

static int take_rdma(const struct spec_node *node, void *ret_target)
{
        struct spec_resources *resources = ret_target;
        struct spec_items array;
        int r = spec_take_members(node, sizeof(struct spec_rdma), take_rdma_device, &array);

        if (r < 0)
                return r;
        resources->rdma = array.items;
        resources->n_rdma = array.n;
        return 0;
}

static int take_unified(const struct spec_node *node, void *ret_target)
{
        struct spec_pairs *pairs = ret_target;
        int r = spec_take_pairs(node, pairs);

        for (size_t i = 0; r == 0 && i < pairs->n; i++) {
                const struct spec_node member = {
                        .reader = node->reader, .parent = node, .key = pairs->items[i].key};

                if (strchr(member.key, '/'))
                        r = spec_fail(&member, -EINVAL, "must be a file name (no slashes)");
        }
        return r;
}

int spec_take_resources(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"devices", take_rules, 0, false},
                {"memory", take_memory, offsetof(struct spec_resources, memory), false},
                {"cpu", take_cpu, offsetof(struct spec_resources, cpu), false},
                {"pids", take_pids, offsetof(struct spec_resources, pids_limit), false},
                {"blockIO", take_block_io, offsetof(struct spec_resources, block_io), false},
                {"hugepageLimits", take_hugepage_limits, 0, false},
                {"network", take_network, 0, false},
                {"rdma", take_rdma, 0, false},
                {"unified", take_unified, offsetof(struct spec_resources, unified), false},
        };
        return spec_take_object(node, fields, ARRAY_SIZE(fields), ret_target);
}
