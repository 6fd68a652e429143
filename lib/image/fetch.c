/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.  Each thread takes the lowest layer that nobody has begun, fetches it, and goes on.
 * Threads and not one event loop over all transfers: a layer is inflated and hashed as it comes, which is
 * more work than the transfer, and is to use all processors; and every source, not only registries, gets it
 * at no cost.  What the threads share is the table of layers and the sums, under one lock that is never held
 * while a thread waits for bytes.  What one thread holds in memory does not depend on its layer's size.
 *
 * The first failure is kept, the source is told to stop, and every other transfer ends with -ECANCELED at its
 * next piece of data, or where none comes within a moment (http.h).  That error is nobody's message.
 */
#include "lib/image/fetch.h"

#include "lib/base/fd.h"
#include "lib/base/thread.h"
#include "lib/image/progress.h"
#include "lib/image/spool.h"

#include <sched.h>

enum { TRANSFERS_DEFAULT_MIN = 2, TRANSFERS_DEFAULT_MAX = 4 };

struct fetched {
        bool ready;
        int fd; /* where ready; -1: taken */
};

struct image_fetch {
        struct image_source *source;
        const struct image_content *content;
        const struct image_options *options;
        const char *uri;
        pthread_t threads[FETCH_TRANSFERS_MAX];
        size_t n_threads;
        pthread_mutex_t lock; /* for all that follows */
        pthread_cond_t changed;
        struct fetched *layers;
        size_t next;      /* the first that nobody has begun */
        uint64_t tar_sum; /* bytes of all tars so far */
        struct progress_meter meter;
        struct image_progress progress;
        struct error failure; /* code 0: none yet */
};

static int stopped(struct error *err)
{
        return error_set(err, -ECANCELED, "stopped");
}

static int take_blob(void *user, uint64_t n, struct error *err)
{
        struct image_fetch *f = user;

        if (image_source_is_stopped(f->source))
                return stopped(err);
        pthread_mutex_lock(&f->lock);
        f->progress.done += n;
        progress_report(&f->meter, &f->progress);
        pthread_mutex_unlock(&f->lock);
        return 0;
}

/* The image's limit is for all layers together, and counts what others have written meanwhile. */
static int take_room(void *user, uint64_t n, struct error *err)
{
        struct image_fetch *f = user;
        uint64_t max = f->options->max_image_size;

        if (image_source_is_stopped(f->source))
                return stopped(err);
        pthread_mutex_lock(&f->lock);
        bool fits = n <= max && f->tar_sum <= max - n;
        f->tar_sum += fits ? n : 0;
        pthread_mutex_unlock(&f->lock);
        return fits ? 0
                    : error_set(err, -EFBIG, "the image's layers have more than %llu bytes when uncompressed",
                                (unsigned long long)max);
}

static void name_layer(const struct image_fetch *f, size_t i, struct error *err)
{
        const struct descriptor *d = &f->content->layers[i];
        char text[DIGEST_TEXT_MAX];

        digest_format(d->has_digest ? &d->digest : &f->content->config.diff_ids[i], text);
        error_wrap(err, "%.300s: layer %zu of %zu (%s)", f->uri, i + 1, f->content->n_layers, text);
}

static int fetch_layer(struct image_fetch *f, size_t i, int *ret_fd, struct error *err)
{
        const struct image_options *o = f->options;
        const struct layer_request request = {
                .blob = &f->content->layers[i],
                .diff_id = &f->content->config.diff_ids[i],
                .limits = {.max_output = o->max_layer_size,
                           .max_ratio = o->max_ratio,
                           .ratio_floor = o->ratio_floor},
                .spool_dir = o->spool_dir,
                .log = o->log,
                .take_blob = take_blob,
                .take_room = take_room,
                .user = f,
        };
        int r = layer_spool(f->source, &request, ret_fd, err);

        if (r < 0)
                name_layer(f, i, err);
        return r;
}

/* Notes how layer `i` came out. Under the lock. */
static void settle(struct image_fetch *f, size_t i, int r, int fd, const struct error *err)
{
        if (r == 0) {
                f->layers[i] = (struct fetched){.ready = true, .fd = fd};
                f->progress.layer++;
                progress_report_now(&f->meter, &f->progress);
        } else if (f->failure.code == 0) {
                f->failure = *err;
                f->failure.code = r;
                image_source_stop(f->source);
        }
        pthread_cond_broadcast(&f->changed);
}

