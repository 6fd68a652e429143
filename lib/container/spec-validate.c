/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/spec-validate.h"

#include "lib/base/cleanup.h"
#include "lib/base/text.h"

#include <linux/mempolicy.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

/* Linux 6.9. */
enum { MPOL_WEIGHTED_INTERLEAVE_MODE = 6 };

static int refuse(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "config.json: " and the text, fit for a terminal. */
static int refuse(struct error *err, const char *format, ...)
{
        cleanup_buf struct buf text = buf_with_max((size_t)8 * ERROR_TEXT_MAX);
        char raw[ERROR_TEXT_MAX];
        va_list args;

        va_start(args, format);
        (void)vsnprintf(raw, sizeof(raw), format, args);
        va_end(args);
        (void)text_append_printable(view_of_string(raw), "", &text);
        return error_set(err, -EINVAL, "config.json: %s", buf_string(&text));
}

static bool has(const struct spec *spec, enum spec_namespace_type type)
{
        return spec->linux.namespaces[type].given;
}

/* ---- namespaces ---------------------------------------------------------------------------------------- */

static int check_names(const struct spec *spec, struct error *err)
{
        if (spec->hostname && !has(spec, SPEC_NAMESPACE_UTS))
                return refuse(err, ".hostname: unable to set hostname without a private UTS namespace");
        if (spec->domainname && !has(spec, SPEC_NAMESPACE_UTS))
                return refuse(err, ".domainname: unable to set domainname without a private UTS namespace");
        return 0;
}

static int check_hidden_paths(const struct spec *spec, struct error *err)
{
        const char *member = spec->linux.masked_paths.n ? "maskedPaths" : "readonlyPaths";

        if (has(spec, SPEC_NAMESPACE_MOUNT) || spec->linux.masked_paths.n + spec->linux.readonly_paths.n == 0)
                return 0;
        return refuse(err, ".linux.%s: unable to restrict sys entries without a private MNT namespace",
                      member);
}

static int check_user_namespace(const struct spec *spec, struct error *err)
{
        const struct spec_linux *linux = &spec->linux;
        size_t mappings = linux->uid_mappings.n + linux->gid_mappings.n;

        if (has(spec, SPEC_NAMESPACE_USER)) {
                if (!linux->namespaces[SPEC_NAMESPACE_USER].path && mappings == 0)
                        return refuse(err, ".linux.uidMappings: user namespaces enabled, but no namespace "
                                           "path to join nor mappings to apply specified");
                return 0;
        }
        if (mappings)
                return refuse(err,
                              ".linux.%s: user namespace mappings specified, but user namespace isn't "
                              "enabled in the config",
                              linux->uid_mappings.n ? "uidMappings" : "gidMappings");
        return 0;
}

static int check_time_namespace(const struct spec *spec, struct error *err)
{
        if (!spec->linux.monotonic.set && !spec->linux.boottime.set)
                return 0;
        if (!has(spec, SPEC_NAMESPACE_TIME))
                return refuse(err, ".linux.timeOffsets: time namespace offsets specified, but time namespace "
                                   "isn't enabled in the config");
        if (spec->linux.namespaces[SPEC_NAMESPACE_TIME].path)
                return refuse(err, ".linux.timeOffsets: time namespace enabled, but both namespace path and "
                                   "time offsets specified; you may only provide one");
        return 0;
}

/* ---- sysctl -------------------------------------------------------------------------------------------- */

/* sysctl(8): where a slash comes first, slashes separate and dots are part of names. */
static void with_dots(const char *key, char *ret_name, size_t size)
{
        const char *first = strpbrk(key, "./");
        bool swap = first && *first == '/';
        size_t i = 0;

        for (; key[i] && i + 1 < size; i++) {
                ret_name[i] = key[i];
                if (swap && key[i] == '.')
                        ret_name[i] = '/';
                else if (swap && key[i] == '/')
                        ret_name[i] = '.';
        }
        ret_name[i] = '\0';
}

static bool is_ipc_setting(const char *name)
{
        static const char *const names[] = {"kernel.msgmax", "kernel.msgmnb",         "kernel.msgmni",
                                            "kernel.sem",    "kernel.shmall",         "kernel.shmmax",
                                            "kernel.shmmni", "kernel.shm_rmid_forced"};

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (strcmp(name, names[i]) == 0)
                        return true;
        return string_starts_with(name, "fs.mqueue.");
}

static int check_network_setting(const struct spec *spec, const char *key, struct error *err)
{
        const struct spec_namespace *network = &spec->linux.namespaces[SPEC_NAMESPACE_NETWORK];
        struct stat ours, theirs;

        if (network->given && !network->path)
                return 0;
        if (network->given) {
                if (stat("/proc/self/ns/net", &ours) < 0)
                        return error_errno(err, errno, "/proc/self/ns/net");
                if (stat(network->path, &theirs) < 0)
                        return error_errno(err, errno, "invalid netns path: %s", network->path);
                if (ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino)
                        return 0;
        }
        return refuse(err, ".linux.sysctl[\"%s\"]: sysctl \"%s\" not allowed in host network namespace", key,
                      key);
}

/* What is a part of a name, ".." with dots for slashes: it leads from settings that are allowed to others. */
static bool steps_up(const char *name)
{
        for (const char *p = name; *p; p += *p == '.') {
                size_t n = strcspn(p, ".");
                if (n == 2 && memcmp(p, "//", 2) == 0)
                        return true;
                p += n;
        }
        return false;
}

static int check_setting(const struct spec *spec, const char *key, struct error *err)
{
        char name[256];

        with_dots(key, name, sizeof(name));
        if (strlen(key) >= sizeof(name) || steps_up(name))
                return refuse(err, ".linux.sysctl[\"%s\"]: sysctl \"%s\" is no name of a setting", key, key);
        if (is_ipc_setting(name)) {
                if (has(spec, SPEC_NAMESPACE_IPC))
                        return 0;
                return refuse(err,
                              ".linux.sysctl[\"%s\"]: sysctl \"%s\" is not allowed in the hosts ipc "
                              "namespace",
                              key, key);
        }
        if (string_starts_with(name, "net."))
                return check_network_setting(spec, key, err);
        if (has(spec, SPEC_NAMESPACE_UTS) && strcmp(name, "kernel.domainname") == 0)
                return 0;
        if (has(spec, SPEC_NAMESPACE_UTS) && strcmp(name, "kernel.hostname") == 0)
                return refuse(err,
                              ".linux.sysctl[\"%s\"]: sysctl \"%s\" is not allowed as it conflicts with "
                              "the OCI \"hostname\" field",
                              key, key);
        if (string_starts_with(name, "user.")) {
                if (has(spec, SPEC_NAMESPACE_USER))
                        return 0;
                return refuse(err,
                              ".linux.sysctl[\"%s\"]: setting ucounts without a user namespace not "
                              "allowed",
                              key);
        }
        return refuse(err, ".linux.sysctl[\"%s\"]: sysctl \"%s\" is not in a separate kernel namespace", key,
                      key);
}

static int check_sysctl(const struct spec *spec, struct error *err)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < spec->linux.sysctl.n; i++)
                r = check_setting(spec, spec->linux.sysctl.items[i].key, err);
        return r;
}

