/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service-spec.c - records to structures and back.
 *
 * A decoder copies the payload once and keeps that: texts are used where they lie, as each has its NUL.  One
 * table for each structure maps tags to the functions that read their values; a value that leaves bytes over
 * is as wrong as one that lacks some.
 */
#include "lib/enclave/service-spec.h"

#include "lib/base/array.h"
#include "lib/base/cleanup.h"
#include "lib/enclave/service-protocol.h"

#include <string.h>

enum {
        RECORD_HEADER = 5,
        FILTER_INSTRUCTION = 8,
        DEVICE_INSTRUCTION = 8,
        MODE_MAX = 07777,
        UMASK_MAX = 0777,
        LIMITS_MAX = 16, /* RLIM_NLIMITS of Linux */
};

enum container_tag {
        TAG_HOSTNAME = 1,
        TAG_DOMAINNAME = 2,
        TAG_READONLY_ROOT = 3,
        TAG_SYSCTL = 4,
        TAG_MOUNT = 5,
        TAG_MASKED = 6,
        TAG_READONLY = 7,
        TAG_FILE = 8,
        TAG_LIMIT_FILE = 9,
        TAG_DEVICE_FILTER = 10,
};

enum process_tag {
        TAG_ARG = 1,
        TAG_ENV = 2,
        TAG_CWD = 3,
        TAG_USER = 4,
        TAG_GROUP = 5,
        TAG_UMASK = 6,
        TAG_LIMIT = 7,
        TAG_CAPABILITIES = 8,
        TAG_NO_NEW_PRIVILEGES = 9,
        TAG_TERMINAL = 10,
        TAG_OOM_SCORE = 11,
        TAG_FILTER = 12,
};

void service_container_done(struct service_container *container)
{
        free(container->sysctls);
        free(container->mounts);
        free(container->masked_paths);
        free(container->readonly_paths);
        free(container->files);
        free(container->limits);
        free(container->bytes);
        *container = (struct service_container){0};
}

void service_process_done(struct service_process *process)
{
        free(process->argv);
        free(process->env);
        free(process->groups);
        free(process->limits);
        free(process->filter);
        free(process->bytes);
        *process = (struct service_process){0};
}

/* Room for one member more, and for a NULL behind it, which is set. */
static int add_string(const char ***strings, size_t *n, const char *s)
{
        if (*n >= SERVICE_LIST_MAX)
                return -E2BIG;
        if (array_grow(strings, *n + 1, sizeof(**strings)) < 0)
                return -ENOMEM;
        (*strings)[(*n)++] = s;
        (*strings)[*n] = NULL;
        return 0;
}

int service_process_add_arg(struct service_process *process, const char *arg)
{
        return add_string(&process->argv, &process->n_argv, arg);
}

int service_process_add_env(struct service_process *process, const char *entry)
{
        return add_string(&process->env, &process->n_env, entry);
}

/* ---- encoding ---- */

static void put_be64(struct buf *b, uint64_t value)
{
        buf_append_be32(b, (uint32_t)(value >> 32));
        buf_append_be32(b, (uint32_t)value);
}

static void put_header(struct buf *b, unsigned tag, size_t n)
{
        buf_append_byte(b, (uint8_t)tag);
        buf_append_be32(b, (uint32_t)n);
}

/* A text that may be NULL, which is "", with its NUL. */
static void put_text(struct buf *b, const char *text)
{
        buf_append_string(b, text ? text : "");
        buf_append_byte(b, 0);
}

static size_t text_size(const char *text)
{
        return (text ? strlen(text) : 0) + 1;
}

static void put_text_record(struct buf *b, unsigned tag, const char *text)
{
        put_header(b, tag, text_size(text));
        put_text(b, text);
}

static void put_texts(struct buf *b, unsigned tag, const char *const *texts, size_t n)
{
        for (size_t i = 0; i < n; i++)
                put_text_record(b, tag, texts[i]);
}

