/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim-qe.h - the quoting enclave of the simulation: it makes test quotes.
 *
 * A test quote has the form of a real one, so that whatever handles quotes can be built and tried without the
 * hardware, and it is evidence of nothing: all its keys come from the simulation's root key (keys.h), which
 * whoever made the quote can read.  So that nobody takes it for more, it says so in each place that has
 * room: the QE's vendor is "COFFER-SIMULATED", as is CPUSVN in both reports and in the certificate; the
 * QE's MRENCLAVE and MRSIGNER are texts, no hashes; the certificates' names say "test without protection";
 * FMSPC is "COFFER".
 */
#pragma once

#include "lib/base/buf.h"
#include "lib/sgx/report.h"

struct sgx_root;

/* What stands where hardware has hashes: 32 characters each. */
#define SGX_SIM_QE_MRENCLAVE "COFFER-SIMULATED quoting enclave"
#define SGX_SIM_QE_MRSIGNER  "COFFER-SIMULATED: signed by none"

/* CPUSVN of all simulated enclaves, and vendor of the simulated QE: "COFFER-SIMULATED", 16 characters. */
extern const uint8_t sgx_simulated_cpu_svn[SGX_KEY_SIZE];

/* True where CPUSVN says so. */
bool sgx_report_is_simulated(const struct sgx_report *report);

/* For whom a report must be that the simulated QE is to quote. */
void sgx_sim_qe_target(struct sgx_targetinfo *ret_target);

/* Appends a test quote of an encoded report.  `now`, in seconds since 1970, decides how long its certificates
 * are valid: for a year.  -EBADMSG where the report was not made by this simulation for the simulated QE. */
int sgx_sim_quote(const struct sgx_root *root, const uint8_t report[static SGX_REPORT_SIZE], int64_t now,
                  struct buf *quote, struct error *err);
