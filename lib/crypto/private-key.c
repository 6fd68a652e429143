/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/crypto/private-key.h"

#include "lib/base/file.h"
#include "lib/crypto/openssl-internal.h"
#include "lib/crypto/raw-signature.h"

#include <openssl/crypto.h>
#include <openssl/pem.h>

struct private_key {
        EVP_PKEY *pkey;
        const struct curve *curve;
};

/* All that file_read() can want, its own slack included. */
enum { FILE_ROOM = 3 * PEM_FILE_MAX };

/* OpenSSL asks for a passphrase: the key is encrypted.  Remember it and give none. */
static int note_passphrase(char *buffer, int size, int writing, void *user)
{
        bool *asked = user;
        (void)buffer, (void)size, (void)writing;

        *asked = true;
        return -1;
}

static int read_pem(struct view pem, EVP_PKEY **ret_pkey, struct error *err)
{
        cleanup_bio BIO *bio = NULL;
        bool asked = false;
        EVP_PKEY *pkey;

        if (pem.n == 0 || pem.n > PEM_FILE_MAX)
                return error_set(err, -EBADMSG, "%s; a PEM private key has 1 to %d bytes",
                                 pem.n ? "too large" : "empty", PEM_FILE_MAX);
        bio = BIO_new_mem_buf(pem.p, (int)pem.n);
        if (!bio)
                return error_oom(err);
        pkey = PEM_read_bio_PrivateKey(bio, NULL, note_passphrase, &asked);
        if (pkey) {
                *ret_pkey = pkey;
                return 0;
        }
        ERR_clear_error();
        if (asked)
                return error_set(
                        err, -ENOTSUP,
                        "the private key is encrypted; decrypt it with openssl pkey -in FILE -out NEW");
        return error_set(
                err, -EBADMSG,
                "holds no private key that can be read; it must have a PEM block \"BEGIN PRIVATE KEY\" or "
                "\"BEGIN EC PRIVATE KEY\"");
}

int private_key_parse(struct view pem, struct private_key **ret_key, struct error *err)
{
        cleanup_private_key struct private_key *key = calloc(1, sizeof(*key));
        int r;

        if (!key)
                return error_oom(err);
        r = read_pem(pem, &key->pkey, err);
        if (r < 0)
                return r;
        r = curve_of_pkey(key->pkey, &key->curve, err);
        if (r < 0)
                return r;
        *ret_key = take_pointer(&key);
        return 0;
}

int private_key_read(int dirfd, const char *path, struct private_key **ret_key, struct error *err)
{
        cleanup_buf struct buf pem = buf_with_max(FILE_ROOM);
        int r;

        /* The buffer never moves, so no unwiped copy stays behind. */
        if (buf_reserve(&pem, FILE_ROOM) < 0)
                return error_oom(err);
        r = file_read(dirfd, path, PEM_FILE_MAX, &pem, err);
        if (r == 0) {
                r = private_key_parse(buf_view(&pem), ret_key, err);
                if (r < 0)
                        error_wrap(err, "%s", path);
        }
        OPENSSL_cleanse(pem.p, pem.capacity);
        return r;
}

void private_key_free(struct private_key *key)
{
        if (!key)
                return;
        EVP_PKEY_free(key->pkey);
        free(key);
}

const struct curve *private_key_curve(const struct private_key *key)
{
        return key->curve;
}

int private_key_match(const struct private_key *key, const struct certificate *certificate, struct error *err)
{
        int r = EVP_PKEY_eq(key->pkey, certificate_pkey(certificate));

        ERR_clear_error();
        if (r == 1)
                return 0;
        return error_set(
                err, -EKEYREJECTED,
                "the private key (%s) doesn't belong to the certificate (%s); give the pair that belongs "
                "together",
                key->curve->name, certificate_curve(certificate)->name);
}

int private_key_sign(const struct private_key *key, struct view message, struct buf *ret_signature,
                     struct error *err)
{
        return raw_sign(key->pkey, key->curve->hash, message, key->curve->coordinate_size, ret_signature,
                        err);
}
