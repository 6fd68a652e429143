/* SPDX-License-Identifier: Apache-2.0 */
/* linux.seccomp.  Names of system calls stay names: whoever compiles the filter knows them. */
#include "lib/container/spec-parts.h"
#include "lib/container/spec-take.h"

#include "lib/base/cleanup.h"

#include <seccomp.h>

/* An action and the errno that goes with it, until both are known. */
struct action {
        uint64_t code;
        struct optional_u64 errno_ret;
};

static int take_action(const struct spec_node *node, void *ret_target)
{
        return spec_word(node, SPEC_NAMES_SECCOMP_ACTIONS, "seccomp action", ret_target);
}

/* The kernel takes 16 bits. */
static int take_errno(const struct spec_node *node, void *ret_target)
{
        return spec_take_optional_u16(node, ret_target);
}

/* EPERM where none is given (config-linux.md). */
static int join_action(const struct spec_node *node, const struct action *action, uint32_t *ret_action)
{
        bool takes_errno = action->code == SCMP_ACT_ERRNO(0) || action->code == SCMP_ACT_TRACE(0);

        if (action->errno_ret.set && !takes_errno)
                return spec_fail(node, -EINVAL, "an errno goes with SCMP_ACT_ERRNO and SCMP_ACT_TRACE alone");
        *ret_action = (uint32_t)action->code;
        if (takes_errno)
                *ret_action |= action->errno_ret.set ? (uint32_t)action->errno_ret.value : EPERM;
        return 0;
}

static int take_arg_index(const struct spec_node *node, void *ret_target)
{
        uint64_t value;
        int r = spec_number_u64(node, 5, &value);

        if (r < 0)
                return r;
        *(uint32_t *)ret_target = (uint32_t)value;
        return 0;
}

static int take_arg_op(const struct spec_node *node, void *ret_target)
{
        uint64_t value;
        int r = spec_word(node, SPEC_NAMES_SECCOMP_OPERATORS, "seccomp operator", &value);

        if (r < 0)
                return r;
        *(int *)ret_target = (int)value;
        return 0;
}

static int take_arg(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"index", take_arg_index, offsetof(struct spec_seccomp_arg, index), true},
                {"value", spec_take_u64, offsetof(struct spec_seccomp_arg, value), true},
                {"valueTwo", spec_take_u64, offsetof(struct spec_seccomp_arg, value_two), false},
                {"op", take_arg_op, offsetof(struct spec_seccomp_arg, op), true},
        };
        return spec_take_object(node, fields, ARRAY_SIZE(fields), ret_target);
}

struct rule_reader {
        struct action action;
        struct spec_seccomp_rule rule;
};

static int take_args(const struct spec_node *node, void *ret_target)
{
        struct spec_seccomp_rule *rule = ret_target;
        struct spec_items array;
        int r = spec_take_array(node, sizeof(struct spec_seccomp_arg), take_arg, &array);

        if (r < 0)
                return r;
        rule->args = array.items;
        rule->n_args = array.n;
        return 0;
}

static int take_rule(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"names", spec_take_strings, offsetof(struct rule_reader, rule.names), true},
                {"action", take_action, offsetof(struct rule_reader, action.code), true},
                {"errnoRet", take_errno, offsetof(struct rule_reader, action.errno_ret), false},
                {"args", take_args, offsetof(struct rule_reader, rule), false},
        };
        struct rule_reader reader = {0};
        int r = spec_take_object(node, fields, ARRAY_SIZE(fields), &reader);

        if (r < 0)
                return r;
        if (reader.rule.names.n == 0)
                return spec_fail(node, -EINVAL, "names can't be empty");
        r = join_action(node, &reader.action, &reader.rule.action);
        *(struct spec_seccomp_rule *)ret_target = reader.rule;
        return r;
}

static int take_rules(const struct spec_node *node, void *ret_target)
{
        struct spec_seccomp *seccomp = ret_target;
        struct spec_items array;
        int r = spec_take_array(node, sizeof(struct spec_seccomp_rule), take_rule, &array);

        if (r < 0)
                return r;
        seccomp->rules = array.items;
        seccomp->n_rules = array.n;
        return 0;
}

static int take_architecture(const struct spec_node *node, void *ret_target)
{
        uint64_t value;
        int r = spec_word(node, SPEC_NAMES_SECCOMP_ARCHS, "seccomp architecture", &value);

        if (r < 0)
                return r;
        *(uint32_t *)ret_target = (uint32_t)value;
        return 0;
}

static int take_architectures(const struct spec_node *node, void *ret_target)
{
        struct spec_seccomp *seccomp = ret_target;
        struct spec_items array;
        int r = spec_take_array(node, sizeof(uint32_t), take_architecture, &array);

        if (r < 0)
                return r;
        seccomp->architectures = array.items;
        seccomp->n_architectures = array.n;
        return 0;
}

static int take_flags(const struct spec_node *node, void *ret_target)
{
        struct spec_seccomp *seccomp = ret_target;
        uint64_t flags;
        int r = spec_flags(node, SPEC_NAMES_SECCOMP_FLAGS, "seccomp flag", &flags);

        if (r < 0)
                return r;
        seccomp->flags = (unsigned)flags;
        seccomp->flags_given = true;
        return 0;
}

struct seccomp_reader {
        struct action action;
        bool has_action;
};

static int take_default_action(const struct spec_node *node, void *ret_target)
{
        struct seccomp_reader *reader = ret_target;
        const char *text;
        int r = spec_string(node, &text);

        if (r < 0 || !*text)
                return r;
        reader->has_action = true;
        return take_action(node, &reader->action.code);
}

/* Engines write {} for "no filter". */
int spec_take_seccomp(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field action_fields[] = {
                {"defaultAction", take_default_action, 0, false},
                {"defaultErrnoRet", take_errno, offsetof(struct seccomp_reader, action.errno_ret), false},
        };
        static const struct spec_field fields[] = {
                {"architectures", take_architectures, 0, false},
                {"flags", take_flags, 0, false},
                {"listenerPath", spec_take_text, offsetof(struct spec_seccomp, listener_path), false},
                {"listenerMetadata", spec_take_text, offsetof(struct spec_seccomp, listener_metadata), false},
                {"syscalls", take_rules, 0, false},
        };
        struct seccomp_reader reader = {0};
        struct spec_seccomp *seccomp = arena_alloc(node->reader->arena, 1, sizeof(*seccomp));

        if (!seccomp)
                return spec_full(node);
        int r = spec_take_object(node, action_fields, ARRAY_SIZE(action_fields), &reader);
        if (r < 0)
                return r;
        r = spec_take_object(node, fields, ARRAY_SIZE(fields), seccomp);
        if (r < 0)
                return r;
        if (!reader.has_action && seccomp->n_rules == 0) {
                *(struct spec_seccomp **)ret_target = NULL;
                return 0;
        }
        if (!reader.has_action)
                return spec_fail(node, -EINVAL, "defaultAction is missing");
        *(struct spec_seccomp **)ret_target = seccomp;
        return join_action(node, &reader.action, &seccomp->default_action);
}
