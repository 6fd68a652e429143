/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enclave-sign-eif.c - four ways to go, of which one is chosen:
 *
 *     --private-key          sign here
 *     --to-sign FILE         write what is to be signed, for a key that is elsewhere
 *     --signature FILE       put in what was signed elsewhere
 *     --remove-signature     leave the image unsigned
 *
 * The image is always written anew and then renamed, so that no table of sizes can be of the file before (as
 * others leave it), and a reader sees the old file or the new one.
 *
 * Image, certificate and signature may be a stranger's: before any of them is read the process keeps no more
 * than what this takes.
 */
#include "lib/base/fd.h"
#include "lib/base/file.h"
#include "lib/crypto/hash.h"
#include "lib/crypto/raw-signature.h"
#include "lib/eif/resign.h"
#include "lib/eif/signature.h"
#include "lib/format/json.h"
#include "qt/confine.h"
#include "qt/measurements.h"
#include "qt/progress.h"
#include "qt/qt.h"
#include "qt/signing.h"
#include "qt/target.h"
#include "qt/verbs.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
        ARG_EIF,
        ARG_EIF_OUT,
        ARG_PRIVATE_KEY,
        ARG_REMOVE_SIGNATURE,
        ARG_SIGNATURE,
        ARG_SIGNING_CERTIFICATE,
        ARG_TO_SIGN,
        ARGS,
};

enum { SIGNATURE_FILE_MAX = 4096, TO_SIGN_MAX = 1024 };

struct work {
        const struct qt *qt;
        char *path; /* of --eif, without links */
        int fd;
        struct stat st;
        struct eif *eif;
        struct signing signing;
        struct buf signature; /* r and s, of --signature */
};

static void work_done(struct work *work)
{
        eif_free(work->eif);
        fd_close_p(&work->fd);
        signing_done(&work->signing);
        buf_done(&work->signature);
        free(work->path);
}
#define cleanup_work CLEANUP(work_done)

/* A link stays one: what it points at is rewritten. */
static int find_image(struct work *work, struct error *err)
{
        const char *path = qt_text(work->qt, ARG_EIF);

        if (!(work->path = realpath(path, NULL)) ||
            (work->fd = open(work->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)) < 0 ||
            fstat(work->fd, &work->st) < 0)
                return error_errno(err, errno, "%s", path);
        return S_ISREG(work->st.st_mode) ? 0 : error_set(err, -EINVAL, "%s: not a regular file", path);
}

/* A signature as devices give it: r and s as they are, or in DER. */
static int read_signature(struct work *work, struct error *err)
{
        const char *path = qt_text(work->qt, ARG_SIGNATURE);
        size_t half = certificate_curve(work->signing.certificate)->coordinate_size;
        cleanup_buf struct buf content = {0};
        int r;

        if (!path)
                return 0;
        if ((r = file_read(AT_FDCWD, path, SIGNATURE_FILE_MAX, &content, err)) < 0)
                return r;
        work->signature = buf_with_max(SIGNATURE_FILE_MAX);
        if (content.n == 2 * half)
                r = buf_append_view(&work->signature, buf_view(&content)) < 0 ? error_oom(err) : 0;
        else
                r = raw_of_der(buf_view(&content), half, &work->signature, err);
        work->signing.signer.signature = buf_view(&work->signature);
        if (r < 0)
                error_wrap(err, "%s: neither DER nor the %zu bytes of r and s on %s", path, 2 * half,
                           certificate_curve(work->signing.certificate)->name);
        return r;
}

static int read_inputs(struct work *work, struct error *err)
{
        const struct qt *qt = work->qt;
        int r = 0;

        if (!qt_given(qt, ARG_REMOVE_SIGNATURE)) {
                r = signing_read(qt_text(qt, ARG_SIGNING_CERTIFICATE), qt_text(qt, ARG_PRIVATE_KEY),
                                 &work->signing, err);
                if (r == 0)
                        r = read_signature(work, err);
        }
        if (r == 0 && (r = eif_open(work->fd, &work->eif, err)) < 0)
                error_wrap(err, "%s", qt_text(qt, ARG_EIF));
        return r;
}

