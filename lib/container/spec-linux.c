/* SPDX-License-Identifier: Apache-2.0 */
/* The "linux" section, but for resources and seccomp (config-linux.md). */
#include "lib/container/spec-parts.h"
#include "lib/container/spec-take.h"

#include "lib/base/cleanup.h"

#include <linux/mempolicy.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* ---- namespaces ---------------------------------------------------------------------------------------- */

struct namespace_reader {
        uint64_t type;
        const char *path;
};

static int take_namespace_type(const struct spec_node *node, void *ret_target)
{
        return spec_word(node, SPEC_NAMES_NAMESPACES, "namespace", ret_target);
}

static int take_namespace(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"type", take_namespace_type, offsetof(struct namespace_reader, type), true},
                {"path", spec_take_path, offsetof(struct namespace_reader, path), false},
        };
        return spec_take_object(node, fields, ARRAY_SIZE(fields), ret_target);
}

static int take_namespaces(const struct spec_node *node, void *ret_target)
{
        struct spec_linux *linux = ret_target;
        struct spec_items array;
        int r = spec_take_array(node, sizeof(struct namespace_reader), take_namespace, &array);

        for (size_t i = 0; r == 0 && i < array.n; i++) {
                const struct namespace_reader *given = (const struct namespace_reader *)array.items + i;
                const struct spec_node item = {.reader = node->reader, .parent = node, .index = i};
                struct spec_namespace *namespace = &linux->namespaces[given->type];

                if (namespace->given)
                        return spec_fail(&item, -EINVAL,
                                         "duplicated ns: a namespace of this type comes twice");
                *namespace = (struct spec_namespace){.given = true, .path = given->path};
        }
        return r;
}

static int take_nanosecs(const struct spec_node *node, void *ret_target)
{
        uint64_t value;
        int r = spec_number_u64(node, 999999999, &value);

        if (r < 0)
                return r;
        *(uint32_t *)ret_target = (uint32_t)value;
        return 0;
}

static int take_secs(const struct spec_node *node, void *ret_target)
{
        return spec_number_i64(node, INT64_MIN, INT64_MAX, ret_target);
}

static int take_offset(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"secs", take_secs, offsetof(struct spec_time_offset, secs), false},
                {"nanosecs", take_nanosecs, offsetof(struct spec_time_offset, nanosecs), false},
        };
        struct spec_time_offset *offset = ret_target;

        offset->set = true;
        return spec_take_object(node, fields, ARRAY_SIZE(fields), offset);
}

static int take_offsets(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"monotonic", take_offset, offsetof(struct spec_linux, monotonic), false},
                {"boottime", take_offset, offsetof(struct spec_linux, boottime), false},
        };
        return spec_take_object(node, fields, ARRAY_SIZE(fields), ret_target);
}

/* ---- devices ------------------------------------------------------------------------------------------- */

static int take_device_type(const struct spec_node *node, void *ret_target)
{
        mode_t *type = ret_target;
        const char *text;
        int r = spec_string(node, &text);

        if (r < 0)
                return r;
        if (strcmp(text, "c") == 0 || strcmp(text, "u") == 0)
                *type = S_IFCHR;
        else if (strcmp(text, "b") == 0)
                *type = S_IFBLK;
        else if (strcmp(text, "p") == 0)
                *type = S_IFIFO;
        else
                return spec_fail(node, -EINVAL, "\"%.16s\" is no type of device; one of b c p u", text);
        return 0;
}

/* Engines hand on st_mode with the type in it. */
static int take_file_mode(const struct spec_node *node, void *ret_target)
{
        uint64_t value;
        int r = spec_number_u64(node, UINT32_MAX, &value);

        if (r < 0)
                return r;
        *(mode_t *)ret_target = (mode_t)value & 07777;
        return 0;
}

/* mknod(2) has 12 bits for a major and 20 for a minor number. */
static int take_major(const struct spec_node *node, void *ret_target)
{
        uint64_t value;
        int r = spec_number_u64(node, 0xfff, &value);

        if (r < 0)
                return r;
        *(uint32_t *)ret_target = (uint32_t)value;
        return 0;
}

