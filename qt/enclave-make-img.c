/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/fd.h"
#include "lib/base/text.h"
#include "lib/crypto/private-key.h"
#include "lib/eif/describe.h"
#include "lib/eif/metadata.h"
#include "lib/eif/signature.h"
#include "lib/enclave/build.h"
#include "lib/enclave/install.h"
#include "lib/format/json.h"
#include "qt/progress.h"
#include "qt/qt.h"
#include "qt/target.h"
#include "qt/verbs.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <sys/prctl.h>
#include <unistd.h>

enum {
        ARG_AUTHFILE,
        ARG_CMDLINE,
        ARG_DOCKER_URI,
        ARG_EIF,
        ARG_IMG_VERSION,
        ARG_KERNEL,
        ARG_METADATA,
        ARG_NAME,
        ARG_PRIVATE_KEY,
        ARG_SIGNING_CERTIFICATE,
        ARGS,
};

/* What the build needs and somebody must free. */
struct inputs {
        struct certificate *certificate;
        struct private_key *key;
        struct eif_signer signer;
        json_t *custom_metadata;
        char *kernel;
        char *init;
};

static void inputs_done(struct inputs *inputs)
{
        certificate_free(inputs->certificate);
        private_key_free(inputs->key);
        json_decref(inputs->custom_metadata);
        free(inputs->kernel);
        free(inputs->init);
}

/* Everything about the signature is settled before the long work: an expired certificate must not cost ten
 * minutes. It is checked against the clock even where SOURCE_DATE_EPOCH is set. */
static int read_signer(const struct qt *qt, struct inputs *inputs, struct error *err)
{
        const char *path = qt_text(qt, ARG_SIGNING_CERTIFICATE);

        if (!path)
                return 0;
        /* From here on the key is in our memory: in no core dump, for no debugger of the same user. */
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return error_errno(err, errno, "cannot protect the private key");
        int r = certificate_read(AT_FDCWD, path, &inputs->certificate, err);
        if (r == 0)
                r = private_key_read(AT_FDCWD, qt_text(qt, ARG_PRIVATE_KEY), &inputs->key, err);
        if (r < 0)
                return r;
        r = private_key_match(inputs->key, inputs->certificate, err);
        if (r == 0)
                r = certificate_check_time(inputs->certificate, (int64_t)time(NULL), err);
        if (r < 0)
                error_wrap(err, "%s", path);
        inputs->signer = (struct eif_signer){.certificate = inputs->certificate, .key = inputs->key};
        return r;
}

static int read_custom_metadata(const struct qt *qt, struct inputs *inputs, struct error *err)
{
        const char *path = qt_text(qt, ARG_METADATA);

        if (!path)
                return 0;
        int r = eif_metadata_read_custom(AT_FDCWD, path, &inputs->custom_metadata, err);
        if (r == 0 && !json_is_object(inputs->custom_metadata))
                return error_set(err, -EINVAL, "%s: metadata must be a JSON object: {\"name\": value, ...}",
                                 path);
        return r;
}

static int read_inputs(const struct qt *qt, struct inputs *inputs, struct error *err)
{
        int r = read_signer(qt, inputs, err);

        if (r == 0)
                r = read_custom_metadata(qt, inputs, err);
        if (r == 0)
                r = install_find(INSTALL_INIT, &inputs->init, err);
        if (r == 0 && !qt_given(qt, ARG_KERNEL))
                r = install_find(INSTALL_KERNEL, &inputs->kernel, err);
        return r;
}

/* SOURCE_DATE_EPOCH (reproducible-builds.org) or now. */
static int build_time(int64_t *ret_time, struct error *err)
{
        const char *text = getenv("SOURCE_DATE_EPOCH");
        uint64_t seconds = (uint64_t)time(NULL);

        if (text && *text && !parse_u64(text, UINT32_MAX, &seconds))
                return error_set(err, -EINVAL, "SOURCE_DATE_EPOCH: '%s' is no number of seconds since 1970",
                                 text);
        *ret_time = (int64_t)seconds;
        return 0;
}

static int build(const struct qt *qt, const struct inputs *inputs, struct progress *progress, int fd,
                 struct eif_pcrs *ret_pcrs, struct error *err)
{
        struct log log = {.level = qt->log.level, .emit = progress_emit, .user = progress};
        struct enclave_build_options options = {
                .image = qt_text(qt, ARG_DOCKER_URI),
                .kernel = inputs->kernel ? inputs->kernel : qt_text(qt, ARG_KERNEL),
                .init = inputs->init,
                .cmdline = qt_text(qt, ARG_CMDLINE),
                .name = qt_text(qt, ARG_NAME),
                .version = qt_text(qt, ARG_IMG_VERSION),
                .custom_metadata = inputs->custom_metadata,
                .signer = inputs->certificate ? &inputs->signer : NULL,
                .authfile = qt_text(qt, ARG_AUTHFILE),
                .log = &log,
                .progress = progress_show,
                .progress_user = progress,
        };
        int r = build_time(&options.build_time, err);

        return r < 0 ? r : enclave_build(&options, fd, ret_pcrs, err);
}

