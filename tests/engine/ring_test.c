/* The ring: order, bounds, wrap, and a stress in which consumers check each producer's order (R1 to
 * R3, R5). */
#include "engine/ring.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>

#include <cmocka.h>

static void nothing(fw_worker *worker, void *argument)
{
    (void)worker;
    (void)argument;
}

static fw_work piece(uintptr_t number)
{
    return (fw_work){nothing, (void *)number};
}

static void keeps_order_and_refuses_when_full(void **state)
{
    (void)state;
    fw_ring ring;
    assert_int_equal(fw_ring_init(&ring, 4), 0);
    fw_work in[6], out[4];
    for (uintptr_t i = 0; i < 6; i++)
        in[i] = piece(i + 1);
    assert_true(fw_ring_is_empty(&ring));
    assert_int_equal(fw_ring_pop(&ring, out, 4), 0);
    assert_int_equal(fw_ring_push(&ring, in, 6), 4); /* a prefix */
    assert_int_equal(fw_ring_push(&ring, in + 4, 1), 0);
    assert_int_equal(fw_ring_depth(&ring), 4);
    assert_int_equal(fw_ring_pop(&ring, out, 3), 3);
    for (uintptr_t i = 0; i < 3; i++)
        assert_int_equal((uintptr_t)out[i].argument, i + 1);
    assert_ptr_equal(out[0].run, nothing);
    assert_int_equal(fw_ring_push(&ring, in + 4, 2), 2);
    assert_int_equal(fw_ring_pop(&ring, out, 4), 3);
    assert_int_equal((uintptr_t)out[0].argument, 4);
    assert_int_equal((uintptr_t)out[2].argument, 6);
    assert_true(fw_ring_is_empty(&ring));
    assert_int_equal(fw_ring_pushed(&ring), 6);
    assert_int_equal(fw_ring_popped(&ring), 6);
    fw_ring_fini(&ring);
}

/* The lap has 16 bits; it comes round here twice. */
static void survives_the_wrap_of_laps(void **state)
{
    (void)state;
    fw_ring ring;
    assert_int_equal(fw_ring_init(&ring, 2), 0);
    for (uintptr_t i = 0; i < 300000; i++) {
        fw_work work = piece(i), out[2];
        assert_int_equal(fw_ring_push(&ring, &work, 1), 1);
        if (i % 2 == 0)
            continue;
        assert_int_equal(fw_ring_push(&ring, &work, 1), 0);
        assert_int_equal(fw_ring_pop(&ring, out, 2), 2);
        assert_int_equal((uintptr_t)out[1].argument, i);
        assert_int_equal(fw_ring_pop(&ring, out, 2), 0);
    }
#ifdef FW_CHECK
    assert_true(fw_ring_is_valid(&ring));
#endif
    fw_ring_fini(&ring);
}

enum { PRODUCERS = 2, CONSUMERS = 2 };

typedef struct stress {
    fw_ring ring;
    size_t per_producer;
    fw_atomic(size_t) popped;
    fw_atomic(uint64_t) sum;
} stress;

typedef struct message { /* shows whether what was written before the push is visible after the pop
                          */
    uint32_t producer;
    uint64_t number, check;
} message;

typedef struct role {
    stress *shared;
    uint32_t index;
    message *messages;
} role;

static void *produce(void *argument)
{
    role *me = argument;
    uint64_t random = me->index + 1;
    for (size_t i = 0; i < me->shared->per_producer;) {
        fw_work work[5];
        random = random * UINT64_C(6364136223846793005) + 1;
        size_t n = 1 + (random >> 33) % 5;
        if (n > me->shared->per_producer - i)
            n = me->shared->per_producer - i;
        for (size_t k = 0; k < n; k++) {
            message *m = &me->messages[i + k];
            *m = (message){me->index, i + k, (i + k) ^ me->index ^ 0x5a5a};
            work[k] = (fw_work){nothing, m};
        }
        size_t taken = fw_ring_push(&me->shared->ring, work, n);
        i += taken;
        if (taken == 0)
            sched_yield();
    }
    return NULL;
}

static void *consume(void *argument)
{
    role *me = argument;
    stress *shared = me->shared;
    int64_t last[PRODUCERS] = {-1, -1};
    uint64_t sum = 0;
    /* Relaxed: a count; the ring carries the data. */
    while (fw_load_relaxed(&shared->popped) < PRODUCERS * shared->per_producer) {
        fw_work out[7];
        size_t n = fw_ring_pop(&shared->ring, out, 7);
        for (size_t i = 0; i < n; i++) {
            const message *m = out[i].argument;
            assert_true(m->check == (m->number ^ m->producer ^ 0x5a5a));
            assert_true((int64_t)m->number > last[m->producer]);
            last[m->producer] = (int64_t)m->number;
            sum += m->number;
        }
        /* Relaxed: as above. */
        fw_add_relaxed(&shared->popped, n);
        if (n == 0)
            sched_yield();
    }
    /* Relaxed: read after the join. */
    fw_add_relaxed(&shared->sum, sum);
    return NULL;
}

static void delivers_each_piece_once_in_producer_order(void **state)
{
    (void)state;
    const char *seconds = getenv("FW_STRESS_SECONDS");
    stress shared = {.per_producer =
                         seconds != NULL ? 400000 * strtoul(seconds, NULL, 10) : 100000};
    assert_int_equal(fw_ring_init(&shared.ring, 64), 0);
    pthread_t threads[PRODUCERS + CONSUMERS];
    role roles[PRODUCERS + CONSUMERS];
    for (uint32_t i = 0; i < PRODUCERS + CONSUMERS; i++) {
        roles[i] = (role){&shared, i, NULL};
        if (i < PRODUCERS)
            roles[i].messages = calloc(shared.per_producer, sizeof(message));
        pthread_create(&threads[i], NULL, i < PRODUCERS ? produce : consume, &roles[i]);
    }
    for (size_t i = 0; i < PRODUCERS + CONSUMERS; i++)
        pthread_join(threads[i], NULL);
    uint64_t n = shared.per_producer;
    /* Relaxed: after the joins. */
    assert_int_equal(fw_load_relaxed(&shared.popped), PRODUCERS * n);
    assert_int_equal(fw_load_relaxed(&shared.sum), PRODUCERS * (n * (n - 1) / 2));
#ifdef FW_CHECK
    assert_true(fw_ring_is_valid(&shared.ring));
#endif
    for (size_t i = 0; i < PRODUCERS; i++)
        free(roles[i].messages);
    fw_ring_fini(&shared.ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_order_and_refuses_when_full),
        cmocka_unit_test(survives_the_wrap_of_laps),
        cmocka_unit_test(delivers_each_piece_once_in_producer_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
