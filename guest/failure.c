/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int failure_set(struct failure *f, int errnum, const char *path, const char *stage, ...)
{
        va_list arguments;

        f->errnum = errnum;
        va_start(arguments, stage);
        vsnprintf(f->stage, sizeof(f->stage), stage, arguments);
        va_end(arguments);
        snprintf(f->path, sizeof(f->path), "%s", path ? path : "");
        return errnum > 0 ? -errnum : -EINVAL;
}

void failure_text(const struct failure *f, char *ret_text, size_t size)
{
        snprintf(ret_text, size, "cannot %s%s%s%s%s", f->stage, *f->path ? ": " : "", f->path,
                 f->errnum ? ": " : "", f->errnum ? strerror(f->errnum) : "");
}
