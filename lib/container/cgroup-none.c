/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No group of the container's own: its processes stay where their starter is.  An engine asks for it
 * (--cgroup-manager=disabled; Podman's --cgroups=disabled and, where the machine delegates nothing to
 * users, its rootless containers), and then gives no limits.
 */
#include "lib/container/cgroup-internal.h"

static int none_create(struct cgroup *cgroup, const struct cgroup_request *request, struct error *err)
{
        (void)request;
        (void)err;
        while (cgroup->n > 0)
                cgroup_hierarchy_done(&cgroup->hierarchies[--cgroup->n]);
        return 0;
}

static int none_enter(struct cgroup *cgroup, pid_t pid, struct error *err)
{
        (void)cgroup;
        (void)pid;
        (void)err;
        return 0;
}

/* Device rules come in every configuration, and so don't count as a limit that somebody relies on. */
static int none_apply(struct cgroup *cgroup, const struct spec_resources *resources, struct error *err)
{
        (void)err;
        if (cgroup_resources_ask(resources))
                log_warning(cgroup->log,
                            "no limit is set: control groups are switched off by --cgroup-manager");
        return 0;
}

static int none_destroy(struct cgroup *cgroup, struct error *err)
{
        (void)cgroup;
        (void)err;
        return 0;
}

const struct cgroup_driver cgroup_none_driver = {
        .name = "disabled",
        .create = none_create,
        .enter = none_enter,
        .apply = none_apply,
        .destroy = none_destroy,
};
