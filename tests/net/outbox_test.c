/* outbox_test.c - net/outbox.c: nothing lost, nothing twice, one sender; letters as in
 * net/outbox.h. SPDX-License-Identifier: Apache-2.0 */
#include "net/outbox.h"

#include "base/rcu.h"
#include "peers.h"

static fw_parcels parcels;

static int set_up(void **state)
{
    (void)state;
    return fw_parcels_init(&parcels);
}

static int tear_down(void **state)
{
    (void)state;
    fw_parcels_fini(&parcels);
    return 0;
}

static fw_parcel *parcel_of(uint64_t value)
{
    fw_parcel *parcel = fw_parcel_create(&parcels, sizeof value);
    assert_non_null(parcel);
    memcpy(parcel->bytes, &value, sizeof value);
    parcel->len = sizeof value;
    return parcel;
}

static uint64_t value_of(const fw_parcel *parcel)
{
    uint64_t value;
    memcpy(&value, parcel->bytes, sizeof value);
    return value;
}

static void the_first_post_makes_a_sender_and_the_last_look_ends_it(void **state)
{
    (void)state;
    fw_outbox box;
    fw_outbox_init(&box);
    for (int round = 0; round < 3; round++) {
        assert_true(fw_outbox_post(&box, parcel_of(1)));
        assert_false(fw_outbox_post(&box, parcel_of(2)));
        fw_parcel *first = fw_outbox_collect(&box);
        assert_false(fw_outbox_post(&box, parcel_of(3)));
        assert_int_equal(value_of(first), 1);
        assert_int_equal(value_of(first->next), 2);
        assert_null(first->next->next);
        fw_parcel *third = fw_outbox_collect(&box);
        assert_int_equal(value_of(third), 3);
        assert_null(third->next);
        assert_null(fw_outbox_collect(&box));
        fw_parcel_destroy(first->next);
        fw_parcel_destroy(first);
        fw_parcel_destroy(third);
    }
    fw_outbox_fini(&box);
}

static void what_is_left_is_freed(void **state)
{
    (void)state;
    fw_outbox box;
    fw_outbox_init(&box);
    fw_outbox_post(&box, parcel_of(1));
    fw_outbox_post(&box, parcel_of(2));
    fw_outbox_fini(&box);
    fw_outbox_init(&box);
    fw_outbox_post(&box, parcel_of(1));
    fw_parcel_destroy(fw_outbox_collect(&box));
    fw_outbox_fini(&box); /* busy */
}

static void parcels_come_in_three_sizes(void **state)
{
    (void)state;
    size_t sizes[] = {
        1, FW_PARCEL_SMALL, FW_PARCEL_SMALL + 1, FW_PARCEL_LARGE, FW_PARCEL_LARGE + 1, 1000000};
    size_t got[] = {FW_PARCEL_SMALL, FW_PARCEL_SMALL,     FW_PARCEL_LARGE,
                    FW_PARCEL_LARGE, FW_PARCEL_LARGE + 1, 1000000};
    for (size_t i = 0; i < 6; i++) {
        fw_parcel *parcel = fw_parcel_create(&parcels, sizes[i]);
        assert_int_equal(parcel->capacity, got[i]);
        memset(parcel->bytes, 0x5a, parcel->capacity);
        fw_parcel_destroy(parcel);
    }
}

/* ---- Many posters; whoever becomes the sender sends ---- */

enum { POSTERS = 4 };

typedef struct stress {
    fw_outbox box;
    uint64_t per_poster;
    fw_atomic(uint32_t) senders; /* now */
    uint64_t next[POSTERS];      /* the sender's */
    uint64_t taken;              /* the sender's */
    bool wrong;                  /* the sender's */
} stress;

typedef struct poster {
    stress *all;
    uint64_t number;
    pthread_t thread;
} poster;

static void send_all(stress *s)
{
    /* Relaxed: TSan judges whether the sender's own fields are handed on. */
    if (fw_add_relaxed(&s->senders, 1) != 0)
        s->wrong = true;
    for (;;) {
        fw_sub_relaxed(&s->senders, 1);
        fw_parcel *parcel = fw_outbox_collect(&s->box);
        if (!parcel)
            return;
        if (fw_add_relaxed(&s->senders, 1) != 0)
            s->wrong = true;
        while (parcel) {
            fw_parcel *next = parcel->next;
            uint64_t value = value_of(parcel);
            if (s->next[value >> 56]++ != (value & 0xffffffff))
                s->wrong = true;
            s->taken++;
            fw_parcel_destroy(parcel);
            parcel = next;
        }
    }
}

static void *post_many(void *argument)
{
    poster *p = argument;
    for (uint64_t i = 0; i < p->all->per_poster; i++)
        if (fw_outbox_post(&p->all->box, parcel_of(p->number << 56 | i)))
            send_all(p->all);
    return NULL;
}

static void posters_and_senders_lose_nothing_and_keep_order(void **state)
{
    (void)state;
    static stress s;
    const char *seconds = getenv("FW_STRESS_SECONDS");
    s.per_poster = 20000 * (seconds ? strtoull(seconds, NULL, 10) + 1 : 1);
    fw_outbox_init(&s.box);
    poster posters[POSTERS];
    for (uint64_t i = 0; i < POSTERS; i++) {
        posters[i] = (poster){.all = &s, .number = i};
        assert_int_equal(pthread_create(&posters[i].thread, NULL, post_many, &posters[i]), 0);
    }
    for (int i = 0; i < POSTERS; i++)
        pthread_join(posters[i].thread, NULL);
    assert_false(s.wrong);
    assert_int_equal(s.taken, POSTERS * s.per_poster);
    fw_outbox_fini(&s.box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_post_makes_a_sender_and_the_last_look_ends_it),
        cmocka_unit_test(what_is_left_is_freed),
        cmocka_unit_test(parcels_come_in_three_sizes),
        cmocka_unit_test(posters_and_senders_lose_nothing_and_keep_order),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
