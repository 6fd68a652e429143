/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts and hooks. */
#include "lib/container/spec-parse.h"
#include "lib/container/spec-parts.h"
#include "lib/container/spec-take.h"

#include "lib/base/cleanup.h"

#include <string.h>

static int take_option(const struct spec_node *node, void *ret_target)
{
        const char *option;
        int r = spec_string(node, &option);

        if (r < 0)
                return r;
        r = spec_parse_mount_option(option, node->reader->arena, ret_target, NULL);
        if (r == -ENOMEM)
                return spec_full(node);
        return r < 0 ? spec_fail(node, r, "a mount option can't be empty") : 0;
}

static int take_options(const struct spec_node *node, void *ret_target)
{
        return spec_take_each(node, take_option, ret_target);
}

/* What follows from the members together. */
static int finish_mount(const struct spec_node *node, struct spec_mount *mount)
{
        const struct spec_reader *reader = node->reader;

        if (!mount->destination)
                return spec_fail(node, -EINVAL, "destination can't be empty");
        if (mount->type && strcmp(mount->type, "bind") == 0)
                mount->features |= SPEC_MOUNT_BIND;
        if (mount->uid_mappings.n + mount->gid_mappings.n > 0 &&
            !(mount->features & (SPEC_MOUNT_IDMAP | SPEC_MOUNT_RIDMAP)))
                mount->features |= SPEC_MOUNT_IDMAP;
        if (!(mount->features & SPEC_MOUNT_BIND))
                return 0;
        mount->type = "bind";
        if (!mount->source)
                return mount->features & SPEC_MOUNT_REMOUNT
                               ? 0
                               : spec_fail(node, -EINVAL, "a bind mount needs a source");
        if (*mount->source != '/' && reader->bundle)
                mount->source = arena_printf(reader->arena, "%s/%s", reader->bundle, mount->source);
        return mount->source ? 0 : spec_full(node);
}

static int take_mount(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"destination", spec_take_text, offsetof(struct spec_mount, destination), true},
                {"type", spec_take_text, offsetof(struct spec_mount, type), false},
                {"source", spec_take_text, offsetof(struct spec_mount, source), false},
                {"options", take_options, 0, false},
                {"uidMappings", spec_take_id_mappings, offsetof(struct spec_mount, uid_mappings), false},
                {"gidMappings", spec_take_id_mappings, offsetof(struct spec_mount, gid_mappings), false},
        };
        int r = spec_take_object(node, fields, ARRAY_SIZE(fields), ret_target);

        return r < 0 ? r : finish_mount(node, ret_target);
}

int spec_take_mounts(const struct spec_node *node, void *ret_target)
{
        return spec_take_array(node, sizeof(struct spec_mount), take_mount, ret_target);
}

static int take_timeout(const struct spec_node *node, void *ret_target)
{
        struct spec_hook *hook = ret_target;
        int64_t value;
        int r = spec_number_i64(node, 1, UINT32_MAX, &value);

        if (r < 0)
                return r;
        hook->has_timeout = true;
        hook->timeout = (uint32_t)value;
        return 0;
}

static int take_hook(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"path", spec_take_path, offsetof(struct spec_hook, path), true},
                {"args", spec_take_strings, offsetof(struct spec_hook, args), false},
                {"env", spec_take_strings, offsetof(struct spec_hook, env), false},
                {"timeout", take_timeout, 0, false},
        };
        struct spec_hook *hook = ret_target;
        int r = spec_take_object(node, fields, ARRAY_SIZE(fields), hook);

        if (r < 0)
                return r;
        return hook->path ? 0 : spec_fail(node, -EINVAL, "path can't be empty");
}

static int take_hook_list(const struct spec_node *node, void *ret_target)
{
        struct spec_hook_list *list = ret_target;
        struct spec_items array;
        int r = spec_take_array(node, sizeof(struct spec_hook), take_hook, &array);

        if (r < 0)
                return r;
        *list = (struct spec_hook_list){array.items, array.n};
        return 0;
}

int spec_take_hooks(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"prestart", take_hook_list, offsetof(struct spec_hooks, prestart), false},
                {"createRuntime", take_hook_list, offsetof(struct spec_hooks, create_runtime), false},
                {"createContainer", take_hook_list, offsetof(struct spec_hooks, create_container), false},
                {"startContainer", take_hook_list, offsetof(struct spec_hooks, start_container), false},
                {"poststart", take_hook_list, offsetof(struct spec_hooks, poststart), false},
                {"poststop", take_hook_list, offsetof(struct spec_hooks, poststop), false},
        };
        return spec_take_object(node, fields, ARRAY_SIZE(fields), ret_target);
}