static void *work(void *user)
{
        struct image_fetch *f = user;

        pthread_mutex_lock(&f->lock);
        while (f->next < f->content->n_layers && !image_source_is_stopped(f->source)) {
                size_t i = f->next++;
                struct error err = {0};
                int fd = -1;
                pthread_mutex_unlock(&f->lock);
                int r = fetch_layer(f, i, &fd, &err);
                pthread_mutex_lock(&f->lock);
                settle(f, i, r, fd, &err);
        }
        pthread_mutex_unlock(&f->lock);
        return NULL;
}

/* One more than there are processors, so that one is busy while another waits for the network. */
static size_t default_transfers(void)
{
        cpu_set_t cpus;
        int n = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : 1;

        if (n + 1 < TRANSFERS_DEFAULT_MIN)
                return TRANSFERS_DEFAULT_MIN;
        return n + 1 > TRANSFERS_DEFAULT_MAX ? TRANSFERS_DEFAULT_MAX : (size_t)n + 1;
}

static uint64_t sum_of_blobs(const struct image_content *content)
{
        uint64_t sum = 0;

        for (size_t i = 0; i < content->n_layers; i++) {
                if (content->layers[i].size == 0 || content->layers[i].size > UINT64_MAX - sum)
                        return 0; /* not known */
                sum += content->layers[i].size;
        }
        return sum;
}

int image_fetch_start(struct image_source *source, const struct image_content *content,
                      const struct image_options *options, const char *uri, struct image_fetch **ret_fetch,
                      struct error *err)
{
        struct image_fetch *f = calloc(1, sizeof(*f));
        size_t n = options->transfers ? options->transfers : default_transfers();

        if (!f)
                return error_oom(err);
        f->source = source;
        f->content = content;
        f->options = options;
        f->uri = uri;
        f->meter.options = options;
        f->progress = (struct image_progress){
                .phase = IMAGE_PHASE_LAYERS, .n_layers = content->n_layers, .total = sum_of_blobs(content)};
        f->layers = calloc(content->n_layers + 1, sizeof(*f->layers));
        if (!f->layers) {
                free(f);
                return error_oom(err);
        }
        pthread_mutex_init(&f->lock, NULL);
        pthread_cond_init(&f->changed, NULL);
        n = n < content->n_layers ? n : content->n_layers;
        n = n < FETCH_TRANSFERS_MAX ? n : FETCH_TRANSFERS_MAX;
        while (f->n_threads < n && thread_start(work, f, &f->threads[f->n_threads]) == 0)
                f->n_threads++;
        if (f->n_threads == 0)
                work(f); /* no thread can be had: all of it here and now */
        *ret_fetch = f;
        return 0;
}

int image_fetch_take(struct image_fetch *f, size_t i, int *ret_fd, struct error *err)
{
        int r = 0;

        pthread_mutex_lock(&f->lock);
        while (!f->layers[i].ready && f->failure.code == 0)
                pthread_cond_wait(&f->changed, &f->lock);
        if (f->failure.code != 0)
                r = error_set(err, f->failure.code, "%s", error_text(&f->failure));
        else if (f->layers[i].fd < 0)
                r = error_set(err, -EINVAL, "%.300s: layer %zu was taken already", f->uri, i + 1);
        else
                *ret_fd = take_fd(&f->layers[i].fd);
        pthread_mutex_unlock(&f->lock);
        return r;
}

void image_fetch_free(struct image_fetch *f)
{
        if (!f)
                return;
        image_source_stop(f->source);
        for (size_t i = 0; i < f->n_threads; i++)
                pthread_join(f->threads[i], NULL);
        for (size_t i = 0; i < f->content->n_layers; i++)
                if (f->layers[i].ready)
                        fd_close_p(&f->layers[i].fd);
        pthread_cond_destroy(&f->changed);
        pthread_mutex_destroy(&f->lock);
        free(f->layers);
        free(f);
}
