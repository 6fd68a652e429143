/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/eif/eif.h"

#include "lib/base/checked.h"
#include "lib/base/fd.h"
#include "lib/eif/format.h"
#include "lib/eif/measure.h"

#include <fcntl.h>
#include <sys/stat.h>

struct eif {
        int fd; /* the caller's */
        uint8_t raw[EIF_HEADER_SIZE];
        struct eif_header header;
};

/* pread(2) of what must be there. */
static int read_at(const struct eif *eif, void *p, size_t n, uint64_t offset, struct error *err)
{
        int r = fd_pread_full(eif->fd, p, n, offset);

        if (r == -ENODATA)
                return error_set(err, -EBADMSG, "the file became shorter while it was read");
        if (r < 0)
                return error_errno(err, -r, "reading at byte %llu", (unsigned long long)offset);
        return 0;
}

/* That section i begins behind `free_from`, the end of what comes before it. */
static int check_begin(const struct eif_header *h, size_t i, uint64_t free_from, struct error *err)
{
        unsigned long long offset = h->section[i].offset;

        if (offset < EIF_HEADER_SIZE)
                return error_set(err, -EBADMSG,
                                 "section %zu begins at byte %llu, inside the header (%d bytes)", i, offset,
                                 EIF_HEADER_SIZE);
        if (i > 0 && offset < h->section[i - 1].offset)
                return error_set(
                        err, -EBADMSG,
                        "section %zu begins at byte %llu, before section %zu (byte %llu); the table must "
                        "have the order of the file",
                        i, offset, i - 1, (unsigned long long)h->section[i - 1].offset);
        if (offset < free_from)
                return error_set(
                        err, -EBADMSG,
                        "section %zu begins at byte %llu, inside section %zu, which ends at byte %llu", i,
                        offset, i - 1, (unsigned long long)free_from);
        return 0;
}

/* Where section i ends, in the file. */
static int check_end(const struct eif_header *h, size_t i, uint64_t *ret_end, struct error *err)
{
        const struct eif_section *s = &h->section[i];
        uint64_t end;

        if (!checked_add64(s->offset, EIF_SECTION_HEADER_SIZE, &end) || !checked_add64(end, s->size, &end))
                return error_set(err, -EBADMSG,
                                 "section %zu begins at byte %llu and has %llu bytes: no file is as "
                                 "large",
                                 i, (unsigned long long)s->offset, (unsigned long long)s->size);
        if (end > h->file_size)
                return error_set(err, -EBADMSG,
                                 "section %zu ends at byte %llu, past the end of the file (%llu bytes)", i,
                                 (unsigned long long)end, (unsigned long long)h->file_size);
        *ret_end = end;
        return 0;
}

/* Reads the header of section i where the file has one, which is what its size depends on. */
static int read_section_header(struct eif *eif, size_t i, struct error *err)
{
        uint8_t bytes[EIF_SECTION_HEADER_SIZE];
        struct eif_section *section = &eif->header.section[i];
        int r = 0;

        if (section->offset <= eif->header.file_size - sizeof(bytes)) {
                r = read_at(eif, bytes, sizeof(bytes), section->offset, err);
                if (r == 0)
                        r = format_parse_section_header(bytes, i, section, err);
        }
        return r;
}

static int read_sections(struct eif *eif, struct error *err)
{
        struct eif_header *h = &eif->header;
        uint64_t end = EIF_HEADER_SIZE;

        for (size_t i = 0; i < h->n_sections; i++) {
                int r = check_begin(h, i, end, err);

                if (r == 0)
                        r = read_section_header(eif, i, err);
                if (r == 0)
                        r = check_end(h, i, &end, err);
                if (r == 0)
                        r = format_check_section(h, i, err);
                if (r < 0)
                        return r;
        }
        return format_check_complete(h, err);
}

int eif_open(int fd, struct eif **ret_eif, struct error *err)
{
        cleanup_eif struct eif *eif = calloc(1, sizeof(*eif));
        struct stat st;
        int r;

        if (!eif)
                return error_oom(err);
        eif->fd = fd;
        if (fstat(fd, &st) < 0)
                return error_errno(err, errno, "fstat");
        if (!S_ISREG(st.st_mode))
                return error_set(err, -EINVAL, "not a regular file");
        if (st.st_size < EIF_HEADER_SIZE)
                return error_set(err, -EBADMSG,
                                 "the file has %lld bytes, less than the %d of an enclave image header",
                                 (long long)st.st_size, EIF_HEADER_SIZE);
        r = read_at(eif, eif->raw, sizeof(eif->raw), 0, err);
        if (r == 0)
                r = format_parse_header(eif->raw, &eif->header, err);
        eif->header.file_size = (uint64_t)st.st_size;
        if (r == 0)
                r = read_sections(eif, err);
        if (r == 0)
                *ret_eif = take_pointer(&eif);
        return r;
}

