/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/spec-process-text.h"

#include "lib/base/cleanup.h"
#include "lib/container/spec-names.h"

#include <jansson.h>
#include <linux/ioprio.h>

static json_t *strings(const struct spec_strings *list)
{
        json_t *array = json_array();

        for (size_t i = 0; i < list->n; i++)
                (void)json_array_append_new(array, json_string(list->items[i]));
        return array;
}

static json_t *capability_set(uint64_t set)
{
        json_t *array = json_array();
        const char *name;
        uint64_t number;

        for (size_t i = 0; (name = spec_name_at(SPEC_NAMES_CAPABILITIES, i)); i++)
                if (spec_name_value(SPEC_NAMES_CAPABILITIES, name, &number) && set >> number & 1)
                        (void)json_array_append_new(array, json_string(name));
        return array;
}

static json_t *capabilities(const struct spec_process *process)
{
        const struct spec_capabilities *sets = &process->capabilities;

        if (!process->has_capabilities)
                return NULL;
        return json_pack("{so so so so so}", "bounding", capability_set(sets->bounding), "effective",
                         capability_set(sets->effective), "inheritable", capability_set(sets->inheritable),
                         "permitted", capability_set(sets->permitted), "ambient",
                         capability_set(sets->ambient));
}

/* The word for a value; "" where there is none. */
static const char *word(enum spec_vocabulary vocabulary, uint64_t value)
{
        const char *name;
        uint64_t number;

        for (size_t i = 0; (name = spec_name_at(vocabulary, i)); i++)
                if (spec_name_value(vocabulary, name, &number) && number == value)
                        return name;
        return "";
}

/* jansson's numbers end at 2^63-1, which limits no more than the 2^64-1 that stands for none. */
static json_t *limit_value(uint64_t value)
{
        return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

static json_t *limits(const struct spec_process *process)
{
        json_t *array = json_array();

        for (size_t i = 0; i < process->n_rlimits; i++) {
                const struct spec_rlimit *limit = &process->rlimits[i];
                (void)json_array_append_new(
                        array,
                        json_pack("{ss so so}", "type", word(SPEC_NAMES_RLIMITS, (uint64_t)limit->resource),
                                  "soft", limit_value(limit->soft), "hard", limit_value(limit->hard)));
        }
        return array;
}

static json_t *user(const struct spec_process *process)
{
        json_t *groups = json_array();

        for (size_t i = 0; i < process->n_additional_gids; i++)
                (void)json_array_append_new(groups, json_integer(process->additional_gids[i]));
        json_t *object = json_pack("{sI sI so}", "uid", (json_int_t)process->uid, "gid",
                                   (json_int_t)process->gid, "additionalGids", groups);
        if (object && process->has_umask)
                (void)json_object_set_new(object, "umask", json_integer((json_int_t)process->umask));
        return object;
}

/* ---- scheduling ---------------------------------------------------------------------------------------- */

static json_t *scheduler_flags(uint64_t flags)
{
        json_t *array = json_array();
        const char *name;
        uint64_t flag;

        for (size_t i = 0; (name = spec_name_at(SPEC_NAMES_SCHEDULER_FLAGS, i)); i++)
                if (spec_name_value(SPEC_NAMES_SCHEDULER_FLAGS, name, &flag) && flags & flag)
                        (void)json_array_append_new(array, json_string(name));
        return array;
}

static json_t *scheduler(const struct spec_process *process)
{
        const struct spec_scheduler *s = process->scheduler;

        if (!s)
                return NULL;
        return json_pack("{ss si sI so sI sI sI}", "policy", word(SPEC_NAMES_SCHEDULER_POLICIES, s->policy),
                         "nice", s->nice, "priority", (json_int_t)s->priority, "flags",
                         scheduler_flags(s->flags), "runtime", (json_int_t)s->runtime, "deadline",
                         (json_int_t)s->deadline, "period", (json_int_t)s->period);
}

static json_t *io_priority(const struct spec_process *process)
{
        if (!process->has_io_priority)
                return NULL;
        return json_pack("{ss si}", "class",
                         word(SPEC_NAMES_IO_CLASSES, IOPRIO_PRIO_CLASS(process->io_priority)), "priority",
                         (int)IOPRIO_PRIO_DATA(process->io_priority));
}

static json_t *affinity(const struct spec_process *process)
{
        if (!process->exec_cpu_affinity_initial && !process->exec_cpu_affinity_final)
                return NULL;
        return json_pack("{ss* ss*}", "initial", process->exec_cpu_affinity_initial, "final",
                         process->exec_cpu_affinity_final);
}

char *spec_process_text(const struct spec_process *process)
{
        json_t *object = json_pack(
                "{sb so so so ss so* so sb so* ss* ss* so* so* so*}", "terminal", process->terminal, "user",
                user(process), "args", strings(&process->args), "env", strings(&process->env), "cwd",
                process->cwd ? process->cwd : "/", "capabilities", capabilities(process), "rlimits",
                limits(process), "noNewPrivileges", process->no_new_privileges, "oomScoreAdj",
                process->oom_score_adj.set ? json_integer(process->oom_score_adj.value) : NULL,
                "apparmorProfile", process->apparmor_profile, "selinuxLabel", process->selinux_label,
                "scheduler", scheduler(process), "ioPriority", io_priority(process), "execCPUAffinity",
                affinity(process));
        char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

        json_decref(object);
        return text;
}
