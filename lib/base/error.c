/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *err, int code, const char *format, ...)
{
        va_list args;

        if (!err)
                return code;
        /* Formatted aside: an argument may point into err->text. */
        char text[ERROR_TEXT_MAX];
        va_start(args, format);
        (void)vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        memcpy(err->text, text, sizeof(text));
        err->code = code;
        return code;
}

int error_errno(struct error *err, int errnum, const char *format, ...)
{
        va_list args;

        if (!err)
                return -errnum;
        char text[ERROR_TEXT_MAX];
        va_start(args, format);
        (void)vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        return error_set(err, -errnum, "%s: %s", text, strerrordesc_np(errnum) ?: "unknown error");
}

int error_wrap(struct error *err, const char *format, ...)
{
        va_list args;

        if (!err)
                return 0;
        char context[ERROR_TEXT_MAX];
        va_start(args, format);
        (void)vsnprintf(context, sizeof(context), format, args);
        va_end(args);
        return error_set(err, err->code ? err->code : -EINVAL, "%s: %s", context, error_text(err));
}

void error_hint(struct error *err, const char *format, ...)
{
        va_list args;

        if (!err)
                return;
        char hint[ERROR_TEXT_MAX];
        va_start(args, format);
        (void)vsnprintf(hint, sizeof(hint), format, args);
        va_end(args);
        error_set(err, err->code, "%s; %s", error_text(err), hint);
}

const char *error_text(const struct error *err)
{
        return err && err->text[0] ? err->text : "unknown error";
}

int error_oom(struct error *err)
{
        return error_set(err, -ENOMEM, "out of memory");
}
