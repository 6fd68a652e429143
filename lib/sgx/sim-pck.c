/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sgx/sim-pck.h"

#include "lib/crypto/openssl-internal.h"
#include "lib/crypto/raw-signature.h"
#include "lib/sgx/sim-qe.h"

#include <openssl/asn1.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

enum {
        SECRET_SIZE = 3 * SGX_KEY_SIZE, /* as p256_key_pair() wants it */
        TCB_COMPONENTS = 16,
        VALID_SECONDS = 365 * 24 * 60 * 60,
        CLOCK_SKEW = 24 * 60 * 60, /* that another machine's clock may be behind */
        EXTENSION_MAX = 1024,
};

int sgx_sim_key(const struct sgx_root *root, enum sgx_sim_key which, EVP_PKEY **ret_pkey, struct error *err)
{
        static const char *const uses[] = {[SGX_SIM_KEY_ROOT] = "root of test certificates",
                                           [SGX_SIM_KEY_PCK] = "provisioning certification key",
                                           [SGX_SIM_KEY_ATTESTATION] = "attestation key"};
        cleanup_buf struct buf text = buf_with_max(128);
        uint8_t secret[SECRET_SIZE];
        int r = 0;

        for (unsigned int i = 0; i < SECRET_SIZE / SGX_KEY_SIZE && r == 0; i++) {
                buf_done(&text);
                r = buf_printf(&text, "simulated quoting enclave, %s, part %u", uses[which], i);
                if (r == 0)
                        r = sgx_cmac(root->key, buf_view(&text), secret + (size_t)i * SGX_KEY_SIZE);
        }
        r = r < 0 ? error_oom(err) : p256_key_pair(view_of(secret, sizeof(secret)), ret_pkey, err);
        explicit_bzero(secret, sizeof(secret));
        return r;
}

/* ---- Intel's extension --------------------------------------------------------------------------------- */

/* A value of DER with one byte of tag and a length below 65536. */
static void put_der(struct buf *b, uint8_t tag, struct view value)
{
        buf_append_byte(b, tag);
        if (value.n >= 0x80) {
                buf_append_byte(b, 0x82);
                buf_append_be16(b, (uint16_t)value.n);
        } else {
                buf_append_byte(b, (uint8_t)value.n);
        }
        buf_append_view(b, value);
}

enum { DER_INTEGER = 0x02, DER_OCTETS = 0x04, DER_OID = 0x06, DER_ENUMERATED = 0x0a, DER_SEQUENCE = 0x30 };

/* SEQUENCE { 1.2.840.113741.1.13.1 and the numbers behind it, value }. */
static void put_entry(struct buf *b, struct view numbers, uint8_t tag, struct view value)
{
        static const uint8_t arc[] = {0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01};
        cleanup_buf struct buf oid = buf_with_max(32), entry = buf_with_max(EXTENSION_MAX);

        buf_append(&oid, arc, sizeof(arc));
        buf_append_view(&oid, numbers);
        put_der(&entry, DER_OID, buf_view(&oid));
        put_der(&entry, tag, value);
        put_der(b, DER_SEQUENCE, buf_view(&entry));
}

static void put_tcb(struct buf *b)
{
        static const uint8_t zero[1];
        cleanup_buf struct buf tcb = buf_with_max(EXTENSION_MAX);
        uint8_t numbers[] = {2, 1};

        for (; numbers[1] <= TCB_COMPONENTS + 1; numbers[1]++) /* the last is PCESVN */
                put_entry(&tcb, view_of(numbers, 2), DER_INTEGER, view_of(zero, 1));
        put_entry(&tcb, view_of(numbers, 2), DER_OCTETS, view_of(sgx_simulated_cpu_svn, SGX_KEY_SIZE));
        put_entry(b, view_of(numbers, 1), DER_SEQUENCE, buf_view(&tcb));
}

static int sgx_extension(struct buf *der)
{
        static const uint8_t zero[16], ppid[] = {1}, pce_id[] = {3}, fmspc[] = {4}, type[] = {5};
        cleanup_buf struct buf all = buf_with_max(EXTENSION_MAX);

        put_entry(&all, view_of(ppid, 1), DER_OCTETS, view_of(zero, 16));
        put_tcb(&all);
        put_entry(&all, view_of(pce_id, 1), DER_OCTETS, view_of(zero, 2));
        put_entry(&all, view_of(fmspc, 1), DER_OCTETS, view_of("COFFER", 6));
        put_entry(&all, view_of(type, 1), DER_ENUMERATED, view_of(zero, 1));
        put_der(der, DER_SEQUENCE, buf_view(&all));
        return all.failed ? all.failed : der->failed;
}

