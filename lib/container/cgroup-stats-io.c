/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block I/O figures.  In v1 which files there are depends on the kernel's schedulers: of several sets, from
 * the best to that which every kernel has, the first that is there is told.  v2 has one file, whose columns
 * are told by v1's names.
 */
#include "lib/base/text.h"
#include "lib/container/cgroup-stats.h"

#include <stdio.h>
#include <string.h>

static void append(json_t *lists, const char *name, unsigned major, unsigned minor, const char *op,
                   uint64_t value)
{
        json_t *list = json_object_get(lists, name);

        if (!list) {
                list = json_array();
                json_object_set_new(lists, name, list);
        }
        json_array_append_new(list, json_pack("{s:i, s:i, s:s, s:o}", "major", (int)major, "minor",
                                              (int)minor, "op", op, "value", cgroup_stats_number(value)));
}

/* "8:0" */
static bool take_device(const char **at, unsigned *ret_major, unsigned *ret_minor)
{
        uint64_t major, minor;

        if (!take_u64(at, UINT32_MAX, &major) || *(*at)++ != ':' || !take_u64(at, UINT32_MAX, &minor))
                return false;
        *ret_major = (unsigned)major;
        *ret_minor = (unsigned)minor;
        return true;
}

/* "8:0 Read 1282048" or "8:0 6792"; the last line, "Total N", isn't a device's. */
static int read_v1(const struct cgroup_hierarchy *h, const char *file, json_t *lists, const char *name)
{
        cleanup_buf struct buf text = buf_with_max(0);
        int r = cgroup_file_read_all(h, file, &text);
        char line[128];

        if (r < 0)
                return r;
        struct cursor c = cursor_of(buf_view(&text));
        while (cgroup_stats_line(&c, line, sizeof(line))) {
                char *op = line + strcspn(line, " ");
                unsigned major, minor;
                uint64_t value;
                const char *at = line;
                if (!take_device(&at, &major, &minor) || *at != ' ')
                        continue;
                op++;
                char *end = strchr(op, ' ');
                at = end ? end + 1 : op;
                if (!take_u64(&at, UINT64_MAX, &value))
                        continue;
                if (end)
                        *end = 0;
                append(lists, name, major, minor, end ? op : "", value);
        }
        return 0;
}

static void stats_v1(const struct cgroup_hierarchy *h, json_t *lists)
{
        static const struct {
                const char *file, *name;
        } files[] = {
                {"sectors_recursive", "sectorsRecursive"},
                {"io_service_time_recursive", "ioServiceTimeRecursive"},
                {"io_wait_time_recursive", "ioWaitTimeRecursive"},
                {"io_merged_recursive", "ioMergedRecursive"},
                {"io_queued_recursive", "ioQueueRecursive"},
                {"time_recursive", "ioTimeRecursive"},
                {"io_serviced_recursive", "ioServicedRecursive"},
                {"io_service_bytes_recursive", "ioServiceBytesRecursive"},
        };
        static const char *const schedulers[] = {"blkio.bfq.", "blkio.", "blkio.throttle."};
        char file[64];

        for (size_t s = 0; s < ARRAY_SIZE(schedulers); s++) {
                bool any = false;
                for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                        snprintf(file, sizeof(file), "%s%s", schedulers[s], files[i].file);
                        any = read_v1(h, file, lists, files[i].name) == 0 || any;
                }
                if (any)
                        return;
        }
        (void)read_v1(h, "blkio.throttle.io_serviced", lists, "ioServicedRecursive");
        (void)read_v1(h, "blkio.throttle.io_service_bytes", lists, "ioServiceBytesRecursive");
}

/* "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6" */
static void stats_v2(const struct cgroup_hierarchy *h, json_t *lists)
{
        static const struct {
                const char *key, *name, *op;
        } columns[] = {
                {" rbytes=", "ioServiceBytesRecursive", "Read"},
                {" wbytes=", "ioServiceBytesRecursive", "Write"},
                {" rios=", "ioServicedRecursive", "Read"},
                {" wios=", "ioServicedRecursive", "Write"},
        };
        cleanup_buf struct buf text = buf_with_max(0);
        char line[512];

        if (cgroup_file_read_all(h, "io.stat", &text) < 0)
                return;
        struct cursor c = cursor_of(buf_view(&text));
        while (cgroup_stats_line(&c, line, sizeof(line))) {
                unsigned major, minor;
                const char *device = line;
                if (!take_device(&device, &major, &minor))
                        continue;
                for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
                        const char *at = strstr(line, columns[i].key);
                        uint64_t value;
                        at = at ? at + strlen(columns[i].key) : "";
                        if (take_u64(&at, UINT64_MAX, &value))
                                append(lists, columns[i].name, major, minor, columns[i].op, value);
                }
        }
}

json_t *cgroup_stats_io(struct cgroup *cgroup)
{
        const struct cgroup_hierarchy *h = cgroup_with(cgroup, CGROUP_IO);
        json_t *lists = json_object();

        if (h && h->unified)
                stats_v2(h, lists);
        else if (h)
                stats_v1(h, lists);
        return lists;
}
