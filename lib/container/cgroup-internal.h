/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup-internal.h - what the parts of the control group code share: the host's hierarchies, the files of a
 * group, and the seam between "by file system" and "by systemd".
 *
 * Theory of operation.  A struct cgroup is a list of hierarchies: one for v2, one for each v1 controller
 * (or set of them, "cpu,cpuacct"), and on hybrid hosts the v2 one beside those.  Which they are and where
 * they are mounted is found out by cgroup_find_hierarchies(); which group in them is the container's is said
 * by cgroup_place(); then cgroup_make() makes the folders, and everything else names files as (hierarchy,
 * file).  A setting is written to the hierarchy that has its controller, in the words of that hierarchy's
 * version, so that v1, v2 and every mixture of them are one code path.
 *
 * A driver decides who makes the group.  By file system that is us; by systemd it is systemd, with the
 * first process, after which the group is placed where systemd says it is, and the rest is the same.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/fd.h"
#include "lib/container/cgroup-control.h"
#include "lib/container/cgroup.h"

/* Hierarchies that we look at; a kernel has about 14 controllers, and a few named hierarchies may come on
 * top. */
enum { CGROUP_HIERARCHIES_MAX = 32 };

/* Longest path of a group, and longest path of a file in one, with the NUL. */
enum { CGROUP_PATH_MAX = 2048, CGROUP_FILE_PATH_MAX = 4096 };

enum cgroup_controller {
        CGROUP_CPU,
        CGROUP_CPUACCT,
        CGROUP_CPUSET,
        CGROUP_MEMORY,
        CGROUP_DEVICES,
        CGROUP_FREEZER,
        CGROUP_IO, /* "blkio" in v1 */
        CGROUP_PIDS,
        CGROUP_HUGETLB,
        CGROUP_NET_CLS,
        CGROUP_NET_PRIO,
        CGROUP_RDMA,
        CGROUP_PERF_EVENT,
        CGROUP_MISC,
        CGROUP_CONTROLLERS,
};

struct cgroup_hierarchy {
        char *name;           /* "memory", "cpu,cpuacct", "systemd" (named), "unified"; v2 alone: "" */
        char *mountpoint;     /* "/sys/fs/cgroup/memory" */
        char *own;            /* our own group in it, as a path below the mountpoint; NULL: not asked */
        char *path;           /* the container's group, likewise: begins with "/", never is "/" */
        unsigned controllers; /* bit mask, 1 << enum cgroup_controller; v2: once asked for */
        bool asked;           /* v2: `controllers` is what cgroup.controllers of the group says */
        bool unified;         /* v2 */
        bool named;           /* v1 without a controller */
        unsigned made;        /* how many folders of `path` we have made, counted from its end */
        int fd;               /* the group's folder, O_PATH; -1: not open */
};

struct cgroup_driver;

struct cgroup {
        const struct cgroup_driver *driver;
        void *driver_data; /* the driver's own */
        const struct log *log;
        bool rootless;
        bool path_given; /* config.json named the group: then it isn't done without */
        bool unified;    /* v2 is all there is */
        bool fresh;      /* made by us and without device rules as yet */
        bool made_later; /* with its first process: placed, and not there yet */
        struct cgroup_hierarchy hierarchies[CGROUP_HIERARCHIES_MAX];
        size_t n;
};

struct cgroup_driver {
        const char *name; /* in the state file */

        /* As cgroup_create(), enter(), apply(), destroy() say; `cgroup` has its hierarchies, not yet
         * placed. */
        int (*create)(struct cgroup *cgroup, const struct cgroup_request *request, struct error *err);
        int (*enter)(struct cgroup *cgroup, pid_t pid, struct error *err);
        int (*apply)(struct cgroup *cgroup, const struct spec_resources *resources, struct error *err);
        int (*destroy)(struct cgroup *cgroup, struct error *err);

        /* Adds the driver's own members to the state's object, takes them from it; NULL: it has none. */
        int (*to_json)(const struct cgroup *cgroup, json_t *object);
        int (*from_json)(struct cgroup *cgroup, const json_t *object, struct error *err);

        /* Frees driver_data; NULL: it has none. */
        void (*done)(struct cgroup *cgroup);
};

extern const struct cgroup_driver cgroup_fs_driver;
extern const struct cgroup_driver cgroup_systemd_driver;
extern const struct cgroup_driver cgroup_none_driver;

/* ---- the host (cgroup-host.c) -------------------------------------------------------------------------- */

