/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.h - what a kernel needs when there is nothing below it: the console, a clock, memory functions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Does nothing ever again. */
_Noreturn void halt(void);

/* Writes "hostile: TEXT" and a number on the console. */
void say(const char *text, uint32_t number);

/* Where `good` is false, says so and halts: nothing more comes from this guest, which its test notices. */
void expect(bool good, const char *what);

/* A moment some seconds from now, by the processor's counter; after it has_passed() is true.  The seconds
 * are those of a counter of 4 GHz, and so longer on most. */
uint64_t seconds_from_now(uint32_t seconds);

/* Whether that moment has come. */
bool has_passed(uint64_t moment);

/* Those of <string.h>; compilers call the first two of themselves. */
void *memset(void *p, int byte, size_t n);
void *memcpy(void *restrict to, const void *restrict from, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
