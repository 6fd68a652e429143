/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena.h - memory that two processes see at the same address.
 *
 * rune parses config.json once; the process that becomes the container (container-init, another executable)
 * uses the result.  Instead of writing it out and parsing it again, everything is allocated from one
 * sealed-size memory file that both map at ARENA_ADDRESS, so that pointers in it mean the same in both.
 * The container's payload never sees it: the mapping ends with execve(2) and the descriptor is
 * close-on-exec.
 *
 * Memory of an arena is zeroed, is never freed piece by piece, and ends with the arena.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/base/view.h"

#include <stddef.h>

/* Where an arena lies in every process: far from where kernels place programs, libraries, stacks and the
 * shadow memory of sanitizers. */
#define ARENA_ADDRESS ((uintptr_t)0x200000000000)

/* Ceiling of an arena in bytes.  It costs address space only. */
enum { ARENA_MAX = 64 * 1024 * 1024 };

struct arena {
        int fd; /* memory file, close-on-exec; -1 where the arena is private to this process */
        uint8_t *base;
        size_t used;
        size_t max;
};

#define ARENA_NONE ((struct arena){.fd = -1})

/* A new arena at ARENA_ADDRESS, shared through ret_arena->fd.  -EEXIST where this process has one already. */
int arena_new_shared(struct arena *ret_arena, struct error *err);

/* A new arena at any address, for this process only: parsers that don't start a container, tests, fuzzers. */
int arena_new_private(struct arena *ret_arena, struct error *err);

/* Maps another process's arena, handed over as `fd` (which stays the caller's), at ARENA_ADDRESS.  Nothing
 * can be allocated from it. */
int arena_map(int fd, struct arena *ret_arena, struct error *err);

/* Unmaps and closes.  Safe on ARENA_NONE. */
void arena_done(struct arena *arena);
#define cleanup_arena CLEANUP(arena_done)

/* `n` members of `size` zeroed bytes, aligned for any type; NULL where the ceiling is reached or n * size
 * overflows.  n or size 0 gives a valid pointer that must not be read. */
void *arena_alloc(struct arena *arena, size_t n, size_t size);

/* A copy of `s`, or of `v` with a NUL behind it; NULL as above. */
char *arena_string(struct arena *arena, const char *s);
char *arena_string_of(struct arena *arena, struct view v);

/* printf into the arena; NULL as above. */
char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What lies at ARENA_ADDRESS first: the one object through which a mapper finds the rest. */
void *arena_root(const struct arena *arena);
