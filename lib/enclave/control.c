/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/control.h"

#include "lib/enclave/state.h"

#include <string.h>

enum { SIGNAL_MAX = 64 };

static const char *const op_names[] = {
        [CONTROL_STOP] = "stop",
        [CONTROL_WAIT] = "wait",
        [CONTROL_CONSOLE] = "console",
        [CONTROL_SIGNAL] = "signal",
};

static const char *const event_names[] = {
        [CONTROL_PROGRESS] = "progress",
        [CONTROL_WARNING] = "warning",
};

bool control_line(struct view input, struct view *ret_line, size_t *ret_used)
{
        const uint8_t *newline = input.n ? memchr(input.p, '\n', input.n) : NULL;

        if (!newline)
                return false;
        *ret_line = view_of(input.p, (size_t)(newline - input.p));
        *ret_used = ret_line->n + 1;
        return true;
}

static int append(json_t *taken_json, struct buf *b)
{
        cleanup_json json_t *json = taken_json;

        return json ? state_append_line(json, b) : -ENOMEM;
}

int control_append_request(const struct control_request *request, struct buf *b)
{
        json_t *json = json_pack("{s:s, s:I}", "op", op_names[request->op], "grace_ms",
                                 (json_int_t)request->grace_ms);

        if (json && request->op == CONTROL_SIGNAL)
                (void)json_object_set_new(json, "signal", json_integer((json_int_t)request->signal));
        return append(json, b);
}

/* Our texts quote what a guest wrote; what is no UTF-8 would make a line that nobody can read. */
static json_t *text_json(const char *text)
{
        json_t *json = json_string(text);

        return json ? json : json_string("(a text that is no UTF-8)");
}

int control_append_reply(const struct control_reply *reply, struct buf *b)
{
        cleanup_json json_t *json =
                json_pack("{s:i, s:o}", "code", reply->code, "text", text_json(reply->text));

        if (!json ||
            (reply->has_info && json_object_set_new(json, "enclave", state_to_json(&reply->info)) < 0))
                return -ENOMEM;
        return state_append_line(json, b);
}

int control_append_event(enum control_event_kind kind, const char *text, struct buf *b)
{
        return append(json_pack("{s:s, s:o}", "event", event_names[kind], "text", text_json(text)), b);
}

/* The index of `name` in `names`, or -1. */
static int index_of(const char *const *names, size_t n, const char *name)
{
        for (size_t i = 0; name && i < n; i++) {
                if (strcmp(names[i], name) == 0)
                        return (int)i;
        }
        return -1;
}

int control_decode_request(struct view line, struct control_request *ret_request, struct error *err)
{
        cleanup_json json_t *json = NULL;
        int r = line.n < CONTROL_REQUEST_MAX ? state_parse_object(line, &json, err)
                                             : error_set(err, -EBADMSG, "a request of %zu bytes", line.n);
        if (r < 0)
                return r;
        int op = index_of(op_names, ARRAY_SIZE(op_names), json_string_value(json_object_get(json, "op")));
        if (op < 0)
                return error_set(err, -EBADMSG, "a request for nothing that is offered");
        const json_t *grace = json_object_get(json, "grace_ms");
        if (grace && (!json_is_integer(grace) || json_integer_value(grace) < 0 ||
                      json_integer_value(grace) > CONTROL_GRACE_MAX_MS))
                return error_set(err, -EBADMSG, "grace_ms is not in the range 0 to %d", CONTROL_GRACE_MAX_MS);
        json_int_t signal = json_integer_value(json_object_get(json, "signal"));
        if (op == CONTROL_SIGNAL && (signal < 1 || signal > SIGNAL_MAX))
                return error_set(err, -EBADMSG, "signal is not in the range 1 to %d", SIGNAL_MAX);
        *ret_request = (struct control_request){
                .op = (enum control_op)op,
                .grace_ms = (uint32_t)json_integer_value(grace),
                .signal = op == CONTROL_SIGNAL ? (uint32_t)signal : 0,
        };
        return 0;
}

static int copy_text(const json_t *json, const char *field, char *ret_text, struct error *err)
{
        const char *text = json_string_value(json_object_get(json, field));

        if (!text || strlen(text) >= ERROR_TEXT_MAX)
                return error_set(err, -EBADMSG, "an answer without a proper \"%s\"", field);
        memcpy(ret_text, text, strlen(text) + 1);
        return 0;
}

static int reply_from_json(const json_t *json, struct control_reply *ret_reply, struct error *err)
{
        struct control_reply reply = {0};
        const json_t *code = json_object_get(json, "code");
        const json_t *enclave = json_object_get(json, "enclave");

        if (!json_is_integer(code) || json_integer_value(code) > 0 || json_integer_value(code) < -4095)
                return error_set(err, -EBADMSG, "an answer without a proper \"code\"");
        reply.code = (int)json_integer_value(code);
        int r = copy_text(json, "text", reply.text, err);
        if (r == 0 && enclave) {
                reply.has_info = true;
                r = state_from_json(enclave, &reply.info, err);
        }
        if (r == 0)
                *ret_reply = reply;
        return r;
}

int control_decode_reply(struct view line, struct control_reply *ret_reply, struct error *err)
{
        cleanup_json json_t *json = NULL;
        int r = state_parse_object(line, &json, err);

        return r < 0 ? r : reply_from_json(json, ret_reply, err);
}

int control_decode_event(struct view line, struct control_event *ret_event, struct error *err)
{
        struct control_event event = {.kind = CONTROL_REPLY};
        cleanup_json json_t *json = NULL;
        int r = state_parse_object(line, &json, err);

        if (r < 0)
                return r;
        const json_t *name = json_object_get(json, "event");
        if (name) {
                int kind = index_of(event_names, ARRAY_SIZE(event_names), json_string_value(name));
                if (kind < 0)
                        return error_set(err, -EBADMSG, "an event of an unknown kind");
                event.kind = (enum control_event_kind)kind;
                r = copy_text(json, "text", event.text, err);
        } else {
                r = reply_from_json(json, &event.reply, err);
        }
        if (r == 0)
                *ret_event = event;
        return r;
}
