/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/spec-capabilities.h"

#include "lib/base/cleanup.h"
#include "lib/container/spec-names.h"

#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static uint64_t own_permitted(void)
{
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct data[2] = {0};

        if (syscall(SYS_capget, &header, data) < 0)
                return 0;
        return (uint64_t)data[1].permitted << 32 | data[0].permitted;
}

static void warn(uint64_t dropped, const char *text, const struct log *log)
{
        char names[900] = "";
        const char *name;
        uint64_t number;
        size_t used = 0;

        if (!dropped)
                return;
        for (size_t i = 0; (name = spec_name_at(SPEC_NAMES_CAPABILITIES, i)); i++)
                if (spec_name_value(SPEC_NAMES_CAPABILITIES, name, &number) && dropped >> number & 1 &&
                    used < sizeof(names))
                        used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", used ? " " : "",
                                                 name);
        log_warning(log, "%s: [%s]", text, names);
}

/* One by one, as runc has it. */
static void warn_unraisable(uint64_t sets, const struct log *log)
{
        const char *name;
        uint64_t number;

        for (size_t i = 0; sets && (name = spec_name_at(SPEC_NAMES_CAPABILITIES, i)); i++)
                if (spec_name_value(SPEC_NAMES_CAPABILITIES, name, &number) && sets >> number & 1)
                        log_warning(
                                log,
                                "can't raise ambient capability %s: it isn't both permitted and inheritable",
                                name);
}

/* The members of `missing` that this kernel doesn't know (ret_unknown), or that our bounding set lacks. */
static void examine(uint64_t missing, uint64_t *ret_unknown, uint64_t *ret_unbounded)
{
        *ret_unknown = *ret_unbounded = 0;
        for (unsigned i = 0; missing >> i; i++) {
                if (!(missing >> i & 1))
                        continue;
                int r = prctl(PR_CAPBSET_READ, i, 0, 0, 0);
                if (r < 0)
                        *ret_unknown |= (uint64_t)1 << i;
                if (r != 1)
                        *ret_unbounded |= (uint64_t)1 << i;
                if (i == 63)
                        break;
        }
}

static void drop(struct spec_capabilities *sets, uint64_t from_bounding, uint64_t from_others,
                 const struct log *log)
{
        static const char ignored[] = "ignoring unknown or unavailable capabilities";
        uint64_t dropped =
                (sets->bounding & from_bounding) |
                ((sets->effective | sets->permitted | sets->inheritable | sets->ambient) & from_others);

        sets->bounding &= ~from_bounding;
        sets->effective &= ~from_others;
        sets->permitted &= ~from_others;
        sets->inheritable &= ~from_others;
        sets->ambient &= ~from_others;
        warn(dropped, ignored, log);

        /* prctl(2), PR_CAP_AMBIENT_RAISE. */
        uint64_t unraisable = sets->ambient & ~(sets->permitted & sets->inheritable);
        sets->ambient &= ~unraisable;
        warn_unraisable(unraisable, log);
}

static uint64_t wanted(const struct spec_capabilities *sets)
{
        return sets->bounding | sets->effective | sets->inheritable | sets->permitted | sets->ambient;
}

void spec_drop_unknown_capabilities(struct spec_process *process, const struct log *log)
{
        uint64_t unknown, unbounded;

        examine(wanted(&process->capabilities) & ~own_permitted(), &unknown, &unbounded);
        drop(&process->capabilities, unknown, unknown, log);
}

void spec_drop_unavailable_capabilities(struct spec_process *process, const struct log *log)
{
        uint64_t missing = wanted(&process->capabilities) & ~own_permitted();
        uint64_t unknown, unbounded;

        examine(missing, &unknown, &unbounded);
        drop(&process->capabilities, unbounded, missing, log);
}
