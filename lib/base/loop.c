/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.  Each source is one descriptor in an epoll set: the caller's, a timerfd or a signalfd.
 * epoll_wait() fetches several events at once, so a callback may remove a source whose event waits further
 * down the same batch.  A removed source is therefore only marked dead and unlinked from epoll; its memory
 * goes after the batch.  Invariant: between two batches the list holds no dead source.
 */
#include "lib/base/loop.h"

#include "lib/base/fd.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { LOOP_BATCH = 64 };

enum source_kind {
        SOURCE_FD,
        SOURCE_TIMER,
        SOURCE_SIGNAL,
};

struct loop_source {
        struct loop *loop;
        struct loop_source *next;
        enum source_kind kind;
        int fd;
        bool dead;
        union {
                loop_fd_fn on_fd;
                loop_timer_fn on_timer;
                loop_signal_fn on_signal;
        };
        void *user;
};

struct loop {
        int epoll_fd;
        struct loop_source *sources;
        bool quit;
        int quit_code;
        bool has_dead;
};

int loop_new(struct loop **ret_loop, struct error *err)
{
        struct loop *loop = calloc(1, sizeof(*loop));

        if (!loop)
                return error_oom(err);
        loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (loop->epoll_fd < 0) {
                int r = error_errno(err, errno, "epoll");
                free(loop);
                return r;
        }
        *ret_loop = loop;
        return 0;
}

static void source_free(struct loop_source *source)
{
        /* A descriptor source watches the caller's descriptor; the other kinds made theirs. */
        if (source->kind != SOURCE_FD)
                fd_close_p(&source->fd);
        free(source);
}

void loop_free(struct loop *loop)
{
        if (!loop)
                return;
        for (struct loop_source *s = loop->sources, *next; s; s = next) {
                next = s->next;
                source_free(s);
        }
        close(loop->epoll_fd);
        free(loop);
}

static int add_source(struct loop *loop, const struct loop_source *template, uint32_t events,
                      struct loop_source **ret_source, struct error *err)
{
        cleanup_free struct loop_source *source = malloc(sizeof(*source));

        if (!source)
                return error_oom(err);
        *source = *template;
        struct epoll_event event = {.events = events, .data.ptr = source};
        if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, source->fd, &event) < 0)
                return error_errno(err, errno, "watch descriptor %d", source->fd);
        source->loop = loop;
        source->next = loop->sources;
        loop->sources = source;
        if (ret_source)
                *ret_source = source;
        take_pointer(&source);
        return 0;
}

int loop_add_fd(struct loop *loop, int fd, uint32_t events, loop_fd_fn fn, void *user,
                struct loop_source **ret_source, struct error *err)
{
        return add_source(loop, &(struct loop_source){.kind = SOURCE_FD, .fd = fd, .on_fd = fn, .user = user},
                          events, ret_source, err);
}

int loop_set_events(struct loop_source *source, uint32_t events)
{
        struct epoll_event event = {.events = events, .data.ptr = source};

        return epoll_ctl(source->loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event) < 0 ? -errno : 0;
}

static int arm_timer(int fd, uint64_t milliseconds)
{
        struct itimerspec when = {
                .it_value = {.tv_sec = (time_t)(milliseconds / 1000),
                             .tv_nsec = (long)(milliseconds % 1000) * 1000000},
        };

        /* All zero would disarm the timer instead of firing at once. */
        if (milliseconds == 0)
                when.it_value.tv_nsec = 1;
        return timerfd_settime(fd, 0, &when, NULL) < 0 ? -errno : 0;
}

int loop_add_timer(struct loop *loop, uint64_t milliseconds, loop_timer_fn fn, void *user,
                   struct loop_source **ret_source, struct error *err)
{
        cleanup_fd int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

        if (fd < 0)
                return error_errno(err, errno, "timer");
        int r = arm_timer(fd, milliseconds);
        if (r < 0)
                return error_errno(err, -r, "timer");
        r = add_source(loop,
                       &(struct loop_source){.kind = SOURCE_TIMER, .fd = fd, .on_timer = fn, .user = user},
                       EPOLLIN, ret_source, err);
        if (r == 0)
                take_fd(&fd);
        return r;
}

int loop_set_timer(struct loop_source *source, uint64_t milliseconds)
{
        return arm_timer(source->fd, milliseconds);
}

int loop_add_signal(struct loop *loop, int signal, loop_signal_fn fn, void *user,
                    struct loop_source **ret_source, struct error *err)
{
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, signal);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return error_errno(err, errno, "block signal %d", signal);
        cleanup_fd int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        if (fd < 0)
                return error_errno(err, errno, "signal %d", signal);
        int r = add_source(
                loop, &(struct loop_source){.kind = SOURCE_SIGNAL, .fd = fd, .on_signal = fn, .user = user},
                EPOLLIN, ret_source, err);
        if (r == 0)
                take_fd(&fd);
        return r;
}

void loop_remove(struct loop_source **source)
{
        if (!*source)
                return;
        (void)epoll_ctl((*source)->loop->epoll_fd, EPOLL_CTL_DEL, (*source)->fd, NULL);
        (*source)->dead = true;
        (*source)->loop->has_dead = true;
        *source = NULL;
}

static void sweep_dead(struct loop *loop)
{
        if (!loop->has_dead)
                return;
        for (struct loop_source **at = &loop->sources; *at;) {
                struct loop_source *s = *at;
                if (!s->dead) {
                        at = &s->next;
                        continue;
                }
                *at = s->next;
                source_free(s);
        }
        loop->has_dead = false;
}

static int dispatch(struct loop_source *source, uint32_t events)
{
        uint64_t expirations;
        struct signalfd_siginfo info;

        switch (source->kind) {
        case SOURCE_FD:
                return source->on_fd(source, source->fd, events, source->user);
        case SOURCE_TIMER:
                if (read(source->fd, &expirations, sizeof(expirations)) != sizeof(expirations))
                        return 0; /* re-armed since the event was fetched */
                return source->on_timer(source, source->user);
        case SOURCE_SIGNAL:
                if (read(source->fd, &info, sizeof(info)) != sizeof(info))
                        return 0;
                return source->on_signal(source, (int)info.ssi_signo, source->user);
        }
        return -EINVAL;
}

static int run_batch(struct loop *loop, const struct epoll_event *events, int n)
{
        for (int i = 0; i < n && !loop->quit; i++) {
                struct loop_source *source = events[i].data.ptr;
                if (source->dead)
                        continue;
                int r = dispatch(source, events[i].events);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int turn(struct loop *loop, int timeout)
{
        struct epoll_event events[LOOP_BATCH];

        /* Callers may have removed sources outside of a callback. */
        sweep_dead(loop);
        int n = epoll_wait(loop->epoll_fd, events, LOOP_BATCH, timeout);
        if (n < 0 && errno != EINTR)
                return -errno;
        int r = run_batch(loop, events, n);
        sweep_dead(loop);
        return r;
}

int loop_run(struct loop *loop)
{
        loop->quit = false;
        while (!loop->quit) {
                int r = turn(loop, -1);
                if (r < 0)
                        return r;
        }
        return loop->quit_code;
}

int loop_turn(struct loop *loop)
{
        loop->quit = false;
        return turn(loop, 0);
}

void loop_quit(struct loop *loop, int code)
{
        loop->quit = true;
        loop->quit_code = code;
}
