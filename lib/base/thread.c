/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/thread.h"

#include <signal.h>

int thread_start(void *(*work)(void *user), void *user, pthread_t *ret_thread)
{
        sigset_t all, before;
        int r;

        sigfillset(&all);
        r = pthread_sigmask(SIG_SETMASK, &all, &before);
        if (r != 0)
                return -r;
        r = pthread_create(ret_thread, NULL, work, user);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        return -r;
}
