/* base/rcu.c - read sections and batched retirement on liburcu's bp flavour.
 *
 * Each thread fills a block with (object, reclaim) pairs; a full block is given to call_rcu as one
 * callback. Key invariant: an object is in exactly one block, and a block is either its thread's or
 * liburcu's. If no block can be had, the object is given up for good and counted: memory is gone
 * then anyway, and neither waiting inside a read section nor reclaiming too early is allowed.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/rcu.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

/* Inlined read sections, except where a sanitizer would look into liburcu's (its reader is not
 * aligned as its type says in 0.13.2). */
#ifndef FW_SANITIZED
#define _LGPL_SOURCE
#endif
#include <urcu-bp.h>
#include <urcu-call-rcu.h>

#include "base/assert.h"
#include "base/atomic.h"

#if defined(__SANITIZE_THREAD__)
#define FW_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FW_TSAN 1
#endif
#endif
#ifdef FW_TSAN
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
static char reader_token;
#define ANNOTATE_ACQUIRE(p) __tsan_acquire(p)
#define ANNOTATE_RELEASE(p) __tsan_release(p)
#else
#define ANNOTATE_ACQUIRE(p) ((void)0)
#define ANNOTATE_RELEASE(p) ((void)0)
#endif

enum { BLOCK_ITEMS = 253 };

typedef struct retired_block {
    struct rcu_head head;
    size_t count;
    struct {
        void *object;
        void (*reclaim)(void *object);
    } items[BLOCK_ITEMS];
} retired_block;

static _Thread_local retired_block *my_block;
static pthread_key_t exit_key;
static pthread_once_t exit_once = PTHREAD_ONCE_INIT;
static fw_atomic(size_t) backlog;

void fw_rcu_read_lock(void)
{
    rcu_read_lock();
}

void fw_rcu_read_unlock(void)
{
    ANNOTATE_RELEASE(&reader_token);
    rcu_read_unlock();
}

int fw_rcu_is_reading(void)
{
    return rcu_read_ongoing() != 0;
}

static void reclaim_block(struct rcu_head *head)
{
    retired_block *block = FW_CONTAINER_OF(head, retired_block, head);
    ANNOTATE_ACQUIRE(block);
    ANNOTATE_ACQUIRE(&reader_token);
    /* Relaxed: a figure to be shown. */
    fw_sub_relaxed(&backlog, block->count);
    for (size_t i = 0; i < block->count; i++)
        block->items[i].reclaim(block->items[i].object);
    free(block);
}

static void hand_over(retired_block *block)
{
    FW_ASSERT(block->count > 0 && block->count <= BLOCK_ITEMS);
    /* Relaxed: a figure to be shown. */
    fw_add_relaxed(&backlog, block->count);
    ANNOTATE_RELEASE(block);
    call_rcu(&block->head, reclaim_block);
}

void fw_rcu_flush(void)
{
    retired_block *block = my_block;
    if (!block || block->count == 0)
        return;
    my_block = NULL;
    hand_over(block);
}

static void thread_exit(void *unused)
{
    (void)unused;
    fw_rcu_flush();
    free(my_block);
    my_block = NULL;
}

static void make_exit_key(void)
{
    FW_ASSERT(pthread_key_create(&exit_key, thread_exit) == 0);
}

static retired_block *new_block(void)
{
    retired_block *block = malloc(sizeof *block);
    if (!block)
        return NULL;
    block->count = 0;
    pthread_once(&exit_once, make_exit_key);
    /* Any value but NULL makes the exit function run. */
    FW_ASSERT(pthread_setspecific(exit_key, &my_block) == 0);
    return block;
}

void fw_rcu_retire(void *object, void (*reclaim)(void *object))
{
    FW_ASSERT(object && reclaim);
    if (!my_block)
        my_block = new_block();
    if (!my_block) {
        /* Relaxed: a figure to be shown; the object stays in the backlog for ever. */
        fw_add_relaxed(&backlog, 1);
        return;
    }
    retired_block *block = my_block;
    block->items[block->count].object = object;
    block->items[block->count].reclaim = reclaim;
    if (++block->count == BLOCK_ITEMS) {
        my_block = NULL;
        hand_over(block);
    }
}

typedef struct barrier {
    pthread_mutex_t lock;
    pthread_cond_t reached_changed;
    bool reached; /* under lock */
} barrier;

static void reach_barrier(void *object)
{
    barrier *b = object;
    pthread_mutex_lock(&b->lock);
    b->reached = true;
    pthread_cond_signal(&b->reached_changed);
    pthread_mutex_unlock(&b->lock);
}

/* liburcu's one default thread runs callbacks in the order they were given to it, so an object of
 * our own that is retired last is reclaimed last. (Its rcu_barrier would do, but not under
 * ThreadSanitizer.) */
void fw_rcu_barrier(void)
{
    barrier b = {.reached = false};
    FW_ASSERT(pthread_mutex_init(&b.lock, NULL) == 0);
    FW_ASSERT(pthread_cond_init(&b.reached_changed, NULL) == 0);
    fw_rcu_flush();
    fw_rcu_retire(&b, reach_barrier);
    fw_rcu_flush();
    pthread_mutex_lock(&b.lock);
    while (!b.reached)
        pthread_cond_wait(&b.reached_changed, &b.lock);
    pthread_mutex_unlock(&b.lock);
    pthread_mutex_destroy(&b.lock);
    pthread_cond_destroy(&b.reached_changed);
}

void fw_rcu_synchronize(void)
{
    synchronize_rcu();
    ANNOTATE_ACQUIRE(&reader_token);
}

size_t fw_rcu_backlog(void)
{
    /* Relaxed: a figure to be shown. */
    return fw_load_relaxed(&backlog);
}
