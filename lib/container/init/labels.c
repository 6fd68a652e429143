/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels of the security modules, by the process's own "attr" files (proc(5)).  They are reached through
 * the host's procfs, which rune has checked to be one: a container's /proc could be anything, and a label
 * written to a plain file is a label never set (CVE-2019-16884).
 */
#include "lib/container/init/attributes.h"
#include "lib/container/init/messages.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/base/text.h"

#include <fcntl.h>
#include <linux/keyctl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of a session keyring: all for who possesses it; for its user to see, read, link, and to search as well,
 * so that a further process of the container finds it by name (keyctl(2)). */
enum { KEYRING_PERMISSIONS = 0x3f1b0000 };

/* An id has 1,024 bytes at most; what describes a keyring has a word and three numbers before its name. */
enum { KEYRING_NAME_MAX = 1100, KEYRING_HEAD_MAX = 64 };

static int write_attribute(const struct plan *plan, const char *name, const char *value)
{
        cleanup_fd int fd = openat(plan->host_proc_fd, name, O_WRONLY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        /* One write: the module takes each for a whole. */
        return write(fd, value, strlen(value)) < 0 ? -errno : 0;
}

/* Names of keyrings are there for all users of the machine: who makes one first, and lets others search it,
 * has whoever joins that name join his.  So a keyring must be of who we are. */
static bool is_ours(long keyring)
{
        char text[KEYRING_NAME_MAX + KEYRING_HEAD_MAX];
        uint64_t uid;

        /* "keyring;UID;GID;PERMISSIONS;NAME" */
        if (syscall(SYS_keyctl, KEYCTL_DESCRIBE, keyring, text, sizeof(text)) < 0)
                return false;
        text[sizeof(text) - 1] = '\0';
        const char *at = strchr(text, ';');
        return at && (at++, take_u64(&at, UINT32_MAX, &uid)) && *at == ';' && uid == geteuid();
}

static long join_keyring(const struct plan *plan, const char *name)
{
        long keyring = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name);

        if (keyring < 0 || is_ours(keyring))
                return keyring;
        init_warn(plan,
                  "session keyring \"%s\" is another user's, who may have made it to be joined: this process "
                  "gets one of its own, without a name",
                  name);
        return syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
}

int attributes_keyring(const struct plan *plan, const struct spec_process *process, struct error *err)
{
        char name[KEYRING_NAME_MAX];

        (void)snprintf(name, sizeof(name), "_ses.%s", plan->id);
        if (process->selinux_label) {
                int r = write_attribute(plan, "thread-self/attr/keycreate", process->selinux_label);
                if (r < 0)
                        return error_errno(err, -r, "label the session keyring \"%s\"",
                                           process->selinux_label);
        }
        long keyring = join_keyring(plan, name);
        if (keyring < 0 && errno == ENOSYS) {
                init_warn(plan,
                          "no session keyring of its own: this kernel has none (CONFIG_KEYS), or forbids it");
                return 0;
        }
        if (keyring < 0) {
                int r = error_errno(err, errno, "join session keyring \"%s\"", name);
                if (r == -EDQUOT)
                        error_hint(err, "raise the sysctl kernel.keys.maxkeys, or use --no-new-keyring");
                return r;
        }
        /* That of an exec has been set up by the create, and may belong to somebody else. */
        if (plan->job == PLAN_JOB_CREATE &&
            syscall(SYS_keyctl, KEYCTL_SETPERM, keyring, KEYRING_PERMISSIONS) < 0)
                return error_errno(err, errno, "set the permissions of session keyring \"%s\"", name);
        if (process->selinux_label)
                (void)write_attribute(plan, "thread-self/attr/keycreate", "");
        return 0;
}

/* A payload gets its labels as it is executed; an enclave's process executes nothing, and gets them now.  An
 * AppArmor profile must let it use the sockets that it has, as those of engines do ("network"). */
struct label_files {
        const char *apparmor, *major; /* AppArmor's own (5.8), and that of the major module */
        const char *apparmor_word;
};

static struct label_files label_files(const struct plan *plan)
{
        static const struct label_files at_exec = {"thread-self/attr/apparmor/exec", "thread-self/attr/exec",
                                                   "exec"};
        static const struct label_files now = {"thread-self/attr/apparmor/current",
                                               "thread-self/attr/current", "changeprofile"};

        return plan->enclave ? now : at_exec;
}

static int apply_apparmor(const struct plan *plan, const char *profile, struct error *err)
{
        const struct label_files files = label_files(plan);
        char value[4096];

        int n = snprintf(value, sizeof(value), "%s %s", files.apparmor_word, profile);
        if (n < 0 || (size_t)n >= sizeof(value))
                return error_set(err, -ENAMETOOLONG, "AppArmor profile's name is too long");
        int r = write_attribute(plan, files.apparmor, value);
        if (r == -ENOENT)
                r = write_attribute(plan, files.major, value);
        if (r == -EINVAL)
                return error_set(err, r,
                                 "apply AppArmor profile \"%s\": AppArmor is not enabled on this host",
                                 profile);
        if (r == -ENOENT)
                return error_set(err, r,
                                 "apply AppArmor profile \"%s\": there is no such profile; load it with "
                                 "apparmor_parser(8)",
                                 profile);
        return r < 0 ? error_errno(err, -r, "apply AppArmor profile \"%s\"", profile) : 0;
}

static int apply_selinux(const struct plan *plan, const char *label, struct error *err)
{
        int r = write_attribute(plan, label_files(plan).major, label);

        if (r == -EINVAL && faccessat(plan->host_proc_fd, "../sys/fs/selinux/enforce", F_OK, 0) < 0)
                return error_set(err, r, "set SELinux label \"%s\": SELinux is not enabled on this host",
                                 label);
        return r < 0 ? error_errno(err, -r, "set SELinux label \"%s\"", label) : 0;
}

int attributes_labels(const struct plan *plan, const struct spec_process *process, struct error *err)
{
        int r = 0;

        if (process->apparmor_profile)
                r = apply_apparmor(plan, process->apparmor_profile, err);
        if (r == 0 && process->selinux_label)
                r = apply_selinux(plan, process->selinux_label, err);
        return r;
}
