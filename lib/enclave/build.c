/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build.c - the order of work, and the sections of the file.
 *
 *     kernel      the bzImage
 *     cmdline     its command line
 *     metadata    for people
 *     ramdisk 0   the bootstrap: init, dev/, modules/NN-name.ko
 *     ramdisk 1   the application: enclave/config, enclave/xattrs, rootfs/...
 *     signature   where a signer is given
 *
 * With AWS's init (build-nitro.h) ramdisk 0 has init, dev/ and nsm.ko, and ramdisk 1 rootfs/..., cmd and env.
 */
#include "lib/enclave/build.h"
#include "lib/base/fd.h"
#include "lib/enclave/build-internal.h"
#include "lib/enclave/build-nitro.h"
#include "lib/enclave/build-parts.h"
#include "lib/enclave/guest-config.h"
#include "lib/enclave/nitro-blobs.h"
#include "lib/image/ramdisk.h"

#include <pthread.h>

/* No machine that runs enclaves has more memory to unpack an image into; what is larger is a sparse file that
 * lies. */
static const uint64_t IMAGE_SIZE_MAX = UINT64_C(1) << 40;

/* Holes cost a layer nothing, and the enclave image all that they pretend.  What grows by them is limited as
 * what grows when it is inflated (image.h). */
static const uint64_t HOLES_FLOOR = UINT64_C(1) << 30;
enum { HOLES_RATIO_MAX = 200 };

struct build {
        const struct enclave_build_options *options;
        struct image *image;
        struct image_tree *tree;
        struct build_parts parts;
        struct buf config; /* enclave/config */
        struct nitro_texts nitro;
        char *nitro_cmdline;
        struct buf metadata;
        pthread_mutex_t telling; /* layers are merged while others are fetched, and both tell */
};

static void build_done(struct build *build)
{
        build_parts_done(&build->parts);
        buf_done(&build->config);
        nitro_texts_done(&build->nitro);
        free(build->nitro_cmdline);
        buf_done(&build->metadata);
        image_tree_free(build->tree);
        image_free(build->image); /* ends its threads */
        pthread_mutex_destroy(&build->telling);
}
#define cleanup_build CLEANUP(build_done)

static void tell(struct build *build, struct enclave_build_progress progress)
{
        if (!build->options->progress)
                return;
        pthread_mutex_lock(&build->telling);
        build->options->progress(build->options->progress_user, &progress);
        pthread_mutex_unlock(&build->telling);
}

static void tell_image(void *user, const struct image_progress *progress)
{
        static const enum enclave_build_phase phases[] = {
                [IMAGE_PHASE_RESOLVE] = ENCLAVE_BUILD_RESOLVE,
                [IMAGE_PHASE_EXPORT] = ENCLAVE_BUILD_EXPORT,
                [IMAGE_PHASE_LAYERS] = ENCLAVE_BUILD_LAYERS,
        };

        tell(user, (struct enclave_build_progress){.phase = phases[progress->phase],
                                                   .part = progress->layer,
                                                   .n_parts = progress->n_layers,
                                                   .done = progress->done,
                                                   .total = progress->total});
}

static void tell_ramdisk(void *user, uint64_t done, uint64_t total)
{
        tell(user,
             (struct enclave_build_progress){.phase = ENCLAVE_BUILD_WRITE, .done = done, .total = total});
}

static int open_image(struct build *build, struct error *err)
{
        const struct image_options options = {
                .arch = build->parts.architecture->name,
                .registries = build->options->registries,
                .log = build->options->log,
                .progress = tell_image,
                .progress_user = build,
        };
        int r = image_open(build->options->image, &options, &build->image, err);

        if (r < 0)
                return r;
        r = build_check_config(image_config(build->image), build->parts.architecture, err);
        if (r < 0)
                error_wrap(err, "%s", build->options->image);
        return r;
}

/* What --debug is for: which parts the image is made of, as far as they were chosen and not named. */
static void say_sources(const struct build *build)
{
        const struct log *log = build->options->log;
        const struct kernel *kernel = &build->parts.kernel;
        char name[DIGEST_TEXT_MAX];

        log_debug(log, "kernel: %s, %s %s", kernel->image_path, kernel->operating_system, kernel->version);
        digest_format(image_id(build->image), name);
        log_debug(log, "image: %s is %s, of %zu layers", build->options->image, name,
                  image_layer_count(build->image));
}

static void say_merged(const struct build *build)
{
        struct image_tree_stats stats = image_tree_stats(build->tree);

        log_debug(build->options->log, "merged: %llu names, %llu bytes in files",
                  (unsigned long long)stats.n_nodes, (unsigned long long)stats.n_bytes);
}

static int merge_layers(struct build *build, struct error *err)
{
        size_t n = image_layer_count(build->image);
        char name[DIGEST_TEXT_MAX];
        int r = image_tree_new(&build->tree, err);

        for (size_t i = 0; r == 0 && i < n; i++) {
                cleanup_fd int tar = -1;
                r = image_fetch_layer(build->image, i, &tar, err);
                if (r < 0)
                        break;
                tell(build, (struct enclave_build_progress){
                                    .phase = ENCLAVE_BUILD_MERGE, .part = i + 1, .n_parts = n});
                digest_format(&image_config(build->image)->diff_ids[i], name);
                r = image_tree_apply_layer(build->tree, tar, (unsigned)i + 1, name, err);
                if (r < 0)
                        error_wrap(err, "%s", build->options->image);
                else
                        log_debug(build->options->log, "layer %zu of %zu: %s", i + 1, n, name);
        }
        return r;
}

