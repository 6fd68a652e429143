/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/sgx/test-enclave.h"

#include "lib/sgx/little-endian.h"
#include "lib/sgx/measure.h"
#include "lib/sgx/sim-cpu.h"
#include "lib/sgx/sim-device.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { TCS_NSSA = 28, TCS_OENTRY = 32, TCS_OFSBASE = 48 };

/* The page of code. RCX, where to go back to, waits in R11; the stack is not used. */
__asm__(".section .rodata\n"
        ".balign 4096\n"
        "test_enclave_code:\n"
        "        cmp $0x107, %r10\n"
        "        je 11f\n"
        "        mov %rcx, %r11\n"
        "        test %rax, %rax\n"
        "        jnz 8f\n"
        "        cmp $8, %r10\n"
        "        jb 1f\n"
        "        cmp $0x100, %r10\n"
        "        je 2f\n"
        "        cmp $0x101, %r10\n"
        "        je 3f\n"
        "        cmp $0x102, %r10\n"
        "        je 4f\n"
        "        cmp $0x103, %r10\n"
        "        je 5f\n"
        "        cmp $0x104, %r10\n"
        "        je 6f\n"
        "        cmp $0x105, %r10\n"
        "        je 7f\n"
        "        cmp $0x108, %r10\n"
        "        je 12f\n"
        "        cmp $0x109, %r10\n"
        "        je 13f\n"
        "10:     pause\n"
        "        cmpb $0, (%rdi)\n"
        "        je 10b\n"
        "        jmp 9f\n"
        "1:      mov %rdi, %rbx\n"
        "        mov %rsi, %rcx\n"
        "        mov %r10, %rax\n"
        "        enclu\n"
        "        mov %rax, %rdx\n"
        "        jmp 9f\n"
        "2:      ud2\n"
        "3:      mov %rdi, %rax\n"
        "        xor %edx, %edx\n"
        "        div %rsi\n"
        "        mov %rax, %rdx\n"
        "        jmp 9f\n"
        "4:      mov (%rdi), %rdx\n"
        "        jmp 9f\n"
        "5:      rdfsbase %rdx\n"
        "        jmp 9f\n"
        "6:      int3\n"
        "        mov $3, %edx\n"
        "        jmp 9f\n"
        "7:      movq %rsi, %xmm3\n"
        "        mov (%rdi), %rax\n"
        "        movq %xmm3, %rdx\n"
        "        jmp 9f\n"
        "8:      mov $0x55, %edx\n"
        "9:      mov %r11, %rbx\n"
        "        mov $4, %eax\n"
        "        enclu\n"
        "11:"
        "        mov %rax, 0(%rdi)\n"
        "        mov %rcx, 8(%rdi)\n"
        "        mov %rdx, 16(%rdi)\n"
        "        mov %rbx, 24(%rdi)\n"
        "        mov %rsp, 32(%rdi)\n"
        "        mov %rbp, 40(%rdi)\n"
        "        mov %rsi, 48(%rdi)\n"
        "        mov %rdi, 56(%rdi)\n"
        "        mov %r8, 64(%rdi)\n"
        "        mov %r9, 72(%rdi)\n"
        "        mov %r10, 80(%rdi)\n"
        "        mov %r11, 88(%rdi)\n"
        "        mov %r12, 96(%rdi)\n"
        "        mov %r13, 104(%rdi)\n"
        "        mov %r14, 112(%rdi)\n"
        "        mov %r15, 120(%rdi)\n"
        "        movups %xmm0, 128(%rdi)\n"
        "        movups %xmm1, 144(%rdi)\n"
        "        movups %xmm2, 160(%rdi)\n"
        "        movups %xmm3, 176(%rdi)\n"
        "        movups %xmm4, 192(%rdi)\n"
        "        movups %xmm5, 208(%rdi)\n"
        "        movups %xmm6, 224(%rdi)\n"
        "        movups %xmm7, 240(%rdi)\n"
        "        movups %xmm8, 256(%rdi)\n"
        "        movups %xmm9, 272(%rdi)\n"
        "        movups %xmm10, 288(%rdi)\n"
        "        movups %xmm11, 304(%rdi)\n"
        "        movups %xmm12, 320(%rdi)\n"
        "        movups %xmm13, 336(%rdi)\n"
        "        movups %xmm14, 352(%rdi)\n"
        "        movups %xmm15, 368(%rdi)\n"
        "        mov %rcx, %r11\n"
        "        jmp 9b\n"
        "12:     .byte 0xf4, 0x01, 0xd7\n" /* HLT; ADD EDI, EDX: the last two as in ENCLU */
        "        mov $3, %edx\n"
        "        jmp 9b\n"
        "13:     jmp *%rdi\n"
        "        .fill 4096 - (. - test_enclave_code), 1, 0xcc\n"
        ".previous\n");
extern const uint8_t test_enclave_code[SGX_PAGE_SIZE];

static void page_of(size_t i, uint8_t ret_page[static SGX_PAGE_SIZE], uint64_t *ret_flags)
{
        bool is_tcs = i == TEST_TCS_A || i == TEST_TCS_B;

        memset(ret_page, 0, SGX_PAGE_SIZE);
        *ret_flags = is_tcs ? SGX_SECINFO_FLAGS(SGX_TYPE_TCS, 0)
                            : SGX_SECINFO_FLAGS(SGX_TYPE_REG, i == TEST_CODE ? SGX_PAGE_R | SGX_PAGE_X
                                                                             : SGX_PAGE_R | SGX_PAGE_W);
        if (i == TEST_CODE)
                memcpy(ret_page, test_enclave_code, SGX_PAGE_SIZE);
        if (!is_tcs)
                return;
        put_le(ret_page + SGX_TCS_OSSA, (i == TEST_TCS_A ? TEST_SSA_A : TEST_SSA_B) * SGX_PAGE_SIZE, 8);
        put_le(ret_page + TCS_NSSA, 2, 4);
        put_le(ret_page + TCS_OENTRY, TEST_CODE * SGX_PAGE_SIZE, 8);
        put_le(ret_page + TCS_OFSBASE, TEST_DATA * SGX_PAGE_SIZE, 8);
}

