/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/vsock/device-internal.h"

#include <sys/random.h>

/* Ports for connections that the parent begins, well away from those that people listen on. */
static const uint32_t PORT_FIRST = UINT32_C(1) << 30;
static const uint32_t PORT_LAST = (UINT32_C(1) << 31) - 1;

int connection_table_init(struct connection_table *table, size_t max, struct error *err)
{
        table->max = max;
        table->next_port = PORT_FIRST;
        LIST_INIT(&table->all);
        for (size_t i = 0; i < TABLE_BUCKETS; i++)
                LIST_INIT(&table->buckets[i]);
        if (getrandom(&table->seed, sizeof(table->seed), 0) != sizeof(table->seed))
                return error_errno(err, errno, "random numbers");
        return 0;
}

/* A multiplicative hash; the secret seed keeps a guest from aiming at a bucket. */
static size_t bucket_of(const struct connection_table *table, const struct connection_key *key)
{
        uint64_t h = table->seed ^ (((uint64_t)key->guest_port << 32) | key->host_port);

        h = (h ^ key->host_cid) * UINT64_C(0x9E3779B97F4A7C15);
        h = (h ^ (h >> 29) ^ table->seed) * UINT64_C(0xBF58476D1CE4E5B9);
        return (size_t)(h >> 32) % TABLE_BUCKETS;
}

int connection_table_add(struct connection_table *table, struct vsock_device *device,
                         const struct connection_key *key, enum connection_state state,
                         struct connection **ret_connection)
{
        if (table->n >= table->max)
                return -EMFILE;
        struct connection *c = calloc(1, sizeof(*c));
        if (!c)
                return -ENOMEM;
        c->device = device;
        c->key = *key;
        c->state = state;
        c->fd = -1;
        c->buf_alloc = table->promised + BUFFER_SIZE <= BUFFER_BUDGET ? BUFFER_SIZE : BUFFER_SIZE_SMALL;
        LIST_INSERT_HEAD(&table->all, c, all);
        LIST_INSERT_HEAD(&table->buckets[bucket_of(table, key)], c, bucket);
        table->promised += c->buf_alloc;
        table->n++;
        *ret_connection = c;
        return 0;
}

struct connection *connection_table_find(const struct connection_table *table,
                                         const struct connection_key *key)
{
        struct connection *c;

        LIST_FOREACH (c, &table->buckets[bucket_of(table, key)], bucket) {
                if (c->key.guest_port == key->guest_port && c->key.host_port == key->host_port &&
                    c->key.host_cid == key->host_cid)
                        return c;
        }
        return NULL;
}

void connection_table_forget_key(struct connection *c)
{
        LIST_REMOVE(c, bucket);
}

void connection_table_remove(struct connection_table *table, struct connection *c)
{
        if (c->state != CONNECTION_LINGERING)
                LIST_REMOVE(c, bucket);
        LIST_REMOVE(c, all);
        table->promised -= c->buf_alloc;
        table->n--;
        free(c->ring);
        free(c);
}

uint32_t connection_table_choose_port(struct connection_table *table, uint32_t guest_port)
{
        struct connection_key key = {.guest_port = guest_port, .host_cid = VSOCK_CID_HOST};

        /* There are fewer connections than ports, so this ends. */
        do {
                key.host_port = table->next_port;
                table->next_port = table->next_port == PORT_LAST ? PORT_FIRST : table->next_port + 1;
        } while (connection_table_find(table, &key));
        return key.host_port;
}
