/* app/compose/expiries.c - see app/compose/expiries.h: a binary heap. SPDX-License-Identifier:
 * Apache-2.0 */
#include "app/compose/expiries.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/assert.h"

typedef struct moment {
    int64_t at_ns;
    fw_key task;
} moment;

struct fw_expiries {
    bool (*waits)(void *context, fw_key task);
    void *context;
    size_t tasks_max;
    pthread_mutex_t lock;
    /* under lock */
    moment *heap;
    size_t count, capacity;
};

fw_expiries *fw_expiries_create(bool (*waits)(void *context, fw_key task), void *context,
                                size_t tasks_max)
{
    fw_expiries *expiries = calloc(1, sizeof *expiries);
    if (!expiries)
        return NULL;
    expiries->waits = waits;
    expiries->context = context;
    expiries->tasks_max = tasks_max;
    FW_ASSERT(pthread_mutex_init(&expiries->lock, NULL) == 0);
    return expiries;
}

void fw_expiries_destroy(fw_expiries *expiries)
{
    if (!expiries)
        return;
    pthread_mutex_destroy(&expiries->lock);
    free(expiries->heap);
    free(expiries);
}

static void sink(fw_expiries *expiries, size_t at)
{
    moment *heap = expiries->heap, moved = heap[at];
    for (size_t child; (child = 2 * at + 1) < expiries->count; at = child) {
        if (child + 1 < expiries->count && heap[child + 1].at_ns < heap[child].at_ns)
            child++;
        if (heap[child].at_ns >= moved.at_ns)
            break;
        heap[at] = heap[child];
    }
    heap[at] = moved;
}

/* Drops the moments of tasks that do not wait any more. */
static void clear_out(fw_expiries *expiries)
{
    size_t kept = 0;
    for (size_t i = 0; i < expiries->count; i++)
        if (expiries->waits(expiries->context, expiries->heap[i].task))
            expiries->heap[kept++] = expiries->heap[i];
    expiries->count = kept;
    for (size_t i = kept / 2; i > 0; i--)
        sink(expiries, i - 1);
}

/* Half of the room is free after it, so that it is seldom. */
static bool make_room(fw_expiries *expiries)
{
    if (expiries->count < expiries->capacity)
        return true;
    clear_out(expiries);
    if (expiries->count < expiries->capacity / 2)
        return true;
    size_t capacity = expiries->capacity ? expiries->capacity * 2 : 256;
    if (capacity > expiries->tasks_max)
        capacity = expiries->tasks_max;
    if (capacity == expiries->capacity)
        return expiries->count < capacity;
    moment *heap = realloc(expiries->heap, capacity * sizeof *heap);
    if (!heap)
        return expiries->count < expiries->capacity;
    expiries->heap = heap;
    expiries->capacity = capacity;
    return true;
}

bool fw_expiries_add(fw_expiries *expiries, fw_key task, int64_t at_ns)
{
    pthread_mutex_lock(&expiries->lock);
    bool room = make_room(expiries);
    if (room) {
        moment *heap = expiries->heap;
        size_t at = expiries->count++;
        for (; at > 0 && heap[(at - 1) / 2].at_ns > at_ns; at = (at - 1) / 2)
            heap[at] = heap[(at - 1) / 2];
        heap[at] = (moment){at_ns, task};
    }
    pthread_mutex_unlock(&expiries->lock);
    return room;
}

bool fw_expiries_take(fw_expiries *expiries, fw_key *task, int64_t now_ns)
{
    pthread_mutex_lock(&expiries->lock);
    bool due = expiries->count > 0 && expiries->heap[0].at_ns <= now_ns;
    if (due) {
        *task = expiries->heap[0].task;
        expiries->heap[0] = expiries->heap[--expiries->count];
        if (expiries->count > 0)
            sink(expiries, 0);
    }
    pthread_mutex_unlock(&expiries->lock);
    return due;
}

size_t fw_expiries_count(fw_expiries *expiries)
{
    pthread_mutex_lock(&expiries->lock);
    size_t count = expiries->count;
    pthread_mutex_unlock(&expiries->lock);
    return count;
}

int64_t fw_expiries_next_ns(fw_expiries *expiries)
{
    pthread_mutex_lock(&expiries->lock);
    int64_t next_ns = expiries->count > 0 ? expiries->heap[0].at_ns : INT64_MAX;
    pthread_mutex_unlock(&expiries->lock);
    return next_ns;
}
