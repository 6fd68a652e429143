/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measure.h - one pass over the payloads: PCR0, PCR1, PCR2 and the CRC, for the writer and for the reader.
 *
 *     measure_new()
 *     measure_section()       the next section begins
 *     measure_update()        its bytes, in big blocks; two block buffers in turn let the hashing overlap
 *     measure_pcrs()          PCRs; the CRC follows from measure_crc()
 *
 * Internal to lib/eif.
 */
#pragma once

#include "lib/eif/eif.h"

struct measure;

/* Good size of a block for measure_update(), big enough for the hashing threads, and the number of such
 * buffers to be filled in turn. */
enum { MEASURE_BLOCK = 256 * 1024, MEASURE_BLOCKS = 8 };

/* Nothing measured yet. 0, -ENOMEM or -ENOTSUP. */
int measure_new(struct measure **ret_measure);

/* Releases it. NULL-safe. */
void measure_free(struct measure *m);
DEFINE_CLEANUP(cleanup_measure_p, struct measure *, measure_free)
#define cleanup_measure CLEANUP(cleanup_measure_p)

/* A section of `type` begins: what follows is its payload.  At most EIF_SECTIONS_MAX times. */
void measure_section(struct measure *m, enum eif_section_type type);

/* Takes n bytes of payload in.  They must stay as they are until MEASURE_BLOCKS - 1 further calls of
 * measure_update(), or one of measure_pcrs(), have returned. */
void measure_update(struct measure *m, const void *p, size_t n);

/* Bytes of the current section so far. */
uint64_t measure_section_size(const struct measure *m);

/* The PCRs of all bytes so far; the measurement goes on, with sections that are not measured (signature).
 * 0 or a negative errno. */
int measure_pcrs(struct measure *m, struct eif_pcrs *ret_pcrs);

/* The file's CRC: `header` is its first EIF_HEADER_SIZE bytes, whose CRC field doesn't count; section headers
 * follow from types and sizes. */
uint32_t measure_crc(const struct measure *m, const uint8_t header[static EIF_HEADER_SIZE]);
