/* memory_test.c - room for every size, limits that hold, packs that go round. Also covers
 * engine/quota.c and engine/retire.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/memory.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rcu.h"
#include "engine/retire.h"
#include "engine/thread_slot.h"

static void amounts_stay_under_their_limits(void **state)
{
    (void)state;
    fw_quota quota;
    fw_quota_init(&quota, 10, 1000);
    assert_true(fw_quota_take(&quota, 9, 900));
    assert_false(fw_quota_take(&quota, 2, 10));
    assert_false(fw_quota_take(&quota, 1, 101));
    assert_int_equal(fw_quota_bytes(&quota), 900);
    assert_true(fw_quota_take(&quota, 1, 100));
    assert_false(fw_quota_take(&quota, SIZE_MAX, 0));
    assert_false(fw_quota_take(&quota, 0, SIZE_MAX));
    fw_quota_give(&quota, 10, 1000);
    assert_int_equal(fw_quota_bytes(&quota), 0);
    assert_true(fw_quota_take(&quota, 10, 1000));
}

static fw_task *alloc(fw_memory *memory, size_t bytes)
{
    fw_task *task = fw_memory_alloc(memory, bytes);
    assert_true(task || fw_memory_refusal() == -FW_EFULL);
    return task;
}

static void every_size_has_room(void **state)
{
    (void)state;
    fw_memory *memory = aligned_alloc(FW_APART, sizeof *memory);
    assert_int_equal(fw_memory_init(memory, 5, 100000, 64 << 20), 0);
    for (size_t bytes = 0; bytes < 6000; bytes++) {
        fw_task *task = alloc(memory, bytes);
        assert_non_null(task);
        assert_int_equal((uintptr_t)task->payload % 16, 0);
        assert_int_equal(task->payload_bytes, bytes);
        assert_int_equal(fw_memory_label(task), 5);
        fw_task zero = {.payload_bytes = (uint32_t)bytes, .size_class = task->size_class};
        assert_memory_equal(task, &zero, offsetof(fw_task, payload));
        memset(task, 0xee, offsetof(fw_task, payload_bytes));
        memset(&task->key, 0xee, offsetof(fw_task, size_class) - offsetof(fw_task, key));
        memset(&task->started_wall_ns, 0xee, 8);
        memset(task->payload, 0xee, bytes);
        fw_memory_free(memory, task);
    }
    assert_null(alloc(memory, SIZE_MAX));
    assert_null(alloc(memory, UINT32_MAX));
    fw_memory_fini(memory);
    free(memory);
}

static void small_limits_are_exact(void **state)
{
    (void)state;
    fw_memory *memory = aligned_alloc(FW_APART, sizeof *memory);
    fw_task *tasks[10];
    assert_int_equal(fw_memory_init(memory, 5, 10, 64 * 1024), 0);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 10; i++)
            assert_non_null(tasks[i] = alloc(memory, 64));
        assert_null(alloc(memory, 64));
        assert_int_equal(fw_memory_bytes(memory), 10 * (80 + 64));
        for (unsigned i = 0; i < 10; i++)
            fw_memory_free(memory, tasks[i]);
        assert_int_equal(fw_memory_bytes(memory), 0);
        assert_non_null(tasks[0] = alloc(memory, 60000));
        assert_null(alloc(memory, 6000));
        assert_non_null(tasks[1] = alloc(memory, 4000));
        fw_memory_free(memory, tasks[0]);
        fw_memory_free(memory, tasks[1]);
        assert_int_equal(fw_memory_bytes(memory), 0);
    }
    fw_memory_fini(memory);
    free(memory);
}

/* Producers take, liburcu's thread gives back; a third of the tasks are of another size. Each task
 * carries its number, so that one handed out twice shows. */
enum { LIMIT = 32768, PRODUCERS = 2, PACK = 32 };
typedef struct market {
    fw_memory memory;
    int64_t until_ns;
    fw_atomic(int64_t) alive;
} market;
typedef struct good {
    market *m;
    uint64_t number, check;
} good;

static void give_back(void *object)
{
    fw_task *task = object;
    good *g = (void *)task->payload;
    assert_int_equal(g->check, ~g->number);
    g->check = 0;
    market *m = g->m;
    fw_sub_seq_cst(&m->alive, 1);
    fw_memory_free(&m->memory, task);
}

static void *trade(void *argument)
{
    market *m = argument;
    static fw_atomic(uint64_t) traders;
    uint64_t number = fw_add_relaxed(&traders, 1) << 40; /* relaxed: only to differ */
    while (fw_now_ns() < m->until_ns) {
        for (unsigned i = 0; i < 200; i++, number++) {
            fw_task *task = alloc(&m->memory, number % 3 ? sizeof(good) : 1000);
            if (!task) {
                fw_rcu_flush();
                break;
            }
            assert_true(fw_add_seq_cst(&m->alive, 1) < LIMIT);
            good *g = (void *)task->payload;
            *g = (good){m, number, ~number};
            task->key.low = number;
            fw_rcu_retire(task, give_back);
        }
    }
    fw_rcu_flush();
    return NULL;
}

