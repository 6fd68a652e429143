/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sd-bus-api.h - the calls of sd-bus(3) that are used, found in libsystemd at run time: a host without
 * systemd needs no library of it, and a start without systemd's groups doesn't pay for loading it.
 */
#pragma once

#include "lib/base/error.h"

#include <systemd/sd-bus.h>

#define SD_BUS_CALLS(CALL)                                                                                   \
        CALL(new)                                                                                            \
        CALL(set_address)                                                                                    \
        CALL(start)                                                                                          \
        CALL(open_system)                                                                                    \
        CALL(open_user)                                                                                      \
        CALL(flush_close_unref)                                                                              \
        CALL(unref)                                                                                          \
        CALL(call)                                                                                           \
        CALL(process)                                                                                        \
        CALL(wait)                                                                                           \
        CALL(match_signal)                                                                                   \
        CALL(get_property_string)                                                                            \
        CALL(error_free)                                                                                     \
        CALL(message_new_method_call)                                                                        \
        CALL(message_append_basic)                                                                           \
        CALL(message_append_array)                                                                           \
        CALL(message_open_container)                                                                         \
        CALL(message_close_container)                                                                        \
        CALL(message_read_basic)                                                                             \
        CALL(message_unref)

#define SD_BUS_CALL_FIELD(name) __typeof__(sd_bus_##name) *name;
struct sd_bus_api {
        SD_BUS_CALLS(SD_BUS_CALL_FIELD)
};

/* Loads libsystemd.so.0, for the rest of the process's life, and finds the calls. -ENOTSUP with what is
 * missing. */
int sd_bus_api_load(struct sd_bus_api *ret_api, struct error *err);
