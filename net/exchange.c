/* net/exchange.c - see net/exchange.h.
 *
 * A number: generation (28 bits), role (4 bits), slot (32 bits). A generation starts at 1, so that
 * no number is 0, which means "nobody". SPDX-License-Identifier: Apache-2.0 */
#include "net/exchange.h"

#include <sched.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/rcu.h"
#include "fastworker/types.h"
#include "net/connection.h"
#include "net/egress.h"
#include "net/loop.h"
#include "net/reaper.h"

enum { GENERATION_SHIFT = 36, ROLE_SHIFT = 32 };
static const uint32_t generation_mask = (UINT32_C(1) << 28) - 1;

static fw_atomic(uint64_t) serials;

static uint32_t slot_of(uint64_t number)
{
    return (uint32_t)number;
}

/* Two at least: a message that takes long to read does not hold up everybody. */
static unsigned loops_for_tasks(void)
{
    cpu_set_t allowed;
    unsigned cpus =
        sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? (unsigned)CPU_COUNT(&allowed) : 2;
    unsigned most = FW_LOOPS_MAX - 1;
    return cpus / 4 < 2 ? 2 : cpus / 4 < most ? cpus / 4 : most;
}

static void stop_loops(fw_exchange *exchange)
{
    for (unsigned i = 0; i < FW_LOOPS_MAX; i++)
        fw_loop_destroy(exchange->loops[i]);
}

static int start_loops(fw_exchange *exchange)
{
    exchange->loop_count = loops_for_tasks();
    for (unsigned i = 0; i <= exchange->loop_count; i++) {
        const char name[] = {'f', 'w', '-', 'n', 'e', 't', '-', (char)('0' + i), 0};
        exchange->loops[i] = fw_loop_create(i < exchange->loop_count ? name : "fw-net-side");
        if (!exchange->loops[i])
            return -FW_ENOMEM;
    }
    return 0;
}

fw_loop *fw_exchange_loop(const fw_exchange *exchange, uint64_t number)
{
    fw_role role = fw_number_role(number);
    if (role == FW_ROLE_REGISTRATIONS || role == FW_ROLE_BUS || role == FW_ROLE_PUB)
        return fw_exchange_side_loop(exchange);
    return exchange->loops[slot_of(number) % exchange->loop_count];
}

fw_loop *fw_exchange_side_loop(const fw_exchange *exchange)
{
    return exchange->loops[exchange->loop_count];
}

int fw_exchange_init(fw_exchange *exchange, const fw_limits *limits)
{
    FW_ASSERT(limits->connections_max > 0 && limits->connections_max < UINT32_MAX);
    FW_ASSERT(limits->open_requests_max > 0 && limits->unsent_bytes_max > 0);
    *exchange = (fw_exchange){.limits = *limits};
    /* Relaxed: only has to differ. */
    exchange->serial = fw_add_relaxed(&serials, 1) + 1;
    exchange->slots = calloc(limits->connections_max, sizeof *exchange->slots);
    if (!exchange->slots)
        return -FW_ENOMEM;
    for (uint32_t i = 0; i < limits->connections_max; i++)
        exchange->slots[i].next_free = i + 1 < limits->connections_max ? i + 2 : 0;
    exchange->first_free = 1;
    int err = fw_parcels_init(&exchange->parcels);
    if (err < 0) {
        free(exchange->slots);
        return err;
    }
    FW_ASSERT(pthread_mutex_init(&exchange->lock, NULL) == 0);
    FW_ASSERT(pthread_cond_init(&exchange->changed, NULL) == 0);
    err = start_loops(exchange);
    if (err == 0)
        err = fw_reaper_start(exchange);
    if (err < 0) {
        stop_loops(exchange);
        fw_parcels_fini(&exchange->parcels);
        free(exchange->slots);
    }
    return err;
}

void fw_exchange_fini(fw_exchange *exchange)
{
    fw_reaper_stop(exchange);
    FW_ASSERT(exchange->used == 0 && exchange->doomed == NULL);
    stop_loops(exchange);
    fw_egress_fini(exchange);
    fw_parcels_fini(&exchange->parcels);
    pthread_cond_destroy(&exchange->changed);
    pthread_mutex_destroy(&exchange->lock);
    free(exchange->slots);
    exchange->slots = NULL;
}

uint64_t fw_exchange_reserve(fw_exchange *exchange, fw_role role)
{
    uint64_t number = 0;
    pthread_mutex_lock(&exchange->lock);
    if (exchange->first_free > 0) {
        uint32_t place = exchange->first_free - 1;
        fw_slot *slot = &exchange->slots[place];
        exchange->first_free = slot->next_free;
        exchange->used++;
        slot->generation = (slot->generation + 1) & generation_mask;
        if (slot->generation == 0)
            slot->generation = 1;
        number =
            (uint64_t)slot->generation << GENERATION_SHIFT | (uint64_t)role << ROLE_SHIFT | place;
    }
    pthread_mutex_unlock(&exchange->lock);
    return number;
}

void fw_exchange_publish(fw_exchange *exchange, uint64_t number, fw_connection *connection)
{
    FW_ASSERT(slot_of(number) < exchange->limits.connections_max);
    /* [exchange-line] release: the connection is set up. */
    fw_store_release(&exchange->slots[slot_of(number)].connection, connection);
}

void fw_exchange_withdraw(fw_exchange *exchange, uint64_t number)
{
    FW_ASSERT(slot_of(number) < exchange->limits.connections_max);
    /* Relaxed: RCU decides when nobody sees the connection any more. */
    fw_store_relaxed(&exchange->slots[slot_of(number)].connection, NULL);
}

void fw_exchange_release(fw_exchange *exchange, uint64_t number)
{
    pthread_mutex_lock(&exchange->lock);
    fw_slot *slot = &exchange->slots[slot_of(number)];
    FW_ASSERT(slot->generation == number >> GENERATION_SHIFT && exchange->used > 0);
    slot->next_free = exchange->first_free;
    exchange->first_free = slot_of(number) + 1;
    exchange->used--;
    pthread_cond_broadcast(&exchange->changed);
    pthread_mutex_unlock(&exchange->lock);
}

fw_connection *fw_exchange_find(fw_exchange *exchange, uint64_t number)
{
    if (number == 0 || slot_of(number) >= exchange->limits.connections_max)
        return NULL;
    /* [exchange-line] acquire: the connection is set up. */
    fw_connection *found = fw_load_acquire(&exchange->slots[slot_of(number)].connection);
    return found && fw_connection_number(found) == number ? found : NULL;
}

void fw_exchange_each(fw_exchange *exchange,
                      void (*visit)(void *context, fw_connection *connection), void *context)
{
    for (size_t i = 0; i < exchange->limits.connections_max; i++) {
        fw_rcu_read_lock();
        /* [exchange-line] acquire: the connection is set up. */
        fw_connection *found = fw_load_acquire(&exchange->slots[i].connection);
        if (found)
            visit(context, found);
        fw_rcu_read_unlock();
    }
}

size_t fw_exchange_count(fw_exchange *exchange)
{
    pthread_mutex_lock(&exchange->lock);
    size_t used = exchange->used;
    pthread_mutex_unlock(&exchange->lock);
    return used;
}
