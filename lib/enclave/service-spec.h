/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service-spec.h - what a container and a process in an enclave are to be: the payloads of SETUP and CREATE
 * (service-protocol.h).
 *
 * Both are rows of records of
 *
 *     u8 tag, be32 length of the value, value
 *
 * with numbers in network byte order and texts ended by a NUL each.
 *
 *     container: SETUP             tag  value
 *     hostname, domainname         1, 2 text
 *     the root is read-only        3    none
 *     sysctl                       4    key with slashes, as below /proc/sys; value
 *     mount, in order              5    be64 MS_* flags; type, source, destination, data of mount(2);
 *                                       type "copied": what the image holds as copied folder `source`;
 *                                       type "own": the image's folder, as a mount of its own
 *     masked path, read-only path  6, 7 text
 *     file, in order               8    be32 mode; path; then the content, not ended
 *     control group file, in order 9    name of a cgroup v2 interface file; what is written to it
 *     device filter                10   eBPF program of type cgroup device: struct bpf_insn as Linux has it
 *                                       on x86-64, little-endian
 *
 *     process: CREATE
 *     argument, environment entry  1, 2 text, in order
 *     working folder               3    text, absolute
 *     user and group               4    be32 uid, be32 gid
 *     supplementary group          5    be32
 *     umask                        6    be32
 *     limit                        7    be32 RLIMIT_*, be64 soft, be64 hard
 *     capabilities                 8    be64 each: bounding, effective, inheritable, permitted, ambient
 *     no new privileges            9    none
 *     terminal                     10   be16 rows, be16 columns
 *     out-of-memory score          11   be32, two's complement
 *     seccomp filter               12   be32 SECCOMP_FILTER_FLAG_*; then struct sock_filter as Linux has it
 *                                       on x86-64, little-endian
 *
 * Encoders write records in the order of the tags; decoders take any order, refuse unknown tags, values of
 * another shape and anything beyond the limits below.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/error.h"

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
        SERVICE_LIST_MAX = 65536, /* members of any list */
        SERVICE_FILTER_MAX = BPF_MAXINSNS,
        SERVICE_DEVICE_FILTER_MAX = 65536 * 8, /* bytes */
        SERVICE_CAPABILITY_SETS = 5,
};

/* The types of mounts that aren't the kernel's. */
#define SERVICE_MOUNT_COPIED "copied"
#define SERVICE_MOUNT_OWN    "own"

struct service_sysctl {
        const char *key;
        const char *value;
};

struct service_mount {
        uint64_t flags;
        const char *type;
        const char *source;
        const char *destination;
        const char *data;
};

struct service_file {
        uint32_t mode; /* 07777 bits */
        const char *path;
        struct view content;
};

/* A limit of the container's control group: "pids.max" and "100". */
struct service_limit_file {
        const char *name;
        const char *value;
};

/* Strings belong to the builder, or, where it was decoded, to `bytes`; the arrays are the structure's. */
struct service_container {
        const char *hostname;   /* NULL: left as it is */
        const char *domainname; /* likewise */
        bool readonly_root;
        struct service_sysctl *sysctls;
        size_t n_sysctls;
        struct service_mount *mounts;
        size_t n_mounts;
        const char **masked_paths;
        size_t n_masked_paths;
        const char **readonly_paths;
        size_t n_readonly_paths;
        struct service_file *files;
        size_t n_files;
        struct service_limit_file *limits;
        size_t n_limits;
        struct view device_filter; /* of the builder or of `bytes`; n 0: all devices may be used */
        uint8_t *bytes;
};

struct service_limit {
        uint32_t resource;
        uint64_t soft;
        uint64_t hard;
};

/* As above.  argv and env are NULL-terminated; NULL while empty. */
struct service_process {
        const char **argv;
        size_t n_argv;
        const char **env;
        size_t n_env;
        const char *cwd;
        uint32_t uid;
        uint32_t gid;
        uint32_t *groups;
        size_t n_groups;
        uint32_t umask;
        struct service_limit *limits;
        size_t n_limits;
        uint64_t capabilities
                [SERVICE_CAPABILITY_SETS]; /* bounding, effective, inheritable, permitted, ambient */
        bool no_new_privileges;
        bool terminal;
        uint16_t rows;
        uint16_t columns;
        bool has_oom_score;
        int32_t oom_score;
        bool has_filter;
        uint32_t filter_flags;
        struct sock_filter *filter;
        size_t n_filter;
        uint8_t *bytes;
};

/* Free the arrays and what was decoded. Safe on zeroed ones. */
void service_container_done(struct service_container *container);
void service_process_done(struct service_process *process);
#define cleanup_service_container CLEANUP(service_container_done)
#define cleanup_service_process   CLEANUP(service_process_done)

/* Append an argument or an environment entry, which stays the caller's; argv and env stay NULL-terminated.
 * 0, -E2BIG past SERVICE_LIST_MAX or -ENOMEM. */
int service_process_add_arg(struct service_process *process, const char *arg);
int service_process_add_env(struct service_process *process, const char *entry);

/* Append the encoded form to `b`.  -E2BIG past SERVICE_SPEC_MAX (service-protocol.h), with the number of
 * bytes that it has, or -ENOMEM. */
int service_container_encode(const struct service_container *container, struct buf *b, struct error *err);
int service_process_encode(const struct service_process *process, struct buf *b, struct error *err);

/* Decode a whole payload.  What they return is the caller's, to be ended with the done functions.  -EBADMSG
 * says which record is wrong; a process has an argument and an absolute working folder at least. */
int service_container_decode(struct view payload, struct service_container *ret_container, struct error *err);
int service_process_decode(struct view payload, struct service_process *ret_process, struct error *err);
