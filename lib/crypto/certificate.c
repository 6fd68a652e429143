/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/crypto/certificate.h"

#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/crypto/openssl-internal.h"

#include <openssl/pem.h>
#include <openssl/x509.h>

#include <string.h>
#include <time.h>

enum {
        DER_MAX = PEM_FILE_MAX,
        PEM_MAX = 2 * PEM_FILE_MAX,
};

struct certificate {
        X509 *x509;
        const struct curve *curve;
        struct buf der;
        struct buf pem;
        int64_t not_before; /* seconds since 1970 */
        int64_t not_after;
};

static bool read_time(const ASN1_TIME *asn1, int64_t *ret_seconds)
{
        struct tm tm;

        if (ASN1_TIME_to_tm(asn1, &tm) != 1)
                return false;
        *ret_seconds = timegm(&tm);
        return true;
}

/* Never a prompt: an encrypted block simply can't be read. */
static int no_passphrase(char *buffer, int size, int writing, void *user)
{
        (void)buffer, (void)size, (void)writing, (void)user;
        return -1;
}

/* Keeps DER and PEM, so that every reader of this certificate sees the same bytes. */
static int encode(struct certificate *c, struct error *err)
{
        cleanup_bio BIO *bio = BIO_new(BIO_s_mem());
        unsigned char *der = NULL;
        char *pem = NULL;
        int n = i2d_X509(c->x509, &der);
        long m;

        if (n > 0)
                buf_append(&c->der, der, (size_t)n);
        OPENSSL_free(der);
        if (n <= 0 || !bio || PEM_write_bio_X509(bio, c->x509) != 1)
                return error_openssl(err, -ENOMEM, "can't encode the certificate");
        m = BIO_get_mem_data(bio, &pem);
        if (m > 0)
                buf_append(&c->pem, pem, (size_t)m);
        return c->der.failed || c->pem.failed ? error_oom(err) : 0;
}

/* Takes x509 over, whatever happens. */
static int certificate_new(X509 *x509, struct certificate **ret_certificate, struct error *err)
{
        cleanup_certificate struct certificate *c = calloc(1, sizeof(*c));
        int r;

        if (!c) {
                X509_free(x509);
                return error_oom(err);
        }
        c->x509 = x509;
        c->der = buf_with_max(DER_MAX);
        c->pem = buf_with_max(PEM_MAX);
        if (!X509_get0_pubkey(x509))
                return error_openssl(err, -EBADMSG, "the certificate's public key can't be read");
        r = curve_of_pkey(X509_get0_pubkey(x509), &c->curve, err);
        if (r < 0) {
                error_wrap(err, "the certificate");
                return r;
        }
        if (!read_time(X509_get0_notBefore(x509), &c->not_before) ||
            !read_time(X509_get0_notAfter(x509), &c->not_after))
                return error_openssl(err, -EBADMSG, "the certificate's dates can't be read");
        r = encode(c, err);
        if (r < 0)
                return r;
        *ret_certificate = take_pointer(&c);
        return 0;
}

int certificate_parse(struct view pem, struct certificate **ret_certificate, struct error *err)
{
        cleanup_bio BIO *bio = NULL;
        X509 *x509;

        if (pem.n == 0 || pem.n > PEM_FILE_MAX)
                return error_set(err, -EBADMSG, "%s; a PEM certificate has 1 to %d bytes",
                                 pem.n ? "too large" : "empty", PEM_FILE_MAX);
        bio = BIO_new_mem_buf(pem.p, (int)pem.n);
        if (!bio)
                return error_oom(err);
        x509 = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
        if (!x509 && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE) {
                ERR_clear_error();
                return error_set(err, -EBADMSG,
                                 "holds no certificate; it must have a PEM block \"BEGIN CERTIFICATE\"");
        }
        if (!x509)
                return error_openssl(err, -EBADMSG, "the certificate can't be decoded");
        return certificate_new(x509, ret_certificate, err);
}

int certificate_read(int dirfd, const char *path, struct certificate **ret_certificate, struct error *err)
{
        cleanup_buf struct buf pem = buf_with_max(PEM_FILE_MAX);
        int r = file_read(dirfd, path, PEM_FILE_MAX, &pem, err);

        if (r < 0)
                return r;
        r = certificate_parse(buf_view(&pem), ret_certificate, err);
        if (r < 0)
                error_wrap(err, "%s", path);
        return r;
}

void certificate_free(struct certificate *c)
{
        if (!c)
                return;
        X509_free(c->x509);
        buf_done(&c->der);
        buf_done(&c->pem);
        free(c);
}

struct view certificate_der(const struct certificate *c)
{
        return buf_view(&c->der);
}

struct view certificate_pem(const struct certificate *c)
{
        return buf_view(&c->pem);
}

