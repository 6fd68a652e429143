/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/enclave-settings.h"

#include "lib/base/cleanup.h"
#include "lib/base/text.h"

#include <string.h>

#define VARIABLE_PREFIX "ENCLAVE_"

enum setting {
        SETTING_TYPE,
        SETTING_PATH,
        SETTING_ARGS,
        SETTING_LOG_LEVEL,
        SETTING_TIMEOUT,
        SETTING_SIMULATE,
        SETTING_RA_TYPE,
        SETTINGS,
};

static const struct name {
        const char *variable, *annotation;
} names[SETTINGS] = {
        [SETTING_TYPE] = {"ENCLAVE_TYPE", "enclave.type"},
        [SETTING_PATH] = {"ENCLAVE_RUNTIME_PATH", "enclave.runtime.path"},
        [SETTING_ARGS] = {"ENCLAVE_RUNTIME_ARGS", "enclave.runtime.args"},
        [SETTING_LOG_LEVEL] = {"ENCLAVE_RUNTIME_LOGLEVEL", "enclave.runtime.loglevel"},
        [SETTING_TIMEOUT] = {"ENCLAVE_RUNTIME_TIMEOUT", "enclave.runtime.timeout"},
        [SETTING_SIMULATE] = {"ENCLAVE_SIMULATE", "enclave.simulate"},
        [SETTING_RA_TYPE] = {"ENCLAVE_RA_TYPE", "enclave.attestation.ra_type"},
};

/* A setting, with what it is called where it stands, for errors. */
struct value {
        const char *text; /* NULL: not given */
        const char *name;
};

/* The text behind "NAME=" of the last such variable, as a program would get it. */
static const char *variable(const struct spec *spec, const char *name)
{
        size_t n = strlen(name);
        const char *found = NULL;

        for (size_t i = 0; spec->process && i < spec->process->env.n; i++) {
                const char *entry = spec->process->env.items[i];
                if (strncmp(entry, name, n) == 0 && entry[n] == '=')
                        found = entry + n + 1;
        }
        return found;
}

static struct value look_up(const struct spec *spec, enum setting setting)
{
        const char *text = variable(spec, names[setting].variable);

        if (text)
                return (struct value){text, names[setting].variable};
        return (struct value){spec_annotation(spec, names[setting].annotation), names[setting].annotation};
}

void enclave_settings_strip(struct spec_process *process)
{
        size_t n = 0;

        if (!process)
                return;
        for (size_t i = 0; i < process->env.n; i++)
                if (!string_starts_with(process->env.items[i], VARIABLE_PREFIX))
                        process->env.items[n++] = process->env.items[i];
        process->env.n = n;
        if (process->env.items)
                process->env.items[n] = NULL;
}

/* Words apart by single spaces; `extra` (or NULL) is one more. */
static char *join_words(struct arena *arena, const char *text, const char *extra)
{
        size_t n = 0, more = extra ? strlen(extra) + 1 : 0;
        char *words = arena_alloc(arena, strlen(text) + more + 1, 1);

        if (!words)
                return NULL;
        for (const char *p = text; *p; p++) {
                if (*p != ',' && *p != ' ')
                        words[n++] = *p;
                else if (n > 0 && words[n - 1] != ' ')
                        words[n++] = ' ';
        }
        if (n > 0 && words[n - 1] == ' ')
                n--;
        words[n] = '\0';
        if (extra) {
                if (n > 0)
                        words[n++] = ' ';
                memcpy(words + n, extra, more);
        }
        return words;
}

static bool has_word(const char *words, const char *word)
{
        size_t n = strlen(word);

        for (const char *p = words; (p = strstr(p, word)); p += n)
                if ((p == words || p[-1] == ' ') && (p[n] == ' ' || !p[n]))
                        return true;
        return false;
}

static int take_simulate(const struct spec *spec, bool *ret_simulate, struct error *err)
{
        struct value value = look_up(spec, SETTING_SIMULATE);
        const char *text = value.text;

        *ret_simulate = text && (strcmp(text, "true") == 0 || strcmp(text, "1") == 0);
        if (*ret_simulate || !text || !*text || strcmp(text, "false") == 0 || strcmp(text, "0") == 0)
                return 0;
        return error_set(err, -EINVAL, "%s: \"%s\" is neither true nor false", value.name, text);
}

