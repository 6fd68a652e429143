/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done to all processes of a group: list, stop, signal, and be rid of them.
 *
 * In v2 the kernel does each in one step for the whole subtree (cgroup.freeze, cgroup.kill).  In v1 they are
 * signalled one by one, while the freezer holds them so that none forks away in between; a frozen process
 * dies when it is thawed.  v1's freezer may have to be asked again and again while processes come to be
 * (kernel Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst, "FREEZING").
 */
#include "lib/base/array.h"
#include "lib/base/clock.h"
#include "lib/base/text.h"
#include "lib/container/cgroup-internal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FREEZE_TIMEOUT_MS = 10000, DESTROY_TIMEOUT_MS = 10000, LEAVE_TIMEOUT_MS = 500 };

/* The hierarchy by which processes are found and stopped. */
static struct cgroup_hierarchy *main_hierarchy(const struct cgroup *cgroup)
{
        static const enum cgroup_controller order[] = {CGROUP_FREEZER, CGROUP_DEVICES, CGROUP_PIDS};
        const struct cgroup_hierarchy *found = NULL;

        for (size_t o = 0; o < ARRAY_SIZE(order) && !found; o++)
                for (size_t i = 0; i < cgroup->n && !found; i++)
                        if (!cgroup->hierarchies[i].unified &&
                            cgroup->hierarchies[i].controllers & (1u << order[o]))
                                found = &cgroup->hierarchies[i];
        if (!found && cgroup->n > 0)
                found = &cgroup->hierarchies[0];
        return found && found->path ? (struct cgroup_hierarchy *)(uintptr_t)found : NULL;
}

static int no_group(struct error *err)
{
        return error_set(err, -ENOTSUP, "the container has no control group");
}

struct pid_list {
        pid_t *items;
        size_t n;
};

/* Adds the ids in cgroup.procs, or, of a threaded group, in cgroup.threads. */
static int add_pids(int folder, void *user)
{
        struct pid_list *list = user;
        cleanup_buf struct buf text = buf_with_max(0);
        cleanup_fd int fd = openat(folder, "cgroup.procs", O_RDONLY | O_CLOEXEC);
        int r = fd < 0 ? -errno : cgroup_read_fd(fd, &text);

        if (r == -EOPNOTSUPP) {
                cleanup_fd int threads = openat(folder, "cgroup.threads", O_RDONLY | O_CLOEXEC);
                buf_done(&text);
                r = threads < 0 ? -errno : cgroup_read_fd(threads, &text);
        }
        if (r == -ENOENT || r == -ENODEV)
                return 0;
        if (r < 0)
                return r;
        struct cursor c = cursor_of(buf_view(&text));
        while (!cursor_at_end(&c)) {
                char digits[16];
                uint64_t pid;
                struct view line = cursor_until(&c, '\n');
                if (!cursor_ok(&c) || line.n >= sizeof(digits))
                        return -EBADMSG;
                memcpy(digits, line.p, line.n);
                digits[line.n] = 0;
                if (!parse_u64(digits, INT32_MAX, &pid))
                        return -EBADMSG;
                if (pid == 0) /* of a process outside our PID namespace */
                        continue;
                r = array_grow(&list->items, list->n, sizeof(*list->items));
                if (r < 0)
                        return r;
                list->items[list->n++] = (pid_t)pid;
        }
        return 0;
}

int cgroup_pids_in(const struct cgroup_hierarchy *hierarchy, pid_t **ret_pids, size_t *ret_n,
                   struct error *err)
{
        struct pid_list list = {NULL, 0};
        int r = cgroup_tree_visit(hierarchy, add_pids, &list);

        if (r < 0) {
                free(list.items);
                return cgroup_file_error(hierarchy, "cgroup.procs", NULL, r, err);
        }
        *ret_pids = list.items;
        *ret_n = list.n;
        return 0;
}

int cgroup_pids(struct cgroup *cgroup, pid_t **ret_pids, size_t *ret_n, struct error *err)
{
        const struct cgroup_hierarchy *h = main_hierarchy(cgroup);

        return h ? cgroup_pids_in(h, ret_pids, ret_n, err) : no_group(err);
}

/* ---- the freezer --------------------------------------------------------------------------------------- */

