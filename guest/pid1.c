/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/pid1.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

/* How long the parent may take to close the control channel after it was told of the end. */
enum { FAREWELL_MS = 3000 };

struct pid1 {
        struct loop *loop;
        struct control *control;
        const struct log *log;
        pid_t workload; /* 0 once it ended */
        unsigned int stop_signal;
        pid1_reaped_fn reaped; /* NULL unless serving */
        void *reaped_user;
        struct loop_source *children;
        struct loop_source *parent; /* NULL where there is none */
        struct loop_source *farewell;
};

static void tell_end(struct pid1 *pid1, int status)
{
        struct guest_message message = {.type = GUEST_EXITED, .status = (uint32_t)WEXITSTATUS(status)};

        if (WIFSIGNALED(status)) {
                message.type = GUEST_SIGNALED;
                message.signaled.signal = (uint32_t)WTERMSIG(status);
                message.signaled.core = WCOREDUMP(status);
                log_info(pid1->log, "the command was ended by signal %d", WTERMSIG(status));
        } else {
                log_info(pid1->log, "the command exited with status %d", WEXITSTATUS(status));
        }
        int r = control_send(pid1->control, &message);
        if (r < 0)
                log_warning(pid1->log, "cannot tell the parent: %s", strerror(-r));
}

static int on_farewell(struct loop_source *source, void *user)
{
        struct pid1 *pid1 = user;

        (void)source;
        loop_quit(pid1->loop, 0);
        return 0;
}

/* The parent may still be reading what the workload sent last, so the bridge goes on until it closes. */
static int await_farewell(struct pid1 *pid1)
{
        if (!pid1->parent) {
                loop_quit(pid1->loop, 0);
                return 0;
        }
        return loop_add_timer(pid1->loop, FAREWELL_MS, on_farewell, pid1, &pid1->farewell, NULL);
}

void pid1_serve(struct pid1 *pid1, pid1_reaped_fn reaped, void *user)
{
        pid1->reaped = reaped;
        pid1->reaped_user = user;
}

void pid1_set_workload(struct pid1 *pid1, pid_t pid)
{
        pid1->workload = pid;
}

int pid1_end(struct pid1 *pid1, int status)
{
        pid1->workload = 0;
        tell_end(pid1, status);
        return await_farewell(pid1);
}

static int on_child(struct loop_source *source, int signal, void *user)
{
        struct pid1 *pid1 = user;
        int status;
        pid_t pid;
        int r;

        (void)source;
        (void)signal;
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
                if (pid1->reaped)
                        pid1->reaped(pid, status, pid1->reaped_user);
                else if (pid == pid1->workload && (r = pid1_end(pid1, status)) < 0)
                        return r;
        }
        return 0;
}

static void pass_signal(struct pid1 *pid1, unsigned int signal)
{
        if (pid1->workload > 0 && kill(pid1->workload, (int)signal) < 0)
                log_warning(pid1->log, "cannot send signal %u to the command: %s", signal, strerror(errno));
}

static void obey(struct pid1 *pid1, const struct guest_message *message)
{
        if (message->type == PARENT_SIGNAL)
                pass_signal(pid1, message->signal);
        else if (message->type == PARENT_SHUTDOWN)
                pass_signal(pid1, pid1->stop_signal);
}

static int on_parent(struct loop_source *source, int fd, uint32_t events, void *user)
{
        struct pid1 *pid1 = user;
        struct guest_message message = {0};
        int r;

        (void)source;
        (void)fd;
        (void)events;
        while ((r = control_receive(pid1->control, &message)) > 0)
                obey(pid1, &message);
        if (r == 0)
                return 0;
        if (pid1->workload == 0 && (!pid1->reaped || pid1->farewell))
                loop_quit(pid1->loop, 0);
        else
                log_warning(pid1->log, "lost the parent: %s", strerror(-r));
        loop_remove(&pid1->parent);
        control_close(pid1->control);
        return 0;
}

int pid1_new(struct loop *loop, struct control *control, const struct log *log, struct pid1 **ret_pid1,
             struct error *err)
{
        cleanup_pid1 struct pid1 *pid1 = calloc(1, sizeof(*pid1));

        if (!pid1)
                return error_oom(err);
        *pid1 = (struct pid1){.loop = loop, .control = control, .log = log};
        int r = loop_add_signal(loop, SIGCHLD, on_child, pid1, &pid1->children, err);
        if (r == 0 && control->fd >= 0)
                r = loop_add_fd(loop, control->fd, EPOLLIN, on_parent, pid1, &pid1->parent, err);
        if (r < 0)
                return r;
        *ret_pid1 = take_pointer(&pid1);
        return 0;
}

int pid1_run(struct pid1 *pid1, pid_t workload, unsigned int stop_signal, struct error *err)
{
        pid1->workload = workload;
        pid1->stop_signal = stop_signal;
        int r = loop_run(pid1->loop);
        return r < 0 ? error_errno(err, -r, "the event loop failed") : 0;
}

void pid1_free(struct pid1 *pid1)
{
        if (!pid1)
                return;
        loop_remove(&pid1->children);
        loop_remove(&pid1->parent);
        loop_remove(&pid1->farewell);
        free(pid1);
}
