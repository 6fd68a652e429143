/* SPDX-License-Identifier: Apache-2.0 */
/*
 * describe.c - what is wrong inside a file becomes a value here, so that a damaged file can still be looked
 * at.  Text from the file that is not UTF-8 is shown with U+FFFD in its place, as JSON has no other way.
 */
#include "lib/eif/describe.h"

#include "lib/base/text.h"
#include "lib/eif/signature.h"
#include "lib/format/json.h"

#include <string.h>

static json_t *hex_of(const struct digest *d)
{
        char hex[DIGEST_HEX_MAX];

        digest_hex(d, hex);
        return json_string(hex);
}

json_t *eif_describe_pcrs(const struct eif_pcrs *pcrs, const struct digest *pcr8)
{
        json_t *object =
                json_pack("{s:s, s:o, s:o, s:o}", "HashAlgorithm", "SHA384", "PCR0", hex_of(&pcrs->pcr0),
                          "PCR1", hex_of(&pcrs->pcr1), "PCR2", hex_of(&pcrs->pcr2));

        if (object && pcr8 && json_object_set_new(object, "PCR8", hex_of(pcr8)) < 0) {
                json_decref(object);
                return NULL;
        }
        return object;
}

/* Text of the file as a JSON string: invalid bytes one by one become U+FFFD.  The largest section with text
 * is the metadata, as the reader limits it. */
static json_t *text_of(struct view v)
{
        cleanup_buf struct buf b = buf_with_max(3 * (size_t)EIF_METADATA_MAX);
        json_t *whole = json_stringn((const char *)v.p, v.n);

        if (whole)
                return whole;
        for (size_t i = 0; i < v.n; i++) {
                if (v.p[i] < 0x80)
                        buf_append_byte(&b, v.p[i]);
                else
                        buf_append_string(&b, "\xef\xbf\xbd");
        }
        return json_stringn(buf_string(&b), b.n);
}

/* A name's fields; one that occurs twice has both values, with a comma between. */
static json_t *name_of(const struct name_fields *fields)
{
        json_t *object = json_object();

        for (size_t i = 0; object && i < fields->n; i++) {
                const struct name_field *f = &fields->field[i];
                const json_t *before = json_object_get(object, f->name);
                json_t *value = before ? json_sprintf("%s, %s", json_string_value(before), f->value)
                                       : json_string(f->value);

                json_object_set_new(object, f->name, value);
        }
        return object;
}

static json_t *certificate_of(const struct certificate *certificate, struct error *err)
{
        cleanup_certificate_info struct certificate_info info = {0};
        cleanup_free char *hex = NULL;

        if (certificate_info_init(&info, certificate, err) < 0)
                return NULL;
        hex = malloc(2 * info.signature.n + 1);
        if (!hex)
                return NULL;
        hex_encode(info.signature.p, info.signature.n, hex);
        return json_pack("{s:o, s:s, s:s, s:s, s:s}", "IssuerName", name_of(&info.issuer), "Algorithm",
                         info.signature_algorithm, "NotBefore", info.not_before, "NotAfter", info.not_after,
                         "Signature", hex);
}

/* What the metadata section says; null fields where it says nothing, "Metadata" as text where it's no
 * JSON. */
static int add_metadata(json_t *object, struct view metadata)
{
        cleanup_json json_t *root = json_loadb((const char *)metadata.p, metadata.n, JSON_ALLOW_NUL, NULL);
        json_t *name = json_object_get(root, "ImageName");
        json_t *version = json_object_get(root, "ImageVersion");
        json_t *shown = json_object();
        json_t *custom = json_object_get(root, "CustomMetadata");
        json_t *docker = json_object_get(root, "DockerInfo");
        int r = 0;

        r |= json_object_set_new(object, "ImageName", name ? json_incref(name) : json_null());
        r |= json_object_set_new(object, "ImageVersion", version ? json_incref(version) : json_null());
        if (!json_is_object(root)) {
                json_decref(shown);
                shown = metadata.n ? text_of(metadata) : json_null();
                return r | json_object_set_new(object, "Metadata", shown);
        }
        if (json_is_object(json_object_get(root, "BuildMetadata")))
                r |= json_object_update(shown, json_object_get(root, "BuildMetadata"));
        r |= json_object_set(shown, "DockerInfo", docker ? docker : json_null());
        if (json_is_object(custom))
                r |= json_object_update_missing(shown, custom);
        else if (custom && !json_is_null(custom))
                r |= json_object_set(shown, "CustomMetadata", custom);
        return r | json_object_set_new(object, "Metadata", shown);
}

