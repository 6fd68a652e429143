/* SPDX-License-Identifier: Apache-2.0 */
#include "pal/nitro/arguments.h"

#include "lib/base/cleanup.h"
#include "lib/base/text.h"
#include "lib/enclave/nitro.h"

#include <string.h>

static int read_number(const char *word, const char *value, uint64_t min, uint64_t max, uint64_t *ret_number,
                       struct error *err)
{
        if (!parse_u64(value, max, ret_number) || *ret_number < min)
                return error_set(err, -EINVAL, "%s: a number from %llu to %llu is wanted", word,
                                 (unsigned long long)min, (unsigned long long)max);
        return 0;
}

static int read_image(const char *word, const char *value, struct arguments *arguments, struct error *err)
{
        if (value[0] != '/' || strlen(value) >= sizeof(arguments->image))
                return error_set(err, -EINVAL, "%s: an absolute path is wanted", word);
        memcpy(arguments->image, value, strlen(value) + 1);
        return 0;
}

static int read_memory(const char *word, const char *value, struct arguments *arguments, struct error *err)
{
        uint64_t number;
        int r = read_number(word, value, NITRO_MEM_MIN_MIB, UINT32_MAX, &number, err);

        if (r < 0)
                return r;
        if (number % NITRO_MEM_STEP_MIB != 0)
                return error_set(err, -EINVAL, "%s: MiB of memory are an even number: %llu would do", word,
                                 (unsigned long long)number + 1);
        arguments->memory_mib = (unsigned)number;
        return 0;
}

static int read_vcpus(const char *word, const char *value, struct arguments *arguments, struct error *err)
{
        uint64_t number;
        int r = read_number(word, value, 1, ARGUMENTS_CPUS_MAX, &number, err);

        if (r == 0)
                arguments->vcpus = (unsigned)number;
        return r;
}

static int read_cid(const char *word, const char *value, struct arguments *arguments, struct error *err)
{
        uint64_t number;
        int r = read_number(word, value, NITRO_CID_MIN, NITRO_CID_MAX, &number, err);

        if (r == 0)
                arguments->cid = (uint32_t)number;
        return r;
}

static int read_debug(const char *word, const char *value, struct arguments *arguments, struct error *err)
{
        (void)word;
        (void)value;
        (void)err;
        arguments->debug = true;
        return 0;
}

static const struct {
        const char *name; /* with its "=" where it has a value */
        int (*read)(const char *word, const char *value, struct arguments *arguments, struct error *err);
} table[] = {
        {"image=", read_image}, {"memory=", read_memory}, {"vcpus=", read_vcpus},
        {"cid=", read_cid},     {"debug", read_debug},
};

static int read_word(const char *word, struct arguments *arguments, bool *seen, struct error *err)
{
        for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
                size_t n = strlen(table[i].name);
                bool has_value = table[i].name[n - 1] == '=';
                if (has_value ? !string_starts_with(word, table[i].name) : strcmp(word, table[i].name) != 0)
                        continue;
                if (seen[i])
                        return error_set(err, -EINVAL, "%s: there is one already", word);
                seen[i] = true;
                return table[i].read(word, word + n, arguments, err);
        }
        return error_set(err, -EINVAL,
                         "%s: no such argument; there are image=PATH, memory=MIB, vcpus=N, cid=N and debug",
                         word);
}

int arguments_parse(const char *text, struct arguments *ret_arguments, struct error *err)
{
        struct arguments arguments = {.memory_mib = ARGUMENTS_MEM_DEFAULT, .vcpus = ARGUMENTS_CPUS_DEFAULT};
        bool seen[ARRAY_SIZE(table)] = {false};

        for (const char *at = text ? text : ""; *at;) {
                size_t n = strcspn(at, " ,");
                cleanup_free char *word = strndup(at, n);
                if (!word)
                        return error_oom(err);
                int r = n > 0 ? read_word(word, &arguments, seen, err) : 0;
                if (r < 0)
                        return r;
                at += n + (at[n] != '\0');
        }
        if (!arguments.image[0])
                return error_set(
                        err, -EINVAL,
                        "no image is named: \"image=/path/to/file.eif memory=512 vcpus=2\" is an example");
        *ret_arguments = arguments;
        return 0;
}
