/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/spec-parse.h"

#include "lib/base/cleanup.h"
#include "lib/container/spec-capabilities.h"
#include "lib/container/spec-parts.h"
#include "lib/container/spec-take.h"
#include "lib/format/json.h"

#include <string.h>

/* A number of a version: digits without a leading 0. NULL where there is none. */
static const char *skip_number(const char *p)
{
        size_t n = strspn(p, "0123456789");

        return n == 0 || (n > 1 && *p == '0') ? NULL : p + n;
}

/* Semantic Versioning 2.0.0, "1.0.2-dev" included. */
static bool is_version(const char *p)
{
        static const char identifiers[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-.+";

        for (int i = 0; i < 3; i++) {
                p = skip_number(p);
                if (!p || (i < 2 && *p++ != '.'))
                        return false;
        }
        return !*p || ((*p == '-' || *p == '+') && p[1] && !p[strspn(p, identifiers)]);
}

static int take_version(const struct spec_node *node, void *ret_target)
{
        const char *text;
        int r = spec_string(node, &text);

        if (r < 0)
                return r;
        if (!is_version(text))
                return spec_fail(node, -EINVAL, "\"%.32s\" is no version as 1.2.0", text);
        if (strncmp(text, "1.", 2) != 0)
                return spec_fail(node, -EINVAL,
                                 "unknown version \"%.32s\"; the versions from 1.0.0 below 2.0.0 are known",
                                 text);
        return spec_copy(node, text, ret_target);
}

static int take_root_path(const struct spec_node *node, void *ret_target)
{
        const char **rootfs = ret_target;
        const char *text;
        int r = spec_string(node, &text);

        if (r < 0)
                return r;
        if (!*text)
                return spec_fail(node, -EINVAL, "can't be empty");
        if (*text == '/')
                return spec_copy(node, text, rootfs);
        *rootfs = arena_printf(node->reader->arena, "%s/%s", node->reader->bundle, text);
        return *rootfs ? 0 : spec_full(node);
}

static int take_root(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"path", take_root_path, offsetof(struct spec, rootfs), true},
                {"readonly", spec_take_bool, offsetof(struct spec, rootfs_readonly), false},
        };
        return spec_take_object(node, fields, ARRAY_SIZE(fields), ret_target);
}

static int take_process(const struct spec_node *node, void *ret_target)
{
        struct spec *spec = ret_target;

        spec->process = arena_alloc(node->reader->arena, 1, sizeof(*spec->process));
        return spec->process ? spec_take_process(node, spec->process) : spec_full(node);
}

static int take_mounts(const struct spec_node *node, void *ret_target)
{
        struct spec *spec = ret_target;
        struct spec_items array;
        int r = spec_take_mounts(node, &array);

        if (r < 0)
                return r;
        spec->mounts = array.items;
        spec->n_mounts = array.n;
        return 0;
}

/* For runtimes that take their machine from it; an enclave's plug-in has to know that it is there. */
static int take_vm(const struct spec_node *node, void *ret_target)
{
        (void)node;
        *(bool *)ret_target = true;
        return 0;
}

static const struct spec_field spec_fields[] = {
        {"ociVersion", take_version, offsetof(struct spec, version), true},
        {"root", take_root, 0, true},
        {"process", take_process, 0, false},
        {"hostname", spec_take_text, offsetof(struct spec, hostname), false},
        {"domainname", spec_take_text, offsetof(struct spec, domainname), false},
        {"mounts", take_mounts, 0, false},
        {"hooks", spec_take_hooks, offsetof(struct spec, hooks), false},
        {"annotations", spec_take_pairs, offsetof(struct spec, annotations), false},
        {"linux", spec_take_linux, offsetof(struct spec, linux), false},
        {"vm", take_vm, offsetof(struct spec, has_vm), false},
};

int spec_parse(struct view text, const char *bundle, struct arena *arena, const struct log *log,
               struct spec **ret_spec, struct error *err)
{
        const struct spec_reader reader = {
                .arena = arena, .log = log, .err = err, .file = "config.json", .bundle = bundle};
        struct spec_node root = {.reader = &reader};
        struct spec *spec = arena_alloc(arena, 1, sizeof(*spec));
        cleanup_json json_t *json = NULL;

        if (!spec)
                return error_oom(err);
        int r = spec_json_load(&reader, text, &json);
        if (r < 0)
                return r;
        root.json = json;
        r = spec_take_object(&root, spec_fields, ARRAY_SIZE(spec_fields), spec);
        if (r < 0)
                return r;
        if (spec->process && spec->linux.namespaces[SPEC_NAMESPACE_USER].given)
                spec_drop_unknown_capabilities(spec->process, log);
        else if (spec->process)
                spec_drop_unavailable_capabilities(spec->process, log);
        *ret_spec = spec;
        return 0;
}

/* Parses an object alone. */
static int parse_part(const struct spec_reader *reader, struct view text, spec_take *take, void *target)
{
        struct spec_node root = {.reader = reader};
        cleanup_json json_t *json = NULL;
        int r = spec_json_load(reader, text, &json);

        if (r < 0)
                return r;
        root.json = json;
        return take(&root, target);
}

int spec_parse_process(struct view text, struct arena *arena, const struct log *log,
                       struct spec_process **ret_process, struct error *err)
{
        const struct spec_reader reader = {.arena = arena, .log = log, .err = err, .file = "process"};
        struct spec_process *process = arena_alloc(arena, 1, sizeof(*process));

        if (!process)
                return error_oom(err);
        int r = parse_part(&reader, text, spec_take_process, process);
        if (r < 0)
                return r;
        spec_drop_unknown_capabilities(process, log);
        *ret_process = process;
        return 0;
}

int spec_parse_resources(struct view text, struct arena *arena, const struct log *log,
                         struct spec_resources **ret_resources, struct error *err)
{
        const struct spec_reader reader = {.arena = arena, .log = log, .err = err, .file = "resources"};
        struct spec_resources *resources = arena_alloc(arena, 1, sizeof(*resources));

        if (!resources)
                return error_oom(err);
        int r = parse_part(&reader, text, spec_take_resources, resources);
        if (r < 0)
                return r;
        *ret_resources = resources;
        return 0;
}

const char *spec_annotation(const struct spec *spec, const char *key)
{
        for (size_t i = 0; i < spec->annotations.n; i++)
                if (strcmp(spec->annotations.items[i].key, key) == 0)
                        return spec->annotations.items[i].value;
        return NULL;
}
