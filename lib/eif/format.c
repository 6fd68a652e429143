/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/eif/format.h"

/* What the format allows of each type; a type without a name is unknown. */
static const struct {
        const char *name;
        uint64_t size_max;
        bool once;
        bool after_kernel;
} types[] = {
        [EIF_SECTION_KERNEL] = {.name = "kernel", .size_max = INT64_MAX, .once = true},
        [EIF_SECTION_CMDLINE] = {.name = "cmdline", .size_max = EIF_CMDLINE_MAX, .once = true},
        [EIF_SECTION_RAMDISK] = {.name = "ramdisk", .size_max = INT64_MAX, .after_kernel = true},
        [EIF_SECTION_SIGNATURE] = {.name = "signature", .size_max = EIF_SIGNATURE_MAX, .once = true},
        [EIF_SECTION_METADATA] = {.name = "metadata", .size_max = EIF_METADATA_MAX, .once = true},
};

static bool is_known(uint64_t type)
{
        return type < ARRAY_SIZE(types) && types[type].name;
}

const char *eif_section_name(enum eif_section_type type)
{
        return is_known(type) ? types[type].name : "unknown";
}

uint64_t format_size_max(enum eif_section_type type)
{
        return is_known(type) ? types[type].size_max : 0;
}

static void put(uint8_t **at, uint64_t value, size_t bytes)
{
        for (size_t i = 0; i < bytes; i++)
                (*at)[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
        *at += bytes;
}

void format_section_header(enum eif_section_type type, uint64_t size,
                           uint8_t ret_bytes[static EIF_SECTION_HEADER_SIZE])
{
        uint8_t *at = ret_bytes;

        put(&at, type, 2);
        put(&at, 0, 2); /* flags */
        put(&at, size, 8);
}

void format_header(const struct eif_header *header, uint8_t ret_bytes[static EIF_HEADER_SIZE])
{
        uint8_t *at = ret_bytes;

        put(&at, EIF_MAGIC, 4);
        put(&at, header->version, 2);
        put(&at, header->flags, 2);
        put(&at, header->default_memory, 8);
        put(&at, header->default_cpus, 8);
        put(&at, 0, 2); /* reserved */
        put(&at, header->n_sections, 2);
        for (size_t i = 0; i < EIF_SECTIONS_MAX; i++)
                put(&at, i < header->n_sections ? header->section[i].offset : 0, 8);
        for (size_t i = 0; i < EIF_SECTIONS_MAX; i++)
                put(&at, i < header->n_sections ? header->section[i].size : 0, 8);
        put(&at, 0, 4); /* unused */
        put(&at, header->crc, 4);
}

/* Magic, version, flags and count, in this order: nothing behind a wrong one is worth a look. */
static int check_fixed_fields(uint32_t magic, const struct eif_header *h, struct error *err)
{
        if (magic != EIF_MAGIC)
                return error_set(err, -EBADMSG,
                                 "not an enclave image file: begins with %08x instead of %08x (\".eif\")",
                                 magic, (unsigned int)EIF_MAGIC);
        if (h->version < EIF_VERSION_OLDEST || h->version > EIF_VERSION)
                return error_set(err, -EBADMSG, "version %u is not known; versions %d to %d are", h->version,
                                 EIF_VERSION_OLDEST, EIF_VERSION);
        if (h->flags & ~EIF_FLAG_AARCH64)
                return error_set(err, -EBADMSG, "flags 0x%04x have bits other than 0x%04x (aarch64)",
                                 h->flags, EIF_FLAG_AARCH64);
        if (h->n_sections < EIF_SECTIONS_MIN || h->n_sections > EIF_SECTIONS_MAX)
                return error_set(err, -EBADMSG, "the section count is %zu; it must be %d to %d",
                                 h->n_sections, EIF_SECTIONS_MIN, EIF_SECTIONS_MAX);
        return 0;
}

int format_parse_header(const uint8_t bytes[static EIF_HEADER_SIZE], struct eif_header *ret_header,
                        struct error *err)
{
        struct cursor c = cursor_of(view_of(bytes, EIF_HEADER_SIZE));
        struct eif_header h = {0};
        uint32_t magic = cursor_be32(&c);
        int r;

        h.version = cursor_be16(&c);
        h.flags = cursor_be16(&c);
        h.default_memory = cursor_be64(&c);
        h.default_cpus = cursor_be64(&c);
        cursor_be16(&c); /* reserved */
        h.n_sections = cursor_be16(&c);
        for (size_t i = 0; i < EIF_SECTIONS_MAX; i++)
                h.section[i].offset = cursor_be64(&c);
        for (size_t i = 0; i < EIF_SECTIONS_MAX; i++)
                h.section[i].size = cursor_be64(&c);
        cursor_be32(&c); /* unused */
        h.crc = cursor_be32(&c);
        r = check_fixed_fields(magic, &h, err);
        if (r == 0)
                *ret_header = h;
        return r;
}

int format_parse_section_header(const uint8_t bytes[static EIF_SECTION_HEADER_SIZE], size_t i,
                                struct eif_section *section, struct error *err)
{
        struct cursor c = cursor_of(view_of(bytes, EIF_SECTION_HEADER_SIZE));
        uint16_t type = cursor_be16(&c);
        uint16_t flags = cursor_be16(&c);
        uint64_t size = cursor_be64(&c);

        if (!is_known(type))
                return error_set(err, -EBADMSG, "section %zu has type %u; types 1 to %zu are known", i, type,
                                 ARRAY_SIZE(types) - 1);
        if (flags != 0)
                return error_set(err, -EBADMSG, "section %zu (%s) has flags 0x%04x; none are known", i,
                                 types[type].name, flags);
        if (size != section->size && type != EIF_SECTION_SIGNATURE)
                return error_set(
                        err, -EBADMSG,
                        "section %zu (%s) has %llu bytes by its own header, but %llu by the file's table", i,
                        types[type].name, (unsigned long long)size, (unsigned long long)section->size);
        if (size == 0 && type == EIF_SECTION_SIGNATURE)
                return error_set(err, -EBADMSG, "section %zu (signature) is empty", i);
        section->type = (enum eif_section_type)type;
        section->stale = size != section->size;
        section->size = size;
        return 0;
}

/* The first section of a type among the first n, or n. */
static size_t first_of(const struct eif_header *header, enum eif_section_type type, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (header->section[i].type == type)
                        return i;
        return n;
}

int format_check_section(const struct eif_header *header, size_t i, struct error *err)
{
        const struct eif_section *section = &header->section[i];
        const char *name = eif_section_name(section->type);
        size_t same = first_of(header, section->type, i);

        if (types[section->type].once && same < i)
                return error_set(err, -EBADMSG, "section %zu is a second %s; section %zu is one already", i,
                                 name, same);
        if (types[section->type].after_kernel && first_of(header, EIF_SECTION_KERNEL, i) == i)
                return error_set(err, -EBADMSG, "section %zu is a %s, but no kernel comes before it", i,
                                 name);
        if (section->size > types[section->type].size_max)
                return error_set(err, -EBADMSG,
                                 "section %zu (%s) has %llu bytes, more than the %llu that it may have", i,
                                 name, (unsigned long long)section->size,
                                 (unsigned long long)types[section->type].size_max);
        return 0;
}

int format_check_complete(const struct eif_header *header, struct error *err)
{
        static const enum eif_section_type needed[] = {EIF_SECTION_KERNEL, EIF_SECTION_CMDLINE,
                                                       EIF_SECTION_METADATA};

        for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
                if (needed[i] == EIF_SECTION_METADATA && header->version < 4)
                        continue;
                if (first_of(header, needed[i], header->n_sections) == header->n_sections)
                        return error_set(err, -EBADMSG, "no %s section, which version %u must have",
                                         eif_section_name(needed[i]), header->version);
        }
        return 0;
}
