/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/image/image-config.h"

#include "lib/base/text.h"
#include "lib/format/strict-json.h"

#include <string.h>

/* Where a string member goes. */
struct string_member {
        const char *name;
        char **target;
};

static int take_strings(const json_t *parent, const struct string_member *members, size_t n,
                        struct error *err)
{
        for (size_t i = 0; i < n; i++) {
                const char *value = NULL;
                int r = parent ? strict_json_string(parent, members[i].name, &value, err) : 0;
                if (r < 0)
                        return r;
                *members[i].target = strdup(value ? value : "");
                if (!*members[i].target)
                        return error_oom(err);
        }
        return 0;
}

static int take_list(const json_t *parent, const char *name, char ***ret_list, struct error *err)
{
        if (parent)
                return strict_json_strings(parent, name, IMAGE_STRINGS_MAX, ret_list, err);
        *ret_list = calloc(1, sizeof(**ret_list));
        return *ret_list ? 0 : error_oom(err);
}

/* "80", "80/tcp", "8000-8010/udp" */
static bool parse_port(const char *text, struct image_port *ret_port)
{
        static const char *const protocols[] = {
                [IMAGE_PROTOCOL_TCP] = "tcp", [IMAGE_PROTOCOL_UDP] = "udp", [IMAGE_PROTOCOL_SCTP] = "sctp"};
        char numbers[16];
        const char *slash = strchr(text, '/');
        size_t n = slash ? (size_t)(slash - text) : strlen(text);
        size_t protocol = IMAGE_PROTOCOL_TCP;
        uint64_t first, last;

        if (n >= sizeof(numbers))
                return false;
        memcpy(numbers, text, n);
        numbers[n] = '\0';
        if (slash) {
                while (protocol < ARRAY_SIZE(protocols) && strcmp(slash + 1, protocols[protocol]) != 0)
                        protocol++;
                if (protocol == ARRAY_SIZE(protocols))
                        return false;
        }
        char *dash = strchr(numbers, '-');
        if (dash)
                *dash = '\0';
        if (!parse_u64(numbers, UINT16_MAX, &first) ||
            !parse_u64(dash ? dash + 1 : numbers, UINT16_MAX, &last) || first == 0 || last < first)
                return false;
        *ret_port = (struct image_port){(uint16_t)first, (uint16_t)last, (enum image_protocol)protocol};
        return true;
}

static int compare_ports(const void *a, const void *b)
{
        const struct image_port *x = a, *y = b;

        if (x->protocol != y->protocol)
                return x->protocol < y->protocol ? -1 : 1;
        if (x->first != y->first)
                return x->first < y->first ? -1 : 1;
        return x->last < y->last ? -1 : x->last > y->last;
}

static int take_ports(const json_t *parent, struct image_config *c, struct error *err)
{
        json_t *ports = NULL, *value;
        const char *text;
        int r = parent ? strict_json_object(parent, "ExposedPorts", &ports, err) : 0;

        if (r < 0)
                return r;
        size_t n = json_object_size(ports);
        if (n > IMAGE_STRINGS_MAX)
                return error_set(err, -EFBIG, "%zu exposed ports, more than the %d allowed", n,
                                 IMAGE_STRINGS_MAX);
        c->exposed_ports = calloc(n ? n : 1, sizeof(*c->exposed_ports));
        if (!c->exposed_ports)
                return error_oom(err);
        json_object_foreach (ports, text, value) {
                if (!parse_port(text, &c->exposed_ports[c->n_exposed_ports]))
                        return error_set(err, -EBADMSG,
                                         "exposed port \"%.100s\" is not PORT[-PORT][/PROTOCOL]", text);
                c->n_exposed_ports++;
        }
        qsort(c->exposed_ports, c->n_exposed_ports, sizeof(*c->exposed_ports), compare_ports);
        return 0;
}

static int compare_labels(const void *a, const void *b)
{
        const struct image_label *x = a, *y = b;
        return strcmp(x->name, y->name);
}

