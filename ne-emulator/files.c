/* SPDX-License-Identifier: Apache-2.0 */
#include "ne-emulator/files.h"

#include "lib/base/path.h"
#include "lib/base/text.h"
#include "lib/enclave/nitro.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <linux/vm_sockets.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
        MISC_MAJOR = 10,
        DEVICE_MINOR = 122, /* whichever; the kernel gives them out at run time */
        VSOCK_MINOR = 121,
        PARENT_CID = 3,
        OPEN_HOW_MAX = 4096,
};

static const struct file {
        const char *path;
        mode_t mode;
        unsigned minor;
        bool is_cpus;
} file_table[] = {
        {"/dev/nitro_enclaves", S_IFCHR | 0660, DEVICE_MINOR, false},
        {"/dev/vsock", S_IFCHR | 0666, VSOCK_MINOR, false},
        {"/sys/module/nitro_enclaves/parameters/ne_cpus", S_IFREG | 0644, 0, true},
};

/* ---- which call names which file how ---- */

enum kind { OPEN, OPEN_HOW, STAT, STATX, ACCESS, LINK, ATTRIBUTE };

/* Where a call has its arguments; -1: nowhere. */
static const struct naming {
        int nr;
        enum kind kind;
        int dirfd;
        int path;
        int detail; /* OPEN: flags; OPEN_HOW, STAT, STATX: the address; ACCESS: mode */
} namings[] = {
        {SYS_openat, OPEN, 0, 1, 2},          {SYS_openat2, OPEN_HOW, 0, 1, 2},
        {SYS_newfstatat, STAT, 0, 1, 2},      {SYS_statx, STATX, 0, 1, 4},
        {SYS_faccessat, ACCESS, 0, 1, 2},     {SYS_faccessat2, ACCESS, 0, 1, 2},
        {SYS_readlinkat, LINK, 0, 1, 2},      {SYS_getxattr, ATTRIBUTE, -1, 0, 1},
        {SYS_lgetxattr, ATTRIBUTE, -1, 0, 1},
#ifdef SYS_open
        {SYS_open, OPEN, -1, 0, 1},           {SYS_stat, STAT, -1, 0, 1},
        {SYS_lstat, STAT, -1, 0, 1},          {SYS_access, ACCESS, -1, 0, 1},
        {SYS_readlink, LINK, -1, 0, 1},
#endif
};

static const struct naming *find_naming(int nr)
{
        for (size_t i = 0; i < ARRAY_SIZE(namings); i++) {
                if (namings[i].nr == nr)
                        return &namings[i];
        }
        return NULL;
}

/* By its last part alone: nearly every path is done with here. */
static bool may_be_ours(const char *path)
{
        const char *name = path_basename(path);

        for (size_t i = 0; i < ARRAY_SIZE(file_table); i++) {
                if (strcmp(name, path_basename(file_table[i].path)) == 0)
                        return true;
        }
        return false;
}

static const struct file *find_file(const char *path)
{
        for (size_t i = 0; i < ARRAY_SIZE(file_table); i++) {
                if (strcmp(path, file_table[i].path) == 0)
                        return &file_table[i];
        }
        return NULL;
}

/* ---- answers ---- */

static void answer_open(struct enclave_set *set, const struct call *call, const struct file *file,
                        uint64_t flags)
{
        int fd = file->is_cpus ? enclave_set_cpus_file(set) : enclave_set_device(set);

        if (flags & O_DIRECTORY)
                (void)call_fail(call, ENOTDIR);
        else if ((flags & O_CREAT) && (flags & O_EXCL))
                (void)call_fail(call, EEXIST);
        else if (file->is_cpus && (flags & O_ACCMODE) != O_RDONLY)
                (void)call_fail(call, EPERM);
        else if (call_give_fd(call, fd, flags & O_CLOEXEC) == -EMFILE)
                (void)call_fail(call, EMFILE);
}

static void fill_stat(const struct file *file, struct stat *ret_stat)
{
        *ret_stat = (struct stat){
                .st_dev = NITRO_EMULATED_ST_DEV,
                /* Two emulators' devices aren't the same file. */
                .st_ino = (ino_t)getpid() * ARRAY_SIZE(file_table) + (ino_t)(file - file_table),
                .st_mode = file->mode,
                .st_nlink = 1,
                .st_rdev = file->minor ? makedev(MISC_MAJOR, file->minor) : 0,
                .st_blksize = 4096,
        };
}

