/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.  An ioctl changes something and is then answered.  Where the answer finds nobody, a
 * signal has interrupted the call, and it will come again: so each change is taken back then.
 *
 * Arguments are copied out of the caller's memory once.
 */
#include "ne-emulator/enclaves-internal.h"

#include "lib/base/fd.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/nitro_enclaves.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- NE_CREATE_VM ---- */

static unsigned count_enclaves(const struct enclave_set *set)
{
        const struct enclave *enclave;
        unsigned n = 0;

        LIST_FOREACH (enclave, &set->enclaves, entry)
                n++;
        return n;
}

/* Remembers whose enclave it is. 0 or -errno. */
static int take_creator(struct enclave *enclave, struct target *target)
{
        enclave->creator = target_process(target);
        if (enclave->creator < 0)
                return enclave->creator;
        enclave->creator_fd = (int)syscall(SYS_pidfd_open, enclave->creator, 0);
        enclave->mem_fd = openat(target->proc_fd, "mem", O_RDONLY | O_CLOEXEC);
        return enclave->creator_fd < 0 || enclave->mem_fd < 0 ? -errno : 0;
}

static int make_pipe(struct enclave *enclave, int *ret_reader)
{
        struct stat st;
        char path[32];
        int ends[2];

        if (pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        enclave->fd = ends[1];
        *ret_reader = ends[0];
        snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[0]);
        enclave->path_fd = open(path, O_PATH | O_CLOEXEC);
        if (enclave->path_fd < 0 || fstat(ends[1], &st) < 0)
                return -errno;
        enclave->inode = st.st_ino;
        return loop_add_fd(enclave->set->loop, enclave->fd, 0, enclave_on_closed, enclave, &enclave->source,
                           NULL);
}

/* Answers where it succeeds; else -errno. */
static int create(struct enclave_set *set, const struct call *call, struct target *target)
{
        cleanup_fd int reader = -1;

        if (pool_is_empty(&set->pool))
                return -NE_ERR_NO_CPUS_AVAIL_IN_POOL;
        if (set->options.enclaves_max > 0 && count_enclaves(set) >= set->options.enclaves_max)
                return -ENOSPC;
        struct enclave *enclave = calloc(1, sizeof(*enclave));
        if (!enclave)
                return -ENOMEM;
        enclave->set = set;
        enclave->slot = ++set->last_slot;
        enclave->fd = enclave->path_fd = enclave->creator_fd = enclave->mem_fd = -1;
        LIST_INSERT_HEAD(&set->enclaves, enclave, entry);
        uint64_t slot = enclave->slot;
        int r = take_creator(enclave, target);
        if (r == 0)
                r = make_pipe(enclave, &reader);
        if (r == 0)
                r = target_write(target, call->args[2], &slot, sizeof(slot));
        if (r == 0)
                r = call_give_fd(call, reader, true);
        if (r < 0)
                enclave_free(enclave);
        else
                log_debug(set->options.log, "enclave %u: created by process %d", (unsigned)slot, call->tid);
        return r;
}

/* ---- the ioctls of an enclave ---- */

/* Whether the caller's memory is the creator's, which may have ended, or begun another program. */
static bool is_creator(const struct enclave *enclave, const struct target *target)
{
        struct pollfd ended = {.fd = enclave->creator_fd, .events = POLLIN};
        char byte;

        if (poll(&ended, 1, 0) != 0 || !target_shares_memory(target, enclave->creator))
                return false;
        /* Memory of a program that is no more reads as empty; any other address at least fails. */
        return pread(enclave->mem_fd, &byte, 1, 0) != 0;
}

static int add_vcpu(struct enclave *enclave, const struct call *call, struct target *target)
{
        uint32_t cpu;
        int r = target_read(target, call->args[2], &cpu, sizeof(cpu));

        if (r < 0)
                return r;
        if (enclave->started || enclave->job)
                return -NE_ERR_NOT_IN_INIT_STATE;
        if ((r = pool_choose(&enclave->set->pool, &enclave->share, &cpu)) < 0)
                return r;
        if (!is_creator(enclave, target))
                return -EIO;
        pool_use(&enclave->share, cpu);
        r = target_write(target, call->args[2], &cpu, sizeof(cpu));
        if (r == 0 && (r = call_return(call, 0)) < 0)
                pool_unuse(&enclave->share, cpu);
        return r;
}

