/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-config.c - encoder and decoder of guest-config.h's records.
 *
 * Decoding goes through the same add and set functions as building does, so that what is refused in one is
 * refused in the other.  One table maps record names to the functions that read their values.
 */
#include "lib/enclave/guest-config.h"

#include "lib/base/array.h"
#include "lib/base/text.h"

#include <string.h>

static const char MAGIC[] = "coffer-guest-config 1";
static const char SERVE_PROCESSES[] = "processes";
static const char DEFAULT_CWD[] = "/";
static const char DEFAULT_HOSTNAME[] = "enclave";

enum {
        DEFAULT_STOP_SIGNAL = 15, /* SIGTERM, as Linux numbers it whatever this machine is */
        SIGNAL_MAX = 64,
};
/* (uid_t)-1 means "unchanged" to the kernel. */
static const uint32_t ID_MAX = UINT32_MAX - 1;

void guest_config_init(struct guest_config *config)
{
        *config = (struct guest_config){.stop_signal = DEFAULT_STOP_SIGNAL};
}

static void free_strings(char **strings, size_t n)
{
        for (size_t i = 0; i < n; i++)
                free(strings[i]);
        free(strings);
}

void guest_config_done(struct guest_config *config)
{
        if (!config)
                return;
        free_strings(config->argv, config->n_argv);
        free_strings(config->env, config->n_env);
        free(config->cwd);
        free(config->groups);
        free(config->ports);
        free(config->hostname);
        guest_config_init(config);
}

static int add_string(char ***strings, size_t *n, const char *what, const char *s, struct error *err)
{
        if (*n >= GUEST_CONFIG_STRINGS_MAX)
                return error_set(err, -E2BIG, "more than %d %s", GUEST_CONFIG_STRINGS_MAX, what);
        if (strlen(s) > GUEST_CONFIG_STRING_MAX)
                return error_set(err, -E2BIG, "number %zu of the %s is longer than %d bytes, Linux's limit",
                                 *n + 1, what, GUEST_CONFIG_STRING_MAX);
        cleanup_free char *copy = strdup(s);
        /* One more than the strings, for the NULL behind them. */
        if (!copy || array_grow(strings, *n + 1, sizeof(char *)) < 0)
                return error_oom(err);
        (*strings)[(*n)++] = take_pointer(&copy);
        (*strings)[*n] = NULL;
        return 0;
}

int guest_config_add_arg(struct guest_config *config, const char *arg, struct error *err)
{
        return add_string(&config->argv, &config->n_argv, "arguments", arg, err);
}

int guest_config_add_env(struct guest_config *config, const char *entry, struct error *err)
{
        if (entry[0] == '=' || !strchr(entry, '='))
                return error_set(err, -EINVAL, "environment entry \"%s\" is not NAME=VALUE", entry);
        return add_string(&config->env, &config->n_env, "environment entries", entry, err);
}

int guest_config_add_group(struct guest_config *config, uint32_t gid, struct error *err)
{
        if (gid > ID_MAX)
                return error_set(err, -EINVAL, "group %u is out of range", gid);
        if (config->n_groups >= GUEST_CONFIG_NUMBERS_MAX)
                return error_set(err, -E2BIG, "more than %d supplementary groups", GUEST_CONFIG_NUMBERS_MAX);
        if (array_grow(&config->groups, config->n_groups, sizeof(*config->groups)) < 0)
                return error_oom(err);
        config->groups[config->n_groups++] = gid;
        return 0;
}

int guest_config_add_port(struct guest_config *config, uint16_t port, struct error *err)
{
        if (port == 0)
                return error_set(err, -EINVAL, "port 0 is not a port");
        for (size_t i = 0; i < config->n_ports; i++) {
                if (config->ports[i] == port)
                        return 0;
        }
        if (config->n_ports >= GUEST_CONFIG_NUMBERS_MAX)
                return error_set(err, -E2BIG, "more than %d exposed ports", GUEST_CONFIG_NUMBERS_MAX);
        if (array_grow(&config->ports, config->n_ports, sizeof(*config->ports)) < 0)
                return error_oom(err);
        config->ports[config->n_ports++] = port;
        return 0;
}

static int set_string(char **target, const char *s, struct error *err)
{
        char *copy = strdup(s);

        if (!copy)
                return error_oom(err);
        free(*target);
        *target = copy;
        return 0;
}

int guest_config_set_cwd(struct guest_config *config, const char *cwd, struct error *err)
{
        if (cwd[0] != '/')
                return error_set(err, -EINVAL, "working folder \"%s\" is not an absolute path", cwd);
        return set_string(&config->cwd, cwd, err);
}

