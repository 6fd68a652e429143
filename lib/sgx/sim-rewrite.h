/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim-rewrite.h - ENCLU in enclaves, as an instruction whose trap is cheap everywhere.
 *
 * What ENCLU (0f 01 d7) raises, and what that costs, is the machine's choice: where a hypervisor intercepts
 * #UD it is 7 to 17 microseconds.  HLT (f4) raises #GP in every program, which hypervisors leave to the
 * guest: 1.5.  So once an ENCLU in an enclave has been executed, its first byte becomes that of HLT; the
 * other two stay.  One byte is replaced at once for all threads, and either form is an ENCLU to us, so none
 * has to wait.  It is done everywhere, also where ENCLU is #GP itself, so that there is one way, and that is
 * the tested one.
 *
 * An enclave's own HLT is an exception of its.  Which are ours is kept in the enclave's memory file, one bit
 * for each byte of the pages (`sites`; only what is used of it takes memory), so that other processes of an
 * enclave, forks among them, know it too, and a new enclave at the same address knows nothing.  The
 * measurement was made before.  Who reads the code in an enclave (itself, a debugger) sees the byte.
 */
#pragma once

#include "lib/sgx/sim-epc.h"

/* True where an ENCLU, rewritten or not, is at a linear address of the enclave's.  An HLT of the enclave's
 * own is none, unless it was written over one of ours and is followed by the same two bytes. */
bool sim_rewrite_is_enclu(const struct sim_enclave *e, uint64_t address);

/* Rewrites the ENCLU at this address, where it is one still. */
void sim_rewrite_enclu(struct sim_enclave *e, uint64_t address);

/* For a page that is removed: another may come in its place. */
void sim_rewrite_forget(struct sim_enclave *e, size_t page);

/* Makes a copy of a page's bytes what it would have been without us. */
void sim_rewrite_undo(const struct sim_enclave *e, size_t page, uint8_t copy[static SGX_PAGE_SIZE]);
