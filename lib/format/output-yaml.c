/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output-yaml.c - the "yaml" formats, as Python's yaml.safe_dump(value, default_flow_style=False,
 * allow_unicode=True, sort_keys=False) writes them.
 *
 * libyaml and PyYAML share their emitter's rules; what is left to us is the resolver: a string that would be
 * read back as something else (true, 12, 1.5, 2001-01-01, =) must not be written plain.
 */
#include "lib/format/json.h"
#include "lib/format/output-internal.h"

#include <limits.h>
#include <regex.h>
#include <string.h>
#include <yaml.h>

/* YAML 1.1's implicit types, as PyYAML's resolver has them. */
static const char not_a_string[] =
        "^("
        "yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF"
        "|[-+]?[0-9][0-9_]*\\.[0-9_]*([eE][-+][0-9]+)?"
        "|\\.[0-9][0-9_]*([eE][-+][0-9]+)?"
        "|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+\\.[0-9_]*"
        "|[-+]?\\.(inf|Inf|INF)|\\.(nan|NaN|NAN)"
        "|[-+]?0b[01_]+|[-+]?0[0-7_]+|[-+]?(0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+"
        "|[-+]?[1-9][0-9_]*(:[0-5]?[0-9])+"
        "|<<|~|null|Null|NULL|="
        "|[0-9]{4}-[0-9]{2}-[0-9]{2}"
        "|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(\\.[0-9]*)?"
        "([ \t]*(Z|[-+][0-9]{1,2}(:[0-9]{2})?))?"
        ")?$";

struct writer {
        yaml_emitter_t emitter;
        regex_t not_a_string;
};

/* Both parts may be all zero: libyaml's and glibc's freeing take that. */
static void writer_done(struct writer *writer)
{
        yaml_emitter_delete(&writer->emitter);
        regfree(&writer->not_a_string);
}
#define cleanup_writer CLEANUP(writer_done)

/* libyaml's write handler: 1 is success. */
static int write_bytes(void *user, unsigned char *bytes, size_t n)
{
        return buf_append(user, bytes, n) == 0;
}

/* An event is emitted, or deleted, by yaml_emitter_emit(); `made` is what its initialiser returned. */
static bool emit(struct writer *writer, yaml_event_t *event, int made)
{
        return made && yaml_emitter_emit(&writer->emitter, event);
}

static bool emit_scalar(struct writer *writer, const char *text, size_t n, bool plain)
{
        const yaml_char_t *bytes = (const yaml_char_t *)text;
        yaml_event_t event;

        if (n > INT_MAX)
                return false;
        return emit(writer, &event,
                    yaml_scalar_event_initialize(&event, NULL, NULL, bytes, (int)n, plain, 1,
                                                 YAML_ANY_SCALAR_STYLE));
}

static bool emit_string(struct writer *writer, const char *text, size_t n)
{
        bool has_nul = strlen(text) != n;

        return emit_scalar(writer, text, n, has_nul || regexec(&writer->not_a_string, text, 0, NULL, 0) != 0);
}

static bool emit_number(struct writer *writer, const json_t *value)
{
        char text[JSON_NUMBER_TEXT_MAX + 2];

        json_number_text(value, text);
        /* YAML 1.1 reads 1e+16 as a string: it wants a point. */
        char *exponent = strchr(text, 'e');
        if (exponent && !strchr(text, '.')) {
                memmove(exponent + 2, exponent, strlen(exponent) + 1);
                memcpy(exponent, ".0", 2);
        }
        return emit_scalar(writer, text, strlen(text), true);
}

static bool emit_value(struct writer *writer, const json_t *value);

static bool emit_sequence(struct writer *writer, const json_t *array)
{
        yaml_event_t event;
        json_t *element;
        size_t i;

        if (!emit(writer, &event,
                  yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_SEQUENCE_STYLE)))
                return false;
        json_array_foreach (array, i, element) {
                if (!emit_value(writer, element))
                        return false;
        }
        return emit(writer, &event, yaml_sequence_end_event_initialize(&event));
}

