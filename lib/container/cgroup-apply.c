/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits: who has which controller, and the small controllers.  The large ones have a file each
 * (cgroup-memory.c, cgroup-cpu.c, cgroup-cpuset.c, cgroup-io.c, cgroup-devices.c).
 *
 * What a setting needs and the host lacks is an error that names both: a limit that is quietly not there is
 * worse than none asked for.  Only a setting that says "no limit" can do without.
 *
 * Source: runtime-spec config-linux.md "Control groups"; kernel Documentation/admin-guide/cgroup-v1/ and
 * cgroup-v2.rst.
 */
#include "lib/container/cgroup-internal.h"

#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What a v2 group has of controllers is asked once. */
static unsigned controllers_of(struct cgroup_hierarchy *h)
{
        char text[512];

        if (h->unified && !h->asked) {
                ssize_t n = cgroup_file_read(h, "cgroup.controllers", text, sizeof(text));
                h->controllers = n < 0 ? 0 : cgroup_controllers_of(view_of_string(text), " \n");
                h->asked = true;
        }
        return h->controllers;
}

struct cgroup_hierarchy *cgroup_with(struct cgroup *cgroup, enum cgroup_controller controller)
{
        for (size_t i = 0; i < cgroup->n; i++) {
                struct cgroup_hierarchy *h = &cgroup->hierarchies[i];
                if (h->path && controllers_of(h) & (1u << controller))
                        return h;
        }
        return NULL;
}

int cgroup_require(struct cgroup *cgroup, enum cgroup_controller controller, const char *setting,
                   struct cgroup_hierarchy **ret_hierarchy, struct error *err)
{
        const char *name = cgroup_controller_name(controller, cgroup->unified);

        *ret_hierarchy = cgroup_with(cgroup, controller);
        if (*ret_hierarchy)
                return 0;
        if (cgroup->n == 0 || cgroup->rootless)
                return error_set(err, -ENOTSUP,
                                 "cannot set %s limit: container could not join or create cgroup", name);
        if (cgroup->unified)
                return error_set(
                        err, -ENOTSUP,
                        "resources.%s: controller \"%s\" is not available in %s%s; the groups above it "
                        "don't pass it on (cgroup.subtree_control)",
                        setting, name, cgroup->hierarchies[0].mountpoint, cgroup->hierarchies[0].path);
        return error_set(err, -ENOTSUP, "resources.%s: the host has no cgroup controller \"%s\"", setting,
                         name);
}

int cgroup_apply_pids(struct cgroup *cgroup, const struct spec_resources *resources, struct error *err)
{
        struct cgroup_hierarchy *h;
        int64_t limit = resources->pids_limit.value;
        int r;

        if (!resources->pids_limit.set)
                return 0;
        if (limit < 0 && !cgroup_with(cgroup, CGROUP_PIDS))
                return 0;
        r = cgroup_require(cgroup, CGROUP_PIDS, "pids.limit", &h, err);
        if (r < 0)
                return r;
        /* 0 is "no further process"; the first may be cloned into the group, and so is one further. */
        return cgroup_file_set_limit(h, "pids.max", limit == 0 ? 1 : limit, "max", err);
}

/* A page size as the kernel names its files by it: "2MB". */
static bool page_size_ok(const char *text)
{
        size_t n = 0;

        while (isdigit((unsigned char)text[n]))
                n++;
        return n > 0 && n < 16 &&
               (strcmp(text + n, "KB") == 0 || strcmp(text + n, "MB") == 0 || strcmp(text + n, "GB") == 0);
}

