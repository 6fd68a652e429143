/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call.h - one system call of the command's that waits for us (seccomp_unotify(2)).
 *
 * Its thread sleeps in the kernel until the call is answered, exactly once, by one of call_return(),
 * call_fail(), call_continue() and call_give_fd(), at once or later.  A signal or the thread's death takes
 * the call back at any time: answers then say -ENOENT, and whoever has changed something for it undoes that,
 * for a call that was interrupted comes again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { CALL_ARGUMENTS = 6 };

/* A copy is as good as the original. */
struct call {
        int listener; /* where answers go */
        uint64_t id;
        pid_t tid; /* the thread, as we see it */
        int nr;
        uint64_t args[CALL_ARGUMENTS];
};

/* Takes the next call that waits.  0; -ENOENT where it was taken back meanwhile; another -errno. */
int call_receive(int listener, struct call *ret_call);

/* True while the thread still waits for an answer: what was found under its number before is then its own. */
bool call_is_wanted(const struct call *call);

/* The call returns `value`, which is not negative.  0, or -ENOENT where nobody waits for it any more. */
int call_return(const struct call *call, int64_t value);

/* The call fails with this (positive) errno; otherwise as call_return(). */
int call_fail(const struct call *call, int errnum);

/* The kernel does the call as though we weren't there.  Only for what isn't ours: the kernel reads the
 * arguments again, and what was decided by them need not hold. */
void call_continue(const struct call *call);

/* The call returns a descriptor: a copy of `fd` in the caller's process.  0, or -errno: -ENOENT as above,
 * -EMFILE where it has no room. */
int call_give_fd(const struct call *call, int fd, bool close_on_exec);