static int take_args(const struct spec *spec, struct arena *arena, struct enclave_settings *settings,
                     struct error *err)
{
        static const char simulate[] = "simulate";
        const char *text = look_up(spec, SETTING_ARGS).text;
        int r = take_simulate(spec, &settings->simulate, err);

        if (r < 0)
                return r;
        settings->args = join_words(arena, text ? text : "", NULL);
        if (!settings->args)
                return error_oom(err);
        if (has_word(settings->args, simulate)) {
                settings->simulate = true;
        } else if (settings->simulate) {
                settings->args = join_words(arena, settings->args, simulate);
        }
        return settings->args ? 0 : error_oom(err);
}

/* The word is copied: the strings of this program are not where the PAL is. */
static int take_log_level(const struct spec *spec, struct arena *arena, const struct log *log,
                          struct enclave_settings *settings, struct error *err)
{
        static const char *const words[] = {"trace", "debug", "info",  "warning",
                                            "error", "fatal", "panic", "off"};
        struct value value = look_up(spec, SETTING_LOG_LEVEL);
        const char *found = NULL;

        for (size_t i = 0; value.text && i < ARRAY_SIZE(words); i++)
                if (strcmp(value.text, words[i]) == 0)
                        found = words[i];
        if (!found && value.text && *value.text)
                log_warning(log, "%s: \"%s\" is no log level; info is taken", value.name, value.text);
        settings->log_level = arena_string(arena, found ? found : "info");
        return settings->log_level ? 0 : error_oom(err);
}

static int take_timeout(const struct spec *spec, struct enclave_settings *settings, struct error *err)
{
        struct value value = look_up(spec, SETTING_TIMEOUT);
        uint64_t seconds = ENCLAVE_TIMEOUT_DEFAULT;

        if (value.text && *value.text && !parse_u64(value.text, INT32_MAX / 1000, &seconds))
                return error_set(err, -EINVAL, "%s: \"%s\" is no number of seconds from 0 to %d", value.name,
                                 value.text, INT32_MAX / 1000);
        settings->timeout = (uint32_t)seconds;
        return 0;
}

static int take_path(const struct spec *spec, struct arena *arena, struct enclave_settings *settings,
                     struct error *err)
{
        struct value value = look_up(spec, SETTING_PATH);

        if (!value.text || !*value.text)
                return 0;
        if (*value.text != '/')
                return error_set(err, -EINVAL, "%s: \"%s\" is no path from \"/\"", value.name, value.text);
        settings->pal = arena_string(arena, value.text);
        return settings->pal ? 0 : error_oom(err);
}

/* Kept apart from the rest since its only service is gone: whoever asks for it must hear of that. */
static int check_attestation(const struct spec *spec, struct error *err)
{
        struct value value = look_up(spec, SETTING_RA_TYPE);

        if (!value.text || !*value.text || strcasecmp(value.text, "ecdsa") == 0 ||
            strcasecmp(value.text, "dcap") == 0)
                return 0;
        if (strncasecmp(value.text, "epid", 4) == 0)
                return error_set(
                        err, -EOPNOTSUPP,
                        "%s: attestation by EPID needs a service of Intel's that has ended; use \"ecdsa\"",
                        value.name);
        return error_set(err, -EINVAL, "%s: \"%s\" is no kind of attestation; use \"ecdsa\"", value.name,
                         value.text);
}

int enclave_settings_take(struct spec *spec, struct arena *arena, const struct log *log,
                          struct enclave_settings **ret_settings, struct error *err)
{
        const char *type = look_up(spec, SETTING_TYPE).text;
        struct enclave_settings *settings;

        if (!type || !*type) {
                enclave_settings_strip(spec->process);
                *ret_settings = NULL;
                return 0;
        }
        settings = arena_alloc(arena, 1, sizeof(*settings));
        if (!settings)
                return error_oom(err);
        settings->type = arena_string(arena, type);
        if (!settings->type)
                return error_oom(err);
        int r = take_path(spec, arena, settings, err);
        if (r == 0)
                r = take_args(spec, arena, settings, err);
        if (r == 0)
                r = take_timeout(spec, settings, err);
        if (r == 0)
                r = check_attestation(spec, err);
        if (r == 0)
                r = take_log_level(spec, arena, log, settings, err);
        if (r < 0)
                return r;
        enclave_settings_strip(spec->process);
        *ret_settings = settings;
        return 0;
}
