/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-cgroup.c - hostile tables of the host: up to the first NUL what stands for /proc/self/cgroup, behind
 * it what stands for /proc/self/mountinfo; and the cgroup of a hostile state file, where that is JSON.
 */
#include "lib/base/fd.h"
#include "lib/container/cgroup-internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A file of this content, whose name is valid while the descriptor is open. */
static int file_of(struct view content, char ret_path[64])
{
        int fd = memfd_create("fuzz-cgroup", MFD_CLOEXEC);

        if (fd < 0 || fd_pwrite_full(fd, content.p, content.n, 0) < 0)
                abort();
        snprintf(ret_path, 64, "/proc/self/fd/%d", fd);
        return fd;
}

static void read_tables(struct view self_text, struct view mount_text)
{
        char self_cgroup[64], mountinfo[64];
        cleanup_fd int self_fd __attribute__((unused)) = file_of(self_text, self_cgroup);
        cleanup_fd int mount_fd __attribute__((unused)) = file_of(mount_text, mountinfo);
        struct cgroup_sources sources = {"/nonexistent", self_cgroup, mountinfo};
        struct cgroup cgroup = {.n = 0};
        struct error err;

        (void)cgroup_find_hierarchies(&cgroup, &sources, &err);
        for (size_t i = 0; i < cgroup.n; i++) {
                char clean[CGROUP_PATH_MAX];
                struct cgroup_hierarchy *h = &cgroup.hierarchies[i];
                /* A path that is taken over stays where it is. */
                if (h->own && cgroup_clean_path(h->own, clean, &err) == 0 && strstr(clean, "/../"))
                        abort();
                cgroup_hierarchy_done(h);
        }
}

static void read_state(struct view text)
{
        json_t *json = json_loadb((const char *)text.p, text.n, JSON_DECODE_ANY, NULL);
        cleanup_cgroup struct cgroup *cgroup = NULL;
        struct error err;

        if (json && cgroup_from_json(json, NULL, &cgroup, &err) == 0) {
                json_t *again = cgroup_to_json(cgroup);
                if (!again)
                        abort();
                json_decref(again);
        }
        json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const uint8_t *end = size ? memchr(data, 0, size) : NULL;
        size_t n = end ? (size_t)(end - data) : size;

        read_tables(view_of(data, n), end ? view_of(end + 1, size - n - 1) : view_of(NULL, 0));
        read_state(view_of(data, size));
        return 0;
}
