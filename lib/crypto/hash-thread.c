/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash-thread.c - one thread, one hash, a ring of blocks between it and the caller.
 *
 * The caller adds a block and signals; the thread hashes the oldest one, takes it out and signals.  While
 * there are any, the hash belongs to the thread; while there are none, to the caller.  The lock is held for
 * the hand-over alone, never while hashing.
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
        struct view blocks[HASH_THREAD_BLOCKS - 1]; /* under lock, as are the next two */
        size_t oldest;
        size_t n_blocks;
        bool quit; /* under lock */
};

static void *work(void *user)
{
        struct hash_thread *t = user;

        pthread_mutex_lock(&t->lock);
        for (;;) {
                while (t->n_blocks == 0 && !t->quit)
                        pthread_cond_wait(&t->changed, &t->lock);
                if (t->n_blocks == 0)
                        break;
                struct view block = t->blocks[t->oldest];
                pthread_mutex_unlock(&t->lock);
                hash_update(&t->hash, block.p, block.n);
                pthread_mutex_lock(&t->lock);
                t->oldest = (t->oldest + 1) % ARRAY_SIZE(t->blocks);
                t->n_blocks--;
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

/* Waits until at most `n` blocks are in flight. Under the lock. */
static void wait_for(struct hash_thread *t, size_t n)
{
        while (t->n_blocks > n)
                pthread_cond_wait(&t->changed, &t->lock);
}

void hash_thread_update(struct hash_thread *t, const void *p, size_t n)
{
        if (n >= HASH_THREAD_MIN && t->state == THREAD_UNTRIED)
                t->state = thread_start(work, t, &t->thread) == 0 ? THREAD_RUNNING : THREAD_REFUSED;
        if (n < HASH_THREAD_MIN || t->state != THREAD_RUNNING) {
                hash_thread_wait(t);
                hash_update(&t->hash, p, n);
                return;
        }
        pthread_mutex_lock(&t->lock);
        wait_for(t, ARRAY_SIZE(t->blocks) - 1);
        t->blocks[(t->oldest + t->n_blocks++) % ARRAY_SIZE(t->blocks)] = view_of(p, n);
        pthread_cond_broadcast(&t->changed);
        pthread_mutex_unlock(&t->lock);
}

void hash_thread_wait(struct hash_thread *t)
{
        if (t->state != THREAD_RUNNING)
                return;
        pthread_mutex_lock(&t->lock);
        wait_for(t, 0);
        pthread_mutex_unlock(&t->lock);
}

int hash_thread_copy(struct hash_thread *t, struct hash *ret_h)
{
        hash_thread_wait(t);
        return hash_copy(&t->hash, ret_h);
}
