/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/spec-parts.h"
#include "lib/container/spec-parse.h"
#include "lib/container/spec-take.h"

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"

#include <linux/ioprio.h>
#include <string.h>

/* ---- user and terminal --------------------------------------------------------------------------------- */

/* An id; 2^32-1 stands for "none" in system calls. */
static int take_id(const struct spec_node *node, void *ret_target)
{
        uint64_t value;
        int r = spec_number_u64(node, UINT32_MAX - 1, &value);

        if (r < 0)
                return r;
        *(uint32_t *)ret_target = (uint32_t)value;
        return 0;
}

static int take_umask(const struct spec_node *node, void *ret_target)
{
        struct spec_process *process = ret_target;
        uint64_t value;
        int r = spec_number_u64(node, 0777, &value);

        if (r < 0)
                return r;
        process->has_umask = true;
        process->umask = (mode_t)value;
        return 0;
}

static int take_additional_gids(const struct spec_node *node, void *ret_target)
{
        struct spec_process *process = ret_target;
        struct spec_items array;
        int r = spec_take_array(node, sizeof(uint32_t), take_id, &array);

        if (r < 0)
                return r;
        process->additional_gids = array.items;
        process->n_additional_gids = array.n;
        return 0;
}

static int take_user(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"uid", take_id, offsetof(struct spec_process, uid), false},
                {"gid", take_id, offsetof(struct spec_process, gid), false},
                {"umask", take_umask, 0, false},
                {"additionalGids", take_additional_gids, 0, false},
        };
        return spec_take_object(node, fields, ARRAY_SIZE(fields), ret_target);
}

static int take_size(const struct spec_node *node, void *ret_target)
{
        uint64_t value;
        int r = spec_number_u64(node, UINT16_MAX, &value);

        if (r < 0)
                return r;
        *(uint16_t *)ret_target = (uint16_t)value;
        return 0;
}

/* To be ignored without a terminal (config.md). */
static int take_console_size(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"height", take_size, offsetof(struct spec_process, console_height), true},
                {"width", take_size, offsetof(struct spec_process, console_width), true},
        };
        struct spec_process *process = ret_target;

        if (!process->terminal)
                return 0;
        process->has_console_size = true;
        return spec_take_object(node, fields, ARRAY_SIZE(fields), process);
}

/* ---- what is run --------------------------------------------------------------------------------------- */

static int take_args(const struct spec_node *node, void *ret_target)
{
        struct spec_strings *args = ret_target;
        int r = spec_take_strings(node, args);

        if (r < 0)
                return r;
        return args->n ? 0 : spec_fail(node, -EINVAL, "args must not be empty");
}

static int take_env(const struct spec_node *node, void *ret_target)
{
        struct spec_strings *env = ret_target;
        int r = spec_take_strings(node, env);

        for (size_t i = 0; r == 0 && i < env->n; i++) {
                const struct spec_node item = {.reader = node->reader, .parent = node, .index = i};
                const char *equals = strchr(env->items[i], '=');

                if (!equals)
                        r = spec_fail(&item, -EINVAL,
                                      "\"%.64s\" is an invalid environment variable: missing '='",
                                      env->items[i]);
                else if (equals == env->items[i])
                        r = spec_fail(&item, -EINVAL, "invalid environment variable: name cannot be empty");
        }
        return r;
}

static int take_cwd(const struct spec_node *node, void *ret_target)
{
        const char **cwd = ret_target;
        const char *text;
        int r = spec_string(node, &text);

        if (r < 0)
                return r;
        if (!*text)
                return spec_fail(node, -EINVAL, "Cwd property must not be empty");
        if (*text != '/')
                return spec_fail(node, -EINVAL, "Cwd must be an absolute path, not \"%.128s\"", text);
        return spec_copy(node, text, cwd);
}

/* ---- privileges and limits ----------------------------------------------------------------------------- */

/* Names that nobody knows, each once. */
enum { UNKNOWN_MAX = 16 };

struct capability_reader {
        uint64_t *set; /* that the names now read belong to */
        const char *unknown[UNKNOWN_MAX];
        size_t n_unknown;
};

static void note_unknown(struct capability_reader *reader, const char *name)
{
        for (size_t i = 0; i < reader->n_unknown; i++)
                if (strcmp(reader->unknown[i], name) == 0)
                        return;
        if (reader->n_unknown < UNKNOWN_MAX)
                reader->unknown[reader->n_unknown++] = name;
}

