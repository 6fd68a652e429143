/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/qemu-user.h"

#include "lib/base/cleanup.h"
#include "lib/base/text.h"

#include <errno.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* Ids that no system hands out: above all ranges for containers, below those that 32-bit signed numbers can't
 * hold (systemd's UIDS-GIDS.md, "0x70000000 to 0x7FFFFFFF"). */
#define UNUSED_FIRST UINT32_C(0x70000000)
#define UNUSED_MASK  UINT32_C(0x0fffffff)

/* 0 where this user namespace knows the id, else -ENOENT, or why that can't be told; `map` is its uid_map or
 * gid_map. */
static int check_mapped(const char *map, uint32_t id)
{
        char first_text[16], outside[16], count_text[16];
        uint64_t first, count;
        bool found = false;
        cleanup_file FILE *file = fopen(map, "re");

        if (!file)
                return -errno;
        while (!found && fscanf(file, "%15s %15s %15s", first_text, outside, count_text) == 3)
                found = parse_u64(first_text, UINT32_MAX, &first) &&
                        parse_u64(count_text, UINT32_MAX, &count) && id >= first && id - first < count;
        return found ? 0 : -ENOENT;
}

/* An id that no other process has. -ENOENT where this namespace has none to give. */
static int choose_unused(struct qemu_user *user)
{
        uint32_t random;
        int r;

        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                return -EIO;
        uint32_t id = UNUSED_FIRST | (random & UNUSED_MASK);
        if ((r = check_mapped("/proc/self/uid_map", id)) < 0 ||
            (r = check_mapped("/proc/self/gid_map", id)) < 0)
                return r;
        user->uid = id;
        user->gid = id;
        return 0;
}

/* Looks one up by name. False where there is none. */
static bool look_up(const char *name, struct qemu_user *user)
{
        char strings[4096];
        struct passwd entry, *found = NULL;

        if (getpwnam_r(name, &entry, strings, sizeof(strings), &found) != 0 || !found)
                return false;
        user->uid = found->pw_uid;
        user->gid = found->pw_gid;
        return true;
}

int qemu_user_choose(struct qemu_user *ret_user, struct error *err)
{
        struct qemu_user user = {.uid = (uid_t)-1, .gid = (gid_t)-1};
        struct stat kvm;
        int r = geteuid() == 0 ? choose_unused(&user) : 0;

        if (r < 0 && r != -ENOENT)
                return error_errno(err, -r, "choose a user to run QEMU as");
        if (r == -ENOENT && !look_up("coffer", &user) && !look_up("nobody", &user))
                return error_set(err, -ENOENT,
                                 "there is no user to run QEMU as, instead of root; make one with the "
                                 "name coffer");
        if (stat("/dev/kvm", &kvm) == 0 && (kvm.st_mode & 060) == 060 && kvm.st_gid != 0)
                user.groups[user.n_groups++] = kvm.st_gid;
        *ret_user = user;
        return 0;
}

bool qemu_user_can_open_kvm(void)
{
        struct qemu_user user;
        struct stat kvm;

        if (geteuid() != 0)
                return access("/dev/kvm", R_OK | W_OK) == 0;
        if (qemu_user_choose(&user, NULL) < 0 || stat("/dev/kvm", &kvm) < 0)
                return false;
        return (kvm.st_mode & 06) == 06 || user.n_groups > 0 ||
               (kvm.st_uid == user.uid && (kvm.st_mode & 0600) == 0600);
}
