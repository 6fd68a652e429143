/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The enclave's thread control structure, and its entry.
 *
 * Comes in: RBX the TCS, which is the enclave's first page; RCX where to go back to; R10 the call's number; RDI, RSI,
 * RDX its arguments.  Goes out: RDX the result; all other registers that the caller doesn't keep are cleared, so that
 * nothing of the enclave's leaves in them.
 */
        .section .tcs, "aw"
        .balign 4096
        .fill 16, 1, 0          /* state, flags */
        .quad 0                 /* OSSA: the loader sets it, behind the last page */
        .long 0                 /* CSSA */
        .long 1                 /* NSSA */
        .quad encl_entry        /* OENTRY */
        .quad 0                 /* AEP */
        .quad 0                 /* OFSBASE */
        .quad 0                 /* OGSBASE */
        .long 0xffffffff        /* FSLIMIT */
        .long 0xffffffff        /* GSLIMIT */
        .fill 4024, 1, 0

        .section .text.entry, "ax"
        .globl encl_entry
encl_entry:
        cld
        test %rax, %rax         /* CSSA: a second entry, on top of an exception, has no stack */
        jnz 1f
        lea encl_stack_top(%rip), %rax
        xchg %rsp, %rax
        push %rax               /* the caller's stack */
        push %rcx
        mov %rbx, %r8           /* the base */
        mov %rdx, %rcx
        mov %rsi, %rdx
        mov %rdi, %rsi
        mov %r10, %rdi
        call encl_call          /* (number, a, b, c, base) */
        mov %rax, %rdx
        pop %rbx
        pop %rsp
        xor %eax, %eax
        xor %ecx, %ecx
        xor %esi, %esi
        xor %edi, %edi
        xor %r8d, %r8d
        xor %r9d, %r9d
        xor %r10d, %r10d
        xor %r11d, %r11d
        mov $4, %eax            /* EEXIT */
        enclu
1:      mov %rcx, %rbx
        mov $-1, %rdx
        mov $4, %eax
        enclu

        .section .data, "aw"
        .balign 4096
        .fill 8192, 1, 0
encl_stack_top:
        .section .note.GNU-stack, "", @progbits
