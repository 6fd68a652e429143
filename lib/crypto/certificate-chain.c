/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/crypto/certificate-chain.h"

#include "lib/crypto/openssl-internal.h"

#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <string.h>

enum { NAME_MAX_TEXT = 128 };

DEFINE_CLEANUP(cleanup_store_p, X509_STORE *, X509_STORE_free)
#define cleanup_store CLEANUP(cleanup_store_p)
DEFINE_CLEANUP(cleanup_store_ctx_p, X509_STORE_CTX *, X509_STORE_CTX_free)
#define cleanup_store_ctx CLEANUP(cleanup_store_ctx_p)
DEFINE_CLEANUP(cleanup_stack_p, STACK_OF(X509) *, sk_X509_free)
#define cleanup_stack CLEANUP(cleanup_stack_p)

/* ---- reading ------------------------------------------------------------------------------------------- */

static const char begin_mark[] = "-----BEGIN CERTIFICATE-----", end_mark[] = "-----END CERTIFICATE-----";

/* Where `mark` begins in `text`, from `at`; text.n where it doesn't. */
static size_t find(struct view text, size_t at, const char *mark)
{
        const uint8_t *p = at < text.n ? memmem(text.p + at, text.n - at, mark, strlen(mark)) : NULL;

        return p ? (size_t)(p - text.p) : text.n;
}

static bool is_space(struct view v)
{
        for (size_t i = 0; i < v.n; i++)
                if (v.p[i] == '\0' || !strchr(" \t\r\n", v.p[i]))
                        return false;
        return true;
}

static struct view without_nul(struct view v)
{
        return v.n > 0 && v.p[v.n - 1] == '\0' ? view_of(v.p, v.n - 1) : v;
}

static int parse(struct view text, struct certificate_chain *chain, struct error *err)
{
        size_t at = 0;

        while (at < text.n) {
                size_t begin = find(text, at, begin_mark), end = find(text, begin, end_mark);

                if (!is_space(view_of(text.p + at, begin - at)))
                        return error_set(err, -EBADMSG,
                                         "there is more than certificates in the chain, at byte %zu", at);
                if (begin == text.n)
                        return 0;
                if (end == text.n)
                        return error_set(err, -EBADMSG, "certificate %zu of the chain has no end",
                                         chain->n + 1);
                end += strlen(end_mark);
                if (chain->n == CERTIFICATE_CHAIN_MAX)
                        return error_set(err, -EBADMSG, "the chain has more than %d certificates",
                                         CERTIFICATE_CHAIN_MAX);
                int r = certificate_parse(view_of(text.p + begin, end - begin), &chain->certificate[chain->n],
                                          err);
                if (r < 0) {
                        error_wrap(err, "certificate %zu of the chain", chain->n + 1);
                        return r;
                }
                chain->n++;
                at = end;
        }
        return 0;
}

int certificate_chain_parse(struct view pem, struct certificate_chain *ret_chain, struct error *err)
{
        struct certificate_chain chain = {.n = 0};
        int r = pem.n > PEM_FILE_MAX ? error_set(err, -EBADMSG, "a chain of %zu bytes; the limit is %d",
                                                 pem.n, PEM_FILE_MAX)
                                     : parse(without_nul(pem), &chain, err);

        if (r == 0 && chain.n == 0)
                r = error_set(err, -EBADMSG, "the chain has no certificate");
        if (r < 0)
                certificate_chain_done(&chain);
        else
                *ret_chain = chain;
        return r;
}

void certificate_chain_done(struct certificate_chain *chain)
{
        for (size_t i = 0; i < chain->n; i++)
                certificate_free(chain->certificate[i]);
        chain->n = 0;
}

/* ---- revocation ---------------------------------------------------------------------------------------- */

int crl_parse(struct view bytes, struct crl **ret_crl, struct error *err)
{
        const unsigned char *at = bytes.p;
        cleanup_bio BIO *bio = NULL;
        X509_CRL *crl;

        if (bytes.n == 0 || bytes.n > CRL_FILE_MAX)
                return error_set(err, -EBADMSG, "a revocation list has 1 to %d bytes", CRL_FILE_MAX);
        crl = d2i_X509_CRL(NULL, &at, (long)bytes.n);
        if (crl && at != bytes.p + bytes.n) {
                X509_CRL_free(crl);
                return error_set(err, -EBADMSG, "there is more behind the revocation list");
        }
        if (!crl) {
                bio = BIO_new_mem_buf(bytes.p, (int)bytes.n);
                crl = bio ? PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL) : NULL;
        }
        ERR_clear_error();
        if (!crl)
                return error_set(err, -EBADMSG, "is no revocation list, neither DER nor PEM");
        *ret_crl = (struct crl *)crl;
        return 0;
}

