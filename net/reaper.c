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

static void *reap(void *argument)
{
    fw_exchange *exchange = argument;
    pthread_mutex_lock(&exchange->lock);
    for (;;) {
        while (!exchange->doomed && !exchange->reaper_stops)
            pthread_cond_wait(&exchange->changed, &exchange->lock);
        fw_connection *doomed = exchange->doomed;
        if (!doomed)
            break;
        exchange->doomed = NULL;
        pthread_mutex_unlock(&exchange->lock);
        while (doomed) {
            fw_connection *next = *fw_connection_link(doomed);
            fw_connection_quiesce(doomed);
            fw_rcu_retire(doomed, reclaim);
            doomed = next;
        }
        fw_rcu_flush();
        pthread_mutex_lock(&exchange->lock);
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
    while (exchange->used > 0)
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
