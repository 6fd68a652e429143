/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/systemd-property.h"

#include "lib/base/array.h"

#include <string.h>

void systemd_properties_done(struct systemd_properties *properties)
{
        for (size_t i = 0; i < properties->n; i++) {
                free(properties->items[i].name);
                free(properties->items[i].text);
        }
        free(properties->items);
        *properties = (struct systemd_properties){0};
}

static struct systemd_property *add(struct systemd_properties *properties, const char *name,
                                    enum systemd_property_type type, char *text, size_t size)
{
        char *copy = strdup(name);

        if (!copy || array_grow(&properties->items, properties->n, sizeof(*properties->items)) < 0) {
                free(copy);
                free(text);
                properties->failed = -ENOMEM;
                return NULL;
        }
        struct systemd_property *property = &properties->items[properties->n++];
        *property = (struct systemd_property){.name = copy, .type = type, .text = text, .size = size};
        return property;
}

void systemd_property_add_text(struct systemd_properties *properties, const char *name,
                               enum systemd_property_type type, char *text, size_t size)
{
        (void)add(properties, name, type, text, size);
}

void systemd_property_add_number(struct systemd_properties *properties, const char *name,
                                 enum systemd_property_type type, uint64_t number)
{
        struct systemd_property *property = add(properties, name, type, NULL, 0);

        if (property)
                property->number = number;
}

void systemd_property_add_string(struct systemd_properties *properties, const char *name, const char *value)
{
        char *copy = strdup(value);

        if (!copy)
                properties->failed = -ENOMEM;
        else
                add(properties, name, SYSTEMD_STRING, copy, strlen(value) + 1);
}
