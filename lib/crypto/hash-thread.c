/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash-thread.c - one thread, one hash, one block in flight.
 *
 * `block` is the hand-over: the caller sets it and signals, the thread hashes it and sets it back to empty
 * and signals.  While it is set, the hash belongs to the thread; while it is empty, to the caller.  The lock
 * is held for the hand-over alone, never while hashing.
 */
#include "lib/crypto/hash-thread.h"

#include "lib/base/thread.h"

enum thread_state {
        THREAD_UNTRIED, /* no block was big enough yet */
        THREAD_RUNNING,
        THREAD_REFUSED, /* could not be started: the caller hashes */
};

struct hash_thread {
        struct hash hash;
        enum thread_state state;
        pthread_t thread;
        pthread_mutex_t lock;
        pthread_cond_t changed;
        struct view block; /* under lock: n > 0 while the thread has work */
        bool quit;         /* under lock */
};

static void *work(void *user)
{
        struct hash_thread *t = user;

        pthread_mutex_lock(&t->lock);
        for (;;) {
                while (t->block.n == 0 && !t->quit)
                        pthread_cond_wait(&t->changed, &t->lock);
                if (t->block.n == 0)
                        break;
                pthread_mutex_unlock(&t->lock);
                hash_update(&t->hash, t->block.p, t->block.n);
                pthread_mutex_lock(&t->lock);
                t->block = view_of(NULL, 0);
                pthread_cond_broadcast(&t->changed);
        }
        pthread_mutex_unlock(&t->lock);
        return NULL;
}

int hash_thread_new(enum hash_algorithm algorithm, struct hash_thread **ret_thread)
{
        struct hash_thread *t = calloc(1, sizeof(*t));
        int r;

        if (!t)
                return -ENOMEM;
        r = hash_init(&t->hash, algorithm);
        if (r < 0) {
                free(t);
                return r;
        }
        pthread_mutex_init(&t->lock, NULL);
        pthread_cond_init(&t->changed, NULL);
        *ret_thread = t;
        return 0;
}

void hash_thread_free(struct hash_thread *t)
{
        if (!t)
                return;
        if (t->state == THREAD_RUNNING) {
                pthread_mutex_lock(&t->lock);
                t->quit = true;
                pthread_cond_broadcast(&t->changed);
                pthread_mutex_unlock(&t->lock);
                pthread_join(t->thread, NULL);
        }
        pthread_cond_destroy(&t->changed);
        pthread_mutex_destroy(&t->lock);
        hash_done(&t->hash);
        free(t);
}

void hash_thread_update(struct hash_thread *t, const void *p, size_t n)
{
        hash_thread_wait(t);
        if (n >= HASH_THREAD_MIN && t->state == THREAD_UNTRIED)
                t->state = thread_start(work, t, &t->thread) == 0 ? THREAD_RUNNING : THREAD_REFUSED;
        if (n < HASH_THREAD_MIN || t->state != THREAD_RUNNING) {
                hash_update(&t->hash, p, n);
                return;
        }
        pthread_mutex_lock(&t->lock);
        t->block = view_of(p, n);
        pthread_cond_broadcast(&t->changed);
        pthread_mutex_unlock(&t->lock);
}

void hash_thread_wait(struct hash_thread *t)
{
        if (t->state != THREAD_RUNNING)
                return;
        pthread_mutex_lock(&t->lock);
        while (t->block.n > 0)
                pthread_cond_wait(&t->changed, &t->lock);
        pthread_mutex_unlock(&t->lock);
}

int hash_thread_copy(struct hash_thread *t, struct hash *ret_h)
{
        hash_thread_wait(t);
        return hash_copy(&t->hash, ret_h);
}