static int take_capability(const struct spec_node *node, void *ret_target)
{
        struct capability_reader *reader = ret_target;
        const char *name;
        int r = spec_string(node, &name);

        if (r < 0)
                return r;
        int number = spec_capability_number(name);
        if (number < 0)
                note_unknown(reader, name);
        else
                *reader->set |= (uint64_t)1 << number;
        return 0;
}

static int take_capabilities(const struct spec_node *node, void *ret_target)
{
        struct spec_process *process = ret_target;
        struct spec_capabilities *sets = &process->capabilities;
        const struct {
                const char *key;
                uint64_t *set;
        } members[] = {{"bounding", &sets->bounding},
                       {"effective", &sets->effective},
                       {"inheritable", &sets->inheritable},
                       {"permitted", &sets->permitted},
                       {"ambient", &sets->ambient}};
        struct capability_reader reader = {0};
        cleanup_buf struct buf names = buf_with_max(2048);

        if (!json_is_object(node->json))
                return spec_fail(node, -EINVAL, "must be an object");
        process->has_capabilities = true;
        for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
                struct spec_node member = {.reader = node->reader,
                                           .parent = node,
                                           .key = members[i].key,
                                           .json = json_object_get(node->json, members[i].key)};
                if (!member.json || json_is_null(member.json))
                        continue;
                reader.set = members[i].set;
                int r = spec_take_each(&member, take_capability, &reader);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < reader.n_unknown; i++)
                buf_printf(&names, "%s%.64s", i ? " " : "", reader.unknown[i]);
        if (reader.n_unknown)
                spec_warn(node, "ignoring unknown or unavailable capabilities: [%s]", buf_string(&names));
        return 0;
}

static int take_rlimit_type(const struct spec_node *node, void *ret_target)
{
        uint64_t value;
        int r = spec_word(node, SPEC_NAMES_RLIMITS, "resource limit", &value);

        if (r < 0)
                return r;
        *(int *)ret_target = (int)value;
        return 0;
}

static int take_rlimit(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"type", take_rlimit_type, offsetof(struct spec_rlimit, resource), true},
                {"soft", spec_take_u64, offsetof(struct spec_rlimit, soft), true},
                {"hard", spec_take_u64, offsetof(struct spec_rlimit, hard), true},
        };
        struct spec_rlimit *limit = ret_target;
        int r = spec_take_object(node, fields, ARRAY_SIZE(fields), limit);

        if (r < 0)
                return r;
        if (limit->soft > limit->hard)
                return spec_fail(node, -EINVAL, "soft must not be above hard");
        return 0;
}

static int take_rlimits(const struct spec_node *node, void *ret_target)
{
        struct spec_process *process = ret_target;
        struct spec_items array;
        uint64_t seen = 0;
        int r = spec_take_array(node, sizeof(struct spec_rlimit), take_rlimit, &array);

        if (r < 0)
                return r;
        process->rlimits = array.items;
        process->n_rlimits = array.n;
        for (size_t i = 0; i < array.n; i++) {
                const struct spec_node item = {.reader = node->reader, .parent = node, .index = i};
                uint64_t bit = (uint64_t)1 << process->rlimits[i].resource;

                if (seen & bit)
                        return spec_fail(&item, -EINVAL, "a limit of this type comes twice");
                seen |= bit;
        }
        return 0;
}

static int take_oom_score(const struct spec_node *node, void *ret_target)
{
        struct optional_i64 *score = ret_target;

        score->set = true;
        return spec_number_i64(node, -1000, 1000, &score->value);
}

/* ---- scheduling ---------------------------------------------------------------------------------------- */

static int take_policy(const struct spec_node *node, void *ret_target)
{
        uint64_t value;
        int r = spec_word(node, SPEC_NAMES_SCHEDULER_POLICIES, "scheduling policy", &value);

        if (r < 0)
                return r;
        *(uint32_t *)ret_target = (uint32_t)value;
        return 0;
}

static int take_nice(const struct spec_node *node, void *ret_target)
{
        int64_t value;
        int r = spec_number_i64(node, INT32_MIN, INT32_MAX, &value);

        if (r < 0)
                return r;
        *(int32_t *)ret_target = (int32_t)value;
        return 0;
}

