/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/init/messages.h"

#include "lib/base/cleanup.h"
#include "lib/container/sync.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void init_warn(const struct plan *plan, const char *format, ...)
{
        char text[PLAN_MESSAGE_MAX];
        va_list args;

        va_start(args, format);
        (void)vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        (void)sync_send(plan->sync_fd, PLAN_WARNING, text, -1);
}

int error_cause(struct error *err, int errnum, const char *format, ...)
{
        char context[ERROR_TEXT_MAX];
        const char *cause = strerrordesc_np(errnum);
        va_list args;

        va_start(args, format);
        (void)vsnprintf(context, sizeof(context), format, args);
        va_end(args);
        if (!cause)
                return error_errno(err, errnum, "%s", context);
        /* "I/O error" stays as it is. */
        char first = islower((unsigned char)cause[1]) ? (char)tolower((unsigned char)cause[0]) : cause[0];
        return error_set(err, -errnum, "%s: %c%s", context, first, cause[0] ? cause + 1 : "");
}
