/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer.c - sections are written behind room for their headers, which follow when their sizes are known.
 *
 * Bytes collect in blocks.  A full one is handed to the measurement, whose threads hash it while we write it
 * out and the caller fills the next ones.
 */
#include "lib/eif/writer.h"

#include "lib/base/fd.h"
#include "lib/eif/format.h"
#include "lib/eif/measure.h"
#include "lib/eif/signature.h"

#include <string.h>
#include <sys/stat.h>

enum {
        DEFAULT_MEMORY = 1 << 30, /* what the reference writer puts, and nobody reads */
        DEFAULT_CPUS = 2,
        WRITEBACK_STEP = 8 * 1024 * 1024,
};

struct eif_writer {
        int fd; /* the caller's */
        int failed;
        struct eif_header header; /* grows with the sections */
        struct measure *measure;
        uint64_t offset;     /* where the next block goes */
        uint64_t on_its_way; /* bytes from the beginning that the disk was asked to write */
        uint8_t *blocks;     /* all of them */
        size_t turn;         /* which of them is filled next */
        uint8_t *block;      /* that one */
        size_t filled;
};

int eif_writer_new(int fd, uint16_t flags, struct eif_writer **ret_writer, struct error *err)
{
        cleanup_eif_writer struct eif_writer *w = NULL;
        struct stat st;

        if (flags & ~EIF_FLAG_AARCH64)
                return error_set(err, -EINVAL, "flags 0x%04x are not known", flags);
        if (fstat(fd, &st) < 0)
                return error_errno(err, errno, "fstat");
        if (!S_ISREG(st.st_mode) || st.st_size != 0)
                return error_set(err, -EINVAL, "an enclave image is written to an empty regular file only");
        w = calloc(1, sizeof(*w));
        if (!w)
                return error_oom(err);
        w->fd = fd;
        w->header.version = EIF_VERSION;
        w->header.flags = flags;
        w->header.default_memory = DEFAULT_MEMORY;
        w->header.default_cpus = DEFAULT_CPUS;
        w->offset = EIF_HEADER_SIZE;
        w->block = w->blocks = malloc(MEASURE_BLOCKS * (size_t)MEASURE_BLOCK);
        if (!w->blocks || measure_new(&w->measure) < 0)
                return error_oom(err);
        *ret_writer = take_pointer(&w);
        return 0;
}

void eif_writer_free(struct eif_writer *w)
{
        if (!w)
                return;
        measure_free(w->measure); /* first: its threads read the blocks */
        free(w->blocks);
        free(w);
}

static struct eif_section *current(struct eif_writer *w)
{
        return w->header.n_sections ? &w->header.section[w->header.n_sections - 1] : NULL;
}

/* Notes the first failure; from then on nothing is written. */
static int fail(struct eif_writer *w, int r)
{
        if (r < 0 && w->failed == 0)
                w->failed = r;
        return r;
}

static int check_usable(const struct eif_writer *w, struct error *err)
{
        if (w->failed)
                return error_set(err, -EINVAL, "writing the enclave image has failed already or is finished");
        return 0;
}

static int write_at(struct eif_writer *w, const void *p, size_t n, uint64_t offset, struct error *err)
{
        int r = fd_pwrite_full(w->fd, p, n, offset);

        return r < 0 ? error_errno(err, -r, "writing the enclave image") : 0;
}

/* Hands the filled block on, and goes over to the next. */
static int flush(struct eif_writer *w, struct error *err)
{
        int r;

        if (w->filled == 0)
                return 0;
        measure_update(w->measure, w->block, w->filled);
        r = write_at(w, w->block, w->filled, w->offset, err);
        if (r < 0)
                return r;
        w->offset += w->filled;
        w->filled = 0;
        /* While the hashes are at work, the disk can be, too. */
        if (w->offset - w->on_its_way >= WRITEBACK_STEP) {
                fd_begin_writeback(w->fd, w->on_its_way, w->offset - w->on_its_way);
                w->on_its_way = w->offset;
        }
        w->turn = (w->turn + 1) % MEASURE_BLOCKS;
        w->block = w->blocks + w->turn * (size_t)MEASURE_BLOCK;
        return 0;
}

static int end_section(struct eif_writer *w, struct error *err)
{
        struct eif_section *section = current(w);
        uint8_t bytes[EIF_SECTION_HEADER_SIZE];
        int r;

        if (!section)
                return 0;
        r = flush(w, err);
        if (r < 0)
                return r;
        section->size = measure_section_size(w->measure);
        format_section_header(section->type, section->size, bytes);
        return write_at(w, bytes, sizeof(bytes), section->offset, err);
}

static int begin_section(struct eif_writer *w, enum eif_section_type type, struct error *err)
{
        int r = end_section(w, err);

        if (r < 0)
                return r;
        if (w->header.n_sections == EIF_SECTIONS_MAX)
                return error_set(err, -EINVAL, "an enclave image has at most %d sections", EIF_SECTIONS_MAX);
        w->header.section[w->header.n_sections] = (struct eif_section){.type = type, .offset = w->offset};
        r = format_check_section(&w->header, w->header.n_sections, err);
        if (r < 0)
                return -EINVAL;
        w->header.n_sections++;
        w->offset += EIF_SECTION_HEADER_SIZE;
        measure_section(w->measure, type);
        return 0;
}