/* ---- devices, mounts ----------------------------------------------------------------------------------- */

/* As the kernel has it (dev_valid_name()). */
static bool is_network_name(const char *name)
{
        return strlen(name) > 0 && strlen(name) < 16 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
               !strpbrk(name, "/: \t\n\v\f\r");
}

static int check_net_devices(const struct spec *spec, struct error *err)
{
        const struct spec_linux *linux = &spec->linux;

        if (linux->n_net_devices > 0 && !has(spec, SPEC_NAMESPACE_NETWORK))
                return refuse(err, ".linux.netDevices: unable to move network devices without a NET "
                                   "namespace");
        for (size_t i = 0; i < linux->n_net_devices; i++) {
                const struct spec_net_device *device = &linux->net_devices[i];

                if (!is_network_name(device->host_name))
                        return refuse(err, ".linux.netDevices[\"%s\"]: invalid network device name \"%s\"",
                                      device->host_name, device->host_name);
                if (!is_network_name(device->name))
                        return refuse(err,
                                      ".linux.netDevices[\"%s\"].name: invalid network device name "
                                      "\"%s\"",
                                      device->host_name, device->name);
        }
        return 0;
}

static int check_mount(const struct spec *spec, size_t i, const struct log *log, struct error *err)
{
        const struct spec_mount *mount = &spec->mounts[i];
        bool is_bind = mount->features & SPEC_MOUNT_BIND;

        if (*mount->destination != '/')
                log_warning(log,
                            "config.json: .mounts[%zu].destination: mount destination %s is not absolute; "
                            "it counts from /",
                            i, mount->destination);
        if (is_bind && mount->data)
                return refuse(err,
                              ".mounts[%zu].options: bind mounts cannot have any filesystem-specific "
                              "options applied: %s",
                              i, mount->data);
        if (!(mount->features & (SPEC_MOUNT_IDMAP | SPEC_MOUNT_RIDMAP)))
                return 0;
        if (!is_bind)
                return refuse(err, ".mounts[%zu]: id-mapped mounts are only supported for bind-mounts", i);
        if ((mount->uid_mappings.n == 0) != (mount->gid_mappings.n == 0) ||
            (mount->uid_mappings.n == 0 && !has(spec, SPEC_NAMESPACE_USER)))
                return refuse(err,
                              ".mounts[%zu]: id-mapped mounts must have both uid and gid mappings "
                              "specified",
                              i);
        return 0;
}

