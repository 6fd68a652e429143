/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The OOM killer: how often it came, and a descriptor that tells when to look again.  In v1 the kernel counts
 * up an eventfd that was registered for memory.oom_control; in v2 memory.events can be polled.
 */
#include "lib/container/cgroup-internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>

int cgroup_oom_events(struct cgroup *cgroup, int *ret_fd, struct error *err)
{
        struct cgroup_hierarchy *h;
        char text[48];
        int r = cgroup_require(cgroup, CGROUP_MEMORY, "memory", &h, err);

        if (r < 0)
                return r;
        if (h->unified) {
                r = cgroup_file_open(h, "memory.events", O_RDONLY);
                if (r < 0)
                        return cgroup_file_error(h, "memory.events", NULL, r, err);
                *ret_fd = r;
                return 0;
        }
        cleanup_fd int control = cgroup_file_open(h, "memory.oom_control", O_RDONLY);
        if (control < 0)
                return cgroup_file_error(h, "memory.oom_control", NULL, control, err);
        cleanup_fd int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (event < 0)
                return error_errno(err, errno, "eventfd");
        snprintf(text, sizeof(text), "%d %d", event, control);
        r = cgroup_file_set(h, "cgroup.event_control", text, err);
        if (r < 0)
                return r;
        *ret_fd = take_fd(&event);
        return 0;
}

int cgroup_oom_count(struct cgroup *cgroup, uint64_t *ret_count, struct error *err)
{
        struct cgroup_hierarchy *h;
        int r = cgroup_require(cgroup, CGROUP_MEMORY, "memory", &h, err);

        if (r < 0)
                return r;
        const char *file = h->unified ? "memory.events" : "memory.oom_control";
        r = cgroup_file_read_key(h, file, "oom_kill", ret_count);
        return r < 0 ? cgroup_file_error(h, file, NULL, r, err) : 0;
}
