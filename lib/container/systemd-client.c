/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd-client.c - the calls of systemd-bus.h, made by systemd-agent.
 *
 * Theory of operation.  libsystemd can't be linked into a static program, nor be loaded by one.  So whoever
 * wants to talk to systemd starts a dynamic program that can, which lives as long as the connection, and has
 * it make each call: a request, and its answer.  How long a call may take is known by the agent alone; that
 * it has died is known by the end of the socket.
 */
#include "lib/container/systemd-bus.h"

#include "lib/base/fd.h"
#include "lib/container/systemd-launch.h"
#include "lib/container/systemd-message.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* With what the loader ends a program of which it doesn't find all libraries. */
enum { EXIT_OF_THE_LOADER = 127 };

struct systemd_bus {
        struct child agent;
        int socket;
};

void systemd_bus_free(struct systemd_bus *bus)
{
        int status;

        if (!bus)
                return;
        /* Also where somebody else has a copy of it. */
        if (bus->socket >= 0)
                (void)shutdown(bus->socket, SHUT_RDWR);
        fd_close_p(&bus->socket);
        /* Whoever reaps all children may have been faster. */
        (void)child_wait(&bus->agent, &status);
        fd_close_p(&bus->agent.pidfd);
        free(bus);
}

/* Says how the agent ended. */
static int agent_ended(struct systemd_bus *bus, struct error *err)
{
        int status;

        if (child_wait(&bus->agent, &status) < 0)
                return error_set(err, -ECONNRESET, "systemd-agent ended before it answered");
        if (WIFSIGNALED(status))
                return error_set(err, -ECONNRESET, "systemd-agent was ended by signal %d before it answered",
                                 WTERMSIG(status));
        if (WEXITSTATUS(status) != EXIT_OF_THE_LOADER)
                return error_set(err, -ECONNRESET, "systemd-agent ended with status %d before it answered",
                                 WEXITSTATUS(status));
        error_set(err, -ENOTSUP,
                  "systemd's control groups need its library, and this host's C library can't load it: it "
                  "says why above");
        error_hint(err, "leave out --systemd-cgroup");
        return -ENOTSUP;
}

/* Sends a request and waits for its answer, which is an error or *ret_answer. */
static int ask(struct systemd_bus *bus, const struct systemd_request *request,
               struct systemd_answer *ret_answer, struct error *err)
{
        cleanup_buf struct buf message = buf_with_max(SYSTEMD_REQUEST_MAX);

        int r = systemd_request_encode(request, &message, err);
        if (r < 0)
                return r;
        r = systemd_message_send(bus->socket, buf_view(&message));
        if (r == 0)
                r = systemd_message_receive(bus->socket, SYSTEMD_ANSWER_MAX, &message);
        if (r == -EPIPE || r == -ECONNRESET || r == -ENODATA)
                return agent_ended(bus, err);
        if (r < 0)
                return error_errno(err, -r, "talk to systemd-agent");
        r = systemd_answer_decode(buf_view(&message), ret_answer, err);
        if (r < 0)
                return r;
        return ret_answer->code < 0 ? error_set(err, ret_answer->code, "%s", ret_answer->text) : 0;
}

int systemd_bus_connect(enum systemd_scope scope, struct systemd_bus **ret_bus, struct error *err)
{
        const struct systemd_request request = {.call = SYSTEMD_CALL_CONNECT, .scope = scope, .unit = ""};
        cleanup_systemd_bus struct systemd_bus *bus = calloc(1, sizeof(*bus));
        struct systemd_answer answer;

        if (!bus)
                return error_oom(err);
        bus->agent = CHILD_NONE;
        bus->socket = -1;
        int r = systemd_launch(&bus->agent, &bus->socket, err);
        if (r == 0)
                r = ask(bus, &request, &answer, err);
        if (r == 0)
                *ret_bus = take_pointer(&bus);
        return r;
}

int systemd_bus_root_group(struct systemd_bus *bus, char **ret_path, struct error *err)
{
        const struct systemd_request request = {.call = SYSTEMD_CALL_ROOT_GROUP, .unit = ""};
        struct systemd_answer answer;

        int r = ask(bus, &request, &answer, err);
        if (r < 0)
                return r;
        *ret_path = strdup(answer.text);
        return *ret_path ? 0 : error_oom(err);
}

int systemd_bus_start_unit(struct systemd_bus *bus, const char *unit,
                           const struct systemd_properties *properties, struct error *err)
{
        const struct systemd_request request = {
                .call = SYSTEMD_CALL_START_UNIT, .unit = unit, .properties = properties};
        struct systemd_answer answer;

        return ask(bus, &request, &answer, err);
}

int systemd_bus_set_properties(struct systemd_bus *bus, const char *unit,
                               const struct systemd_properties *properties, struct error *err)
{
        const struct systemd_request request = {
                .call = SYSTEMD_CALL_SET_PROPERTIES, .unit = unit, .properties = properties};
        struct systemd_answer answer;

        return ask(bus, &request, &answer, err);
}

int systemd_bus_stop_unit(struct systemd_bus *bus, const char *unit, struct error *err)
{
        const struct systemd_request request = {.call = SYSTEMD_CALL_STOP_UNIT, .unit = unit};
        struct systemd_answer answer;

        return ask(bus, &request, &answer, err);
}
