/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/enclave/state.h"

#include "lib/base/text.h"
#include "lib/format/strict-json.h"

#include <string.h>

struct name {
        int value;
        const char *name;
};

static const struct name state_names[] = {
        {ENCLAVE_STARTING, "starting"}, {ENCLAVE_RUNNING, "running"}, {ENCLAVE_STOPPING, "stopping"},
        {ENCLAVE_EXITED, "exited"},     {ENCLAVE_FAILED, "failed"},
};

static const struct name isolation_names[] = {
        {ENCLAVE_ISOLATION_KVM, "kvm"},
        {ENCLAVE_ISOLATION_NITRO, "nitro"},
        {ENCLAVE_ISOLATION_EMULATED, "emulated"},
};

static const char *name_of(const struct name *names, size_t n, int value)
{
        for (size_t i = 0; i < n; i++) {
                if (names[i].value == value)
                        return names[i].name;
        }
        return "unknown";
}

static bool value_of(const struct name *names, size_t n, const char *name, int *ret_value)
{
        for (size_t i = 0; i < n; i++) {
                if (name && strcmp(names[i].name, name) == 0) {
                        *ret_value = names[i].value;
                        return true;
                }
        }
        return false;
}

const char *enclave_state_name(enum enclave_state state)
{
        return name_of(state_names, ARRAY_SIZE(state_names), (int)state);
}

const char *enclave_isolation_name(enum enclave_isolation isolation)
{
        return name_of(isolation_names, ARRAY_SIZE(isolation_names), (int)isolation);
}

static json_t *pcr_to_json(const uint8_t *pcr)
{
        char hex[2 * ENCLAVE_PCR_SIZE + 1];

        hex_encode(pcr, ENCLAVE_PCR_SIZE, hex);
        return json_string(hex);
}

static json_t *ports_to_json(const struct enclave_info *info)
{
        json_t *ports = json_array();

        for (size_t i = 0; ports && i < info->n_ports; i++) {
                if (json_array_append_new(ports, json_integer(info->ports[i])) < 0) {
                        json_decref(ports);
                        return NULL;
                }
        }
        return ports;
}

/* Text that may hold anything: bytes that are no UTF-8 make json_string() fail, and then count for
 * nothing. */
static json_t *text_to_json(const char *text)
{
        json_t *json = json_string(text);

        return json ? json : json_string("");
}

json_t *state_to_json(const struct enclave_info *info)
{
        return json_pack(
                "{s:I, s:o, s:I, s:I, s:I, s:I, s:b, s:s, s:i, s:i, s:s, s:s, s:b, s:o, s:o, s:o, s:o, "
                "s:o, s:o, s:o}",
                /* A name beside its value. */
                /* clang-format off */
                "id", (json_int_t)info->id, "name", text_to_json(info->name),
                "pid", (json_int_t)info->pid, "cid", (json_int_t)info->cid,
                "cpus", (json_int_t)info->cpus, "mem_mib", (json_int_t)info->mem_mib,
                "debug_mode", info->debug_mode, "state", enclave_state_name(info->state),
                "exit_status", info->exit_status, "signal", info->signal,
                "isolation", enclave_isolation_name(info->isolation),
                "started_at", info->started_at, "has_pcr8", info->has_pcr8,
                "pcr0", pcr_to_json(info->pcr0), "pcr1", pcr_to_json(info->pcr1),
                "pcr2", pcr_to_json(info->pcr2), "pcr8", pcr_to_json(info->pcr8),
                "ports", ports_to_json(info), "reason", text_to_json(info->reason),
                "vsock_path", text_to_json(info->vsock_path));
        /* clang-format on */
}

static int wrong(struct error *err, const char *field)
{
        return error_set(err, -EBADMSG, "the field \"%s\" is missing or wrong", field);
}

static int get_number(const json_t *json, const char *field, json_int_t min, json_int_t max,
                      json_int_t *ret_value, struct error *err)
{
        const json_t *value = json_object_get(json, field);

        if (!json_is_integer(value) || json_integer_value(value) < min || json_integer_value(value) > max)
                return wrong(err, field);
        *ret_value = json_integer_value(value);
        return 0;
}

static int get_bool(const json_t *json, const char *field, bool *ret_value, struct error *err)
{
        const json_t *value = json_object_get(json, field);

        if (!json_is_boolean(value))
                return wrong(err, field);
        *ret_value = json_is_true(value);
        return 0;
}

static int get_text(const json_t *json, const char *field, char *ret_text, size_t size, struct error *err)
{
        const char *value = json_string_value(json_object_get(json, field));

        if (!value || strlen(value) >= size)
                return wrong(err, field);
        memcpy(ret_text, value, strlen(value) + 1);
        return 0;
}