static int add_layout(json_t *object, const struct eif_header *header, struct view cmdline)
{
        json_t *sections = json_array();
        int r = 0;

        for (size_t i = 0; i < header->n_sections; i++) {
                const struct eif_section *s = &header->section[i];

                r |= json_array_append_new(
                        sections, json_pack("{s:s, s:I, s:I}", "Type", eif_section_name(s->type), "Offset",
                                            (json_int_t)s->offset, "Size", (json_int_t)s->size));
        }
        r |= json_object_set_new(object, "Flags", json_integer(header->flags));
        r |= json_object_set_new(object, "Architecture",
                                 json_string(header->flags & EIF_FLAG_AARCH64 ? "aarch64" : "x86_64"));
        r |= json_object_set_new(object, "DefaultMemory", json_integer((json_int_t)header->default_memory));
        r |= json_object_set_new(object, "DefaultCPUs", json_integer((json_int_t)header->default_cpus));
        r |= json_object_set_new(object, "FileSize", json_integer((json_int_t)header->file_size));
        r |= json_object_set_new(object, "Cmdline", text_of(cmdline));
        return r | json_object_set_new(object, "Sections", sections);
}

/* The signature's part: what could be learnt, and what is wrong with it. */
struct signed_by {
        bool present;
        struct eif_signature signature; /* certificate NULL where it can't be decoded */
        bool good;
        struct error why_not;
        bool has_pcr8;
        struct digest pcr8;
};

static void look_at_signature(const struct eif *eif, const struct eif_measured *measured, int64_t now,
                              struct signed_by *ret_s)
{
        struct signed_by *s = ret_s;
        int r;

        s->present = eif_find(eif, EIF_SECTION_SIGNATURE, 0) >= 0;
        if (!s->present ||
            eif_signature_decode(buf_view(&measured->signature), &s->signature, &s->why_not) < 0)
                return;
        s->has_pcr8 = eif_pcr8(s->signature.certificate, &s->pcr8) == 0;
        r = eif_signature_verify(&s->signature, &measured->pcrs.pcr0, now, &s->why_not);
        s->good = r == 0;
}

static int add_signature_check(json_t *object, const struct signed_by *s)
{
        int r = json_object_set_new(object, "SignatureCheck", json_boolean(s->good));

        if (!s->good)
                r |= json_object_set_new(object, "SignatureError",
                                         text_of(view_of_string(error_text(&s->why_not))));
        return r;
}

static json_t *compose(const struct eif *eif, const struct eif_measured *measured, struct signed_by *s)
{
        const struct eif_header *header = eif_header(eif);
        json_t *object = json_object();
        json_t *certificate = NULL;
        int r = 0;

        r |= json_object_set_new(object, "EifVersion", json_integer(header->version));
        r |= json_object_set_new(object, "Measurements",
                                 eif_describe_pcrs(&measured->pcrs, s->has_pcr8 ? &s->pcr8 : NULL));
        r |= json_object_set_new(object, "IsSigned", json_boolean(s->present));
        if (s->signature.certificate)
                certificate = certificate_of(s->signature.certificate, &s->why_not);
        if (s->present)
                r |= json_object_set_new(object, "SigningCertificate",
                                         certificate ? certificate : json_null());
        r |= json_object_set_new(object, "CheckCRC", json_boolean(header->crc == measured->crc));
        if (s->present)
                r |= add_signature_check(object, s);
        r |= add_metadata(object, buf_view(&measured->metadata));
        r |= add_layout(object, header, buf_view(&measured->cmdline));
        if (r == 0)
                return object;
        json_decref(object);
        return NULL;
}

int eif_describe(const struct eif *eif, const struct eif_measured *measured, int64_t now, json_t **ret_object,
                 struct error *err)
{
        struct signed_by s = {0};
        json_t *object;

        look_at_signature(eif, measured, now, &s);
        object = compose(eif, measured, &s);
        eif_signature_done(&s.signature);
        if (!object)
                return error_oom(err);
        *ret_object = object;
        return 0;
}