static int check_size(const struct build *build, struct error *err)
{
        struct image_tree_stats stats = image_tree_stats(build->tree);
        uint64_t size = stats.n_bytes;

        if (size <= IMAGE_SIZE_MAX && size > HOLES_FLOOR && size / HOLES_RATIO_MAX > stats.n_stored)
                return error_set(err, -EFBIG,
                                 "%s: its files have %llu bytes in all, of which %llu are in its layers and "
                                 "the others are holes of sparse files: more than %d-fold",
                                 build->options->image, (unsigned long long)size,
                                 (unsigned long long)stats.n_stored, HOLES_RATIO_MAX);
        if (size <= IMAGE_SIZE_MAX)
                return 0;
        return error_set(err, -EFBIG, "%s: its files have %llu bytes in all, over the limit of %llu",
                         build->options->image, (unsigned long long)size, (unsigned long long)IMAGE_SIZE_MAX);
}

/* The texts that need the merged tree, and the folders that a running container has. */
static int prepare_texts(struct build *build, struct error *err)
{
        const struct image_config *config = image_config(build->image);
        cleanup_free char *cwd = build_working_dir(config);
        int r = cwd ? image_tree_add_mount_points(build->tree, err) : error_oom(err);

        if (r == 0)
                r = image_tree_make_dirs(build->tree, cwd, 0755, err);
        if (r == 0)
                r = build->options->nitro_blobs
                            ? nitro_texts_make(config, build->tree, build->options->log, &build->nitro, err)
                            : build_guest_config(config, build->tree, &build->config, err);
        if (r == 0)
                r = build_metadata(build->options, build->image, &build->parts.kernel, &build->metadata, err);
        if (r < 0)
                error_wrap(err, "%s", build->options->image);
        return r;
}

/* For our init. */
static int add_application(struct build *build, struct ramdisk *ramdisk, struct error *err)
{
        const struct ramdisk_attr folder = {.mode = 0700}, file = {.mode = 0600};
        int r = ramdisk_add_dir(ramdisk, "enclave", &folder, err);

        if (r == 0)
                r = ramdisk_add_xattrs(ramdisk, build->tree, GUEST_XATTRS_PATH, err);
        if (r == 0)
                r = ramdisk_add_tree(ramdisk, build->tree, "rootfs", tell_ramdisk, build, err);
        /* Last, for it tells enclave-init that all before it was unpacked; see guest-config.h. */
        if (r == 0)
                r = ramdisk_add_file(ramdisk, GUEST_CONFIG_PATH, &file, buf_view(&build->config), err);
        return r;
}

/* For AWS's: the same order, with the same effect. */
static int add_nitro_application(struct build *build, struct ramdisk *ramdisk, struct error *err)
{
        const struct ramdisk_attr file = {.mode = 0644};
        int r = ramdisk_add_tree(ramdisk, build->tree, "rootfs", tell_ramdisk, build, err);

        if (r == 0)
                r = ramdisk_add_file(ramdisk, "env", &file, buf_view(&build->nitro.env), err);
        if (r == 0)
                r = ramdisk_add_file(ramdisk, "cmd", &file, buf_view(&build->nitro.cmd), err);
        return r;
}

static int write_application(struct build *build, struct error *err)
{
        cleanup_ramdisk struct ramdisk *ramdisk = NULL;
        int r = build_parts_ramdisk(&build->parts, &ramdisk, err);

        if (r == 0)
                r = build->options->nitro_blobs ? add_nitro_application(build, ramdisk, err)
                                                : add_application(build, ramdisk, err);
        return r < 0 ? r : ramdisk_finish(ramdisk, err);
}

static int write_file(struct build *build, int fd, struct eif_pcrs *ret_pcrs, struct error *err)
{
        const char *given = build->options->cmdline;
        int r = build_parts_begin(&build->parts, fd, given ? given : build->nitro_cmdline,
                                  buf_view(&build->metadata), err);

        if (r == 0)
                r = write_application(build, err);
        return r < 0 ? r : eif_writer_finish(build->parts.writer, build->options->signer, ret_pcrs, err);
}

int enclave_build(const struct enclave_build_options *options, int fd, struct eif_pcrs *ret_pcrs,
                  struct error *err)
{
        cleanup_build struct build build = {
                .options = options,
                .parts = BUILD_PARTS_NONE,
                .config = buf_with_max(GUEST_CONFIG_MAX),
                .metadata = buf_with_max(EIF_METADATA_MAX),
                .telling = PTHREAD_MUTEX_INITIALIZER,
        };
        const struct architecture *architecture =
                options->architecture ? options->architecture : architecture_find(NULL);
        int r = options->nitro_blobs
                        ? nitro_blobs_open(options->nitro_blobs, architecture, &build.parts,
                                           &build.nitro_cmdline, err)
                        : build_parts_open(options->kernel, options->init, architecture, &build.parts, err);

        if (r == 0)
                r = open_image(&build, err);
        if (r == 0) {
                say_sources(&build);
                r = merge_layers(&build, err);
        }
        if (r == 0) {
                say_merged(&build);
                r = check_size(&build, err);
        }
        if (r == 0)
                r = prepare_texts(&build, err);
        return r < 0 ? r : write_file(&build, fd, ret_pcrs, err);
}
