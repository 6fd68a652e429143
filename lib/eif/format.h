/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.h - the fixed parts of an EIF as bytes, and the rules on which sections may follow which.
 * All integers big-endian; eif(5).  Internal to lib/eif.
 */
#pragma once

#include "lib/eif/eif.h"

enum {
        EIF_MAGIC = 0x2e656966, /* ".eif" */
        EIF_HEADER_CRC_OFFSET = 0x220,
};

/* The 12 bytes of a section header. */
void format_section_header(enum eif_section_type type, uint64_t size,
                           uint8_t ret_bytes[static EIF_SECTION_HEADER_SIZE]);

/* The 548 bytes of a header, as described (file_size doesn't count). */
void format_header(const struct eif_header *header, uint8_t ret_bytes[static EIF_HEADER_SIZE]);

/* Reads and checks a header alone: magic, version, flags, reserved fields, count.  Section types are not
 * known yet; offsets and sizes are as the table has them, unchecked.  -EBADMSG with the defect. */
int format_parse_header(const uint8_t bytes[static EIF_HEADER_SIZE], struct eif_header *ret_header,
                        struct error *err);

/* Reads the section header of section i and checks it against the table: type known, flags 0, sizes equal.
 * Of a signature the header's size counts; `stale` says whether the table has another. */
int format_parse_section_header(const uint8_t bytes[static EIF_SECTION_HEADER_SIZE], size_t i,
                                struct eif_section *section, struct error *err);

/* Whether section `i` of `header` may have its type behind those before it, and its size.  -EBADMSG with the
 * reason. */
int format_check_section(const struct eif_header *header, size_t i, struct error *err);

/* Whether all sections that must be there are.  -EBADMSG with what is missing. */
int format_check_complete(const struct eif_header *header, struct error *err);

/* The most bytes that a payload of this type may have. */
uint64_t format_size_max(enum eif_section_type type);