static int get_name(const json_t *json, const char *field, const struct name *names, size_t n, int *ret_value,
                    struct error *err)
{
        if (!value_of(names, n, json_string_value(json_object_get(json, field)), ret_value))
                return wrong(err, field);
        return 0;
}

static int get_pcr(const json_t *json, const char *field, uint8_t *ret_pcr, struct error *err)
{
        const char *value = json_string_value(json_object_get(json, field));

        if (!value || !hex_decode(view_of_string(value), ret_pcr, ENCLAVE_PCR_SIZE))
                return wrong(err, field);
        return 0;
}

static int get_ports(const json_t *json, struct enclave_info *info, struct error *err)
{
        const json_t *ports = json_object_get(json, "ports");

        if (!json_is_array(ports) || json_array_size(ports) > ENCLAVE_PORTS_MAX)
                return wrong(err, "ports");
        info->n_ports = json_array_size(ports);
        for (size_t i = 0; i < info->n_ports; i++) {
                const json_t *port = json_array_get(ports, i);
                if (!json_is_integer(port) || json_integer_value(port) < 1 ||
                    json_integer_value(port) > 65535)
                        return wrong(err, "ports");
                info->ports[i] = (uint16_t)json_integer_value(port);
        }
        return 0;
}

static int get_numbers(const json_t *json, struct enclave_info *info, struct error *err)
{
        json_int_t id, pid, cid, cpus, mem, status, signal;
        int r;

        if ((r = get_number(json, "id", 0, UINT32_MAX, &id, err)) < 0 ||
            (r = get_number(json, "pid", 0, INT32_MAX, &pid, err)) < 0 ||
            (r = get_number(json, "cid", ENCLAVE_CID_MIN, ENCLAVE_CID_MAX, &cid, err)) < 0 ||
            (r = get_number(json, "cpus", 1, UINT16_MAX, &cpus, err)) < 0 ||
            (r = get_number(json, "mem_mib", 1, UINT32_MAX, &mem, err)) < 0 ||
            (r = get_number(json, "exit_status", ENCLAVE_EXIT_UNKNOWN, 255, &status, err)) < 0 ||
            (r = get_number(json, "signal", 0, 127, &signal, err)) < 0)
                return r;
        info->id = (uint32_t)id;
        info->pid = (pid_t)pid;
        info->cid = (uint32_t)cid;
        info->cpus = (unsigned)cpus;
        info->mem_mib = (unsigned)mem;
        info->exit_status = (int)status;
        info->signal = (int)signal;
        return 0;
}

int state_from_json(const json_t *json, struct enclave_info *ret_info, struct error *err)
{
        struct enclave_info info = {0};
        int state, isolation;
        int r;

        if ((r = get_numbers(json, &info, err)) < 0 ||
            (r = get_text(json, "name", info.name, sizeof(info.name), err)) < 0 ||
            (r = get_bool(json, "debug_mode", &info.debug_mode, err)) < 0 ||
            (r = get_name(json, "state", state_names, ARRAY_SIZE(state_names), &state, err)) < 0 ||
            (r = get_name(json, "isolation", isolation_names, ARRAY_SIZE(isolation_names), &isolation, err)) <
                    0 ||
            (r = get_text(json, "started_at", info.started_at, sizeof(info.started_at), err)) < 0 ||
            (r = get_bool(json, "has_pcr8", &info.has_pcr8, err)) < 0 ||
            (r = get_pcr(json, "pcr0", info.pcr0, err)) < 0 ||
            (r = get_pcr(json, "pcr1", info.pcr1, err)) < 0 ||
            (r = get_pcr(json, "pcr2", info.pcr2, err)) < 0 ||
            (r = get_pcr(json, "pcr8", info.pcr8, err)) < 0 || (r = get_ports(json, &info, err)) < 0 ||
            (r = get_text(json, "reason", info.reason, sizeof(info.reason), err)) < 0 ||
            (r = get_text(json, "vsock_path", info.vsock_path, sizeof(info.vsock_path), err)) < 0)
                return r;
        info.state = (enum enclave_state)state;
        info.isolation = (enum enclave_isolation)isolation;
        *ret_info = info;
        return 0;
}

int state_parse_object(struct view text, json_t **ret_json, struct error *err)
{
        cleanup_json json_t *json = NULL;
        int r = strict_json_parse(text, STATE_JSON_MAX, &json, err);

        if (r < 0)
                return -EBADMSG;
        if (!json_is_object(json))
                return error_set(err, -EBADMSG, "not a JSON object");
        *ret_json = take_pointer(&json);
        return 0;
}

int state_append_line(const json_t *json, struct buf *b)
{
        cleanup_free char *text = json_dumps(json, JSON_COMPACT);

        if (!text)
                return -ENOMEM;
        buf_append_string(b, text);
        return buf_append_byte(b, '\n');
}
