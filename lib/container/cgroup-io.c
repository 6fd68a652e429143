/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block I/O: weights and throttles.  Weights need a scheduler that has them (bfq, or v2's io.cost); their
 * files are absent without it.
 */
#include "lib/container/cgroup-internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

uint64_t cgroup_io_weight_of(uint64_t blkio_weight)
{
        if (blkio_weight == 0)
                return 0;
        if (blkio_weight < 10)
                return 1;
        if (blkio_weight > 1000)
                return 10000;
        return 1 + (blkio_weight - 10) * 9999 / 990;
}

/* A weight of the whole group or, `device` "major:minor ", of one device: to the first of the files that is
 * there. */
static int set_weight(const struct cgroup_hierarchy *h, const char *const files[2], const char *device,
                      uint64_t weight, struct error *err)
{
        char text[64];
        int r = -ENOENT;

        snprintf(text, sizeof(text), "%s%" PRIu64, device, weight);
        for (size_t i = 0; i < 2 && r == -ENOENT && files[i]; i++)
                r = cgroup_file_write(h, files[i], text);
        if (r >= 0)
                return 0;
        cgroup_file_error(h, files[0], text, r, err);
        if (r == -ENOENT)
                error_hint(err, "the host has no I/O scheduler with weights (bfq)");
        return r;
}

static int apply_v1_weights(const struct cgroup_hierarchy *h, const struct spec_block_io *io,
                            struct error *err)
{
        static const char *const weight[2] = {"blkio.weight", "blkio.bfq.weight"};
        static const char *const weight_device[2] = {"blkio.weight_device", "blkio.bfq.weight_device"};
        static const char *const leaf[2] = {"blkio.leaf_weight", NULL};
        static const char *const leaf_device[2] = {"blkio.leaf_weight_device", NULL};
        char device[32];
        int r = 0;

        if (io->weight.set && io->weight.value)
                r = set_weight(h, weight, "", io->weight.value, err);
        if (r >= 0 && io->leaf_weight.set && io->leaf_weight.value)
                r = set_weight(h, leaf, "", io->leaf_weight.value, err);
        for (size_t i = 0; r >= 0 && i < io->n_weight_devices; i++) {
                const struct spec_weight_device *d = &io->weight_devices[i];
                snprintf(device, sizeof(device), "%u:%u ", d->major, d->minor);
                if (d->weight.set && d->weight.value)
                        r = set_weight(h, weight_device, device, d->weight.value, err);
                if (r >= 0 && d->leaf_weight.set && d->leaf_weight.value)
                        r = set_weight(h, leaf_device, device, d->leaf_weight.value, err);
        }
        return r;
}

static int apply_v2_weights(const struct cgroup *cgroup, const struct cgroup_hierarchy *h,
                            const struct spec_block_io *io, struct error *err)
{
        static const char *const bfq[2] = {"io.bfq.weight", NULL}, *const plain[2] = {"io.weight", NULL};
        char device[32], now[32];
        int r = 0;

        if (io->leaf_weight.set && io->leaf_weight.value)
                log_warning(cgroup->log, "resources.blockIO.leafWeight: cgroup v2 has none; ignored");
        if (io->weight.set && io->weight.value) {
                r = set_weight(h, bfq, "", io->weight.value, NULL);
                if (r == -ENOENT)
                        r = set_weight(h, plain, "", cgroup_io_weight_of(io->weight.value), err);
        }
        if (r < 0 || io->n_weight_devices == 0)
                return r;
        /* bfq has weights by device since Linux 5.4; then it shows a name before the default. */
        bool has_bfq = cgroup_file_read(h, "io.bfq.weight", now, sizeof(now)) > 0 && now[0] == 'd';
        for (size_t i = 0; r >= 0 && i < io->n_weight_devices; i++) {
                const struct spec_weight_device *d = &io->weight_devices[i];
                if (!d->weight.set || !d->weight.value)
                        continue;
                snprintf(device, sizeof(device), "%u:%u ", d->major, d->minor);
                r = has_bfq ? set_weight(h, bfq, device, d->weight.value, err)
                            : set_weight(h, plain, device, cgroup_io_weight_of(d->weight.value), err);
        }
        return r;
}

/* One device in each write. */
static int apply_throttle(const struct cgroup_hierarchy *h, const char *file, const char *key,
                          const struct spec_throttle_list *list, struct error *err)
{
        char text[96];

        for (size_t i = 0; i < list->n; i++) {
                const struct spec_throttle_device *d = &list->items[i];
                /* v1's 0 is "no limit"; v2 has a word for it. */
                if (h->unified && d->rate == 0)
                        snprintf(text, sizeof(text), "%u:%u %s=max", d->major, d->minor, key);
                else
                        snprintf(text, sizeof(text), "%u:%u %s%s%" PRIu64, d->major, d->minor,
                                 h->unified ? key : "", h->unified ? "=" : "", d->rate);
                int r = cgroup_file_set(h, file, text, err);
                if (r < 0)
                        return r;
        }
        return 0;
}

int cgroup_apply_io(struct cgroup *cgroup, const struct spec_resources *resources, struct error *err)
{
        const struct spec_block_io *io = &resources->block_io;
        const struct {
                const struct spec_throttle_list *list;
                const char *file, *key;
        } throttles[] = {
                {&io->read_bps, "blkio.throttle.read_bps_device", "rbps"},
                {&io->write_bps, "blkio.throttle.write_bps_device", "wbps"},
                {&io->read_iops, "blkio.throttle.read_iops_device", "riops"},
                {&io->write_iops, "blkio.throttle.write_iops_device", "wiops"},
        };
        bool any = (io->weight.set && io->weight.value) || (io->leaf_weight.set && io->leaf_weight.value) ||
                   io->n_weight_devices;
        struct cgroup_hierarchy *h;
        int r;

        for (size_t i = 0; i < ARRAY_SIZE(throttles); i++)
                any = any || throttles[i].list->n;
        if (!any)
                return 0;
        r = cgroup_require(cgroup, CGROUP_IO, "blockIO", &h, err);
        if (r >= 0)
                r = h->unified ? apply_v2_weights(cgroup, h, io, err) : apply_v1_weights(h, io, err);
        for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(throttles); i++)
                r = apply_throttle(h, h->unified ? "io.max" : throttles[i].file, throttles[i].key,
                                   throttles[i].list, err);
        return r;
}