static int take_minor(const struct spec_node *node, void *ret_target)
{
        uint64_t value;
        int r = spec_number_u64(node, 0xfffff, &value);

        if (r < 0)
                return r;
        *(uint32_t *)ret_target = (uint32_t)value;
        return 0;
}

static int take_device(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"path", spec_take_path, offsetof(struct spec_device, path), true},
                {"type", take_device_type, offsetof(struct spec_device, type), true},
                {"major", take_major, offsetof(struct spec_device, major), false},
                {"minor", take_minor, offsetof(struct spec_device, minor), false},
                {"fileMode", take_file_mode, offsetof(struct spec_device, mode), false},
                {"uid", spec_take_u32, offsetof(struct spec_device, uid), false},
                {"gid", spec_take_u32, offsetof(struct spec_device, gid), false},
        };
        struct spec_device *device = ret_target;

        device->mode = 0666;
        int r = spec_take_object(node, fields, ARRAY_SIZE(fields), device);
        if (r < 0)
                return r;
        return device->path ? 0 : spec_fail(node, -EINVAL, "path can't be empty");
}

static int take_devices(const struct spec_node *node, void *ret_target)
{
        struct spec_linux *linux = ret_target;
        struct spec_items array;
        int r = spec_take_array(node, sizeof(struct spec_device), take_device, &array);

        if (r < 0)
                return r;
        linux->devices = array.items;
        linux->n_devices = array.n;
        return 0;
}

static int take_net_device(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"name", spec_take_text, offsetof(struct spec_net_device, name), false},
        };
        struct spec_net_device *device = ret_target;
        int r = spec_copy(node, node->key, &device->host_name);

        if (r < 0)
                return r;
        if (!device->host_name)
                return spec_fail(node, -EINVAL, "a name can't be empty");
        r = spec_take_object(node, fields, ARRAY_SIZE(fields), device);
        if (!device->name)
                device->name = device->host_name;
        return r;
}

static int take_net_devices(const struct spec_node *node, void *ret_target)
{
        struct spec_linux *linux = ret_target;
        struct spec_items array;
        int r = spec_take_members(node, sizeof(struct spec_net_device), take_net_device, &array);

        if (r < 0)
                return r;
        linux->net_devices = array.items;
        linux->n_net_devices = array.n;
        return 0;
}

/* ---- the rest ------------------------------------------------------------------------------------------ */

static int take_propagation(const struct spec_node *node, void *ret_target)
{
        const char *text;
        uint64_t value;
        int r = spec_string(node, &text);

        if (r < 0 || !*text)
                return r;
        r = spec_word(node, SPEC_NAMES_PROPAGATIONS, "mount propagation", &value);
        if (r < 0)
                return r;
        *(unsigned long *)ret_target = (unsigned long)value;
        return 0;
}

static int take_intel_rdt(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"closID", spec_take_text, offsetof(struct spec_intel_rdt, clos_id), false},
                {"schemata", spec_take_strings, offsetof(struct spec_intel_rdt, schemata), false},
                {"l3CacheSchema", spec_take_text, offsetof(struct spec_intel_rdt, l3_cache_schema), false},
                {"memBwSchema", spec_take_text, offsetof(struct spec_intel_rdt, mem_bw_schema), false},
                {"enableMonitoring", spec_take_bool, offsetof(struct spec_intel_rdt, enable_monitoring),
                 false},
        };
        struct spec_intel_rdt *rdt = arena_alloc(node->reader->arena, 1, sizeof(*rdt));

        if (!rdt)
                return spec_full(node);
        *(struct spec_intel_rdt **)ret_target = rdt;
        return spec_take_object(node, fields, ARRAY_SIZE(fields), rdt);
}

static const uint64_t NO_MODE = UINT64_MAX;

struct policy_reader {
        uint64_t mode; /* NO_MODE: none */
        uint64_t flags;
};

static int take_policy_mode(const struct spec_node *node, void *ret_target)
{
        return spec_word(node, SPEC_NAMES_MEMORY_MODES, "memory policy mode", ret_target);
}

static int take_policy_flags(const struct spec_node *node, void *ret_target)
{
        return spec_flags(node, SPEC_NAMES_MEMORY_FLAGS, "memory policy flag", ret_target);
}

