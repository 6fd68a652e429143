/* SPDX-License-Identifier: Apache-2.0 */
#include "qt/connector.h"
#include "lib/base/fd.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { THREADS = 8, TIMEOUT_MS = 20000, STACK = 256 * 1024 };

struct queue {
        struct connection *first;
        struct connection *last;
};

struct connector {
        const struct vsock_endpoint *endpoint;
        pthread_mutex_t lock;
        pthread_cond_t asked_more;
        struct queue asked;
        struct queue answered;
        int event_fd;
};

static void push(struct queue *queue, struct connection *connection)
{
        connection->next = NULL;
        if (queue->last)
                queue->last->next = connection;
        else
                queue->first = connection;
        queue->last = connection;
}

static struct connection *pop(struct queue *queue)
{
        struct connection *connection = queue->first;

        if (!connection)
                return NULL;
        queue->first = connection->next;
        if (!queue->first)
                queue->last = NULL;
        return connection;
}

static void *serve(void *user)
{
        struct connector *connector = user;

        pthread_mutex_lock(&connector->lock);
        for (;;) {
                struct connection *connection = pop(&connector->asked);
                if (!connection) {
                        pthread_cond_wait(&connector->asked_more, &connector->lock);
                        continue;
                }
                pthread_mutex_unlock(&connector->lock);
                if (vsock_connect(connector->endpoint, connection->port, TIMEOUT_MS, &connection->guest,
                                  &connection->err) < 0)
                        connection->guest = -1;
                pthread_mutex_lock(&connector->lock);
                push(&connector->answered, connection);
                eventfd_write(connector->event_fd, 1);
        }
        return NULL;
}

int connector_new(const struct vsock_endpoint *endpoint, struct connector **ret_connector, struct error *err)
{
        struct connector *connector = calloc(1, sizeof(*connector));
        pthread_attr_t attributes;
        pthread_t thread = 0;

        if (!connector)
                return error_oom(err);
        connector->endpoint = endpoint;
        pthread_mutex_init(&connector->lock, NULL);
        pthread_cond_init(&connector->asked_more, NULL);
        connector->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (connector->event_fd < 0) {
                free(connector);
                return error_errno(err, errno, "cannot make an event descriptor");
        }
        pthread_attr_init(&attributes);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        pthread_attr_setstacksize(&attributes, STACK);
        int started = 0, r = 0;
        while (started < THREADS && (r = pthread_create(&thread, &attributes, serve, connector)) == 0)
                started++;
        pthread_attr_destroy(&attributes);
        if (started == 0) {
                fd_close_p(&connector->event_fd);
                free(connector);
                return error_errno(err, r, "cannot start a thread");
        }
        *ret_connector = connector;
        return 0;
}

int connector_ask(struct connector *connector, int client, uint32_t port)
{
        struct connection *connection = calloc(1, sizeof(*connection));

        if (!connection)
                return -ENOMEM;
        connection->client = client;
        connection->port = port;
        connection->guest = -1;
        pthread_mutex_lock(&connector->lock);
        push(&connector->asked, connection);
        pthread_cond_signal(&connector->asked_more);
        pthread_mutex_unlock(&connector->lock);
        return 0;
}

int connector_fd(const struct connector *connector)
{
        return connector->event_fd;
}

struct connection *connector_take(struct connector *connector)
{
        eventfd_t ignored;

        pthread_mutex_lock(&connector->lock);
        eventfd_read(connector->event_fd, &ignored);
        struct connection *connection = pop(&connector->answered);
        if (connection && connector->answered.first)
                eventfd_write(connector->event_fd, 1);
        pthread_mutex_unlock(&connector->lock);
        return connection;
}