static bool add_sgx_extension(X509 *x509)
{
        cleanup_buf struct buf der = buf_with_max(EXTENSION_MAX);
        ASN1_OBJECT *oid = OBJ_txt2obj("1.2.840.113741.1.13.1", 1);
        ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
        X509_EXTENSION *extension = NULL;
        bool ok = oid && value && sgx_extension(&der) == 0 && ASN1_OCTET_STRING_set(value, der.p, (int)der.n);

        if (ok)
                extension = X509_EXTENSION_create_by_OBJ(NULL, oid, 0, value);
        ok = extension && X509_add_ext(x509, extension, -1);
        X509_EXTENSION_free(extension);
        ASN1_OCTET_STRING_free(value);
        ASN1_OBJECT_free(oid);
        return ok;
}

/* ---- certificates -------------------------------------------------------------------------------------- */

static const char root_name[] = "Coffer simulated SGX root CA: test without protection";
static const char leaf_name[] = "Coffer simulated SGX PCK certificate: test without protection";

static bool set_name(X509_NAME *name, const char *common)
{
        return name &&
               X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_ASC, (const unsigned char *)common,
                                          -1, -1, 0) &&
               X509_NAME_add_entry_by_NID(name, NID_organizationName, MBSTRING_ASC,
                                          (const unsigned char *)"Coffer", -1, -1, 0);
}

static bool add_extension(X509 *x509, X509V3_CTX *context, int nid, const char *text)
{
        X509_EXTENSION *extension = X509V3_EXT_nconf_nid(NULL, context, nid, text);
        bool ok = extension && X509_add_ext(x509, extension, -1);

        X509_EXTENSION_free(extension);
        return ok;
}

/* What is common to both; `issuer` is NULL for the root. */
static bool fill(X509 *x509, X509 *issuer, EVP_PKEY *pkey, int64_t now)
{
        X509V3_CTX context;

        X509V3_set_ctx(&context, issuer ? issuer : x509, x509, NULL, NULL, 0);
        return X509_set_version(x509, X509_VERSION_3) &&
               ASN1_INTEGER_set(X509_get_serialNumber(x509), issuer ? 2 : 1) &&
               set_name(X509_get_subject_name(x509), issuer ? leaf_name : root_name) &&
               X509_set_issuer_name(x509, X509_get_subject_name(issuer ? issuer : x509)) &&
               ASN1_TIME_set(X509_getm_notBefore(x509), now - CLOCK_SKEW) &&
               ASN1_TIME_set(X509_getm_notAfter(x509), now + VALID_SECONDS) && X509_set_pubkey(x509, pkey) &&
               add_extension(x509, &context, NID_subject_key_identifier, "hash") &&
               add_extension(x509, &context, NID_authority_key_identifier, "keyid:always") &&
               add_extension(x509, &context, NID_basic_constraints,
                             issuer ? "critical,CA:FALSE" : "critical,CA:TRUE") &&
               add_extension(x509, &context, NID_key_usage,
                             issuer ? "critical,digitalSignature" : "critical,keyCertSign,cRLSign");
}

static bool append_pem(X509 *x509, struct buf *pem)
{
        cleanup_bio BIO *bio = BIO_new(BIO_s_mem());
        char *text = NULL;
        long n = bio && PEM_write_bio_X509(bio, x509) ? BIO_get_mem_data(bio, &text) : 0;

        return n > 0 && buf_append(pem, text, (size_t)n) == 0;
}

int sgx_sim_pck_chain(const struct sgx_root *root, int64_t now, struct buf *pem, struct error *err)
{
        cleanup_pkey EVP_PKEY *root_key = NULL, *pck_key = NULL;
        cleanup_x509 X509 *ca = X509_new(), *leaf = X509_new();
        int r = sgx_sim_key(root, SGX_SIM_KEY_ROOT, &root_key, err);

        if (r == 0)
                r = sgx_sim_key(root, SGX_SIM_KEY_PCK, &pck_key, err);
        if (r < 0)
                return r;
        if (!ca || !leaf || !fill(ca, NULL, root_key, now) || X509_sign(ca, root_key, EVP_sha256()) <= 0 ||
            !fill(leaf, ca, pck_key, now) || !add_sgx_extension(leaf) ||
            X509_sign(leaf, root_key, EVP_sha256()) <= 0 || !append_pem(leaf, pem) || !append_pem(ca, pem))
                return error_openssl(err, -EIO, "can't make the test certificates");
        return 0;
}
