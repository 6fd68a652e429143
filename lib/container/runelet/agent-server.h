/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent-server.h - the agent's side of agent.h: further processes, and reports, while the enclave runs.
 */
#pragma once

#include "lib/container/runelet/runelet.h"

/* Starts to accept clients on the plan's agent_fd, in threads of their own. */
int agent_serve(struct runelet *runelet, struct error *err);
