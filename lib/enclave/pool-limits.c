/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/pool-limits.h"

#include "lib/base/buf.h"
#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "lib/base/text.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

enum { LINE_LENGTH_MAX = 4096, MIB_MAX = 1 << 30 };

const struct limits limits_none = {
        .memory_mib = UINT32_MAX,
        .cpus = UINT32_MAX,
        .max_enclaves = UINT32_MAX,
        .user_memory_mib = UINT32_MAX,
        .user_cpus = UINT32_MAX,
        .user_max_enclaves = UINT32_MAX,
};

bool limits_are_none(const struct limits *l)
{
        /* A list of CPUs is a number of them as well. */
        uint32_t all = l->memory_mib & l->cpus & l->max_enclaves & l->user_memory_mib & l->user_cpus &
                       l->user_max_enclaves;

        return all == UINT32_MAX;
}

/* A setting that is a number; cpu_list is the one that isn't. */
static const struct setting {
        const char *name;
        size_t offset;
        uint32_t max;
} settings[] = {
        {"memory_mib", offsetof(struct limits, memory_mib), MIB_MAX},
        {"cpus", offsetof(struct limits, cpus), LIMITS_CPUS_MAX},
        {"max_enclaves", offsetof(struct limits, max_enclaves), MIB_MAX},
        {"user_memory_mib", offsetof(struct limits, user_memory_mib), MIB_MAX},
        {"user_cpus", offsetof(struct limits, user_cpus), LIMITS_CPUS_MAX},
        {"user_max_enclaves", offsetof(struct limits, user_max_enclaves), MIB_MAX},
};
static const char cpu_list[] = "cpu_list";

/* ---- CPU numbers ---- */

/* "3" or "3-7" at *at, which moves behind it. */
static bool take_range(const char **at, cpu_set_t *cpus)
{
        uint64_t first, last;

        if (!take_u64(at, LIMITS_CPUS_MAX - 1, &first))
                return false;
        last = first;
        if (**at == '-') {
                (*at)++;
                if (!take_u64(at, LIMITS_CPUS_MAX - 1, &last) || last < first)
                        return false;
        }
        for (uint64_t cpu = first; cpu <= last; cpu++)
                CPU_SET(cpu, cpus);
        return true;
}

int limits_parse_cpus(const char *text, cpu_set_t *ret_cpus, struct error *err)
{
        const char *at = text;
        cpu_set_t cpus;
        char shown[64];

        CPU_ZERO(&cpus);
        while (take_range(&at, &cpus)) {
                if (*at == '\0') {
                        *ret_cpus = cpus;
                        return 0;
                }
                if (*at++ != ',')
                        break;
        }
        text_printable(view_of_string(text), shown, sizeof(shown));
        return error_set(err, -EBADMSG, "'%s' is no list of CPUs such as 2-5,8, with numbers below %d", shown,
                         LIMITS_CPUS_MAX);
}

/* ---- one line ---- */

static int unknown_setting(const char *name, struct error *err)
{
        cleanup_buf struct buf known = buf_with_max(ERROR_TEXT_MAX);
        char shown[64];

        for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
                buf_printf(&known, "%s, ", settings[i].name);
        text_printable(view_of_string(name), shown, sizeof(shown));
        return error_set(err, -EBADMSG, "there is no setting '%s'; there are %s%s", shown, buf_string(&known),
                         cpu_list);
}

static int set_number(const struct setting *setting, const char *value, struct limits *limits,
                      struct error *err)
{
        uint32_t *number = (uint32_t *)(void *)((char *)limits + setting->offset);
        uint64_t wide;
        char shown[64];

        if (*number != UINT32_MAX)
                return error_set(err, -EBADMSG, "%s is set a second time", setting->name);
        if (!parse_u64(value, setting->max, &wide)) {
                text_printable(view_of_string(value), shown, sizeof(shown));
                return error_set(err, -EBADMSG, "%s = %s: not a number from 0 to %u", setting->name, shown,
                                 setting->max);
        }
        *number = (uint32_t)wide;
        return 0;
}

static int set_list(const char *value, struct limits *limits, struct error *err)
{
        if (limits->has_list)
                return error_set(err, -EBADMSG, "%s is set a second time", cpu_list);
        int r = limits_parse_cpus(value, &limits->list, err);
        if (r < 0) {
                error_wrap(err, "%s", cpu_list);
                return r;
        }
        limits->has_list = true;
        return 0;
}