int cgroup_apply_hugetlb(struct cgroup *cgroup, const struct spec_resources *resources, struct error *err)
{
        struct cgroup_hierarchy *h;
        char file[64], value[32];
        int r;

        for (size_t i = 0; i < resources->n_hugepage_limits; i++) {
                const struct spec_hugepage_limit *limit = &resources->hugepage_limits[i];
                r = cgroup_require(cgroup, CGROUP_HUGETLB, "hugepageLimits", &h, err);
                if (r < 0)
                        return r;
                if (!page_size_ok(limit->page_size))
                        return error_set(err, -EINVAL,
                                         "resources.hugepageLimits: \"%s\" is no page size; one is 2MB",
                                         limit->page_size);
                const char *suffix = h->unified ? "max" : "limit_in_bytes";
                snprintf(value, sizeof(value), "%" PRIu64, limit->limit);
                snprintf(file, sizeof(file), "hugetlb.%s.%s", limit->page_size, suffix);
                r = cgroup_file_set(h, file, value, err);
                if (r < 0)
                        return r;
                /* Reservations, too, where the kernel counts them (Linux 5.7). */
                snprintf(file, sizeof(file), "hugetlb.%s.rsvd.%s", limit->page_size, suffix);
                r = cgroup_file_write(h, file, value);
                if (r < 0 && r != -ENOENT)
                        return cgroup_file_error(h, file, value, r, err);
        }
        return 0;
}

/* The hierarchy of a controller that is in v1 only. */
static int require_v1(struct cgroup *cgroup, enum cgroup_controller controller, const char *setting,
                      struct cgroup_hierarchy **ret_hierarchy, struct error *err)
{
        if (cgroup->unified)
                return error_set(err, -ENOTSUP, "resources.%s: cgroup v2 has no such limit", setting);
        return cgroup_require(cgroup, controller, setting, ret_hierarchy, err);
}

