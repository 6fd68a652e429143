/* SPDX-License-Identifier: Apache-2.0 */
/*
 * enclave-plan.h - rune's side of an enclave: from the configuration to the plan, and what the container's
 * state says of it ("extra": {"enclave": {"type", "pal", "timeout"}}).
 */
#pragma once

#include "lib/container/starting.h"

/* The socket of the container's first process, in the state's folder (runelet/agent.h). */
#define ENCLAVE_AGENT_SOCKET "agent.sock"

/* Takes the enclave's settings out of the configuration that was loaded (its text is `config`), checks
 * that this machine can have it, and gives the container what it needs.  Nothing for a plain container. */
int enclave_plan_create(struct starting *starting, struct view config, struct error *err);

/* Makes the agent's socket, once the container's folder is there. Nothing for a plain container. */
int enclave_plan_listen(struct starting *starting, struct error *err);

/* The plan of a further process: connects to the agent.  Nothing for a plain container. */
int enclave_plan_exec(struct starting *starting, struct error *err);

/* Adds the process that it is to be, without the variables that configure the enclave. */
int enclave_plan_process(struct starting *starting, struct spec_process *process, struct error *err);

/* Connects to the agent of a running container.  -EINVAL where it is a plain one, -ECONNREFUSED where it
 * isn't running. *ret_fd is the caller's. */
int enclave_connect_agent(int folder, const struct container_state *state, int *ret_fd, struct error *err);

/* True where the container is an enclave. */
bool enclave_is(const struct container_state *state);

/* Refuses, with -ENOTSUP, what is done to a running container by its control group ("be paused") where its
 * processes aren't in one. */
int enclave_check_change(const struct container_state *state, const char *change, struct error *err);

/* How many seconds a call of its PAL may take; 0: any time. */
uint32_t enclave_timeout(const struct container_state *state);