static int set(const char *name, const char *value, struct limits *limits, struct error *err)
{
        if (strcmp(name, cpu_list) == 0)
                return set_list(value, limits, err);
        for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
                if (strcmp(name, settings[i].name) == 0)
                        return set_number(&settings[i], value, limits, err);
        }
        return unknown_setting(name, err);
}

static void strip(struct view *v)
{
        while (v->n > 0 && strchr(" \t\r", v->p[0]))
                *v = view_of(v->p + 1, v->n - 1);
        while (v->n > 0 && strchr(" \t\r", v->p[v->n - 1]))
                v->n--;
}

static int take_line(struct view line, struct limits *limits, struct error *err)
{
        char text[LINE_LENGTH_MAX];
        const uint8_t *comment = line.n ? memchr(line.p, '#', line.n) : NULL;

        if (comment)
                line.n = (size_t)(comment - line.p);
        strip(&line);
        if (line.n == 0)
                return 0;
        if (line.n >= sizeof(text))
                return error_set(err, -EBADMSG, "longer than %d bytes", LINE_LENGTH_MAX - 1);
        const uint8_t *equals = memchr(line.p, '=', line.n);
        if (!equals)
                return error_set(err, -EBADMSG, "not of the form: setting = value");
        struct view name = view_of(line.p, (size_t)(equals - line.p));
        struct view value = view_of(equals + 1, line.n - name.n - 1);
        strip(&name);
        strip(&value);
        memcpy(text, name.p, name.n);
        text[name.n] = '\0';
        memcpy(text + name.n + 1, value.p, value.n);
        text[name.n + 1 + value.n] = '\0';
        return set(text, text + name.n + 1, limits, err);
}

/* ---- the file ---- */

int limits_parse(struct view text, struct limits *ret_limits, struct error *err)
{
        struct limits limits = limits_none;
        int r;

        if (view_has_nul(text))
                return error_set(err, -EBADMSG, "holds a NUL: it is no text");
        for (unsigned number = 1; text.n > 0; number++) {
                const uint8_t *end = memchr(text.p, '\n', text.n);
                size_t n = end ? (size_t)(end - text.p) : text.n;
                if ((r = take_line(view_of(text.p, n), &limits, err)) < 0) {
                        error_wrap(err, "line %u", number);
                        return r;
                }
                text = view_of(text.p + n + (end ? 1 : 0), text.n - n - (end ? 1 : 0));
        }
        if (limits.has_list && limits.cpus != UINT32_MAX)
                return error_set(err, -EBADMSG,
                                 "cpus and cpu_list are both set; cpu_list says how many, too");
        if (limits.has_list)
                limits.cpus = (uint32_t)CPU_COUNT(&limits.list);
        *ret_limits = limits;
        return 0;
}

static int read_text(int dirfd, struct buf *text, struct error *err)
{
        struct stat st;
        cleanup_fd int fd = openat(dirfd, LIMITS_FILE, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

        if (fd < 0)
                return errno == ENOENT ? -ENOENT : error_set(err, -errno, "%s", strerror(errno));
        if (fstat(fd, &st) < 0)
                return error_set(err, -errno, "%s", strerror(errno));
        if (!S_ISREG(st.st_mode))
                return error_set(err, -EPERM, "not a regular file");
        if (st.st_mode & 022)
                return error_set(err, -EPERM, "others than its owner can write it; chmod 0644 it");
        int r = file_read_fd(fd, LIMITS_FILE_MAX, text);
        if (r == -EFBIG)
                return error_set(err, -EBADMSG, "larger than %d bytes", LIMITS_FILE_MAX);
        return r < 0 ? error_set(err, r, "%s", strerror(-r)) : 0;
}

int limits_read(int dirfd, const char *folder, struct limits *ret_limits, struct error *err)
{
        cleanup_buf struct buf text = buf_with_max(LIMITS_FILE_MAX);
        int r = read_text(dirfd, &text, err);

        if (r == -ENOENT) {
                *ret_limits = limits_none;
                return 0;
        }
        if (r == 0)
                r = limits_parse(buf_view(&text), ret_limits, err);
        if (r < 0)
                error_wrap(err, "%s/" LIMITS_FILE, folder);
        return r;
}
