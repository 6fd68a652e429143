/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/spec-names.h"

#include "lib/base/cleanup.h"
#include "lib/container/spec-mount-options.h"
#include "lib/container/spec-parse.h"

#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/ioprio.h>
#include <linux/mempolicy.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/resource.h>

/* What these kernel headers lack. */
enum {
        MPOL_WEIGHTED_INTERLEAVE_MODE = 6, /* Linux 6.9 */
        SCHED_ISO_POLICY = 4,              /* reserved, in no kernel */
};

/* Tokens that this libseccomp lacks: it says so itself when it is given one. */
#ifndef AUDIT_ARCH_LOONGARCH64
#define AUDIT_ARCH_LOONGARCH64 (EM_LOONGARCH | __AUDIT_ARCH_64BIT | __AUDIT_ARCH_LE)
#endif

struct word {
        const char *name;
        uint64_t value;
};

/* Each table in the order of strcmp(3). */
static const struct word capabilities[] = {
        {"CAP_AUDIT_CONTROL", CAP_AUDIT_CONTROL},
        {"CAP_AUDIT_READ", CAP_AUDIT_READ},
        {"CAP_AUDIT_WRITE", CAP_AUDIT_WRITE},
        {"CAP_BLOCK_SUSPEND", CAP_BLOCK_SUSPEND},
        {"CAP_BPF", CAP_BPF},
        {"CAP_CHECKPOINT_RESTORE", CAP_CHECKPOINT_RESTORE},
        {"CAP_CHOWN", CAP_CHOWN},
        {"CAP_DAC_OVERRIDE", CAP_DAC_OVERRIDE},
        {"CAP_DAC_READ_SEARCH", CAP_DAC_READ_SEARCH},
        {"CAP_FOWNER", CAP_FOWNER},
        {"CAP_FSETID", CAP_FSETID},
        {"CAP_IPC_LOCK", CAP_IPC_LOCK},
        {"CAP_IPC_OWNER", CAP_IPC_OWNER},
        {"CAP_KILL", CAP_KILL},
        {"CAP_LEASE", CAP_LEASE},
        {"CAP_LINUX_IMMUTABLE", CAP_LINUX_IMMUTABLE},
        {"CAP_MAC_ADMIN", CAP_MAC_ADMIN},
        {"CAP_MAC_OVERRIDE", CAP_MAC_OVERRIDE},
        {"CAP_MKNOD", CAP_MKNOD},
        {"CAP_NET_ADMIN", CAP_NET_ADMIN},
        {"CAP_NET_BIND_SERVICE", CAP_NET_BIND_SERVICE},
        {"CAP_NET_BROADCAST", CAP_NET_BROADCAST},
        {"CAP_NET_RAW", CAP_NET_RAW},
        {"CAP_PERFMON", CAP_PERFMON},
        {"CAP_SETFCAP", CAP_SETFCAP},
        {"CAP_SETGID", CAP_SETGID},
        {"CAP_SETPCAP", CAP_SETPCAP},
        {"CAP_SETUID", CAP_SETUID},
        {"CAP_SYSLOG", CAP_SYSLOG},
        {"CAP_SYS_ADMIN", CAP_SYS_ADMIN},
        {"CAP_SYS_BOOT", CAP_SYS_BOOT},
        {"CAP_SYS_CHROOT", CAP_SYS_CHROOT},
        {"CAP_SYS_MODULE", CAP_SYS_MODULE},
        {"CAP_SYS_NICE", CAP_SYS_NICE},
        {"CAP_SYS_PACCT", CAP_SYS_PACCT},
        {"CAP_SYS_PTRACE", CAP_SYS_PTRACE},
        {"CAP_SYS_RAWIO", CAP_SYS_RAWIO},
        {"CAP_SYS_RESOURCE", CAP_SYS_RESOURCE},
        {"CAP_SYS_TIME", CAP_SYS_TIME},
        {"CAP_SYS_TTY_CONFIG", CAP_SYS_TTY_CONFIG},
        {"CAP_WAKE_ALARM", CAP_WAKE_ALARM},
};

