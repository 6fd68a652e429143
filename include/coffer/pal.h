/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pal.h - the interface between `rune` and the plug-ins that know a kind of enclave: platform abstraction
 * layers, PALs.  It is the only public header of Coffer; docs/pal.md walks through a PAL made from it.
 *
 * A PAL is a shared object that exports the functions below with C linkage.  `rune` loads it by the path
 * that the container's configuration names (ENCLAVE_RUNTIME_PATH, or the annotation
 * enclave.runtime.path), from the host's file system, into a process of the container's own, which then never
 * executes another program: it is the container's first process, and the PAL runs in it.
 *
 * Versions.  pal_get_version() says which of three interfaces a PAL has; one without that function has
 * version 1.
 *
 *                              version 1         version 2         version 3
 *      pal_get_version         may be there      must              must
 *      pal_init                must (v1)         must (v1)         must (v3)
 *      pal_create_process      -                 must              must
 *      pal_exec                must (v1)         must (v2)         must (v2)
 *      pal_kill                -                 must              must
 *      pal_get_local_report    -                 -                 must
 *      pal_destroy             must              must              must
 *
 *      pal_prepare, pal_describe_process, pal_last_error          may be there in any
 *
 * Structures have the natural alignment of the machine and pointers as members, as all PALs that were ever
 * shipped have them; the older text that calls some of them packed was never true.
 *
 * Order, and what a call sees:
 *
 *      loading           host's root, the rights of whoever called `rune`.  Constructors run.
 *      pal_prepare       as loading.  The container's namespaces aren't there yet.
 *      pal_init          the container's root, user, working folder, rights; `create` waits for it
 *      pal_create_process, pal_exec              the same; `start` waits for the first
 *      pal_destroy       the same; when pal_exec has returned, or its container is asked to end
 *
 * The process' own environment has XDG_RUNTIME_DIR and COFFER_STATE_DIR, as `rune`'s caller has them, and
 * nothing else; the container's comes with pal_create_process.
 *
 * Calls come one after the other, with these exceptions, which may come from other threads while pal_exec
 * runs: pal_kill; pal_get_local_report; and, for each `rune exec`, pal_create_process and pal_exec.
 *
 * Results.  0 is success, a negative errno failure: -ENOENT (a file of the enclave's is missing), -EACCES,
 * -ENOEXEC (it isn't one), -ENOMEM, -EINVAL (arguments, state) and so on.  Positive values, which some PALs
 * return by mistake, count as failure, too.  The user reads pal_last_error(), or else the text of the errno,
 * behind the PAL's path and the call's name.
 *
 * A PAL must not call exit(), must not start a thread before pal_init, and must not close descriptors that
 * it did not open.  From pal_create_process on it gets no signals of its own: the caller takes them and
 * hands them on by pal_kill.  Faults of its own code (SIGSEGV and the like) it may handle.  What it writes
 * to descriptors 1 and 2 is the container's output.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PAL_VERSION_MAX 3

/* Of one process of the enclave: descriptors, the caller's; the PAL may use them until pal_exec() has
 * returned for that process.  They may be a terminal. */
struct pal_stdio_fds {
        int stdin, stdout, stderr;
};

/* pal_init(), versions 1 and 2.  Strings are the caller's and live until the call returns. */
struct pal_attr_v1 {
        const char *args;      /* of the configuration; words are apart by spaces; "" where there are none */
        const char *log_level; /* "trace" "debug" "info" "warning" "error" "fatal" "panic" "off" */
};

/* pal_init(), version 3. The first two members are those of version 1. */
struct pal_attr_v3 {
        const char *args;
        const char *log_level;
        int fd;        /* an enclave that a pool had ready; -1: none, make one */
        uint64_t addr; /* where it is mapped; 0: nowhere */
};

/* pal_create_process(), versions 2 and 3. Arrays end with NULL. */
struct pal_create_process_args {
        char *path; /* of the program, as the container's PATH finds it, else argv[0] */
        char **argv;
        char **env; /* "NAME=value"; nothing that configures the enclave itself */
        const struct pal_stdio_fds *stdio;
        int *pid; /* out: names the process to pal_exec() and pal_kill(); above 0, any number the PAL likes */
};

/* pal_exec(), versions 2 and 3. */
struct pal_exec_args {
        int pid;
        int *exit_value; /* out: 0 to 255; 128 + n where signal n ended it */
};

/* pal_kill(): whom, beside a process's number. */
#define PAL_KILL_ALL     (-1)
#define PAL_KILL_CURRENT 0

/* Sizes of Intel SGX' structures TARGETINFO and REPORT, in bytes. */
#define PAL_TARGETINFO_SIZE 512
#define PAL_REPORT_SIZE     432

/* pal_prepare(): Coffer's addition, for PALs that need the host: to start a machine, to open files there.
 * Strings and descriptors are the caller's and live until the call returns. */
struct pal_prepare_args {
        size_t size;           /* of this structure as the caller knows it: look no further */
        const char *args;      /* as pal_init() gets them */
        const char *log_level; /* likewise */
        const char *id;        /* of the container */
        const char *bundle;    /* absolute path of its bundle */
        const char *config;    /* text of its config.json, as it lies in the bundle */
        size_t config_size;    /* bytes, without the NUL behind them */
        int rootfs_fd;         /* O_PATH: the root file system before anything is mounted into it */
        /* Tells something about the enclave, as its measurements, to whoever asks for the container's state:
         * an annotation there.  0 or a negative errno. */
        int (*annotate)(void *cookie, const char *key, const char *value);
        void *cookie;
};

/* ---- what a PAL exports -------------------------------------------------------------------------------- */

/* Which interface: 1 to PAL_VERSION_MAX. */
typedef int (*pal_get_version_fn)(void);

/* Gets the host ready. */
typedef int (*pal_prepare_fn)(const struct pal_prepare_args *args);

/* Makes the enclave; returns when it is ready to run a process. */
typedef int (*pal_init_v1_fn)(const struct pal_attr_v1 *attr);
typedef int (*pal_init_v3_fn)(const struct pal_attr_v3 *attr);

/* What the next process that this thread makes is to be, where it is a further one (`rune exec`):
 * `process` is the text of a process object (runtime-spec, config.md, "Process") of `size` bytes, with
 * its user, groups, folder, rights, limits, labels and scheduling.  Coffer's addition; a PAL without it
 * has further processes be as the first, whose object is in config.json. */
typedef int (*pal_describe_process_fn)(const char *process, size_t size);

/* Makes a process in the enclave, which doesn't run yet; its number goes to *args->pid. */
typedef int (*pal_create_process_fn)(struct pal_create_process_args *args);

/* Runs a process to its end. In version 1 there is one, made by the call itself. */
typedef int (*pal_exec_v1_fn)(char *path, char *argv[], struct pal_stdio_fds *stdio, int *exit_code);
typedef int (*pal_exec_v2_fn)(struct pal_exec_args *args);

/* Passes signal `sig` on to the process `pid`, to all (PAL_KILL_ALL), or to the first (PAL_KILL_CURRENT). */
typedef int (*pal_kill_fn)(int pid, int sig);

/* A report of the enclave for the target (TARGETINFO, of PAL_TARGETINFO_SIZE; NULL and 0: for itself).
 * *report_len is the room in bytes, then what was written. */
typedef int (*pal_get_local_report_fn)(void *targetinfo, int targetinfo_len, void *report, int *report_len);

/* Ends the enclave and frees all of it. */
typedef int (*pal_destroy_fn)(void);

/* Why this thread's last call failed, one sentence part without a final dot, for people; NULL or "": the
 * errno says it all.  The text lives until the thread's next call. */
typedef const char *(*pal_last_error_fn)(void);

/* A PAL that defines PAL_VERSION before it includes this has its functions declared, so that the compiler
 * compares. */
#ifdef PAL_VERSION
int pal_get_version(void);
int pal_prepare(const struct pal_prepare_args *args);
int pal_describe_process(const char *process, size_t size);
#if PAL_VERSION == 3
int pal_init(const struct pal_attr_v3 *attr);
#else
int pal_init(const struct pal_attr_v1 *attr);
#endif
#if PAL_VERSION == 1
int pal_exec(char *path, char *argv[], struct pal_stdio_fds *stdio, int *exit_code);
#else
int pal_create_process(struct pal_create_process_args *args);
int pal_exec(struct pal_exec_args *args);
int pal_kill(int pid, int sig);
#endif
#if PAL_VERSION == 3
int pal_get_local_report(void *targetinfo, int targetinfo_len, void *report, int *report_len);
#endif
int pal_destroy(void);
const char *pal_last_error(void);
#endif

#ifdef __cplusplus
}
#endif
