/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who the payload is and what it may.  The order is the kernel's: the bounding set can be cut while
 * CAP_SETPCAP is there; ids change next, with the permitted set kept over it; then all sets at once, and
 * ambient capabilities last, which must be in two of them.  ids are set by the system calls themselves: the
 * libraries' functions go round all threads, and there is one.
 */
#include "lib/container/init/attributes.h"
#include "lib/container/init/messages.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/base/text.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CAPABILITIES_MAX = 64 };

static struct spec_capabilities wanted(const struct spec_process *process)
{
        return process->has_capabilities ? process->capabilities : (struct spec_capabilities){0};
}

int attributes_bounding_set(const struct spec_process *process, struct error *err)
{
        uint64_t bounding = wanted(process).bounding;

        for (int i = 0; i < CAPABILITIES_MAX; i++) {
                if (bounding & UINT64_C(1) << i || prctl(PR_CAPBSET_DROP, i, 0, 0, 0) == 0)
                        continue;
                if (errno == EINVAL) /* the kernel's last one is behind us */
                        return 0;
                int saved = errno;
                if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1)
                        return error_errno(err, saved, "drop capability %d from the bounding set", i);
        }
        return 0;
}

/* What a user may get for a standard stream: never the host's devices or folders, the terminal aside, nor a
 * file that was opened to be read. */
static bool can_be_given(int fd, const struct stat *st)
{
        if (S_ISCHR(st->st_mode))
                return isatty(fd);
        if (S_ISREG(st->st_mode))
                return (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY;
        return S_ISFIFO(st->st_mode) || S_ISSOCK(st->st_mode);
}

/* The terminal or pipes become the user's, so that it can open them again.  Where they belong to somebody
 * whom the user namespace doesn't know, or lie on a read-only file system, they stay as they are. */
static int give_stdio(uid_t uid, struct error *err)
{
        for (int fd = 0; fd <= 2; fd++) {
                struct stat st;
                if (fstat(fd, &st) < 0 || st.st_uid == uid || !can_be_given(fd, &st))
                        continue;
                if (fchown(fd, uid, (gid_t)-1) < 0 && errno != EPERM && errno != EROFS && errno != EINVAL)
                        return error_errno(err, errno, "give descriptor %d to user %u", fd, uid);
        }
        return 0;
}

static bool keeps_groups(const struct plan *plan)
{
        for (size_t i = 0; i < plan->spec->annotations.n; i++) {
                const struct spec_pair *pair = &plan->spec->annotations.items[i];
                if (strcmp(pair->key, "run.oci.keep_original_groups") == 0)
                        return strcmp(pair->value, "1") == 0 || strcmp(pair->value, "true") == 0;
        }
        return false;
}

/* True where the user namespace forbids setgroups(2) for good (user_namespaces(7)). */
static bool groups_denied(const struct plan *plan)
{
        char text[8] = "";
        cleanup_fd int fd = openat(plan->host_proc_fd, "self/setgroups", O_RDONLY | O_CLOEXEC);

        return fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && string_starts_with(text, "deny");
}

/* Groups that can't be set because a user made the namespace are left out, as other runtimes do. */
static int set_groups(const struct plan *plan, const struct spec_process *process, struct error *err)
{
        if (plan->setgroups_denied || keeps_groups(plan) ||
            syscall(SYS_setgroups, process->n_additional_gids, process->additional_gids) == 0)
                return 0;
        int saved = errno;
        if (saved == EPERM && groups_denied(plan))
                return 0;
        return error_errno(err, saved, "set %zu additional groups", process->n_additional_gids);
}

static int set_ids(uid_t uid, gid_t gid, struct error *err)
{
        if (syscall(SYS_setresgid, gid, gid, gid) < 0)
                return errno == EINVAL ? error_set(err, -EINVAL,
                                                   "cannot setgid to unmapped gid %u in user namespace", gid)
                                       : error_errno(err, errno, "set gid %u", gid);
        if (syscall(SYS_setresuid, uid, uid, uid) < 0)
                return errno == EINVAL ? error_set(err, -EINVAL,
                                                   "cannot setuid to unmapped uid %u in user namespace", uid)
                                       : error_errno(err, errno, "set uid %u", uid);
        return 0;
}

int attributes_identity(const struct plan *plan, const struct spec_process *process, struct error *err)
{
        int r = give_stdio(process->uid, err);
        if (r < 0)
                return r;
        if (process->uid != 0 && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
                return error_errno(err, errno, "keep capabilities while the user changes");
        r = set_groups(plan, process, err);
        if (r < 0)
                return r;
        r = set_ids(process->uid, process->gid, err);
        if (r == 0 && process->uid != 0 && prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
                return error_errno(err, errno, "let go of capabilities when the user changes");
        return r;
}

/* What the kernel would refuse, because we don't have it ourselves. */
static void leave_out_ungrantable(const struct plan *plan, uint64_t permitted, uint64_t inheritable,
                                  struct spec_capabilities *caps)
{
        uint64_t lacking = (caps->permitted | caps->effective | caps->ambient) & ~permitted;
        uint64_t lacking_inheritable = caps->inheritable & ~(permitted | inheritable);

        if (lacking | lacking_inheritable)
                init_warn(plan, "capabilities 0x%llx are left out: rune doesn't have them itself",
                          (unsigned long long)(lacking | lacking_inheritable));
        caps->permitted &= permitted;
        caps->inheritable &= permitted | inheritable;
        caps->effective &= caps->permitted;
        if (caps->ambient & permitted & ~(caps->permitted & caps->inheritable))
                init_warn(plan,
                          "ambient capabilities 0x%llx are left out: they must be permitted and inheritable",
                          (unsigned long long)(caps->ambient & permitted &
                                               ~(caps->permitted & caps->inheritable)));
        caps->ambient &= caps->permitted & caps->inheritable;
}

static int set_ambient(uint64_t ambient, struct error *err)
{
        /* EINVAL: before 4.3 there were none. */
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
                return error_errno(err, errno, "clear ambient capabilities");
        for (int i = 0; i < CAPABILITIES_MAX; i++)
                if (ambient & UINT64_C(1) << i && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0)
                        return error_errno(err, errno, "raise ambient capability %d", i);
        return 0;
}

int attributes_capabilities(const struct plan *plan, const struct spec_process *process, struct error *err)
{
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct sets[2];
        struct spec_capabilities caps = wanted(process);

        if (syscall(SYS_capget, &header, sets) < 0)
                return error_errno(err, errno, "read capabilities");
        leave_out_ungrantable(plan, sets[0].permitted | (uint64_t)sets[1].permitted << 32,
                              sets[0].inheritable | (uint64_t)sets[1].inheritable << 32, &caps);
        for (int i = 0; i < 2; i++) {
                sets[i].permitted = (uint32_t)(caps.permitted >> 32 * i);
                sets[i].effective = (uint32_t)(caps.effective >> 32 * i);
                sets[i].inheritable = (uint32_t)(caps.inheritable >> 32 * i);
        }
        if (syscall(SYS_capset, &header, sets) < 0)
                return error_errno(err, errno, "set capabilities");
        return set_ambient(caps.ambient, err);
}

int attributes_no_new_privileges(const struct spec_process *process, struct error *err)
{
        if (process->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return error_errno(err, errno, "set no_new_privs");
        return 0;
}