/* The process ends while this may be in use, so it outlives everything. */
static struct target target = {.file = ATOMIC_FILE_NONE, .lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- what is to be signed elsewhere -------------------------------------------------------------------- */

static const char *algorithm_name(const struct curve *curve)
{
        return curve->hash == HASH_SHA256 ? "ES256" : curve->hash == HASH_SHA384 ? "ES384" : "ES512";
}

/* For devices that want a hash instead of a message. */
static int add_hash(json_t *result, const struct curve *curve, struct view message)
{
        char hex[DIGEST_HEX_MAX];
        struct digest digest;
        int r = hash_view(curve->hash, message, &digest);

        if (r < 0)
                return r;
        digest_hex(&digest, hex);
        return json_object_set_new(result, "SignatureAlgorithm", json_string(algorithm_name(curve))) < 0 ||
                               json_object_set_new(result, "HashToSign", json_string(hex)) < 0
                       ? -ENOMEM
                       : 0;
}

static int write_to_sign(struct work *work, json_t **ret_result, struct error *err)
{
        const struct certificate *certificate = work->signing.certificate;
        cleanup_eif_measured struct eif_measured measured = {0};
        cleanup_buf struct buf message = buf_with_max(TO_SIGN_MAX);
        cleanup_json json_t *result = NULL;
        int r;

        if ((r = eif_measure(work->eif, NULL, NULL, &measured, err)) < 0 ||
            (r = eif_verify_crc(work->eif, &measured, err)) < 0) {
                error_wrap(err, "%s", qt_text(work->qt, ARG_EIF));
                return r;
        }
        if ((r = eif_signature_to_sign(certificate, &measured.pcrs.pcr0, &message, err)) < 0)
                return r;
        result = measurements_json(&measured.pcrs, certificate);
        if (!result || add_hash(result, certificate_curve(certificate), buf_view(&message)) < 0)
                return error_oom(err);
        if ((r = fd_write_full(target.file.fd, message.p, message.n)) < 0)
                return error_errno(err, -r, "%s", qt_text(work->qt, ARG_TO_SIGN));
        *ret_result = take_pointer(&result);
        return 0;
}

/* ---- the image anew ------------------------------------------------------------------------------------ */

/* The image stays as it is where only what is to be signed is written. */
static int check_message_path(const struct work *work, struct error *err)
{
        const char *path = qt_text(work->qt, ARG_TO_SIGN);
        struct stat st;

        if (!path || stat(path, &st) < 0 || st.st_dev != work->st.st_dev || st.st_ino != work->st.st_ino)
                return 0;
        return error_set(err, -EINVAL, "--to-sign %s is the image itself; name another file", path);
}

/* Between finding the image and opening its folder, who may write to one of the folders above can put a link
 * there: the file would get into another folder, and its owner's name there. */
static int check_folder(const struct work *work, struct error *err)
{
        struct stat st;

        if (fstatat(target.file.dirfd, target.file.name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            st.st_dev == work->st.st_dev && st.st_ino == work->st.st_ino)
                return 0;
        return error_set(err, -ESTALE, "%s was moved or replaced meanwhile; try again",
                         qt_text(work->qt, ARG_EIF));
}

/* A file that is replaced keeps its owner and its mode.  Only root can give a file away: others go
 * without. */
static int keep_attributes(const struct work *work, int fd, struct error *err)
{
        if (fchown(fd, work->st.st_uid, work->st.st_gid) < 0 && errno != EPERM)
                return error_errno(err, errno, "cannot set the owner");
        return fchmod(fd, work->st.st_mode & 0777) < 0 ? error_errno(err, errno, "cannot set the mode") : 0;
}

static int write_anew(struct work *work, json_t **ret_result, struct error *err)
{
        const struct eif_signer *signer = work->signing.certificate ? &work->signing.signer : NULL;
        struct eif_pcrs pcrs;
        int r = eif_resign(work->eif, target.file.fd, signer, &pcrs, err);

        if (r == -EKEYREJECTED && work->signature.n > 0)
                error_wrap(err,
                           "%s: not a signature of this image: sign what --to-sign writes for it, with %s",
                           qt_text(work->qt, ARG_SIGNATURE),
                           algorithm_name(certificate_curve(work->signing.certificate)));
        else if (r < 0)
                error_wrap(err, "%s", qt_text(work->qt, ARG_EIF));
        if (r < 0)
                return r;
        *ret_result = measurements_json(&pcrs, work->signing.certificate);
        return *ret_result ? 0 : error_oom(err);
}

/* ---- the command --------------------------------------------------------------------------------------- */

/* What is asked for contradicts itself: the sentence that says so, or NULL. */
static const char *contradiction(const struct qt *qt)
{
        int ways = qt_given(qt, ARG_PRIVATE_KEY) + qt_given(qt, ARG_TO_SIGN) + qt_given(qt, ARG_SIGNATURE) +
                   qt_given(qt, ARG_REMOVE_SIGNATURE);

        if (ways != 1)
                return "exactly one of --private-key, --to-sign, --signature and --remove-signature says "
                       "what to do";
        if (qt_given(qt, ARG_REMOVE_SIGNATURE) && qt_given(qt, ARG_SIGNING_CERTIFICATE))
                return "--remove-signature takes no --signing-certificate";
        if (!qt_given(qt, ARG_REMOVE_SIGNATURE) && !qt_given(qt, ARG_SIGNING_CERTIFICATE))
                return "--signing-certificate is missing: a signature is made and checked with it";
        if (qt_given(qt, ARG_TO_SIGN) && qt_given(qt, ARG_EIF_OUT))
                return "--to-sign makes no image, so it takes no --eif-out";
        return NULL;
}

/* Opens what is read and what is written, and gives up the rest. */
static int begin(struct work *work, struct error *err)
{
        static struct progress progress;
        const struct qt *qt = work->qt;
        const char *out = qt_given(qt, ARG_TO_SIGN) ? qt_text(qt, ARG_TO_SIGN) : qt_text(qt, ARG_EIF_OUT);
        const char *const readable[] = {
                qt_text(qt, ARG_SIGNING_CERTIFICATE),
                qt_text(qt, ARG_PRIVATE_KEY),
                qt_text(qt, ARG_SIGNATURE),
        };
        int r = find_image(work, err);

        if (r == 0)
                r = check_message_path(work, err);
        if (r == 0)
                r = target_begin(&target, out ? out : work->path, &progress, err);
        if (r == 0 && !out)
                r = check_folder(work, err);
        if (r == 0 && !out)
                r = keep_attributes(work, target.file.fd, err);
        if (r == 0)
                r = confine_signer(target.file.dirfd, readable, ARRAY_SIZE(readable), err);
        return r < 0 ? r : target_watch(&target, err);
}

static int work_on(struct work *work, json_t **ret_result, struct error *err)
{
        int r = begin(work, err);

        if (r == 0)
                r = read_inputs(work, err);
        if (r == 0)
                r = qt_given(work->qt, ARG_TO_SIGN) ? write_to_sign(work, ret_result, err)
                                                    : write_anew(work, ret_result, err);
        if (r == 0)
                return target_commit(&target, err);
        target_abort(&target);
        return r;
}

static int run(void *context, const struct cli_parsed *parsed)
{
        const struct qt *qt = context;
        cleanup_work struct work work = {.qt = qt, .fd = -1};
        cleanup_json json_t *result = NULL;
        struct error err = {0};
        const char *problem = contradiction(qt);

        (void)parsed;
        if (problem)
                return qt_usage(qt, "%s", problem);
        int r = work_on(&work, &result, &err);
        return r < 0 ? qt_fail(qt, &err) : qt_print_result(qt, result);
}

static const struct cli_argument arguments[ARGS] = {
        [ARG_EIF] =
                {.name = "--eif",
                 .metavar = "EIF",
                 .kind = CLI_TEXT,
                 .required = true,
                 .summary =
                         "The enclave image file to sign. It is replaced in one step, unless --eif-out names "
                         "another."},
        [ARG_EIF_OUT] = {.name = "--eif-out",
                         .metavar = "EIF",
                         .kind = CLI_TEXT,
                         .summary = "Write the image there and leave --eif as it is."},
        [ARG_PRIVATE_KEY] = {.name = "--private-key",
                             .metavar = "FILE",
                             .kind = CLI_TEXT,
                             .summary =
                                     "Sign with this EC key (PEM); a signature that is there is replaced."},
        [ARG_REMOVE_SIGNATURE] = {.name = "--remove-signature",
                                  .summary = "Leave the image without a signature."},
        [ARG_SIGNATURE] =
                {.name = "--signature",
                 .metavar = "FILE",
                 .kind = CLI_TEXT,
                 .summary = "Put in a signature that was made elsewhere of what --to-sign wrote: DER, or r "
                            "and s one after the other."},
        [ARG_SIGNING_CERTIFICATE] = {.name = "--signing-certificate",
                                     .metavar = "FILE",
                                     .kind = CLI_TEXT,
                                     .summary = "The key's certificate (PEM), valid today."},
        [ARG_TO_SIGN] =
                {.name = "--to-sign",
                 .metavar = "FILE",
                 .kind = CLI_TEXT,
                 .summary = "Write what the certificate's key has to sign, wherever it is kept, and print "
                            "its hash; the image stays as it is."},
};

static const struct cli_example examples[] = {
        {"Sign an eif image, or sign it anew", "qt enclave sign-eif --eif [EIF] --private-key [PRIVATE-KEY] "
                                               "--signing-certificate [SIGNING-CERTIFICATE]"},
        {"Sign with a key that never comes here: write what is to be signed ...",
         "qt enclave sign-eif --eif [EIF] --signing-certificate [SIGNING-CERTIFICATE] --to-sign message"},
        {"... and put in the signature that came back",
         "qt enclave sign-eif --eif [EIF] --signing-certificate [SIGNING-CERTIFICATE] --signature "
         "[SIGNATURE]"},
};

const struct cli_command qt_enclave_sign_eif = {
        .name = "sign-eif",
        .summary = "Sign an eif image, sign it anew, or take its signature away.",
        .arguments = arguments,
        .n_arguments = ARGS,
        .examples = examples,
        .n_examples = ARRAY_SIZE(examples),
        .run = run,
};
