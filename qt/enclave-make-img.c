/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/fd.h"
#include "lib/base/text.h"
#include "lib/eif/metadata.h"
#include "lib/enclave/build.h"
#include "lib/enclave/install.h"
#include "lib/enclave/nitro-blobs.h"
#include "lib/format/json.h"
#include "qt/measurements.h"
#include "qt/confine.h"
#include "qt/progress.h"
#include "qt/qt.h"
#include "qt/signing.h"
#include "qt/target.h"
#include "qt/verbs.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
        ARG_ARCH,
        ARG_AUTHFILE,
        ARG_CA_FILE,
        ARG_CMDLINE,
        ARG_CREDENTIAL_HELPERS,
        ARG_DOCKER_URI,
        ARG_EIF,
        ARG_IMG_VERSION,
        ARG_INSECURE_REGISTRY,
        ARG_KERNEL,
        ARG_METADATA,
        ARG_NAME,
        ARG_NITRO_COMPAT,
        ARG_PRIVATE_KEY,
        ARG_SIGNING_CERTIFICATE,
        ARGS,
};

/* What the build needs and somebody must free. */
struct inputs {
        struct signing signing;
        json_t *custom_metadata;
        char *kernel;
        char *init;
};

static void inputs_done(struct inputs *inputs)
{
        signing_done(&inputs->signing);
        json_decref(inputs->custom_metadata);
        free(inputs->kernel);
        free(inputs->init);
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
        int r = 0;

        /* Before the long work: an expired certificate must not cost ten minutes. */
        if (qt_given(qt, ARG_SIGNING_CERTIFICATE))
                r = signing_read(qt_text(qt, ARG_SIGNING_CERTIFICATE), qt_text(qt, ARG_PRIVATE_KEY),
                                 &inputs->signing, err);
        if (r == 0)
                r = read_custom_metadata(qt, inputs, err);
        if (r < 0 || qt_given(qt, ARG_NITRO_COMPAT))
                return r;
        bool arm = strcmp(qt_text(qt, ARG_ARCH), "arm64") == 0;
        r = install_find(arm ? INSTALL_INIT_ARM64 : INSTALL_INIT, &inputs->init, err);
        if (r == 0 && !qt_given(qt, ARG_KERNEL))
                r = install_find(arm ? INSTALL_KERNEL_ARM64 : INSTALL_KERNEL, &inputs->kernel, err);
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

static const char *nitro_blobs(const struct qt *qt)
{
        const char *named = getenv("NITRO_CLI_BLOBS");

        if (qt_given(qt, ARG_KERNEL))
                return qt_text(qt, ARG_KERNEL);
        return named && *named ? named : NITRO_BLOBS_FOLDER;
}

static int build(const struct qt *qt, const struct inputs *inputs, struct progress *progress, int fd,
                 struct eif_pcrs *ret_pcrs, struct error *err)
{
        struct log log = {.level = qt->log.level, .emit = progress_emit, .user = progress};
        struct enclave_build_options options = {
                .image = qt_text(qt, ARG_DOCKER_URI),
                .kernel = inputs->kernel ? inputs->kernel : qt_text(qt, ARG_KERNEL),
                .init = inputs->init,
                .architecture = architecture_find(qt_text(qt, ARG_ARCH)),
                .nitro_blobs = qt_given(qt, ARG_NITRO_COMPAT) ? nitro_blobs(qt) : NULL,
                .cmdline = qt_text(qt, ARG_CMDLINE),
                .name = qt_text(qt, ARG_NAME),
                .version = qt_text(qt, ARG_IMG_VERSION),
                .custom_metadata = inputs->custom_metadata,
                .signer = inputs->signing.certificate ? &inputs->signing.signer : NULL,
                .registries = {.authfile = qt_text(qt, ARG_AUTHFILE),
                               .ca_file = qt_text(qt, ARG_CA_FILE),
                               .insecure = qt_list(qt, ARG_INSECURE_REGISTRY),
                               .credential_helpers = qt_given(qt, ARG_CREDENTIAL_HELPERS)},
                .log = &log,
                .progress = progress_show,
                .progress_user = progress,
        };
        int r = build_time(&options.build_time, err);

        return r < 0 ? r : enclave_build(&options, fd, ret_pcrs, err);
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
        r = confine_builder(target.file.dirfd, &err);
        if (r == 0)
                r = target_watch(&target, &err);
        if (r == 0)
                r = build(qt, &inputs, &progress, target.file.fd, &pcrs, &err);
        if (r == 0)
                r = target_commit(&target, &err);
        else
                target_abort(&target);
        progress_clear(&progress);
        if (r < 0)
                return qt_fail(qt, &err);
        cleanup_json json_t *result = measurements_json(&pcrs, inputs.signing.certificate);
        return qt_print_result(qt, result);
}

static const char *const architectures[] = {"amd64", "arm64", NULL};

static const struct cli_argument arguments[ARGS] = {
        [ARG_ARCH] = {.name = "--arch",
                      .kind = CLI_CHOICE,
                      .choices = architectures,
                      .default_text = "amd64",
                      .summary = "The machine that the enclave is for: which variant of the container image, "
                                 "kernel and "
                                 "init are taken."},
        [ARG_AUTHFILE] =
                {.name = "--authfile",
                 .metavar = "FILE",
                 .kind = CLI_TEXT,
                 .summary = "Credentials for registries, as `docker login` and `podman login` write them."},
        [ARG_CA_FILE] = {.name = "--ca-file",
                         .metavar = "FILE",
                         .kind = CLI_TEXT,
                         .summary = "Authorities (PEM) to trust for registries beside the system's."},
        [ARG_CMDLINE] = {.name = "--cmdline",
                         .metavar = "TEXT",
                         .kind = CLI_TEXT,
                         .summary = "Kernel command line, in place of the default one."},
        [ARG_CREDENTIAL_HELPERS] =
                {.name = "--credential-helpers",
                 .kind = CLI_FLAG,
                 .summary = "Run the docker-credential programs that the credentials' file names."},
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
        [ARG_INSECURE_REGISTRY] =
                {.name = "--insecure-registry",
                 .metavar = "HOST",
                 .kind = CLI_LIST,
                 .summary = "With this HOST[:PORT] plain http is allowed and certificates are not checked. "
                            "Can be given several times."},
        [ARG_KERNEL] = {.name = "--kernel",
                        .metavar = "PATH",
                        .kind = CLI_TEXT,
                        .summary = "Guest kernel: a bzImage with everything built in, or a folder made by "
                                   "build-kernel or fetch-kernel. "
                                   " Default: the installed one."},
        [ARG_METADATA] = {.name = "--metadata",
                          .metavar = "FILE",
                          .kind = CLI_TEXT,
                          .summary = "A JSON object of at most 4096 bytes that becomes CustomMetadata."},
        [ARG_NAME] = {.name = "--name",
                      .metavar = "TEXT",
                      .kind = CLI_TEXT,
                      .summary = "Name in the metadata.  Default: the docker-uri without its tag."},
        [ARG_NITRO_COMPAT] = {.name = "--nitro-compat",
                              .summary = "Make an image with AWS's init and kernel, for AWS Nitro Enclaves: "
                                         "from the folder that "
                                         "--kernel names, else NITRO_CLI_BLOBS, else nitro-cli's."},
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
        {"Make an eif image that AWS's init runs, on AWS Nitro Enclaves or here",
         "qt enclave make-img --docker-uri [DOCKER-URI] --eif [EIF] --nitro-compat --kernel [BLOBS]"},
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
