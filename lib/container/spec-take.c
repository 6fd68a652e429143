/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/spec-take.h"

#include "lib/base/cleanup.h"
#include "lib/base/text.h"

#include <string.h>

int spec_take_bool(const struct spec_node *node, void *ret_target)
{
        if (!json_is_boolean(node->json))
                return spec_fail(node, -EINVAL, "must be true or false");
        *(bool *)ret_target = json_is_true(node->json);
        return 0;
}

int spec_take_optional_bool(const struct spec_node *node, void *ret_target)
{
        struct optional_bool *target = ret_target;

        target->set = true;
        return spec_take_bool(node, &target->value);
}

int spec_take_u32(const struct spec_node *node, void *ret_target)
{
        uint64_t value = 0;
        int r = spec_number_u64(node, UINT32_MAX, &value);

        *(uint32_t *)ret_target = (uint32_t)value;
        return r;
}

int spec_take_u64(const struct spec_node *node, void *ret_target)
{
        return spec_number_u64(node, UINT64_MAX, ret_target);
}

int spec_take_optional_i64(const struct spec_node *node, void *ret_target)
{
        struct optional_i64 *target = ret_target;

        target->set = true;
        return spec_number_i64(node, INT64_MIN, INT64_MAX, &target->value);
}

static int take_optional_up_to(const struct spec_node *node, uint64_t max, struct optional_u64 *ret_target)
{
        ret_target->set = true;
        return spec_number_u64(node, max, &ret_target->value);
}

int spec_take_optional_u64(const struct spec_node *node, void *ret_target)
{
        return take_optional_up_to(node, UINT64_MAX, ret_target);
}

int spec_take_optional_u32(const struct spec_node *node, void *ret_target)
{
        return take_optional_up_to(node, UINT32_MAX, ret_target);
}

int spec_take_optional_u16(const struct spec_node *node, void *ret_target)
{
        return take_optional_up_to(node, UINT16_MAX, ret_target);
}

int spec_copy(const struct spec_node *node, const char *text, const char **ret_copy)
{
        *ret_copy = *text ? arena_string(node->reader->arena, text) : NULL;
        return *text && !*ret_copy ? spec_full(node) : 0;
}

int spec_take_text(const struct spec_node *node, void *ret_target)
{
        const char *text;
        int r = spec_string(node, &text);

        return r < 0 ? r : spec_copy(node, text, ret_target);
}

int spec_take_path(const struct spec_node *node, void *ret_target)
{
        const char *text;
        int r = spec_string(node, &text);

        if (r < 0)
                return r;
        if (*text && *text != '/')
                return spec_fail(node, -EINVAL, "\"%.128s\" must be an absolute path", text);
        return spec_copy(node, text, ret_target);
}

/* Into a char *; "" is kept. */
static int take_item(const struct spec_node *node, void *ret_target)
{
        const char *text;
        int r = spec_string(node, &text);

        if (r < 0)
                return r;
        *(char **)ret_target = arena_string(node->reader->arena, text);
        return *(char **)ret_target ? 0 : spec_full(node);
}

static int take_path_item(const struct spec_node *node, void *ret_target)
{
        int r = take_item(node, ret_target);

        if (r == 0 && **(char **)ret_target != '/')
                return spec_fail(node, -EINVAL, "\"%.128s\" must be an absolute path", *(char **)ret_target);
        return r;
}

static int take_list(const struct spec_node *node, spec_take *take, struct spec_strings *ret_strings)
{
        struct spec_items array;
        int r = spec_take_array(node, sizeof(char *), take, &array);

        if (r < 0)
                return r;
        *ret_strings = (struct spec_strings){array.items, array.n};
        return 0;
}

int spec_take_strings(const struct spec_node *node, void *ret_target)
{
        return take_list(node, take_item, ret_target);
}

int spec_take_paths(const struct spec_node *node, void *ret_target)
{
        return take_list(node, take_path_item, ret_target);
}

static int take_pair(const struct spec_node *node, void *ret_target)
{
        struct spec_pair *pair = ret_target;
        char *value;

        if (!*node->key)
                return spec_fail(node, -EINVAL, "a name can't be empty");
        int r = take_item(node, &value);
        if (r < 0)
                return r;
        pair->value = value;
        pair->key = arena_string(node->reader->arena, node->key);
        return pair->key ? 0 : spec_full(node);
}

