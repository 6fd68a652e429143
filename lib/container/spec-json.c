/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/spec-json.h"

#include "lib/base/buf.h"
#include "lib/base/checked.h"
#include "lib/base/text.h"
#include "lib/container/spec-parse.h"
#include "lib/format/json.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/auxv.h>

/*
 * Numbers from 2^63 up: jansson refuses them, the specification has them (RLIM_INFINITY).  They become
 * strings of a NUL and the digits before jansson sees the text.  No string of the text itself can be such a
 * one, because NULs in strings are refused: by jansson where there are no such numbers, by us where there
 * are.
 */
enum { LONG_NUMBER = 19 }; /* digits of 2^63 */

static bool is_digit(uint8_t c)
{
        return c >= '0' && c <= '9';
}

/* Whether LONG_NUMBER digits follow each other anywhere: one of them is at a multiple of that. */
static bool has_long_number(struct view text)
{
        for (size_t at = LONG_NUMBER - 1; at < text.n; at += LONG_NUMBER) {
                size_t first = at, end = at;

                while (first > 0 && end - first < LONG_NUMBER && is_digit(text.p[first - 1]))
                        first--;
                while (end < text.n && end - first < LONG_NUMBER && is_digit(text.p[end]))
                        end++;
                if (end - first >= LONG_NUMBER)
                        return true;
        }
        return false;
}

/* The end of the string whose opening quote is at `at`; false where a NUL is in it. */
static bool skip_string(struct view text, size_t at, size_t *ret_end)
{
        for (at++; at < text.n && text.p[at] != '"'; at++) {
                if (text.p[at] != '\\')
                        continue;
                if (text.n - at >= 6 && memcmp(text.p + at, "\\u0000", 6) == 0)
                        return false;
                at++;
        }
        *ret_end = at < text.n ? at + 1 : text.n;
        return true;
}

/* Whether the digits of text[at .. end) are a whole number from 2^63 to 2^64-1. */
static bool is_long_number(struct view text, size_t at, size_t end)
{
        char digits[24];
        uint64_t value;

        if (at > 0 && text.p[at - 1] == '-')
                return false;
        if (end < text.n && (text.p[end] == '.' || text.p[end] == 'e' || text.p[end] == 'E'))
                return false;
        if (end - at < LONG_NUMBER || end - at >= sizeof(digits) || text.p[at] == '0')
                return false;
        memcpy(digits, text.p + at, end - at);
        digits[end - at] = '\0';
        return parse_u64(digits, UINT64_MAX, &value) && value > INT64_MAX;
}

/* Copies the text with those numbers turned into strings. */
static int mark_long_numbers(struct view text, struct buf *b)
{
        size_t done = 0;

        for (size_t at = 0; at < text.n;) {
                size_t end = at + 1;

                if (text.p[at] == '"') {
                        if (!skip_string(text, at, &end))
                                return -EINVAL;
                } else if (is_digit(text.p[at])) {
                        while (end < text.n && is_digit(text.p[end]))
                                end++;
                        if (is_long_number(text, at, end)) {
                                buf_append(b, text.p + done, at - done);
                                buf_append_string(b, "\"\\u0000");
                                buf_append(b, text.p + at, end - at);
                                buf_append_byte(b, '"');
                                done = end;
                        }
                }
                at = end;
        }
        return buf_append(b, text.p + done, text.n - done);
}

/* Else jansson reads its hash seed from /dev/urandom.  The kernel gave this process random bytes anyway; the
 * ones that guard stacks and pointers aren't handed on as they are. */
static void seed_hashes(void)
{
        uint64_t random[2] = {0};
        unsigned long at = getauxval(AT_RANDOM);

        if (at)
                memcpy(random, (const void *)at, sizeof(random));
        random[0] = (random[0] ^ (random[1] >> 17)) * 0x9e3779b97f4a7c15U;
        json_object_seed((size_t)(random[0] >> 32) | 1);
}

