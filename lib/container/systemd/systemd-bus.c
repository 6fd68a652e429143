/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd-bus.c - a conversation with systemd.
 *
 * Theory of operation.  A call that makes or stops a unit is answered with a job, whose end comes as the
 * signal JobRemoved with the job's path and result, at any time behind the answer.  The signals that come
 * while an answer is waited for are kept by sd-bus, so none is missed by looking at them afterwards.  On its
 * private socket systemd sends its signals to everybody; on a bus only to who subscribed.
 */
#include "lib/container/systemd-bus.h"

#include "lib/base/clock.h"
#include "lib/container/systemd/sd-bus-api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DESTINATION "org.freedesktop.systemd1"
#define OBJECT      "/org/freedesktop/systemd1"
#define MANAGER     "org.freedesktop.systemd1.Manager"

/* How long systemd may take for an answer, and for a job. */
enum { CALL_TIMEOUT_US = 30000000, JOB_TIMEOUT_MS = 30000 };

enum { JOB_PATH_MAX = 256, JOB_RESULT_MAX = 32 };

struct systemd_bus {
        struct sd_bus_api api;
        sd_bus *bus;
        char job[JOB_PATH_MAX];      /* the one that is waited for */
        char result[JOB_RESULT_MAX]; /* "": not yet */
};

/* A message, with whose library it is. */
struct message {
        const struct sd_bus_api *api;
        sd_bus_message *m;
};

static void message_done(struct message *message)
{
        if (message->m)
                message->api->message_unref(message->m);
}
#define cleanup_message CLEANUP(message_done)

void systemd_bus_free(struct systemd_bus *bus)
{
        if (!bus)
                return;
        if (bus->bus)
                bus->api.flush_close_unref(bus->bus);
        free(bus);
}

/* ---- connect ------------------------------------------------------------------------------------------- */

static int open_address(struct systemd_bus *bus, const char *address)
{
        sd_bus *made = NULL;

        int r = bus->api.new(&made);
        if (r >= 0)
                r = bus->api.set_address(made, address);
        if (r >= 0)
                r = bus->api.start(made);
        if (r >= 0)
                bus->bus = made;
        else if (made)
                bus->api.unref(made);
        return r;
}

static int open_system(struct systemd_bus *bus, bool *ret_private)
{
        *ret_private = geteuid() == 0 && open_address(bus, "unix:path=/run/systemd/private") >= 0;
        return *ret_private ? 0 : bus->api.open_system(&bus->bus);
}

static int open_user(struct systemd_bus *bus, bool *ret_private)
{
        char address[256];
        const char *runtime = getenv("XDG_RUNTIME_DIR");

        *ret_private = false;
        int r = bus->api.open_user(&bus->bus);
        if (r >= 0 || !runtime)
                return r;
        if (snprintf(address, sizeof(address), "unix:path=%s/systemd/private", runtime) >=
            (int)sizeof(address))
                return -ENAMETOOLONG;
        *ret_private = open_address(bus, address) >= 0;
        return *ret_private ? 0 : r;
}

/* Says what systemd says, or else what the connection did. */
static int bus_error(struct systemd_bus *bus, int code, sd_bus_error *error, struct error *err,
                     const char *what, const char *unit)
{
        int r;

        if (error->name)
                r = error_set(err, code, "systemd: %s%s%s: %s (%s)", what, *unit ? " " : "", unit,
                              error->message ? error->message : "no reason given", error->name);
        else
                r = error_errno(err, -code, "systemd: %s%s%s", what, *unit ? " " : "", unit);
        bus->api.error_free(error);
        return r;
}

static int new_call(struct systemd_bus *bus, const char *method, struct message *ret_message)
{
        ret_message->api = &bus->api;
        return bus->api.message_new_method_call(bus->bus, &ret_message->m, DESTINATION, OBJECT, MANAGER,
                                                method);
}

