/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.  An answer can fail a call or return something in its place, but not change its
 * arguments; and a mapping can only be made by the process itself.  So the thread, which sleeps in its call,
 * is stopped by ptrace(2).  That takes the call back; in the stop its registers hold what it will be begun
 * again with, and there the arguments are changed: once MAP_HUGETLB is gone the call doesn't come to us any
 * more.
 *
 * A mapping at an address that is a multiple of 2 MiB, which huge pages have by nature and the driver wants:
 * a hint at an address that is free now, for the kernel takes a hint exactly where it can.
 */
#include "ne-emulator/pages.h"

#include "ne-emulator/regions.h"
#include "ne-emulator/target.h"

#include "lib/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mman.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

/* The highest free place for `size` bytes below the stack that begins at a multiple of REGION_ALIGN; 0:
 * none. */
static uint64_t find_place(const struct target *target, uint64_t size)
{
        cleanup_fd int fd = openat(target->proc_fd, "maps", O_RDONLY | O_CLOEXEC);
        cleanup_file FILE *maps = fd < 0 ? NULL : fdopen(fd, "r");
        uint64_t from, to, end = REGION_ALIGN, place = 0;
        cleanup_free char *line = NULL;
        size_t room = 0;

        if (!maps)
                return 0;
        (void)take_fd(&fd);
        while (getline(&line, &room, maps) > 0) {
                /* What the stack may grow into is left alone. */
                if (!region_parse_line(line, &from, &to) || from >= REGION_END_MAX || strstr(line, "[stack]"))
                        break;
                if (from > end && from - end >= size + REGION_ALIGN)
                        place = (from - size) & ~(REGION_ALIGN - 1);
                end = to;
        }
        return place;
}

#if defined(__x86_64__)
static int change(pid_t tid, uint64_t place)
{
        struct user_regs_struct regs;

        if (ptrace(PTRACE_GETREGS, tid, NULL, &regs) < 0)
                return -errno;
        regs.r10 &= ~(MAP_HUGETLB | ((uint64_t)MAP_HUGE_MASK << MAP_HUGE_SHIFT));
        if (place != 0 && !(regs.r10 & (MAP_FIXED | MAP_FIXED_NOREPLACE)))
                regs.rdi = place;
        return ptrace(PTRACE_SETREGS, tid, NULL, &regs) < 0 ? -errno : 0;
}
#else
static int change(pid_t tid, uint64_t place)
{
        (void)tid;
        (void)place;
        return -ENOSYS;
}
#endif

/* Stops the thread, changes its call, and lets it go. 0 or -errno, and then nothing has changed. */
static int redirect(pid_t tid, uint64_t place)
{
        int status;

        if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) < 0)
                return -errno;
        int r = ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0 ? -errno : 0;
        if (r == 0 && waitpid(tid, &status, __WALL) != tid)
                r = -ESRCH;
        if (r == 0)
                r = change(tid, place);
        (void)ptrace(PTRACE_DETACH, tid, NULL, NULL);
        return r;
}

void pages_call(const struct call *call, const struct log *log)
{
        cleanup_target struct target target = TARGET_NONE;
        uint64_t size = (call->args[1] + REGION_ALIGN - 1) & ~(REGION_ALIGN - 1);
        int r = target_open(call, &target);

        if (r == 0)
                r = redirect(call->tid, find_place(&target, size));
        if (r == 0)
                return;
        log_warning(log, "process %d asks for huge pages and cannot be given others: %s", call->tid,
                    strerror(-r));
        call_continue(call);
}
