/* SPDX-License-Identifier: Apache-2.0 */
/*
 * registry-auth.h - credentials for registries: where people keep them, and what a registry asks for.
 *
 * Files: containers-auth.json(5) and Docker's config.json: {"auths": {"HOST[/NAMESPACE[/REPOSITORY]]":
 * {"auth": base64(USER:PASSWORD), "identitytoken": ...}}}.  Helper programs ("credHelpers": {HOST: NAME},
 * "credsStore": NAME; credential-helper.h) are run only where the caller says so.  Challenges: RFC 7235 and
 * the distribution project's token specification.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/view.h"

#include <stdbool.h>

enum { AUTHFILE_SIZE_MAX = 1024 * 1024 };

/* All NULL: anonymous.  Strings are wiped when freed. */
struct registry_credentials {
        char *user;
        char *password;
        char *identity_token; /* instead of a password */
};

/* Where to look. */
struct registry_credentials_places {
        const char *authfile; /* NULL: the usual places */
        bool run_helpers;
        const struct log *log;
};

/* Looks for `domain`/`path` in places->authfile, or where that is NULL in $REGISTRY_AUTH_FILE, else in
 * $XDG_RUNTIME_DIR/containers/auth.json, $XDG_CONFIG_HOME/containers/auth.json (or below ~/.config) and
 * $DOCKER_CONFIG/config.json (or below ~/.docker), in this order; within a file the host's own helper comes
 * first where helpers may be run, then the most specific key, then the helper for all.  A file named by
 * argument or REGISTRY_AUTH_FILE must exist.  Nothing found is success, with all members NULL. -EBADMSG for a
 * malformed file, with its name; a helper's failures but "none". */
int registry_credentials_find(const struct registry_credentials_places *places, const char *domain,
                              const char *path, struct registry_credentials *ret_credentials,
                              struct error *err);

/* What one file has to say about a registry. */
struct registry_credentials_entry {
        struct registry_credentials credentials; /* all NULL where "auths" has none */
        char *helper;                            /* the program that is named for this host, or NULL */
        char *common_helper;                     /* the one for all hosts, or NULL */
};

/* Reads the text of one such file; *ret_entry is for registry_credentials_entry_done(). -EBADMSG. */
int registry_credentials_parse(struct view json, const char *domain, const char *path,
                               struct registry_credentials_entry *ret_entry, struct error *err);

/* Wipes and frees the members. Safe on an all-zero struct. */
void registry_credentials_entry_done(struct registry_credentials_entry *entry);
#define cleanup_registry_credentials_entry CLEANUP(registry_credentials_entry_done)

/* Wipes and frees the members. Safe on an all-zero struct. */
void registry_credentials_done(struct registry_credentials *credentials);
#define cleanup_registry_credentials CLEANUP(registry_credentials_done)

enum auth_scheme {
        AUTH_NONE, /* nothing that we know */
        AUTH_BASIC,
        AUTH_BEARER,
};

/* Strings are NULL where absent. */
struct auth_challenge {
        enum auth_scheme scheme;
        char *realm;
        char *service;
        char *scope;
};

/* Reads the values of WWW-Authenticate headers, one per line, and gives the best scheme offered (Bearer
 * before Basic); unknown schemes are passed over.  -EBADMSG for a Bearer without realm. */
int auth_challenge_parse(const char *headers, struct auth_challenge *ret_challenge, struct error *err);

/* Frees the members. Safe on an all-zero struct. */
void auth_challenge_done(struct auth_challenge *challenge);
#define cleanup_auth_challenge CLEANUP(auth_challenge_done)

/* "Basic base64(user:password)" on the heap, for the caller to wipe and free; NULL when out of memory. */
char *auth_basic_header(const struct registry_credentials *credentials);

/* Overwrites and frees a string. NULL-safe. */
void auth_wipe_string(char *s);
DEFINE_CLEANUP(cleanup_secret_p, char *, auth_wipe_string)
#define cleanup_secret CLEANUP(cleanup_secret_p)

/* Overwrites and frees a buffer's content. */
void auth_wipe_buf(struct buf *b);
#define cleanup_secret_buf CLEANUP(auth_wipe_buf)
