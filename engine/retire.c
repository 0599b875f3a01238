/* engine/retire.c - rows of chains, one row per thread.
 *
 * Why not fw_rcu_retire for each: it gathers by thread as well, but an engine that is destroyed
 * cannot reach what a thread of the network keeps there until it ends. Our rows it can.
 * Covered by tests/engine/memory_test.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/retire.h"

#include <pthread.h>

#include "base/rcu.h"
#include "engine/pages.h"

static pthread_mutex_t shared_row_lock = PTHREAD_MUTEX_INITIALIZER;

static size_t table_bytes(const fw_retire *retire)
{
    return (FW_SLOTS + retire->reserved) * sizeof *retire->rows;
}

int fw_retire_init(fw_retire *retire, unsigned chain_max, unsigned reserved,
                   void (*expire)(void *chain))
{
    FW_ASSERT(chain_max >= 1 && chain_max <= FW_RETIRE_CHAIN_MAX);
    *retire = (fw_retire){.expire = expire, .chain_max = chain_max, .reserved = reserved};
    retire->rows = fw_pages_map(table_bytes(retire));
    return retire->rows ? 0 : -FW_ENOMEM;
}

void fw_retire_fini(fw_retire *retire)
{
    fw_pages_unmap(retire->rows, table_bytes(retire));
    retire->rows = NULL;
}

void fw_retire_add(fw_retire *retire, fw_task *task, unsigned code)
{
    unsigned slot = fw_thread_slot();
    if (FW_LIKELY(slot != FW_SLOT_SHARED)) {
        fw_retire_row_add(retire, &retire->rows[slot], task, code);
        return;
    }
    pthread_mutex_lock(&shared_row_lock);
    fw_retire_row_add(retire, &retire->rows[slot], task, code);
    pthread_mutex_unlock(&shared_row_lock);
}

void fw_retire_flush(fw_retire *retire)
{
    unsigned slot = fw_thread_slot();
    if (slot != FW_SLOT_SHARED)
        fw_retire_row_flush(retire, &retire->rows[slot]);
}

static void *take_chain(fw_retire_row *row)
{
    void *chain = row->first;
    row->first = NULL;
    row->count = 0;
    return chain;
}

void fw_retire_row_flush(fw_retire *retire, fw_retire_row *row)
{
    void *chain = take_chain(row);
    if (!chain)
        return;
    fw_rcu_retire(chain, retire->expire);
    fw_rcu_flush();
}

void fw_retire_collect(fw_retire *retire)
{
    unsigned left;
    do {
        left = 0;
        for (unsigned i = 0; i < FW_SLOTS + retire->reserved; i++) {
            void *chain = take_chain(&retire->rows[i]);
            if (chain) {
                left++;
                retire->expire(chain);
            }
        }
        /* What expired may have given back the last reference of something else. */
    } while (left > 0);
}
