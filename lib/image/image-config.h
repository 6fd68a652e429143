/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image-config.h - the configuration of a container image: what to run, as whom, with what.
 *
 * Format: OCI image specification v1.1, "Image Configuration"; Docker's schema 2 configuration has the same
 * members.
 */
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/base/view.h"
#include "lib/crypto/digest.h"

#include <stddef.h>
#include <stdint.h>

enum {
        IMAGE_CONFIG_SIZE_MAX = 4 * 1024 * 1024, /* bytes; containers/image has the same ceiling */
        IMAGE_LAYERS_MAX = 1024,
        IMAGE_STRINGS_MAX = 65536, /* members of any one list in it */
};

enum image_protocol {
        IMAGE_PROTOCOL_TCP,
        IMAGE_PROTOCOL_UDP,
        IMAGE_PROTOCOL_SCTP,
};

/* One exposed port, or a range ("8000-8010/tcp"): first <= last, first > 0. */
struct image_port {
        uint16_t first;
        uint16_t last;
        enum image_protocol protocol;
};

struct image_label {
        char *name;
        char *value;
};

/* Strings are never NULL ("" where the image says nothing); lists end with NULL and are never NULL.  No
 * string holds a NUL byte: such a configuration is refused. */
struct image_config {
        char *architecture; /* Go's names: "amd64", "arm64" */
        char *variant;      /* "v8" */
        char *os;           /* "linux" */
        char *created;      /* RFC 3339, as written there, unchecked */
        char **entrypoint;
        char **cmd;
        char **env;                       /* NAME=VALUE */
        char *working_dir;                /* as written there: may be "" or relative */
        char *user;                       /* "", "user", "uid", "user:group"...; not resolved */
        char *stop_signal;                /* "", "SIGTERM" or a number */
        struct image_port *exposed_ports; /* sorted by protocol, first, last */
        size_t n_exposed_ports;
        struct image_label *labels; /* sorted by name */
        size_t n_labels;
        struct digest *diff_ids; /* SHA-256 of each layer's uncompressed tar, bottom first */
        size_t n_diff_ids;
        uint8_t *raw; /* the bytes as they came */
        size_t raw_size;
};

/* Reads a configuration of at most IMAGE_CONFIG_SIZE_MAX bytes.  Refuses duplicate members, wrong types,
 * anything but rootfs.type "layers".  *ret_config is for image_config_done(). -EBADMSG with a text that names
 * the member. */
int image_config_parse(struct view json, struct image_config *ret_config, struct error *err);

/* Frees the members. Safe on an all-zero struct. */
void image_config_done(struct image_config *config);
#define cleanup_image_config CLEANUP(image_config_done)
