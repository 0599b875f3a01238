/* linear_test.c - put, get, remove, evict and expire are linearizable: short histories of three
 * threads are recorded and every order that the real times allow is tried, until one explains all
 * answers.
 *
 * Linearizability is local, so a history is about one key; each history has a fresh one. The cache
 * is compiled with step.h. FW_SEED and the number of the history give the operations again.
 * SPDX-License-Identifier: Apache-2.0 */
#include "items.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "base/assert.h"
#include "base/atomic.h"

enum { THREADS = 3, OPERATIONS = 4, ALL = THREADS * OPERATIONS };

/* Times at which the cache is asked, from the begin of a history on: before and after the
 * short-lived results are dead. At the next one's begin all are dead, and swept before it. */
enum { EARLY = 0, LATE = 100, APART = 1000 };

typedef enum kind {
    PUT,       /* lives at both times */
    PUT_SHORT, /* dead at LATE */
    GET,
    GET_LATE,
    REMOVE,
    SWEEP_LATE,
    PUT_OTHER, /* in a cache of one entry: evicts the key */
    KINDS
} kind;

typedef struct operation {
    kind what;
    unsigned version; /* of a put; of what was found */
    int answer;       /* fw_cache_answer, or whether it was removed */
    uint64_t start, end;
} operation;

typedef enum presence { UNKNOWN, DEPARTED, LONG_LIVED, SHORT_LIVED } presence;
typedef struct model {
    presence is;
    unsigned version;
} model;

static fw_cache *cache;
static operation history[ALL]; /* thread by thread */
static uint64_t number;        /* of the history, and its key */
static fw_atomic(uint64_t) ticket;
static fw_atomic(unsigned) round_number, finished;
static _Thread_local uint64_t yielding;

void fw_test_step(void)
{
    if (yielding && next_random(&yielding) % 8 == 0)
        sched_yield();
}

static int64_t in_history(int64_t seconds)
{
    return ((int64_t)number * APART + seconds) * SECOND;
}

static void put(operation *o, uint64_t key, int64_t ttl_s)
{
    fw_cache_item item = item_of(key, "");
    item.created_wall_ns = (int64_t)o->version;
    FW_ASSERT(fw_cache_put(cache, &item, ttl_s * SECOND, in_history(EARLY)) == 0);
}

static void get(operation *o, int64_t now_s)
{
    fw_cache_item item;
    fw_rcu_read_lock();
    o->answer = fw_cache_get(cache, key_of(number), in_history(now_s), false, &item);
    if (o->answer == FW_CACHE_FOUND)
        o->version = (unsigned)item.created_wall_ns;
    fw_rcu_read_unlock();
}

static void perform(operation *o)
{
    o->start = fw_add_seq_cst(&ticket, 1);
    switch (o->what) {
    case PUT:
        put(o, number, LATE * 2);
        break;
    case PUT_SHORT:
        put(o, number, LATE / 2);
        break;
    case GET:
        get(o, EARLY);
        break;
    case GET_LATE:
        get(o, LATE);
        break;
    case REMOVE:
        o->answer = fw_cache_remove(cache, key_of(number));
        break;
    case SWEEP_LATE:
        o->answer = (int)fw_cache_sweep(cache, in_history(LATE));
        break;
    default:
        put(o, number + (UINT64_C(1) << 40), LATE * 2);
    }
    o->end = fw_add_seq_cst(&ticket, 1);
}

/* What an operation does to the key. => false: it cannot have given this answer. */
static bool apply(model *m, const operation *o)
{
    bool here = m->is >= LONG_LIVED;
    switch (o->what) {
    case PUT:
    case PUT_SHORT:
        *m = (model){o->what == PUT ? LONG_LIVED : SHORT_LIVED, o->version};
        return true;
    case GET:
    case GET_LATE:
        if (m->is == UNKNOWN)
            return o->answer == FW_CACHE_UNKNOWN;
        if (!here || (m->is == SHORT_LIVED && o->what == GET_LATE))
            return o->answer == FW_CACHE_EXPIRED;
        return o->answer == FW_CACHE_FOUND && o->version == m->version;
    case REMOVE:
        if (o->answer != here)
            return false;
        break;
    case SWEEP_LATE:
        /* It may leave to the next sweep what has just come. */
        if (o->answer == 0)
            return true;
        if (m->is != SHORT_LIVED)
            return false;
        break;
    default:
        break;
    }
    if (here)
        m->is = DEPARTED;
    return true;
}