/* Where the host tells of its hierarchies.  Tests put a folder of their own here. */
struct cgroup_sources {
        const char *root;        /* "/sys/fs/cgroup" */
        const char *self_cgroup; /* "/proc/self/cgroup" */
        const char *mountinfo;   /* "/proc/self/mountinfo" */
};

extern const struct cgroup_sources cgroup_sources;

/* Finds the hierarchies: cgroup->hierarchies, n and unified.  No hierarchy at all is success. */
int cgroup_find_hierarchies(struct cgroup *cgroup, const struct cgroup_sources *sources, struct error *err);

/* Our own group in the hierarchy, asked for only where needed; the string is the hierarchy's. */
int cgroup_own_path(struct cgroup_hierarchy *hierarchy, const struct cgroup_sources *sources,
                    const char **ret_path, struct error *err);

/* The bit mask of a list of controllers, apart by any of `separators`; what we don't know is left out. */
unsigned cgroup_controllers_of(struct view list, const char *separators);

/* "memory"; the name is v1's where `unified` is false. */
const char *cgroup_controller_name(enum cgroup_controller controller, bool unified);

/* ---- groups by file system (cgroup-fs.c) --------------------------------------------------------------- */

/* `path` without "//", "." and "..", which never lead above the root, beginning with "/": into ret_path.
 * -ENAMETOOLONG. */
int cgroup_clean_path(const char *path, char ret_path[CGROUP_PATH_MAX], struct error *err);

/* Says that the container's group is `path` (absolute and clean) in this hierarchy, or in all of them. */
int cgroup_place_in(struct cgroup_hierarchy *hierarchy, const char *path, struct error *err);
int cgroup_place(struct cgroup *cgroup, const char *path, struct error *err);

/* Makes the placed group in this hierarchy where it isn't there, with what its parents must pass on (v2
 * controllers, v1 cpuset).  `resources` may be NULL. */
int cgroup_make_in(struct cgroup *cgroup, struct cgroup_hierarchy *hierarchy,
                   const struct spec_resources *resources, struct error *err);

/* Gives a v1 cpuset group, and those above it that have none, CPUs and memory nodes: what `resources` (or
 * NULL) says for itself, else its parent's. */
int cgroup_cpuset_inherit(const struct cgroup_hierarchy *hierarchy, const struct spec_resources *resources,
                          struct error *err);

/* The file system driver's own, for drivers that build on it. */
int cgroup_fs_enter(struct cgroup *cgroup, pid_t pid, struct error *err);
int cgroup_fs_apply(struct cgroup *cgroup, const struct spec_resources *resources, struct error *err);
int cgroup_fs_destroy(struct cgroup *cgroup, struct error *err);

/* Frees the hierarchy's strings and closes its descriptor. */
void cgroup_hierarchy_done(struct cgroup_hierarchy *hierarchy);

/* ---- files of a group (cgroup-file.c) ------------------------------------------------------------------ */

/* The path of `file` in the group; -ENAMETOOLONG. */
int cgroup_file_path(const struct cgroup_hierarchy *hierarchy, const char *file,
                     char ret_path[CGROUP_FILE_PATH_MAX]);

/* Opens a file of the group, close-on-exec: the caller's descriptor, or -errno. */
int cgroup_file_open(const struct cgroup_hierarchy *hierarchy, const char *file, int flags);

/* Writes `value` in one write. 0 or -errno. */
int cgroup_file_write(const struct cgroup_hierarchy *hierarchy, const char *file, const char *value);

/* The same with an error that names the file; cgroup_file_set_u64() writes a decimal number, and
 * cgroup_file_set_limit() one where a negative value is `none` ("max" or "-1"). */
int cgroup_file_set(const struct cgroup_hierarchy *hierarchy, const char *file, const char *value,
                    struct error *err);
int cgroup_file_set_u64(const struct cgroup_hierarchy *hierarchy, const char *file, uint64_t value,
                        struct error *err);
int cgroup_file_set_limit(const struct cgroup_hierarchy *hierarchy, const char *file, int64_t value,
                          const char *none, struct error *err);

/* Reads the file's beginning, at most size - 1 bytes, as a C string.  Its length, or -errno. */
ssize_t cgroup_file_read(const struct cgroup_hierarchy *hierarchy, const char *file, char *ret_text,
                         size_t size);

/* Reads the whole file (or what is left of `fd`), up to a ceiling of 32 MiB; *ret_b must be empty. 0 or
 * -errno. */
int cgroup_read_fd(int fd, struct buf *ret_b);
int cgroup_file_read_all(const struct cgroup_hierarchy *hierarchy, const char *file, struct buf *ret_b);