int spec_take_pairs(const struct spec_node *node, void *ret_target)
{
        struct spec_pairs *pairs = ret_target;
        struct spec_items array;
        int r = spec_take_members(node, sizeof(struct spec_pair), take_pair, &array);

        if (r < 0)
                return r;
        *pairs = (struct spec_pairs){array.items, array.n};
        return 0;
}

static int take_id_mapping(const struct spec_node *node, void *ret_target)
{
        static const struct spec_field fields[] = {
                {"containerID", spec_take_u32, offsetof(struct spec_id_mapping, container_id), true},
                {"hostID", spec_take_u32, offsetof(struct spec_id_mapping, host_id), true},
                {"size", spec_take_u32, offsetof(struct spec_id_mapping, size), true},
        };
        struct spec_id_mapping *mapping = ret_target;
        int r = spec_take_object(node, fields, ARRAY_SIZE(fields), mapping);

        if (r < 0)
                return r;
        if (mapping->size == 0)
                return spec_fail(node, -EINVAL, "size must be above 0");
        if ((uint64_t)mapping->container_id + mapping->size > UINT32_MAX ||
            (uint64_t)mapping->host_id + mapping->size > UINT32_MAX)
                return spec_fail(node, -EINVAL, "goes past the last id, %u", UINT32_MAX - 1);
        return 0;
}

int spec_take_id_mappings(const struct spec_node *node, void *ret_target)
{
        struct spec_id_mappings *mappings = ret_target;
        struct spec_items array;
        int r = spec_take_array(node, sizeof(struct spec_id_mapping), take_id_mapping, &array);

        if (r < 0)
                return r;
        *mappings = (struct spec_id_mappings){array.items, array.n};
        return 0;
}

int spec_word(const struct spec_node *node, enum spec_vocabulary vocabulary, const char *what,
              uint64_t *ret_value)
{
        const char *text;
        char known[640];
        int r = spec_string(node, &text);

        if (r < 0)
                return r;
        if (spec_name_value(vocabulary, text, ret_value))
                return 0;
        spec_names_list(vocabulary, known, sizeof(known));
        return spec_fail(node, -EINVAL, "invalid %s \"%.64s\"; one of %s", what, text, known);
}

struct flag_reader {
        enum spec_vocabulary vocabulary;
        const char *what;
        uint64_t flags;
};

static int take_flag(const struct spec_node *node, void *ret_target)
{
        struct flag_reader *reader = ret_target;
        uint64_t flag;
        int r = spec_word(node, reader->vocabulary, reader->what, &flag);

        if (r == 0)
                reader->flags |= flag;
        return r;
}

int spec_flags(const struct spec_node *node, enum spec_vocabulary vocabulary, const char *what,
               uint64_t *ret_flags)
{
        struct flag_reader reader = {.vocabulary = vocabulary, .what = what};
        int r = spec_take_each(node, take_flag, &reader);

        if (r == 0)
                *ret_flags = reader.flags;
        return r;
}

static const char *skip_blanks(const char *p)
{
        return p + strspn(p, " \t\n");
}

/* A number below `max`; NULL where there is none. */
static const char *list_number(const char *p, size_t max, uint64_t *ret_value)
{
        p = skip_blanks(p);
        return take_u64(&p, max - 1, ret_value) ? skip_blanks(p) : NULL;
}

int spec_number_list(const struct spec_node *node, const char *text, size_t max, const char *what,
                     uint64_t *ret_words)
{
        const char *p = text;

        memset(ret_words, 0, (max + 63) / 64 * sizeof(*ret_words));
        do {
                uint64_t first, last;

                p = list_number(p, max, &first);
                if (p && *p == '-')
                        p = list_number(p + 1, max, &last);
                else
                        last = first;
                if (!p || last < first || (*p && *p != ','))
                        return spec_fail(
                                node, -EINVAL,
                                "invalid %s \"%.64s\"; it takes a list of numbers below %zu as 0-3,7", what,
                                text, max);
                for (; first <= last; first++)
                        ret_words[first / 64] |= (uint64_t)1 << (first % 64);
        } while (*p++ == ',');
        return 0;
}
