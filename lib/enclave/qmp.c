/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/qmp.h"

#include "lib/enclave/state.h"

#include "lib/base/text.h"

#include <string.h>

static const struct {
        const char *name;
        enum qmp_event event;
} events[] = {
        {"SHUTDOWN", QMP_EVENT_SHUTDOWN},
        {"GUEST_PANICKED", QMP_EVENT_GUEST_PANICKED},
};

static enum qmp_event event_of(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
                if (strcmp(events[i].name, name) == 0)
                        return events[i].event;
        }
        return QMP_EVENT_OTHER;
}

/* The string `name` of an object, "" where it has none. */
static void copy_text(const json_t *object, const char *name, char ret_text[static QMP_TEXT_MAX])
{
        text_printable(view_of_string(json_string_value(json_object_get(object, name))), ret_text,
                       QMP_TEXT_MAX);
}

int qmp_decode(struct view line, struct qmp_message *ret_message, struct error *err)
{
        struct qmp_message message = {.kind = QMP_OTHER, .event = QMP_EVENT_OTHER};
        cleanup_json json_t *json = NULL;
        const json_t *value;
        int r = state_parse_object(line, &json, err);

        if (r < 0) {
                error_wrap(err, "QMP");
                return r;
        }
        if (json_is_object(json_object_get(json, "QMP"))) {
                message.kind = QMP_GREETING;
        } else if ((value = json_object_get(json, "event"))) {
                if (!json_is_string(value))
                        return error_set(err, -EBADMSG, "QMP: an event without a name");
                message.kind = QMP_EVENT;
                message.event = event_of(json_string_value(value));
                copy_text(json_object_get(json, "data"), "reason", message.text);
        } else if ((value = json_object_get(json, "error"))) {
                message.kind = QMP_ERROR;
                copy_text(value, "desc", message.text);
        } else if (json_object_get(json, "return")) {
                message.kind = QMP_RETURN;
        }
        *ret_message = message;
        return 0;
}

int qmp_next(struct buf *input, struct qmp_message *ret_message, struct error *err)
{
        const uint8_t *newline = input->n ? memchr(input->p, '\n', input->n) : NULL;

        if (!newline && input->n <= QMP_LINE_MAX)
                return 0;
        if (!newline || (size_t)(newline - input->p) > QMP_LINE_MAX)
                return error_set(err, -EBADMSG, "QMP: a line of more than %d bytes", QMP_LINE_MAX);
        struct view line = view_of(input->p, (size_t)(newline - input->p));
        int r = qmp_decode(line, ret_message, err);
        if (r < 0)
                return r;
        buf_consume(input, line.n + 1);
        return 1;
}

int qmp_append_command(const char *name, struct buf *b)
{
        return buf_printf(b, "{\"execute\":\"%s\"}\n", name);
}
