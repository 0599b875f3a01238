/* The parker: claims, cancels, the searcher's word, and sleepers against notifiers (P1 to P5). */
#include "engine/parker.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/barrier.h"

static fw_parker *parker_of(unsigned threads)
{
    fw_parker *parker = NULL;
    assert_int_equal(posix_memalign((void **)&parker, FW_APART, sizeof(*parker)), 0);
    memset(parker, 0, sizeof(*parker));
    assert_int_equal(fw_parker_init(parker, threads), 0);
    return parker;
}

static void drop(fw_parker *parker)
{
    fw_parker_fini(parker);
    free(parker);
}

static void the_lowest_sleeper_is_claimed_and_counts_as_searching(void **state)
{
    (void)state;
    fw_parker *parker = parker_of(100);
    fw_parker_notify(parker); /* nobody: nothing happens */
    assert_int_equal(fw_parker_searching(parker), 0);
    const unsigned sleepers[] = {70, 99, 3};
    for (unsigned i = 0; i < 3; i++)
        fw_parker_announce(parker, sleepers[i]);
    assert_true(fw_parker_has_sleepers(parker));
    assert_int_equal(fw_parker_sleepers(parker), 3);
    fw_parker_notify(parker);
    assert_false(fw_parker_is_asleep(parker, 3));
    assert_int_equal(fw_parker_searching(parker), 1);
    fw_parker_notify(parker); /* somebody searches: nobody is woken */
    assert_int_equal(fw_parker_sleepers(parker), 2);
    fw_parker_sleep(parker, 3); /* returns at once */
    assert_true(fw_parker_search_end(parker));
    fw_parker_notify(parker);
    assert_false(fw_parker_is_asleep(parker, 70));
    assert_true(fw_parker_is_asleep(parker, 99));
    fw_parker_sleep(parker, 70);
    fw_parker_search_begin(parker);
    assert_false(fw_parker_search_end(parker)); /* not the last */
    assert_true(fw_parker_search_end(parker));
    fw_parker_cancel(parker, 99);
    assert_int_equal(fw_parker_sleepers(parker), 0);
    assert_int_equal(fw_parker_searching(parker), 1);
    drop(parker);
}

static void a_cancel_after_a_claim_inherits_the_search(void **state)
{
    (void)state;
    fw_parker *parker = parker_of(2);
    fw_parker_announce(parker, 1);
    fw_parker_notify(parker);
    fw_parker_cancel(parker, 1);
    assert_int_equal(fw_parker_searching(parker), 1);
    assert_true(fw_parker_search_end(parker));
    fw_parker_announce(parker, 0);
    fw_parker_announce(parker, 1);
    fw_parker_notify_all(parker);
    assert_int_equal(fw_parker_sleepers(parker), 0);
    assert_int_equal(fw_parker_searching(parker), 2);
    fw_parker_sleep(parker, 0);
    fw_parker_sleep(parker, 1);
    drop(parker);
}

enum { SLEEPERS = 3, NOTIFIERS = 2 };

/* Work is a number of tickets: published by adding, taken by subtracting. */
typedef struct stress {
    fw_parker *parker;
    fw_atomic(int64_t) tickets;
    fw_atomic(int64_t) taken;
    int64_t per_notifier;
    fw_atomic(bool) over;
} stress;

typedef struct role {
    stress *shared;
    unsigned index;
} role;

static bool take_ticket(stress *shared)
{
    /* [test-ticket] seq_cst: published before the notifier's look for sleepers. */
    int64_t tickets = fw_load_seq_cst(&shared->tickets);
    /* [test-ticket] seq_cst: as above. */
    while (tickets > 0)
        if (fw_cas_seq_cst(&shared->tickets, &tickets, tickets - 1))
            return true;
    return false;
}

static void *sleeper(void *argument)
{
    role *me = argument;
    stress *shared = me->shared;
    bool searching = false;
    for (;;) {
        if (!searching)
            fw_parker_search_begin(shared->parker);
        bool found = take_ticket(shared);
        bool last = fw_parker_search_end(shared->parker);
        searching = false;
        if (found) {
            /* [test-ticket] seq_cst: after the end of the search. */
            if (last && fw_load_seq_cst(&shared->tickets) > 0)
                fw_parker_notify(shared->parker);
            /* Relaxed: a count. */
            fw_add_relaxed(&shared->taken, 1);
            continue;
        }
        fw_parker_announce(shared->parker, me->index);
        /* [test-ticket] seq_cst: after the announcement; both. */
        bool over = fw_load_seq_cst(&shared->over);
        if (over || fw_load_seq_cst(&shared->tickets) > 0)
            fw_parker_cancel(shared->parker, me->index);
        else
            fw_parker_sleep(shared->parker, me->index);
        searching = true;
        /* [test-ticket] seq_cst: as above. */
        if (over && fw_load_seq_cst(&shared->tickets) == 0)
            break;
    }
    fw_parker_search_end(shared->parker);
    return NULL;
}

static void *notifier(void *argument)
{
    stress *shared = ((role *)argument)->shared;
    for (int64_t i = 0; i < shared->per_notifier; i++) {
        /* [test-ticket] seq_cst: before the look for sleepers. */
        fw_add_seq_cst(&shared->tickets, 1);
        fw_parker_notify(shared->parker);
        /* [test-ticket] seq_cst: only a wait; a lost wake-up hangs here. */
        while (i % 4 == 3 && fw_load_seq_cst(&shared->tickets) > 0)
            sched_yield();
    }
    return NULL;
}

static void no_ticket_stays_behind(void **state)
{
    (void)state;
    const char *seconds = getenv("FW_STRESS_SECONDS");
    stress shared = {.parker = parker_of(SLEEPERS)};
    shared.per_notifier = seconds != NULL ? 20000 * strtol(seconds, NULL, 10) : 20000;
    fw_barrier_register();
    pthread_t threads[SLEEPERS + NOTIFIERS];
    role roles[SLEEPERS + NOTIFIERS];
    for (unsigned i = 0; i < SLEEPERS + NOTIFIERS; i++) {
        roles[i] = (role){&shared, i};
        pthread_create(&threads[i], NULL, i < SLEEPERS ? sleeper : notifier, &roles[i]);
    }
    for (unsigned i = SLEEPERS; i < SLEEPERS + NOTIFIERS; i++)
        pthread_join(threads[i], NULL);
    /* [test-ticket] seq_cst: before the look for sleepers. */
    fw_store_seq_cst(&shared.over, true);
    fw_parker_notify_all(shared.parker);
    for (unsigned i = 0; i < SLEEPERS; i++)
        pthread_join(threads[i], NULL);
    /* Relaxed: after the joins. */
    assert_int_equal(fw_load_relaxed(&shared.taken), NOTIFIERS * shared.per_notifier);
    assert_int_equal(fw_parker_searching(shared.parker), 0);
    assert_int_equal(fw_parker_sleepers(shared.parker), 0);
    drop(shared.parker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lowest_sleeper_is_claimed_and_counts_as_searching),
        cmocka_unit_test(a_cancel_after_a_claim_inherits_the_search),
        cmocka_unit_test(no_ticket_stays_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