static int on_job_removed(sd_bus_message *m, void *user, sd_bus_error *error)
{
        struct systemd_bus *bus = user;
        uint32_t id;
        const char *path, *unit, *result;

        (void)error;
        if (bus->api.message_read_basic(m, 'u', &id) > 0 && bus->api.message_read_basic(m, 'o', &path) > 0 &&
            bus->api.message_read_basic(m, 's', &unit) > 0 &&
            bus->api.message_read_basic(m, 's', &result) > 0 && strcmp(path, bus->job) == 0)
                snprintf(bus->result, sizeof(bus->result), "%s", result);
        return 0;
}

static int subscribe(struct systemd_bus *bus, bool is_private, struct error *err)
{
        cleanup_message struct message call = {0};
        sd_bus_error error = SD_BUS_ERROR_NULL;

        int r = bus->api.match_signal(bus->bus, NULL, is_private ? NULL : DESTINATION, OBJECT, MANAGER,
                                      "JobRemoved", on_job_removed, bus);
        if (r >= 0 && !is_private) {
                r = new_call(bus, "Subscribe", &call);
                if (r >= 0)
                        r = bus->api.call(bus->bus, call.m, CALL_TIMEOUT_US, &error, NULL);
        }
        return r < 0 ? bus_error(bus, r, &error, err, "Subscribe", "") : 0;
}

int systemd_bus_connect(enum systemd_scope scope, struct systemd_bus **ret_bus, struct error *err)
{
        cleanup_systemd_bus struct systemd_bus *bus = calloc(1, sizeof(*bus));
        bool is_private = false;

        if (!bus)
                return error_oom(err);
        int r = sd_bus_api_load(&bus->api, err);
        if (r < 0)
                return r;
        r = (scope == SYSTEMD_USER ? open_user : open_system)(bus, &is_private);
        if (r < 0) {
                error_errno(err, -r, "connect to systemd%s", scope == SYSTEMD_USER ? " of the user" : "");
                error_hint(err,
                           scope == SYSTEMD_USER
                                   ? "a user session with DBUS_SESSION_BUS_ADDRESS or XDG_RUNTIME_DIR is "
                                     "needed (loginctl enable-linger makes one)"
                                   : "without systemd as init, leave out --systemd-cgroup");
                return -ENOTCONN;
        }
        r = subscribe(bus, is_private, err);
        if (r < 0)
                return r;
        *ret_bus = take_pointer(&bus);
        return 0;
}

int systemd_bus_root_group(struct systemd_bus *bus, char **ret_path, struct error *err)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;

        int r = bus->api.get_property_string(bus->bus, DESTINATION, OBJECT, MANAGER, "ControlGroup", &error,
                                             ret_path);
        if (r < 0)
                return bus_error(bus, r, &error, err, "ask for its control group", "");
        if (strcmp(*ret_path, "/") == 0)
                **ret_path = 0;
        return 0;
}

/* ---- properties ---------------------------------------------------------------------------------------- */

/* The D-Bus type, and what of it is within an array. */
static const struct {
        enum systemd_property_type type;
        const char *signature;
        const char *member;
} types[] = {
        {SYSTEMD_BOOLEAN, "b", NULL},     {SYSTEMD_I32, "i", NULL},     {SYSTEMD_U32, "u", NULL},
        {SYSTEMD_I64, "x", NULL},         {SYSTEMD_U64, "t", NULL},     {SYSTEMD_STRING, "s", NULL},
        {SYSTEMD_BYTES, "ay", "y"},       {SYSTEMD_STRINGS, "as", "s"}, {SYSTEMD_PIDS, "au", "u"},
        {SYSTEMD_PAIRS, "a(ss)", "(ss)"},
};

static int append_number(const struct message *call, const struct systemd_property *property, char type)
{
        int32_t narrow = (int32_t)property->number;
        uint64_t wide = property->number;
        bool is_narrow = type == 'i' || type == 'u' || type == 'b';

        return call->api->message_append_basic(call->m, type, is_narrow ? (void *)&narrow : (void *)&wide);
}

