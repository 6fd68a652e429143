/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/eif/resign.h"

#include <string.h>

/* What is not known; AWS's tools read no file whose metadata lacks one of these. */
static const char NO_METADATA[] =
        "{\"ImageName\":\"\",\"ImageVersion\":\"\",\"BuildMetadata\":{\"BuildTime\":\"\",\"BuildTool\":\"\","
        "\"BuildToolVersion\":\"\",\"OperatingSystem\":\"\",\"KernelVersion\":\"\"},\"DockerInfo\":{},"
        "\"CustomMetadata\":null}";

struct copy {
        const struct eif_header *header;
        struct eif_writer *writer;
        size_t n_begun; /* sections of the source, signatures included */
};

/* Begins the sections up to number `last`: empty ones have no piece that would announce them. */
static int begin_up_to(struct copy *copy, size_t last, struct error *err)
{
        int r = 0;

        for (; r == 0 && copy->n_begun <= last; copy->n_begun++) {
                enum eif_section_type type = copy->header->section[copy->n_begun].type;
                if (type != EIF_SECTION_SIGNATURE)
                        r = eif_writer_section(copy->writer, type, err);
        }
        return r;
}

/* An eif_sink_fn. */
static int take_piece(void *user, size_t section, struct view piece, struct error *err)
{
        struct copy *copy = user;
        int r = begin_up_to(copy, section, err);

        if (r < 0 || copy->header->section[section].type == EIF_SECTION_SIGNATURE)
                return r;
        return eif_writer_write(copy->writer, piece.p, piece.n, err);
}

static int add_metadata(const struct eif *eif, struct eif_writer *writer, struct error *err)
{
        int r;

        if (eif_find(eif, EIF_SECTION_METADATA, 0) >= 0)
                return 0;
        r = eif_writer_section(writer, EIF_SECTION_METADATA, err);
        return r < 0 ? r : eif_writer_write(writer, NO_METADATA, strlen(NO_METADATA), err);
}

int eif_resign(const struct eif *eif, int fd, const struct eif_signer *signer, struct eif_pcrs *ret_pcrs,
               struct error *err)
{
        cleanup_eif_measured struct eif_measured measured = {0};
        cleanup_eif_writer struct eif_writer *writer = NULL;
        struct copy copy = {.header = eif_header(eif)};
        int r = eif_writer_new(fd, copy.header->flags, &writer, err);

        copy.writer = writer;
        if (r == 0)
                r = eif_measure(eif, take_piece, &copy, &measured, err);
        if (r == 0)
                r = eif_verify_crc(eif, &measured, err);
        if (r == 0)
                r = begin_up_to(&copy, copy.header->n_sections - 1, err);
        if (r == 0)
                r = add_metadata(eif, writer, err);
        return r < 0 ? r : eif_writer_finish(writer, signer, ret_pcrs, err);
}
