/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/seccomp-internal.h"

#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>

/* A canonical profile is about as long as its JSON text, which has SPEC_TEXT_MAX; Docker's has 6 KiB. */
enum { KEY_MAX = 16 * 1024 * 1024 };

void seccomp_program_done(struct seccomp_program *program)
{
        free(program->filter);
        *program = (struct seccomp_program){0};
}

static int copy_to_arena(const struct seccomp_program *program, struct arena *arena,
                         struct plan_seccomp *ret_program, struct error *err)
{
        struct sock_filter *filter = arena_alloc(arena, program->n, sizeof(*filter));

        if (!filter)
                return error_set(err, -ENOMEM, "seccomp filter of %zu instructions: no room for it",
                                 program->n);
        memcpy(filter, program->filter, program->n * sizeof(*filter));
        *ret_program = (struct plan_seccomp){.filter = filter, .n = program->n, .flags = program->flags};
        return 0;
}

/* A cache that can't be written costs time and nothing else. */
static int compile(const struct spec_seccomp *seccomp, const char *cache, struct view key,
                   struct arena *arena, const struct log *log, struct plan_seccomp *ret_program,
                   struct error *err)
{
        cleanup_seccomp_program struct seccomp_program program = {0};
        struct error cache_error = {0};

        int r = seccomp_program_make(seccomp, log, &program, err);
        if (r < 0)
                return r;
        if (cache && seccomp_cache_store(cache, key, &program, &cache_error) < 0)
                log_debug(log, "seccomp filter isn't cached: %s", error_text(&cache_error));
        return copy_to_arena(&program, arena, ret_program, err);
}

int seccomp_compile(const struct spec_seccomp *seccomp, const char *cache, struct arena *arena,
                    const struct log *log, struct plan_seccomp *ret_program, struct error *err)
{
        cleanup_buf struct buf key = buf_with_max(KEY_MAX);
        struct plan_seccomp program = {0};
        int r = 0;

        if (cache) {
                r = seccomp_cache_key(seccomp, &key);
                if (r < 0)
                        return error_set(err, r, "seccomp profile is too large");
                r = seccomp_cache_load(cache, buf_view(&key), arena, &program);
        }
        if (r == 0)
                r = compile(seccomp, cache, buf_view(&key), arena, log, &program, err);
        else if (r < 0)
                error_oom(err);
        if (r < 0)
                return r;
        program.has_notify = seccomp_has_notify(seccomp);
        log_debug(log, "seccomp filter flags: %lu",
                  program.flags | (program.has_notify ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0));
        *ret_program = program;
        return 0;
}
