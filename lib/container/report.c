/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/container/container.h"

#include "lib/base/fd.h"
#include "lib/container/enclave-plan.h"
#include "lib/container/runelet/agent.h"

static int ask(int agent, struct view target, struct buf *ret_report, struct error *err)
{
        cleanup_agent_message struct agent_message answer = {.fds = {-1, -1, -1}};
        int r = agent_send(agent, AGENT_ATTEST, target, NULL);

        if (r < 0)
                return error_errno(err, -r, "ask the enclave's agent for a report");
        r = agent_receive(agent, &answer, err);
        if (r < 0)
                return r;
        if (answer.type == AGENT_FAILED)
                return agent_failure(&answer, err);
        if (answer.type != AGENT_REPORT)
                return error_set(err, -EBADMSG, "the enclave's agent answered '%c' to a report", answer.type);
        r = buf_append_view(ret_report, buf_view(&answer.body));
        return r < 0 ? error_oom(err) : 0;
}

int container_report(const struct engine *engine, const char *id, struct view target, struct buf *ret_report,
                     struct error *err)
{
        cleanup_container_state struct container_state state = {0};
        cleanup_fd int folder = -1, agent = -1;
        int r = state_open(engine->root, id, &folder, err);

        if (r == 0)
                r = state_read(folder, &state, err);
        if (r == 0)
                r = enclave_connect_agent(folder, &state, &agent, err);
        return r < 0 ? r : ask(agent, target, ret_report, err);
}
