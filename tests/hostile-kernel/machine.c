/* SPDX-License-Identifier: Apache-2.0 */
#include "machine.h"

enum { SERIAL = 0x3f8, SERIAL_STATUS = SERIAL + 5, MAY_SEND = 0x20, DIGITS = 10 };

static const uint64_t ticks_per_second = UINT64_C(4000000000);

static void out8(uint16_t port, uint8_t value)
{
        __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t in8(uint16_t port)
{
        uint8_t value;

        __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
        return value;
}

_Noreturn void halt(void)
{
        for (;;)
                __asm__ volatile("hlt");
}

static void write_text(const char *text)
{
        for (; *text; text++) {
                while (!(in8(SERIAL_STATUS) & MAY_SEND))
                        ;
                out8(SERIAL, (uint8_t)*text);
        }
}

void say(const char *text, uint32_t number)
{
        char digits[DIGITS + 1] = {0};
        size_t at = DIGITS;

        do {
                digits[--at] = (char)('0' + number % 10);
                number /= 10;
        } while (number);
        write_text("hostile: ");
        write_text(text);
        write_text(" ");
        write_text(digits + at);
        write_text("\r\n");
}

void expect(bool good, const char *what)
{
        if (good)
                return;
        write_text("hostile: FAILED: ");
        write_text(what);
        write_text("\r\n");
        halt();
}

static uint64_t ticks(void)
{
        uint32_t low, high;

        __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
        return (uint64_t)high << 32 | low;
}

uint64_t seconds_from_now(uint32_t seconds)
{
        return ticks() + seconds * ticks_per_second;
}

bool has_passed(uint64_t moment)
{
        return ticks() >= moment;
}

void *memset(void *p, int byte, size_t n)
{
        void *at = p;

        __asm__ volatile("rep stosb" : "+D"(at), "+c"(n) : "a"(byte) : "memory");
        return p;
}

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
        void *at = to;

        __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(n) : : "memory");
        return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
        const uint8_t *x = a, *y = b;

        for (size_t i = 0; i < n; i++) {
                if (x[i] != y[i])
                        return x[i] - y[i];
        }
        return 0;
}

size_t strlen(const char *s)
{
        size_t n = 0;

        while (s[n])
                n++;
        return n;
}
