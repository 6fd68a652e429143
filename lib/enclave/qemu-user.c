/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/qemu-user.h"

#include "lib/base/cleanup.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

/* Looks one up by name. False where there is none. */
static bool look_up(const char *name, uid_t *ret_uid, gid_t *ret_gid)
{
        char strings[4096];
        struct passwd entry, *found = NULL;

        if (getpwnam_r(name, &entry, strings, sizeof(strings), &found) != 0 || !found)
                return false;
        *ret_uid = found->pw_uid;
        *ret_gid = found->pw_gid;
        return true;
}

int qemu_user_choose(struct qemu_user *ret_user, struct error *err)
{
        static const char *const names[] = {"coffer", "nobody"};
        struct qemu_user user = {.uid = (uid_t)-1, .gid = (gid_t)-1};
        struct stat kvm;
        bool found = geteuid() != 0;

        for (size_t i = 0; !found && i < ARRAY_SIZE(names); i++)
                found = look_up(names[i], &user.uid, &user.gid);
        if (!found)
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
