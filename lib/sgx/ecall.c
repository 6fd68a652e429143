/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sgx/loader.h"
#include "lib/sgx/sim-cpu.h"

/* A call into an enclave, as C code makes it.  The ENCLU at 1 is its own asynchronous exit pointer: RAX is 3
 * then, ERESUME.  `enter` is what comes before it, with EENTER's operands in RBX and RCX. */
#define ECALL(name, enter)                                                                                   \
        __asm__(".text\n"                                                                                    \
                ".globl " name "\n"                                                                          \
                ".hidden " name "\n"                                                                         \
                ".type " name ", @function\n" name ":\n"                                                     \
                "        .cfi_startproc\n"                                                                   \
                "        endbr64\n"                                                                          \
                "        push %rbx\n"                                                                        \
                "        push %rbp\n"                                                                        \
                "        push %r12\n"                                                                        \
                "        push %r13\n"                                                                        \
                "        push %r14\n"                                                                        \
                "        push %r15\n"                                                                        \
                "        mov %rdi, %rbx\n"                                                                   \
                "        mov %rsi, %r10\n"                                                                   \
                "        mov %rdx, %rdi\n"                                                                   \
                "        mov %rcx, %rsi\n"                                                                   \
                "        mov %r8, %rdx\n"                                                                    \
                "        lea 1f(%rip), %rcx\n" enter "1:      enclu\n"                                       \
                "        mov %rdx, %rax\n"                                                                   \
                "        pop %r15\n"                                                                         \
                "        pop %r14\n"                                                                         \
                "        pop %r13\n"                                                                         \
                "        pop %r12\n"                                                                         \
                "        pop %rbp\n"                                                                         \
                "        pop %rbx\n"                                                                         \
                "        ret\n"                                                                              \
                "        .cfi_endproc\n"                                                                     \
                "        .size " name ", .-" name "\n")

ECALL("sgx_ecall", "        mov $2, %eax\n");
ECALL("sgx_sim_ecall", "        mov %rcx, %rax\n        jmp sgx_sim_gate\n");