static void packs_go_round(void **state)
{
    (void)state;
    market *m = aligned_alloc(FW_APART, sizeof *m);
    pthread_t threads[PRODUCERS];
    const char *seconds = getenv("FW_STRESS_SECONDS");
    memset(m, 0, sizeof *m);
    assert_int_equal(fw_memory_init(&m->memory, 0, LIMIT, (size_t)LIMIT * 4096), 0);
    assert_int_equal(m->memory.classes[0].pack, PACK);
    m->until_ns = fw_now_ns() + (seconds ? strtol(seconds, NULL, 10) : 1) * FW_NS_PER_S;
    for (unsigned i = 0; i < PRODUCERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, trade, m), 0);
    for (unsigned i = 0; i < PRODUCERS; i++)
        pthread_join(threads[i], NULL);
    fw_rcu_barrier();
    assert_int_equal(fw_load_seq_cst(&m->alive), 0);
    /* M2: what threads keep is all that is missing. */
    unsigned taken = 0;
    while (alloc(&m->memory, sizeof(good)))
        taken++;
    unsigned keepers = PRODUCERS + 2;
    assert_true(taken <= LIMIT && taken >= LIMIT - keepers * 2 * 2 * PACK);
    fw_memory_fini(&m->memory);
    free(m);
}

/* A thread beyond the slots. */
static void *trade_without_slot(void *argument)
{
    fw_memory *memory = argument;
    fw_task *tasks[100];
    fw_thread_slot_claimed = FW_SLOT_SHARED + 1;
    for (unsigned i = 0; i < 100; i++)
        assert_non_null(tasks[i] = alloc(memory, 64));
    for (unsigned i = 0; i < 100; i++)
        fw_memory_free(memory, tasks[i]);
    return NULL;
}

static void threads_beyond_the_slots_share_a_row(void **state)
{
    (void)state;
    fw_memory *memory = aligned_alloc(FW_APART, sizeof *memory);
    pthread_t threads[2];
    assert_int_equal(fw_memory_init(memory, 5, 100000, 64 << 20), 0);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, trade_without_slot, memory), 0);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    fw_memory_fini(memory);
    free(memory);
}

/* G1 and G2, with more threads than rows that are flushed. */
enum { RETIRERS = 3, RETIRED = 5000 };
static fw_atomic(unsigned) expirations[FW_RETIRE_CODE + 1];

static void expired(fw_task *task, unsigned code)
{
    assert_int_equal(task->name, code);
    task->name = 99;
    fw_add_relaxed(&expirations[code], 1); /* relaxed: read after all is over */
    free(task);
}

static void expire(void *chain)
{
    fw_retire_walk(chain, expired);
}

static void *retire_many(void *argument)
{
    fw_retire *retire = argument;
    for (unsigned i = 0; i < RETIRED; i++) {
        fw_task *task = calloc(1, sizeof *task);
        task->name = i % (FW_RETIRE_PRIVATE + 1);
        fw_retire_add(retire, task, task->name);
        if (i % 777 == 0)
            fw_retire_flush(retire);
    }
    return NULL;
}

static void each_retired_task_expires_once(void **state)
{
    (void)state;
    fw_retire retire;
    pthread_t threads[RETIRERS];
    assert_int_equal(fw_retire_init(&retire, FW_RETIRE_CHAIN_MAX, 1, expire), 0);
    for (unsigned i = 0; i < RETIRERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, retire_many, &retire), 0);
    for (unsigned i = 0; i < RETIRED; i++) {
        fw_task *task = calloc(1, sizeof *task);
        fw_retire_row_add(&retire, &retire.rows[FW_SLOTS], task, 0);
    }
    for (unsigned i = 0; i < RETIRERS; i++)
        pthread_join(threads[i], NULL);
    fw_rcu_barrier();
    fw_retire_collect(&retire);
    for (unsigned code = 0; code <= FW_RETIRE_PRIVATE; code++) {
        unsigned expected = RETIRERS * RETIRED / (FW_RETIRE_PRIVATE + 1);
        assert_int_equal(fw_load_relaxed(&expirations[code]), expected + (code ? 0 : RETIRED));
    }
    fw_retire_fini(&retire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(amounts_stay_under_their_limits),
        cmocka_unit_test(every_size_has_room),
        cmocka_unit_test(small_limits_are_exact),
        cmocka_unit_test(packs_go_round),
        cmocka_unit_test(threads_beyond_the_slots_share_a_row),
        cmocka_unit_test(each_retired_task_expires_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
