/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measurements.h - the registers of an image as make-img and sign-eif print them.
 */
#pragma once

#include "lib/crypto/certificate.h"
#include "lib/eif/eif.h"

#include <jansson.h>

/* QingTian's "digest" (SHA384), then PCR0, PCR1, PCR2 and, where `certificate` is not NULL, PCR8.  A new
 * reference; NULL when out of memory. */
json_t *measurements_json(const struct eif_pcrs *pcrs, const struct certificate *certificate);