/* Strings one after the other, in structures of two where `in_pairs`. */
static int append_strings(const struct message *call, const struct systemd_property *property, bool in_pairs)
{
        bool second = false;
        int r = 0;

        for (size_t at = 0; r >= 0 && at < property->size; at += strlen(property->text + at) + 1) {
                if (in_pairs && !second)
                        r = call->api->message_open_container(call->m, 'r', "ss");
                if (r >= 0)
                        r = call->api->message_append_basic(call->m, 's', property->text + at);
                if (r >= 0 && in_pairs && second)
                        r = call->api->message_close_container(call->m);
                second = !second;
        }
        return r;
}

static int append_array(const struct message *call, const struct systemd_property *property,
                        const char *member)
{
        if (property->type == SYSTEMD_BYTES)
                return call->api->message_append_array(call->m, 'y', property->text, property->size);
        int r = call->api->message_open_container(call->m, 'a', member);
        if (r >= 0 && property->type == SYSTEMD_PIDS)
                r = append_number(call, property, 'u');
        else if (r >= 0)
                r = append_strings(call, property, property->type == SYSTEMD_PAIRS);
        return r < 0 ? r : call->api->message_close_container(call->m);
}

static int append_value(const struct message *call, const struct systemd_property *property)
{
        size_t i = 0;

        while (i < ARRAY_SIZE(types) && types[i].type != property->type)
                i++;
        if (i == ARRAY_SIZE(types))
                return -EINVAL;
        int r = call->api->message_open_container(call->m, 'v', types[i].signature);
        if (r < 0)
                return r;
        if (types[i].member)
                r = append_array(call, property, types[i].member);
        else if (property->type == SYSTEMD_STRING)
                r = call->api->message_append_basic(call->m, 's', property->text);
        else
                r = append_number(call, property, *types[i].signature);
        return r < 0 ? r : call->api->message_close_container(call->m);
}

/* "a(sv)" */
static int append_properties(const struct message *call, const struct systemd_properties *properties)
{
        int r = call->api->message_open_container(call->m, 'a', "(sv)");

        for (size_t i = 0; r >= 0 && i < properties->n; i++) {
                r = call->api->message_open_container(call->m, 'r', "sv");
                if (r >= 0)
                        r = call->api->message_append_basic(call->m, 's', properties->items[i].name);
                if (r >= 0)
                        r = append_value(call, &properties->items[i]);
                if (r >= 0)
                        r = call->api->message_close_container(call->m);
        }
        return r < 0 ? r : call->api->message_close_container(call->m);
}

/* ---- jobs ---------------------------------------------------------------------------------------------- */

/* Takes the signals until the end of bus->job. */
static int wait_for_job(struct systemd_bus *bus, const char *unit, const char *what, struct error *err)
{
        uint64_t deadline = clock_ms() + JOB_TIMEOUT_MS;

        while (!*bus->result) {
                int r = bus->api.process(bus->bus, NULL);
                if (r > 0)
                        continue;
                uint64_t now = clock_ms();
                if (r == 0 && now >= deadline)
                        return error_set(err, -ETIMEDOUT, "systemd: %s %s isn't done after %d seconds", what,
                                         unit, JOB_TIMEOUT_MS / 1000);
                if (r == 0)
                        r = bus->api.wait(bus->bus, (deadline - now) * 1000);
                if (r < 0 && r != -EINTR)
                        return error_errno(err, -r, "systemd: wait for %s %s", what, unit);
        }
        if (strcmp(bus->result, "done") != 0)
                return error_set(err, -EIO, "systemd: %s %s: its job ended with \"%s\"", what, unit,
                                 bus->result);
        return 0;
}

/* Sends a call that is answered with a job, which becomes bus->job. */
static int call_for_job(struct systemd_bus *bus, const struct message *call, sd_bus_error *error)
{
        cleanup_message struct message reply = {.api = &bus->api};
        const char *path;

        bus->result[0] = 0;
        bus->job[0] = 0;
        int r = bus->api.call(bus->bus, call->m, CALL_TIMEOUT_US, error, &reply.m);
        if (r >= 0)
                r = bus->api.message_read_basic(reply.m, 'o', &path);
        if (r >= 0 && strlen(path) >= sizeof(bus->job))
                r = -EBADMSG;
        if (r < 0)
                return r;
        memcpy(bus->job, path, strlen(path) + 1);
        return 0;
}

