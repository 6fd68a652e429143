/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/init/attributes.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <linux/sched.h>
#include <stdio.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What older kernel headers lack. */
#ifndef SECCOMP_FILTER_FLAG_TSYNC_ESRCH
#define SECCOMP_FILTER_FLAG_TSYNC_ESRCH (1UL << 4)
#endif

enum { IOPRIO_WHO_PROCESS = 1, BITS_IN_WORD = 64 };

static const char *rlimit_name(int resource)
{
        static const char *const names[] = {
                [RLIMIT_CPU] = "RLIMIT_CPU",           [RLIMIT_FSIZE] = "RLIMIT_FSIZE",
                [RLIMIT_DATA] = "RLIMIT_DATA",         [RLIMIT_STACK] = "RLIMIT_STACK",
                [RLIMIT_CORE] = "RLIMIT_CORE",         [RLIMIT_RSS] = "RLIMIT_RSS",
                [RLIMIT_NPROC] = "RLIMIT_NPROC",       [RLIMIT_NOFILE] = "RLIMIT_NOFILE",
                [RLIMIT_MEMLOCK] = "RLIMIT_MEMLOCK",   [RLIMIT_AS] = "RLIMIT_AS",
                [RLIMIT_LOCKS] = "RLIMIT_LOCKS",       [RLIMIT_SIGPENDING] = "RLIMIT_SIGPENDING",
                [RLIMIT_MSGQUEUE] = "RLIMIT_MSGQUEUE", [RLIMIT_NICE] = "RLIMIT_NICE",
                [RLIMIT_RTPRIO] = "RLIMIT_RTPRIO",     [RLIMIT_RTTIME] = "RLIMIT_RTTIME",
        };

        return resource >= 0 && (size_t)resource < ARRAY_SIZE(names) ? names[resource] : "(unknown)";
}

/* prlimit64(2) as the kernel has it: 64 bits everywhere. */
struct kernel_rlimit {
        uint64_t soft;
        uint64_t hard;
};

static int set_rlimit(int resource, struct kernel_rlimit limit, struct error *err)
{
        if (syscall(SYS_prlimit64, 0, resource, &limit, NULL) < 0)
                return error_errno(err, errno, "set rlimit %s to %llu (hard limit %llu)",
                                   rlimit_name(resource), (unsigned long long)limit.soft,
                                   (unsigned long long)limit.hard);
        return 0;
}

