/* slab_test.c - blocks are never handed out twice, by any mix of threads. SPDX-License-Identifier:
 * Apache-2.0 */
#include "base/slab.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/atomic.h"

enum { THREADS = 4, ROUNDS = 20000, SHARED = 512 };

typedef struct stamped {
    uint64_t owner, check;
} stamped;

typedef struct stress {
    fw_slab *slab;
    fw_atomic(stamped *) shared[SHARED];
    uint64_t seed;
} stress;

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void *exchange_blocks(void *argument)
{
    stress *s = argument;
    /* Relaxed: only makes seeds differ. */
    static fw_atomic(uint64_t) number;
    uint64_t me = fw_add_relaxed(&number, 1) + 1;
    uint64_t random = s->seed * me | 1;
    for (int i = 0; i < ROUNDS; i++) {
        stamped *block = fw_slab_alloc(s->slab);
        assert_non_null(block);
        *block = (stamped){me << 32 | (uint64_t)i, 0};
        block->check = ~block->owner;
        /* [slab_test-swap] seq_cst: hands blocks, with their stamps, from thread to thread. */
        stamped *other = fw_swap_seq_cst(&s->shared[next_random(&random) % SHARED], block);
        if (other) {
            assert_int_equal(other->check, ~other->owner);
            memset(other, 0x5a, sizeof *other);
            fw_slab_free(s->slab, other);
        }
    }
    return NULL;
}

static void threads_exchange_blocks(void **state)
{
    (void)state;
    stress *s = calloc(1, sizeof *s);
    pthread_t threads[THREADS];
    s->slab = fw_slab_create(sizeof(stamped), 16);
    s->seed = 88172645463325252u;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, exchange_blocks, s), 0);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
    }
    fw_slab_stats stats;
    fw_slab_snapshot(s->slab, &stats);
    /* What threads held went back when they ended, so three rounds need no more than one. */
    assert_true(stats.mapped_bytes < 4u << 20);
    fw_slab_destroy(s->slab);
    free(s);
}

static int by_address(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void blocks_are_apart_and_aligned(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    static char *blocks[COUNT];
    fw_slab *slab = fw_slab_create(200, 64);
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = fw_slab_alloc(slab);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 64, 0);
        memset(blocks[i], i & 0xff, 200);
    }
    for (int i = 0; i < COUNT; i++)
        assert_int_equal((unsigned char)blocks[i][199], i & 0xff);
    qsort(blocks, COUNT, sizeof blocks[0], by_address);
    for (int i = 1; i < COUNT; i++)
        assert_true(blocks[i] - blocks[i - 1] >= 256);
    for (int i = 0; i < COUNT; i++)
        fw_slab_free(slab, blocks[i]);
    fw_slab_stats before, after;
    fw_slab_snapshot(slab, &before);
    for (int i = 0; i < COUNT; i++)
        blocks[i] = fw_slab_alloc(slab);
    fw_slab_snapshot(slab, &after);
    assert_int_equal(before.mapped_bytes, after.mapped_bytes);
    fw_slab_destroy(slab);
}

static void a_new_slab_does_not_inherit_magazines(void **state)
{
    (void)state;
    for (int i = 0; i < 300; i++) {
        fw_slab *slab = fw_slab_create(64, 64);
        assert_non_null(slab);
        void *block = fw_slab_alloc(slab);
        assert_non_null(block);
        memset(block, 1, 64);
        fw_slab_free(slab, block);
        fw_slab_destroy(slab);
    }
}

static void slabs_are_limited(void **state)
{
    (void)state;
    fw_slab *slabs[FW_SLABS_MAX + 1];
    int made = 0;
    while (made <= FW_SLABS_MAX && (slabs[made] = fw_slab_create(64, 64)) != NULL)
        made++;
    assert_int_equal(made, FW_SLABS_MAX);
    while (made > 0)
        fw_slab_destroy(slabs[--made]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_apart_and_aligned),
        cmocka_unit_test(a_new_slab_does_not_inherit_magazines),
        cmocka_unit_test(slabs_are_limited),
        cmocka_unit_test(threads_exchange_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
