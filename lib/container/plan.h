/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h - all that container-init needs to become the container's process, and how it talks while it does.
 *
 * Theory of operation.  `rune` never becomes a container's process.  It starts container-init, a small
 * static executable that it carries in itself and runs from a sealed memory file (so that /proc/self/exe in
 * a container is never a file of the host: CVE-2019-5736), and hands it two descriptors: an arena (arena.h)
 * whose root is a struct plan, and one end of a socket pair (SOCK_SEQPACKET).  Once only does a child of
 * rune look into a container's mount namespace, before anything of the container runs: for WANT_TREE, from
 * the host's PID namespace, for one open_tree(2).  The steps of a create, with who does them:
 *
 *      rune                                       container-init (cloned into a new PID namespace, v2 cgroup)
 *      ----                                       ---------------
 *      parse, plan, state folder, cgroup
 *      clone + exec         ------------------->  map arena, close what isn't listed
 *      limits, state file                         join namespaces with a path; user namespace
 *      write id maps        <-- WANT_ID_MAPS ---
 *                           --- GO ------------>  become root of it; the other namespaces; v1 cgroups
 *      move network devices,<-- NAMESPACES -----
 *      hooks of the runtime
 *                           --- GO ------------>  cgroup namespace, mounts
 *      opens what init can't<-- WANT_TREE ------
 *                           --- GO ------------>  more mounts, devices, hooks createContainer,
 *                                                 pivot_root, console, sysctls, masks, process attributes
 *      state "created"      <-- CREATED --------
 *                                                 waits on the exec fifo (create) or for GO (run)
 *                                                 seccomp, hooks startContainer, execve
 *      knows that it runs   <-- end of socket --  (close-on-exec)
 *
 * ERROR may come instead of any message; it carries the text that the user reads.  The end of the socket
 * without CREATED means that init was killed.  A filter with a listener is loaded, and the listener sent,
 * before CREATED, so that whoever makes the container can hand it on.
 *
 * A new user namespace is made by init: whoever executes a program in one without id maps loses all rights
 * in it (capabilities(7)), and the program's memory would belong to that namespace's root.  A PID namespace
 * is best made, or joined, by rune around its clone.  One that must belong to a user namespace can't: then
 * init makes or joins it, clones its successor with CLONE_PARENT (so it is rune's child as well) and ends
 * with status 0; the successor's first message is PID.
 *
 * The exec fifo: init opens it for writing, which waits for `start` to open it for reading.  End of file
 * without a byte means that the payload executes; else there is one message as on the socket, an ERROR.
 * An exec and a `run` have no fifo: there init waits for GO behind CREATED.
 *
 * An exec has the messages CREATED and GO alone (and PID, SECCOMP_LISTENER, CONSOLE, ERROR, WARNING).
 *
 * Enclaves.  Where the plan has one, another executable takes the place of container-init: runelet, which
 * does all of the above and then executes nothing, but calls a PAL (include/coffer/pal.h,
 * runelet/runelet.h).  Its first messages are those of the PAL's loading, while the process is still
 * outside of the container's groups; CALL comes before each call of the PAL, so that rune can say where the
 * PAL ended the process or hung.
 *
 *      load, pal_prepare            CALL, ANNOTATION...
 *      into its groups         <--- PREPARED ----
 *                              ---- GO --------->  on as above
 *      pal_init                     CALL, then CREATED as above
 *      pal_create_process           CALL, then RUNNING, by the exec fifo or the socket, which ends behind it
 *
 * An end without RUNNING is a failed start there; a process that a PAL ends says so by LAST
 * (runelet/last-words.h), as whoever reads the fifo may not be the one to wait for it.  An exec's runelet
 * connects to the one that is the container's first process, by agent_fd (runelet/agent.h).
 */
#pragma once

#include "lib/container/enclave-settings.h"
#include "lib/container/spec.h"

#include <linux/filter.h>

/* rune carries container-init in itself, so both are of one build.  This is for those who take them apart: a
 * plan whose struct has another size is another build's. */
#define PLAN_VERSION ((uint32_t)sizeof(struct plan))

enum plan_message {
        PLAN_PID = 'P',          /* init: text, decimal pid of the successor as rune's PID namespace has it */
        PLAN_WANT_ID_MAPS = 'U', /* init: the user namespace is there, /proc/<pid>/uid_map is to be written */
        PLAN_NAMESPACES = 'N',   /* init: all namespaces are there */
        /* init: text, the number of a mount, with the mount namespace as SCM_RIGHTS.  The GO that answers has
         * the source as a detached mount, id-mapped where asked, or nothing where init is to try the path. */
        PLAN_WANT_TREE = 'M',
        PLAN_CREATED = 'C',          /* init: nothing is left but to wait for the start */
        PLAN_SECCOMP_LISTENER = 'S', /* init: with the listener as SCM_RIGHTS */
        PLAN_CONSOLE = 'T',          /* init: with the pty's master, where no console socket was given */
        PLAN_ERROR = 'E',            /* init: be32 positive errno, text */
        PLAN_WARNING = 'W',          /* init: text, for the log */
        PLAN_CALL = 'L',             /* runelet: text, what it calls in the PAL now: "pal_init of /x.so" */
        PLAN_ANNOTATION = 'A',       /* runelet: text, "key=value" for the container's state */
        PLAN_PREPARED = 'R',         /* runelet: the PAL has what it needs of the host */
        PLAN_RUNNING = 'X',          /* runelet: the enclave's process is made and runs now */
        PLAN_LAST = 'D',             /* runelet: text, the status that it ends with, as of waitpid(2) */
        PLAN_GO = 'G',               /* rune */
};

/* Longest message, its type byte included. */
enum { PLAN_MESSAGE_MAX = 2048 };

/* One hierarchy as the container sees it below a mount of type "cgroup". */
struct plan_cgroup_hierarchy {
        const char *name;       /* folder and option: "memory", "cpu,cpuacct", "systemd" (named), "unified" */
        const char *mountpoint; /* of the host */
        const char *path;       /* the container's own group in it, "/docker/<id>" */
};

struct plan_cgroup {
        bool unified; /* v2 alone: one hierarchy, whose name is "" */
        struct plan_cgroup_hierarchy *hierarchies;
        size_t n;
};

/* A filter as the kernel takes it (seccomp(2)); n 0: none. */
struct plan_seccomp {
        struct sock_filter *filter;
        size_t n;
        unsigned flags;  /* SECCOMP_FILTER_FLAG_* */
        bool has_notify; /* a listener is made and sent as PLAN_SECCOMP_LISTENER */
};

/* A mount whose source only rune can open or map, since the container's root may not. */
struct plan_mount {
        bool by_rune; /* init asks with PLAN_WANT_TREE when its turn comes */
};

enum plan_job {
        PLAN_JOB_CREATE, /* a new container */
        PLAN_JOB_EXEC,   /* a further process in a running one */
};

/* What an enclave's process needs beyond a container's. */
struct plan_enclave {
        const struct enclave_settings *settings;
        const char *config; /* text of config.json; create only */
        size_t config_size;
        char *process; /* text of the process object; exec only */
        int agent_fd;  /* create: the listening socket; exec: connected to it */
};

struct plan {
        uint32_t version; /* PLAN_VERSION */
        enum plan_job job;
        const struct spec *spec;
        const struct spec_process *process; /* what is run: spec->process or that of an exec */
        const char *id;
        const char *bundle;

        /* Descriptors, by the numbers that init has them under; -1: none. */
        int sync_fd;
        int exec_fifo_fd;      /* O_PATH; create only */
        int console_socket_fd; /* connected */
        int rootfs_fd;         /* O_PATH of spec->rootfs; of an exec where it shares the host's mounts only */
        /* To be joined; that of PIDs only where init has to fork for it. */
        int namespace_fds[SPEC_NAMESPACE_TYPES];
        int host_proc_fd; /* "/proc" of the host, O_PATH, checked to be a procfs */
        int *tasks_fds;   /* cgroup_open_tasks(): init writes "0" to each first of all */
        size_t n_tasks_fds;
        struct plan_mount *mounts; /* one for each of spec->mounts; NULL: init makes all by itself */

        /* A process (-1: none) whose namespaces of these kinds (CLONE_NEW*) are joined in one call; its pid
         * is for kernels before 5.8, which take them one by one from host_proc_fd. */
        int target_pidfd;
        pid_t target_pid;
        unsigned long target_namespaces;

        unsigned long new_namespaces; /* CLONE_NEW* that init makes by itself; with CLONE_NEWPID it forks */
        bool new_user_namespace;      /* ask for id maps first */
        bool rootless; /* rune itself isn't the host's root: what only root can do is left out quietly */
        bool setgroups_denied; /* the user namespace forbids setgroups(2) */
        bool no_pivot;
        bool no_new_keyring;
        size_t preserve_fds; /* descriptors 3 .. 3+n-1 are the payload's */
        struct plan_cgroup cgroup;
        struct plan_seccomp seccomp;
        struct plan_enclave *enclave; /* NULL: a plain container */
        /* The state as JSON for the hooks createContainer and startContainer; written by rune before GO. */
        const char *hook_states[2];
        const char *cpu_affinity_initial, *cpu_affinity_final;
};
