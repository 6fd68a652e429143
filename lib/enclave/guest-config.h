/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-config.h - what enclave-init shall run: the file `enclave/config` of an image's application ramdisk.
 *
 * Written by `qt enclave make-img` and libpal_vm.so, read by enclave-init.  The file is a row of records,
 * each ended by a NUL byte, so that arguments and environment may hold anything that execve(2) accepts,
 * newlines and empty strings included:
 *
 *     coffer-guest-config 1        the format and its version, first
 *     serve=processes              instead of a command: run what the parent asks for (service-protocol.h)
 *     arg=TEXT                     once or more: the command, in order
 *     env=NAME=VALUE               any number, in order
 *     cwd=/PATH                    absolute
 *     uid=N  gid=N                 numbers, 0 to 4294967294
 *     group=N                      any number: supplementary groups
 *     stop-signal=N                1 to 64: what SHUTDOWN sends to the workload
 *     port=N                       any number: TCP ports bridged from vsock, 1 to 65535
 *     hostname=NAME
 *     end                          last; a file without it was cut
 *
 * The encoder writes them in this order; the decoder takes any order between first and last, refuses unknown
 * records, missing ones, repeated ones where one is meant, and anything beyond the limits below.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum {
        GUEST_CONFIG_MAX = 2 * 1024 * 1024, /* bytes of an encoded configuration */
        GUEST_CONFIG_STRINGS_MAX = 65536,   /* arguments, and environment entries */
        GUEST_CONFIG_NUMBERS_MAX = 1024,    /* groups, and ports */
        GUEST_CONFIG_STRING_MAX = 131071,   /* bytes of one of them: Linux' MAX_ARG_STRLEN, less the NUL */
        GUEST_CONFIG_HOSTNAME_MAX = 63,
};

/* Where the image's application ramdisk holds the files for enclave-init; it removes them before the workload
 * runs. */
#define GUEST_CONFIG_PATH "enclave/config"
#define GUEST_XATTRS_PATH "enclave/xattrs"

struct guest_config {
        bool serve;  /* there is no command, but the process service */
        char **argv; /* NULL-terminated, NULL while empty; array and strings are the configuration's */
        size_t n_argv;
        char **env; /* likewise, NAME=VALUE */
        size_t n_env;
        char *cwd;
        uint32_t uid;
        uint32_t gid;
        uint32_t *groups;
        size_t n_groups;
        unsigned int stop_signal;
        uint16_t *ports;
        size_t n_ports;
        char *hostname;
};

/* An empty configuration: uid and gid 0, SIGTERM; cwd and hostname NULL, encoded as "/" and "enclave". */
void guest_config_init(struct guest_config *config);

/* Frees all that the configuration holds. Safe on an initialised or half filled one. */
void guest_config_done(struct guest_config *config);
#define cleanup_guest_config CLEANUP(guest_config_done)

/* Append a copy of one argument, environment entry (NAME=VALUE), supplementary group or port (1 to 65535; one
 * that is there already is kept once). 0, -E2BIG past the limit, -EINVAL for what the format can't hold,
 * -ENOMEM. */
int guest_config_add_arg(struct guest_config *config, const char *arg, struct error *err);
int guest_config_add_env(struct guest_config *config, const char *entry, struct error *err);
int guest_config_add_group(struct guest_config *config, uint32_t gid, struct error *err);
int guest_config_add_port(struct guest_config *config, uint16_t port, struct error *err);

/* Set a copy of the working folder (absolute) or the host name (letters, digits, '-' and '.', at most
 * GUEST_CONFIG_HOSTNAME_MAX bytes). 0, -EINVAL, -ENOMEM. */
int guest_config_set_cwd(struct guest_config *config, const char *cwd, struct error *err);
int guest_config_set_hostname(struct guest_config *config, const char *hostname, struct error *err);

/* Appends the encoded form to `b`, whose ceiling should be GUEST_CONFIG_MAX or more. The same configuration
 * gives the same bytes. -EINVAL where there is no argument, or one beside `serve`, or a number is out of its
 * range; -E2BIG past GUEST_CONFIG_MAX. */
int guest_config_encode(const struct guest_config *config, struct buf *b, struct error *err);

/* Decodes a whole file. *ret_config is the caller's, to be ended with guest_config_done(). -EBADMSG names the
 * record. */
int guest_config_decode(struct view input, struct guest_config *ret_config, struct error *err);
