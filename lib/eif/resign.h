/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resign.h - an enclave image as it was, but with another signature or with none.
 */
#pragma once

#include "lib/eif/writer.h"

/* Writes `eif` anew to `fd`, as eif_writer_new() takes it: all sections but the signature, then one by
 * `signer` where that is not NULL.  What is signed is what was read and copied in the same pass; the
 * result is packed and version 4, sizes, table and CRC are its own, measurements are those of the
 * source.  A file of version 2 or 3 without metadata gets metadata with all members, which are
 * empty.  -EBADMSG where the source's CRC doesn't hold: a damaged file is not signed. */
int eif_resign(const struct eif *eif, int fd, const struct eif_signer *signer, struct eif_pcrs *ret_pcrs,
               struct error *err);
