/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build-metadata.c - what an enclave image says about itself.  Nothing in it is measured, and nothing in it
 * may depend on the machine that built it.
 */
#include "lib/enclave/build-internal.h"
#include "lib/base/text.h"
#include "lib/eif/metadata.h"

#include <string.h>

/* Sources that are paths on this machine. */
static const char *const path_transports[] = {"oci:", "oci-archive:", "docker-archive:"};
static const char *const name_transports[] = {"docker-daemon:", "docker://"};

static const char *skip_prefix(const char *uri, const char *const *prefixes, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (string_starts_with(uri, prefixes[i]))
                        return uri + strlen(prefixes[i]);
        return NULL;
}

static bool is_path(const char *uri)
{
        return skip_prefix(uri, path_transports, ARRAY_SIZE(path_transports)) != NULL;
}

char *build_default_name(const char *uri)
{
        const char *path = skip_prefix(uri, path_transports, ARRAY_SIZE(path_transports));
        const char *name = skip_prefix(uri, name_transports, ARRAY_SIZE(name_transports));

        if (path) {
                size_t n = strcspn(path, ":");
                while (n > 1 && path[n - 1] == '/')
                        n--;
                size_t start = n;
                while (start > 0 && path[start - 1] != '/')
                        start--;
                return strndup(path + start, n - start);
        }
        name = name ? name : uri;
        size_t n = strcspn(name, "@");
        for (size_t i = n; i > 0 && name[i - 1] != '/'; i--)
                if (name[i - 1] == ':')
                        n = i - 1;
        return strndup(name, n);
}

/* A subset of what `docker inspect` prints that the image itself decides: not when it was pulled, nor where
 * to. */
static json_t *docker_info(const struct image *image)
{
        const struct image_config *config = image_config(image);
        char id[DIGEST_TEXT_MAX];
        json_error_t ignored;

        digest_format(image_id(image), id);
        json_t *raw = json_loadb((const char *)config->raw, config->raw_size, 0, &ignored);
        json_t *run = json_incref(json_object_get(raw, "config"));
        json_decref(raw);
        return json_pack("{s:s, s:o, s:s, s:s, s:s, s:o}", "Id", id, "RepoTags",
                         is_path(image_name(image)) ? json_array() : json_pack("[s]", image_name(image)),
                         "Created", config->created, "Architecture", config->architecture, "Os", config->os,
                         "Config", run ? run : json_object());
}

int build_metadata(const struct enclave_build_options *options, const struct image *image,
                   const struct kernel *kernel, struct buf *b, struct error *err)
{
        cleanup_free char *name = build_default_name(options->image);
        json_t *info = docker_info(image);
        char version[DIGEST_HEX_MAX];

        if (!name || !info) {
                json_decref(info);
                return error_oom(err);
        }
        digest_hex(image_id(image), version);
        int r = eif_metadata_encode(
                &(struct eif_metadata){
                        .image_name = options->name ? options->name : name,
                        .image_version = options->version ? options->version : version,
                        .build_time = options->build_time,
                        .build_tool = "coffer",
                        .build_tool_version = COFFER_VERSION,
                        .operating_system = kernel->operating_system,
                        .kernel_version = kernel->version,
                        .docker_info = info,
                        .custom = options->custom_metadata,
                },
                b, err);
        json_decref(info);
        return r;
}
