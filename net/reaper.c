/* net/reaper.c - see net/reaper.h. SPDX-License-Identifier: Apache-2.0 */
#include "net/reaper.h"

#include "base/assert.h"
#include "base/rcu.h"
#include "fastworker/types.h"
#include "net/connection.h"

static void reclaim(void *connection)
{
    fw_connection_destroy(connection);
}

static void bury(fw_connection *doomed)
{
    while (doomed) {
        fw_connection *next = *fw_connection_link(doomed);
        fw_connection_quiesce(doomed);
        fw_rcu_retire(doomed, reclaim);
        doomed = next;
    }
    fw_rcu_flush();
}

static void *reap(void *argument)
{
    fw_exchange *exchange = argument;
    pthread_mutex_lock(&exchange->lock);
    for (;;) {
        fw_connection *doomed = exchange->doomed;
        exchange->doomed = NULL;
        fw_errand *errand = exchange->errands;
        if (errand)
            exchange->errands = errand->next;
        if (!doomed && !errand && exchange->reaper_stops)
            break;
        if (!doomed && !errand) {
            pthread_cond_wait(&exchange->changed, &exchange->lock);
            continue;
        }
        pthread_mutex_unlock(&exchange->lock);
        if (doomed)
            bury(doomed);
        if (errand)
            errand->run(errand);
        pthread_mutex_lock(&exchange->lock);
        if (errand && --exchange->errands_open == 0)
            pthread_cond_broadcast(&exchange->changed);
    }
    pthread_mutex_unlock(&exchange->lock);
    return NULL;
}

int fw_reaper_start(fw_exchange *exchange)
{
    FW_ASSERT(!exchange->reaper_stops);
    return pthread_create(&exchange->reaper, NULL, reap, exchange) == 0 ? 0 : -FW_ENOMEM;
}

void fw_reaper_stop(fw_exchange *exchange)
{
    pthread_mutex_lock(&exchange->lock);
    while (exchange->used > 0 || exchange->errands_open > 0)
        pthread_cond_wait(&exchange->changed, &exchange->lock);
    exchange->reaper_stops = true;
    pthread_cond_broadcast(&exchange->changed);
    pthread_mutex_unlock(&exchange->lock);
    FW_ASSERT(pthread_join(exchange->reaper, NULL) == 0);
    /* The last ones may still be on their way out of fw_exchange_release. */
    fw_rcu_barrier();
}

void fw_reaper_take(fw_exchange *exchange, fw_connection *connection)
{
    pthread_mutex_lock(&exchange->lock);
    *fw_connection_link(connection) = exchange->doomed;
    exchange->doomed = connection;
    pthread_cond_broadcast(&exchange->changed);
    pthread_mutex_unlock(&exchange->lock);
}

void fw_reaper_send(fw_exchange *exchange, fw_errand *errand)
{
    pthread_mutex_lock(&exchange->lock);
    errand->next = exchange->errands;
    exchange->errands = errand;
    exchange->errands_open++;
    pthread_cond_broadcast(&exchange->changed);
    pthread_mutex_unlock(&exchange->lock);
}