static void put_pair(struct buf *b, unsigned tag, const char *first, const char *second)
{
        put_header(b, tag, text_size(first) + text_size(second));
        put_text(b, first);
        put_text(b, second);
}

static void put_mount(struct buf *b, const struct service_mount *mount)
{
        put_header(b, TAG_MOUNT,
                   sizeof(mount->flags) + text_size(mount->type) + text_size(mount->source) +
                           text_size(mount->destination) + text_size(mount->data));
        put_be64(b, mount->flags);
        put_text(b, mount->type);
        put_text(b, mount->source);
        put_text(b, mount->destination);
        put_text(b, mount->data);
}

static void put_file(struct buf *b, const struct service_file *file)
{
        put_header(b, TAG_FILE, sizeof(file->mode) + text_size(file->path) + file->content.n);
        buf_append_be32(b, file->mode);
        put_text(b, file->path);
        buf_append_view(b, file->content);
}

/* What has been appended behind `start` is whole and not too much. */
static int finish(const struct buf *b, size_t start, const char *what, struct error *err)
{
        if (b->failed == -ENOMEM)
                return error_oom(err);
        if (b->failed || b->n - start > SERVICE_SPEC_MAX)
                return error_set(err, -E2BIG, "%s takes more than the %d bytes that an enclave accepts", what,
                                 SERVICE_SPEC_MAX);
        return 0;
}

int service_container_encode(const struct service_container *container, struct buf *b, struct error *err)
{
        size_t start = b->n;

        if (container->hostname)
                put_text_record(b, TAG_HOSTNAME, container->hostname);
        if (container->domainname)
                put_text_record(b, TAG_DOMAINNAME, container->domainname);
        if (container->readonly_root)
                put_header(b, TAG_READONLY_ROOT, 0);
        for (size_t i = 0; i < container->n_sysctls; i++)
                put_pair(b, TAG_SYSCTL, container->sysctls[i].key, container->sysctls[i].value);
        for (size_t i = 0; i < container->n_mounts; i++)
                put_mount(b, &container->mounts[i]);
        put_texts(b, TAG_MASKED, container->masked_paths, container->n_masked_paths);
        put_texts(b, TAG_READONLY, container->readonly_paths, container->n_readonly_paths);
        for (size_t i = 0; i < container->n_files; i++)
                put_file(b, &container->files[i]);
        for (size_t i = 0; i < container->n_limits; i++)
                put_pair(b, TAG_LIMIT_FILE, container->limits[i].name, container->limits[i].value);
        if (container->device_filter.n > 0) {
                put_header(b, TAG_DEVICE_FILTER, container->device_filter.n);
                buf_append_view(b, container->device_filter);
        }
        return finish(b, start, "the container's configuration", err);
}

static void put_limits(struct buf *b, const struct service_process *process)
{
        for (size_t i = 0; i < process->n_limits; i++) {
                const struct service_limit *limit = &process->limits[i];
                put_header(b, TAG_LIMIT, sizeof(uint32_t) + 2 * sizeof(uint64_t));
                buf_append_be32(b, limit->resource);
                put_be64(b, limit->soft);
                put_be64(b, limit->hard);
        }
}

static void put_filter(struct buf *b, const struct service_process *process)
{
        put_header(b, TAG_FILTER, sizeof(uint32_t) + process->n_filter * FILTER_INSTRUCTION);
        buf_append_be32(b, process->filter_flags);
        for (size_t i = 0; i < process->n_filter; i++) {
                const struct sock_filter *f = &process->filter[i];
                const uint8_t bytes[FILTER_INSTRUCTION] = {
                        (uint8_t)f->code,
                        (uint8_t)(f->code >> 8),
                        f->jt,
                        f->jf,
                        (uint8_t)f->k,
                        (uint8_t)(f->k >> 8),
                        (uint8_t)(f->k >> 16),
                        (uint8_t)(f->k >> 24),
                };
                buf_append(b, bytes, sizeof(bytes));
        }
}

