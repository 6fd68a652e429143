/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reference.h - names of images, as people write them.
 *
 * The grammar is Docker's (distribution/reference): [DOMAIN/]PATH[:TAG][@DIGEST].  The first component is a
 * domain only where it has a dot, a colon or an upper-case letter, or is "localhost".  Without a domain it is
 * "docker.io"; a one-component path there gets "library/" before it; without tag and digest the tag is
 * "latest".  Stricter than there: a port is 1 to 65535, an address in brackets is one, and what has a dot or
 * a colon like a domain but is none isn't taken for a path.
 */
#pragma once

#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/crypto/digest.h"

#include <stdbool.h>

enum {
        REFERENCE_DOMAIN_MAX = 253 + 6, /* a host's name (RFC 1035, section 2.3.4) and a port */
        REFERENCE_PATH_MAX = 255,       /* the host doesn't count */
        REFERENCE_TAG_MAX = 128,
};

/* A normalised reference: domain and path are set; tag (NULL where absent), digest or both name the image. */
struct reference {
        char *domain; /* "docker.io", "localhost:5000", "[::1]:5000" */
        char *path;   /* "library/debian" */
        char *tag;
        bool has_digest; /* then the digest decides, whatever the tag */
        struct digest digest;
};

/* Parses and normalises. -EINVAL with a text that quotes the reference and says what is wrong. */
int reference_parse(const char *text, struct reference *ret_reference, struct error *err);

/* Frees the members. Safe on an all-zero struct. */
void reference_done(struct reference *reference);
#define cleanup_reference CLEANUP(reference_done)

/* "docker.io/library/debian:12" (":tag" and "@digest" where present) on the heap; NULL when out of memory. */
char *reference_format(const struct reference *reference);

/* True where the reference's domain is this machine: localhost, 127.0.0.0/8 or ::1, with any port. */
bool reference_domain_is_loopback(const char *domain);

/* The forms of image.h. */
enum image_transport {
        IMAGE_TRANSPORT_NAME, /* engine or registry */
        IMAGE_TRANSPORT_DOCKER_DAEMON,
        IMAGE_TRANSPORT_REGISTRY,
        IMAGE_TRANSPORT_DOCKER_ARCHIVE,
        IMAGE_TRANSPORT_OCI,
        IMAGE_TRANSPORT_OCI_ARCHIVE,
};

struct image_uri {
        enum image_transport transport;
        struct reference reference; /* for the first three; of docker-daemon:sha256:HEX the digest alone */
        char *path;                 /* for the others */
        char *selector;             /* REF, TAG or, for docker-archive, "@N"; NULL where absent */
};

/* Parses what --docker-uri takes.  Files and folders end at the first colon, as everywhere in this field; a
 * docker-archive's REF comes out normalised.  -EINVAL with a text that quotes `uri`. */
int image_uri_parse(const char *uri, struct image_uri *ret_uri, struct error *err);

/* Frees the members. Safe on an all-zero struct. */
void image_uri_done(struct image_uri *uri);
#define cleanup_image_uri CLEANUP(image_uri_done)
