/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sgx-verify.h - what the files of sgx-verify share.
 */
#pragma once

#include "lib/attest/quote-verify.h"
#include "lib/format/output.h"

enum {
        VERIFY_ACCEPTED = 0,
        VERIFY_REFUSED = 1, /* also: a file can't be read */
        VERIFY_USAGE = 2,
};

/* The command line, and what it owns. */
struct verify_options {
        const char *path; /* of the quote */
        enum output_format format;
        struct quote_policy policy;
        uint8_t mrenclave[SGX_HASH_SIZE];
        uint8_t mrsigner[SGX_HASH_SIZE];
        uint8_t report_data[SGX_REPORT_DATA_SIZE];
        uint8_t root_key[P256_PAIR_SIZE];
        const char *root; /* files, or NULL */
        const char *crls[CERTIFICATE_CRLS_MAX];
        size_t n_crls;
        const char *tcb_info; /* files, all or none */
        const char *qe_identity;
        const char *tcb_chain;
};

/* Reads the command line.  VERIFY_ACCEPTED, or VERIFY_USAGE with *ret_problem, a text of the heap or NULL. */
int verify_options_parse(int argc, char **argv, struct verify_options *ret_options, char **ret_problem);

/* Appends what is known of an accepted quote. 0 or a negative errno. */
int verify_print(const struct verify_options *options, const struct quote_verdict *verdict, struct buf *text,
                 struct error *err);