int service_process_encode(const struct service_process *process, struct buf *b, struct error *err)
{
        size_t start = b->n;

        put_texts(b, TAG_ARG, process->argv, process->n_argv);
        put_texts(b, TAG_ENV, process->env, process->n_env);
        put_text_record(b, TAG_CWD, process->cwd ? process->cwd : "/");
        put_header(b, TAG_USER, 2 * sizeof(uint32_t));
        buf_append_be32(b, process->uid);
        buf_append_be32(b, process->gid);
        for (size_t i = 0; i < process->n_groups; i++) {
                put_header(b, TAG_GROUP, sizeof(uint32_t));
                buf_append_be32(b, process->groups[i]);
        }
        put_header(b, TAG_UMASK, sizeof(uint32_t));
        buf_append_be32(b, process->umask);
        put_limits(b, process);
        put_header(b, TAG_CAPABILITIES, sizeof(process->capabilities));
        for (size_t i = 0; i < SERVICE_CAPABILITY_SETS; i++)
                put_be64(b, process->capabilities[i]);
        if (process->no_new_privileges)
                put_header(b, TAG_NO_NEW_PRIVILEGES, 0);
        if (process->terminal) {
                put_header(b, TAG_TERMINAL, 2 * sizeof(uint16_t));
                buf_append_be16(b, process->rows);
                buf_append_be16(b, process->columns);
        }
        if (process->has_oom_score) {
                put_header(b, TAG_OOM_SCORE, sizeof(uint32_t));
                buf_append_be32(b, (uint32_t)process->oom_score);
        }
        if (process->has_filter)
                put_filter(b, process);
        return finish(b, start, "the process with its arguments and environment", err);
}

/* ---- decoding: values ---- */

/* The next text, where it lies. */
static const char *take_text(struct cursor *c)
{
        struct view text = cursor_until(c, 0);

        return cursor_ok(c) ? (const char *)text.p : NULL;
}

typedef int (*read_fn)(struct cursor *c, void *into);

static int read_hostname(struct cursor *c, void *into)
{
        ((struct service_container *)into)->hostname = take_text(c);
        return 0;
}

static int read_domainname(struct cursor *c, void *into)
{
        ((struct service_container *)into)->domainname = take_text(c);
        return 0;
}

static int read_readonly_root(struct cursor *c, void *into)
{
        (void)c;
        ((struct service_container *)into)->readonly_root = true;
        return 0;
}

/* Appends a member that the macro's caller has made. */
#define append(array, n, member)                                                                             \
        ((n) >= SERVICE_LIST_MAX                           ? -E2BIG                                          \
         : array_grow(&(array), (n), sizeof(*(array))) < 0 ? -ENOMEM                                         \
                                                           : ((array)[(n)++] = (member), 0))

static int read_sysctl(struct cursor *c, void *into)
{
        struct service_container *container = into;
        struct service_sysctl sysctl = {.key = take_text(c)};

        sysctl.value = take_text(c);
        return append(container->sysctls, container->n_sysctls, sysctl);
}

static int read_mount(struct cursor *c, void *into)
{
        struct service_container *container = into;
        struct service_mount mount = {.flags = cursor_be64(c)};

        mount.type = take_text(c);
        mount.source = take_text(c);
        mount.destination = take_text(c);
        mount.data = take_text(c);
        return append(container->mounts, container->n_mounts, mount);
}

static int read_masked(struct cursor *c, void *into)
{
        struct service_container *container = into;

        return add_string(&container->masked_paths, &container->n_masked_paths, take_text(c));
}

static int read_readonly(struct cursor *c, void *into)
{
        struct service_container *container = into;

        return add_string(&container->readonly_paths, &container->n_readonly_paths, take_text(c));
}

static int read_file(struct cursor *c, void *into)
{
        struct service_container *container = into;
        struct service_file file = {.mode = cursor_be32(c)};

        file.path = take_text(c);
        file.content = cursor_rest(c);
        cursor_take(c, file.content.n);
        if (file.mode > MODE_MAX)
                return -EBADMSG;
        return append(container->files, container->n_files, file);
}