static bool error_is(const sd_bus_error *error, const char *name)
{
        return error->name && strcmp(error->name, name) == 0;
}

/* A failed unit stays until somebody says that he knows. */
static void reset_failed(struct systemd_bus *bus, const char *unit)
{
        cleanup_message struct message call = {0};
        sd_bus_error error = SD_BUS_ERROR_NULL;

        if (new_call(bus, "ResetFailedUnit", &call) >= 0 &&
            bus->api.message_append_basic(call.m, 's', unit) >= 0)
                (void)bus->api.call(bus->bus, call.m, CALL_TIMEOUT_US, &error, NULL);
        bus->api.error_free(&error);
}

static int start_once(struct systemd_bus *bus, const char *unit, const struct systemd_properties *properties,
                      sd_bus_error *error)
{
        cleanup_message struct message call = {0};

        int r = new_call(bus, "StartTransientUnit", &call);
        if (r >= 0)
                r = bus->api.message_append_basic(call.m, 's', unit);
        if (r >= 0)
                r = bus->api.message_append_basic(call.m, 's', "replace");
        if (r >= 0)
                r = append_properties(&call, properties);
        /* No units beside it. */
        if (r >= 0)
                r = bus->api.message_open_container(call.m, 'a', "(sa(sv))");
        if (r >= 0)
                r = bus->api.message_close_container(call.m);
        return r < 0 ? r : call_for_job(bus, &call, error);
}

int systemd_bus_start_unit(struct systemd_bus *bus, const char *unit,
                           const struct systemd_properties *properties, struct error *err)
{
        sd_bus_error error = SD_BUS_ERROR_NULL;

        int r = start_once(bus, unit, properties, &error);
        if (r < 0 && error_is(&error, "org.freedesktop.systemd1.UnitExists")) {
                bus->api.error_free(&error);
                error = SD_BUS_ERROR_NULL;
                reset_failed(bus, unit);
                r = start_once(bus, unit, properties, &error);
        }
        if (r < 0)
                return bus_error(bus, error_is(&error, "org.freedesktop.systemd1.UnitExists") ? -EEXIST : r,
                                 &error, err, "start unit", unit);
        r = wait_for_job(bus, unit, "start unit", err);
        if (r < 0)
                reset_failed(bus, unit);
        return r;
}

int systemd_bus_set_properties(struct systemd_bus *bus, const char *unit,
                               const struct systemd_properties *properties, struct error *err)
{
        cleanup_message struct message call = {0};
        sd_bus_error error = SD_BUS_ERROR_NULL;
        const int runtime_only = 1;

        int r = new_call(bus, "SetUnitProperties", &call);
        if (r >= 0)
                r = bus->api.message_append_basic(call.m, 's', unit);
        if (r >= 0)
                r = bus->api.message_append_basic(call.m, 'b', &runtime_only);
        if (r >= 0)
                r = append_properties(&call, properties);
        if (r >= 0)
                r = bus->api.call(bus->bus, call.m, CALL_TIMEOUT_US, &error, NULL);
        return r < 0 ? bus_error(bus, r, &error, err, "set properties of", unit) : 0;
}

int systemd_bus_stop_unit(struct systemd_bus *bus, const char *unit, struct error *err)
{
        cleanup_message struct message call = {0};
        sd_bus_error error = SD_BUS_ERROR_NULL;

        int r = new_call(bus, "StopUnit", &call);
        if (r >= 0)
                r = bus->api.message_append_basic(call.m, 's', unit);
        if (r >= 0)
                r = bus->api.message_append_basic(call.m, 's', "replace");
        if (r >= 0)
                r = call_for_job(bus, &call, &error);
        if (r < 0 && error_is(&error, "org.freedesktop.systemd1.NoSuchUnit")) {
                bus->api.error_free(&error);
                return 0;
        }
        r = r < 0 ? bus_error(bus, r, &error, err, "stop unit", unit)
                  : wait_for_job(bus, unit, "stop unit", err);
        reset_failed(bus, unit);
        return r;
}