static int freeze_v1(const struct cgroup_hierarchy *h, struct error *err)
{
        uint64_t deadline = clock_ms() + FREEZE_TIMEOUT_MS;
        char state[32];
        ssize_t n = -1;

        for (unsigned i = 0; clock_ms() < deadline; i++) {
                /* A moment of life now and then lets those get on that others wait for. */
                if (i % 50 == 49) {
                        (void)cgroup_file_write(h, "freezer.state", "THAWED");
                        clock_sleep_us(10000);
                }
                n = cgroup_file_write(h, "freezer.state", "FROZEN");
                if (n < 0)
                        return cgroup_file_error(h, "freezer.state", "FROZEN", (int)n, err);
                n = cgroup_file_read(h, "freezer.state", state, sizeof(state));
                if (n < 0)
                        break;
                if (strcmp(state, "FROZEN\n") == 0)
                        return 0;
                clock_sleep_us(i < 10 ? 10 : 1000);
        }
        (void)cgroup_file_write(h, "freezer.state", "THAWED");
        if (n < 0)
                return cgroup_file_error(h, "freezer.state", NULL, (int)n, err);
        return error_set(err, -ETIMEDOUT, "cgroup: unable to freeze %s%s: still %.*s after %d s",
                         h->mountpoint, h->path, (int)strcspn(state, "\n"), state, FREEZE_TIMEOUT_MS / 1000);
}

/* Waits until the line "<key> <value>" of cgroup.events is there; the kernel tells of every change. */
static int wait_event(const struct cgroup_hierarchy *h, const char *key, uint64_t value, uint64_t deadline)
{
        cleanup_fd int fd = cgroup_file_open(h, "cgroup.events", O_RDONLY);
        char line[64], text[256];

        if (fd < 0)
                return fd;
        snprintf(line, sizeof(line), "%s %d\n", key, (int)value);
        for (;;) {
                ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
                if (n < 0)
                        return -errno;
                text[n] = 0;
                if (strstr(text, line))
                        return 0;
                uint64_t now = clock_ms();
                if (now >= deadline)
                        return -ETIMEDOUT;
                struct pollfd p = {.fd = fd, .events = POLLPRI};
                if (poll(&p, 1, (int)(deadline - now)) < 0 && errno != EINTR)
                        return -errno;
        }
}

static int freeze_v2(const struct cgroup_hierarchy *h, struct error *err)
{
        int r = cgroup_file_set(h, "cgroup.freeze", "1", err);

        if (r < 0)
                return r;
        r = wait_event(h, "frozen", 1, clock_ms() + FREEZE_TIMEOUT_MS);
        if (r >= 0)
                return 0;
        (void)cgroup_file_write(h, "cgroup.freeze", "0");
        return error_errno(err, -r, "cgroup: unable to freeze %s%s", h->mountpoint, h->path);
}

static int freezer_of(struct cgroup *cgroup, struct cgroup_hierarchy **ret_hierarchy, struct error *err)
{
        struct cgroup_hierarchy *h = main_hierarchy(cgroup);

        if (!h)
                return no_group(err);
        if (!h->unified && !(h->controllers & (1u << CGROUP_FREEZER)))
                return error_set(err, -ENOTSUP, "cgroup: the host has no freezer controller");
        *ret_hierarchy = h;
        return 0;
}

int cgroup_freeze(struct cgroup *cgroup, struct error *err)
{
        struct cgroup_hierarchy *h;
        int r = freezer_of(cgroup, &h, err);

        if (r < 0)
                return r;
        return h->unified ? freeze_v2(h, err) : freeze_v1(h, err);
}

int cgroup_thaw(struct cgroup *cgroup, struct error *err)
{
        struct cgroup_hierarchy *h;
        int r = freezer_of(cgroup, &h, err);

        if (r < 0)
                return r;
        if (!h->unified)
                return cgroup_file_set(h, "freezer.state", "THAWED", err);
        r = cgroup_file_set(h, "cgroup.freeze", "0", err);
        if (r >= 0) {
                /* A group above that is frozen keeps this one so; that isn't ours to wait for. */
                r = wait_event(h, "frozen", 0, clock_ms() + 1000);
                r = r == -ETIMEDOUT ? 0 : r;
        }
        return r < 0 ? error_errno(err, -r, "cgroup: unable to thaw %s%s", h->mountpoint, h->path) : 0;
}

int cgroup_is_frozen(struct cgroup *cgroup, bool *ret_frozen, struct error *err)
{
        struct cgroup_hierarchy *h;
        char text[32];
        ssize_t n;

        *ret_frozen = false;
        if (freezer_of(cgroup, &h, NULL) < 0)
                return 0;
        n = cgroup_file_read(h, h->unified ? "cgroup.freeze" : "freezer.self_freezing", text, sizeof(text));
        if (n == -ENOENT || n == -ENODEV)
                return 0;
        if (n < 0)
                return cgroup_file_error(h, h->unified ? "cgroup.freeze" : "freezer.self_freezing", NULL,
                                         (int)n, err);
        *ret_frozen = strcmp(text, "1\n") == 0;
        return 0;
}

/* ---- signals ------------------------------------------------------------------------------------------- */

static int signal_each(const struct cgroup_hierarchy *h, int signal, struct error *err)
{
        cleanup_free pid_t *pids = NULL;
        size_t n;
        int r = cgroup_pids_in(h, &pids, &n, err);

        for (size_t i = 0; r >= 0 && i < n; i++)
                if (kill(pids[i], signal) < 0 && errno != ESRCH)
                        r = error_errno(err, errno, "signal %d for process %d", signal, pids[i]);
        return r;
}

