/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/init/mount-calls.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Headers older than the kernels that we run on. */
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif
#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif

/* A rename anywhere on the host makes a scoped resolution answer EAGAIN; so many in a row are an attack. */
enum { OPENAT2_TRIES = 128 };

static int result(long r)
{
        return r < 0 ? -errno : (int)r;
}

int mount_call_openat2(int dirfd, const char *path, int flags, uint64_t resolve)
{
        const struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC), .resolve = resolve};
        int r = -EAGAIN;

        for (int i = 0; i < OPENAT2_TRIES && (r == -EAGAIN || r == -EINTR); i++)
                r = result(syscall(SYS_openat2, dirfd, path, &how, sizeof(how)));
        return r;
}

int mount_call_open_here(void)
{
        return result(syscall(SYS_open_tree, AT_FDCWD, "", AT_EMPTY_PATH | OPEN_TREE_CLOEXEC));
}

int mount_call_clone(int fd, unsigned flags)
{
        return result(
                syscall(SYS_open_tree, fd, "", flags | AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
}

int mount_call_move(int tree, int destination)
{
        return result(syscall(SYS_move_mount, tree, "", destination, "",
                              MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH));
}

int mount_call_setattr(int fd, unsigned flags, const struct mount_attr *attr)
{
        return result(syscall(SYS_mount_setattr, fd, "", flags | AT_EMPTY_PATH, attr, sizeof(*attr)));
}

int mount_call_fsopen(const char *type)
{
        return result(syscall(SYS_fsopen, type, FSOPEN_CLOEXEC));
}

int mount_call_fsconfig(int context, const char *key, const char *value)
{
        return result(syscall(SYS_fsconfig, context, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key,
                              value, 0));
}

int mount_call_fsmount(int context, unsigned attributes)
{
        int r = result(syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0));

        return r < 0 ? r : result(syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes));
}

bool mount_call_missing(int r)
{
        return r == -ENOSYS || r == -EPERM;
}

uint64_t mount_attributes_of(unsigned long flags)
{
        static const struct {
                unsigned long flag;
                uint64_t attribute;
        } map[] = {
                {MS_RDONLY, MOUNT_ATTR_RDONLY},         {MS_NOSUID, MOUNT_ATTR_NOSUID},
                {MS_NODEV, MOUNT_ATTR_NODEV},           {MS_NOEXEC, MOUNT_ATTR_NOEXEC},
                {MS_NOATIME, MOUNT_ATTR_NOATIME},       {MS_STRICTATIME, MOUNT_ATTR_STRICTATIME},
                {MS_NODIRATIME, MOUNT_ATTR_NODIRATIME}, {MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW},
        };
        uint64_t attributes = 0;

        for (size_t i = 0; i < ARRAY_SIZE(map); i++)
                if (flags & map[i].flag)
                        attributes |= map[i].attribute;
        /* Where several say when a file was last read, mount(2) lets the strictest win. */
        if (flags & MS_STRICTATIME)
                attributes &= ~(uint64_t)MOUNT_ATTR_NOATIME;
        return attributes;
}