const struct curve *certificate_curve(const struct certificate *c)
{
        return c->curve;
}

EVP_PKEY *certificate_pkey(const struct certificate *c)
{
        return X509_get0_pubkey(c->x509);
}

X509 *certificate_x509(const struct certificate *c)
{
        return c->x509;
}

int certificate_extension(const struct certificate *c, const char *oid, struct view *ret_value,
                          struct error *err)
{
        ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
        int at, again;

        if (!object)
                return error_oom(err);
        at = X509_get_ext_by_OBJ(c->x509, object, -1);
        again = at >= 0 ? X509_get_ext_by_OBJ(c->x509, object, at) : -1;
        ASN1_OBJECT_free(object);
        if (at < 0)
                return error_set(err, -ENOENT, "the certificate has no extension %s", oid);
        if (again >= 0)
                return error_set(err, -EBADMSG, "the certificate has extension %s twice", oid);

        const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(X509_get_ext(c->x509, at));
        *ret_value = view_of(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
        return 0;
}

int certificate_check_time(const struct certificate *c, int64_t now, struct error *err)
{
        char limit[CLOCK_TEXT_MAX], current[CLOCK_TEXT_MAX];
        bool expired = now > c->not_after;

        if (!expired && now >= c->not_before)
                return 0;
        (void)clock_format(expired ? c->not_after : c->not_before, limit, sizeof(limit));
        (void)clock_format(now, current, sizeof(current));
        if (expired)
                return error_set(err, -EKEYEXPIRED, "the certificate expired at %s, it is %s now", limit,
                                 current);
        return error_set(err, -EKEYREJECTED, "the certificate is not valid before %s, it is %s now", limit,
                         current);
}

/* One attribute as two heap strings. -EBADMSG where the value is no text. */
static int read_field(const X509_NAME_ENTRY *entry, struct name_field *ret_field)
{
        const ASN1_OBJECT *object = X509_NAME_ENTRY_get_object(entry);
        int nid = OBJ_obj2nid(object);
        char number[128];
        unsigned char *utf8 = NULL;
        int n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(entry));
        struct name_field field = {0};

        if (n < 0 || view_has_nul(view_of(utf8, (size_t)n))) {
                OPENSSL_free(utf8);
                ERR_clear_error();
                return -EBADMSG;
        }
        field.value = view_to_string(view_of(utf8, (size_t)n));
        OPENSSL_free(utf8);
        if (nid != NID_undef)
                field.name = strdup(OBJ_nid2ln(nid));
        else if (OBJ_obj2txt(number, sizeof(number), object, 1) > 0)
                field.name = strdup(number);
        if (field.name && field.value) {
                *ret_field = field;
                return 0;
        }
        free(field.name);
        free(field.value);
        return -ENOMEM;
}

static void name_fields_done(struct name_fields *fields)
{
        for (size_t i = 0; i < fields->n; i++) {
                free(fields->field[i].name);
                free(fields->field[i].value);
        }
        free(fields->field);
        *fields = (struct name_fields){0};
}

static int read_fields(const X509_NAME *name, struct name_fields *ret_fields, struct error *err)
{
        struct name_fields fields = {0};
        int n = X509_NAME_entry_count(name);

        if (n > 0)
                fields.field = calloc((size_t)n, sizeof(*fields.field));
        if (n > 0 && !fields.field)
                return error_oom(err);
        for (int i = 0; i < n; i++) {
                int r = read_field(X509_NAME_get_entry(name, i), &fields.field[fields.n]);

                if (r < 0) {
                        name_fields_done(&fields);
                        return error_set(err, r, "field %d of a name in the certificate can't be read", i);
                }
                fields.n++;
        }
        *ret_fields = fields;
        return 0;
}

int certificate_info_init(struct certificate_info *ret_info, const struct certificate *c, struct error *err)
{
        struct certificate_info info = {0};
        const ASN1_BIT_STRING *signature = NULL;
        int r = read_fields(X509_get_issuer_name(c->x509), &info.issuer, err);

        if (r < 0)
                return r;
        r = read_fields(X509_get_subject_name(c->x509), &info.subject, err);
        if (r < 0) {
                name_fields_done(&info.issuer);
                return r;
        }
        (void)clock_format(c->not_before, info.not_before, sizeof(info.not_before));
        (void)clock_format(c->not_after, info.not_after, sizeof(info.not_after));
        info.signature_algorithm = OBJ_nid2ln(X509_get_signature_nid(c->x509));
        X509_get0_signature(&signature, NULL, c->x509);
        if (signature)
                info.signature =
                        view_of(ASN1_STRING_get0_data(signature), (size_t)ASN1_STRING_length(signature));
        *ret_info = info;
        return 0;
}

void certificate_info_done(struct certificate_info *info)
{
        name_fields_done(&info->issuer);
        name_fields_done(&info->subject);
}
