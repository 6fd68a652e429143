/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim-cpu.h - ENCLU without the hardware: unchanged programs and unchanged enclaves run, in one process and
 * at full speed between their entries and exits.
 *
 * A CPU without SGX refuses ENCLU (bytes 0f 01 d7) with #UD, SIGILL; one whose SGX a hypervisor hides
 * refuses it with #GP or a page fault, SIGSEGV.  Handlers of both find the instruction, do what it says to
 * the registers in the signal's frame, and return into or out of the enclave.  Two things make that fast: who
 * knows of the simulation enters by sgx_sim_gate, without a trap; and an ENCLU in an enclave becomes an
 * instruction whose trap is cheap (sim-rewrite.h) when it has been executed.  Any other exception of code
 * in an enclave is an asynchronous exit: state goes to the SSA, the registers become those of the exit, and
 * the signal is delivered again, now seen at the AEP as it would be with hardware.  Whatever else comes is
 * the previous handler's.
 *
 * What differs from hardware, on purpose or not to be had:
 *
 *      - Nothing is kept from the process: it can read and change the enclave.  DEBUG is set.
 *      - Other signals wait until the enclave is left, instead of leaving it.
 *      - An enclave can't be entered by a handler that runs on an alternate stack; hardware doesn't care.
 *      - An enclave that jumps out of itself without EEXIT isn't stopped.
 *      - The first byte of an ENCLU that an enclave has executed reads f4 instead of 0f, to the enclave, too.
 *        EACCEPTCOPY copies 0f; but where an enclave itself copies such code elsewhere, the copy is an HLT.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/sgx/keys.h"

#include <signal.h>

/* Where a program enters enclaves through the vDSO (or what stands for it): exceptions at its ENCLU,
 * which is also its AEP, continue at `fixup` with the exception in RDI (vector), RSI (error code), RDX
 * (address), as the kernel does it, instead of as a signal. */
struct sgx_sim_vdso {
        uint64_t enclu;
        uint64_t fixup;
};

/* Takes SIGSEGV, SIGILL, SIGFPE, SIGBUS and SIGTRAP over, and loads the root key.  `vdso` may be NULL.  Calls
 * nest: each needs its sgx_sim_stop(). 0 or -errno. */
int sgx_sim_start(const struct sgx_sim_vdso *vdso, struct error *err);

/* Gives the signals back to whom they belonged, unless somebody else has taken them meanwhile. */
void sgx_sim_stop(void);

/* For who stands between a program and sigaction(2): what the program's own action for one of the five
 * is, and a new one (NULL: as it is). -EINVAL for any other signal. */
int sgx_sim_sigaction(int signal, const struct sigaction *action, struct sigaction *ret_old);

/* In place of an ENCLU[EENTER], without its trap: to be jumped to with RAX the address of that ENCLU, and all
 * else as for EENTER (RBX the TCS, RCX the AEP).  In the enclave all is as if that ENCLU had been executed.
 * Where the gate can't enter it goes on at that ENCLU, with RAX EENTER and all other registers as they came;
 * so wherever this file's simulation runs or doesn't, the program needs no other code. */
extern const uint8_t sgx_sim_gate[] __attribute__((visibility("hidden")));

/* As sgx_ecall() (loader.h), through the gate. */
uint64_t sgx_sim_ecall(uint64_t tcs, uint64_t number, uint64_t a, uint64_t b, uint64_t c);

/* The root key while the simulation runs, else NULL. */
const struct sgx_root *sim_root(void);
