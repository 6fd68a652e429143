/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/format/json.h"

#include <inttypes.h>
#include <string.h>

/* What a writer puts around the parts of a value; "" where nothing. */
struct palette {
        const char *key;
        const char *string;
        const char *other;
        const char *off;
};

static const struct palette palette_plain = {"", "", "", ""};
static const struct palette palette_colour = {"\033[94m", "\033[33m", "\033[34m", "\033[39;49;00m"};

/* Strings come from jansson, so they are valid UTF-8.  Beyond JSON's own escapes, DEL and C1 are written as
 * such: terminals act on them. */
static void write_string(const char *s, size_t n, struct buf *b)
{
        static const char *const short_escapes[32] = {
                ['\b'] = "\\b", ['\f'] = "\\f", ['\n'] = "\\n", ['\r'] = "\\r", ['\t'] = "\\t",
        };
        size_t plain = 0;

        buf_append_byte(b, '"');
        for (size_t i = 0; i < n; i++) {
                unsigned char c = (unsigned char)s[i];
                bool c1 = c == 0xc2 && i + 1 < n && (unsigned char)s[i + 1] < 0xa0;

                if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f && !c1)
                        continue;
                buf_append(b, s + plain, i - plain);
                if (c1)
                        c = (unsigned char)s[++i];
                plain = i + 1;
                if (c == '"' || c == '\\')
                        buf_printf(b, "\\%c", c);
                else if (c < ARRAY_SIZE(short_escapes) && short_escapes[c])
                        buf_append_string(b, short_escapes[c]);
                else
                        buf_printf(b, "\\u%04x", c);
        }
        buf_append(b, s + plain, n - plain);
        buf_append_byte(b, '"');
}

/* The digits and the decimal exponent of the shortest decimal that reads back as `value`: 0.d1d2d3... x
 * 10^point. */
static int shortest_digits(double value, char ret_digits[20])
{
        char text[40];
        int precision = 0;

        do {
                snprintf(text, sizeof(text), "%.*e", precision, value);
        } while (strtod(text, NULL) != value && ++precision < 17);

        size_t n = 0;
        const char *p = text;
        for (; *p && *p != 'e'; p++)
                if (*p >= '0' && *p <= '9' && n < 19)
                        ret_digits[n++] = *p;
        ret_digits[n] = '\0';
        return (int)strtol(*p ? p + 1 : "0", NULL, 10) + 1;
}

/* Python's rule: exponents from -4 to 15 are written out. */
static void real_text(double value, char ret_text[JSON_NUMBER_TEXT_MAX])
{
        char digits[20];
        int point = shortest_digits(value, digits);
        int n = (int)strlen(digits);
        const char *sign = value < 0 || (value == 0 && 1 / value < 0) ? "-" : "";

        if (point > 16 || point <= -4)
                snprintf(ret_text, JSON_NUMBER_TEXT_MAX, "%s%c%s%se%c%02d", sign, digits[0], n > 1 ? "." : "",
                         digits + 1, point > 0 ? '+' : '-', abs(point - 1));
        else if (point <= 0)
                snprintf(ret_text, JSON_NUMBER_TEXT_MAX, "%s0.%.*s%s", sign, -point, "0000", digits);
        else if (n <= point)
                snprintf(ret_text, JSON_NUMBER_TEXT_MAX, "%s%s%.*s.0", sign, digits, point - n,
                         "0000000000000000");
        else
                snprintf(ret_text, JSON_NUMBER_TEXT_MAX, "%s%.*s.%s", sign, point, digits, digits + point);
}

void json_number_text(const json_t *number, char ret_text[JSON_NUMBER_TEXT_MAX])
{
        if (json_is_integer(number))
                snprintf(ret_text, JSON_NUMBER_TEXT_MAX, "%" JSON_INTEGER_FORMAT, json_integer_value(number));
        else
                real_text(json_real_value(number), ret_text);
}

static void write_scalar(const json_t *value, const struct palette *palette, struct buf *b)
{
        char number[JSON_NUMBER_TEXT_MAX];

        buf_append_string(b, json_is_string(value) ? palette->string : palette->other);
        switch (json_typeof(value)) {
        case JSON_STRING:
                write_string(json_string_value(value), json_string_length(value), b);
                break;
        case JSON_INTEGER:
        case JSON_REAL:
                json_number_text(value, number);
                buf_append_string(b, number);
                break;
        case JSON_TRUE:
                buf_append_string(b, "true");
                break;
        case JSON_FALSE:
                buf_append_string(b, "false");
                break;
        case JSON_NULL:
        case JSON_OBJECT:
        case JSON_ARRAY:
                buf_append_string(b, "null");
                break;
        }
        buf_append_string(b, palette->off);
}

static void new_line(struct buf *b, unsigned depth)
{
        buf_append_byte(b, '\n');
        for (unsigned i = 0; i < depth; i++)
                buf_append_string(b, "  ");
}

static void write_key(const char *key, const struct palette *palette, struct buf *b)
{
        buf_append_string(b, palette->key);
        write_string(key, strlen(key), b);
        buf_append_string(b, palette->off);
}

/* A failed buffer ends it: what a query makes may be endless where it is written out.  Depth is bounded:
 * jansson parses at most 2,048 levels, a query adds at most JMESPATH_DEPTH_MAX. */