void eif_free(struct eif *eif)
{
        free(eif);
}

const struct eif_header *eif_header(const struct eif *eif)
{
        return &eif->header;
}

int eif_find(const struct eif *eif, enum eif_section_type type, size_t nth)
{
        for (size_t i = 0; i < eif->header.n_sections; i++)
                if (eif->header.section[i].type == type && nth-- == 0)
                        return (int)i;
        return -1;
}

/* One pass: two blocks in turn, so that one is read while the other is hashed. */
struct pass {
        const struct eif *eif;
        struct measure *measure;
        uint8_t *blocks; /* MEASURE_BLOCKS, filled in turn */
        unsigned int turn;
        eif_sink_fn sink;
        void *user;
        struct eif_measured *measured;
};

/* Where the copy of a small section is kept; NULL for the others. */
static struct buf *kept_copy(struct eif_measured *m, enum eif_section_type type)
{
        switch (type) {
        case EIF_SECTION_CMDLINE:
                return &m->cmdline;
        case EIF_SECTION_METADATA:
                return &m->metadata;
        case EIF_SECTION_SIGNATURE:
                return &m->signature;
        case EIF_SECTION_INVALID:
        case EIF_SECTION_KERNEL:
        case EIF_SECTION_RAMDISK:
                break;
        }
        return NULL;
}

static int pass_section(struct pass *pass, size_t i, struct error *err)
{
        const struct eif_section *section = &pass->eif->header.section[i];
        struct buf *copy = kept_copy(pass->measured, section->type);
        uint64_t at = section->offset + EIF_SECTION_HEADER_SIZE;

        measure_section(pass->measure, section->type);
        for (uint64_t left = section->size; left > 0;) {
                uint8_t *block = pass->blocks + pass->turn * (size_t)MEASURE_BLOCK;
                size_t n = left < MEASURE_BLOCK ? (size_t)left : MEASURE_BLOCK;
                int r = read_at(pass->eif, block, n, at, err);

                if (r < 0)
                        return r;
                measure_update(pass->measure, block, n);
                if (copy && buf_append(copy, block, n) < 0)
                        return error_oom(err);
                r = pass->sink ? pass->sink(pass->user, i, view_of(block, n), err) : 0;
                if (r < 0)
                        return r;
                pass->turn = (pass->turn + 1) % MEASURE_BLOCKS;
                at += n;
                left -= n;
        }
        return 0;
}

static int pass_run(struct pass *pass, struct error *err)
{
        int r;

        (void)posix_fadvise(pass->eif->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
        for (size_t i = 0; i < pass->eif->header.n_sections; i++) {
                r = pass_section(pass, i, err);
                if (r < 0) {
                        error_wrap(err, "section %zu (%s)", i,
                                   eif_section_name(pass->eif->header.section[i].type));
                        return r;
                }
        }
        r = measure_pcrs(pass->measure, &pass->measured->pcrs);
        if (r < 0)
                return error_errno(err, -r, "measuring");
        pass->measured->crc = measure_crc(pass->measure, pass->eif->raw);
        return 0;
}

int eif_measure(const struct eif *eif, eif_sink_fn sink, void *user, struct eif_measured *ret_measured,
                struct error *err)
{
        cleanup_free uint8_t *blocks = malloc(MEASURE_BLOCKS * (size_t)MEASURE_BLOCK);
        /* Declared behind the blocks, hence released before them: the hashing threads still read them. */
        cleanup_measure struct measure *measure = NULL;
        cleanup_eif_measured struct eif_measured measured = {
                .cmdline = buf_with_max(EIF_CMDLINE_MAX),
                .metadata = buf_with_max(EIF_METADATA_MAX),
                .signature = buf_with_max(EIF_SIGNATURE_MAX),
        };
        int r;

        if (!blocks || measure_new(&measure) < 0)
                return error_oom(err);
        r = pass_run(&(struct pass){.eif = eif,
                                    .measure = measure,
                                    .blocks = blocks,
                                    .sink = sink,
                                    .user = user,
                                    .measured = &measured},
                     err);
        if (r == 0) {
                *ret_measured = measured;
                measured = (struct eif_measured){0};
        }
        return r;
}

void eif_measured_done(struct eif_measured *measured)
{
        buf_done(&measured->cmdline);
        buf_done(&measured->metadata);
        buf_done(&measured->signature);
}

int eif_verify_crc(const struct eif *eif, const struct eif_measured *measured, struct error *err)
{
        if (eif->header.crc == measured->crc)
                return 0;
        return error_set(
                err, -EBADMSG,
                "the CRC in the header is %08x, but that of the content is %08x: the file is damaged",
                eif->header.crc, measured->crc);
}
