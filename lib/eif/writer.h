/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer.h - writes an enclave image file in one pass and bounded memory.
 *
 *     eif_writer_new(fd, ...)
 *     eif_writer_section(w, EIF_SECTION_KERNEL)     kernel, cmdline, metadata, ramdisks, in this order
 *     eif_writer_write(w, ...)                      as often as wanted: the size need not be known before
 *     ...
 *     eif_writer_finish(w, signer, &pcrs)           signature, sizes, CRC, header
 *
 * PCRs and CRC are updated on the way.  Until finish the file begins with zeros, so a half-written one is
 * nobody's image.  An existing file is signed by eif_resign() (resign.h).
 */
#pragma once

#include "lib/eif/eif.h"

struct eif_writer;
struct certificate;
struct private_key;

/* Who signs, here or elsewhere. All of it belongs to the caller, who has checked that the certificate is
 * valid; that the signature verifies under it is checked before it is written. */
struct eif_signer {
        const struct certificate *certificate;
        const struct private_key *key; /* NULL: `signature` was made elsewhere */
        struct view signature;         /* then: r and s one after the other, of eif_signature_to_sign() */
};

/* Starts at offset 0 of `fd`, a regular file that is empty, open for writing, and stays the caller's. `flags`
 * is 0 (x86_64) or EIF_FLAG_AARCH64. */
int eif_writer_new(int fd, uint16_t flags, struct eif_writer **ret_writer, struct error *err);

/* Releases it, finished or not. NULL-safe. */
void eif_writer_free(struct eif_writer *writer);
DEFINE_CLEANUP(cleanup_eif_writer_p, struct eif_writer *, eif_writer_free)
#define cleanup_eif_writer CLEANUP(cleanup_eif_writer_p)

/* Ends the section before and begins one of `type`; not EIF_SECTION_SIGNATURE, which finish makes.  -EINVAL
 * where the format doesn't allow it here. */
int eif_writer_section(struct eif_writer *writer, enum eif_section_type type, struct error *err);

/* Appends n bytes to the section.  -E2BIG past what its type may hold.  After an error the writer only takes
 * eif_writer_free(). */
int eif_writer_write(struct eif_writer *writer, const void *p, size_t n, struct error *err);

/* Appends n bytes of another file from `offset`.  -ENODATA where it ends first. */
int eif_writer_copy(struct eif_writer *writer, int fd, uint64_t offset, uint64_t n, struct error *err);

/* Ends the last section, adds the signature section where `signer` is not NULL, and writes all sizes, the CRC
 * and the header; -EINVAL where kernel, command line or metadata is missing,
 * -EKEYREJECTED where the signature isn't the certificate's key's.  Doesn't sync.  The PCRs are
 * final. */
int eif_writer_finish(struct eif_writer *writer, const struct eif_signer *signer, struct eif_pcrs *ret_pcrs,
                      struct error *err);