void crl_free(struct crl *crl)
{
        X509_CRL_free((X509_CRL *)crl);
}

/* ---- verifying ----------------------------------------------------------------------------------------- */

static int check_root(const struct certificate *root, const uint8_t *expected, struct error *err)
{
        uint8_t key[P256_PAIR_SIZE];
        int r = p256_point(certificate_pkey(root), key, err);

        if (r < 0) {
                error_wrap(err, "the chain's root");
                return r;
        }
        if (expected && memcmp(key, expected, sizeof(key)) != 0)
                return error_set(
                        err, -EKEYREJECTED,
                        "the chain ends at a root whose key is another than the one that is trusted");
        return 0;
}

/* OpenSSL also takes certificates that say nothing as issuers, where they are old enough. */
static int check_issuers(const struct certificate_chain *chain, struct error *err)
{
        for (size_t i = 1; i < chain->n; i++)
                if (X509_check_ca(certificate_x509(chain->certificate[i])) != 1)
                        return error_set(err, -EKEYREJECTED,
                                         "certificate %zu of the chain doesn't say that it may sign others",
                                         i + 1);
        return 0;
}

static bool fill_store(X509_STORE *store, const struct certificate_chain *chain,
                       const struct certificate_trust *trust)
{
        unsigned long flags = X509_V_FLAG_CHECK_SS_SIGNATURE;

        if (X509_STORE_add_cert(store, certificate_x509(chain->certificate[chain->n - 1])) != 1)
                return false;
        for (size_t i = 0; i < trust->n_crls; i++)
                if (X509_STORE_add_crl(store, (X509_CRL *)trust->crls[i]) != 1)
                        return false;
        if (trust->n_crls > 0)
                flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL;
        X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store), trust->now);
        return X509_STORE_set_flags(store, flags) == 1;
}

static int explain(X509_STORE_CTX *context, struct error *err)
{
        X509 *x509 = X509_STORE_CTX_get_current_cert(context);
        char name[NAME_MAX_TEXT] = "?";

        if (x509)
                X509_NAME_get_text_by_NID(X509_get_subject_name(x509), NID_commonName, name, sizeof(name));
        for (char *c = name; *c; c++)
                if (*c < ' ' || *c > '~')
                        *c = '?';
        ERR_clear_error();
        return error_set(err, -EKEYREJECTED, "certificate \"%s\": %s", name,
                         X509_verify_cert_error_string(X509_STORE_CTX_get_error(context)));
}

int certificate_chain_verify(const struct certificate_chain *chain, const struct certificate_trust *trust,
                             struct error *err)
{
        cleanup_store X509_STORE *store = X509_STORE_new();
        cleanup_store_ctx X509_STORE_CTX *context = X509_STORE_CTX_new();
        cleanup_stack STACK_OF(X509) *between = sk_X509_new_null();
        int r = chain->n < 2
                        ? error_set(err, -EKEYREJECTED,
                                    "the chain has %zu certificates; it takes a leaf and a root at least",
                                    chain->n)
                        : check_root(chain->certificate[chain->n - 1], trust->root_key, err);

        if (r == 0)
                r = check_issuers(chain, err);
        if (r < 0)
                return r;
        if (!store || !context || !between || !fill_store(store, chain, trust))
                return error_oom(err);
        for (size_t i = 1; i + 1 < chain->n; i++)
                if (sk_X509_push(between, certificate_x509(chain->certificate[i])) <= 0)
                        return error_oom(err);
        if (X509_STORE_CTX_init(context, store, certificate_x509(chain->certificate[0]), between) != 1)
                return error_oom(err);
        r = X509_verify_cert(context) == 1 ? 0 : explain(context, err);
        /* All of what was given is the path, or some of it was never looked at. */
        if (r == 0 && (size_t)sk_X509_num(X509_STORE_CTX_get0_chain(context)) != chain->n)
                r = error_set(err, -EKEYREJECTED, "the chain has certificates that don't belong to it");
        return r;
}
