/* SPDX-License-Identifier: Apache-2.0 */
#include "qt/progress.h"
#include "lib/base/buf.h"
#include "lib/base/fd.h"

#include <unistd.h>

static const char *phase_name(enum enclave_build_phase phase)
{
        static const char *const names[] = {
                [ENCLAVE_BUILD_RESOLVE] = "looking for the image",
                [ENCLAVE_BUILD_EXPORT] = "reading the image",
                [ENCLAVE_BUILD_LAYERS] = "layers",
                [ENCLAVE_BUILD_MERGE] = "merging layer",
                [ENCLAVE_BUILD_WRITE] = "writing the root file system",
        };
        return names[phase];
}

static double megabytes(uint64_t bytes)
{
        return (double)bytes / 1e6;
}

void progress_show(void *user, const struct enclave_build_progress *now)
{
        struct progress *progress = user;
        cleanup_buf struct buf line = buf_with_max(256);

        if (!progress->enabled)
                return;
        buf_printf(&line, "\r%s", phase_name(now->phase));
        if (now->n_parts > 0)
                buf_printf(&line, " %zu/%zu", now->part, now->n_parts);
        if (now->done > 0)
                buf_printf(&line, "  %.1f", megabytes(now->done));
        if (now->done > 0 && now->total > 0)
                buf_printf(&line, " of %.1f", megabytes(now->total));
        buf_printf(&line, "%s\033[K", now->done > 0 ? " MB" : "");
        atomic_store(&progress->shown, true);
        fd_write_full(STDERR_FILENO, line.p, line.n);
}

void progress_clear(struct progress *progress)
{
        if (atomic_exchange(&progress->shown, false))
                fd_write_full(STDERR_FILENO, "\r\033[K", 4);
}

void progress_emit(void *user, enum log_level level, const char *text)
{
        progress_clear(user);
        log_emit_stderr(NULL, level, text);
}