static int take_labels(const json_t *parent, struct image_config *c, struct error *err)
{
        json_t *labels = NULL, *value;
        const char *name;
        int r = parent ? strict_json_object(parent, "Labels", &labels, err) : 0;

        if (r < 0)
                return r;
        size_t n = json_object_size(labels);
        if (n > IMAGE_STRINGS_MAX)
                return error_set(err, -EFBIG, "%zu labels, more than the %d allowed", n, IMAGE_STRINGS_MAX);
        c->labels = calloc(n ? n : 1, sizeof(*c->labels));
        if (!c->labels)
                return error_oom(err);
        json_object_foreach (labels, name, value) {
                if (!json_is_string(value))
                        return error_set(err, -EBADMSG, "label \"%.100s\" is not a string", name);
                struct image_label *label = &c->labels[c->n_labels++];
                label->name = strdup(name);
                label->value = strdup(json_string_value(value));
                if (!label->name || !label->value)
                        return error_oom(err);
        }
        qsort(c->labels, c->n_labels, sizeof(*c->labels), compare_labels);
        return 0;
}

static int take_diff_ids(const json_t *root, struct image_config *c, struct error *err)
{
        json_t *rootfs, *ids;
        const char *type;
        int r = strict_json_object(root, "rootfs", &rootfs, err);

        if (r < 0)
                return r;
        if (!rootfs)
                return error_set(err, -EBADMSG, "member \"rootfs\" is missing");
        r = strict_json_string(rootfs, "type", &type, err);
        if (r == 0)
                r = strict_json_array(rootfs, "diff_ids", &ids, err);
        if (r < 0)
                return r;
        if (!type || strcmp(type, "layers") != 0)
                return error_set(err, -EBADMSG, "rootfs.type is not \"layers\"");
        size_t n = json_array_size(ids);
        if (n > IMAGE_LAYERS_MAX)
                return error_set(err, -EFBIG, "%zu layers, more than the %d allowed", n, IMAGE_LAYERS_MAX);
        c->diff_ids = calloc(n ? n : 1, sizeof(*c->diff_ids));
        if (!c->diff_ids)
                return error_oom(err);
        for (; c->n_diff_ids < n; c->n_diff_ids++) {
                const json_t *id = json_array_get(ids, c->n_diff_ids);
                r = digest_parse(view_of_string(json_string_value(id)), &c->diff_ids[c->n_diff_ids], err);
                if (r < 0) {
                        error_wrap(err, "diff id %zu", c->n_diff_ids + 1);
                        return r;
                }
        }
        return 0;
}

static int parse(const json_t *root, struct image_config *c, struct error *err)
{
        const struct string_member platform[] = {{"architecture", &c->architecture},
                                                 {"variant", &c->variant},
                                                 {"os", &c->os},
                                                 {"created", &c->created}};
        const struct string_member process[] = {
                {"WorkingDir", &c->working_dir}, {"User", &c->user}, {"StopSignal", &c->stop_signal}};
        json_t *config;
        int r = take_strings(root, platform, ARRAY_SIZE(platform), err);

        if (r == 0)
                r = strict_json_object(root, "config", &config, err);
        if (r < 0)
                return r;
        r = take_strings(config, process, ARRAY_SIZE(process), err);
        if (r == 0)
                r = take_list(config, "Entrypoint", &c->entrypoint, err);
        if (r == 0)
                r = take_list(config, "Cmd", &c->cmd, err);
        if (r == 0)
                r = take_list(config, "Env", &c->env, err);
        if (r == 0)
                r = take_ports(config, c, err);
        if (r == 0)
                r = take_labels(config, c, err);
        return r < 0 ? r : take_diff_ids(root, c, err);
}

int image_config_parse(struct view json, struct image_config *ret_config, struct error *err)
{
        cleanup_json json_t *root = NULL;
        cleanup_image_config struct image_config c = {0};
        int r = strict_json_parse(json, IMAGE_CONFIG_SIZE_MAX, &root, err);

        if (r < 0)
                return r;
        if (!json_is_object(root))
                return error_set(err, -EBADMSG, "not a JSON object");
        r = parse(root, &c, err);
        if (r < 0)
                return r;
        c.raw = malloc(json.n);
        if (!c.raw)
                return error_oom(err);
        memcpy(c.raw, json.p, json.n);
        c.raw_size = json.n;
        *ret_config = c;
        c = (struct image_config){0};
        return 0;
}

void image_config_done(struct image_config *config)
{
        free(config->architecture);
        free(config->variant);
        free(config->os);
        free(config->created);
        strict_json_free_strings(config->entrypoint);
        strict_json_free_strings(config->cmd);
        strict_json_free_strings(config->env);
        free(config->working_dir);
        free(config->user);
        free(config->stop_signal);
        free(config->exposed_ports);
        for (size_t i = 0; i < config->n_labels; i++) {
                free(config->labels[i].name);
                free(config->labels[i].value);
        }
        free(config->labels);
        free(config->diff_ids);
        free(config->raw);
        *config = (struct image_config){0};
}
