/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.c - figures at intervals, and a line for each visit of the OOM killer, until the container has
 * ended.
 *
 * Three things are waited for: the interval's timer, the group's OOM descriptor, and the pidfd of the first
 * process, whose end is ours.  An OOM kill that is that end is told before we leave.
 */
#include "lib/base/fd.h"
#include "lib/base/loop.h"
#include "lib/container/cgroup-control.h"
#include "rune/amounts.h"
#include "rune/commands.h"

#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

struct events_values {
        const char *interval;
        bool stats;
};

static const struct option options[] = {
        {.name = "interval",
         OPTION_TEXT_IN(struct events_values, interval),
         .metavar = "SPAN",
         .summary = "time between figures, as 500ms or 1m",
         .default_text = "5s"},
        {.name = "stats",
         OPTION_FLAG_IN(struct events_values, stats),
         .summary = "print figures once and end"},
};

struct watch {
        const struct engine *engine;
        const char *id;
        struct cgroup *cgroup;
        struct loop *loop;
        uint64_t interval;
        int oom; /* tells of OOM kills: an eventfd (v1), or the group's memory.events (v2); -1: none */
        bool oom_is_file;
        uint64_t oom_kills; /* told so far (v2) */
        const struct log *log;
        struct error *err;
};

/* {"type":...,"id":...,"data":...}; takes `data`, which may be NULL for none. */
static int print_event(const char *type, const char *id, json_t *data, struct error *err)
{
        json_t *event = json_pack("{s:s, s:s, s:o*}", "type", type, "id", id, "data", data);
        int r = rune_print_json(event, JSON_COMPACT, err);

        json_decref(event);
        return r;
}

static int print_figures(const struct engine *engine, struct cgroup *cgroup, const char *id,
                         struct error *err)
{
        json_t *figures, *rdt;
        int r = container_rdt_figures(engine, id, &rdt, err);

        if (r < 0)
                return r;
        r = cgroup_stats(cgroup, &figures, err);
        if (r < 0) {
                json_decref(rdt);
                return r;
        }
        /* Members that runc always has. */
        if (json_object_set_new(figures, "intel_rdt", rdt) < 0 ||
            json_object_set_new(figures, "network_interfaces", json_null()) < 0) {
                json_decref(figures);
                return error_oom(err);
        }
        return print_event("stats", id, figures, err);
}

/* How often an eventfd (v1) was told.  The end of the group tells it once, too. */
static uint64_t take_told(const struct watch *watch)
{
        uint64_t told, kills;

        if (read(watch->oom, &told, sizeof(told)) != sizeof(told))
                return 0;
        return told - (cgroup_oom_count(watch->cgroup, &kills, NULL) < 0);
}

/* How many kills there were since the last time, by the group's own count (v2).  Reading the file from its
 * start is what makes it tell of the next change. */
static uint64_t take_counted(struct watch *watch)
{
        uint64_t before = watch->oom_kills;
        char content[4096];

        (void)!pread(watch->oom, content, sizeof(content), 0);
        /* An error is a group on its way out: the end of the container will show by itself. */
        if (cgroup_oom_count(watch->cgroup, &watch->oom_kills, NULL) < 0)
                watch->oom_kills = before;
        return watch->oom_kills - before;
}

static int tell_oom_kills(struct watch *watch)
{
        int r = 0;

        if (watch->oom < 0)
                return 0;
        for (uint64_t n = watch->oom_is_file ? take_counted(watch) : take_told(watch); n > 0 && r == 0; n--)
                r = print_event("oom", watch->id, NULL, watch->err);
        return r;
}

static int on_interval(struct loop_source *source, void *user)
{
        struct watch *watch = user;
        struct error failed = {0};

        if (print_figures(watch->engine, watch->cgroup, watch->id, &failed) < 0)
                log_error(watch->log, "%s", error_text(&failed));
        return loop_set_timer(source, watch->interval);
}

static int on_oom(struct loop_source *source, int fd, uint32_t events, void *user)
{
        (void)source;
        (void)fd;
        (void)events;
        return tell_oom_kills(user);
}

static int on_end(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct watch *watch = user;
        int r = tell_oom_kills(watch);

        (void)source;
        (void)fd;
        (void)events;
        if (r == 0)
                loop_quit(watch->loop, 0);
        return r;
}

