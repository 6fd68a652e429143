/* SPDX-License-Identifier: Apache-2.0 */
#include "ne-emulator/target.h"

#include "lib/base/fd.h"
#include "lib/base/path.h"
#include "lib/base/text.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/kcmp.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PAGE = 4096, STATUS_MAX = 8192 };

/* Linux 6.9: a pidfd of a thread that isn't its process's first. */
#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

int target_open(const struct call *call, struct target *ret_target)
{
        char path[32];

        snprintf(path, sizeof(path), "/proc/%d", call->tid);
        cleanup_fd int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (!call_is_wanted(call))
                return -ESRCH;
        *ret_target = (struct target){.tid = call->tid, .proc_fd = take_fd(&fd), .mem_fd = -1};
        return 0;
}

void target_done(struct target *target)
{
        fd_close_p(&target->proc_fd);
        fd_close_p(&target->mem_fd);
}

static int open_memory(struct target *target)
{
        if (target->mem_fd < 0)
                target->mem_fd = openat(target->proc_fd, "mem", O_RDWR | O_CLOEXEC);
        return target->mem_fd < 0 ? -errno : 0;
}

int target_read(struct target *target, uint64_t address, void *ret_bytes, size_t n)
{
        if (address > INT64_MAX - n || open_memory(target) < 0)
                return -EFAULT;
        return fd_pread_full(target->mem_fd, ret_bytes, n, address) < 0 ? -EFAULT : 0;
}

int target_write(struct target *target, uint64_t address, const void *bytes, size_t n)
{
        if (address > INT64_MAX - n || open_memory(target) < 0)
                return -EFAULT;
        return fd_pwrite_full(target->mem_fd, bytes, n, address) < 0 ? -EFAULT : 0;
}

bool target_peek_string(pid_t tid, uint64_t address, char *ret_text, size_t size)
{
        size_t n = 0;

        /* Page by page, since the next one may not be there. */
        while (n < size) {
                size_t room = PAGE - (size_t)((address + n) % PAGE);
                size_t piece = room < size - n ? room : size - n;
                struct iovec local = {.iov_base = ret_text + n, .iov_len = piece};
                struct iovec remote = {.iov_base = (void *)(uintptr_t)(address + n), .iov_len = piece};
                if (process_vm_readv(tid, &local, 1, &remote, 1, 0) != (ssize_t)piece)
                        return false;
                if (memchr(ret_text + n, '\0', piece))
                        return true;
                n += piece;
        }
        return false;
}

int target_fstat(const struct target *target, int fd, struct stat *ret_stat)
{
        char name[32];

        snprintf(name, sizeof(name), "fd/%d", fd);
        return fstatat(target->proc_fd, name, ret_stat, 0) < 0 ? -errno : 0;
}

/* The number behind `key` in a file of the target's folder, read in `base`. */
static int read_number(const struct target *target, const char *name, const char *key, int base,
                       long *ret_number)
{
        cleanup_fd int fd = openat(target->proc_fd, name, O_RDONLY | O_CLOEXEC);
        char text[STATUS_MAX];

        if (fd < 0)
                return -errno;
        ssize_t n = read(fd, text, sizeof(text) - 1);
        if (n < 0)
                return -errno;
        text[n] = '\0';
        const char *at = strstr(text, key);
        if (!at)
                return -ENOENT;
        *ret_number = strtol(at + strlen(key), NULL, base);
        return 0;
}

int target_fd_flags(const struct target *target, int fd)
{
        char name[32];
        long flags = 0;

        snprintf(name, sizeof(name), "fdinfo/%d", fd);
        int r = read_number(target, name, "flags:\t", 8, &flags);
        return r < 0 ? r : (int)flags;
}

pid_t target_process(const struct target *target)
{
        long pid = 0;
        int r = read_number(target, "status", "\nTgid:\t", 10, &pid);

        return r < 0 ? r : (pid_t)pid;
}

int target_copy_fd(const struct target *target, int fd, int *ret_fd)
{
        cleanup_fd int pidfd = (int)syscall(SYS_pidfd_open, target->tid, PIDFD_THREAD);
        struct stat want, have;

        /* An older kernel has pidfds of processes only; nearly always that is the same table. */
        if (pidfd < 0 && errno == EINVAL)
                pidfd = (int)syscall(SYS_pidfd_open, target_process(target), 0);
        if (pidfd < 0)
                return -errno;
        cleanup_fd int copy = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
        if (copy < 0)
                return -errno;
        /* The number was looked up anew: it must have led to the same thread's descriptor. */
        int r = target_fstat(target, fd, &want);
        if (r < 0 || fstat(copy, &have) < 0 || want.st_ino != have.st_ino || want.st_dev != have.st_dev)
                return -EBADF;
        *ret_fd = take_fd(&copy);
        return 0;
}

/* Where a link of the target's folder leads, as the target sees it: without its root's path. */
static int read_link(const struct target *target, const char *name, char *ret_path, size_t size)
{
        char root[PATH_MAX];
        ssize_t n_root = readlinkat(target->proc_fd, "root", root, sizeof(root) - 1);
        ssize_t n = readlinkat(target->proc_fd, name, ret_path, size - 1);

        if (n < 0 || n_root < 0)
                return -errno;
        root[n_root] = ret_path[n] = '\0';
        if (n_root > 1 && string_starts_with(ret_path, root))
                memmove(ret_path, ret_path + n_root, (size_t)(n - n_root) + 1);
        return 0;
}

int target_resolve(const struct target *target, int dirfd, const char *path, bool below, char *ret_path,
                   size_t size)
{
        char base[PATH_MAX] = "", whole[2 * PATH_MAX], name[32];
        int r = 0;

        if (below || path[0] != '/') {
                snprintf(name, sizeof(name), dirfd == AT_FDCWD ? "cwd" : "fd/%d", dirfd);
                r = read_link(target, name, base, sizeof(base));
        }
        if (r < 0)
                return r;
        snprintf(whole, sizeof(whole), "%s/%s", base, path);
        return path_clean(whole, ret_path, size);
}

bool target_shares_memory(const struct target *target, pid_t pid)
{
        long order = syscall(SYS_kcmp, target->tid, pid, KCMP_VM, 0, 0);

        if (order < 0)
                return target_process(target) == pid; /* a kernel without kcmp */
        return order == 0;
}
