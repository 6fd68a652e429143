/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clone-shared.h - clone3(2) for a child that runs in our memory, on a stack of its own.
 *
 * Theory of operation.  Of the C library's functions only clone() gives a child a stack, and it has nothing
 * of what came with clone3(2), such as CLONE_INTO_CGROUP.  syscall(2) can't do it either: the child would
 * return from it on a stack that has nothing on it.  So the system call and the child's first call are a few
 * instructions here, for each machine.  Source: clone(2), "C library/kernel differences"; the kernel's
 * calling conventions, syscall(2).
 */
#pragma once

#include <linux/sched.h>
#include <sys/types.h>

/* As clone3(2) with CLONE_VM | CLONE_VFORK beside args->flags: `run` is called with `user` in the child, on
 * the stack args->stack (its lowest address, 16-aligned, args->stack_size bytes), and must not return; the
 * caller goes on once the child has executed another program or ended.  The child's pid, or -errno; -ENOSYS
 * on machines that this is not written for. */
pid_t clone_shared(struct clone_args *args, int (*run)(void *user), void *user);