/* Stops them for the while, where that can be done. */
static int signal_held(struct cgroup *cgroup, const struct cgroup_hierarchy *h, int signal, struct error *err)
{
        bool frozen = false, held = false;
        int r;

        /* Who has been paused stays so, but for a kill, which a paused v1 process would never see. */
        (void)cgroup_is_frozen(cgroup, &frozen, NULL);
        if (!frozen)
                held = cgroup_freeze(cgroup, NULL) == 0;
        r = signal_each(h, signal, err);
        if (held || (frozen && signal == SIGKILL))
                (void)cgroup_thaw(cgroup, NULL);
        return r;
}

int cgroup_signal(struct cgroup *cgroup, int signal, struct error *err)
{
        struct cgroup_hierarchy *h = main_hierarchy(cgroup);

        if (!h)
                return no_group(err);
        /* Linux 5.14; before that, and where the group is gone, by hand. */
        if (h->unified && signal == SIGKILL && cgroup_file_write(h, "cgroup.kill", "1") >= 0)
                return 0;
        return signal_held(cgroup, h, signal, err);
}

/* Waits for the end of each of the processes; those that can't be waited for are passed over. */
static void wait_pids(const pid_t *pids, size_t n, uint64_t deadline)
{
        for (size_t i = 0; i < n; i++) {
                cleanup_fd int fd = (int)syscall(SYS_pidfd_open, pids[i], 0);
                uint64_t now = clock_ms();
                struct pollfd p = {.fd = fd, .events = POLLIN};
                if (fd >= 0 && now < deadline)
                        (void)poll(&p, 1, (int)(deadline - now));
        }
}

int cgroup_kill_in(struct cgroup *cgroup, struct cgroup_hierarchy *hierarchy, uint64_t deadline,
                   struct error *err)
{
        cleanup_free pid_t *pids = NULL;
        size_t n;
        int r = cgroup_pids_in(hierarchy, &pids, &n, err);

        if (r < 0)
                return r;
        if (hierarchy->unified && cgroup_file_write(hierarchy, "cgroup.kill", "1") >= 0) {
                r = wait_event(hierarchy, "populated", 0, deadline);
                /* Somebody else (systemd) may have been faster to remove it. */
                return r == -ETIMEDOUT || r == -ENODEV || r == -ENOENT ? 0 : r;
        }
        r = hierarchy == main_hierarchy(cgroup) ? signal_held(cgroup, hierarchy, SIGKILL, err)
                                                : signal_each(hierarchy, SIGKILL, err);
        if (r >= 0)
                wait_pids(pids, n, deadline);
        return r;
}

/* ---- the end ------------------------------------------------------------------------------------------- */

/* Is everyone in this hierarchy's group the container's?  Named and controllerless hierarchies may have been
 * handed to us with others in the same group. */
static bool all_ours(const struct cgroup *cgroup, const struct cgroup_hierarchy *h)
{
        return !h->named && !(h->unified && !cgroup->unified);
}

static int destroy_in(struct cgroup *cgroup, struct cgroup_hierarchy *h, struct error *err)
{
        bool ours = all_ours(cgroup, h);
        uint64_t deadline = clock_ms() + (ours ? DESTROY_TIMEOUT_MS : LEAVE_TIMEOUT_MS);
        uint64_t wait_us = 100;
        int r = cgroup_tree_remove(h);

        /* A process is in its group for a moment longer than in the process table. */
        while (r == -EBUSY && clock_ms() < deadline) {
                if (ours) {
                        r = cgroup_kill_in(cgroup, h, deadline, err);
                        if (r < 0)
                                return r;
                }
                r = cgroup_tree_remove(h);
                if (r != -EBUSY)
                        break;
                clock_sleep_us(wait_us);
                wait_us = wait_us < 50000 ? wait_us * 2 : wait_us;
        }
        if (r == -EBUSY && !ours) {
                log_debug(cgroup->log, "cgroup: left to others: %s%s", h->mountpoint, h->path);
                return 0;
        }
        if (r < 0)
                return error_errno(err, -r, "cgroup: rmdir %s%s", h->mountpoint, h->path);
        return 0;
}

int cgroup_fs_destroy(struct cgroup *cgroup, struct error *err)
{
        const struct cgroup_hierarchy *first = main_hierarchy(cgroup);
        int result = 0;

        /* First where processes can be held while they are killed; then the others are empty. */
        for (size_t pass = 0; pass < 2; pass++) {
                for (size_t i = 0; i < cgroup->n; i++) {
                        struct cgroup_hierarchy *h = &cgroup->hierarchies[i];
                        if (!h->path || (pass == 0) != (h == first))
                                continue;
                        int r = destroy_in(cgroup, h, result < 0 ? NULL : err);
                        if (r < 0 && result >= 0)
                                result = r;
                }
        }
        return result;
}
