/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/format/strict-json.h"

#include <stdbool.h>
#include <string.h>

/* jansson's own bound is 2048 levels of recursion, and fixed; ours is checked before it sees the text. */
static bool nests_too_deep(struct view text)
{
        size_t depth = 0;
        bool in_string = false;

        for (size_t i = 0; i < text.n; i++) {
                uint8_t c = text.p[i];
                if (in_string) {
                        if (c == '\\')
                                i++;
                        else if (c == '"')
                                in_string = false;
                } else if (c == '"') {
                        in_string = true;
                } else if (c == '{' || c == '[') {
                        if (++depth > STRICT_JSON_DEPTH_MAX)
                                return true;
                } else if ((c == '}' || c == ']') && depth > 0) {
                        depth--;
                }
        }
        return false;
}

int strict_json_parse(struct view text, size_t max, json_t **ret_root, struct error *err)
{
        json_error_t reason;

        if (text.n > max)
                return error_set(err, -EFBIG, "%zu bytes of JSON, more than the %zu allowed", text.n, max);
        if (nests_too_deep(text))
                return error_set(err, -EBADMSG, "JSON nests deeper than %d levels", STRICT_JSON_DEPTH_MAX);
        json_t *root =
                json_loadb(text.n ? (const char *)text.p : "", text.n, JSON_REJECT_DUPLICATES, &reason);
        if (!root)
                return error_set(err, -EBADMSG, "not acceptable JSON: %s (line %d, column %d)", reason.text,
                                 reason.line, reason.column);
        *ret_root = root;
        return 0;
}

/* The member, or NULL where absent or null. */
static json_t *member(const json_t *parent, const char *name)
{
        json_t *value = json_object_get(parent, name);
        return json_is_null(value) ? NULL : value;
}

static int wrong_type(const char *name, const char *wanted, struct error *err)
{
        return error_set(err, -EBADMSG, "member \"%s\" is not %s", name, wanted);
}

int strict_json_string(const json_t *parent, const char *name, const char **ret_value, struct error *err)
{
        const json_t *value = member(parent, name);

        if (value && !json_is_string(value))
                return wrong_type(name, "a string", err);
        *ret_value = json_string_value(value);
        return 0;
}

int strict_json_object(const json_t *parent, const char *name, json_t **ret_value, struct error *err)
{
        json_t *value = member(parent, name);

        if (value && !json_is_object(value))
                return wrong_type(name, "an object", err);
        *ret_value = value;
        return 0;
}

int strict_json_array(const json_t *parent, const char *name, json_t **ret_value, struct error *err)
{
        json_t *value = member(parent, name);

        if (value && !json_is_array(value))
                return wrong_type(name, "an array", err);
        *ret_value = value;
        return 0;
}

int strict_json_u64(const json_t *parent, const char *name, uint64_t *ret_value, struct error *err)
{
        const json_t *value = member(parent, name);

        if (value && (!json_is_integer(value) || json_integer_value(value) < 0))
                return wrong_type(name, "a whole number from 0 up", err);
        *ret_value = value ? (uint64_t)json_integer_value(value) : 0;
        return 0;
}

int strict_json_strings(const json_t *parent, const char *name, size_t max, char ***ret_list,
                        struct error *err)
{
        json_t *array;
        int r = strict_json_array(parent, name, &array, err);

        if (r < 0)
                return r;
        size_t n = json_array_size(array);
        if (n > max)
                return error_set(err, -EFBIG, "member \"%s\" has %zu items, more than the %zu allowed", name,
                                 n, max);
        char **list = calloc(n + 1, sizeof(*list));
        if (!list)
                return error_oom(err);
        for (size_t i = 0; i < n; i++) {
                const json_t *item = json_array_get(array, i);
                if (!json_is_string(item)) {
                        strict_json_free_strings(list);
                        return error_set(err, -EBADMSG, "item %zu of \"%s\" is not a string", i, name);
                }
                list[i] = strdup(json_string_value(item));
                if (!list[i]) {
                        strict_json_free_strings(list);
                        return error_oom(err);
                }
        }
        *ret_list = list;
        return 0;
}

void strict_json_free_strings(char **list)
{
        for (char **s = list; s && *s; s++)
                free(*s);
        free(list);
}
