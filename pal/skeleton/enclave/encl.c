/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encl.c - the skeleton enclave: it proves that an enclave can be built, signed, loaded and called, and
 * what it is.
 *
 * Freestanding: no library, no relocations, one thread.  Two calls:
 *
 *      0 (out)                       writes 0xdeadfacedeadbeef to `out`
 *      1 (targetinfo, data, out)     EREPORT to `out`
 *
 * Pointers come from the outside, which is hostile: memory of the enclave's is refused, and input is copied
 * in before it is used.
 */
#include <stdint.h>

enum {
        CALL_INIT = 0,
        CALL_REPORT = 1,
        TARGETINFO_SIZE = 512,
        REPORT_DATA_SIZE = 64,
        REPORT_SIZE = 432,
        PAGE_SIZE = 4096,
};

static const uint64_t magic = 0xdeadfacedeadbeef;

/* Behind the file's last byte; a multiple of the page size.  Hidden, so that it is reached relative to
 * the code, which isn't where the linker thinks. */
extern const uint8_t encl_end[] __attribute__((visibility("hidden")));

uint64_t encl_call(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t base);

/* EREPORT's operands have to be aligned so. */
static uint8_t targetinfo[TARGETINFO_SIZE] __attribute__((aligned(512)));
static uint8_t report[512] __attribute__((aligned(512)));
static uint8_t data[REPORT_DATA_SIZE] __attribute__((aligned(128)));

static void copy(void *to, const void *from, uint64_t n)
{
        __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
}

/* True where [p, p + n) lies outside of ELRANGE: the file, an SSA frame, and the gap up to a power of two. */
static int is_outside(uint64_t p, uint64_t n, uint64_t base)
{
        uint64_t size = PAGE_SIZE, used = (uint64_t)encl_end - base + PAGE_SIZE;

        while (size < used)
                size *= 2;
        return p + n >= p && (p >= base + size || p + n <= base);
}

static uint64_t make_report(uint64_t in_targetinfo, uint64_t in_data, uint64_t out, uint64_t base)
{
        uint64_t leaf = 0;

        if (!is_outside(in_targetinfo, TARGETINFO_SIZE, base) ||
            !is_outside(in_data, REPORT_DATA_SIZE, base) || !is_outside(out, REPORT_SIZE, base))
                return (uint64_t)-1;
        copy(targetinfo, (const void *)in_targetinfo, TARGETINFO_SIZE);
        copy(data, (const void *)in_data, REPORT_DATA_SIZE);
        __asm__ volatile("enclu" : "+a"(leaf) : "b"(targetinfo), "c"(data), "d"(report) : "memory");
        copy((void *)out, report, REPORT_SIZE);
        return 0;
}

uint64_t encl_call(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t base)
{
        switch (number) {
        case CALL_INIT:
                if (!is_outside(a, sizeof(magic), base))
                        return (uint64_t)-1;
                copy((void *)a, &magic, sizeof(magic));
                return 0;
        case CALL_REPORT:
                return make_report(a, b, c, base);
        default:
                return (uint64_t)-1;
        }
}