void test_enclave_measure(uint8_t ret_mrenclave[static SGX_HASH_SIZE])
{
        uint8_t page[SGX_PAGE_SIZE];
        struct hash h = HASH_NONE;
        uint64_t flags;

        if (sgx_measure_create(&h, 1, TEST_SIZE_PAGES * SGX_PAGE_SIZE) < 0)
                abort();
        for (size_t i = 0; i < TEST_PAGES; i++) {
                page_of(i, page, &flags);
                sgx_measure_page(&h, i * SGX_PAGE_SIZE, flags, page);
        }
        if (sgx_measure_final(&h, ret_mrenclave) < 0)
                abort();
}

uint64_t test_enclave_page(const struct sgx_enclave *e, size_t i)
{
        return e->base + i * SGX_PAGE_SIZE;
}

static void sign(const struct sgx_signing_key *key, void (*spoil)(struct sgx_sigstruct *s),
                 uint8_t ret_bytes[static SGX_SIGSTRUCT_SIZE])
{
        struct sgx_sigstruct s = {
                .date = 0x20261130,
                .attributes = {SGX_ATTRIBUTE_MODE64 | SGX_ATTRIBUTE_DEBUG, SGX_XFRM_LEGACY},
                .attribute_mask = {~0ULL, ~0ULL},
                .misc_mask = ~0U,
                .isv_svn = 3,
                .isv_prod_id = 7,
        };

        test_enclave_measure(s.mrenclave);
        if (sgx_signing_key_sign(key, &s, NULL) < 0)
                abort();
        if (spoil)
                spoil(&s);
        sgx_sigstruct_encode(&s, ret_bytes);
}

static void reserve(struct sgx_enclave *e)
{
        uint8_t *p = mmap(NULL, 2 * e->size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        size_t before = -(uintptr_t)p % e->size;

        if (p == MAP_FAILED)
                abort();
        if (before)
                munmap(p, before);
        munmap(p + before + e->size, e->size - before);
        e->base = (uint64_t)(uintptr_t)(p + before);
}

static int add_pages(struct sgx_enclave *e, struct error *err)
{
        uint8_t page[SGX_PAGE_SIZE] __attribute__((aligned(SGX_PAGE_SIZE)));
        uint64_t flags;
        int r = 0;

        for (size_t i = 0; r == 0 && i < TEST_PAGES; i++) {
                page_of(i, page, &flags);
                r = e->driver->add_page(e, i * SGX_PAGE_SIZE, page, flags, err);
        }
        return r;
}

static int map_pages(struct sgx_enclave *e, struct error *err)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < TEST_SIZE_PAGES; i++)
                r = e->driver->map(e, i * SGX_PAGE_SIZE, SGX_PAGE_SIZE,
                                   i == TEST_CODE ? PROT_READ | PROT_EXEC : PROT_READ | PROT_WRITE, err);
        return r;
}

int test_enclave_make(const struct sgx_driver *driver, const struct sgx_os *os,
                      const struct sgx_signing_key *key, void (*spoil)(struct sgx_sigstruct *s),
                      struct sgx_enclave *ret_enclave, int *ret_code, struct error *err)
{
        struct sgx_enclave e = {.driver = driver, .os = *os, .size = TEST_SIZE_PAGES * SGX_PAGE_SIZE};
        uint8_t sigstruct[SGX_SIGSTRUCT_SIZE];
        int r;

        e.fd = os->open(os->user, driver->device, O_RDWR | O_CLOEXEC);
        if (e.fd < 0)
                return error_errno(err, errno, "%s", driver->device);
        reserve(&e);
        sign(key, spoil, sigstruct);
        struct sgx_secs secs = {
                .size = e.size,
                .base = e.base,
                .ssa_frame_pages = 1,
                .attributes = {SGX_ATTRIBUTE_MODE64 | SGX_ATTRIBUTE_DEBUG, SGX_XFRM_LEGACY},
        };
        *ret_code = -1;
        r = driver->create(&e, &secs, err);
        if (r == 0)
                r = add_pages(&e, err);
        if (r == 0)
                r = driver->init(&e, sigstruct, NULL, ret_code, err);
        if (r == 0)
                r = map_pages(&e, err);
        if (r < 0)
                sgx_unload(&e);
        else
                *ret_enclave = e;
        return r;
}

int test_enclave_simulated(struct sgx_signing_key **ret_key, struct sgx_enclave *ret_enclave)
{
        struct error err = {0};
        int code;
        int r = sgx_signing_key_generate(ret_key, &err);

        if (r == 0)
                r = sgx_sim_start(NULL, &err);
        if (r == 0)
                r = test_enclave_make(&sgx_driver_simulation, &sgx_os_simulated, *ret_key, NULL, ret_enclave,
                                      &code, &err);
        if (r == 0)
                return 0;
        fprintf(stderr, "%s\n", error_text(&err));
        return -1;
}

void test_enclave_end(struct sgx_signing_key *key, struct sgx_enclave *enclave)
{
        sgx_unload(enclave);
        sgx_sim_stop();
        sgx_signing_key_free(key);
}