static int check_mounts(const struct spec *spec, const struct log *log, struct error *err)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < spec->n_mounts; i++)
                r = check_mount(spec, i, log, err);
        return r;
}

/* ---- process ------------------------------------------------------------------------------------------- */

/* sched_setattr(2). */
static int check_scheduler(const struct spec *spec, struct error *err)
{
        const struct spec_scheduler *s = spec->process ? spec->process->scheduler : NULL;

        if (!s)
                return 0;
        if ((s->policy == SCHED_NORMAL || s->policy == SCHED_BATCH) && (s->nice < -20 || s->nice > 19))
                return refuse(err, ".process.scheduler.nice: invalid scheduler.nice: %d", s->nice);
        if (s->priority && s->policy != SCHED_FIFO && s->policy != SCHED_RR)
                return refuse(err, ".process.scheduler.priority: scheduler.priority can only be specified "
                                   "for SCHED_FIFO or SCHED_RR policy");
        if (s->policy != SCHED_DEADLINE && (s->runtime || s->deadline || s->period))
                return refuse(err, ".process.scheduler: scheduler runtime/deadline/period can only be "
                                   "specified for SCHED_DEADLINE policy");
        return 0;
}

static size_t count_nodes(const struct spec_memory_policy *policy)
{
        size_t n = 0;

        for (size_t i = 0; i < policy->n_nodes; i++)
                n += (size_t)__builtin_popcountll(policy->nodes[i]);
        return n;
}

static int check_memory_policy(const struct spec *spec, struct error *err)
{
        const struct spec_memory_policy *policy = spec->linux.memory_policy;

        if (!policy)
                return 0;
        switch (policy->mode & ~MPOL_MODE_FLAGS) {
        case MPOL_DEFAULT:
        case MPOL_LOCAL:
                if (policy->n_nodes)
                        return refuse(err,
                                      ".linux.memoryPolicy.nodes: memory policy mode requires 0 nodes but "
                                      "got %zu",
                                      count_nodes(policy));
                return 0;
        case MPOL_BIND:
        case MPOL_INTERLEAVE:
        case MPOL_PREFERRED_MANY:
        case MPOL_WEIGHTED_INTERLEAVE_MODE:
                if (!policy->n_nodes)
                        return refuse(err, ".linux.memoryPolicy.nodes: memory policy mode requires at least "
                                           "one node but got 0");
                return 0;
        default:
                return 0;
        }
}

static int check_intel_rdt(const struct spec *spec, struct error *err)
{
        const char *id = spec->linux.intel_rdt ? spec->linux.intel_rdt->clos_id : NULL;

        if (id && (strcmp(id, ".") == 0 || strcmp(id, "..") == 0 || (strlen(id) > 1 && strchr(id, '/'))))
                return refuse(err, ".linux.intelRdt.closID: invalid intelRdt.ClosID \"%s\"", id);
        return 0;
}

/* A supervisor must be told of; and the call by which the listener itself is handed over can't wait for
 * it. */
