/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measure.c - what is hashed, and how few times.
 *
 * PCR0 is kernel, command line and all ramdisks; PCR1 the same with the first ramdisk alone; PCR2 the other
 * ramdisks. In every usual file the bytes of PCR1 are the beginning of those of PCR0, so they are hashed
 * once: `boot` stays empty until the second ramdisk, when it becomes a copy of `image`.  From there each byte
 * is hashed twice, for PCR0 and for PCR2, on a thread each.
 *
 * The CRC runs over header, then section header and payload of each section; but the header, and the sizes in
 * it, are known last.  So each payload has a CRC of its own, and they are combined at the end.
 */
#include "lib/eif/measure.h"

#include "lib/crypto/hash-thread.h"
#include "lib/eif/format.h"
#include "lib/eif/pcr.h"

#include <isa-l/crc.h>
#include <zlib.h>

#include <assert.h>

static_assert((int)MEASURE_BLOCKS == (int)HASH_THREAD_BLOCKS, "as many buffers as the threads ask for");

struct section_sum {
        enum eif_section_type type;
        uint64_t size;
        uint32_t crc; /* of the payload */
};

struct measure {
        struct hash_thread *image;       /* PCR0 */
        struct hash_thread *application; /* PCR2 */
        struct hash boot;                /* PCR1, where `forked` */
        bool forked;
        int failed; /* first error, kept for the end */
        size_t n_ramdisks;
        size_t n; /* sections begun */
        struct section_sum section[EIF_SECTIONS_MAX];
};

int measure_new(struct measure **ret_measure)
{
        cleanup_measure struct measure *m = calloc(1, sizeof(*m));
        int r;

        if (!m)
                return -ENOMEM;
        r = hash_thread_new(HASH_SHA384, &m->image);
        if (r == 0)
                r = hash_thread_new(HASH_SHA384, &m->application);
        if (r == 0)
                *ret_measure = take_pointer(&m);
        return r;
}

void measure_free(struct measure *m)
{
        if (!m)
                return;
        hash_thread_free(m->image);
        hash_thread_free(m->application);
        hash_done(&m->boot);
        free(m);
}

/* PCR1 and PCR0 part ways. */
static void fork_boot(struct measure *m)
{
        int r = hash_thread_copy(m->image, &m->boot);

        if (r < 0 && m->failed == 0)
                m->failed = r;
        m->forked = true;
}

void measure_section(struct measure *m, enum eif_section_type type)
{
        m->section[m->n++] = (struct section_sum){.type = type};
        if (type != EIF_SECTION_RAMDISK)
                return;
        m->n_ramdisks++;
        if (m->n_ramdisks > 1 && !m->forked)
                fork_boot(m);
}

void measure_update(struct measure *m, const void *p, size_t n)
{
        struct section_sum *section = &m->section[m->n - 1];
        bool measured = section->type == EIF_SECTION_KERNEL || section->type == EIF_SECTION_CMDLINE ||
                        section->type == EIF_SECTION_RAMDISK;
        bool application = section->type == EIF_SECTION_RAMDISK && m->n_ramdisks > 1;

        /* Where a block isn't theirs the threads still finish what they have: its bytes may be overwritten
         * after, and what the caller counts are its calls, not their blocks. */
        if (measured)
                hash_thread_update(m->image, p, n);
        else
                hash_thread_wait(m->image);
        if (application)
                hash_thread_update(m->application, p, n);
        else
                hash_thread_wait(m->application);
        if (measured && !application && m->forked)
                hash_update(&m->boot, p, n);
        section->crc = crc32_gzip_refl(section->crc, p, n);
        section->size += n;
}

uint64_t measure_section_size(const struct measure *m)
{
        return m->section[m->n - 1].size;
}

/* The PCR of what `h` has taken in; h is used up. */
static int pcr_of(struct hash *h, struct digest *ret_pcr)
{
        struct digest content;
        int r = hash_final(h, &content);

        return r < 0 ? r : pcr_of_hash(&content, ret_pcr);
}

static int pcr_of_thread(struct hash_thread *t, struct digest *ret_pcr)
{
        struct hash h = HASH_NONE;
        int r = hash_thread_copy(t, &h);

        return r < 0 ? r : pcr_of(&h, ret_pcr);
}

int measure_pcrs(struct measure *m, struct eif_pcrs *ret_pcrs)
{
        struct eif_pcrs pcrs = {0};
        struct hash boot = HASH_NONE;
        int r = m->failed;

        if (r == 0)
                r = pcr_of_thread(m->image, &pcrs.pcr0);
        if (r == 0)
                r = m->forked ? hash_copy(&m->boot, &boot) : hash_thread_copy(m->image, &boot);
        if (r == 0)
                r = pcr_of(&boot, &pcrs.pcr1);
        if (r == 0)
                r = pcr_of_thread(m->application, &pcrs.pcr2);
        if (r == 0)
                *ret_pcrs = pcrs;
        return r;
}

uint32_t measure_crc(const struct measure *m, const uint8_t header[static EIF_HEADER_SIZE])
{
        uint32_t crc = crc32_gzip_refl(0, header, EIF_HEADER_CRC_OFFSET);

        for (size_t i = 0; i < m->n; i++) {
                uint8_t head[EIF_SECTION_HEADER_SIZE];

                format_section_header(m->section[i].type, m->section[i].size, head);
                crc = crc32_gzip_refl(crc, head, sizeof(head));
                crc = (uint32_t)crc32_combine(crc, m->section[i].crc, (z_off_t)m->section[i].size);
        }
        return crc;
}