int cgroup_apply_network(struct cgroup *cgroup, const struct spec_resources *resources, struct error *err)
{
        struct cgroup_hierarchy *h;
        char text[64];
        int r;

        if (resources->network_class_id.set && resources->network_class_id.value) {
                r = require_v1(cgroup, CGROUP_NET_CLS, "network.classID", &h, err);
                if (r >= 0)
                        r = cgroup_file_set_u64(h, "net_cls.classid", resources->network_class_id.value, err);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < resources->n_network_priorities; i++) {
                const struct spec_interface_priority *p = &resources->network_priorities[i];
                r = require_v1(cgroup, CGROUP_NET_PRIO, "network.priorities", &h, err);
                if (r < 0)
                        return r;
                if (strlen(p->name) > 15 || strpbrk(p->name, " \n/"))
                        return error_set(err, -EINVAL,
                                         "resources.network.priorities: \"%s\" is no interface's name",
                                         p->name);
                snprintf(text, sizeof(text), "%s %u", p->name, p->priority);
                r = cgroup_file_set(h, "net_prio.ifpriomap", text, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

int cgroup_apply_rdma(struct cgroup *cgroup, const struct spec_resources *resources, struct error *err)
{
        struct cgroup_hierarchy *h;
        char text[256], handles[48], objects[48];

        for (size_t i = 0; i < resources->n_rdma; i++) {
                const struct spec_rdma *device = &resources->rdma[i];
                int r = cgroup_require(cgroup, CGROUP_RDMA, "rdma", &h, err);
                if (r < 0)
                        return r;
                handles[0] = objects[0] = 0;
                if (device->hca_handles.set)
                        snprintf(handles, sizeof(handles), " hca_handle=%" PRIu64, device->hca_handles.value);
                if (device->hca_objects.set)
                        snprintf(objects, sizeof(objects), " hca_object=%" PRIu64, device->hca_objects.value);
                if (strlen(device->device) > 64 || strpbrk(device->device, " \n"))
                        return error_set(err, -EINVAL, "resources.rdma: \"%s\" is no device's name",
                                         device->device);
                snprintf(text, sizeof(text), "%s%s%s", device->device, handles, objects);
                r = cgroup_file_set(h, "rdma.max", text, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Each line is a write of its own: io.max takes one device at a time. */
static int write_lines(struct cgroup_hierarchy *h, const struct spec_pair *pair)
{
        cleanup_fd int fd = cgroup_file_open(h, pair->key, O_WRONLY);

        if (fd < 0)
                return fd;
        for (const char *line = pair->value; *line;) {
                size_t n = strcspn(line, "\n");
                int r = n > 0 ? fd_write_full(fd, line, n) : 0;
                if (r < 0)
                        return r;
                line += n;
                line += *line == '\n';
        }
        return 0;
}

static int apply_unified_pair(struct cgroup_hierarchy *h, const struct spec_pair *pair, struct error *err)
{
        const char *dot = strchr(pair->key, '.');
        char controllers[512], padded[600], wanted[80];
        int r;

        if (strchr(pair->key, '/') || !*pair->key)
                return error_set(err, -EINVAL, "unified resource \"%s\" must be a file name (no slashes)",
                                 pair->key);
        r = write_lines(h, pair);
        if (r >= 0)
                return 0;
        if (r == -ENOENT || r == -EPERM || r == -EACCES) {
                if (!dot)
                        return error_set(err, -EINVAL,
                                         "unified resource \"%s\" must be in the form CONTROLLER.PARAMETER",
                                         pair->key);
                int n = (int)(dot - pair->key);
                snprintf(wanted, sizeof(wanted), " %.*s ", n, pair->key);
                if (cgroup_file_read(h, "cgroup.controllers", controllers, sizeof(controllers)) < 0)
                        controllers[0] = 0;
                controllers[strcspn(controllers, "\n")] = 0;
                snprintf(padded, sizeof(padded), " %s ", controllers);
                if (strcmp(wanted, " cgroup ") != 0 && !strstr(padded, wanted))
                        return error_set(
                                err, -ENOTSUP,
                                "unified resource \"%s\" can't be set: controller \"%.*s\" not available",
                                pair->key, n, pair->key);
        }
        cgroup_file_error(h, pair->key, pair->value, r, err);
        error_wrap(err, "unable to set unified resource \"%s\"", pair->key);
        return r;
}

int cgroup_apply_unified(struct cgroup *cgroup, const struct spec_resources *resources, struct error *err)
{
        if (resources->unified.n == 0)
                return 0;
        if (!cgroup->unified)
                return error_set(err, -EINVAL, "invalid configuration: cannot use unified on cgroup v1");
        if (cgroup->n == 0)
                return error_set(err, -ENOTSUP,
                                 "cannot set unified limit: container could not join or create cgroup");
        for (size_t i = 0; i < resources->unified.n; i++) {
                int r = apply_unified_pair(&cgroup->hierarchies[0], &resources->unified.items[i], err);
                if (r < 0)
                        return r;
        }
        return 0;
}

bool cgroup_resources_ask(const struct spec_resources *resources)
{
        const struct spec_memory *m = &resources->memory;
        const struct spec_cpu *c = &resources->cpu;
        const struct spec_block_io *io = &resources->block_io;

        return (m->limit.set && m->limit.value > 0) || (m->swap.set && m->swap.value > 0) ||
               (m->reservation.set && m->reservation.value > 0) || (c->shares.set && c->shares.value) ||
               (c->quota.set && c->quota.value > 0) || (c->period.set && c->period.value) || c->burst.set ||
               c->idle.set || c->cpus || c->mems ||
               (resources->pids_limit.set && resources->pids_limit.value >= 0) ||
               (io->weight.set && io->weight.value) || io->n_weight_devices || io->read_bps.n ||
               io->write_bps.n || io->read_iops.n || io->write_iops.n || resources->n_hugepage_limits ||
               resources->n_rdma || resources->unified.n;
}

int cgroup_fs_apply(struct cgroup *cgroup, const struct spec_resources *resources, struct error *err)
{
        /* Devices first: from then on nothing in the group can do what it may not. `unified` last: it is the
         * last word on v2. */
        static int (*const facilities[])(struct cgroup *, const struct spec_resources *, struct error *) = {
                cgroup_apply_devices, cgroup_apply_memory,  cgroup_apply_cpu,     cgroup_apply_cpuset,
                cgroup_apply_pids,    cgroup_apply_io,      cgroup_apply_hugetlb, cgroup_apply_network,
                cgroup_apply_rdma,    cgroup_apply_unified,
        };

        for (size_t i = 0; i < ARRAY_SIZE(facilities); i++) {
                int r = facilities[i](cgroup, resources, err);
                if (r < 0)
                        return r;
        }
        cgroup->fresh = false;
        return 0;
}
