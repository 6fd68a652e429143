/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/init/descriptors.h"

#include "lib/base/cleanup.h"
#include "lib/base/text.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

static unsigned first(const struct plan *plan)
{
        return 3 + (unsigned)plan->preserve_fds;
}

static bool is_kept(const int *keep, size_t n, int fd)
{
        for (size_t i = 0; i < n; i++)
                if (keep[i] == fd)
                        return true;
        return false;
}

/* What there is without close_range(2) (5.9; its flag: 5.11), or under a filter that doesn't know it. */
static int do_each(const struct plan *plan, const int *keep, size_t n, void (*act)(int fd))
{
        int list = openat(plan->host_proc_fd, "self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cleanup_dir DIR *dir = list < 0 ? NULL : fdopendir(list);

        if (!dir)
                return -errno;
        for (struct dirent *entry; (entry = readdir(dir));) {
                uint64_t fd;
                if (parse_u64(entry->d_name, INT_MAX, &fd) && fd >= first(plan) && (int)fd != list &&
                    !is_kept(keep, n, (int)fd))
                        act((int)fd);
        }
        return 0;
}

static void set_cloexec(int fd)
{
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static void close_one(int fd)
{
        close(fd);
}

/* True where to do without: ENOSYS and EINVAL are old kernels', EPERM is what filters say. */
static bool is_missing(int code)
{
        return code == -ENOSYS || code == -EINVAL || code == -EPERM;
}

static int range(unsigned from, unsigned to, unsigned flags)
{
        return from <= to && syscall(SYS_close_range, from, to, flags) < 0 ? -errno : 0;
}

int descriptors_set_cloexec(const struct plan *plan, struct error *err)
{
        int r = range(first(plan), ~0U, CLOSE_RANGE_CLOEXEC);

        if (is_missing(r))
                r = do_each(plan, NULL, 0, set_cloexec);
        return r < 0 ? error_errno(err, -r, "keep descriptors from the payload") : 0;
}

/* The lowest of `keep` from `from` on, or -1. */
static int next_kept(const int *keep, size_t n, unsigned from)
{
        int next = -1;

        for (size_t i = 0; i < n; i++)
                if (keep[i] >= 0 && (unsigned)keep[i] >= from && (next < 0 || keep[i] < next))
                        next = keep[i];
        return next;
}

int descriptors_close(const struct plan *plan, const int *keep, size_t n, struct error *err)
{
        unsigned from = first(plan);
        int r = 0, next;

        while (r == 0 && (next = next_kept(keep, n, from)) >= 0) {
                if ((unsigned)next > from)
                        r = range(from, (unsigned)next - 1, 0);
                from = (unsigned)next + 1;
        }
        if (r == 0)
                r = range(from, ~0U, 0);
        if (is_missing(r))
                r = do_each(plan, keep, n, close_one);
        return r < 0 ? error_errno(err, -r, "close what isn't the payload's") : 0;
}

size_t descriptors_listed(const struct plan *plan, int ret_fds[DESCRIPTORS_LISTED_MAX])
{
        const int single[] = {plan->sync_fd,   plan->exec_fifo_fd, plan->console_socket_fd,
                              plan->rootfs_fd, plan->host_proc_fd, plan->target_pidfd};
        const struct {
                const int *fds;
                size_t n;
        } groups[] = {
                {single, ARRAY_SIZE(single)},
                {plan->namespace_fds, SPEC_NAMESPACE_TYPES},
                {plan->tasks_fds, plan->n_tasks_fds},
        };
        size_t n = 0;

        for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
                for (size_t k = 0; k < groups[i].n && n < DESCRIPTORS_LISTED_MAX; k++)
                        if (groups[i].fds[k] >= 0)
                                ret_fds[n++] = groups[i].fds[k];
        return n;
}
