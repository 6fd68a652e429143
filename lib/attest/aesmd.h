/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aesmd.h - a quote by the machine's own quoting enclave (QE), which aesmd has.
 *
 * In two steps: the QE's TARGETINFO, to make a report for it, and the quote of that report.  Each request is
 * a connection of its own to a Unix socket: 4 bytes of length, little-endian, and the message
 * (aesmd-message.h), then the answer likewise.  The service is trusted with nothing: its quote is checked
 * like any other by whoever gets it, and what it sends is read with limits and a deadline.
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/base/error.h"
#include "lib/sgx/sgx.h"

#include <stdint.h>

/* Where the service listens. */
#define AESMD_SOCKET "/var/run/aesmd/aesm.socket"

/* Seconds that a request may take: the service may have to ask servers of the platform's vendor. */
enum { AESMD_TIMEOUT = 60 };

struct aesmd {
        const char *path;    /* of its socket */
        uint32_t timeout_ms; /* for each request; above 0 */
};

/* TARGETINFO of the QE.  -ENOENT and -ECONNREFUSED: there is no service; -ETIMEDOUT; -ECONNRESET: it ended
 * before its answer did; -EBADMSG: nonsense; -EREMOTEIO: it refuses, and the text has its reason. */
int aesmd_target(const struct aesmd *service, uint8_t ret_target[static SGX_TARGETINFO_SIZE],
                 struct error *err);

/* Appends the quote of an encoded report to that target.  Errors as above; also -EBADMSG where it is no quote
 * (lib/sgx/quote.h), or one of another report. */
int aesmd_quote(const struct aesmd *service, const uint8_t report[static SGX_REPORT_SIZE],
                struct buf *ret_quote, struct error *err);