static void write_indented(const json_t *value, const struct palette *palette, unsigned depth, struct buf *b)
{
        size_t n = json_is_array(value) ? json_array_size(value) : json_object_size(value);
        json_t *element;
        const char *key;
        size_t i;

        if (!json_is_array(value) && !json_is_object(value)) {
                write_scalar(value, palette, b);
                return;
        }
        buf_append_byte(b, json_is_array(value) ? '[' : '{');
        json_array_foreach (value, i, element) {
                if (b->failed)
                        return;
                new_line(b, depth + 1);
                write_indented(element, palette, depth + 1, b);
                if (--n > 0)
                        buf_append_byte(b, ',');
        }
        void *object = json_is_object(value) ? json_object_iter((json_t *)(uintptr_t)value) : NULL;
        for (void *it = object; it && !b->failed;
             it = json_object_iter_next((json_t *)(uintptr_t)value, it)) {
                key = json_object_iter_key(it);
                new_line(b, depth + 1);
                write_key(key, palette, b);
                buf_append_string(b, ": ");
                write_indented(json_object_iter_value(it), palette, depth + 1, b);
                if (--n > 0)
                        buf_append_byte(b, ',');
        }
        if (json_array_size(value) || json_object_size(value))
                new_line(b, depth);
        buf_append_byte(b, json_is_array(value) ? ']' : '}');
}

int json_write_indented(const json_t *value, struct buf *b)
{
        write_indented(value, &palette_plain, 0, b);
        return b->failed;
}

int json_write_coloured(const json_t *value, struct buf *b)
{
        write_indented(value, &palette_colour, 0, b);
        return b->failed;
}

int json_write_compact(const json_t *value, struct buf *b)
{
        json_t *owner = (json_t *)(uintptr_t)value; /* jansson's iterators want it; nothing is changed */
        const char *separator = "";
        json_t *element;
        size_t i;

        if (json_is_array(value)) {
                buf_append_byte(b, '[');
                json_array_foreach (value, i, element) {
                        if (b->failed)
                                break;
                        buf_append_string(b, separator);
                        json_write_compact(element, b);
                        separator = ",";
                }
                buf_append_byte(b, ']');
        } else if (json_is_object(value)) {
                buf_append_byte(b, '{');
                for (void *it = json_object_iter(owner); it && !b->failed;
                     it = json_object_iter_next(owner, it)) {
                        buf_append_string(b, separator);
                        write_key(json_object_iter_key(it), &palette_plain, b);
                        buf_append_byte(b, ':');
                        json_write_compact(json_object_iter_value(it), b);
                        separator = ",";
                }
                buf_append_byte(b, '}');
        } else {
                write_scalar(value, &palette_plain, b);
        }
        return b->failed;
}

static int compare_keys(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static json_t *sorted_object(json_t *value)
{
        size_t n = json_object_size(value), i = 0;
        cleanup_free const char **keys = calloc(n ? n : 1, sizeof(*keys));
        cleanup_json json_t *copy = json_object();

        if (!keys || !copy)
                return NULL;
        for (void *it = json_object_iter(value); it && i < n; it = json_object_iter_next(value, it))
                keys[i++] = json_object_iter_key(it);
        qsort(keys, n, sizeof(*keys), compare_keys);
        for (i = 0; i < n; i++)
                if (json_object_set_new(copy, keys[i], json_sorted_copy(json_object_get(value, keys[i]))) < 0)
                        return NULL;
        return take_pointer(&copy);
}

json_t *json_sorted_copy(const json_t *value)
{
        if (json_is_object(value))
                return sorted_object((json_t *)(uintptr_t)value);
        if (!json_is_array(value))
                return json_incref((json_t *)(uintptr_t)value);

        cleanup_json json_t *copy = json_array();
        json_t *element;
        size_t i;
        if (!copy)
                return NULL;
        json_array_foreach (value, i, element) {
                if (json_array_append_new(copy, json_sorted_copy(element)) < 0)
                        return NULL;
        }
        return take_pointer(&copy);
}

static bool same_objects(json_t *a, json_t *b)
{
        if (json_object_size(a) != json_object_size(b))
                return false;
        for (void *it = json_object_iter(a); it; it = json_object_iter_next(a, it))
                if (!json_same(json_object_iter_value(it), json_object_get(b, json_object_iter_key(it))))
                        return false;
        return true;
}

static bool same_arrays(const json_t *a, const json_t *b)
{
        json_t *element;
        size_t i;

        if (json_array_size(a) != json_array_size(b))
                return false;
        json_array_foreach (a, i, element) {
                if (!json_same(element, json_array_get(b, i)))
                        return false;
        }
        return true;
}

bool json_same(const json_t *a, const json_t *b)
{
        if (!a || !b)
                return false;
        if (json_is_integer(a) && json_is_integer(b))
                return json_integer_value(a) == json_integer_value(b);
        if (json_is_number(a) && json_is_number(b))
                return json_number_value(a) == json_number_value(b);
        if (json_typeof(a) != json_typeof(b))
                return false;
        if (json_is_string(a))
                return json_string_length(a) == json_string_length(b) &&
                       memcmp(json_string_value(a), json_string_value(b), json_string_length(a)) == 0;
        if (json_is_object(a))
                return same_objects((json_t *)(uintptr_t)a, (json_t *)(uintptr_t)b);
        return !json_is_array(a) || same_arrays(a, b);
}