int eif_writer_section(struct eif_writer *w, enum eif_section_type type, struct error *err)
{
        int r = check_usable(w, err);

        if (r < 0)
                return r;
        if (format_size_max(type) == 0)
                return fail(w, error_set(err, -EINVAL, "%d is no type of section", (int)type));
        if (type == EIF_SECTION_SIGNATURE)
                return fail(w,
                            error_set(err, -EINVAL, "the signature section is written last, by the signer"));
        return fail(w, begin_section(w, type, err));
}

/* Whether n more bytes fit into the section. */
static int check_room(struct eif_writer *w, uint64_t n, struct error *err)
{
        const struct eif_section *section = current(w);
        uint64_t used = section ? measure_section_size(w->measure) + w->filled : 0;

        if (!section)
                return error_set(err, -EINVAL, "bytes before the first section of an enclave image");
        if (n > format_size_max(section->type) - used)
                return error_set(err, -E2BIG, "the %s section has more than the %llu bytes that it may have",
                                 eif_section_name(section->type),
                                 (unsigned long long)format_size_max(section->type));
        return 0;
}

static int append(struct eif_writer *w, const uint8_t *p, size_t n, struct error *err)
{
        int r = check_room(w, n, err);

        while (r == 0 && n > 0) {
                size_t room = MEASURE_BLOCK - w->filled;
                size_t part = n < room ? n : room;

                memcpy(w->block + w->filled, p, part);
                w->filled += part;
                p += part;
                n -= part;
                if (w->filled == MEASURE_BLOCK)
                        r = flush(w, err);
        }
        return r;
}

int eif_writer_write(struct eif_writer *w, const void *p, size_t n, struct error *err)
{
        int r = check_usable(w, err);

        return r < 0 ? r : fail(w, append(w, p, n, err));
}

/* Reads straight into the block: the bytes are touched by the hashes alone. */
static int append_file(struct eif_writer *w, int fd, uint64_t offset, uint64_t n, struct error *err)
{
        int r = check_room(w, n, err);

        while (r == 0 && n > 0) {
                size_t room = MEASURE_BLOCK - w->filled;
                size_t part = n < room ? (size_t)n : room;

                r = fd_pread_full(fd, w->block + w->filled, part, offset);
                if (r == -ENODATA)
                        return error_set(err, r, "the file to copy ended %llu bytes early",
                                         (unsigned long long)n);
                if (r < 0)
                        return error_errno(err, -r, "reading the file to copy");
                w->filled += part;
                offset += part;
                n -= part;
                if (w->filled == MEASURE_BLOCK)
                        r = flush(w, err);
        }
        return r;
}

int eif_writer_copy(struct eif_writer *w, int fd, uint64_t offset, uint64_t n, struct error *err)
{
        int r = check_usable(w, err);

        return r < 0 ? r : fail(w, append_file(w, fd, offset, n, err));
}

static int add_signature(struct eif_writer *w, const struct eif_signer *signer, const struct digest *pcr0,
                         struct error *err)
{
        cleanup_buf struct buf section = buf_with_max(EIF_SIGNATURE_MAX);
        int r = eif_signature_encode(signer, pcr0, &section, err);

        if (r == 0)
                r = begin_section(w, EIF_SECTION_SIGNATURE, err);
        if (r == 0)
                r = append(w, section.p, section.n, err);
        if (r == 0)
                r = end_section(w, err);
        return r;
}

static int finish(struct eif_writer *w, const struct eif_signer *signer, struct eif_pcrs *ret_pcrs,
                  struct error *err)
{
        uint8_t bytes[EIF_HEADER_SIZE];
        struct eif_pcrs pcrs;
        int r = end_section(w, err);

        if (r < 0)
                return r;
        if (format_check_complete(&w->header, err) < 0)
                return -EINVAL;
        r = measure_pcrs(w->measure, &pcrs);
        if (r < 0)
                return error_errno(err, -r, "measuring the enclave image");
        if (signer)
                r = add_signature(w, signer, &pcrs.pcr0, err);
        if (r < 0)
                return r;
        format_header(&w->header, bytes);
        w->header.crc = measure_crc(w->measure, bytes);
        format_header(&w->header, bytes);
        r = write_at(w, bytes, sizeof(bytes), 0, err);
        if (r == 0)
                *ret_pcrs = pcrs;
        return r;
}

int eif_writer_finish(struct eif_writer *w, const struct eif_signer *signer, struct eif_pcrs *ret_pcrs,
                      struct error *err)
{
        int r = check_usable(w, err);

        if (r < 0)
                return r;
        r = finish(w, signer, ret_pcrs, err);
        w->failed = r < 0 ? r : -EINVAL; /* either way there is nothing more to write */
        return r;
}
