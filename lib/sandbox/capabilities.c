/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sandbox/sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int sandbox_keep_capabilities(uint64_t keep)
{
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct has[_LINUX_CAPABILITY_U32S_3], data[_LINUX_CAPABILITY_U32S_3];

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_capget, &header, has) < 0)
                return -errno;
        for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
                uint32_t kept = has[i].permitted & (uint32_t)(keep >> (32 * i));
                data[i] = (struct __user_cap_data_struct){.effective = kept, .permitted = kept};
        }
        return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}