/* The kernel's largest configuration has 1,024 nodes. */
static int take_policy_nodes(const struct spec_node *node, void *ret_target)
{
        enum { NODES_MAX = 1024 };
        struct spec_memory_policy *policy = ret_target;
        const char *text;
        int r = spec_string(node, &text);

        if (r < 0 || !*text)
                return r;
        policy->n_nodes = NODES_MAX / 64;
        policy->nodes = arena_alloc(node->reader->arena, policy->n_nodes, sizeof(*policy->nodes));
        if (!policy->nodes)
                return spec_full(node);
        return spec_number_list(node, text, NODES_MAX, "memory policy nodes", policy->nodes);
}

static int take_memory_policy(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field mode_fields[] = {
                {"mode", take_policy_mode, offsetof(struct policy_reader, mode), false},
                {"flags", take_policy_flags, offsetof(struct policy_reader, flags), false},
        };
        static const struct spec_field fields[] = {{"nodes", take_policy_nodes, 0, false}};
        struct policy_reader reader = {.mode = NO_MODE};
        struct spec_memory_policy *policy = arena_alloc(node->reader->arena, 1, sizeof(*policy));

        if (!policy)
                return spec_full(node);
        int r = spec_take_object(node, mode_fields, ARRAY_SIZE(mode_fields), &reader);
        if (r < 0)
                return r;
        if (reader.mode == NO_MODE)
                return spec_fail(node, -EINVAL, "invalid memory policy mode: \"mode\" is missing");
        policy->mode = (int)(reader.mode | reader.flags);
        *(struct spec_memory_policy **)ret_target = policy;
        return spec_take_object(node, fields, ARRAY_SIZE(fields), policy);
}

static int take_domain(const struct spec_node *node, void *ret_target)
{
        struct spec_linux *linux = ret_target;
        uint64_t value;
        int r = spec_word(node, SPEC_NAMES_PERSONALITIES, "personality domain", &value);

        if (r < 0)
                return r;
        linux->has_personality = true;
        linux->personality = (unsigned long)value;
        return 0;
}

/* The specification has none yet (config-linux.md, "Personality"). */
static int take_personality_flags(const struct spec_node *node, void *ret_target)
{
        (void)ret_target;
        if (json_array_size(node->json) > 0)
                spec_warn(node, "ignoring personality flags: none are defined");
        return 0;
}

static int take_personality(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"domain", take_domain, 0, true},
                {"flags", take_personality_flags, 0, false},
        };
        return spec_take_object(node, fields, ARRAY_SIZE(fields), ret_target);
}

int spec_take_linux(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"namespaces", take_namespaces, 0, false},
                {"uidMappings", spec_take_id_mappings, offsetof(struct spec_linux, uid_mappings), false},
                {"gidMappings", spec_take_id_mappings, offsetof(struct spec_linux, gid_mappings), false},
                {"timeOffsets", take_offsets, 0, false},
                {"sysctl", spec_take_pairs, offsetof(struct spec_linux, sysctl), false},
                {"cgroupsPath", spec_take_text, offsetof(struct spec_linux, cgroups_path), false},
                {"resources", spec_take_resources, offsetof(struct spec_linux, resources), false},
                {"devices", take_devices, 0, false},
                {"netDevices", take_net_devices, 0, false},
                {"seccomp", spec_take_seccomp, offsetof(struct spec_linux, seccomp), false},
                {"rootfsPropagation", take_propagation, offsetof(struct spec_linux, rootfs_propagation),
                 false},
                {"maskedPaths", spec_take_paths, offsetof(struct spec_linux, masked_paths), false},
                {"readonlyPaths", spec_take_paths, offsetof(struct spec_linux, readonly_paths), false},
                {"mountLabel", spec_take_text, offsetof(struct spec_linux, mount_label), false},
                {"intelRdt", take_intel_rdt, offsetof(struct spec_linux, intel_rdt), false},
                {"memoryPolicy", take_memory_policy, offsetof(struct spec_linux, memory_policy), false},
                {"personality", take_personality, 0, false},
        };
        return spec_take_object(node, fields, ARRAY_SIZE(fields), ret_target);
}