int spec_json_load(const struct spec_reader *reader, struct view text, json_t **ret_json)
{
        cleanup_buf struct buf marked = buf_with_max(2 * (size_t)SPEC_TEXT_MAX);
        size_t flags = JSON_REJECT_DUPLICATES;
        json_error_t reason;

        if (text.n > SPEC_TEXT_MAX)
                return error_set(reader->err, -E2BIG, "%s: %zu bytes, more than the %d allowed", reader->file,
                                 text.n, SPEC_TEXT_MAX);
        if (has_long_number(text)) {
                int r = mark_long_numbers(text, &marked);
                if (r == -EINVAL)
                        return error_set(reader->err, r, "%s: \\u0000 can't be in a string", reader->file);
                if (r < 0)
                        return error_oom(reader->err);
                text = buf_view(&marked);
                flags |= JSON_ALLOW_NUL;
        }
        seed_hashes();
        cleanup_json json_t *json = json_loadb(text.n ? (const char *)text.p : "", text.n, flags, &reason);
        if (!json)
                return error_set(reader->err, -EINVAL, "%s: line %d, column %d: %s", reader->file,
                                 reason.line, reason.column,
                                 json_error_code(&reason) == json_error_null_character
                                         ? "\\u0000 can't be in a string"
                                         : reason.text);
        if (!json_is_object(json))
                return error_set(reader->err, -EINVAL, "%s: is an array, must be an object", reader->file);
        *ret_json = take_pointer(&json);
        return 0;
}

/* ---- paths and errors ---------------------------------------------------------------------------------- */

static bool is_plain_name(const char *key)
{
        if (!*key || is_digit((uint8_t)*key))
                return false;
        for (; *key; key++)
                if (!is_digit((uint8_t)*key) && *key != '_' && (*key < 'a' || *key > 'z') &&
                    (*key < 'A' || *key > 'Z'))
                        return false;
        return true;
}

static void append_path(const struct spec_node *node, struct buf *b)
{
        if (!node->parent)
                return;
        append_path(node->parent, b);
        if (!node->key)
                buf_printf(b, "[%zu]", node->index);
        else if (is_plain_name(node->key))
                buf_printf(b, ".%.64s", node->key);
        else
                buf_printf(b, "[\"%.64s\"]", node->key);
}

static void describe(const struct spec_node *node, const char *format, va_list args, struct buf *b)
        __attribute__((format(printf, 2, 0)));

/* "file: .path: text", fit for a terminal. */
static void describe(const struct spec_node *node, const char *format, va_list args, struct buf *b)
{
        cleanup_buf struct buf raw = buf_with_max((size_t)2 * ERROR_TEXT_MAX);
        char text[ERROR_TEXT_MAX];

        (void)vsnprintf(text, sizeof(text), format, args);
        buf_printf(&raw, "%s: ", node->reader->file);
        append_path(node, &raw);
        buf_printf(&raw, "%s%s", node->parent ? ": " : "", text);
        (void)text_append_printable(buf_view(&raw), "", b);
}

int spec_fail(const struct spec_node *node, int code, const char *format, ...)
{
        cleanup_buf struct buf text = buf_with_max((size_t)8 * ERROR_TEXT_MAX);
        va_list args;

        va_start(args, format);
        describe(node, format, args, &text);
        va_end(args);
        return error_set(node->reader->err, code, "%s", buf_string(&text));
}

void spec_warn(const struct spec_node *node, const char *format, ...)
{
        cleanup_buf struct buf text = buf_with_max((size_t)8 * ERROR_TEXT_MAX);
        va_list args;

        va_start(args, format);
        describe(node, format, args, &text);
        va_end(args);
        log_warning(node->reader->log, "%s", buf_string(&text));
}

int spec_full(const struct spec_node *node)
{
        return spec_fail(node, -ENOMEM, "too large: a configuration takes more than %d MiB of memory",
                         ARENA_MAX / 1024 / 1024);
}

/* ---- values -------------------------------------------------------------------------------------------- */

static bool is_marked_number(const json_t *json)
{
        return json_is_string(json) && json_string_length(json) > 0 && json_string_value(json)[0] == '\0';
}