/* Depth first over all orders that respect real time; done: bit per operation. */
static bool explain(unsigned done, model m)
{
    uint64_t first_end = UINT64_MAX;
    if (done == (1u << ALL) - 1)
        return true;
    for (unsigned i = 0; i < ALL; i++) {
        if (!(done >> i & 1) && history[i].end < first_end)
            first_end = history[i].end;
    }
    for (unsigned i = 0; i < ALL; i++) {
        model next = m;
        if (!(done >> i & 1) && history[i].start < first_end && apply(&next, &history[i]) &&
            explain(done | 1u << i, next))
            return true;
    }
    return false;
}

static void show_history(void)
{
    static const char *names[] = {"put",    "put-short",  "get",      "get-late",
                                  "remove", "sweep-late", "put-other"};
    for (unsigned i = 0; i < ALL; i++)
        fprintf(stderr, "thread %u: %-10s version %u answer %d from %llu to %llu\n", i / OPERATIONS,
                names[history[i].what], history[i].version, history[i].answer,
                (unsigned long long)history[i].start, (unsigned long long)history[i].end);
}

static void *run_thread(void *argument)
{
    unsigned thread = *(unsigned *)argument, at = 0;
    for (;;) {
        while (fw_load_seq_cst(&round_number) == at)
            sched_yield();
        at = fw_load_seq_cst(&round_number);
        if (at == UINT32_MAX)
            return NULL;
        yielding = (at * 7 + thread) * UINT64_C(0x9e3779b97f4a7c15) | 1;
        for (unsigned i = 0; i < OPERATIONS; i++)
            perform(&history[thread * OPERATIONS + i]);
        yielding = 0;
        fw_add_seq_cst(&finished, 1);
    }
}

static void draw_history(uint64_t *random, bool one_entry)
{
    for (unsigned i = 0; i < ALL; i++) {
        kind what = next_random(random) % (one_entry ? KINDS : PUT_OTHER);
        history[i] = (operation){.what = what, .version = i + 1};
    }
}

static void run_histories(size_t entries_max, bool one_entry, double seconds)
{
    pthread_t threads[THREADS];
    unsigned numbers[THREADS];
    uint64_t random = seed_of_run();
    cache = cache_of(entries_max, 1);
    fw_store_seq_cst(&round_number, 0);
    for (unsigned i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, run_thread, &numbers[i]), 0);
    }
    clock_t begun = clock();
    unsigned histories = 0, overlapping = 0;
    while ((double)(clock() - begun) < seconds * CLOCKS_PER_SEC) {
        number++;
        while (fw_cache_sweep(cache, in_history(EARLY)) > 0)
            continue;
        draw_history(&random, one_entry);
        fw_store_seq_cst(&finished, 0);
        fw_store_seq_cst(&round_number, ++histories);
        while (fw_load_seq_cst(&finished) < THREADS)
            sched_yield();
        for (unsigned i = 0; i < ALL; i++)
            overlapping += history[i].end > history[i].start + 1;
        if (!explain(0, (model){UNKNOWN, 0})) {
            show_history();
            fail_msg("history %u has no order that explains it", histories);
        }
    }
    fw_store_seq_cst(&round_number, UINT32_MAX);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    fprintf(stderr, "%u histories, %u operations overlapped others\n", histories, overlapping);
    assert_true(histories > 50);
    assert_true(overlapping > histories);
    fw_cache_destroy(cache);
}

static void answers_have_an_order(void **state)
{
    (void)state;
    run_histories(1000, false, stress_seconds(1.5));
}

static void answers_have_an_order_under_eviction(void **state)
{
    (void)state;
    run_histories(1, true, stress_seconds(1.5));
}

/* The checker itself: histories that no order explains. */
static void wrong_answers_are_found(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ALL; i++)
        history[i] = (operation){GET, 0, FW_CACHE_UNKNOWN, i * 2, i * 2 + 1};
    assert_true(explain(0, (model){UNKNOWN, 0}));
    history[3] = (operation){PUT, 9, 0, 6, 7};
    assert_false(explain(0, (model){UNKNOWN, 0}));
    for (unsigned i = 4; i < ALL; i++)
        history[i] = (operation){GET, 9, FW_CACHE_FOUND, i * 2, i * 2 + 1};
    assert_true(explain(0, (model){UNKNOWN, 0}));
    history[8].answer = FW_CACHE_EXPIRED;
    assert_false(explain(0, (model){UNKNOWN, 0}));
    /* A remove that overlaps may have come first; then nothing is found after it. */
    history[7] = (operation){REMOVE, 0, true, 14, 17};
    assert_false(explain(0, (model){UNKNOWN, 0}));
    for (unsigned i = 8; i < ALL; i++)
        history[i].answer = FW_CACHE_EXPIRED;
    assert_true(explain(0, (model){UNKNOWN, 0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_answers_are_found),
        cmocka_unit_test(answers_have_an_order),
        cmocka_unit_test(answers_have_an_order_under_eviction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
