/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A further process of an enclave, as the engine sees one: it has the streams and the terminal, takes the
 * signals, and ends with the status of the process in the enclave.
 */
#include "lib/container/init/init.h"
#include "lib/container/runelet/agent.h"
#include "lib/container/runelet/runelet.h"

#include "lib/base/fd.h"
#include "lib/container/sync.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static int make_ready(void *user, const struct plan *plan, struct payload *payload, struct error *err)
{
        (void)user;
        if (plan->process->args.n == 0)
                return error_set(err, -EINVAL, "no program is given for the enclave");
        if (payload_find(plan->process, payload, NULL) < 0 && !payload->path)
                payload->path = strdup(plan->process->args.items[0]);
        return payload->path ? 0 : error_oom(err);
}

/* All but the way to the agent, which is no one's but the plan's. */
static int drop(void *user, const struct plan *plan, const int *keep, size_t n, struct error *err)
{
        const int needed[] = {plan->enclave->agent_fd, n > 0 ? keep[0] : -1};

        (void)user;
        return descriptors_close(plan, needed, ARRAY_SIZE(needed), err);
}

static int send_request(const struct plan *plan, const struct payload *payload, struct error *err)
{
        static const int streams[AGENT_STREAMS] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
        cleanup_buf struct buf body = buf_with_max(AGENT_BODY_MAX);
        struct agent_exec exec = {.path = payload->path,
                                  .object = plan->enclave->process,
                                  .argv = plan->process->args.items,
                                  .env = payload->env};
        int r = agent_pack_exec(&exec, &body);

        if (r == 0)
                r = agent_send(plan->enclave->agent_fd, AGENT_EXEC, buf_view(&body), streams);
        return r < 0 ? error_errno(err, -r, "ask the enclave's agent for a process") : 0;
}

static int await_started(int agent, struct error *err)
{
        cleanup_agent_message struct agent_message message = {.fds = {-1, -1, -1}};
        int r = agent_receive(agent, &message, err);

        if (r < 0)
                return r;
        if (message.type == AGENT_STARTED)
                return 0;
        if (message.type == AGENT_FAILED)
                return agent_failure(&message, err);
        return error_set(err, -EBADMSG, "the enclave's agent answered '%c' to a process", message.type);
}

static void pass_signal_on(int signals, int agent)
{
        struct signalfd_siginfo info;

        if (read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
                (void)agent_send_number(agent, AGENT_SIGNAL, info.ssi_signo);
}

/* The exit status; a failure of the enclave's is told where the process's errors go. */
static int take_end(int agent)
{
        cleanup_agent_message struct agent_message message = {.fds = {-1, -1, -1}};
        struct error err = {0};
        uint32_t status = 0;
        int r = agent_receive(agent, &message, &err);

        if (r == 0 && message.type == AGENT_EXITED)
                r = agent_number(&message, &status, &err);
        else if (r == 0 && message.type == AGENT_FAILED)
                r = agent_failure(&message, &err);
        else if (r == 0)
                r = error_set(&err, -EBADMSG, "the enclave's agent sent '%c'", message.type);
        if (r == 0)
                return (int)(status & 0xff);
        /* An enclave that ended takes all its processes with it, as the kernel does with a container's. */
        if (r == -ECONNRESET)
                return 128 + SIGKILL;
        (void)fprintf(stderr, "rune: %s\n", error_text(&err));
        return EXIT_FAILURE;
}

static int stand_for_it(int agent, int signals)
{
        for (;;) {
                struct pollfd fds[] = {{.fd = agent, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
                if (poll(fds, 2, -1) < 0)
                        continue;
                if (fds[1].revents)
                        pass_signal_on(signals, agent);
                if (fds[0].revents)
                        return take_end(agent);
        }
}

static int take_signals(int *ret_fd, struct error *err)
{
        sigset_t set;

        sigfillset(&set);
        sigdelset(&set, SIGCHLD);
        (void)sigprocmask(SIG_BLOCK, &set, NULL);
        *ret_fd = signalfd(-1, &set, SFD_CLOEXEC);
        return *ret_fd < 0 ? error_errno(err, errno, "take signals for the enclave") : 0;
}

static int execute(void *user, const struct plan *plan, const struct payload *payload, int report_fd,
                   struct error *err)
{
        struct runelet *runelet = user;
        int agent = plan->enclave->agent_fd, signals;
        int r = take_signals(&signals, err);

        runelet->report_fd = report_fd;
        if (r == 0)
                r = send_request(plan, payload, err);
        if (r == 0)
                r = await_started(agent, err);
        if (r == 0)
                r = runelet_tell(runelet, PLAN_RUNNING, NULL, err);
        if (r < 0)
                return r;
        fd_close_p(&report_fd);
        _exit(stand_for_it(agent, signals));
}

const struct init_program runelet_proxy = {
        .make_ready = make_ready,
        .drop = drop,
        .execute = execute,
};
