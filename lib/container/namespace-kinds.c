/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/namespace-kinds.h"

#include <linux/sched.h>

const struct namespace_kind namespace_kinds[SPEC_NAMESPACE_TYPES] = {
        [SPEC_NAMESPACE_USER] = {CLONE_NEWUSER, "user", "user"},
        [SPEC_NAMESPACE_PID] = {CLONE_NEWPID, "pid", "PID"},
        [SPEC_NAMESPACE_IPC] = {CLONE_NEWIPC, "ipc", "IPC"},
        [SPEC_NAMESPACE_UTS] = {CLONE_NEWUTS, "uts", "UTS"},
        [SPEC_NAMESPACE_NETWORK] = {CLONE_NEWNET, "net", "network"},
        [SPEC_NAMESPACE_CGROUP] = {CLONE_NEWCGROUP, "cgroup", "cgroup"},
        [SPEC_NAMESPACE_TIME] = {CLONE_NEWTIME, "time", "time"},
        [SPEC_NAMESPACE_MOUNT] = {CLONE_NEWNS, "mnt", "mount"},
};
