/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-eif.c - hostile enclave image files, from the header to the description, and hostile signature
 * sections.
 */
#include "lib/base/fd.h"
#include "lib/eif/describe.h"
#include "lib/eif/kernel.h"
#include "lib/eif/signature.h"

#include <stdlib.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int count_bytes(void *user, size_t section, struct view piece, struct error *err)
{
        uint64_t *counts = user;
        (void)err;

        counts[section] += piece.n;
        return 0;
}

static void read_as_file(struct view input)
{
        cleanup_fd int fd = memfd_create("fuzz-eif", MFD_CLOEXEC);
        cleanup_eif struct eif *eif = NULL;
        cleanup_eif_measured struct eif_measured m = {0};
        uint64_t counts[EIF_SECTIONS_MAX] = {0};
        json_t *object = NULL;
        struct error err = {0};

        if (fd < 0 || fd_pwrite_full(fd, input.p, input.n, 0) < 0)
                abort();
        if (eif_open(fd, &eif, &err) < 0)
                return;
        /* An accepted file doesn't change under us, so the rest can't fail, and every byte comes once. */
        if (eif_measure(eif, count_bytes, counts, &m, &err) < 0)
                abort();
        for (size_t i = 0; i < eif_header(eif)->n_sections; i++)
                if (counts[i] != eif_header(eif)->section[i].size)
                        abort();
        if (eif_describe(eif, &m, 0, &object, &err) < 0)
                abort();
        json_decref(object);
}

static void read_as_signature(struct view input)
{
        cleanup_eif_signature struct eif_signature s = {0};
        struct digest pcr0 = {.algorithm = HASH_SHA384};
        struct error err = {0};

        if (eif_signature_decode(input, &s, &err) == 0)
                (void)eif_signature_verify(&s, &pcr0, 0, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct view input = view_of(data, size);
        struct error err = {0};

        read_as_file(input);
        read_as_signature(input);
        (void)eif_kernel_check(input, input.n, 0, &err);
        (void)eif_kernel_check(input, input.n, EIF_FLAG_AARCH64, &err);
        free(eif_kernel_release(input));
        return 0;
}
