/* SPDX-License-Identifier: Apache-2.0 */
#include "pal/vm/translate.h"

#include "lib/base/array.h"
#include "lib/base/cleanup.h"
#include "lib/base/text.h"
#include "lib/container/plan.h"
#include "lib/container/seccomp.h"

#include "pal/vm/translate-mounts.h"
#include "pal/vm/translate-refuse.h"
#include "pal/vm/translate-resources.h"

#include <linux/seccomp.h>
#include <string.h>
#include <unistd.h>

enum { DEFAULT_UMASK = 022 };

void translated_done(struct translated *translated)
{
        for (size_t i = 0; i < translated->n_copies; i++)
                close(translated->copies[i]);
        service_container_done(&translated->container);
        service_process_done(&translated->process);
        free(translated->uids);
        free(translated->gids);
        *translated = (struct translated){0};
}

/* ---- the container ------------------------------------------------------------------------------------- */

/* "net.ipv4.conf.eth0/1.x" is net/ipv4/conf/eth0.1/x; where the first separator is a slash, it is the path
 * itself (sysctl.d(5)). */
static char *sysctl_path(const char *key, struct arena *arena)
{
        char *path = arena_string(arena, key);
        const char *separator = strpbrk(key, "./");
        bool swap = separator && *separator == '.';

        for (char *p = path; p && *p && swap; p++)
                *p = *p == '.' ? '/' : *p == '/' ? '.' : *p;
        return path;
}

static int add_sysctls(const struct spec *spec, struct arena *arena, struct service_container *container,
                       struct error *err)
{
        for (size_t i = 0; i < spec->linux.sysctl.n; i++) {
                const struct spec_pair *pair = &spec->linux.sysctl.items[i];
                const struct service_sysctl sysctl = {sysctl_path(pair->key, arena), pair->value};
                if (!sysctl.key || array_grow(&container->sysctls, container->n_sysctls, sizeof(sysctl)) < 0)
                        return error_oom(err);
                container->sysctls[container->n_sysctls++] = sysctl;
        }
        return 0;
}

static int add_paths(const struct spec_strings *from, const char ***paths, size_t *n, struct error *err)
{
        for (size_t i = 0; i < from->n; i++) {
                if (array_grow(paths, *n, sizeof(**paths)) < 0)
                        return error_oom(err);
                (*paths)[(*n)++] = from->items[i];
        }
        return 0;
}

static int translate_container(const struct spec *spec, struct arena *arena,
                               const struct translate_policy *policy, struct translated *translated,
                               struct error *err)
{
        struct service_container *container = &translated->container;
        int r = translate_mounts(spec, arena, policy, translated, err);

        container->hostname = spec->hostname;
        container->domainname = spec->domainname;
        container->readonly_root = spec->rootfs_readonly;
        if (r == 0)
                r = add_sysctls(spec, arena, container, err);
        if (r == 0)
                r = add_paths(&spec->linux.masked_paths, &container->masked_paths, &container->n_masked_paths,
                              err);
        if (r == 0)
                r = add_paths(&spec->linux.readonly_paths, &container->readonly_paths,
                              &container->n_readonly_paths, err);
        return r;
}

/* ---- the process --------------------------------------------------------------------------------------- */

static int add_filter(const struct spec *spec, struct arena *arena, const struct translate_policy *policy,
                      struct service_process *process, struct error *err)
{
        struct plan_seccomp program = {0};

        if (!spec->linux.seccomp)
                return 0;
        int r = seccomp_compile(spec->linux.seccomp, NULL, arena, policy->log, &program, err);
        if (r < 0)
                return r;
        /* Without its listener the rest of the filter stays in force; calls that it would decide fail. */
        if (program.has_notify)
                r = translate_refuse(policy, err, "a seccomp listener");
        if (r < 0)
                return r;
        process->filter = calloc(program.n, sizeof(*process->filter));
        if (!process->filter)
                return error_oom(err);
        memcpy(process->filter, program.filter, program.n * sizeof(*process->filter));
        process->n_filter = program.n;
        process->filter_flags = program.flags & ~(unsigned)SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
        process->has_filter = true;
        return 0;
}

