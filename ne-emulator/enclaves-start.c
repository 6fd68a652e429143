/* SPDX-License-Identifier: Apache-2.0 */
/*  Theory of operation.  To copy and measure an image takes a while, in which other enclaves want to be
 * served: so a thread does it, and the loop goes on when it is done.  The thread has what it works on to
 * itself, a job; if the enclave is closed meanwhile, the job loses it and ends without effect.
 *
 * The enclave's memory is read through a descriptor that was opened when it was created, and so is always
 * that of its creator, whatever has become of the process.  What is booted is a copy of the image, which
 * the reader of image files has measured.
 *
 * A signal may interrupt the caller meanwhile.  It then asks again, and its new call waits for the same job.
 */
#include "ne-emulator/enclaves-internal.h"

#include "ne-emulator/image.h"

#include "lib/base/fd.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/nitro_enclaves.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct start_job {
        struct enclave *enclave; /* NULL: abandoned */
        struct call call;
        struct ne_enclave_start_info info;
        int done_fd; /* eventfd: the thread has ended */
        struct loop_source *source;
        pthread_t thread;
        /* The thread's, until it has ended. */
        int mem_fd;
        struct regions regions;
        struct boot_image image;
        int result;
        struct error err;
};

/* ---- the thread ---- */

static int copy_and_measure(struct start_job *job)
{
        cleanup_fd int image = -1;
        char path[32];

        int r = image_copy(job->mem_fd, &job->regions, IMAGE_OFFSET, &image, &job->err);
        if (r < 0)
                return r;
        snprintf(path, sizeof(path), "/proc/self/fd/%d", image);
        return boot_image_open(path, &job->image, &job->err);
}

static void *run(void *user)
{
        struct start_job *job = user;
        const uint64_t one = 1;

        job->result = copy_and_measure(job);
        (void)!write(job->done_fd, &one, sizeof(one));
        return NULL;
}

/* ---- the loop ---- */

static void job_free(struct start_job *job)
{
        loop_remove(&job->source);
        fd_close_p(&job->done_fd);
        fd_close_p(&job->mem_fd);
        boot_image_done(&job->image);
        free(job);
}

void start_job_abandon(struct start_job *job)
{
        if (job)
                job->enclave = NULL;
}

static void on_machine_ended(bool by_guest, const char *text, void *user)
{
        struct enclave *enclave = user;
        const struct log *log = enclave->set->options.log;

        if (by_guest)
                log_info(log, "enclave %u, CID %" PRIu32 ": %s", enclave->slot, enclave->cid, text);
        else
                log_warning(log, "enclave %u, CID %" PRIu32 ": %s", enclave->slot, enclave->cid, text);
        /* Of the pipe's two ends the command's alone is left: that is its POLLHUP. */
        loop_remove(&enclave->source);
        fd_close_p(&enclave->fd);
        (void)loop_set_timer(enclave->set->reaper, 0);
}

static int boot(struct enclave *enclave, const struct start_job *job, struct error *err)
{
        struct enclave_set *set = enclave->set;
        const struct ne_machine_spec spec = {
                .slot = enclave->slot,
                .cid = enclave->cid,
                .cpus = enclave->share.n_used,
                .mem_mib = (unsigned)(enclave->regions.size / MIB),
                .debug = job->info.flags == NE_ENCLAVE_DEBUG_MODE,
                .accelerator = set->options.accelerator,
                .image = &job->image,
                .log = set->options.log,
                .ended = on_machine_ended,
                .user = enclave,
        };
        int r = ne_machine_start(set->loop, &spec, &enclave->machine, err);

        if (r == 0)
                set->options.started(enclave->cid, ne_machine_vsock(enclave->machine), set->options.user);
        return r;
}

/* Writes the CID, and tells that the enclave runs. 0, or -errno: nobody knows of it. */
static int tell(const struct start_job *job)
{
        cleanup_target struct target target = TARGET_NONE;
        int r = target_open(&job->call, &target);

        if (r == 0)
                r = target_write(&target, job->call.args[2], &job->info, sizeof(job->info));
        return r < 0 ? r : call_return(&job->call, 0);
}