static const struct word hooks[] = {
        {"createContainer", offsetof(struct spec_hooks, create_container) / sizeof(struct spec_hook_list)},
        {"createRuntime", offsetof(struct spec_hooks, create_runtime) / sizeof(struct spec_hook_list)},
        {"poststart", offsetof(struct spec_hooks, poststart) / sizeof(struct spec_hook_list)},
        {"poststop", offsetof(struct spec_hooks, poststop) / sizeof(struct spec_hook_list)},
        {"prestart", offsetof(struct spec_hooks, prestart) / sizeof(struct spec_hook_list)},
        {"startContainer", offsetof(struct spec_hooks, start_container) / sizeof(struct spec_hook_list)},
};

static const struct word io_classes[] = {
        {"IOPRIO_CLASS_BE", IOPRIO_CLASS_BE},
        {"IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE},
        {"IOPRIO_CLASS_RT", IOPRIO_CLASS_RT},
};

static const struct word memory_flags[] = {
        {"MPOL_F_NUMA_BALANCING", MPOL_F_NUMA_BALANCING},
        {"MPOL_F_RELATIVE_NODES", MPOL_F_RELATIVE_NODES},
        {"MPOL_F_STATIC_NODES", MPOL_F_STATIC_NODES},
};

static const struct word memory_modes[] = {
        {"MPOL_BIND", MPOL_BIND},
        {"MPOL_DEFAULT", MPOL_DEFAULT},
        {"MPOL_INTERLEAVE", MPOL_INTERLEAVE},
        {"MPOL_LOCAL", MPOL_LOCAL},
        {"MPOL_PREFERRED", MPOL_PREFERRED},
        {"MPOL_PREFERRED_MANY", MPOL_PREFERRED_MANY},
        {"MPOL_WEIGHTED_INTERLEAVE", MPOL_WEIGHTED_INTERLEAVE_MODE},
};

static const struct word namespaces[] = {
        {"cgroup", SPEC_NAMESPACE_CGROUP},   {"ipc", SPEC_NAMESPACE_IPC}, {"mount", SPEC_NAMESPACE_MOUNT},
        {"network", SPEC_NAMESPACE_NETWORK}, {"pid", SPEC_NAMESPACE_PID}, {"time", SPEC_NAMESPACE_TIME},
        {"user", SPEC_NAMESPACE_USER},       {"uts", SPEC_NAMESPACE_UTS},
};

static const struct word personalities[] = {
        {"LINUX", PER_LINUX},
        {"LINUX32", PER_LINUX32},
};

static const struct word propagations[] = {
        {"private", MS_PRIVATE},
        {"rprivate", MS_PRIVATE | MS_REC},
        {"rshared", MS_SHARED | MS_REC},
        {"rslave", MS_SLAVE | MS_REC},
        {"runbindable", MS_UNBINDABLE | MS_REC},
        {"shared", MS_SHARED},
        {"slave", MS_SLAVE},
        {"unbindable", MS_UNBINDABLE},
};

static const struct word rlimits[] = {
        {"RLIMIT_AS", RLIMIT_AS},
        {"RLIMIT_CORE", RLIMIT_CORE},
        {"RLIMIT_CPU", RLIMIT_CPU},
        {"RLIMIT_DATA", RLIMIT_DATA},
        {"RLIMIT_FSIZE", RLIMIT_FSIZE},
        {"RLIMIT_LOCKS", RLIMIT_LOCKS},
        {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
        {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
        {"RLIMIT_NICE", RLIMIT_NICE},
        {"RLIMIT_NOFILE", RLIMIT_NOFILE},
        {"RLIMIT_NPROC", RLIMIT_NPROC},
        {"RLIMIT_RSS", RLIMIT_RSS},
        {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
        {"RLIMIT_RTTIME", RLIMIT_RTTIME},
        {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
        {"RLIMIT_STACK", RLIMIT_STACK},
};

static const struct word scheduler_flags[] = {
        {"SCHED_FLAG_DL_OVERRUN", SCHED_FLAG_DL_OVERRUN},
        {"SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS},
        {"SCHED_FLAG_KEEP_POLICY", SCHED_FLAG_KEEP_POLICY},
        {"SCHED_FLAG_RECLAIM", SCHED_FLAG_RECLAIM},
        {"SCHED_FLAG_RESET_ON_FORK", SCHED_FLAG_RESET_ON_FORK},
        {"SCHED_FLAG_UTIL_CLAMP_MAX", SCHED_FLAG_UTIL_CLAMP_MAX},
        {"SCHED_FLAG_UTIL_CLAMP_MIN", SCHED_FLAG_UTIL_CLAMP_MIN},
};

static const struct word scheduler_policies[] = {
        {"SCHED_BATCH", SCHED_BATCH}, {"SCHED_DEADLINE", SCHED_DEADLINE}, {"SCHED_FIFO", SCHED_FIFO},
        {"SCHED_IDLE", SCHED_IDLE},   {"SCHED_ISO", SCHED_ISO_POLICY},    {"SCHED_OTHER", SCHED_NORMAL},
        {"SCHED_RR", SCHED_RR},
};

static const struct word seccomp_actions[] = {
        {"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW},
        {"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0)},
        {"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD},
        {"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS},
        {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD},
        {"SCMP_ACT_LOG", SCMP_ACT_LOG},
        {"SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY},
        {"SCMP_ACT_TRACE", SCMP_ACT_TRACE(0)},
        {"SCMP_ACT_TRAP", SCMP_ACT_TRAP},
};

static const struct word seccomp_archs[] = {
        {"SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64},
        {"SCMP_ARCH_ARM", SCMP_ARCH_ARM},
        {"SCMP_ARCH_LOONGARCH64", AUDIT_ARCH_LOONGARCH64},
        {"SCMP_ARCH_M68K", AUDIT_ARCH_M68K},
        {"SCMP_ARCH_MIPS", SCMP_ARCH_MIPS},
        {"SCMP_ARCH_MIPS64", SCMP_ARCH_MIPS64},
        {"SCMP_ARCH_MIPS64N32", SCMP_ARCH_MIPS64N32},
        {"SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL},
        {"SCMP_ARCH_MIPSEL64", SCMP_ARCH_MIPSEL64},
        {"SCMP_ARCH_MIPSEL64N32", SCMP_ARCH_MIPSEL64N32},
        {"SCMP_ARCH_PARISC", SCMP_ARCH_PARISC},
        {"SCMP_ARCH_PARISC64", SCMP_ARCH_PARISC64},
        {"SCMP_ARCH_PPC", SCMP_ARCH_PPC},
        {"SCMP_ARCH_PPC64", SCMP_ARCH_PPC64},
        {"SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE},
        {"SCMP_ARCH_RISCV64", SCMP_ARCH_RISCV64},
        {"SCMP_ARCH_S390", SCMP_ARCH_S390},
        {"SCMP_ARCH_S390X", SCMP_ARCH_S390X},
        {"SCMP_ARCH_SH", AUDIT_ARCH_SHEL},
        {"SCMP_ARCH_SHEB", AUDIT_ARCH_SH},
        {"SCMP_ARCH_X32", SCMP_ARCH_X32},
        {"SCMP_ARCH_X86", SCMP_ARCH_X86},
        {"SCMP_ARCH_X86_64", SCMP_ARCH_X86_64},
};

/* TSYNC is about the other threads of a process, and the container's first process has none. */
static const struct word seccomp_flags[] = {
        {"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
        {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
        {"SECCOMP_FILTER_FLAG_TSYNC", 0},
        {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV},
};

static const struct word seccomp_operators[] = {
        {"SCMP_CMP_EQ", SCMP_CMP_EQ}, {"SCMP_CMP_GE", SCMP_CMP_GE},
        {"SCMP_CMP_GT", SCMP_CMP_GT}, {"SCMP_CMP_LE", SCMP_CMP_LE},
        {"SCMP_CMP_LT", SCMP_CMP_LT}, {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
        {"SCMP_CMP_NE", SCMP_CMP_NE},
};

#define TABLE(words)                                                                                         \
        {                                                                                                    \
                words, ARRAY_SIZE(words)                                                                     \
        }

static const struct table {
        const struct word *words;
        size_t n;
} tables[SPEC_VOCABULARIES] = {
        [SPEC_NAMES_CAPABILITIES] = TABLE(capabilities),
        [SPEC_NAMES_HOOKS] = TABLE(hooks),
        [SPEC_NAMES_IO_CLASSES] = TABLE(io_classes),
        [SPEC_NAMES_MEMORY_FLAGS] = TABLE(memory_flags),
        [SPEC_NAMES_MEMORY_MODES] = TABLE(memory_modes),
        [SPEC_NAMES_NAMESPACES] = TABLE(namespaces),
        [SPEC_NAMES_PERSONALITIES] = TABLE(personalities),
        [SPEC_NAMES_PROPAGATIONS] = TABLE(propagations),
        [SPEC_NAMES_RLIMITS] = TABLE(rlimits),
        [SPEC_NAMES_SCHEDULER_FLAGS] = TABLE(scheduler_flags),
        [SPEC_NAMES_SCHEDULER_POLICIES] = TABLE(scheduler_policies),
        [SPEC_NAMES_SECCOMP_ACTIONS] = TABLE(seccomp_actions),
        [SPEC_NAMES_SECCOMP_ARCHS] = TABLE(seccomp_archs),
        [SPEC_NAMES_SECCOMP_FLAGS] = TABLE(seccomp_flags),
        [SPEC_NAMES_SECCOMP_OPERATORS] = TABLE(seccomp_operators),
};

const char *spec_name_at(enum spec_vocabulary vocabulary, size_t index)
{
        if (vocabulary == SPEC_NAMES_MOUNT_OPTIONS)
                return spec_mount_option_name(index);
        return index < tables[vocabulary].n ? tables[vocabulary].words[index].name : NULL;
}

static int compare(const void *name, const void *word)
{
        return strcmp(name, ((const struct word *)word)->name);
}

bool spec_name_value(enum spec_vocabulary vocabulary, const char *name, uint64_t *ret_value)
{
        const struct table *table = &tables[vocabulary];
        const struct word *word =
                table->n ? bsearch(name, table->words, table->n, sizeof(*word), compare) : NULL;

        if (!word)
                return false;
        *ret_value = word->value;
        return true;
}

void spec_names_list(enum spec_vocabulary vocabulary, char *ret_text, size_t size)
{
        const char *name;
        size_t used = 0;

        ret_text[0] = '\0';
        for (size_t i = 0; (name = spec_name_at(vocabulary, i)); i++) {
                int n = snprintf(ret_text + used, size - used, "%s%s", i ? " " : "", name);
                if (n < 0 || (size_t)n >= size - used) {
                        ret_text[used] = '\0';
                        return;
                }
                used += (size_t)n;
        }
}

int spec_capability_number(const char *name)
{
        char full[40];
        uint64_t number;

        (void)snprintf(full, sizeof(full), "%s%s", strncasecmp(name, "CAP_", 4) == 0 ? "" : "CAP_", name);
        for (char *c = full; *c; c++)
                if (*c >= 'a' && *c <= 'z')
                        *c = (char)(*c - 'a' + 'A');
        return spec_name_value(SPEC_NAMES_CAPABILITIES, full, &number) ? (int)number : -1;
}
