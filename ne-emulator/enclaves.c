/* SPDX-License-Identifier: Apache-2.0 */
#include "ne-emulator/enclaves-internal.h"

#include "lib/base/fd.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- files ---- */

/* A memory file that nobody can write to, opened for reading. */
static int make_file(const char *name, struct view content, int *ret_fd, struct error *err)
{
        cleanup_fd int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        char path[32];

        if (fd < 0 || fd_write_full(fd, content.p, content.n) < 0 ||
            fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
                return error_errno(err, errno, "memory file");
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        *ret_fd = open(path, O_RDONLY | O_CLOEXEC);
        return *ret_fd < 0 ? error_errno(err, errno, "memory file") : 0;
}

/* ---- life ---- */

void enclave_free(struct enclave *enclave)
{
        start_job_abandon(enclave->job);
        LIST_REMOVE(enclave, entry);
        loop_remove(&enclave->source);
        fd_close_p(&enclave->fd);
        fd_close_p(&enclave->path_fd);
        fd_close_p(&enclave->creator_fd);
        fd_close_p(&enclave->mem_fd);
        ne_machine_free(enclave->machine);
        pool_release(&enclave->set->pool, &enclave->share);
        free(enclave);
}

int enclave_on_closed(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct enclave *enclave = user;

        (void)source;
        (void)fd;
        (void)events;
        log_debug(enclave->set->options.log, "enclave %u: closed", enclave->slot);
        enclave_free(enclave);
        return 0;
}

/* By the writing end of a pipe. */
static bool has_readers(int fd)
{
        struct pollfd writer = {.fd = fd};

        return poll(&writer, 1, 0) == 0 || !(writer.revents & POLLERR);
}

/* Whether somebody still has the descriptor of an enclave that has ended.  Only a writing end can tell, and
 * that there is none is what the command sees as the end; so one is made for a moment.  Whoever polls in that
 * moment is woken by its close. */
static bool is_still_open(const struct enclave *enclave)
{
        char path[32];

        snprintf(path, sizeof(path), "/proc/self/fd/%d", enclave->path_fd);
        cleanup_fd int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        return fd >= 0 && has_readers(fd);
}

bool enclave_set_reap(struct enclave_set *set)
{
        bool again = false;

        for (struct enclave *enclave = LIST_FIRST(&set->enclaves), *next; enclave; enclave = next) {
                next = LIST_NEXT(enclave, entry);
                if (enclave->fd >= 0 && has_readers(enclave->fd))
                        continue;
                if (enclave->fd >= 0) {
                        enclave_free(enclave);
                        continue;
                }
                ne_machine_free(take_pointer(&enclave->machine));
                if (is_still_open(enclave))
                        again = true;
                else
                        enclave_free(enclave);
        }
        return again;
}

static int on_reaper(struct loop_source *source, void *user)
{
        struct enclave_set *set = user;

        (void)source;
        return enclave_set_reap(set) ? loop_set_timer(set->reaper, REAP_MS) : 0;
}

int enclave_set_new(struct loop *loop, const struct enclave_set_options *options,
                    struct enclave_set **ret_set, struct error *err)
{
        cleanup_enclave_set struct enclave_set *set = calloc(1, sizeof(*set));
        cleanup_buf struct buf cpus = buf_with_max((size_t)POOL_CPUS_MAX * 8);
        int r;

        if (!set)
                return error_oom(err);
        set->loop = loop;
        set->options = *options;
        set->device_fd = set->cpus_fd = -1;
        set->last_cid = CID_FIRST - 1;
        if ((r = pool_parse(options->pool, options->threads, &set->pool, err)) < 0)
                return r;
        if (pool_format(&set->pool, &cpus) < 0 || buf_append_string(&cpus, "\n") < 0)
                return error_oom(err);
        if ((r = make_file("nitro_enclaves", view_of(NULL, 0), &set->device_fd, err)) < 0 ||
            (r = make_file("ne_cpus", buf_view(&cpus), &set->cpus_fd, err)) < 0 ||
            (r = loop_add_timer(loop, 0, on_reaper, set, &set->reaper, err)) < 0)
                return r;
        *ret_set = take_pointer(&set);
        return 0;
}

void enclave_set_free(struct enclave_set *set)
{
        struct enclave *enclave;

        if (!set)
                return;
        while ((enclave = LIST_FIRST(&set->enclaves)))
                enclave_free(enclave);
        loop_remove(&set->reaper);
        fd_close_p(&set->device_fd);
        fd_close_p(&set->cpus_fd);
        free(set);
}

int enclave_set_device(const struct enclave_set *set)
{
        return set->device_fd;
}

int enclave_set_cpus_file(const struct enclave_set *set)
{
        return set->cpus_fd;
}

/* ---- finding ---- */

struct ne_machine *enclave_set_find(struct enclave_set *set, uint32_t cid)
{
        struct enclave *enclave;

        LIST_FOREACH (enclave, &set->enclaves, entry) {
                if (enclave->machine && enclave->fd >= 0 && enclave->cid == cid)
                        return enclave->machine;
        }
        return NULL;
}

uint32_t enclave_set_cid(const struct enclave_set *set, const struct vsock_device *device)
{
        const struct enclave *enclave;

        LIST_FOREACH (enclave, &set->enclaves, entry) {
                if (enclave->machine && ne_machine_vsock(enclave->machine) == device)
                        return enclave->cid;
        }
        return 0;
}

void enclave_set_each(struct enclave_set *set, void (*fn)(struct vsock_device *device, void *user),
                      void *user)
{
        struct enclave *enclave;

        LIST_FOREACH (enclave, &set->enclaves, entry) {
                if (enclave->machine && enclave->fd >= 0)
                        fn(ne_machine_vsock(enclave->machine), user);
        }
}

bool enclave_set_has_cid(const struct enclave_set *set, uint32_t cid)
{
        const struct enclave *enclave;

        LIST_FOREACH (enclave, &set->enclaves, entry) {
                if ((enclave->started || enclave->job) && enclave->cid == cid)
                        return true;
        }
        return false;
}
