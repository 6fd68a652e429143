/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/attest/collateral.h"

#include "lib/base/clock.h"
#include "lib/base/text.h"
#include "lib/crypto/openssl-internal.h"

#include <string.h>

enum { SIGNATURE_HEX = 2 * P256_PAIR_SIZE, SIGNER_CHAIN = 2 };

static const char signer_name[] = "Intel SGX TCB Signing";

/* ---- signatures ---------------------------------------------------------------------------------------- */

static int check_name(const struct certificate *certificate, struct error *err)
{
        cleanup_certificate_info struct certificate_info info = {.signature_algorithm = NULL};
        int r = certificate_info_init(&info, certificate, err);

        for (size_t i = 0; r == 0 && i < info.subject.n; i++)
                if (strcmp(info.subject.field[i].name, "commonName") == 0 &&
                    strcmp(info.subject.field[i].value, signer_name) == 0)
                        return 0;
        return r < 0 ? r : error_set(err, -EKEYREJECTED, "its certificate is none of \"%s\"", signer_name);
}

int collateral_signer(struct view pem, const struct certificate_trust *trust,
                      struct certificate_chain *ret_chain, struct error *err)
{
        struct certificate_chain chain = {.n = 0};
        int r = certificate_chain_parse(pem, &chain, err);

        if (r == 0 && chain.n != SIGNER_CHAIN)
                r = error_set(err, -EKEYREJECTED, "it has %zu certificates, and not a signer and a root",
                              chain.n);
        if (r == 0)
                r = certificate_chain_verify(&chain, trust, err);
        if (r == 0)
                r = check_name(chain.certificate[0], err);
        if (r < 0) {
                error_wrap(err, "the chain that signs TCB info");
                certificate_chain_done(&chain);
                return r;
        }
        *ret_chain = chain;
        return 0;
}

static bool take_text(struct cursor *c, const char *text)
{
        return view_equal(cursor_take(c, strlen(text)), view_of_string(text));
}

/* The inner object's bytes, and the signature. False where the document has another form. */
static bool take_apart(struct view document, const char *name, struct view *ret_object,
                       uint8_t ret_signature[static P256_PAIR_SIZE])
{
        static const char between[] = ",\"signature\":\"", last[] = "\"}";
        size_t tail = strlen(between) + SIGNATURE_HEX + strlen(last);
        struct cursor c = cursor_of(document);

        if (!take_text(&c, "{\"") || !take_text(&c, name) || !take_text(&c, "\":") ||
            cursor_rest(&c).n < tail)
                return false;
        *ret_object = cursor_take(&c, cursor_rest(&c).n - tail);
        return take_text(&c, between) &&
               hex_decode(cursor_take(&c, SIGNATURE_HEX), ret_signature, P256_PAIR_SIZE) &&
               take_text(&c, last);
}

/* A line's end behind a document is the file's. */
static struct view without_newline(struct view v)
{
        while (v.n > 0 && (v.p[v.n - 1] == '\n' || v.p[v.n - 1] == '\r'))
                v.n--;
        return v;
}

/* ---- time ---------------------------------------------------------------------------------------------- */

