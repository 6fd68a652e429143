/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/serve.h"

#include "lib/base/fd.h"
#include "lib/enclave/service-protocol.h"

#include "guest/container.h"
#include "guest/service.h"
#include "guest/vsock.h"

#include <signal.h>
#include <sys/socket.h>

struct serve {
        struct loop *loop;
        struct pid1 *pid1;
        struct view xattrs;
        const struct log *log;
        int listen_fd;
        struct loop_source *listener;
        struct service *service;
        struct container *container;
};

/* ---- the service's hooks ---- */

static int set_up(const struct service_container *spec, void *user, struct failure *f)
{
        struct serve *serve = user;
        int r = container_new(spec, serve->xattrs, serve->log, &serve->container, f);

        if (r == 0)
                pid1_set_workload(serve->pid1, container_pid(serve->container));
        return r;
}

static int open_terminal(int *ret_master, int *ret_slave, void *user, struct failure *f)
{
        struct serve *serve = user;

        return container_open_terminal(serve->container, ret_master, ret_slave, f);
}

static int start(bool first, const struct service_process *process, struct view encoded, const int stdio[3],
                 pid_t *ret_pid, void *user, struct failure *f)
{
        struct serve *serve = user;

        return container_start(serve->container, first, process, encoded, stdio, ret_pid, f);
}

/* To PID 1, "all" leaves PID 1 out. */
static void signal_all(int signal, void *user)
{
        (void)user;
        kill(-1, signal);
}

static void over(int status, const char *why, void *user)
{
        struct serve *serve = user;
        int killed = SIGKILL; /* as waitpid(2) has it */

        if (why)
                log_warning(serve->log, "the connection to the parent is over: %s", why);
        if (pid1_end(serve->pid1, status >= 0 ? status : killed) < 0)
                loop_quit(serve->loop, 0);
}

/* ---- init's side ---- */

static void on_reaped(pid_t pid, int status, void *user)
{
        struct serve *serve = user;

        if (serve->container && pid == container_pid(serve->container))
                pid1_set_workload(serve->pid1, 0);
        if (serve->service)
                service_reaped(serve->service, pid, status);
}

static int on_connection(struct loop_source *source, int listen_fd, uint32_t events, void *user)
{
        const struct service_hooks hooks = {.set_up = set_up,
                                            .open_terminal = open_terminal,
                                            .start = start,
                                            .signal_all = signal_all,
                                            .over = over,
                                            .user = user};
        struct serve *serve = user;
        struct error err = {0};
        int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        (void)source;
        (void)events;
        if (fd < 0)
                return 0;
        loop_remove(&serve->listener);
        fd_close_p(&serve->listen_fd);
        int r = service_new(serve->loop, fd, &hooks, serve->log, &serve->service, &err);
        if (r < 0)
                over(-1, error_text(&err), serve);
        return 0;
}

int serve_new(struct loop *loop, struct pid1 *pid1, struct view xattrs, const struct log *log,
              struct serve **ret_serve, struct failure *f)
{
        struct error err = {0};
        struct serve *serve = calloc(1, sizeof(*serve));

        if (!serve)
                return failure_set(f, ENOMEM, NULL, "serve processes");
        *serve = (struct serve){.loop = loop, .pid1 = pid1, .xattrs = xattrs, .log = log, .listen_fd = -1};
        int r = vsock_listen(SERVICE_PORT, &serve->listen_fd);
        if (r < 0)
                failure_set(f, -r, NULL, "listen for the parent on vsock port 0x%x", SERVICE_PORT);
        else if ((r = loop_add_fd(loop, serve->listen_fd, EPOLLIN, on_connection, serve, &serve->listener,
                                  &err)) < 0)
                failure_set(f, 0, NULL, "listen for the parent: %s", error_text(&err));
        if (r < 0) {
                fd_close_p(&serve->listen_fd);
                free(serve);
                return r;
        }
        pid1_serve(pid1, on_reaped, serve);
        *ret_serve = serve;
        return 0;
}
