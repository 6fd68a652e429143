/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec.h - what config.json says, as values: OCI runtime-spec 1.0 to 1.3 (config.md, config-linux.md).
 *
 * Names are the specification's.  Parsing (spec-parse.h) has turned every word that has a number into it
 * (capabilities, flags, signals, limits), so that whoever carries a setting out needs no table.  All
 * memory, strings included, is the arena's.  An array is a pointer and a count; a string that config.json
 * doesn't give is NULL; a number that may be absent is an optional_*.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct optional_i64 {
        bool set;
        int64_t value;
};

struct optional_u64 {
        bool set;
        uint64_t value;
};

struct optional_bool {
        bool set;
        bool value;
};

/* "key": "value" members, in the order of the file. */
struct spec_pair {
        const char *key;
        const char *value;
};

struct spec_pairs {
        struct spec_pair *items;
        size_t n;
};

/* A NULL-terminated array of strings, ready for execve(2), and its length without the NULL. */
struct spec_strings {
        char **items;
        size_t n;
};

/* One line of a user namespace's map (user_namespaces(7)). */
struct spec_id_mapping {
        uint32_t container_id;
        uint32_t host_id;
        uint32_t size;
};

struct spec_id_mappings {
        struct spec_id_mapping *items;
        size_t n;
};

/* ---- process ------------------------------------------------------------------------------------------- */

struct spec_rlimit {
        int resource; /* RLIMIT_* */
        uint64_t soft;
        uint64_t hard;
};

/* Bit masks, bit N = capability number N.  Capabilities that this kernel doesn't know, or that we ourselves
 * lack, have been dropped with a warning. */
struct spec_capabilities {
        uint64_t bounding;
        uint64_t effective;
        uint64_t inheritable;
        uint64_t permitted;
        uint64_t ambient;
};

/* sched_setattr(2). */
struct spec_scheduler {
        uint32_t policy; /* SCHED_* */
        int32_t nice;
        uint32_t priority;
        uint64_t flags;   /* SCHED_FLAG_* */
        uint64_t runtime; /* nanoseconds, as the next two */
        uint64_t deadline;
        uint64_t period;
};

struct spec_process {
        bool terminal;
        bool has_console_size;
        uint16_t console_height; /* rows */
        uint16_t console_width;  /* columns */
        uint32_t uid;
        uint32_t gid;
        bool has_umask;
        mode_t umask;
        uint32_t *additional_gids;
        size_t n_additional_gids;
        struct spec_strings args; /* never empty where a process is to be run */
        struct spec_strings env;
        const char *cwd;       /* absolute */
        bool has_capabilities; /* false: all five sets are empty */
        struct spec_capabilities capabilities;
        struct spec_rlimit *rlimits;
        size_t n_rlimits;
        bool no_new_privileges;
        const char *apparmor_profile;
        const char *selinux_label;
        struct optional_i64 oom_score_adj;
        struct spec_scheduler *scheduler; /* or NULL */
        bool has_io_priority;
        uint16_t io_priority;                  /* as ioprio_set(2) takes it: class and data in one */
        const char *exec_cpu_affinity_initial; /* CPU lists, "0-3,7"; NULL where not given */
        const char *exec_cpu_affinity_final;
};

/* ---- mounts -------------------------------------------------------------------------------------------- */

/* What a mount option asks for beyond flags of mount(2) and mount_setattr(2). */
enum spec_mount_feature {
        SPEC_MOUNT_BIND = 1 << 0,      /* bind or rbind (or type "bind") */
        SPEC_MOUNT_RECURSIVE = 1 << 1, /* rbind */
        SPEC_MOUNT_REMOUNT = 1 << 2,   /* remount */
        SPEC_MOUNT_TMPCOPYUP = 1 << 3, /* the folder's content is copied into the fresh tmpfs */
        SPEC_MOUNT_IDMAP = 1 << 4,  /* idmap: mappings of the mount, or the container's where it has none */
        SPEC_MOUNT_RIDMAP = 1 << 5, /* ridmap: the same, for the whole tree */
        SPEC_MOUNT_COPY_SYMLINK =
                1 << 6, /* copy-symlink: a source that is a symlink is recreated, not mounted */
        SPEC_MOUNT_SRC_NOFOLLOW = 1 << 7,
        SPEC_MOUNT_DEST_NOFOLLOW = 1 << 8,
};