/* "2026-11-30T00:00:00Z": texts of this form compare as their moments do. */
static bool is_date(const char *text)
{
        static const char form[] = "dddd-dd-ddTdd:dd:ddZ";
        size_t n = strlen(form);

        if (!text || strlen(text) != n)
                return false;
        for (size_t i = 0; i < n; i++)
                if (form[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
                        return false;
        return true;
}

static int take_date(const json_t *object, const char *name, const char **ret_date, struct error *err)
{
        int r = strict_json_string(object, name, ret_date, err);

        return r == 0 && !is_date(*ret_date) ? error_set(err, -EBADMSG, "\"%s\" is no date", name) : r;
}

static int check_dates(const json_t *object, int64_t now, struct error *err)
{
        char current[CLOCK_TEXT_MAX];
        const char *from, *to;
        int r = take_date(object, "issueDate", &from, err);

        if (r == 0)
                r = take_date(object, "nextUpdate", &to, err);
        if (r < 0)
                return r;
        (void)clock_format(now, current, sizeof(current));
        if (strcmp(current, from) < 0)
                return error_set(err, -EPERM, "it was made at %s, and it is %s now", from, current);
        if (strcmp(current, to) > 0)
                return error_set(err, -EPERM, "the next one was due at %s, and it is %s now; get it anew", to,
                                 current);
        return 0;
}

/* ---- documents ----------------------------------------------------------------------------------------- */

static int open_document(struct view document, const char *name, const struct certificate_chain *signer,
                         int64_t now, json_t **ret_object, struct error *err)
{
        uint8_t signature[P256_PAIR_SIZE];
        struct view object;
        cleanup_json json_t *json = NULL;
        int r;

        if (document.n > COLLATERAL_MAX || !take_apart(without_newline(document), name, &object, signature))
                return error_set(
                        err, -EBADMSG,
                        "it is not {\"%s\":{...},\"signature\":\"...\"} as its publisher gives it, byte by "
                        "byte",
                        name);
        r = raw_verify(certificate_pkey(signer->certificate[0]), HASH_SHA256, object,
                       view_of(signature, sizeof(signature)), err);
        if (r == -EKEYREJECTED)
                error_set(
                        err, r,
                        "its signer signed other bytes than these: it was changed, or only set differently");
        if (r == 0)
                r = strict_json_parse(object, COLLATERAL_MAX, &json, err);
        if (r == 0 && !json_is_object(json))
                r = error_set(err, -EBADMSG, "it holds no object");
        if (r == 0)
                r = check_dates(json, now, err);
        if (r == 0)
                *ret_object = take_pointer(&json);
        return r;
}

int collateral_open(struct view document, const char *name, const struct certificate_chain *signer,
                    int64_t now, json_t **ret_object, struct error *err)
{
        int r = open_document(document, name, signer, now, ret_object, err);

        if (r < 0)
                error_wrap(err, "\"%s\"", name);
        return r;
}

int collateral_bytes(const json_t *object, const char *name, uint8_t *ret_bytes, size_t n, struct error *err)
{
        const char *text;
        int r = strict_json_string(object, name, &text, err);

        if (r == 0 && (!text || !hex_decode(view_of_string(text), ret_bytes, n)))
                r = error_set(err, -EBADMSG, "\"%s\" is not %zu hex digits", name, 2 * n);
        return r;
}

int collateral_number(const json_t *object, const char *name, uint64_t max, uint64_t *ret_value,
                      struct error *err)
{
        int r = json_is_integer(json_object_get(object, name)) ? strict_json_u64(object, name, ret_value, err)
                                                               : -EBADMSG;

        if (r == -EBADMSG || (r == 0 && *ret_value > max))
                return error_set(err, -EBADMSG, "\"%s\" is no number up to %llu", name,
                                 (unsigned long long)max);
        return r;
}

static int take_advisories(const json_t *level, struct tcb_verdict *v, struct error *err)
{
        enum { ADVISORIES = 64 };
        char **list;
        int r = strict_json_strings(level, "advisoryIDs", ADVISORIES, &list, err);

        if (r < 0)
                return r;
        for (char **id = list; *id; id++) {
                size_t n = strlen(v->advisories);

                (void)snprintf(v->advisories + n, sizeof(v->advisories) - n, "%s%s", n ? ", " : "", *id);
        }
        strict_json_free_strings(list);
        return 0;
}

int collateral_level(const json_t *level, struct tcb_verdict *ret_verdict, struct error *err)
{
        struct tcb_verdict v = {.status = TCB_NOT_CHECKED};
        const char *status, *date;
        int r = strict_json_string(level, "tcbStatus", &status, err);

        if (r == 0 && (!status || !tcb_status_parse(status, &v.status)))
                r = error_set(err, -EBADMSG, "\"tcbStatus\" is \"%.40s\", which isn't known",
                              status ? status : "");
        if (r == 0)
                r = take_date(level, "tcbDate", &date, err);
        if (r == 0)
                r = take_advisories(level, &v, err);
        if (r < 0)
                return r;
        memcpy(v.date, date, sizeof(v.date));
        *ret_verdict = v;
        return 0;
}
