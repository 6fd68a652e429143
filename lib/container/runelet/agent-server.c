/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory of operation.  A client has two threads: one reads its requests, of which the first says what it
 * wants; for a process a second one is in pal_exec, and sends the end.  The client's going is taken for
 * SIGKILL: who waits for a process is gone, so the process has nobody to run for.
 */
#include "lib/container/runelet/agent-server.h"

#include "lib/base/fd.h"
#include "lib/container/init/payload.h"
#include "lib/container/runelet/agent.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct client {
        struct runelet *runelet;
        int socket;
};

/* A further process. */
struct further {
        const struct pal *pal;
        int socket;
        int pid;
        struct agent_message request; /* what its arguments and streams are of */
        struct agent_exec exec;
        struct pal_stdio_fds stdio;
        pthread_mutex_t lock;
        bool ended;
};

/* ---- processes ----------------------------------------------------------------------------------------- */

static int create(struct further *f, struct error *err)
{
        struct pal_create_process_args args = {
                .path = f->exec.path,
                .argv = f->exec.argv,
                .env = f->exec.env,
                .stdio = &f->stdio,
                .pid = &f->pid,
        };

        if (f->pal->version == 1)
                return error_set(err, -EOPNOTSUPP, "PAL %s: its version is 1, which has no further processes",
                                 f->pal->path);
        int r = 0;
        if (f->pal->describe_process && *f->exec.object)
                r = f->pal->describe_process(f->exec.object, strlen(f->exec.object));
        if (r != 0)
                return pal_failed(f->pal, "pal_describe_process", r, err);
        r = f->pal->create_process(&args);
        return r != 0 ? pal_failed(f->pal, "pal_create_process", r, err) : 0;
}

static void tell_end(struct further *f, int result, int value)
{
        struct error err = {0};

        if (result != 0) {
                (void)pal_failed(f->pal, "pal_exec", result, &err);
        } else if (value < 0 || value > 255) {
                (void)error_set(&err, -ERANGE, "PAL %s: pal_exec: it gave %d for an exit status",
                                f->pal->path, value);
        } else {
                (void)agent_send_number(f->socket, AGENT_EXITED, (uint32_t)value);
                return;
        }
        (void)agent_send_failure(f->socket, &err);
}

/* In its thread: to the end of the process. */
static void *run_to_end(void *user)
{
        struct further *f = user;
        int value = -1;
        struct pal_exec_args args = {.pid = f->pid, .exit_value = &value};
        int r = f->pal->exec.v2(&args);

        (void)pthread_mutex_lock(&f->lock);
        f->ended = true;
        (void)pthread_mutex_unlock(&f->lock);
        tell_end(f, r, value);
        /* The reader is woken, too. */
        (void)shutdown(f->socket, SHUT_RDWR);
        return NULL;
}

/* No signal goes to a number that may be another process's by now. */
static void kill_process(struct further *f, int signal)
{
        (void)pthread_mutex_lock(&f->lock);
        if (!f->ended)
                (void)f->pal->kill(f->pid, signal);
        (void)pthread_mutex_unlock(&f->lock);
}

/* Signals, until the client or the process is gone. */
static void pass_signals_on(struct further *f)
{
        for (;;) {
                cleanup_agent_message struct agent_message message = {.fds = {-1, -1, -1}};
                uint32_t signal = 0;
                if (agent_receive(f->socket, &message, NULL) < 0)
                        break;
                if (message.type != AGENT_SIGNAL || agent_number(&message, &signal, NULL) < 0 || signal < 1 ||
                    signal > 64)
                        break;
                kill_process(f, (int)signal);
        }
        kill_process(f, SIGKILL);
}

static int run(struct further *f, struct error *err)
{
        pthread_t thread;
        int r = agent_unpack_exec(&f->request, &f->exec, err);

        if (r == 0 && f->request.fds[0] < 0)
                r = error_set(err, -EBADMSG, "the enclave's agent got a process without streams");
        if (r < 0)
                return r;
        f->stdio = (struct pal_stdio_fds){
                .stdin = f->request.fds[0], .stdout = f->request.fds[1], .stderr = f->request.fds[2]};
        r = create(f, err);
        if (r < 0)
                return r;
        (void)agent_send(f->socket, AGENT_STARTED, view_of(NULL, 0), NULL);
        r = pthread_create(&thread, NULL, run_to_end, f);
        if (r != 0) {
                kill_process(f, SIGKILL);
                return error_errno(err, r, "can't start the thread that runs a process of the enclave");
        }
        pass_signals_on(f);
        (void)pthread_join(thread, NULL);
        return 0;
}