struct spec_mount {
        const char *destination; /* as given; a relative one counts from "/" */
        const char *type;        /* NULL: not given; bind mounts have "bind" */
        const char
                *source;   /* NULL: not given.  Relative ones of bind mounts have been joined to the bundle */
        unsigned features; /* enum spec_mount_feature */
        unsigned long flags;       /* MS_* of mount(2) that the options set: MS_RDONLY, MS_NOSUID, ... */
        unsigned long clear_flags; /* MS_* that they clear: rw, suid, ... */
        uint64_t rec_attr_set;     /* MOUNT_ATTR_* for the whole tree: rro, rnosuid, ... */
        uint64_t rec_attr_clr;     /* rrw, rsuid, ... */
        unsigned long propagation; /* MS_PRIVATE, MS_RSLAVE = MS_SLAVE | MS_REC, ...; 0: not given */
        const char *data;          /* the other options, joined by commas; NULL where none */
        struct spec_id_mappings uid_mappings;
        struct spec_id_mappings gid_mappings;
};

/* ---- hooks --------------------------------------------------------------------------------------------- */

struct spec_hook {
        const char *path;
        struct spec_strings args; /* empty: the path alone */
        struct spec_strings env;
        bool has_timeout;
        uint32_t timeout; /* seconds, above 0 */
};

struct spec_hook_list {
        struct spec_hook *items;
        size_t n;
};

struct spec_hooks {
        struct spec_hook_list prestart, create_runtime, create_container, start_container, poststart,
                poststop;
};

/* ---- Linux --------------------------------------------------------------------------------------------- */

/* The order in which existing namespaces are joined, but for the user namespace, which is first. */
enum spec_namespace_type {
        SPEC_NAMESPACE_USER,
        SPEC_NAMESPACE_PID,
        SPEC_NAMESPACE_IPC,
        SPEC_NAMESPACE_UTS,
        SPEC_NAMESPACE_NETWORK,
        SPEC_NAMESPACE_CGROUP,
        SPEC_NAMESPACE_TIME,
        SPEC_NAMESPACE_MOUNT,
        SPEC_NAMESPACE_TYPES,
};

struct spec_namespace {
        bool given;       /* listed in config.json: else the container shares ours */
        const char *path; /* NULL: a new one */
};

struct spec_time_offset {
        bool set;
        int64_t secs;
        uint32_t nanosecs;
};

struct spec_device {
        const char *path;
        mode_t type; /* S_IFCHR, S_IFBLK or S_IFIFO */
        uint32_t major;
        uint32_t minor;
        mode_t mode; /* permission bits; 0666 where not given */
        uint32_t uid;
        uint32_t gid;
};

struct spec_net_device {
        const char *host_name;
        const char *name; /* in the container; equal to host_name where not given */
};

enum spec_device_access {
        SPEC_ACCESS_READ = 1,
        SPEC_ACCESS_WRITE = 2,
        SPEC_ACCESS_MKNOD = 4,
};

/* One rule of the device controller.  Later rules win. */
struct spec_device_rule {
        bool allow;
        char type;                 /* 'a', 'b' or 'c' */
        struct optional_u64 major; /* not set: any */
        struct optional_u64 minor;
        unsigned access; /* enum spec_device_access */
};

struct spec_memory {
        struct optional_i64 limit, reservation, swap, kernel, kernel_tcp; /* bytes; -1: no limit */
        struct optional_u64 swappiness;                                   /* 0 to 100 */
        struct optional_bool disable_oom_killer, use_hierarchy, check_before_update;
};

struct spec_cpu {
        struct optional_u64 shares;
        struct optional_i64 quota; /* microseconds, as all the times here; -1: none */
        struct optional_u64 burst, period;
        struct optional_i64 realtime_runtime;
        struct optional_u64 realtime_period;
        const char *cpus, *mems; /* lists, "0-3,7" */
        struct optional_i64 idle;
};

struct spec_weight_device {
        uint32_t major, minor;
        struct optional_u64 weight, leaf_weight;
};

struct spec_throttle_device {
        uint32_t major, minor;
        uint64_t rate; /* bytes, or operations, each second */
};

