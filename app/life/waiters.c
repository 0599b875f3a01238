/* app/life/waiters.c - the closing list of those who wait for a task. SPDX-License-Identifier:
 * Apache-2.0 */
#include "app/life/waiters.h"

#include <string.h>

#include "base/assert.h"

/* What a closed list holds: the address of something that is no waiter. */
static char closed_mark;
#define CLOSED ((void *)&closed_mark)

static void free_waiter(fw_waiters *waiters, fw_waiter *waiter)
{
    /* Relaxed: a limit, not a promise. */
    fw_sub_relaxed(&waiters->count, 1);
    fw_slab_free(waiters->slab, waiter);
}

int fw_waiters_init(fw_waiters *waiters)
{
    *waiters = (fw_waiters){.slab = fw_slab_create(sizeof(fw_waiter), FW_CACHE_LINE)};
    if (!waiters->slab)
        return -FW_ENOMEM;
    FW_ASSERT(pthread_mutex_init(&waiters->lock, NULL) == 0);
    return 0;
}

void fw_waiters_fini(fw_waiters *waiters)
{
    FW_ASSERT(!waiters->limited);
    pthread_mutex_destroy(&waiters->lock);
    fw_slab_destroy(waiters->slab);
}

fw_waiter *fw_waiter_create(fw_waiters *waiters, const fw_reply_to *reply, fw_key key,
                            int64_t until_ns, bool native)
{
    /* Relaxed: a limit, not a promise. */
    if (fw_add_relaxed(&waiters->count, 1) >= FW_WAITERS_MAX) {
        fw_sub_relaxed(&waiters->count, 1);
        return NULL;
    }
    fw_waiter *waiter = fw_slab_alloc(waiters->slab);
    if (!waiter) {
        /* Relaxed: as above. */
        fw_sub_relaxed(&waiters->count, 1);
        return NULL;
    }
    *waiter = (fw_waiter){
        .reply = *reply, .key = key, .until_ns = until_ns, .native = native, .owners = 1};
    return waiter;
}

bool fw_waiters_attach(fw_waiters *waiters, fw_task *task, fw_waiter *waiter)
{
    bool limited = waiter->until_ns != 0;
    /* Relaxed: not shared yet. */
    fw_store_relaxed(&waiter->owners, limited ? 2 : 1);
    void *head = fw_load_relaxed(&task->waiters);
    do {
        if (head == CLOSED) {
            free_waiter(waiters, waiter);
            return false;
        }
        waiter->next = head;
        /* [waiters-list] release: the waiter's fields, to the thread that ends the task. */
    } while (!fw_cas_release(&task->waiters, &head, waiter));
    if (limited) {
        pthread_mutex_lock(&waiters->lock);
        waiter->next_wait = waiters->limited;
        waiters->limited = waiter;
        pthread_mutex_unlock(&waiters->lock);
    }
    return true;
}

fw_waiter *fw_waiters_close(fw_task *task)
{
    /* [waiters-list] acquire: the fields of all who attached. */
    void *head = fw_swap_acquire(&task->waiters, CLOSED);
    FW_ASSERT(head != CLOSED);
    fw_waiter *list = NULL;
    for (fw_waiter *waiter = head; waiter;) {
        fw_waiter *next = waiter->next;
        waiter->next = list;
        list = waiter;
        waiter = next;
    }
    return list;
}

bool fw_waiter_claim(fw_waiter *waiter)
{
    /* Relaxed would do for the race itself; the owners' count orders the free.
     * [waiters-answered] acq_rel: whoever comes second sees what the first did. */
    return fw_swap_acq_rel(&waiter->answered, 1) == 0;
}

void fw_waiter_release(fw_waiters *waiters, fw_waiter *waiter)
{
    /* [waiters-owners] acq_rel: both owners' uses come before the free. */
    if (fw_sub_acq_rel(&waiter->owners, 1) == 1)
        free_waiter(waiters, waiter);
}

fw_waiter *fw_waiters_expired(fw_waiters *waiters, int64_t now_ns, bool all)
{
    fw_waiter *taken = NULL;
    pthread_mutex_lock(&waiters->lock);
    fw_waiter **link = &waiters->limited;
    while (*link) {
        fw_waiter *waiter = *link;
        /* [waiters-answered] acquire: an answered wait is only waiting to be dropped here. */
        bool over = all || waiter->until_ns <= now_ns || fw_load_acquire(&waiter->answered);
        if (!over) {
            link = &waiter->next_wait;
            continue;
        }
        *link = waiter->next_wait;
        waiter->next_wait = taken;
        taken = waiter;
    }
    pthread_mutex_unlock(&waiters->lock);
    return taken;
}