static int get_image_load_info(struct enclave *enclave, const struct call *call, struct target *target)
{
        struct ne_image_load_info info;
        int r = target_read(target, call->args[2], &info, sizeof(info));

        if (r < 0)
                return r;
        if (enclave->started || enclave->job)
                return -NE_ERR_NOT_IN_INIT_STATE;
        if (info.flags == 0 || info.flags >= NE_IMAGE_LOAD_MAX_FLAG_VAL)
                return -NE_ERR_INVALID_FLAG_VALUE;
        info.memory_offset = IMAGE_OFFSET;
        r = target_write(target, call->args[2], &info, sizeof(info));
        return r < 0 ? r : call_return(call, 0);
}

static int check_pages(const struct enclave *enclave, const struct target *target,
                       const struct region *region)
{
        cleanup_fd int fd = openat(target->proc_fd, "smaps", O_RDONLY | O_CLOEXEC);
        cleanup_file FILE *smaps = fd < 0 ? NULL : fdopen(fd, "r");

        if (enclave->set->options.any_pages)
                return 0;
        if (!smaps)
                return -EFAULT;
        (void)take_fd(&fd);
        return regions_check_pages(smaps, region);
}

static int set_memory(struct enclave *enclave, const struct call *call, struct target *target)
{
        struct ne_user_memory_region argument;
        int r = target_read(target, call->args[2], &argument, sizeof(argument));

        if (r < 0)
                return r;
        if (argument.flags >= NE_MEMORY_REGION_MAX_FLAG_VAL)
                return -NE_ERR_INVALID_FLAG_VALUE;
        if (enclave->started || enclave->job)
                return -NE_ERR_NOT_IN_INIT_STATE;
        if (!is_creator(enclave, target))
                return -EIO;
        const struct region region = {.address = argument.userspace_addr, .size = argument.memory_size};
        if ((r = regions_check(&enclave->regions, &region)) < 0 ||
            (r = check_pages(enclave, target, &region)) < 0)
                return r;
        regions_add(&enclave->regions, &region);
        if ((r = call_return(call, 0)) < 0)
                regions_drop_last(&enclave->regions);
        return r;
}

/* ---- which one ---- */

static struct enclave *find_by_file(struct enclave_set *set, const struct stat *st)
{
        struct enclave *enclave;

        if (!S_ISFIFO(st->st_mode))
                return NULL;
        LIST_FOREACH (enclave, &set->enclaves, entry) {
                if (enclave->inode == st->st_ino)
                        return enclave;
        }
        return NULL;
}

/* Answers, or gives the errno to answer with. */
static int enclave_ioctl(struct enclave *enclave, const struct call *call, struct target *target)
{
        switch ((uint32_t)call->args[1]) {
        case NE_ADD_VCPU:
                return add_vcpu(enclave, call, target);
        case NE_GET_IMAGE_LOAD_INFO:
                return get_image_load_info(enclave, call, target);
        case NE_SET_USER_MEMORY_REGION:
                return set_memory(enclave, call, target);
        case NE_START_ENCLAVE:
                return enclave_start_ioctl(enclave, call, target);
        default:
                return -ENOTTY;
        }
}

bool enclave_set_ioctl(struct enclave_set *set, const struct call *call, struct target *target)
{
        struct stat st, device;
        int r = target_fstat(target, (int)call->args[0], &st);

        if (r < 0 || fstat(set->device_fd, &device) < 0)
                return false;
        /* What was closed before this call is closed for it. */
        (void)enclave_set_reap(set);
        struct enclave *enclave = find_by_file(set, &st);
        if (enclave)
                r = enclave_ioctl(enclave, call, target);
        else if (st.st_dev != device.st_dev || st.st_ino != device.st_ino)
                return false;
        else
                r = (uint32_t)call->args[1] == NE_CREATE_VM ? create(set, call, target) : -ENOTTY;
        if (r < 0) {
                log_debug(set->options.log, "ioctl %#x of process %d: errno %d", (uint32_t)call->args[1],
                          call->tid, -r);
                (void)call_fail(call, -r);
        }
        return true;
}