static int add_lists(const struct spec_process *from, struct service_process *process, struct error *err)
{
        for (size_t i = 0; i < from->n_additional_gids; i++) {
                if (array_grow(&process->groups, process->n_groups, sizeof(*process->groups)) < 0)
                        return error_oom(err);
                process->groups[process->n_groups++] = from->additional_gids[i];
        }
        for (size_t i = 0; i < from->n_rlimits; i++) {
                const struct spec_rlimit *limit = &from->rlimits[i];
                if (array_grow(&process->limits, process->n_limits, sizeof(*process->limits)) < 0)
                        return error_oom(err);
                process->limits[process->n_limits++] =
                        (struct service_limit){(uint32_t)limit->resource, limit->soft, limit->hard};
        }
        return 0;
}

/* All but arguments, environment, terminal and filter. */
static int fill_process(const struct spec_process *from, struct service_process *process, struct error *err)
{
        const struct spec_capabilities *c = &from->capabilities;

        process->cwd = from->cwd;
        process->uid = from->uid;
        process->gid = from->gid;
        process->umask = from->has_umask ? from->umask & 0777 : DEFAULT_UMASK;
        process->no_new_privileges = from->no_new_privileges;
        if (from->has_capabilities) {
                const uint64_t sets[SERVICE_CAPABILITY_SETS] = {c->bounding, c->effective, c->inheritable,
                                                                c->permitted, c->ambient};
                memcpy(process->capabilities, sets, sizeof(sets));
        }
        process->has_oom_score = from->oom_score_adj.set;
        process->oom_score = (int32_t)from->oom_score_adj.value;
        return add_lists(from, process, err);
}

static int translate_process(const struct spec *spec, struct arena *arena,
                             const struct translate_policy *policy, struct translated *translated,
                             struct error *err)
{
        int r = translate_check_process(spec->process, policy, err);

        translated->terminal = spec->process->terminal;
        if (r == 0)
                r = fill_process(spec->process, &translated->process, err);
        return r < 0 ? r : add_filter(spec, arena, policy, &translated->process, err);
}

int translate_further(const struct spec_process *from, const struct translated *container,
                      struct service_process *ret_process, struct error *err)
{
        const struct translate_policy policy = {.leave_out = container->allows_unenforced};
        const struct service_process *first = &container->process;
        struct service_process process = {0};
        int r = translate_check_process(from, &policy, err);

        if (r == 0)
                r = fill_process(from, &process, err);
        if (r == 0 && first->has_filter) {
                process.filter = calloc(first->n_filter, sizeof(*process.filter));
                r = process.filter ? 0 : error_oom(err);
        }
        if (r < 0) {
                service_process_done(&process);
                return r;
        }
        if (first->has_filter) {
                memcpy(process.filter, first->filter, first->n_filter * sizeof(*process.filter));
                process.n_filter = first->n_filter;
                process.filter_flags = first->filter_flags;
                process.has_filter = true;
        }
        *ret_process = process;
        return 0;
}

/* ---- the machine --------------------------------------------------------------------------------------- */

static int add_ids(const struct spec_id_mappings *from, struct ramdisk_id_range **ranges, size_t *n,
                   struct error *err)
{
        for (size_t i = 0; i < from->n; i++) {
                const struct spec_id_mapping *m = &from->items[i];
                if (array_grow(ranges, *n, sizeof(**ranges)) < 0)
                        return error_oom(err);
                (*ranges)[(*n)++] = (struct ramdisk_id_range){m->host_id, m->container_id, m->size};
        }
        return 0;
}

int translate(const struct spec *spec, struct arena *arena, const struct log *log,
              struct translated *ret_translated, struct error *err)
{
        const struct translate_policy policy = {
                .leave_out = translate_allows(spec, "enclave.vm.allow-unenforced"), .log = log};
        cleanup_translated struct translated translated = {.allows_unenforced = policy.leave_out};

        if (!spec->process)
                return error_set(err, -EINVAL, "config.json gives no process for the enclave");
        int r = translate_check(spec, &policy, err);
        if (r == 0)
                r = translate_container(spec, arena, &policy, &translated, err);
        if (r == 0)
                r = translate_process(spec, arena, &policy, &translated, err);
        if (r == 0)
                r = translate_resources(&spec->linux.resources, arena, &policy, &translated, err);
        if (r == 0)
                r = add_ids(&spec->linux.uid_mappings, &translated.uids, &translated.n_uids, err);
        if (r == 0)
                r = add_ids(&spec->linux.gid_mappings, &translated.gids, &translated.n_gids, err);
        if (r < 0)
                return r;
        *ret_translated = translated;
        translated = (struct translated){0};
        return 0;
}