static int take_scheduler_flags(const struct spec_node *node, void *ret_target)
{
        return spec_flags(node, SPEC_NAMES_SCHEDULER_FLAGS, "scheduling flag", ret_target);
}

static int take_scheduler(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"policy", take_policy, offsetof(struct spec_scheduler, policy), true},
                {"nice", take_nice, offsetof(struct spec_scheduler, nice), false},
                {"priority", spec_take_u32, offsetof(struct spec_scheduler, priority), false},
                {"flags", take_scheduler_flags, offsetof(struct spec_scheduler, flags), false},
                {"runtime", spec_take_u64, offsetof(struct spec_scheduler, runtime), false},
                {"deadline", spec_take_u64, offsetof(struct spec_scheduler, deadline), false},
                {"period", spec_take_u64, offsetof(struct spec_scheduler, period), false},
        };
        struct spec_scheduler *scheduler = arena_alloc(node->reader->arena, 1, sizeof(*scheduler));

        if (!scheduler)
                return spec_full(node);
        *(struct spec_scheduler **)ret_target = scheduler;
        return spec_take_object(node, fields, ARRAY_SIZE(fields), scheduler);
}

struct io_priority {
        uint64_t class;
        uint32_t level;
};

static int take_io_class(const struct spec_node *node, void *ret_target)
{
        return spec_word(node, SPEC_NAMES_IO_CLASSES, "I/O class", ret_target);
}

static int take_io_level(const struct spec_node *node, void *ret_target)
{
        int64_t value;
        int r = spec_number_i64(node, 0, 7, &value);

        if (r < 0)
                return r;
        *(uint32_t *)ret_target = (uint32_t)value;
        return 0;
}

static int take_io_priority(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"class", take_io_class, offsetof(struct io_priority, class), true},
                {"priority", take_io_level, offsetof(struct io_priority, level), false},
        };
        struct spec_process *process = ret_target;
        struct io_priority priority = {0};
        int r = spec_take_object(node, fields, ARRAY_SIZE(fields), &priority);

        if (r < 0)
                return r;
        process->has_io_priority = true;
        process->io_priority = (uint16_t)(priority.class << IOPRIO_CLASS_SHIFT | priority.level);
        return 0;
}

/* A list of CPUs; the kernel's largest configuration has 8,192. */
static int take_cpu_list(const struct spec_node *node, void *ret_target)
{
        enum { CPUS_MAX = 8192 };
        uint64_t bits[CPUS_MAX / 64];
        const char *text;
        int r = spec_string(node, &text);

        if (r < 0)
                return r;
        if (*text)
                r = spec_number_list(node, text, CPUS_MAX, "list of CPUs", bits);
        return r < 0 ? r : spec_copy(node, text, ret_target);
}

static int take_affinity(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"initial", take_cpu_list, offsetof(struct spec_process, exec_cpu_affinity_initial), false},
                {"final", take_cpu_list, offsetof(struct spec_process, exec_cpu_affinity_final), false},
        };
        return spec_take_object(node, fields, ARRAY_SIZE(fields), ret_target);
}

/* ---- the whole ----------------------------------------------------------------------------------------- */

int spec_take_process(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"terminal", spec_take_bool, offsetof(struct spec_process, terminal), false},
                {"consoleSize", take_console_size, 0, false},
                {"user", take_user, 0, false},
                {"cwd", take_cwd, offsetof(struct spec_process, cwd), true},
                {"args", take_args, offsetof(struct spec_process, args), true},
                {"env", take_env, offsetof(struct spec_process, env), false},
                {"capabilities", take_capabilities, 0, false},
                {"rlimits", take_rlimits, 0, false},
                {"noNewPrivileges", spec_take_bool, offsetof(struct spec_process, no_new_privileges), false},
                {"apparmorProfile", spec_take_text, offsetof(struct spec_process, apparmor_profile), false},
                {"selinuxLabel", spec_take_text, offsetof(struct spec_process, selinux_label), false},
                {"oomScoreAdj", take_oom_score, offsetof(struct spec_process, oom_score_adj), false},
                {"scheduler", take_scheduler, offsetof(struct spec_process, scheduler), false},
                {"ioPriority", take_io_priority, 0, false},
                {"execCPUAffinity", take_affinity, 0, false},
        };
        return spec_take_object(node, fields, ARRAY_SIZE(fields), ret_target);
}
