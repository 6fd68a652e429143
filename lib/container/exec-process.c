/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/exec-process.h"

#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/container/spec-parse.h"

#include <fcntl.h>
#include <string.h>

/* (uid_t)-1 means "unchanged" to the kernel and is nobody. */
enum { NUMBER_MAX = 10 };

static int parse_id(const char *text, size_t n, const char *what, uint32_t *ret_id, struct error *err)
{
        char digits[NUMBER_MAX + 1] = "";
        uint64_t id;

        if (n > 0 && n <= NUMBER_MAX)
                memcpy(digits, text, n);
        if (!parse_u64(digits, UINT32_MAX - 1, &id))
                return error_set(err, -EINVAL, "--user: bad %s \"%.*s\"; numbers are wanted, \"uid[:gid]\"",
                                 what, (int)n, text);
        *ret_id = (uint32_t)id;
        return 0;
}

static int set_user(const char *user, struct spec_process *process, struct error *err)
{
        size_t n = strcspn(user, ":");
        int r = parse_id(user, n, "uid", &process->uid, err);

        if (r == 0 && user[n] == ':')
                r = parse_id(user + n + 1, strlen(user + n + 1), "gid", &process->gid, err);
        return r;
}

static size_t count(char *const *strings)
{
        size_t n = 0;

        while (strings && strings[n])
                n++;
        return n;
}

/* `old` and then `more`, copied. */
static int append_strings(struct arena *arena, struct spec_strings *strings, char *const *more,
                          struct error *err)
{
        size_t n_more = count(more), n = strings->n;
        char **items = arena_alloc(arena, n + n_more + 1, sizeof(*items));

        if (!items)
                return error_oom(err);
        if (n > 0)
                memcpy(items, strings->items, n * sizeof(*items));
        for (size_t i = 0; i < n_more; i++) {
                items[n + i] = arena_string(arena, more[i]);
                if (!items[n + i])
                        return error_oom(err);
        }
        *strings = (struct spec_strings){items, n + n_more};
        return 0;
}

static int add_groups(struct arena *arena, const struct exec_request *request, struct spec_process *process,
                      struct error *err)
{
        size_t n = process->n_additional_gids, n_more = request->n_additional_gids;
        uint32_t *gids = arena_alloc(arena, n + n_more, sizeof(*gids));

        if (!gids)
                return error_oom(err);
        if (n > 0)
                memcpy(gids, process->additional_gids, n * sizeof(*gids));
        if (n_more > 0)
                memcpy(gids + n, request->additional_gids, n_more * sizeof(*gids));
        process->additional_gids = gids;
        process->n_additional_gids = n + n_more;
        return 0;
}

/* Ambient ones need inheritable ones, which --cap doesn't give: only where the container has some. */
static int add_capabilities(char *const *names, struct spec_process *process, struct error *err)
{
        struct spec_capabilities *sets = &process->capabilities;

        for (; names && *names; names++) {
                int number = spec_capability_number(*names);
                if (number < 0)
                        return error_set(err, -EINVAL, "--cap: unknown capability \"%s\"", *names);
                uint64_t bit = UINT64_C(1) << number;
                process->has_capabilities = true;
                sets->bounding |= bit;
                sets->effective |= bit;
                sets->permitted |= bit;
                if (sets->inheritable)
                        sets->ambient |= bit;
        }
        return 0;
}

static int override_string(struct arena *arena, const char *value, const char **field, struct error *err)
{
        if (!value || !*value)
                return 0;
        *field = arena_string(arena, value);
        return *field ? 0 : error_oom(err);
}

static int from_request(struct starting *s, const struct exec_request *request, struct spec_process *process,
                        struct error *err)
{
        struct arena *arena = &s->arena;

        if (s->spec->process)
                *process = *s->spec->process;
        process->terminal = request->terminal;
        process->has_console_size = false;
        process->args = (struct spec_strings){NULL, 0};
        int r = append_strings(arena, &process->args, request->args, err);
        if (r == 0)
                r = append_strings(arena, &process->env, request->env, err);
        if (r == 0)
                r = override_string(arena, request->cwd, &process->cwd, err);
        if (r == 0)
                r = override_string(arena, request->apparmor, &process->apparmor_profile, err);
        if (r == 0)
                r = override_string(arena, request->process_label, &process->selinux_label, err);
        if (r == 0 && request->user && *request->user)
                r = set_user(request->user, process, err);
        if (r == 0)
                r = add_groups(arena, request, process, err);
        if (r == 0)
                r = add_capabilities(request->capabilities, process, err);
        if (request->no_new_privileges)
                process->no_new_privileges = true;
        return r;
}

static int from_file(struct starting *s, const char *path, struct spec_process **ret_process,
                     struct error *err)
{
        cleanup_buf struct buf text = {0};
        int r = file_read(AT_FDCWD, path, SPEC_TEXT_MAX, &text, err);

        if (r == 0)
                r = spec_parse_process(buf_view(&text), &s->arena, s->engine->log, ret_process, err);
        if (r < 0)
                error_wrap(err, "--process");
        return r;
}

int exec_process(struct starting *s, const struct exec_request *request, struct spec_process **ret_process,
                 struct error *err)
{
        struct spec_process *process = arena_alloc(&s->arena, 1, sizeof(*process));
        int r;

        if (!process)
                return error_oom(err);
        if (request->process_file)
                r = from_file(s, request->process_file, &process, err);
        else
                r = from_request(s, request, process, err);
        if (r < 0)
                return r;
        if (request->terminal)
                process->terminal = true;
        if (process->args.n == 0)
                return error_set(err, -EINVAL, "exec args cannot be empty");
        if (!process->cwd || *process->cwd != '/')
                return error_set(err, -EINVAL, "Cwd must be an absolute path");
        *ret_process = process;
        return 0;
}