static void answer_stat(const struct call *call, struct target *target, const struct file *file, uint64_t to)
{
        struct stat st;

        fill_stat(file, &st);
        if (target_write(target, to, &st, sizeof(st)) < 0)
                (void)call_fail(call, EFAULT);
        else
                (void)call_return(call, 0);
}

static void answer_statx(const struct call *call, struct target *target, const struct file *file, uint64_t to)
{
        struct stat st;

        fill_stat(file, &st);
        const struct statx stx = {
                .stx_mask = STATX_BASIC_STATS,
                .stx_blksize = (uint32_t)st.st_blksize,
                .stx_nlink = (uint32_t)st.st_nlink,
                .stx_mode = (uint16_t)st.st_mode,
                .stx_ino = st.st_ino,
                .stx_rdev_major = major(st.st_rdev),
                .stx_rdev_minor = minor(st.st_rdev),
                .stx_dev_major = major(st.st_dev),
                .stx_dev_minor = minor(st.st_dev),
        };
        if (target_write(target, to, &stx, sizeof(stx)) < 0)
                (void)call_fail(call, EFAULT);
        else
                (void)call_return(call, 0);
}

static void answer_access(const struct call *call, const struct file *file, uint64_t mode)
{
        if ((mode & X_OK) || (file->is_cpus && (mode & W_OK)))
                (void)call_fail(call, EACCES);
        else
                (void)call_return(call, 0);
}

/* ---- reading a call ---- */

/* The flags of an openat2(), and how its path is read. */
static int read_how(const struct call *call, struct target *target, uint64_t *ret_flags, bool *ret_below)
{
        struct open_how how = {0};

        if (call->args[3] < sizeof(how) || call->args[3] > OPEN_HOW_MAX)
                return -EINVAL;
        int r = target_read(target, call->args[2], &how, sizeof(how));
        *ret_flags = how.flags;
        *ret_below = how.resolve & (RESOLVE_IN_ROOT | RESOLVE_BENEATH);
        return r;
}

/* Which of our files the call names, and for what.  NULL: none. */
static const struct file *read_call(const struct naming *naming, const struct call *call,
                                    struct target *target, uint64_t *ret_detail)
{
        char path[PATH_MAX], whole[PATH_MAX];
        bool below = false;

        /* What decides is this one copy: the first look may have seen another text. */
        if (!target_peek_string(call->tid, call->args[naming->path], path, sizeof(path)) ||
            !call_is_wanted(call))
                return NULL;
        *ret_detail = call->args[naming->detail];
        if (naming->kind == OPEN_HOW && read_how(call, target, ret_detail, &below) < 0)
                return NULL;
        int dirfd = naming->dirfd < 0 ? AT_FDCWD : (int)call->args[naming->dirfd];
        if (target_resolve(target, dirfd, path, below, whole, sizeof(whole)) < 0)
                return NULL;
        return find_file(whole);
}

void files_call(struct enclave_set *set, const struct call *call)
{
        const struct naming *naming = find_naming(call->nr);
        cleanup_target struct target target = TARGET_NONE;
        char path[PATH_MAX];
        uint64_t detail = 0;

        if (!naming || !target_peek_string(call->tid, call->args[naming->path], path, sizeof(path)) ||
            !may_be_ours(path) || target_open(call, &target) < 0) {
                call_continue(call);
                return;
        }
        const struct file *file = read_call(naming, call, &target, &detail);
        if (!file)
                call_continue(call);
        else if (naming->kind == OPEN || naming->kind == OPEN_HOW)
                answer_open(set, call, file, detail);
        else if (naming->kind == STAT)
                answer_stat(call, &target, file, detail);
        else if (naming->kind == STATX)
                answer_statx(call, &target, file, detail);
        else if (naming->kind == ACCESS)
                answer_access(call, file, detail);
        else
                (void)call_fail(call, naming->kind == LINK ? EINVAL : EOPNOTSUPP);
}

bool files_ioctl(struct enclave_set *set, const struct call *call, struct target *target)
{
        const uint32_t cid = PARENT_CID;
        struct stat st, device;

        if ((uint32_t)call->args[1] != (uint32_t)IOCTL_VM_SOCKETS_GET_LOCAL_CID ||
            target_fstat(target, (int)call->args[0], &st) < 0 ||
            fstat(enclave_set_device(set), &device) < 0 || st.st_ino != device.st_ino ||
            st.st_dev != device.st_dev)
                return false;
        if (target_write(target, call->args[2], &cid, sizeof(cid)) < 0)
                (void)call_fail(call, EFAULT);
        else
                (void)call_return(call, 0);
        return true;
}
