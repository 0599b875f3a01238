/* net/exchange.h - what the connections of one server share: the table of lines, limits, counters.
 *
 * A connection is known outside by its number, never by its address: slot, role of the port and
 * generation in 64 bits. Whoever has a number asks the table inside an RCU read section and gets
 * the connection, which then stays until the section ends, or NULL when it is gone. So an answer to
 * a peer that left is dropped, not misdirected.
 *
 * Key invariant: a slot is in the free list, or belongs to exactly one connection that is not yet
 * reclaimed; its generation changes with each owner.
 *
 * Find is wait-free. Taking and giving back a slot lock a mutex: once per connection.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_EXCHANGE_H
#define FW_NET_EXCHANGE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "net/outbox.h"
#include "net/tls.h"

typedef struct fw_connection fw_connection;
typedef struct fw_gather fw_gather;

/* What a port is for; part of a connection's number, because answers look different on each. */
typedef enum fw_role {
    FW_ROLE_TASKS = 0,
    FW_ROLE_QUERIES,
    FW_ROLE_REGISTRATIONS,
    FW_ROLE_BUS,
    FW_ROLE_PUB,
    FW_ROLE_PULL, /* pipes to us */
    FW_ROLE_PUSH  /* pipes that we dial */
} fw_role;

typedef struct fw_limits {
    size_t message_max, connections_max, open_requests_max, unsent_bytes_max;
    int64_t stalled_ns, handshake_ns;
} fw_limits;

typedef struct fw_slot {
    fw_atomic(fw_connection *) connection;
    uint32_t generation; /* under lock */
    uint32_t next_free;  /* under lock */
} fw_slot;

/* Relaxed counters; each is exact, together they are no snapshot. */
typedef struct fw_traffic {
    fw_atomic(uint64_t) accepted, refused_connections, accept_failures;
    fw_atomic(uint64_t) handshakes_failed, closed_stalled, closed_protocol;
    fw_atomic(uint64_t) greetings_refused;
    fw_atomic(uint64_t) messages_in, messages_out, bytes_in, bytes_out, answers_dropped;
} fw_traffic;

enum { FW_LOOPS_MAX = 8 };

typedef struct fw_exchange {
    /* Immutable after init. */
    fw_limits limits;
    fw_tls *tls_listens, *tls_dials; /* certificates; NULL: none. The net's */
    uint64_t serial;                 /* of all exchanges of the process; from 1 */
    fw_slot *slots;
    fw_parcels parcels;
    struct fw_loop *loops[FW_LOOPS_MAX]; /* those for tasks, then the side loop */
    unsigned loop_count;                 /* those for tasks */
    /* Shared, atomic. */
    fw_traffic traffic;
    /* Under lock. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint32_t first_free; /* index + 1; 0: none */
    size_t used;         /* slots that have an owner */
    fw_gather *gathers;  /* egress: one per thread that ever answered */
    fw_connection *doomed;
    struct fw_errand *errands; /* the reaper's */
    size_t errands_open;       /* also the one that runs */
    bool reaper_stops;
    pthread_t reaper;
} fw_exchange;

/* Also starts the reaper. 0 or -FW_E.... */
int fw_exchange_init(fw_exchange *exchange, const fw_limits *limits);
/* Waits until every connection is gone, then frees. The caller has closed all of them and keeps new
 * ones from coming. */
void fw_exchange_fini(fw_exchange *exchange);

/* A slot for a new connection: its number, or 0 when connections_max are in use. */
uint64_t fw_exchange_reserve(fw_exchange *exchange, fw_role role);
/* From now on the number leads to the connection. */
void fw_exchange_publish(fw_exchange *exchange, uint64_t number, fw_connection *connection);
/* From now on it does not. */
void fw_exchange_withdraw(fw_exchange *exchange, uint64_t number);
/* The slot may have another owner. */
void fw_exchange_release(fw_exchange *exchange, uint64_t number);
/* NULL: gone. Inside an RCU read section; valid until it ends. */
fw_connection *fw_exchange_find(fw_exchange *exchange, uint64_t number);
/* Calls visit for each connection, each within a read section of its own. */
void fw_exchange_each(fw_exchange *exchange,
                      void (*visit)(void *context, fw_connection *connection), void *context);
/* Slots in use; connections being reclaimed count. */
size_t fw_exchange_count(fw_exchange *exchange);

/* Who watches the socket of that number. What may take long (management, announcements) is kept
 * away from tasks and their answers. */
struct fw_loop *fw_exchange_loop(const fw_exchange *exchange, uint64_t number);
struct fw_loop *fw_exchange_side_loop(const fw_exchange *exchange);

static inline fw_role fw_number_role(uint64_t number)
{
    return (fw_role)(number >> 32 & 0xf);
}

#endif
