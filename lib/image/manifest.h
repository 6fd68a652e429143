/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest.h - manifests and indexes of images.
 *
 * Formats: OCI image specification v1.1 (manifest.md, image-index.md, descriptor.md) and Docker's image
 * manifest version 2, schema 2, with its manifest list.  A document that could be read as both a manifest and
 * an index is refused (CVE-2021-41190).
 */
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/base/view.h"
#include "lib/crypto/digest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        MANIFEST_SIZE_MAX = 4 * 1024 * 1024,
        MANIFEST_INDEX_MAX = 1024, /* entries of an index */
        MANIFEST_NESTING_MAX = 4,  /* indexes inside indexes */
};

#define MANIFEST_TYPE_OCI         "application/vnd.oci.image.manifest.v1+json"
#define MANIFEST_TYPE_OCI_INDEX   "application/vnd.oci.image.index.v1+json"
#define MANIFEST_TYPE_DOCKER      "application/vnd.docker.distribution.manifest.v2+json"
#define MANIFEST_TYPE_DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"

/* A pointer to content.  Strings are never NULL ("" where absent). */
struct descriptor {
        char *media_type;
        bool has_digest; /* false only for layers of a docker-archive */
        struct digest digest;
        bool has_size;
        uint64_t size;
        char *architecture; /* platform, in an index */
        char *os;
        char *variant;
        char *ref_name; /* annotation org.opencontainers.image.ref.name, or io.containerd.image.name */
        char *member;   /* for a docker-archive: the name in the tar, which stands for the digest */
};

enum manifest_kind {
        MANIFEST_IMAGE, /* config and layers */
        MANIFEST_INDEX, /* manifests */
};

struct manifest {
        enum manifest_kind kind;
        struct descriptor config;    /* MANIFEST_IMAGE */
        struct descriptor *contents; /* layers, bottom first, or the index's manifests */
        size_t n_contents;
};

/* Reads a manifest or index of at most MANIFEST_SIZE_MAX bytes.  `media_type` is what the source says it is
 * (Content-Type, descriptor), "" where it says nothing; a type that contradicts the document is an error.
 * -EBADMSG, or -ENOTSUP for Docker schema 1 and for things that are no container image. */
int manifest_parse(struct view json, const char *media_type, struct manifest *ret_manifest,
                   struct error *err);

/* Whether `type` (a media type, parameters behind it ignored) says what kind of document something is, and
 * whether two say the same. */
bool manifest_type_is_known(const char *type);
bool manifest_type_same(const char *a, const char *b);

/* The entry of an index for linux on `arch`, plainest variant first; belongs to the index.  -ENOENT with a
 * text that lists what there is. */
int manifest_select(const struct manifest *index, const char *arch, const struct descriptor **ret_descriptor,
                    struct error *err);

/* Copies a descriptor; *ret_copy is for descriptor_done(). 0 or -ENOMEM. */
int descriptor_copy(const struct descriptor *d, struct descriptor *ret_copy);

/* Frees the members. Safe on an all-zero struct. */
void descriptor_done(struct descriptor *d);
#define cleanup_descriptor CLEANUP(descriptor_done)

/* Frees the members. Safe on an all-zero struct. */
void manifest_done(struct manifest *manifest);
#define cleanup_manifest CLEANUP(manifest_done)