/* One file's name and no path. */
static int read_limit_file(struct cursor *c, void *into)
{
        struct service_container *container = into;
        struct service_limit_file limit = {.name = take_text(c)};

        limit.value = take_text(c);
        if (limit.name && (!*limit.name || strchr(limit.name, '/') || strcmp(limit.name, ".") == 0 ||
                           strcmp(limit.name, "..") == 0))
                return -EBADMSG;
        return append(container->limits, container->n_limits, limit);
}

static int read_device_filter(struct cursor *c, void *into)
{
        struct service_container *container = into;
        struct view program = cursor_rest(c);

        cursor_take(c, program.n);
        if (container->device_filter.n > 0 || program.n == 0 || program.n > SERVICE_DEVICE_FILTER_MAX ||
            program.n % DEVICE_INSTRUCTION != 0)
                return -EBADMSG;
        container->device_filter = program;
        return 0;
}

static int read_arg(struct cursor *c, void *into)
{
        return service_process_add_arg(into, take_text(c));
}

static int read_env(struct cursor *c, void *into)
{
        return service_process_add_env(into, take_text(c));
}

static int read_cwd(struct cursor *c, void *into)
{
        struct service_process *process = into;

        process->cwd = take_text(c);
        return !process->cwd || process->cwd[0] == '/' ? 0 : -EBADMSG;
}

static int read_user(struct cursor *c, void *into)
{
        struct service_process *process = into;

        process->uid = cursor_be32(c);
        process->gid = cursor_be32(c);
        /* "Unchanged" to the kernel. */
        return process->uid == UINT32_MAX || process->gid == UINT32_MAX ? -EBADMSG : 0;
}

static int read_group(struct cursor *c, void *into)
{
        struct service_process *process = into;
        uint32_t gid = cursor_be32(c);

        if (gid == UINT32_MAX)
                return -EBADMSG;
        return append(process->groups, process->n_groups, gid);
}

static int read_umask(struct cursor *c, void *into)
{
        struct service_process *process = into;

        process->umask = cursor_be32(c);
        return process->umask > UMASK_MAX ? -EBADMSG : 0;
}

static int read_limit(struct cursor *c, void *into)
{
        struct service_process *process = into;
        struct service_limit limit = {.resource = cursor_be32(c)};

        limit.soft = cursor_be64(c);
        limit.hard = cursor_be64(c);
        if (limit.resource >= LIMITS_MAX)
                return -EBADMSG;
        return append(process->limits, process->n_limits, limit);
}

static int read_capabilities(struct cursor *c, void *into)
{
        struct service_process *process = into;

        for (size_t i = 0; i < SERVICE_CAPABILITY_SETS; i++)
                process->capabilities[i] = cursor_be64(c);
        return 0;
}

static int read_no_new_privileges(struct cursor *c, void *into)
{
        (void)c;
        ((struct service_process *)into)->no_new_privileges = true;
        return 0;
}

static int read_terminal(struct cursor *c, void *into)
{
        struct service_process *process = into;

        process->terminal = true;
        process->rows = cursor_be16(c);
        process->columns = cursor_be16(c);
        return 0;
}

static int read_oom_score(struct cursor *c, void *into)
{
        struct service_process *process = into;

        process->has_oom_score = true;
        process->oom_score = (int32_t)cursor_be32(c);
        return 0;
}

static int read_filter(struct cursor *c, void *into)
{
        struct service_process *process = into;
        uint32_t flags = cursor_be32(c);
        size_t n = cursor_rest(c).n / FILTER_INSTRUCTION;

        if (process->has_filter || n < 1 || n > SERVICE_FILTER_MAX)
                return -EBADMSG;
        process->filter = calloc(n, sizeof(*process->filter));
        if (!process->filter)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                struct sock_filter *f = &process->filter[i];
                f->code = cursor_le16(c);
                f->jt = cursor_u8(c);
                f->jf = cursor_u8(c);
                f->k = cursor_le32(c);
        }
        process->has_filter = true;
        process->filter_flags = flags;
        process->n_filter = n;
        return 0;
}

