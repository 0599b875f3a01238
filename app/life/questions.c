/* app/life/questions.c - what became of an id: query, wait, cancel. SPDX-License-Identifier:
 * Apache-2.0
 */
#include "app/life/lifecycle_parts.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/rcu.h"

static const int64_t wait_max_ns = 3600 * FW_NS_PER_S;

/* Waits on the task's list. False: it has just ended. */
static bool wait_for(fw_lifecycle *life, const fw_query *query, fw_task *task)
{
    int64_t wait_ns = query->wait_ns < wait_max_ns ? query->wait_ns : wait_max_ns;
    int64_t until_ns = fw_now_ns() + wait_ns;
    fw_waiter *waiter =
        fw_waiter_create(&life->waiters, &query->reply, query->key, until_ns, query->native);
    if (!waiter) {
        fw_net_answer_refusal(life->net, &query->reply, query->id, FW_REFUSED_FULL, "no memory");
        return true;
    }
    return fw_waiters_attach(&life->waiters, task, waiter);
}

static void answer_now(fw_lifecycle *life, const fw_query *query)
{
    char buffer[FW_UUID_TEXT];
    fw_cache_item item;
    fw_task *task = fw_engine_find(life->engine, query->key);
    if (task && query->kind == FW_QUERY_WAIT && query->wait_ns > 0 && wait_for(life, query, task))
        return;
    fw_cache_answer stored = fw_cache_get(life->cache, query->key, fw_now_ns(), false, &item);
    /* A task that ended between the two looks has its result in the cache, or has it in a moment.
     */
    if (stored != FW_CACHE_FOUND && task && fw_state_is_over(fw_task_state(task)))
        stored = fw_cache_get(life->cache, query->key, fw_now_ns(), false, &item);
    if (stored == FW_CACHE_FOUND) {
        fw_result_view view = fw_view_of_item(&item);
        fw_net_answer_query(life->net, &query->reply, FW_FOUND, query->native, &view);
        return;
    }
    fw_result_view view = {.key = query->key, .id = query->id, .status = FW_UNKNOWN};
    fw_found found = stored == FW_CACHE_EXPIRED ? FW_WAS_EXPIRED : FW_NEVER_SEEN;
    if (task) {
        view = fw_view_of_task(task, buffer);
        found = FW_NOT_FINISHED;
    }
    fw_net_answer_query(life->net, &query->reply, found, query->native, &view);
}

void fw_lifecycle_query(void *context, const fw_query *query)
{
    fw_lifecycle *life = context;
    if (query->kind == FW_QUERY_CANCEL) {
        bool cancelled = fw_lifecycle_cancel(life, query->key);
        fw_net_answer_cancel(life->net, &query->reply, query->id, cancelled);
        return;
    }
    fw_rcu_read_lock();
    answer_now(life, query);
    fw_rcu_read_unlock();
}
