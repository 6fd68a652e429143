/* SPDX-License-Identifier: Apache-2.0 */
/*
 * translate.h - a container's configuration (spec.h) as what an enclave is asked for (service-spec.h).
 *
 * What can't be the same inside is an error that names it, never something less:
 *
 *      bind mounts              refused: the host sees and changes what is in them, and the enclave can't.
 *                               Copied in, once, where the annotation enclave.vm.allow-host-mounts is "true".
 *                               Those that engines make themselves (/etc/hosts, /etc/hostname,
 *                               /etc/resolv.conf, /run/.containerenv) are copied in always; /dev/shm, and
 *                               the host's /proc, /sys and the like, become the enclave's own
 *      resources                memory and CPUs are the machine's; limits of processes, CPU time and devices
 *                               those of a control group inside
 *
 * and refused, or left out where the annotation enclave.vm.allow-unenforced is "true", what
 * translate-refuse.c, translate-resources.c and translate-mounts.c name.  man/libpal_vm.8 has the table of
 * all members.
 */
#pragma once

#include "lib/base/log.h"
#include "lib/container/arena.h"
#include "lib/container/spec.h"
#include "lib/enclave/service-spec.h"
#include "lib/image/ramdisk-folder.h"

enum { TRANSLATE_COPIES_MAX = 256 };

struct translated {
        struct service_container container;
        struct service_process process;   /* of the container; argv and env are empty */
        bool terminal;                    /* the process is to have one */
        int copies[TRANSLATE_COPIES_MAX]; /* O_PATH: what mounts of type "copied" stand for */
        size_t n_copies;
        struct ramdisk_id_range *uids; /* from the host's to the container's */
        size_t n_uids;
        struct ramdisk_id_range *gids;
        size_t n_gids;
        unsigned mem_mib;       /* 0: no limit given */
        unsigned cpus;          /* likewise */
        const char *host_cpus;  /* the host's CPUs that the machine may run on, "0-3,7"; NULL: any */
        bool allows_unenforced; /* enclave.vm.allow-unenforced */
};

/* Frees and closes all. */
void translated_done(struct translated *translated);
#define cleanup_translated CLEANUP(translated_done)

/* Translates.  Strings of the result are the arena's, as `spec` is; call it while the host's files are in
 * sight.  -ENOTSUP for what can't be, with the way out. */
int translate(const struct spec *spec, struct arena *arena, const struct log *log,
              struct translated *ret_translated, struct error *err);

/* Translates a further process of `container`: the filter of the first one is its, too.
 * *ret_process is ended with service_process_done(); its strings are those of `from`, argv and env
 * empty. */
int translate_further(const struct spec_process *from, const struct translated *container,
                      struct service_process *ret_process, struct error *err);