/* QingTian's "digest", then the registers. */
static json_t *measurements(const struct eif_pcrs *pcrs, const struct certificate *certificate)
{
        struct digest pcr8;
        json_t *result = json_pack("{s:s}", "digest", "SHA384");

        if (certificate && eif_pcr8(certificate, &pcr8) < 0) {
                json_decref(result);
                return NULL;
        }
        json_t *described = eif_describe_pcrs(pcrs, certificate ? &pcr8 : NULL);
        json_object_del(described, "HashAlgorithm");
        int r = described ? json_object_update(result, described) : -1;
        json_decref(described);
        if (r == 0)
                return result;
        json_decref(result);
        return NULL;
}

/* The process ends while this may be in use, so it outlives everything. */
static struct target target;

static int run(void *context, const struct cli_parsed *parsed)
{
        const struct qt *qt = context;
        CLEANUP(inputs_done) struct inputs inputs = {0};
        static struct progress progress;
        struct eif_pcrs pcrs;
        struct error err = {0};

        (void)parsed;
        if (qt_given(qt, ARG_PRIVATE_KEY) != qt_given(qt, ARG_SIGNING_CERTIFICATE))
                return qt_usage(qt, "--private-key and --signing-certificate need each other: %s is missing",
                                qt_given(qt, ARG_PRIVATE_KEY) ? "--signing-certificate" : "--private-key");
        progress.enabled = !qt->quiet && isatty(STDERR_FILENO);
        int r = read_inputs(qt, &inputs, &err);
        if (r < 0)
                return qt_fail(qt, &err);
        r = target_begin(&target, qt_text(qt, ARG_EIF), &progress, &err);
        if (r < 0)
                return qt_fail(qt, &err);
        r = build(qt, &inputs, &progress, target.file.fd, &pcrs, &err);
        if (r == 0)
                r = target_commit(&target, &err);
        else
                target_abort(&target);
        progress_clear(&progress);
        if (r < 0)
                return qt_fail(qt, &err);
        cleanup_json json_t *result = measurements(&pcrs, inputs.certificate);
        return qt_print_result(qt, result);
}

static const struct cli_argument arguments[ARGS] = {
        [ARG_AUTHFILE] =
                {.name = "--authfile",
                 .metavar = "FILE",
                 .kind = CLI_TEXT,
                 .summary = "Credentials for registries, as `docker login` and `podman login` write them."},
        [ARG_CMDLINE] = {.name = "--cmdline",
                         .metavar = "TEXT",
                         .kind = CLI_TEXT,
                         .summary = "Kernel command line, in place of the default one."},
        [ARG_DOCKER_URI] = {.name = "--docker-uri",
                            .metavar = "DOCKER_URI",
                            .kind = CLI_TEXT,
                            .required = true,
                            .summary =
                                    "The container image: a name known to the local Docker engine, else of a "
                                    "registry; or docker-daemon:REF, docker://REF, docker-archive:FILE, "
                                    "oci:DIR[:TAG], oci-archive:FILE."},
        [ARG_EIF] = {.name = "--eif",
                     .metavar = "EIF",
                     .kind = CLI_TEXT,
                     .required = true,
                     .summary = "The enclave image file to make."},
        [ARG_IMG_VERSION] = {.name = "--img-version",
                             .metavar = "TEXT",
                             .kind = CLI_TEXT,
                             .default_text = NULL,
                             .summary = "Version in the metadata.  Default: the image's id."},
        [ARG_KERNEL] = {.name = "--kernel",
                        .metavar = "PATH",
                        .kind = CLI_TEXT,
                        .summary = "Guest kernel: a bzImage with everything built in, or a folder made by "
                                   "fetch-kernel. "
                                   " Default: the installed one."},
        [ARG_METADATA] = {.name = "--metadata",
                          .metavar = "FILE",
                          .kind = CLI_TEXT,
                          .summary = "A JSON object of at most 4096 bytes that becomes CustomMetadata."},
        [ARG_NAME] = {.name = "--name",
                      .metavar = "TEXT",
                      .kind = CLI_TEXT,
                      .summary = "Name in the metadata.  Default: the docker-uri without its tag."},
        [ARG_PRIVATE_KEY] = {.name = "--private-key",
                             .metavar = "FILE",
                             .kind = CLI_TEXT,
                             .summary =
                                     "Sign the image with this EC key (PEM). Needs --signing-certificate."},
        [ARG_SIGNING_CERTIFICATE] =
                {.name = "--signing-certificate",
                 .metavar = "FILE",
                 .kind = CLI_TEXT,
                 .summary = "The key's certificate (PEM), valid today. Needs --private-key."},
};

static const struct cli_example examples[] = {
        {"Given docker-uri and eif to make an eif image",
         "qt enclave make-img --docker-uri [DOCKER-URI] --eif [EIF]"},
        {"Make an eif image with private-key and signing-certificate",
         "qt enclave make-img --docker-uri [DOCKER-URI] --eif [EIF] --private-key [PRIVATE-KEY] "
         "--signing-certificate [SIGNING-CERTIFICATE]"},
        {"Make an eif image without a Docker engine",
         "qt enclave make-img --docker-uri oci:DIR:TAG --eif [EIF]"},
};

const struct cli_command qt_enclave_make_img = {
        .name = "make-img",
        .summary = "Make an eif image from a docker image.",
        .arguments = arguments,
        .n_arguments = ARGS,
        .examples = examples,
        .n_examples = ARRAY_SIZE(examples),
        .run = run,
};
