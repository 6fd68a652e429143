/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec-names.h - the words of config.json and what they stand for: what the parser looks up, and what
 * `features` lists.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum spec_vocabulary {
        SPEC_NAMES_CAPABILITIES,       /* "CAP_CHOWN": capability number */
        SPEC_NAMES_HOOKS,              /* "prestart": index in struct spec_hooks */
        SPEC_NAMES_IO_CLASSES,         /* "IOPRIO_CLASS_BE": class of ioprio_set(2) */
        SPEC_NAMES_MEMORY_FLAGS,       /* "MPOL_F_STATIC_NODES": MPOL_F_* */
        SPEC_NAMES_MEMORY_MODES,       /* "MPOL_BIND": MPOL_* */
        SPEC_NAMES_MOUNT_OPTIONS,      /* "nosuid": no value */
        SPEC_NAMES_NAMESPACES,         /* "cgroup": enum spec_namespace_type */
        SPEC_NAMES_PERSONALITIES,      /* "LINUX32": PER_* */
        SPEC_NAMES_PROPAGATIONS,       /* "rslave": MS_SLAVE | MS_REC */
        SPEC_NAMES_RLIMITS,            /* "RLIMIT_NOFILE": RLIMIT_* */
        SPEC_NAMES_SCHEDULER_FLAGS,    /* "SCHED_FLAG_RECLAIM": SCHED_FLAG_* */
        SPEC_NAMES_SCHEDULER_POLICIES, /* "SCHED_FIFO": SCHED_* */
        SPEC_NAMES_SECCOMP_ACTIONS,    /* "SCMP_ACT_ERRNO": SCMP_ACT_*, without an errno */
        SPEC_NAMES_SECCOMP_ARCHS,      /* "SCMP_ARCH_X86_64": libseccomp's token */
        SPEC_NAMES_SECCOMP_FLAGS,      /* "SECCOMP_FILTER_FLAG_LOG": the flag; 0 for what needs none */
        SPEC_NAMES_SECCOMP_OPERATORS,  /* "SCMP_CMP_EQ": enum scmp_compare */
        SPEC_VOCABULARIES,
};

/* The `index`th word in the order of strcmp(3); NULL past the last one. */
const char *spec_name_at(enum spec_vocabulary vocabulary, size_t index);

/* What `name` stands for, exactly as it is written; false where it is none of these words. */
bool spec_name_value(enum spec_vocabulary vocabulary, const char *name, uint64_t *ret_value);

/* Writes the words, "A B C", to ret_text, which has `size` bytes (at least 1); what doesn't fit is left
 * out. */
void spec_names_list(enum spec_vocabulary vocabulary, char *ret_text, size_t size);
