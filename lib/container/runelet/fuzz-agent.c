/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz-agent.c - what may come over the agent's socket: messages one after the other, each read as what it
 * says it is.
 */
#include "lib/container/runelet/agent.h"

#include "lib/base/fd.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SENT_MAX = 65536 }; /* what a socket takes at once */

static void read_exec(const struct agent_message *message)
{
        struct agent_exec exec;
        size_t bytes = 0;

        if (agent_unpack_exec(message, &exec, NULL) < 0)
                return;
        for (char **item = exec.argv; *item; item++)
                bytes += strlen(*item) + 1;
        for (char **item = exec.env; *item; item++)
                bytes += strlen(*item) + 1;
        if (!exec.argv[0] || bytes + strlen(exec.path) + strlen(exec.object) + 2 + 8 != message->body.n)
                abort();
        free(exec.argv);
        free(exec.env);
}

static void read_message(const struct agent_message *message)
{
        struct error err = {0};
        uint32_t number;

        if (message->type == AGENT_EXEC)
                read_exec(message);
        else if (message->type == AGENT_FAILED && agent_failure(message, &err) >= 0)
                abort();
        else
                (void)agent_number(message, &number, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        int pair[2];
        bool more = true;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                abort();
        cleanup_fd int ours = pair[0], theirs = pair[1];
        if (fd_write_full(theirs, data, size < SENT_MAX ? size : SENT_MAX) < 0)
                abort();
        fd_close_p(&theirs);
        while (more) {
                cleanup_agent_message struct agent_message message = {.fds = {-1, -1, -1}};
                more = agent_receive(ours, &message, NULL) == 0;
                if (more)
                        read_message(&message);
        }
        return 0;
}
