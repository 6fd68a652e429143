/* SPDX-License-Identifier: Apache-2.0 */
#include "pal/vm/translate-refuse.h"

#include "lib/base/array.h"
#include "lib/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

bool translate_allows(const struct spec *spec, const char *annotation)
{
        const char *value = spec_annotation(spec, annotation);

        return value && strcmp(value, "true") == 0;
}

int translate_refuse(const struct translate_policy *policy, struct error *err, const char *format, ...)
{
        char what[512];
        va_list list;

        va_start(list, format);
        (void)vsnprintf(what, sizeof(what), format, list);
        va_end(list);
        if (policy->leave_out) {
                log_warning(policy->log, "%s: left out, as an enclave can't have it", what);
                return 0;
        }
        return error_set(err, -ENOTSUP,
                         "%s: an enclave can't have this; the annotation enclave.vm.allow-unenforced=true "
                         "leaves it out",
                         what);
}

/* ---- the container ------------------------------------------------------------------------------------- */

/* Those that every container has anyway: init makes them by these numbers. */
static bool is_default_device(const struct spec_device *device)
{
        static const struct {
                const char *path;
                unsigned major, minor;
        } defaults[] = {
                {"/dev/null", 1, 3},    {"/dev/zero", 1, 5}, {"/dev/full", 1, 7}, {"/dev/random", 1, 8},
                {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0},  {"/dev/ptmx", 5, 2},
        };

        for (size_t i = 0; i < ARRAY_SIZE(defaults); i++) {
                if (strcmp(device->path, defaults[i].path) == 0)
                        return S_ISCHR(device->type) && device->major == defaults[i].major &&
                               device->minor == defaults[i].minor;
        }
        return false;
}

static int check_devices(const struct spec_linux *linux, const struct translate_policy *policy,
                         struct error *err)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < linux->n_devices; i++) {
                if (!is_default_device(&linux->devices[i]))
                        r = translate_refuse(policy, err, "device %s", linux->devices[i].path);
        }
        return r;
}

/* Whoever shares a namespace with others is to meet them there.  A network namespace is none of these: the
 * enclave has no network but its own, and so less than the namespace would give. */
static int check_namespaces(const struct spec_linux *linux, const struct translate_policy *policy,
                            struct error *err)
{
        static const enum spec_namespace_type shared[] = {
                SPEC_NAMESPACE_USER,   SPEC_NAMESPACE_PID,  SPEC_NAMESPACE_IPC,  SPEC_NAMESPACE_UTS,
                SPEC_NAMESPACE_CGROUP, SPEC_NAMESPACE_TIME, SPEC_NAMESPACE_MOUNT};
        int r = 0;

        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(shared); i++) {
                const char *path = linux->namespaces[shared[i]].path;
                if (path)
                        r = translate_refuse(policy, err, "joining the namespace %s", path);
        }
        return r;
}

int translate_check(const struct spec *spec, const struct translate_policy *policy, struct error *err)
{
        const struct spec_linux *linux = &spec->linux;
        const struct {
                const char *name;
                bool wanted;
        } members[] = {
                {"vm", spec->has_vm},
                {"linux.timeOffsets", linux->monotonic.set || linux->boottime.set},
                {"linux.netDevices", linux->n_net_devices > 0},
                {"linux.personality", linux->has_personality && linux->personality != 0},
                {"linux.memoryPolicy", linux->memory_policy != NULL},
                {"linux.intelRdt", linux->intel_rdt != NULL},
                {"a hook createContainer in the enclave", spec->hooks.create_container.n > 0},
                {"a hook startContainer in the enclave", spec->hooks.start_container.n > 0},
        };
        int r = check_devices(linux, policy, err);

        if (r == 0)
                r = check_namespaces(linux, policy, err);
        for (size_t i = 0; r == 0 && i < ARRAY_SIZE(members); i++) {
                if (members[i].wanted)
                        r = translate_refuse(policy, err, "%s", members[i].name);
        }
        return r;
}

/* ---- a process ----------------------------------------------------------------------------------------- */

/* The profiles that engines give to every container: they guard the host, which the machine does here. */
static bool guards_the_host(const char *profile)
{
        static const char *const defaults[] = {"unconfined", "docker-default", "cri-containerd.apparmor.d",
                                               "crio-default", "nerdctl-default"};

        for (size_t i = 0; i < ARRAY_SIZE(defaults); i++) {
                if (strcmp(profile, defaults[i]) == 0)
                        return true;
        }
        return string_starts_with(profile, "containers-default-"); /* Podman's, with its version behind */
}

/* The same of SELinux: user:role:TYPE:level with one of the types for containers in general. */
static bool is_type_of_containers(const char *label)
{
        static const char *const types[] = {"container_t", "container_init_t", "container_kvm_t",
                                            "svirt_lxc_net_t", "spc_t"};
        const char *type = strchr(label, ':');

        type = type ? strchr(type + 1, ':') : NULL;
        if (!type++)
                return false;
        for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
                size_t n = strlen(types[i]);
                if (strncmp(type, types[i], n) == 0 && (type[n] == ':' || type[n] == '\0'))
                        return true;
        }
        return false;
}

int translate_check_process(const struct spec_process *process, const struct translate_policy *policy,
                            struct error *err)
{
        const char *profile = process->apparmor_profile, *label = process->selinux_label;
        int r = 0;

        if (process->scheduler)
                r = translate_refuse(policy, err, "process.scheduler");
        if (r == 0 && process->has_io_priority)
                r = translate_refuse(policy, err, "process.ioPriority");
        if (r == 0 && (process->exec_cpu_affinity_initial || process->exec_cpu_affinity_final))
                r = translate_refuse(policy, err, "process.execCPUAffinity");
        if (r == 0 && profile && *profile && !guards_the_host(profile))
                r = translate_refuse(policy, err, "the AppArmor profile %s", profile);
        if (r == 0 && label && *label && !is_type_of_containers(label))
                r = translate_refuse(policy, err, "the SELinux label %s", label);
        return r;
}
