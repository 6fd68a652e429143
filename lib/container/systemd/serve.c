/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/systemd/serve.h"

#include "lib/container/systemd-message.h"

#include <stdlib.h>

static int connect_once(struct systemd_bus **bus, enum systemd_scope scope, struct error *err)
{
        if (*bus)
                return error_set(err, -EISCONN, "systemd-agent is connected already");
        return systemd_bus_connect(scope, bus, err);
}

/* Makes the call that is asked for.  *ret_text is what the answer says where it is not an error's text. */
static int make_call(struct systemd_bus **bus, const struct systemd_request *request, char **ret_text,
                     struct error *err)
{
        if (request->call != SYSTEMD_CALL_CONNECT && !*bus)
                return error_set(err, -ENOTCONN, "systemd-agent is not connected");
        switch (request->call) {
        case SYSTEMD_CALL_CONNECT:
                return connect_once(bus, request->scope, err);
        case SYSTEMD_CALL_ROOT_GROUP:
                return systemd_bus_root_group(*bus, ret_text, err);
        case SYSTEMD_CALL_START_UNIT:
                return systemd_bus_start_unit(*bus, request->unit, request->properties, err);
        case SYSTEMD_CALL_SET_PROPERTIES:
                return systemd_bus_set_properties(*bus, request->unit, request->properties, err);
        case SYSTEMD_CALL_STOP_UNIT:
                return systemd_bus_stop_unit(*bus, request->unit, err);
        }
        return error_set(err, -EBADMSG, "a call that systemd-agent doesn't know");
}

/* Answers one request. -ENODATA: none will come any more. */
static int serve_one(int socket, struct systemd_bus **bus)
{
        cleanup_buf struct buf message = buf_with_max(0), answer = buf_with_max(SYSTEMD_ANSWER_MAX);
        cleanup_systemd_properties struct systemd_properties properties = {0};
        cleanup_free char *text = NULL;
        struct systemd_request request;
        struct error err = {0};

        int r = systemd_message_receive(socket, SYSTEMD_REQUEST_MAX, &message);
        if (r == 0)
                r = systemd_request_decode(buf_view(&message), &request, &properties, &err);
        if (r < 0)
                return r;
        r = make_call(bus, &request, &text, &err);
        r = systemd_answer_encode(r < 0 ? r : 0, r < 0 ? error_text(&err) : text ? text : "", &answer);
        return r < 0 ? r : systemd_message_send(socket, buf_view(&answer));
}

int serve(int socket)
{
        cleanup_systemd_bus struct systemd_bus *bus = NULL;
        int r;

        do
                r = serve_one(socket, &bus);
        while (r == 0);
        return r == -ENODATA || r == -EPIPE ? 0 : r;
}
