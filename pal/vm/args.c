/* SPDX-License-Identifier: Apache-2.0 */
#include "pal/vm/args.h"

#include "lib/base/cleanup.h"
#include "lib/base/text.h"

#include <limits.h>
#include <string.h>

void args_done(struct args *args)
{
        free(args->image);
        *args = (struct args){0};
}

static int take_number(const char *word, const char *value, unsigned *ret_number, struct error *err)
{
        uint64_t number;

        if (!parse_u64(value, INT_MAX, &number) || number == 0)
                return error_set(err, -EINVAL, "argument %s: it takes a whole number above 0", word);
        *ret_number = (unsigned)number;
        return 0;
}

static int take_word(struct args *args, const char *word, struct error *err)
{
        if (strcmp(word, "debug") == 0) {
                args->debug = true;
                return 0;
        }
        if (string_starts_with(word, "memory="))
                return take_number(word, word + strlen("memory="), &args->mem_mib, err);
        if (string_starts_with(word, "cpus="))
                return take_number(word, word + strlen("cpus="), &args->cpus, err);
        if (string_starts_with(word, "vcpus="))
                return take_number(word, word + strlen("vcpus="), &args->cpus, err);
        if (!string_starts_with(word, "image=") || !word[strlen("image=")])
                return error_set(err, -EINVAL,
                                 "argument %s: it isn't one of image=FILE, memory=MIB, cpus=N and debug",
                                 word);
        free(args->image);
        args->image = strdup(word + strlen("image="));
        return args->image ? 0 : error_oom(err);
}

int args_parse(const char *text, struct args *ret_args, struct error *err)
{
        cleanup_args struct args args = {0};

        while (*(text += strspn(text, " "))) {
                size_t n = strcspn(text, " ");
                cleanup_free char *word = strndup(text, n);
                int r = word ? take_word(&args, word, err) : error_oom(err);
                if (r < 0)
                        return r;
                text += n;
        }
        *ret_args = args;
        args = (struct args){0};
        return 0;
}
