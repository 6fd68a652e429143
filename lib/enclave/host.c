/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/host.h"

#include "lib/base/cleanup.h"
#include "lib/base/text.h"

#include <sched.h>
#include <string.h>
#include <unistd.h>

enum { CPUS_MAX = 8192, MIB = 1024 * 1024 };

unsigned host_cpus(void)
{
        cpu_set_t *set = CPU_ALLOC(CPUS_MAX);
        size_t size = CPU_ALLOC_SIZE(CPUS_MAX);
        unsigned n = 1;

        if (set && sched_getaffinity(0, size, set) == 0)
                n = (unsigned)CPU_COUNT_S(size, set);
        CPU_FREE(set);
        return n > 0 ? n : 1;
}

/* The first number of a line such as "MemAvailable:   1234 kB", or "1234". */
static bool number_in(const char *line, uint64_t *ret_value)
{
        char digits[24];
        size_t skip = strcspn(line, "0123456789");
        size_t n = strspn(line + skip, "0123456789");

        if (n >= sizeof(digits))
                return false;
        memcpy(digits, line + skip, n);
        digits[n] = '\0';
        return parse_u64(digits, UINT64_MAX, ret_value);
}

/* The number in the first line of `path` that begins with `name`. */
static bool read_number(const char *path, const char *name, uint64_t *ret_value)
{
        cleanup_file FILE *file = fopen(path, "re");
        char line[256];

        while (file && fgets(line, sizeof(line), file)) {
                if (string_starts_with(line, name))
                        return number_in(line, ret_value);
        }
        return false;
}

unsigned host_available_mib(void)
{
        uint64_t available = UINT64_MAX, kib, limit, used;

        if (read_number("/proc/meminfo", "MemAvailable:", &kib) && kib < UINT64_MAX / 1024)
                available = kib * 1024;
        if (read_number("/sys/fs/cgroup/memory.max", "", &limit) &&
            read_number("/sys/fs/cgroup/memory.current", "", &used)) {
                uint64_t left = limit > used ? limit - used : 0;
                if (left < available)
                        available = left;
        }
        return available / MIB < UINT_MAX ? (unsigned)(available / MIB) : UINT_MAX;
}

/* True where a line of /proc/cpuinfo begins with "flags" and has the word. */
static bool has_flag(const char *line, const char *word)
{
        size_t n = strlen(word);

        if (!string_starts_with(line, "flags"))
                return false;
        for (const char *p = line; (p = strstr(p, word)); p += n) {
                if (p[-1] == ' ' && (p[n] == ' ' || p[n] == '\n' || p[n] == '\0'))
                        return true;
        }
        return false;
}

bool host_has_virtualization(void)
{
        cleanup_file FILE *file = fopen("/proc/cpuinfo", "re");
        cleanup_free char *line = NULL;
        size_t size = 0;

        while (file && getline(&line, &size, file) > 0) {
                if (has_flag(line, "vmx") || has_flag(line, "svm"))
                        return true;
        }
        return false;
}

int host_choose_isolation(enum enclave_accelerator accelerator, bool can_open_kvm,
                          enum enclave_isolation *ret_isolation, const char **ret_lack, struct error *err)
{
        const char *lack = access("/dev/kvm", F_OK) < 0 ? "there is no /dev/kvm"
                           : !host_has_virtualization() ? "the CPU shows neither vmx nor svm"
                           : !can_open_kvm
                                   ? "the user that runs QEMU cannot open /dev/kvm; members of its group can"
                                   : NULL;

        if (accelerator == ENCLAVE_ACCELERATOR_KVM && lack)
                return error_set(err, -EOPNOTSUPP, "KVM cannot be used: %s", lack);
        *ret_lack = accelerator == ENCLAVE_ACCELERATOR_AUTO ? lack : NULL;
        *ret_isolation = accelerator != ENCLAVE_ACCELERATOR_TCG && !lack ? ENCLAVE_ISOLATION_KVM
                                                                         : ENCLAVE_ISOLATION_EMULATED;
        return 0;
}