struct spec_throttle_list {
        struct spec_throttle_device *items;
        size_t n;
};

struct spec_block_io {
        struct optional_u64 weight, leaf_weight;
        struct spec_weight_device *weight_devices;
        size_t n_weight_devices;
        struct spec_throttle_list read_bps, write_bps, read_iops, write_iops;
};

struct spec_hugepage_limit {
        const char *page_size; /* "2MB" */
        uint64_t limit;        /* bytes */
};

struct spec_interface_priority {
        const char *name;
        uint32_t priority;
};

struct spec_rdma {
        const char *device;
        struct optional_u64 hca_handles, hca_objects;
};

struct spec_resources {
        struct spec_device_rule *devices;
        size_t n_devices;
        struct spec_memory memory;
        struct spec_cpu cpu;
        struct optional_i64 pids_limit; /* -1 (or 0): no limit */
        struct spec_block_io block_io;
        struct spec_hugepage_limit *hugepage_limits;
        size_t n_hugepage_limits;
        struct optional_u64 network_class_id;
        struct spec_interface_priority *network_priorities;
        size_t n_network_priorities;
        struct spec_rdma *rdma;
        size_t n_rdma;
        struct spec_pairs unified; /* cgroup v2 file and what is written there */
};

struct spec_seccomp_arg {
        uint32_t index;
        uint64_t value;
        uint64_t value_two;
        int op; /* enum scmp_compare of libseccomp */
};

struct spec_seccomp_rule {
        struct spec_strings names;
        uint32_t action; /* SCMP_ACT_* with the errno in it */
        struct spec_seccomp_arg *args;
        size_t n_args;
};

struct spec_seccomp {
        uint32_t default_action;
        uint32_t *architectures; /* SCMP_ARCH_* tokens; the native one is always meant as well */
        size_t n_architectures;
        unsigned flags;   /* SECCOMP_FILTER_FLAG_* */
        bool flags_given; /* "flags" was there, if only as an empty list */
        const char *listener_path;
        const char *listener_metadata;
        struct spec_seccomp_rule *rules;
        size_t n_rules;
};

struct spec_intel_rdt {
        const char *clos_id;
        struct spec_strings schemata;
        const char *l3_cache_schema;
        const char *mem_bw_schema;
        bool enable_monitoring;
};

struct spec_memory_policy {
        int mode;        /* MPOL_* with the flags in it, as set_mempolicy(2) takes it */
        uint64_t *nodes; /* bit mask, n_nodes words; NULL where none */
        size_t n_nodes;
};

struct spec_linux {
        struct spec_namespace namespaces[SPEC_NAMESPACE_TYPES];
        struct spec_id_mappings uid_mappings, gid_mappings;
        struct spec_time_offset monotonic, boottime;
        struct spec_pairs sysctl; /* keys with dots, as given */
        const char *cgroups_path;
        struct spec_resources resources;
        struct spec_device *devices; /* as given; the default devices are not in it */
        size_t n_devices;
        struct spec_net_device *net_devices;
        size_t n_net_devices;
        struct spec_seccomp *seccomp;     /* or NULL */
        unsigned long rootfs_propagation; /* MS_*, with MS_REC for the r-forms; 0: not given */
        struct spec_strings masked_paths, readonly_paths;
        const char *mount_label;
        struct spec_intel_rdt *intel_rdt;         /* or NULL */
        struct spec_memory_policy *memory_policy; /* or NULL */
        bool has_personality;
        unsigned long personality; /* PER_* */
};

/* ---- the whole ----------------------------------------------------------------------------------------- */

struct spec {
        const char *version; /* "1.2.0": ociVersion */
        const char *rootfs;  /* absolute: root.path, joined to the bundle where relative */
        bool rootfs_readonly;
        struct spec_process *process; /* or NULL: a container that can be created and never started */
        const char *hostname;
        const char *domainname;
        struct spec_mount *mounts;
        size_t n_mounts;
        struct spec_hooks hooks;
        struct spec_pairs annotations;
        struct spec_linux linux;
        bool has_vm; /* there is a "vm", which nothing is taken from */
};

/* The value of an annotation, or NULL. */
const char *spec_annotation(const struct spec *spec, const char *key);
