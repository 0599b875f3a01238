/* net/audience.c - see net/audience.h. SPDX-License-Identifier: Apache-2.0 */
#include "net/audience.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/rcu.h"
#include "net/egress.h"

void fw_audience_init(fw_audience *audience, fw_exchange *exchange)
{
    *audience = (fw_audience){.exchange = exchange};
    FW_ASSERT(pthread_mutex_init(&audience->lock, NULL) == 0);
}

void fw_audience_fini(fw_audience *audience)
{
    pthread_mutex_destroy(&audience->lock);
    free(audience->numbers);
    audience->numbers = NULL;
}

/* Under lock. */
static void resize(fw_audience *audience, size_t count)
{
    if (audience->total) {
        /* Relaxed: as below. */
        fw_add_relaxed(audience->total, (unsigned)count - (unsigned)audience->count);
    }
    audience->count = count;
    /* Relaxed: see fw_audience_is_empty. */
    fw_store_relaxed(&audience->size, count);
}

static bool is_gone(fw_audience *audience, uint64_t number)
{
    fw_rcu_read_lock();
    bool gone = fw_exchange_find(audience->exchange, number) == NULL;
    fw_rcu_read_unlock();
    return gone;
}

/* Under lock. */
static void drop_gone(fw_audience *audience)
{
    size_t kept = 0;
    for (size_t i = 0; i < audience->count; i++)
        if (!is_gone(audience, audience->numbers[i]))
            audience->numbers[kept++] = audience->numbers[i];
    resize(audience, kept);
}

bool fw_audience_add(fw_audience *audience, uint64_t number)
{
    FW_ASSERT(number != 0);
    pthread_mutex_lock(&audience->lock);
    if (audience->count == audience->capacity)
        drop_gone(audience);
    if (audience->count == audience->capacity) {
        size_t capacity = audience->capacity ? audience->capacity * 2 : 16;
        uint64_t *numbers = realloc(audience->numbers, capacity * sizeof *numbers);
        if (!numbers) {
            pthread_mutex_unlock(&audience->lock);
            return false;
        }
        audience->numbers = numbers;
        audience->capacity = capacity;
    }
    audience->numbers[audience->count] = number;
    resize(audience, audience->count + 1);
    pthread_mutex_unlock(&audience->lock);
    return true;
}

size_t fw_audience_tell(fw_audience *audience, const fw_span *messages, size_t count)
{
    pthread_mutex_lock(&audience->lock);
    size_t missed = 0, before = audience->count;
    for (size_t i = 0; i < audience->count; i++)
        if (!fw_egress_post(audience->exchange, audience->numbers[i], messages, count))
            missed++;
    if (missed > 0)
        drop_gone(audience);
    missed -= before - audience->count < missed ? before - audience->count : missed;
    pthread_mutex_unlock(&audience->lock);
    return missed;
}
