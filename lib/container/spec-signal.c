/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/spec-parse.h"

#include "lib/base/cleanup.h"
#include "lib/base/text.h"

#include <signal.h>
#include <string.h>
#include <strings.h>

/* The real-time signals as the kernel counts them: the C library's SIGRTMIN is higher, as it keeps some for
 * itself, and that is what kill(1) and the engines mean by RTMIN. */
static int real_time_number(const char *name)
{
        bool from_max = strncasecmp(name, "RTMAX", 5) == 0;
        uint64_t distance = 0;

        if (!from_max && strncasecmp(name, "RTMIN", 5) != 0)
                return -1;
        if (name[5] && name[5] != (from_max ? '-' : '+'))
                return -1;
        if (name[5] && !parse_u64(name + 6, (uint64_t)(SIGRTMAX - SIGRTMIN), &distance))
                return -1;
        return from_max ? SIGRTMAX - (int)distance : SIGRTMIN + (int)distance;
}

int spec_signal_number(const char *text)
{
        static const struct {
                const char *name;
                int number;
        } others[] = {{"CLD", SIGCHLD}, {"IO", SIGIO}, {"IOT", SIGIOT}};
        uint64_t number;

        if (parse_u64(text, 64, &number))
                return (int)number;
        const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
        for (int i = 1; i < 32; i++) {
                const char *known = sigabbrev_np(i);
                if (known && strcasecmp(name, known) == 0)
                        return i;
        }
        for (size_t i = 0; i < ARRAY_SIZE(others); i++)
                if (strcasecmp(name, others[i].name) == 0)
                        return others[i].number;
        return real_time_number(name);
}
