/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test-enclave.h - an enclave of two threads for tests, that does whatever leaf of ENCLU it is told, and
 * breaks in all the ways that a program can.
 */
#pragma once

#include "lib/sgx/loader.h"
#include "lib/sgx/signing-key.h"

/* Its pages. */
enum {
        TEST_TCS_A = 0,
        TEST_CODE = 1,
        TEST_DATA = 2, /* read and write */
        TEST_TCS_B = 3,
        TEST_SSA_A = 4, /* two frames each */
        TEST_SSA_B = 6,
        TEST_PAGES = 8,
        TEST_AUGMENT = 10, /* not added: may be, later */
        TEST_SIZE_PAGES = 16,
};

/* Calls, beside the numbers of ENCLU's leaves, which are executed with RBX, RCX, RDX from the arguments and
 * give RAX.
 */
enum {
        TEST_UD2 = 0x100,
        TEST_DIVIDE = 0x101, /* by the second argument, the first */
        TEST_READ = 0x102,   /* 8 bytes at the first argument */
        TEST_FS = 0x103,     /* the base of FS */
        TEST_BREAK = 0x104,
        TEST_VECTOR = 0x105,    /* a vector register holds the second argument while the first is read */
        TEST_SPIN = 0x106,      /* until the byte at the first argument is not 0 */
        TEST_REGISTERS = 0x107, /* as they come, to struct test_registers at the first argument */
        TEST_HLT = 0x108,       /* 3, where the exception's handler goes on behind it */
        TEST_JUMP = 0x109, /* to the first argument; what is there goes out by EEXIT, to the address in R11 */
};

/* Sixteen registers in the order of their numbers, and vector registers. */
struct test_registers {
        uint64_t rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8_to_r15[8];
        uint8_t xmm[16][16];
};

/* What a call gives that enters on top of an exception. */
enum { TEST_NESTED = 0x55 };

/* Makes, measures and signs it with `key`, by `driver` over `os`; `attributes` are what is asked for,
 * `spoil` (or NULL) may change SIGSTRUCT before it goes to EINIT.  0 or -errno; *ret_code as the driver
 * gives it. */
int test_enclave_make(const struct sgx_driver *driver, const struct sgx_os *os,
                      const struct sgx_signing_key *key, void (*spoil)(struct sgx_sigstruct *s),
                      struct sgx_enclave *ret_enclave, int *ret_code, struct error *err);

/* The address of its page `i`. */
uint64_t test_enclave_page(const struct sgx_enclave *e, size_t i);

/* MRENCLAVE of it. */
void test_enclave_measure(uint8_t ret_mrenclave[static SGX_HASH_SIZE]);

/* One in simulation, with a key of its own, for a group of tests; 0, or -1 with the reason on standard error.
 * test_enclave_end() ends the simulation, too. */
int test_enclave_simulated(struct sgx_signing_key **ret_key, struct sgx_enclave *ret_enclave);
void test_enclave_end(struct sgx_signing_key *key, struct sgx_enclave *enclave);
