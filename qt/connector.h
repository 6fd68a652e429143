/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connector.h - connects to ports in an enclave without stopping the event loop: a few threads wait for the
 * answers.
 */
#pragma once

#include "lib/base/error.h"
#include "lib/vsock/client.h"

#include <stdbool.h>
#include <stdint.h>

/* A client that waits for its connection into the enclave. */
struct connection {
        struct connection *next;
        int client;
        uint32_t port;
        int guest;        /* -1 where it failed */
        struct error err; /* then why */
};

struct connector;

/* Starts the threads for one enclave.  `endpoint` must stay as long as the process.  The connector is never
 * freed: its threads end with the process. */
int connector_new(const struct vsock_endpoint *endpoint, struct connector **ret_connector, struct error *err);

/* Asks for a connection to `port` on behalf of `client`, which comes back in a struct connection. 0 or
 * -ENOMEM. */
int connector_ask(struct connector *connector, int client, uint32_t port);

/* Becomes readable when answers are there. Belongs to the connector. */
int connector_fd(const struct connector *connector);

/* Takes the next answer, for the caller to free() with its two descriptors; NULL where there is none now. */
struct connection *connector_take(struct connector *connector);
