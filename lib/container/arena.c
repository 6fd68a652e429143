/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/arena.h"

#include "lib/base/checked.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef F_ADD_SEALS
#define F_ADD_SEALS   (1024 + 9)
#define F_SEAL_SEAL   0x0001
#define F_SEAL_SHRINK 0x0002
#define F_SEAL_GROW   0x0004
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

/* What any type is aligned to. */
enum { ARENA_ALIGNMENT = 16 };

/* Maps `fd` at ARENA_ADDRESS and nowhere else: kernels before 4.17 take MAP_FIXED_NOREPLACE for a wish. */
static int map_at_address(int fd, int protection, uint8_t **ret_base, struct error *err)
{
        uint8_t *wanted = (uint8_t *)ARENA_ADDRESS;
        uint8_t *base = mmap(wanted, ARENA_MAX, protection, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);

        if (base == MAP_FAILED)
                return error_errno(err, errno, "can't map shared memory at its address");
        if (base != wanted) {
                munmap(base, ARENA_MAX);
                return error_set(err, -EEXIST, "the address of shared memory is taken");
        }
        *ret_base = base;
        return 0;
}

/* Its size can't change from here on, so that no access runs past the end; and whoever gets the descriptor
 * can read it only.  The second came with Linux 5.1 and is a second fence: init maps it for reading. */
static int seal(int fd, struct error *err)
{
        if (fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) == 0)
                return 0;
        if (errno == EINVAL && fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0)
                return 0;
        return error_errno(err, errno, "can't seal shared memory");
}

int arena_new_shared(struct arena *ret_arena, struct error *err)
{
        cleanup_fd int fd = (int)syscall(SYS_memfd_create, "rune-plan", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        uint8_t *base;

        if (fd < 0)
                return error_errno(err, errno, "can't make shared memory");
        if (ftruncate(fd, ARENA_MAX) < 0)
                return error_errno(err, errno, "can't size shared memory");
        int r = map_at_address(fd, PROT_READ | PROT_WRITE, &base, err);
        if (r < 0)
                return r;
        r = seal(fd, err);
        if (r < 0) {
                munmap(base, ARENA_MAX);
                return r;
        }
        *ret_arena = (struct arena){.fd = take_fd(&fd), .base = base, .max = ARENA_MAX};
        return 0;
}

int arena_new_private(struct arena *ret_arena, struct error *err)
{
        void *base = mmap(NULL, ARENA_MAX, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (base == MAP_FAILED)
                return error_errno(err, errno, "can't map %d MiB of memory", ARENA_MAX / 1024 / 1024);
        *ret_arena = (struct arena){.fd = -1, .base = base, .max = ARENA_MAX};
        return 0;
}

int arena_map(int fd, struct arena *ret_arena, struct error *err)
{
        struct stat st;
        uint8_t *base;

        if (fstat(fd, &st) < 0)
                return error_errno(err, errno, "can't look at the shared memory");
        if (st.st_size != ARENA_MAX)
                return error_set(err, -EINVAL, "the shared memory has %lld bytes instead of %d",
                                 (long long)st.st_size, ARENA_MAX);
        int r = map_at_address(fd, PROT_READ, &base, err);
        if (r < 0)
                return r;
        *ret_arena = (struct arena){.fd = -1, .base = base, .used = ARENA_MAX, .max = ARENA_MAX};
        return 0;
}

void arena_done(struct arena *arena)
{
        if (arena->base)
                munmap(arena->base, ARENA_MAX);
        fd_close_p(&arena->fd);
        *arena = ARENA_NONE;
}

void *arena_alloc(struct arena *arena, size_t n, size_t size)
{
        size_t bytes, start, end;

        if (!checked_mul(n, size, &bytes) || !checked_add(arena->used, ARENA_ALIGNMENT - 1, &start))
                return NULL;
        start &= ~(size_t)(ARENA_ALIGNMENT - 1);
        if (!checked_add(start, bytes, &end) || end > arena->max)
                return NULL;
        arena->used = end;
        return arena->base + start;
}

char *arena_string_of(struct arena *arena, struct view v)
{
        size_t bytes;

        if (!checked_add(v.n, 1, &bytes))
                return NULL;
        char *copy = arena_alloc(arena, bytes, 1);
        if (copy && v.n > 0)
                memcpy(copy, v.p, v.n);
        return copy;
}

char *arena_string(struct arena *arena, const char *s)
{
        return arena_string_of(arena, view_of_string(s));
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        int n = vsnprintf(NULL, 0, format, args);
        va_end(args);
        if (n < 0)
                return NULL;
        char *text = arena_alloc(arena, (size_t)n + 1, 1);
        if (!text)
                return NULL;
        va_start(args, format);
        (void)vsnprintf(text, (size_t)n + 1, format, args);
        va_end(args);
        return text;
}

void *arena_root(const struct arena *arena)
{
        return arena->base;
}
