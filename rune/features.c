/* SPDX-License-Identifier: Apache-2.0 */
/*
 * features.c - what this runtime knows, for engines that ask (runtime-spec features.md).  All of it follows
 * from how rune was built, but for seccomp's supportedFlags, which the kernel is asked for.
 */
#include "lib/container/spec-names.h"
#include "rune/commands.h"
#include "rune/version.h"

#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A new array of a vocabulary's words. */
static json_t *words_of(enum spec_vocabulary vocabulary)
{
        json_t *array = json_array();
        const char *word;

        for (size_t i = 0; (word = spec_name_at(vocabulary, i)); i++) {
                if (json_array_append_new(array, json_string(word)) < 0) {
                        json_decref(array);
                        return NULL;
                }
        }
        return array;
}

/* A kernel that knows a flag goes on to look for the filter, and finds none. With the listener's flag, since
 * others may ask for it. */
static bool flag_supported(uint64_t flag)
{
        return flag == 0 || (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                                     flag | SECCOMP_FILTER_FLAG_NEW_LISTENER, NULL) < 0 &&
                             errno == EFAULT);
}

static json_t *supported_flags(void)
{
        json_t *array = json_array();
        const char *word;
        uint64_t flag;

        for (size_t i = 0; (word = spec_name_at(SPEC_NAMES_SECCOMP_FLAGS, i)); i++) {
                if (!spec_name_value(SPEC_NAMES_SECCOMP_FLAGS, word, &flag) || !flag_supported(flag))
                        continue;
                if (json_array_append_new(array, json_string(word)) < 0) {
                        json_decref(array);
                        return NULL;
                }
        }
        return array;
}

/* json_pack() gives NULL where a part is NULL, and frees the others. */
static json_t *seccomp_features(void)
{
        return json_pack("{s:b, s:o, s:o, s:o, s:o, s:o}", "enabled", 1, "actions",
                         words_of(SPEC_NAMES_SECCOMP_ACTIONS), "operators",
                         words_of(SPEC_NAMES_SECCOMP_OPERATORS), "archs", words_of(SPEC_NAMES_SECCOMP_ARCHS),
                         "knownFlags", words_of(SPEC_NAMES_SECCOMP_FLAGS), "supportedFlags",
                         supported_flags());
}

static json_t *linux_features(void)
{
        return json_pack("{s:o, s:o, s:{s:b, s:b, s:b, s:b, s:b}, s:o, s:{s:b}, s:{s:b}, s:{s:b, s:b, s:b},"
                         " s:{s:o, s:o}, s:{s:{s:b}}, s:{s:b}}",
                         "namespaces", words_of(SPEC_NAMES_NAMESPACES), "capabilities",
                         words_of(SPEC_NAMES_CAPABILITIES), "cgroup", "v1", 1, "v2", 1, "systemd", 1,
                         "systemdUser", 1, "rdma", 1, "seccomp", seccomp_features(), "apparmor", "enabled", 1,
                         "selinux", "enabled", 1, "intelRdt", "enabled", 1, "schemata", 1, "monitoring", 1,
                         "memoryPolicy", "modes", words_of(SPEC_NAMES_MEMORY_MODES), "flags",
                         words_of(SPEC_NAMES_MEMORY_FLAGS), "mountExtensions", "idmap", "enabled", 1,
                         "netDevices", "enabled", 1);
}

static json_t *features(void)
{
        char libseccomp[16];

        version_libseccomp(libseccomp);
        return json_pack("{s:s, s:s, s:o, s:o, s:o, s:{s:s, s:s, s:s, s:s}, s:[s, s, s]}", "ociVersionMin",
                         "1.0.0", "ociVersionMax", RUNE_SPEC_VERSION, "hooks", words_of(SPEC_NAMES_HOOKS),
                         "mountOptions", words_of(SPEC_NAMES_MOUNT_OPTIONS), "linux", linux_features(),
                         "annotations", "io.github.seccomp.libseccomp.version", libseccomp,
                         "org.opencontainers.runc.checkpoint.enabled", "false", "coffer.rune.commit",
                         version_commit(), "coffer.rune.version", COFFER_VERSION,
                         "potentiallyUnsafeConfigAnnotations", "org.systemd.property.",
                         "run.oci.systemd.subgroup", "enclave.");
}

static int run(struct rune *rune, const void *values, const struct operands *operands, int *ret_status,
               struct error *err)
{
        json_t *shown = features();
        int r = rune_print_json(shown, JSON_INDENT(4), err);

        (void)rune;
        (void)values;
        (void)operands;
        (void)ret_status;
        json_decref(shown);
        return r;
}

const struct command rune_features = {
        .name = "features",
        .summary = "print what this runtime supports as JSON",
        .usage = "",
        .description = "See features.md of the OCI runtime-spec.",
        .run = run,
};
