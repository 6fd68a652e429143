/* SPDX-License-Identifier: Apache-2.0 */
/*
 * __vdso_sgx_enter_enclave(), as <asm/sgx.h> describes it: an image that stands in for the kernel's vDSO.
 *
 * In: RDI, RSI, RDX, R8, R9 for the enclave; ECX the leaf, EENTER or ERESUME; on the stack the run structure.  ENCLU
 * is its own asynchronous exit pointer; exceptions there continue at the fixup, with vector, error code and address in
 * RDI, RSI, RDX.  The entry of this image is a table: the two places, relative to itself, and the address of the gate by
 * which EENTER needs no trap (lib/sgx/sim-cpu.h), which is filled in where the image is mapped.
 */
        .set RUN_TCS, 0
        .set RUN_FUNCTION, 8
        .set RUN_VECTOR, 12
        .set RUN_ERROR, 14
        .set RUN_ADDRESS, 16
        .set RUN_HANDLER, 24
        .set RUN_RESERVED, 40
        .set RUN_SIZE, 256
        .set RUN_ON_STACK, 16           /* from RBP: behind the return address */
        .set EENTER, 2
        .set ERESUME, 3
        .set EEXIT, 4
        .set MINUS_EFAULT, -14
        .set MINUS_EINVAL, -22

        .text
        .globl coffer_sgx_table
coffer_sgx_table:
        .quad .Lenclu - coffer_sgx_table
        .quad .Lfixup - coffer_sgx_table
.Lgate: .quad 0

        .globl __vdso_sgx_enter_enclave
        .type __vdso_sgx_enter_enclave, @function
__vdso_sgx_enter_enclave:
        .cfi_startproc
        push %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbp, 0
        mov %rsp, %rbp
        .cfi_def_cfa_register %rbp
        push %rbx
        .cfi_rel_offset %rbx, -8
        mov %ecx, %eax
.Lenter:
        cmp $EENTER, %eax
        jb .Linvalid
        cmp $ERESUME, %eax
        ja .Linvalid
        mov RUN_ON_STACK(%rbp), %rcx
        mov $RUN_RESERVED, %ebx
1:      cmpq $0, (%rcx, %rbx)
        jne .Linvalid
        add $8, %ebx
        cmp $RUN_SIZE, %ebx
        jne 1b
        mov RUN_TCS(%rcx), %rbx
        lea .Lenclu(%rip), %rcx
        cmp $EENTER, %eax
        jne .Lenclu
        mov %rcx, %rax
        jmp *.Lgate(%rip)
.Lenclu:
        enclu
        mov RUN_ON_STACK(%rbp), %rbx
        movl $EEXIT, RUN_FUNCTION(%rbx)
        xor %eax, %eax
.Lleft:
        cmpq $0, RUN_HANDLER(%rbx)
        jne .Lhandler
.Lout:
        mov -8(%rbp), %rbx
        leave
        .cfi_def_cfa %rsp, 8
        ret
        .cfi_def_cfa %rbp, 16
.Lfixup:
        mov RUN_ON_STACK(%rbp), %rbx
        mov %eax, RUN_FUNCTION(%rbx)
        mov %di, RUN_VECTOR(%rbx)
        mov %si, RUN_ERROR(%rbx)
        mov %rdx, RUN_ADDRESS(%rbx)
        mov $MINUS_EFAULT, %eax
        jmp .Lleft
.Linvalid:
        mov $MINUS_EINVAL, %eax
        jmp .Lout
        /* handler(rdi, rsi, rdx, rsp, r8, r9, run): above 0 is a leaf to execute, else what is returned. */
.Lhandler:
        mov %rsp, %rcx
        mov %rbx, %rax
        mov %rsp, %rbx
        and $15, %rbx
        and $-16, %rsp
        push %rax
        push %rax
        cld
        call *RUN_HANDLER(%rax)
        lea 16(%rsp, %rbx), %rsp
        test %eax, %eax
        jle .Lout
        jmp .Lenter
        .cfi_endproc
        .size __vdso_sgx_enter_enclave, . - __vdso_sgx_enter_enclave
        .section .note.GNU-stack, "", @progbits
