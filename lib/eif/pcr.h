/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcr.h - platform configuration registers: SHA-384, starting at 48 zero bytes, extended with what is
 * measured.
 */
#pragma once

#include "lib/crypto/digest.h"

enum { PCR_SIZE = 48 };

/* SHA-384(48 zero bytes followed by `data`): a fresh register extended once with data as it is.  This is PCR3
 * of a role name, PCR4 of an instance id, and the outer step of all others. 0 or -ENOMEM. */
int pcr_extend_fresh(struct view data, struct digest *ret_pcr);

/* The register of content whose SHA-384 is `content`: the outer of the two hashes. 0, or -EINVAL for another
 * hash. */
int pcr_of_hash(const struct digest *content, struct digest *ret_pcr);

/* The register of content: both hashes. 0 or -ENOMEM. */
int pcr_of_content(struct view content, struct digest *ret_pcr);
