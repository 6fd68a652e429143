/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot.S - the head of a bzImage (Documentation/arch/x86/boot.rst), and the way from its real-mode entry to
 * kernel_main() in 32-bit protected mode, with flat segments, interrupts off and no paging.
 *
 * The firmware puts the first 1024 bytes at some segment, the rest at 1 MiB, and jumps to byte 0x200, which
 * is offset 0 of the code segment.  By then it has filled in the header, the command line's address too.
 */
        .section .header, "a"
        .code16
        .org 0x1f1
        .byte 1                         /* setup_sects: what goes to 1 MiB begins at byte 1024 */
        .word 0
        .long code_paragraphs           /* syssize */
        .org 0x1fe
        .word 0xaa55
entry:  .byte 0xeb, enter - entry - 2   /* jmp enter */
        .ascii "HdrS"
        .word 0x020c                    /* version of the protocol */
        .org 0x20e
        .word release - entry           /* kernel_version */
        .org 0x211
        .byte 1                         /* loadflags: the code goes to 1 MiB */
        .org 0x214
        .long 0x100000                  /* code32_start */
        .org 0x22c
        .long 0x37ffffff                /* initrd_addr_max */
        .long 0x100000                  /* kernel_alignment */
        .org 0x238
        .long 2047                      /* cmdline_size */
        .org 0x260
        .long 0x200000                  /* init_size */

enter:  cli
        xorl    %esi, %esi              /* where the header lies */
        movw    %cs, %si
        shll    $4, %esi
        subl    $0x200, %esi
        lgdtl   %cs:(table_pointer - entry)
        movl    %cr0, %eax
        orb     $1, %al
        movl    %eax, %cr0
        ljmpl   $8, $start
table_pointer:
        .word   table_end - table - 1
        .long   table
release:
        .asciz  "0-hostile (coffer) #1"
        .org    0x400

        .section .start, "ax"
        .code32
start:  movw    $16, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movl    $stack_top, %esp
        cld
        xorl    %eax, %eax
        movl    $bss_start, %edi
        movl    $bss_end, %ecx
        subl    %edi, %ecx
        rep stosb
        pushl   0x228(%esi)             /* cmd_line_ptr */
        call    kernel_main
1:      hlt
        jmp     1b

        .balign 8
table:  .quad   0
        .quad   0x00cf9b000000ffff      /* 8: code, 4 GiB from 0 */
        .quad   0x00cf93000000ffff      /* 16: data, the same */
table_end:

        .section .note.GNU-stack, "", @progbits
