/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/runelet/calls.h"

#include <errno.h>
#include <sys/socket.h>
#include <time.h>

enum { SECOND_MS = 1000, MS_NS = 1000000, SECOND_NS = 1000000000 };

/* The wait must not depend on a clock that can be set. */
void calls_init(struct calls *calls)
{
        pthread_condattr_t attributes;

        *calls = (struct calls){.lock = PTHREAD_MUTEX_INITIALIZER};
        (void)pthread_condattr_init(&attributes);
        (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        (void)pthread_cond_init(&calls->changed, &attributes);
        (void)pthread_condattr_destroy(&attributes);
}

bool calls_begin(struct calls *calls, struct call *ret_call, int socket)
{
        (void)pthread_mutex_lock(&calls->lock);
        bool may = !calls->over;
        if (may) {
                *ret_call = (struct call){.socket = socket, .next = calls->first};
                calls->first = ret_call;
        }
        (void)pthread_mutex_unlock(&calls->lock);
        return may;
}

void calls_end(struct calls *calls, struct call *call)
{
        struct call **at = &calls->first;

        (void)pthread_mutex_lock(&calls->lock);
        while (*at != call)
                at = &(*at)->next;
        *at = call->next;
        (void)pthread_cond_broadcast(&calls->changed);
        (void)pthread_mutex_unlock(&calls->lock);
}

static struct timespec deadline_in(unsigned ms)
{
        struct timespec t;

        (void)clock_gettime(CLOCK_MONOTONIC, &t);
        t.tv_sec += (time_t)(ms / SECOND_MS);
        t.tv_nsec += (long)(ms % SECOND_MS) * MS_NS;
        if (t.tv_nsec >= SECOND_NS) {
                t.tv_sec++;
                t.tv_nsec -= SECOND_NS;
        }
        return t;
}

bool calls_finish(struct calls *calls, unsigned timeout_ms)
{
        const struct timespec deadline = deadline_in(timeout_ms);
        int r = 0;

        (void)pthread_mutex_lock(&calls->lock);
        calls->over = true;
        for (const struct call *call = calls->first; call; call = call->next)
                if (call->socket >= 0)
                        (void)shutdown(call->socket, SHUT_RD);
        while (calls->first && r != ETIMEDOUT)
                r = pthread_cond_timedwait(&calls->changed, &calls->lock, &deadline);
        bool all_ended = !calls->first;
        (void)pthread_mutex_unlock(&calls->lock);
        return all_ended;
}