int attributes_rlimits(const struct spec_process *process, struct error *err)
{
        for (size_t i = 0; i < process->n_rlimits; i++) {
                const struct spec_rlimit *limit = &process->rlimits[i];
                int r = set_rlimit(limit->resource, (struct kernel_rlimit){limit->soft, limit->hard}, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

int attributes_raise_rlimits(const struct spec_process *process, struct error *err)
{
        for (size_t i = 0; i < process->n_rlimits; i++) {
                const struct spec_rlimit *limit = &process->rlimits[i];
                struct kernel_rlimit present;
                if (syscall(SYS_prlimit64, 0, limit->resource, NULL, &present) < 0 ||
                    present.hard >= limit->hard)
                        continue;
                int r = set_rlimit(limit->resource, (struct kernel_rlimit){present.soft, limit->hard}, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* struct sched_attr of sched_setattr(2), in its first version. */
struct scheduler_attributes {
        uint32_t size;
        uint32_t policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime;
        uint64_t deadline;
        uint64_t period;
};

static const char *policy_name(uint32_t policy)
{
        static const char *const names[] = {
                [0] = "SCHED_OTHER", [1] = "SCHED_FIFO", [2] = "SCHED_RR",       [3] = "SCHED_BATCH",
                [4] = "SCHED_ISO",   [5] = "SCHED_IDLE", [6] = "SCHED_DEADLINE",
        };

        return policy < ARRAY_SIZE(names) ? names[policy] : "(unknown)";
}

static int set_scheduler(const struct spec_scheduler *scheduler, struct error *err)
{
        const struct scheduler_attributes attributes = {
                .size = sizeof(attributes),
                .policy = scheduler->policy,
                .flags = scheduler->flags,
                .nice = scheduler->nice,
                .priority = scheduler->priority,
                .runtime = scheduler->runtime,
                .deadline = scheduler->deadline,
                .period = scheduler->period,
        };

        if (syscall(SYS_sched_setattr, 0, &attributes, 0) == 0)
                return 0;
        int r = error_errno(err, errno, "set scheduler %s", policy_name(scheduler->policy));
        if (r == -EPERM && scheduler->policy == SCHED_DEADLINE)
                error_hint(err, "this process scheduler can't be used together with AllowedCPUs (a cpuset: "
                                "linux.resources.cpu.cpus), and takes CAP_SYS_NICE");
        else if (r == -EPERM)
                error_hint(err, "real-time schedulers take CAP_SYS_NICE");
        return r;
}

int attributes_scheduling(const struct spec_process *process, struct error *err)
{
        if (process->scheduler) {
                int r = set_scheduler(process->scheduler, err);
                if (r < 0)
                        return r;
        }
        if (process->has_io_priority &&
            syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, process->io_priority) < 0)
                return error_errno(err, errno, "set I/O priority 0x%x", process->io_priority);
        return 0;
}

int attributes_memory_policy(const struct spec_memory_policy *policy, struct error *err)
{
        if (!policy)
                return 0;
        /* The kernel counts one bit less than it is told. */
        unsigned long bits = policy->n_nodes ? policy->n_nodes * BITS_IN_WORD + 1 : 0;
        if (syscall(SYS_set_mempolicy, policy->mode, policy->nodes, bits) == 0)
                return 0;
        if (errno == ENOSYS)
                return error_set(err, -ENOSYS, "set memory policy: this kernel has no NUMA (CONFIG_NUMA)");
        return error_errno(err, errno, "set memory policy 0x%x", (unsigned)policy->mode);
}

int attributes_personality(unsigned long value, struct error *err)
{
        return personality(value) < 0 ? error_errno(err, errno, "set personality 0x%lx", value) : 0;
}

int attributes_oom_score(const struct plan *plan, const struct spec_process *process, struct error *err)
{
        char text[32];

        if (!process->oom_score_adj.set)
                return 0;
        int n = snprintf(text, sizeof(text), "%lld", (long long)process->oom_score_adj.value);
        cleanup_fd int fd = openat(plan->host_proc_fd, "self/oom_score_adj", O_WRONLY | O_CLOEXEC);
        int r = fd < 0 ? -errno : fd_write_full(fd, text, (size_t)n);
        /* Only root may make a process dearer than it is. */
        if (r == 0 || (plan->rootless && (r == -EACCES || r == -EPERM)))
                return 0;
        return error_errno(err, -r, "set the OOM score adjustment to %s", text);
}

int attributes_seccomp(const struct plan_seccomp *seccomp, int *ret_listener, struct error *err)
{
        unsigned long flags = seccomp->flags;

        *ret_listener = -1;
        if (seccomp->n == 0)
                return 0;
        if (seccomp->n > BPF_MAXINSNS)
                return error_set(err, -E2BIG, "seccomp filter has %zu instructions, the kernel takes %d",
                                 seccomp->n, BPF_MAXINSNS);
        /* We have one thread; and these two are a pair that the kernel refuses. */
        if (seccomp->has_notify)
                flags = (flags | SECCOMP_FILTER_FLAG_NEW_LISTENER) &
                        ~(unsigned long)SECCOMP_FILTER_FLAG_TSYNC;
        const struct sock_fprog program = {.len = (unsigned short)seccomp->n, .filter = seccomp->filter};
        long r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
        if (r < 0 && errno == ENOSYS)
                return error_set(err, -ENOSYS,
                                 "load seccomp filter: this kernel has none (CONFIG_SECCOMP_FILTER)");
        if (r < 0 && errno == EINVAL && flags)
                return error_set(err, -EINVAL,
                                 "load seccomp filter: this kernel lacks one of the flags 0x%lx", flags);
        if (r < 0)
                return error_errno(err, errno, "load seccomp filter");
        if (seccomp->has_notify)
                *ret_listener = (int)r;
        return 0;
}