static void finish(struct enclave *enclave, struct start_job *job)
{
        const struct log *log = enclave->set->options.log;
        int r = job->result;

        if (r == 0)
                r = boot(enclave, job, &job->err);
        if (r < 0) {
                log_warning(log, "enclave %u does not start: %s", enclave->slot, error_text(&job->err));
                (void)call_fail(&job->call, r == -ENOMEM ? ENOMEM : EINVAL);
                return;
        }
        if ((r = tell(job)) < 0) {
                ne_machine_free(take_pointer(&enclave->machine));
                (void)call_fail(&job->call, -r);
                return;
        }
        enclave->started = true;
        log_info(log, "enclave %u, CID %" PRIu32 ": started with %u CPUs and %" PRIu64 " MiB%s",
                 enclave->slot, enclave->cid, enclave->share.n_used, enclave->regions.size / MIB,
                 job->info.flags == NE_ENCLAVE_DEBUG_MODE ? ", in debug mode" : "");
}

static int on_done(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct start_job *job = user;
        struct enclave *enclave = job->enclave;

        (void)source;
        (void)fd;
        (void)events;
        (void)pthread_join(job->thread, NULL);
        if (enclave) {
                enclave->job = NULL;
                finish(enclave, job);
        }
        job_free(job);
        return 0;
}

/* ---- the call ---- */

static int check(const struct enclave *enclave, const struct ne_enclave_start_info *info)
{
        if (info->flags >= NE_ENCLAVE_START_MAX_FLAG_VAL)
                return -NE_ERR_INVALID_FLAG_VALUE;
        if ((info->enclave_cid > 0 && info->enclave_cid <= PARENT_CID) || info->enclave_cid >= UINT32_MAX)
                return -NE_ERR_INVALID_ENCLAVE_CID;
        if (enclave->started)
                return -NE_ERR_NOT_IN_INIT_STATE;
        if (enclave->regions.n == 0)
                return -NE_ERR_NO_MEM_REGIONS_ADDED;
        if (enclave->regions.size < REGIONS_SIZE_MIN)
                return -NE_ERR_ENCLAVE_MEM_MIN_SIZE;
        if (enclave->share.n_used == 0)
                return -NE_ERR_NO_VCPUS_ADDED;
        if (!pool_share_is_whole(&enclave->share))
                return -NE_ERR_FULL_CORES_NOT_USED;
        /* Here the hypervisor has its say. */
        return enclave_set_has_cid(enclave->set, (uint32_t)info->enclave_cid) ? -EADDRINUSE : 0;
}

/* One that was not used lately: what is meant for an enclave that has gone must not reach the next. */
static uint32_t choose_cid(struct enclave_set *set)
{
        do {
                set->last_cid = set->last_cid < UINT32_MAX - 1 ? set->last_cid + 1 : CID_FIRST;
        } while (enclave_set_has_cid(set, set->last_cid));
        return set->last_cid;
}

static int begin(struct enclave *enclave, struct start_job *job)
{
        job->mem_fd = fcntl(enclave->mem_fd, F_DUPFD_CLOEXEC, 0);
        job->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (job->mem_fd < 0 || job->done_fd < 0)
                return -errno;
        int r = loop_add_fd(enclave->set->loop, job->done_fd, EPOLLIN, on_done, job, &job->source, NULL);
        return r < 0 ? r : -pthread_create(&job->thread, NULL, run, job);
}

int enclave_start_ioctl(struct enclave *enclave, const struct call *call, struct target *target)
{
        struct ne_enclave_start_info info;
        int r = target_read(target, call->args[2], &info, sizeof(info));

        if (r < 0)
                return r;
        if (enclave->job) {
                if (call_is_wanted(&enclave->job->call))
                        return -NE_ERR_NOT_IN_INIT_STATE;
                enclave->job->call = *call;
                return 0;
        }
        if ((r = check(enclave, &info)) < 0)
                return r;
        struct start_job *job = calloc(1, sizeof(*job));
        if (!job)
                return -ENOMEM;
        enclave->cid = info.enclave_cid ? (uint32_t)info.enclave_cid : choose_cid(enclave->set);
        info.enclave_cid = enclave->cid;
        *job = (struct start_job){.enclave = enclave,
                                  .call = *call,
                                  .info = info,
                                  .regions = enclave->regions,
                                  .image = BOOT_IMAGE_NONE};
        if ((r = begin(enclave, job)) < 0)
                job_free(job);
        else
                enclave->job = job;
        return r;
}