/* ---- decoding: records ---- */

static const read_fn READ_CONTAINER[] = {
        [TAG_HOSTNAME] = read_hostname,
        [TAG_DOMAINNAME] = read_domainname,
        [TAG_READONLY_ROOT] = read_readonly_root,
        [TAG_SYSCTL] = read_sysctl,
        [TAG_MOUNT] = read_mount,
        [TAG_MASKED] = read_masked,
        [TAG_READONLY] = read_readonly,
        [TAG_FILE] = read_file,
        [TAG_LIMIT_FILE] = read_limit_file,
        [TAG_DEVICE_FILTER] = read_device_filter,
};

static const read_fn READ_PROCESS[] = {
        [TAG_ARG] = read_arg,
        [TAG_ENV] = read_env,
        [TAG_CWD] = read_cwd,
        [TAG_USER] = read_user,
        [TAG_GROUP] = read_group,
        [TAG_UMASK] = read_umask,
        [TAG_LIMIT] = read_limit,
        [TAG_CAPABILITIES] = read_capabilities,
        [TAG_NO_NEW_PRIVILEGES] = read_no_new_privileges,
        [TAG_TERMINAL] = read_terminal,
        [TAG_OOM_SCORE] = read_oom_score,
        [TAG_FILTER] = read_filter,
};

/* `bytes` has the payload and a NUL behind it. */
static int read_records(struct view bytes, const read_fn *table, size_t n_table, void *into,
                        struct error *err)
{
        struct cursor c = cursor_of(bytes);

        for (size_t i = 0; !cursor_at_end(&c); i++) {
                uint8_t tag = cursor_u8(&c);
                uint32_t n = cursor_be32(&c);
                struct cursor value = cursor_of(cursor_take(&c, n));
                if (!cursor_ok(&c))
                        return error_set(err, -EBADMSG, "record %zu is cut", i);
                if (tag >= n_table || !table[tag])
                        return error_set(err, -EBADMSG, "record %zu has the unknown tag %u", i, tag);
                int r = table[tag](&value, into);
                if (r == -ENOMEM)
                        return error_oom(err);
                if (r < 0 || !cursor_at_end(&value))
                        return error_set(err, -EBADMSG, "record %zu, with tag %u, has a bad value", i, tag);
        }
        return 0;
}

static int copy_payload(struct view payload, uint8_t **ret_bytes, struct error *err)
{
        if (payload.n > SERVICE_SPEC_MAX)
                return error_set(err, -EBADMSG, "larger than %d bytes", SERVICE_SPEC_MAX);
        *ret_bytes = (uint8_t *)view_to_string(payload);
        return *ret_bytes ? 0 : error_oom(err);
}

int service_container_decode(struct view payload, struct service_container *ret_container, struct error *err)
{
        cleanup_service_container struct service_container container = {0};
        int r = copy_payload(payload, &container.bytes, err);

        if (r == 0)
                r = read_records(view_of(container.bytes, payload.n), READ_CONTAINER,
                                 ARRAY_SIZE(READ_CONTAINER), &container, err);
        if (r < 0)
                return r;
        *ret_container = container;
        container = (struct service_container){0};
        return 0;
}

int service_process_decode(struct view payload, struct service_process *ret_process, struct error *err)
{
        cleanup_service_process struct service_process process = {0};
        int r = copy_payload(payload, &process.bytes, err);

        if (r == 0)
                r = read_records(view_of(process.bytes, payload.n), READ_PROCESS, ARRAY_SIZE(READ_PROCESS),
                                 &process, err);
        if (r < 0)
                return r;
        if (process.n_argv == 0 || !process.cwd)
                return error_set(err, -EBADMSG, "a process without an argument, or without a working folder");
        *ret_process = process;
        process = (struct service_process){0};
        return 0;
}
