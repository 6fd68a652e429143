/* SPDX-License-Identifier: Apache-2.0 */
#include "rune/options.h"
#include "lib/base/array.h"
#include "lib/base/text.h"

#include <string.h>

bool parse_bool(const char *text, bool *ret_value)
{
        static const struct {
                const char *text;
                bool value;
        } words[] = {
                {"true", true},   {"True", true}, {"TRUE", true},   {"t", true},
                {"T", true},      {"1", true},    {"false", false}, {"False", false},
                {"FALSE", false}, {"f", false},   {"F", false},     {"0", false},
        };

        for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
                if (strcmp(text, words[i].text) == 0) {
                        *ret_value = words[i].value;
                        return true;
                }
        }
        return false;
}

bool parse_i64(const char *text, int64_t *ret_value)
{
        bool negative = text[0] == '-';
        uint64_t magnitude;

        if (!parse_u64(text + (text[0] == '-' || text[0] == '+'), (uint64_t)INT64_MAX + negative, &magnitude))
                return false;
        *ret_value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
        return true;
}

static void *value_of(const struct option *option, void *values)
{
        return (char *)values + option->offset;
}

/* The name in `word` begins at `name` and has n bytes. */
static const struct option *find(const struct option_set *set, const char *name, size_t n)
{
        const struct option *option;

        for (size_t i = 0; (option = option_at(set, i)); i++) {
                if ((n == 1 && option->letter == name[0]) ||
                    (strncmp(option->name, name, n) == 0 && option->name[n] == '\0'))
                        return option;
        }
        return NULL;
}

/* The NULL at the end is a member, too. */
static int add_to_list(struct option_list *list, char *text)
{
        int r = list->items ? 0 : array_grow(&list->items, 0, sizeof(*list->items));

        if (r == 0)
                r = array_grow(&list->items, list->n + 1, sizeof(*list->items));
        if (r < 0)
                return r;
        list->items[list->n++] = text;
        list->items[list->n] = NULL;
        return 0;
}

static int set_value(const struct option *option, char *text, void *values, struct error *err)
{
        struct optional_i64 *integer;
        struct option_list *list;

        switch (option->kind) {
        case OPTION_FLAG:
                if (!parse_bool(text, value_of(option, values)))
                        return error_set(err, -EINVAL, "invalid boolean value \"%s\" for --%s", text,
                                         option->name);
                return 0;
        case OPTION_TEXT:
                *(const char **)value_of(option, values) = text;
                return 0;
        case OPTION_INTEGER:
                integer = value_of(option, values);
                if (!parse_i64(text, &integer->value))
                        return error_set(err, -EINVAL,
                                         "invalid value \"%s\" for --%s: it takes a whole number", text,
                                         option->name);
                integer->set = true;
                return 0;
        case OPTION_LIST:
                list = value_of(option, values);
                if (add_to_list(list, text) < 0)
                        return error_oom(err);
                return 0;
        }
        return -EINVAL;
}

/* words[*at] is an option. Steps onto its value where that is a word of its own. */
static int parse_option(const struct option_set *set, char **words, size_t *at, void *values,
                        struct error *err)
{
        char *word = words[*at];
        char *name = word + (word[1] == '-' ? 2 : 1);
        size_t n = strcspn(name, "=");
        const struct option *option = find(set, name, n);
        static char yes[] = "true";

        if (!option) {
                if ((n == 4 && strncmp(name, "help", n) == 0) || (n == 1 && name[0] == 'h'))
                        return OPTIONS_HELP;
                return error_set(err, -EINVAL, "flag provided but not defined: -%.*s", (int)n, name);
        }
        if (name[n] == '=')
                return set_value(option, name + n + 1, values, err);
        if (option->kind == OPTION_FLAG)
                return set_value(option, yes, values, err);
        if (!words[*at + 1])
                return error_set(err, -EINVAL, "flag needs an argument: -%s", option->name);
        return set_value(option, words[++*at], values, err);
}

static bool is_operand(const char *word)
{
        return word[0] != '-' || word[1] == '\0';
}

static bool asks_for_help(const char *word)
{
        return word && (strcmp(word, "--help") == 0 || strcmp(word, "-help") == 0 || strcmp(word, "-h") == 0);
}

int options_parse(const struct option_set *set, char **words, void *values, struct operands *ret_operands,
                  struct error *err)
{
        size_t n = 0, at = 0;
        int r = OPTIONS_DONE;

        if (set->rule == OPERANDS_ARE_ALL_WORDS && asks_for_help(words[0]))
                return OPTIONS_HELP;
        for (; set->rule != OPERANDS_ARE_ALL_WORDS && words[at]; at++) {
                if (strcmp(words[at], "--") == 0) {
                        at++;
                        break;
                }
                if (!is_operand(words[at])) {
                        r = parse_option(set, words, &at, values, err);
                        if (r != OPTIONS_DONE)
                                return r;
                        continue;
                }
                if (set->rule == OPERANDS_END_OPTIONS)
                        break;
                words[n++] = words[at];
        }
        /* Of the rest every word is an operand; it closes up with those that came before. */
        while (words[at])
                words[n++] = words[at++];
        words[n] = NULL;
        *ret_operands = (struct operands){.items = words, .n = n};
        return OPTIONS_DONE;
}

void options_done(const struct option_set *set, void *values)
{
        const struct option *option;

        for (size_t i = 0; (option = option_at(set, i)); i++) {
                if (option->kind == OPTION_LIST)
                        free(((struct option_list *)value_of(option, values))->items);
        }
}
