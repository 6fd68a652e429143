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

/* Whether this user namespace knows the id; `map` is its uid_map or gid_map. */
static bool is_mapped(const char *map, uint32_t id)
{
        char first_text[16], outside[16], count_text[16];
        uint64_t first, count;
        bool found = false;
        FILE *file = fopen(map, "re");

        while (file && !found && fscanf(file, "%15s %15s %15s", first_text, outside, count_text) == 3)
                found = parse_u64(first_text, UINT32_MAX, &first) &&
                        parse_u64(count_text, UINT32_MAX, &count) && id >= first && id - first < count;
        if (file)
                fclose(file);
        return found;
}

/* An id that no other process has. False where this namespace has none to give. */
static bool choose_unused(struct qemu_user *user)
{
        uint32_t random;

        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
                return false;
        uint32_t id = UNUSED_FIRST | (random & UNUSED_MASK);
        if (!is_mapped("/proc/self/uid_map", id) || !is_mapped("/proc/self/gid_map", id))
                return false;
        user->uid = id;
        user->gid = id;
        return true;
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

        if (geteuid() == 0 && !choose_unused(&user) && !look_up("coffer", &user) && !look_up("nobody", &user))
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
