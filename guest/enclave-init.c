/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enclave-init.c - PID 1 of an enclave virtual machine.
 *
 * Theory of operation.  The kernel starts this program as /init of the bootstrap ramdisk; the image lies
 * beside it in /rootfs.  STEPS below is all that it does, in order.  Each step either succeeds or says why
 * not, in the terms of the FAILED message; the parent gets that, the console too, and the machine ends.  PID
 * 1 returning would be a kernel panic.
 *
 * Who the parent is decides how strict init is:
 *   our supervisor     the control channel is connected; the heartbeat is best effort
 *   another host       there is vsock but no control channel: the heartbeat must be answered, as by AWS Nitro
 *   none               there is no vsock: the console is all there is
 *
 * An image that serves processes (guest-config.h) has no workload of its own; serve.h says what it has.
 */
#include "lib/base/fd.h"
#include "lib/base/kernel-modules.h"
#include "lib/base/loop.h"

#include "guest/bridge.h"
#include "guest/console.h"
#include "guest/control.h"
#include "guest/network.h"
#include "guest/pid1.h"
#include "guest/rootfs.h"
#include "guest/serve.h"
#include "guest/settings.h"
#include "guest/shutdown.h"
#include "guest/vsock.h"
#include "guest/workload.h"
#include "guest/xattrs.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
        HEARTBEAT_MS = 2000,           /* where the control channel works */
        HEARTBEAT_REQUIRED_MS = 30000, /* where there is nothing else */
        FAREWELL_MS = 3000,
        CONNECTIONS_MAX = 8192,
        FILES_MAX = 32768, /* two per connection, and some */
        PATIENCE_MS = 3000,
};

struct init {
        struct log log;
        struct control control;
        struct guest_config config;
        struct buf xattrs;
        bool have_vsock;
        struct loop *loop;
        struct bridge *bridge;
        struct pid1 *pid1;
        struct serve *serve; /* where the image says so, instead of a workload */
        pid_t workload;
};

static int step_prepare(struct init *init, struct failure *f)
{
        int r = rootfs_prepare(f);

        (void)init;
        umask(0);
        return r < 0 ? r : console_attach(f);
}

static int step_load_modules(struct init *init, struct failure *f)
{
        char name[NAME_MAX + 1];
        int r = kernel_modules_load("/modules", name);

        (void)init;
        return r < 0 ? failure_set(f, -r, name[0] ? name : "/modules", "load a kernel module") : 0;
}

/* Another host than ours. */
static int require_heartbeat(struct init *init, uint32_t parent_cid, struct failure *f)
{
        int r = control_heartbeat(parent_cid, HEARTBEAT_REQUIRED_MS);

        if (r < 0 && parent_cid != PARENT_CID_NITRO)
                r = control_heartbeat(PARENT_CID_NITRO, HEARTBEAT_REQUIRED_MS);
        if (r < 0)
                return failure_set(f, -r, NULL,
                                   "reach the parent: nobody answers the heartbeat at CID %u or %d",
                                   parent_cid, PARENT_CID_NITRO);
        log_info(&init->log, "the parent has no control channel; going on with its heartbeat alone");
        return 0;
}

/* The control channel of a supervisor of ours, whichever of the parent's CIDs its machine has: a Nitro one
 * has CID 3 only. */
static int find_supervisor(struct init *init, uint32_t *parent_cid, uint32_t own_cid)
{
        int r = control_connect(&init->control, *parent_cid, own_cid);

        if (r < 0 && *parent_cid != PARENT_CID_NITRO) {
                control_close(&init->control);
                r = control_connect(&init->control, PARENT_CID_NITRO, own_cid);
                if (r == 0)
                        *parent_cid = PARENT_CID_NITRO;
        }
        if (r < 0)
                control_close(&init->control);
        return r;
}

static int step_find_parent(struct init *init, struct failure *f)
{
        uint32_t parent_cid = settings_parent_cid();
        uint32_t own_cid;

        if (vsock_own_cid(&own_cid) < 0) {
                log_warning(&init->log, "no vsock device: there is no parent to report to");
                return 0;
        }
        init->have_vsock = true;
        int r = find_supervisor(init, &parent_cid, own_cid);
        if (r < 0)
                return require_heartbeat(init, parent_cid, f);
        r = control_heartbeat(parent_cid, HEARTBEAT_MS);
        if (r < 0)
                log_debug(&init->log, "no heartbeat: %s", strerror(-r));
        return 0;
}

static int step_read_settings(struct init *init, struct failure *f)
{
        return settings_read(&init->config, &init->xattrs, f);
}