/* Reads a number, "max" being UINT64_MAX; or the one behind "key " in a file of such lines, -ENODATA where
 * there is no such line. 0 or -errno; -EBADMSG where it is no number. */
int cgroup_file_read_u64(const struct cgroup_hierarchy *hierarchy, const char *file, uint64_t *ret_value);
int cgroup_file_read_key(const struct cgroup_hierarchy *hierarchy, const char *file, const char *key,
                         uint64_t *ret_value);

/* An error that names the file of the group and what was to be written (NULL: it was to be read). */
int cgroup_file_error(const struct cgroup_hierarchy *hierarchy, const char *file, const char *value, int code,
                      struct error *err);

/* ---- what is in a group (cgroup-tree.c, cgroup-processes.c) -------------------------------------------- */

/* Gets a descriptor of a group's folder (not O_PATH), for the call only; 0, or -errno to end the walk. */
typedef int (*cgroup_visit_fn)(int fd, void *user);

/* Calls `visit` for the container's group in this hierarchy and for each below it, parents first.  Groups
 * that vanish meanwhile are passed over, and a missing one has nothing to visit. 0 or -errno. */
int cgroup_tree_visit(const struct cgroup_hierarchy *hierarchy, cgroup_visit_fn visit, void *user);

/* Removes the group and those below it. 0 (missing, too), or -errno; -EBUSY where a process is in one. */
int cgroup_tree_remove(const struct cgroup_hierarchy *hierarchy);

/* As cgroup_pids(), in one hierarchy. */
int cgroup_pids_in(const struct cgroup_hierarchy *hierarchy, pid_t **ret_pids, size_t *ret_n,
                   struct error *err);

/* Kills all in one hierarchy's group and below it, and waits, until `deadline` at most (clock_ms()), for them
 * to be gone. */
int cgroup_kill_in(struct cgroup *cgroup, struct cgroup_hierarchy *hierarchy, uint64_t deadline,
                   struct error *err);

/* ---- limits (cgroup-apply.c and what it calls) --------------------------------------------------------- */

/* The hierarchy that has a controller for the container's group, or NULL. */
struct cgroup_hierarchy *cgroup_with(struct cgroup *cgroup, enum cgroup_controller controller);

/* As cgroup_with(), with an error that names the controller and the setting that needs it. */
int cgroup_require(struct cgroup *cgroup, enum cgroup_controller controller, const char *setting,
                   struct cgroup_hierarchy **ret_hierarchy, struct error *err);

/* True where a limit asks for something of the host: "no limit" can be had without a controller. */
bool cgroup_resources_ask(const struct spec_resources *resources);

/* One facility each. What `resources` doesn't mention is left as it is. */
int cgroup_apply_memory(struct cgroup *cgroup, const struct spec_resources *resources, struct error *err);
int cgroup_apply_cpu(struct cgroup *cgroup, const struct spec_resources *resources, struct error *err);
int cgroup_apply_cpuset(struct cgroup *cgroup, const struct spec_resources *resources, struct error *err);
int cgroup_apply_pids(struct cgroup *cgroup, const struct spec_resources *resources, struct error *err);
int cgroup_apply_io(struct cgroup *cgroup, const struct spec_resources *resources, struct error *err);
int cgroup_apply_hugetlb(struct cgroup *cgroup, const struct spec_resources *resources, struct error *err);
int cgroup_apply_network(struct cgroup *cgroup, const struct spec_resources *resources, struct error *err);
int cgroup_apply_rdma(struct cgroup *cgroup, const struct spec_resources *resources, struct error *err);
int cgroup_apply_unified(struct cgroup *cgroup, const struct spec_resources *resources, struct error *err);
int cgroup_apply_devices(struct cgroup *cgroup, const struct spec_resources *resources, struct error *err);

/* v1's value in v2's terms: cpu.shares 2..262144 as cpu.weight 1..10000 (0: 0), such that 1024 is 100;
 * blkio.weight 10..1000 as io.weight 1..10000 (0: 0). */
uint64_t cgroup_weight_of_shares(uint64_t shares);
uint64_t cgroup_io_weight_of(uint64_t blkio_weight);

/* memory.swap.max of v2 for "memory plus swap" and "memory" of the specification, either of which may not be
 * set; not set: nothing is to be written; -1: no limit.  -EINVAL where they don't go together. */
int cgroup_swap_of(struct optional_i64 memory_and_swap, struct optional_i64 memory,
                   struct optional_i64 *ret_swap, struct error *err);
