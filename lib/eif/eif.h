/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eif.h - enclave image files (EIF): the format's numbers, and the reader.  The format in full: eif(5).
 *
 *     eif_open()               header, section table, section headers; each number is checked before its use
 *     eif_measure()            one pass over the payloads: PCRs, CRC, and the bytes for whoever boots them
 *     eif_verify_crc()         the file is whole
 *     eif_verify_signature()   (signature.h) the certificate's key signed what was measured
 *
 * A file can change while it is read.  So eif_measure() keeps what it decides on, and hands every payload
 * byte to the caller's sink as it measures it: boot the copy, never the file.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/cleanup.h"
#include "lib/base/error.h"
#include "lib/crypto/digest.h"

#include <stdbool.h>
#include <stdint.h>

enum {
        EIF_VERSION = 4, /* what is written; 2 and 3 are read too */
        EIF_VERSION_OLDEST = 2,
        EIF_HEADER_SIZE = 548,
        EIF_SECTION_HEADER_SIZE = 12,
        EIF_SECTIONS_MIN = 2,
        EIF_SECTIONS_MAX = 32,
        EIF_CMDLINE_MAX = 4096, /* bytes; the largest command line that a kernel of ours takes */
        EIF_SIGNATURE_MAX = 32768,
        EIF_METADATA_MAX = 4 * 1024 * 1024, /* ours: DockerInfo has no limit of its own */
        EIF_FLAG_AARCH64 = 1,
};

enum eif_section_type {
        EIF_SECTION_INVALID = 0,
        EIF_SECTION_KERNEL = 1,
        EIF_SECTION_CMDLINE = 2,
        EIF_SECTION_RAMDISK = 3,
        EIF_SECTION_SIGNATURE = 4,
        EIF_SECTION_METADATA = 5,
};

struct eif_section {
        enum eif_section_type type;
        uint64_t offset; /* of the section header, from the start of the file */
        uint64_t size;   /* of the payload, which begins EIF_SECTION_HEADER_SIZE bytes behind `offset` */
        bool stale;      /* a signature's: the table has the size of one that was there before */
};

struct eif_header {
        uint16_t version;
        uint16_t flags; /* EIF_FLAG_AARCH64 or 0 */
        uint64_t default_memory;
        uint64_t default_cpus;
        uint32_t crc;
        size_t n_sections;
        struct eif_section section[EIF_SECTIONS_MAX]; /* in the table's order, which is the file's */
        uint64_t file_size;
};

/* SHA-384 values as a verifier sees them outside debug mode. */
struct eif_pcrs {
        struct digest pcr0; /* kernel, command line, all ramdisks */
        struct digest pcr1; /* kernel, command line, first ramdisk */
        struct digest pcr2; /* the other ramdisks */
};

/* What one pass over a file found. */
struct eif_measured {
        struct eif_pcrs pcrs;
        uint32_t crc;       /* computed */
        struct buf cmdline; /* copies of the small sections, as measured; empty where there is none */
        struct buf metadata;
        struct buf signature;
};

struct eif;

/* Gets each piece of each payload, in file order, as it is measured. 0 goes on; a negative errno ends
 * eif_measure() with it (the sink sets the error). */
typedef int (*eif_sink_fn)(void *user, size_t section, struct view piece, struct error *err);

/* "kernel", "cmdline", "ramdisk", "signature", "metadata"; "unknown" for anything else. */
const char *eif_section_name(enum eif_section_type type);

/* Reads and checks header, table and section headers.  `fd` stays the caller's, is read with pread(2) and
 * must stay open as long as the result; regular files only.  -EBADMSG where the file is malformed, with the
 * defect, the number of the section (from 0, as in the table) and of the bytes.
 *
 * A section's size in the table and in its header must be the same, but for the signature, whose header
 * counts: AWS's tools sign a signed file anew without the new size in the table, and nearly each signature
 * has another (aws-nitro-enclaves-image-format 0.5, EifSigner::write_signature).  They read headers only.
 * What is measured doesn't depend on it. */
int eif_open(int fd, struct eif **ret_eif, struct error *err);

/* Releases it; not the descriptor. NULL-safe. */
void eif_free(struct eif *eif);
DEFINE_CLEANUP(cleanup_eif_p, struct eif *, eif_free)
#define cleanup_eif CLEANUP(cleanup_eif_p)

/* The header as read, checked. Belongs to eif. */
const struct eif_header *eif_header(const struct eif *eif);

/* The number of the nth section (from 0) of a type, or -1. */
int eif_find(const struct eif *eif, enum eif_section_type type, size_t nth);

/* Reads every payload once, in file order, in bounded memory.  `sink` may be NULL.  *ret_measured is to be
 * released with eif_measured_done().  A CRC that doesn't match is no error here: see eif_verify_crc(). */
int eif_measure(const struct eif *eif, eif_sink_fn sink, void *user, struct eif_measured *ret_measured,
                struct error *err);

/* Releases the copies. Safe on an empty struct. */
void eif_measured_done(struct eif_measured *measured);
#define cleanup_eif_measured CLEANUP(eif_measured_done)

/* 0 where the header's CRC is the measured one, else -EBADMSG with both. */
int eif_verify_crc(const struct eif *eif, const struct eif_measured *measured, struct error *err);