static int wrong_type(const struct spec_node *node, const char *wanted)
{
        static const char *const types[] = {
                [JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array",  [JSON_STRING] = "a string",
                [JSON_INTEGER] = "a number", [JSON_REAL] = "a fraction", [JSON_TRUE] = "true",
                [JSON_FALSE] = "false",      [JSON_NULL] = "null",
        };
        const char *type = is_marked_number(node->json) ? "a number" : types[json_typeof(node->json)];

        return spec_fail(node, -EINVAL, "is %s, must be %s", type, wanted);
}

int spec_number_u64(const struct spec_node *node, uint64_t max, uint64_t *ret_value)
{
        uint64_t value;

        if (is_marked_number(node->json)) {
                if (!parse_u64(json_string_value(node->json) + 1, UINT64_MAX, &value))
                        return wrong_type(node, "a whole number");
        } else if (!json_is_integer(node->json)) {
                return wrong_type(node, "a whole number");
        } else if (json_integer_value(node->json) < 0) {
                return spec_fail(node, -EINVAL, "%" JSON_INTEGER_FORMAT " is below 0",
                                 json_integer_value(node->json));
        } else {
                value = (uint64_t)json_integer_value(node->json);
        }
        if (value > max)
                return spec_fail(node, -EINVAL, "%" PRIu64 " is above %" PRIu64, value, max);
        *ret_value = value;
        return 0;
}

int spec_number_i64(const struct spec_node *node, int64_t min, int64_t max, int64_t *ret_value)
{
        if (!json_is_integer(node->json) && !is_marked_number(node->json))
                return wrong_type(node, "a whole number");
        if (is_marked_number(node->json))
                return spec_fail(node, -EINVAL, "%s is above %" PRId64, json_string_value(node->json) + 1,
                                 max);
        int64_t value = json_integer_value(node->json);
        if (value < min || value > max)
                return spec_fail(node, -EINVAL, "%" PRId64 " is not from %" PRId64 " to %" PRId64, value, min,
                                 max);
        *ret_value = value;
        return 0;
}

int spec_string(const struct spec_node *node, const char **ret_text)
{
        if (!json_is_string(node->json) || is_marked_number(node->json))
                return wrong_type(node, "a string");
        *ret_text = json_string_value(node->json);
        return 0;
}

int spec_take_object(const struct spec_node *node, const struct spec_field *fields, size_t n, void *target)
{
        if (!json_is_object(node->json))
                return wrong_type(node, "an object");
        for (size_t i = 0; i < n; i++) {
                const struct spec_field *field = &fields[i];
                struct spec_node member = {.reader = node->reader,
                                           .parent = node,
                                           .key = field->key,
                                           .json = json_object_get(node->json, field->key)};

                if (!member.json || json_is_null(member.json)) {
                        if (field->required)
                                return spec_fail(&member, -EINVAL, "is missing");
                        continue;
                }
                int r = field->take(&member, (uint8_t *)target + field->offset);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Room for an array, with a zeroed member more for those that end with NULL. */
static int array_room(const struct spec_node *node, size_t n, size_t size, uint8_t **ret_room)
{
        size_t with_end;

        if (!checked_add(n, 1, &with_end))
                return spec_full(node);
        *ret_room = arena_alloc(node->reader->arena, with_end, size);
        return *ret_room ? 0 : spec_full(node);
}

static struct spec_node item_of(const struct spec_node *array, size_t i)
{
        return (struct spec_node){
                .reader = array->reader, .parent = array, .index = i, .json = json_array_get(array->json, i)};
}

int spec_take_each(const struct spec_node *node, spec_take *take, void *target)
{
        if (!json_is_array(node->json))
                return wrong_type(node, "an array");
        for (size_t i = 0; i < json_array_size(node->json); i++) {
                struct spec_node item = item_of(node, i);
                int r = take(&item, target);
                if (r < 0)
                        return r;
        }
        return 0;
}

int spec_take_array(const struct spec_node *node, size_t size, spec_take *take, struct spec_items *ret_array)
{
        size_t n = json_array_size(node->json);
        uint8_t *room;

        if (!json_is_array(node->json))
                return wrong_type(node, "an array");
        int r = array_room(node, n, size, &room);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                struct spec_node item = item_of(node, i);
                r = json_is_null(item.json) ? wrong_type(&item, "a value") : take(&item, room + i * size);
                if (r < 0)
                        return r;
        }
        *ret_array = (struct spec_items){room, n};
        return 0;
}

int spec_take_members(const struct spec_node *node, size_t size, spec_take *take,
                      struct spec_items *ret_array)
{
        json_t *object =
                (json_t *)(uintptr_t)node->json; /* jansson's iterators want it; nothing is changed */
        size_t i = 0;
        uint8_t *room;

        if (!json_is_object(node->json))
                return wrong_type(node, "an object");
        int r = array_room(node, json_object_size(node->json), size, &room);
        if (r < 0)
                return r;
        for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at), i++) {
                struct spec_node member = {.reader = node->reader,
                                           .parent = node,
                                           .key = json_object_iter_key(at),
                                           .json = json_object_iter_value(at)};
                r = json_is_null(member.json) ? wrong_type(&member, "a value")
                                              : take(&member, room + i * size);
                if (r < 0)
                        return r;
        }
        *ret_array = (struct spec_items){room, i};
        return 0;
}
