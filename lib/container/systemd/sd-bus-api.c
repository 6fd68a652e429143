/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/systemd/sd-bus-api.h"

#include "lib/base/cleanup.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

static const struct {
        const char *name;
        size_t offset;
} calls[] = {
#define SD_BUS_CALL_ENTRY(call) {"sd_bus_" #call, offsetof(struct sd_bus_api, call)},
        SD_BUS_CALLS(SD_BUS_CALL_ENTRY)};

int sd_bus_api_load(struct sd_bus_api *ret_api, struct error *err)
{
        struct sd_bus_api api = {0};

        void *library = dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);
        if (!library) {
                error_set(err, -ENOTSUP, "systemd's control groups need its library: %s", dlerror());
                error_hint(err, "install libsystemd, or leave out --systemd-cgroup");
                return -ENOTSUP;
        }
        for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
                void *call = dlsym(library, calls[i].name);
                if (!call)
                        return error_set(err, -ENOTSUP, "libsystemd.so.0 is too old: it has no %s",
                                         calls[i].name);
                memcpy((char *)&api + calls[i].offset, &call, sizeof(call));
        }
        *ret_api = api;
        return 0;
}