static bool emit_mapping(struct writer *writer, json_t *object)
{
        yaml_event_t event;

        if (!emit(writer, &event,
                  yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE)))
                return false;
        for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
                const char *key = json_object_iter_key(it);
                if (!emit_string(writer, key, strlen(key)) || !emit_value(writer, json_object_iter_value(it)))
                        return false;
        }
        return emit(writer, &event, yaml_mapping_end_event_initialize(&event));
}

static bool emit_value(struct writer *writer, const json_t *value)
{
        switch (json_typeof(value)) {
        case JSON_OBJECT:
                return emit_mapping(writer, (json_t *)(uintptr_t)value);
        case JSON_ARRAY:
                return emit_sequence(writer, value);
        case JSON_STRING:
                return emit_string(writer, json_string_value(value), json_string_length(value));
        case JSON_INTEGER:
        case JSON_REAL:
                return emit_number(writer, value);
        case JSON_TRUE:
                return emit_scalar(writer, "true", 4, true);
        case JSON_FALSE:
                return emit_scalar(writer, "false", 5, true);
        case JSON_NULL:
                break;
        }
        return emit_scalar(writer, "null", 4, true);
}

static bool emit_document(struct writer *writer, const json_t *result)
{
        yaml_event_t event;

        return emit(writer, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING)) &&
               emit(writer, &event, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1)) &&
               emit_value(writer, result) &&
               emit(writer, &event, yaml_document_end_event_initialize(&event, 1)) &&
               emit(writer, &event, yaml_stream_end_event_initialize(&event));
}

int output_write_yaml(const json_t *result, const struct output_style *style, struct buf *b,
                      struct error *err)
{
        cleanup_writer struct writer writer = {0};
        size_t start = b->n;

        (void)style;
        if (regcomp(&writer.not_a_string, not_a_string, REG_EXTENDED | REG_NOSUB) != 0 ||
            !yaml_emitter_initialize(&writer.emitter))
                return error_oom(err);
        yaml_emitter_set_output(&writer.emitter, write_bytes, b);
        yaml_emitter_set_unicode(&writer.emitter, 1);
        if (!emit_document(&writer, result) && !b->failed)
                return error_set(err, -ENOMEM, "cannot write YAML: %s",
                                 writer.emitter.problem ? writer.emitter.problem : "out of memory");
        /* PyYAML marks the end of a document that is one plain scalar; newer libyaml does not. */
        if (!json_is_object(result) && !json_is_array(result) && b->n > start && !strchr("'\"", b->p[start]))
                buf_append_string(b, "...\n");
        return 0;
}

/* How many bytes of a line are a mapping's key: what stands before ": " or ":" at its end, without quotes. */
static size_t key_length(const char *line, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                if (line[i] == ':' && (i + 1 == n || line[i + 1] == ' '))
                        return i;
                if (line[i] == '"' || line[i] == '\'')
                        return 0;
        }
        return 0;
}

int output_write_yaml_colour(const json_t *result, const struct output_style *style, struct buf *b,
                             struct error *err)
{
        cleanup_buf struct buf plain = buf_with_max(b->max);
        int r = output_write_yaml(result, style, style->colour ? &plain : b, err);

        if (plain.failed)
                b->failed = plain.failed; /* output_write() says it */
        for (size_t at = 0; r == 0 && at < plain.n;) {
                const char *line = (const char *)plain.p + at;
                size_t n = strcspn(line, "\n");
                size_t indent = strspn(line, " -");
                size_t key = indent < n ? key_length(line + indent, n - indent) : 0;
                buf_append(b, line, indent);
                if (key > 0)
                        buf_printf(b, "\033[94m%.*s\033[39;49;00m", (int)key, line + indent);
                buf_append(b, line + indent + key, n - indent - key + 1);
                at += n + 1;
        }
        return r;
}
