/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd-property.h - properties of a unit, as systemd takes them.  Source: org.freedesktop.systemd1(5).
 */
#pragma once

#include "lib/base/cleanup.h"

#include <stddef.h>
#include <stdint.h>

/* What a value is: D-Bus types, and arrays of them. */
enum systemd_property_type {
        SYSTEMD_BOOLEAN = 'b',
        SYSTEMD_I32 = 'i',
        SYSTEMD_U32 = 'u',
        SYSTEMD_I64 = 'x',
        SYSTEMD_U64 = 't',
        SYSTEMD_STRING = 's',
        SYSTEMD_BYTES = 'Y',   /* "ay" */
        SYSTEMD_STRINGS = 'S', /* "as" */
        SYSTEMD_PAIRS = 'P',   /* "a(ss)" */
        SYSTEMD_PIDS = 'U',    /* "au", one number */
};

struct systemd_property {
        char *name;
        enum systemd_property_type type;
        uint64_t number; /* of whole numbers and booleans; negative ones as two's complement */
        char *text;      /* of strings (each with its NUL) and bytes */
        size_t size;     /* of text */
};

struct systemd_properties {
        struct systemd_property *items;
        size_t n;
        int failed; /* -ENOMEM, sticky */
};

/* Frees all of them. */
void systemd_properties_done(struct systemd_properties *properties);
#define cleanup_systemd_properties CLEANUP(systemd_properties_done)

/* Adds one; out of memory is kept in `failed`. */
void systemd_property_add_number(struct systemd_properties *properties, const char *name,
                                 enum systemd_property_type type, uint64_t number);
void systemd_property_add_string(struct systemd_properties *properties, const char *name, const char *value);

/* Adds one that has `size` bytes of text, which is on the heap (NULL: none) and is taken over. */
void systemd_property_add_text(struct systemd_properties *properties, const char *name,
                               enum systemd_property_type type, char *text, size_t size);