/* Where processes are served, the first of them does this, in a namespace of its own. */
static int step_enter_image(struct init *init, struct failure *f)
{
        int r = init->config.serve ? 0 : rootfs_enter(f);

        if (r < 0 || init->config.serve)
                return r;
        xattrs_apply(buf_view(&init->xattrs), &init->log);
        buf_done(&init->xattrs);
        return rootfs_mount(&init->log, f);
}

static int step_set_up_network(struct init *init, struct failure *f)
{
        const struct rlimit files = {.rlim_cur = FILES_MAX, .rlim_max = FILES_MAX};

        (void)f;
        setrlimit(RLIMIT_NOFILE, &files); /* init's own; the workload gets others */
        network_set_up(&init->log);
        if (!init->config.serve)
                network_set_name(init->config.hostname, &init->log);
        return 0;
}

static void open_port(struct init *init, uint16_t port)
{
        struct error err = {0};
        int fd = -1;
        int r = vsock_listen(port, &fd);

        if (r == 0)
                r = bridge_add(init->bridge, fd, port, &err);
        if (r < 0)
                log_warning(&init->log, "cannot bridge port %u: %s", port, strerror(-r));
}

static int step_make_loop(struct init *init, struct failure *f)
{
        const struct bridge_options options = {.max_connections = CONNECTIONS_MAX,
                                               .patience_ms = PATIENCE_MS};
        struct error err = {0};
        int r = loop_new(&init->loop, &err);

        if (r == 0)
                r = bridge_new(init->loop, &init->log, &options, &init->bridge, &err);
        if (r == 0)
                r = pid1_new(init->loop, &init->control, &init->log, &init->pid1, &err);
        if (r < 0)
                return failure_set(f, 0, NULL, "make the event loop: %s", error_text(&err));
        for (size_t i = 0; init->have_vsock && i < init->config.n_ports; i++)
                open_port(init, init->config.ports[i]);
        return 0;
}

/* A command, from the image. */
static int start_command(struct init *init, struct failure *f)
{
        cleanup_fd int output = -1;
        int r = workload_complete_env(&init->config, f);

        if (r == 0)
                r = console_open(&output, f);
        return r < 0 ? r : workload_start(&init->config, output, &init->workload, f);
}

static int step_start_workload(struct init *init, struct failure *f)
{
        struct guest_message started = {.type = GUEST_STARTED};
        int r = init->config.serve ? serve_new(init->loop, init->pid1, buf_view(&init->xattrs), &init->log,
                                               &init->serve, f)
                                   : start_command(init, f);

        if (r < 0)
                return r;
        started.pid = init->serve ? 1 : (uint32_t)init->workload; /* what serves is init */
        r = control_send(&init->control, &started);
        if (r < 0)
                log_warning(&init->log, "cannot tell the parent that the command started: %s", strerror(-r));
        return 0;
}

static int step_run(struct init *init, struct failure *f)
{
        struct error err = {0};

        if (pid1_run(init->pid1, init->workload, init->config.stop_signal, &err) < 0)
                return failure_set(f, 0, NULL, "watch the command: %s", error_text(&err));
        return 0;
}

static int (*const STEPS[])(struct init *init, struct failure *f) = {
        step_prepare,        step_load_modules, step_find_parent,    step_read_settings, step_enter_image,
        step_set_up_network, step_make_loop,    step_start_workload, step_run,
};

/* Tells console and parent, and gives the parent a while to take it. */
static void report_failure(struct init *init, const struct failure *f)
{
        struct guest_message message = guest_message_failed((uint32_t)f->errnum, f->stage, f->path);
        struct pollfd p = {.fd = init->control.fd, .events = 0}; /* hang-up is always told */
        char text[sizeof(struct failure) + 100];

        failure_text(f, text, sizeof(text));
        log_error(&init->log, "%s", text);
        if (init->control.fd >= 0 && control_send(&init->control, &message) == 0) {
                p.events = POLLRDHUP;
                poll(&p, 1, FAREWELL_MS);
        }
}

int main(void)
{
        struct init init = {.log = {.level = LOG_LEVEL_INFO, .emit = console_emit}, .control = CONTROL_NONE};
        struct failure failure = {0};

        if (getpid() != 1) {
                fputs("enclave-init: runs as process 1 of an enclave's virtual machine only, see "
                      "enclave-init(8)\n",
                      stderr);
                return 1;
        }
        sigaction(SIGPIPE, &(const struct sigaction){.sa_handler = SIG_IGN}, NULL);
        guest_config_init(&init.config);
        for (size_t i = 0; i < ARRAY_SIZE(STEPS); i++) {
                if (STEPS[i](&init, &failure) < 0) {
                        report_failure(&init, &failure);
                        break;
                }
        }
        shutdown_machine();
}