/* Makes watch->oom, -1 where the host has no memory controller and so no OOM killer for groups. */
static int watch_oom(struct watch *watch)
{
        struct error absent = {0};
        struct stat st;

        if (cgroup_oom_events(watch->cgroup, &watch->oom, &absent) < 0 ||
            cgroup_oom_count(watch->cgroup, &watch->oom_kills, &absent) < 0) {
                log_debug(watch->log, "no OOM events: %s", error_text(&absent));
                return 0;
        }
        /* A file of the group is readable always; what changes is told by EPOLLPRI. */
        watch->oom_is_file = fstat(watch->oom, &st) == 0 && S_ISREG(st.st_mode);
        return loop_add_fd(watch->loop, watch->oom, watch->oom_is_file ? EPOLLPRI : EPOLLIN, on_oom, watch,
                           NULL, watch->err);
}

static int watch_container(struct watch *watch, int pidfd)
{
        cleanup_loop struct loop *loop = NULL;
        struct error *err = watch->err;
        int r = loop_new(&loop, err);

        watch->loop = loop;
        if (r == 0)
                r = loop_add_fd(loop, pidfd, EPOLLIN, on_end, watch, NULL, err);
        if (r == 0)
                r = loop_add_timer(loop, watch->interval, on_interval, watch, NULL, err);
        if (r == 0)
                r = watch_oom(watch);
        return r < 0 ? r : loop_run(loop);
}

static int not_running(const char *id, struct error *err)
{
        return error_set(err, -ESRCH, "container with id %s is not running", id);
}

/* A pidfd of the container's first process, the caller's. */
static int open_first_process(struct rune *rune, const char *id, int *ret_pidfd, struct error *err)
{
        cleanup_fd int pidfd = -1;

        /* The second look is what makes sure that the descriptor isn't of a process that came after. */
        for (int look = 0; look < 2; look++) {
                cleanup_container_info struct container_info info = {0};
                int r = container_find(&rune->engine, id, &info, err);

                if (r < 0)
                        return r;
                if (info.status == CONTAINER_STOPPED || info.state.pid <= 0)
                        return not_running(id, err);
                if (look == 0)
                        pidfd = pidfd_open(info.state.pid, 0);
                if (pidfd < 0)
                        return not_running(id, err);
        }
        *ret_pidfd = take_fd(&pidfd);
        return 0;
}

static const char *interval_of(const struct events_values *values)
{
        return values->interval ? values->interval : "5s";
}

static int check(const void *values, const struct operands *operands, struct error *err)
{
        uint64_t interval = 0;

        (void)operands;
        if (parse_duration(interval_of(values), &interval) && interval > 0)
                return 0;
        return error_set(err, -EINVAL, "--interval %s: it takes a span greater than 0, as 5s or 500ms",
                         interval_of(values));
}

static int run(struct rune *rune, const void *values, const struct operands *operands, int *ret_status,
               struct error *err)
{
        const struct events_values *v = values;
        cleanup_cgroup struct cgroup *cgroup = NULL;
        cleanup_fd int pidfd = -1;
        struct watch watch = {.engine = &rune->engine,
                              .id = operands->items[0],
                              .oom = -1,
                              .log = &rune->messages.log,
                              .err = err};

        (void)ret_status;
        (void)parse_duration(interval_of(v), &watch.interval);
        int r = open_first_process(rune, watch.id, &pidfd, err);
        if (r == 0)
                r = container_cgroup(&rune->engine, watch.id, &cgroup, err);
        if (r < 0)
                return r;
        if (v->stats)
                return print_figures(&rune->engine, cgroup, watch.id, err);
        watch.cgroup = cgroup;
        r = watch_container(&watch, pidfd);
        fd_close_p(&watch.oom);
        return r;
}

const struct command rune_events = {
        .name = "events",
        .summary = "print figures of a container at intervals, and its OOM kills",
        .usage = "<container-id>",
        .description = "One JSON object a line: {\"type\":\"stats\",\"id\":...,\"data\":{...}} or\n"
                       "{\"type\":\"oom\",\"id\":...}.  Ends with the container.",
        .options = {.options = options, .n = ARRAY_SIZE(options)},
        .values_size = sizeof(struct events_values),
        .min_operands = 1,
        .max_operands = 1,
        .check = check,
        .run = run,
};