static int check_seccomp(const struct spec *spec, struct error *err)
{
        const struct spec_seccomp *seccomp = spec->linux.seccomp;
        bool notifies = false;

        if (!seccomp)
                return 0;
        if (seccomp->default_action == SCMP_ACT_NOTIFY)
                return refuse(err, ".linux.seccomp.defaultAction: SCMP_ACT_NOTIFY cannot be used as default "
                                   "action");
        for (size_t i = 0; i < seccomp->n_rules; i++) {
                const struct spec_seccomp_rule *rule = &seccomp->rules[i];

                if (rule->action != SCMP_ACT_NOTIFY)
                        continue;
                notifies = true;
                for (size_t j = 0; j < rule->names.n; j++)
                        if (strcmp(rule->names.items[j], "write") == 0)
                                return refuse(err,
                                              ".linux.seccomp.syscalls[%zu].names[%zu]: SCMP_ACT_NOTIFY "
                                              "cannot be used for the write syscall",
                                              i, j);
        }
        if (notifies && !seccomp->listener_path)
                return refuse(err, ".linux.seccomp.listenerPath: seccomp listenerPath is not set");
        return 0;
}

/* ---- all of it ----------------------------------------------------------------------------------------- */

int spec_validate(const struct spec *spec, const struct log *log, struct error *err)
{
        static int (*const checks[])(const struct spec *, struct error *) = {
                check_names,     check_hidden_paths, check_user_namespace, check_time_namespace,
                check_sysctl,    check_net_devices,  check_scheduler,      check_memory_policy,
                check_intel_rdt, check_seccomp,
        };

        for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
                int r = checks[i](spec, err);
                if (r < 0)
                        return r;
        }
        return check_mounts(spec, log, err);
}

static bool is_mapped(const struct spec_id_mappings *mappings, uint64_t id)
{
        for (size_t i = 0; i < mappings->n; i++)
                if (id >= mappings->items[i].container_id &&
                    id - mappings->items[i].container_id < mappings->items[i].size)
                        return true;
        return false;
}

/* uid= and gid= of file systems must be ids that the container has. */
static int check_mount_owner(const struct spec *spec, size_t i, const char *option,
                             const struct spec_id_mappings *mappings, struct error *err)
{
        const char *at = spec->mounts[i].data;
        char digits[12];
        uint64_t id;

        for (; at && *at; at = strchr(at, ','), at = at ? at + 1 : NULL) {
                if (!string_starts_with(at, option))
                        continue;
                const char *value = at + strlen(option);
                size_t n = strcspn(value, ",");
                if (n == 0 || n >= sizeof(digits))
                        continue;
                memcpy(digits, value, n);
                digits[n] = '\0';
                if (parse_u64(digits, UINT32_MAX, &id) && !is_mapped(mappings, id))
                        return refuse(err,
                                      ".mounts[%zu].options: cannot specify %s%s mount option for "
                                      "rootless container: it has no such id",
                                      i, option, digits);
        }
        return 0;
}

static int check_rootless_mount(const struct spec *spec, size_t i, struct error *err)
{
        if (spec->mounts[i].features & (SPEC_MOUNT_IDMAP | SPEC_MOUNT_RIDMAP))
                return refuse(err, ".mounts[%zu]: id-mapped mounts are not supported for rootless containers",
                              i);
        if (spec->linux.namespaces[SPEC_NAMESPACE_USER].path)
                return 0;
        int r = check_mount_owner(spec, i, "uid=", &spec->linux.uid_mappings, err);
        return r < 0 ? r : check_mount_owner(spec, i, "gid=", &spec->linux.gid_mappings, err);
}

int spec_validate_rootless(const struct spec *spec, const struct log *log, struct error *err)
{
        const struct spec_namespace *user = &spec->linux.namespaces[SPEC_NAMESPACE_USER];
        int r = spec_validate(spec, log, err);

        if (r < 0)
                return r;
        if (!user->given)
                return refuse(err, ".linux.namespaces: rootless container requires user namespaces");
        if (!user->path && spec->linux.uid_mappings.n == 0)
                return refuse(err, ".linux.uidMappings: rootless containers requires at least one UID "
                                   "mapping");
        if (!user->path && spec->linux.gid_mappings.n == 0)
                return refuse(err, ".linux.gidMappings: rootless containers requires at least one GID "
                                   "mapping");
        if (spec->linux.n_net_devices > 0)
                return refuse(err, ".linux.netDevices: network devices are not supported for rootless "
                                   "containers");
        for (size_t i = 0; r == 0 && i < spec->n_mounts; i++)
                r = check_rootless_mount(spec, i, err);
        return r;
}