int guest_config_set_hostname(struct guest_config *config, const char *hostname, struct error *err)
{
        static const char ALLOWED[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";
        size_t n = strlen(hostname);

        if (n == 0 || n > GUEST_CONFIG_HOSTNAME_MAX || strspn(hostname, ALLOWED) != n)
                return error_set(err, -EINVAL, "host name \"%s\" is not 1 to %d letters, digits, '-' and '.'",
                                 hostname, GUEST_CONFIG_HOSTNAME_MAX);
        return set_string(&config->hostname, hostname, err);
}

/* --- encoding --- */

static void put_text(struct buf *b, const char *name, const char *value)
{
        buf_append_string(b, name);
        buf_append_byte(b, '=');
        buf_append_string(b, value);
        buf_append_byte(b, 0);
}

static void put_number(struct buf *b, const char *name, uint32_t value)
{
        buf_printf(b, "%s=%u", name, value);
        buf_append_byte(b, 0);
}

static int check(const struct guest_config *config, struct error *err)
{
        if (config->n_argv == 0 && !config->serve)
                return error_set(err, -EINVAL, "there is no command to run");
        if (config->n_argv > 0 && config->serve)
                return error_set(err, -EINVAL,
                                 "there is a command, but processes are to come from the parent");
        if (config->uid > ID_MAX || config->gid > ID_MAX)
                return error_set(err, -EINVAL, "user or group 4294967295 is out of range");
        if (config->stop_signal < 1 || config->stop_signal > SIGNAL_MAX)
                return error_set(err, -EINVAL, "stop signal %u is not 1 to %d", config->stop_signal,
                                 SIGNAL_MAX);
        return 0;
}

int guest_config_encode(const struct guest_config *config, struct buf *b, struct error *err)
{
        size_t start = b->n;
        int r = check(config, err);

        if (r < 0)
                return r;
        buf_append(b, MAGIC, sizeof(MAGIC));
        if (config->serve)
                put_text(b, "serve", SERVE_PROCESSES);
        for (size_t i = 0; i < config->n_argv; i++)
                put_text(b, "arg", config->argv[i]);
        for (size_t i = 0; i < config->n_env; i++)
                put_text(b, "env", config->env[i]);
        put_text(b, "cwd", config->cwd ? config->cwd : DEFAULT_CWD);
        put_number(b, "uid", config->uid);
        put_number(b, "gid", config->gid);
        for (size_t i = 0; i < config->n_groups; i++)
                put_number(b, "group", config->groups[i]);
        put_number(b, "stop-signal", config->stop_signal);
        for (size_t i = 0; i < config->n_ports; i++)
                put_number(b, "port", config->ports[i]);
        put_text(b, "hostname", config->hostname ? config->hostname : DEFAULT_HOSTNAME);
        buf_append(b, "end", sizeof("end"));

        if (b->failed == -ENOMEM)
                return error_oom(err);
        if (b->failed < 0 || b->n - start > GUEST_CONFIG_MAX)
                return error_set(err, -E2BIG, "command and environment take more than %d bytes",
                                 GUEST_CONFIG_MAX);
        return 0;
}

/* --- decoding --- */

/* Records that must occur once, as bits of what was seen. */
enum {
        SEEN_CWD = 1 << 0,
        SEEN_UID = 1 << 1,
        SEEN_GID = 1 << 2,
        SEEN_STOP_SIGNAL = 1 << 3,
        SEEN_HOSTNAME = 1 << 4,
        SEEN_SERVE = 1 << 5, /* need not be there */
};

static int read_number(const char *value, uint32_t max, uint32_t *ret_number, struct error *err)
{
        uint64_t number;

        if (!parse_u64(value, max, &number)) {
                error_set(err, -EBADMSG, "\"%s\" is not a number from 0 to %u", value, max);
                return -EBADMSG;
        }
        *ret_number = (uint32_t)number;
        return 0;
}

static int read_serve(struct guest_config *config, const char *value, struct error *err)
{
        if (strcmp(value, SERVE_PROCESSES) != 0)
                return error_set(err, -EBADMSG, "\"%.40s\" is nothing that can be served", value);
        config->serve = true;
        return 0;
}

static int read_uid(struct guest_config *config, const char *value, struct error *err)
{
        return read_number(value, ID_MAX, &config->uid, err);
}

static int read_gid(struct guest_config *config, const char *value, struct error *err)
{
        return read_number(value, ID_MAX, &config->gid, err);
}

static int read_group(struct guest_config *config, const char *value, struct error *err)
{
        uint32_t gid;
        int r = read_number(value, ID_MAX, &gid, err);

        return r < 0 ? r : guest_config_add_group(config, gid, err);
}

static int read_stop_signal(struct guest_config *config, const char *value, struct error *err)
{
        uint32_t number;
        int r = read_number(value, SIGNAL_MAX, &number, err);

        if (r < 0)
                return r;
        if (number == 0)
                return error_set(err, -EBADMSG, "signal 0 is not a signal");
        config->stop_signal = number;
        return 0;
}

static int read_port(struct guest_config *config, const char *value, struct error *err)
{
        uint32_t port;
        int r = read_number(value, UINT16_MAX, &port, err);

        return r < 0 ? r : guest_config_add_port(config, (uint16_t)port, err);
}

struct record_kind {
        const char *name;
        int (*read)(struct guest_config *config, const char *value, struct error *err);
        unsigned int once; /* its SEEN_ bit; 0 where it may repeat */
};

static const struct record_kind RECORD_KINDS[] = {
        {"serve", read_serve, SEEN_SERVE},
        {"arg", guest_config_add_arg, 0},
        {"env", guest_config_add_env, 0},
        {"cwd", guest_config_set_cwd, SEEN_CWD},
        {"uid", read_uid, SEEN_UID},
        {"gid", read_gid, SEEN_GID},
        {"group", read_group, 0},
        {"stop-signal", read_stop_signal, SEEN_STOP_SIGNAL},
        {"port", read_port, 0},
        {"hostname", guest_config_set_hostname, SEEN_HOSTNAME},
};

static const struct record_kind *kind_of(const char *name, size_t n)
{
        for (size_t i = 0; i < ARRAY_SIZE(RECORD_KINDS); i++) {
                if (strlen(RECORD_KINDS[i].name) == n && memcmp(RECORD_KINDS[i].name, name, n) == 0)
                        return &RECORD_KINDS[i];
        }
        return NULL;
}

/* Reads one record; `record` is NUL-terminated. */
static int read_record(struct guest_config *config, const char *record, unsigned int *seen, struct error *err)
{
        const char *equals = strchr(record, '=');
        const struct record_kind *kind = equals ? kind_of(record, (size_t)(equals - record)) : NULL;

        if (!kind)
                return error_set(err, -EBADMSG, "\"%.40s\" is not a known record", record);
        if (kind->once & *seen)
                return error_set(err, -EBADMSG, "\"%s\" is there twice", kind->name);
        *seen |= kind->once;
        if (kind->read(config, equals + 1, err) < 0) {
                error_wrap(err, "record \"%s\"", kind->name);
                return err && err->code == -ENOMEM ? -ENOMEM : -EBADMSG;
        }
        return 0;
}

static int check_complete(const struct guest_config *config, unsigned int seen, struct error *err)
{
        if (config->n_argv == 0 && !config->serve)
                return error_set(err, -EBADMSG, "record \"arg\" is missing");
        if (config->n_argv > 0 && config->serve)
                return error_set(err, -EBADMSG, "records \"arg\" and \"serve\" exclude each other");
        for (size_t i = 0; i < ARRAY_SIZE(RECORD_KINDS); i++) {
                if (RECORD_KINDS[i].once & ~(seen | SEEN_SERVE))
                        return error_set(err, -EBADMSG, "record \"%s\" is missing", RECORD_KINDS[i].name);
        }
        return 0;
}

/* The next record, NUL-terminated because its delimiter is the NUL; NULL at the end of the input. */
static const char *next_record(struct cursor *c)
{
        struct view record = cursor_until(c, 0);

        return cursor_ok(c) ? (const char *)record.p : NULL;
}

static int decode_records(struct cursor *c, struct guest_config *config, struct error *err)
{
        const char *record = next_record(c);
        unsigned int seen = 0;

        if (!record || strcmp(record, MAGIC) != 0)
                return error_set(err, -EBADMSG, "does not begin with \"%s\"", MAGIC);
        while ((record = next_record(c)) && strcmp(record, "end") != 0) {
                int r = read_record(config, record, &seen, err);
                if (r < 0)
                        return r;
        }
        if (!record)
                return error_set(err, -EBADMSG, "record \"end\" is missing: the file was cut");
        if (!cursor_at_end(c))
                return error_set(err, -EBADMSG, "something follows record \"end\"");
        return check_complete(config, seen, err);
}

int guest_config_decode(struct view input, struct guest_config *ret_config, struct error *err)
{
        struct cursor c = cursor_of(input);
        struct guest_config config;

        if (input.n > GUEST_CONFIG_MAX)
                return error_set(err, -EBADMSG, "larger than %d bytes", GUEST_CONFIG_MAX);
        guest_config_init(&config);
        int r = decode_records(&c, &config, err);
        if (r < 0) {
                guest_config_done(&config);
                return r;
        }
        *ret_config = config;
        return 0;
}