static int no_call(const struct runelet *runelet, struct error *err)
{
        return error_set(err, -ESHUTDOWN, "PAL %s: its enclave is ending", runelet->pal.path);
}

static int serve_exec(struct client *client, struct agent_message *request, struct error *err)
{
        struct calls *calls = &client->runelet->calls;
        struct call call;
        struct further f = {
                .pal = &client->runelet->pal,
                .socket = client->socket,
                .pid = -1,
                .request = *request,
                .lock = PTHREAD_MUTEX_INITIALIZER,
        };

        if (!calls_begin(calls, &call, client->socket))
                return no_call(client->runelet, err);
        int r = run(&f, err);
        calls_end(calls, &call);
        free(f.exec.argv);
        free(f.exec.env);
        return r;
}

/* ---- reports ------------------------------------------------------------------------------------------- */

static int get_report(const struct client *client, const struct agent_message *request, struct error *err)
{
        const struct pal *pal = &client->runelet->pal;
        uint8_t report[PAL_REPORT_SIZE];
        int n = sizeof(report);

        if (!pal->get_local_report)
                return error_set(err, -EOPNOTSUPP, "PAL %s: its version is %d; reports came with 3",
                                 pal->path, pal->version);
        if (request->body.n != 0 && request->body.n != PAL_TARGETINFO_SIZE)
                return error_set(err, -EINVAL, "a report's target has %d bytes, not %zu", PAL_TARGETINFO_SIZE,
                                 request->body.n);
        int r = pal->get_local_report(request->body.n ? request->body.p : NULL, (int)request->body.n, report,
                                      &n);
        if (r != 0)
                return pal_failed(pal, "pal_get_local_report", r, err);
        if (n < 0 || (size_t)n > sizeof(report))
                return error_set(err, -ERANGE, "PAL %s: pal_get_local_report: it gave %d for a size",
                                 pal->path, n);
        (void)agent_send(client->socket, AGENT_REPORT, view_of(report, (size_t)n), NULL);
        return 0;
}

static int serve_report(struct client *client, struct agent_message *request, struct error *err)
{
        struct calls *calls = &client->runelet->calls;
        struct call call;

        if (!calls_begin(calls, &call, client->socket))
                return no_call(client->runelet, err);
        int r = get_report(client, request, err);
        calls_end(calls, &call);
        return r;
}

/* ---- clients ------------------------------------------------------------------------------------------- */

static int serve(struct client *client, struct error *err)
{
        cleanup_agent_message struct agent_message request = {.fds = {-1, -1, -1}};
        int r = agent_receive(client->socket, &request, err);

        if (r < 0)
                return r;
        if (request.type == AGENT_EXEC)
                return serve_exec(client, &request, err);
        if (request.type == AGENT_ATTEST)
                return serve_report(client, &request, err);
        return error_set(err, -EBADMSG, "the enclave's agent was asked for '%c'", request.type);
}

static void *serve_client(void *user)
{
        struct client *client = user;
        struct error err = {0};

        if (serve(client, &err) < 0)
                (void)agent_send_failure(client->socket, &err);
        fd_close_p(&client->socket);
        free(client);
        return NULL;
}

static void accept_client(struct runelet *runelet, int fd)
{
        struct client *client = calloc(1, sizeof(*client));
        pthread_t thread;

        if (client) {
                *client = (struct client){.runelet = runelet, .socket = fd};
                if (pthread_create(&thread, NULL, serve_client, client) == 0) {
                        (void)pthread_detach(thread);
                        return;
                }
                free(client);
        }
        struct error err = {0};
        (void)error_oom(&err);
        (void)agent_send_failure(fd, &err);
        fd_close_p(&fd);
}

static void *accept_clients(void *user)
{
        struct runelet *runelet = user;

        for (;;) {
                int fd = accept4(runelet->plan->enclave->agent_fd, NULL, NULL, SOCK_CLOEXEC);
                if (fd >= 0)
                        accept_client(runelet, fd);
                else if (errno != EINTR && errno != ECONNABORTED && errno != EMFILE && errno != ENFILE &&
                         errno != ENOMEM && errno != ENOBUFS)
                        return NULL;
        }
}

int agent_serve(struct runelet *runelet, struct error *err)
{
        pthread_t thread;

        if (runelet->plan->enclave->agent_fd < 0)
                return 0;
        int r = pthread_create(&thread, NULL, accept_clients, runelet);
        if (r != 0)
                return error_errno(err, r, "can't start the thread of the enclave's agent");
        (void)pthread_detach(thread);
        return 0;
}
