/* tests/app/event_ring_test.c - the ring of events under several writers, and what its reader makes
 * of it. Covers app/events/event_ring.c and app/events/events.c; the rest is in events_test.py.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/events/event_ring.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "app/events/events.h"
#include "base/json.h"

enum { WRITERS = 4, EACH = 50000 };

static fw_span text_of(const char *text)
{
    return (fw_span){text, strlen(text)};
}

static void one_lap_and_no_more(void **state)
{
    (void)state;
    fw_event_ring ring;
    assert_int_equal(fw_event_ring_init(&ring), 0);
    assert_null(fw_event_ring_peek(&ring));
    for (unsigned lap = 0; lap < 3; lap++) {
        for (uint32_t i = 0; i < FW_EVENT_PLACES; i++) {
            fw_event_record *record = fw_event_ring_claim(&ring);
            assert_non_null(record);
            record->attempt = i;
            fw_event_ring_push(record);
        }
        assert_null(fw_event_ring_claim(&ring));
        for (uint32_t i = 0; i < FW_EVENT_PLACES; i++) {
            const fw_event_record *record = fw_event_ring_peek(&ring);
            assert_non_null(record);
            assert_int_equal(record->attempt, i);
            fw_event_ring_pop(&ring);
        }
        assert_null(fw_event_ring_peek(&ring));
    }
    assert_int_equal(fw_load_relaxed(&ring.dropped), 3);
    fw_event_ring_fini(&ring);
}

static void a_claim_that_is_not_pushed_holds_up_the_reader(void **state)
{
    (void)state;
    fw_event_ring ring;
    assert_int_equal(fw_event_ring_init(&ring), 0);
    fw_event_record *first = fw_event_ring_claim(&ring);
    fw_event_record *second = fw_event_ring_claim(&ring);
    fw_event_ring_push(second);
    assert_null(fw_event_ring_peek(&ring));
    fw_event_ring_push(first);
    assert_ptr_equal(fw_event_ring_peek(&ring), first);
    fw_event_ring_fini(&ring);
}

typedef struct writer {
    fw_event_ring *ring;
    uint64_t number;
    uint32_t pushed;
    pthread_t thread;
} writer;

static void *write_many(void *argument)
{
    writer *w = argument;
    for (uint32_t i = 1; i <= EACH; i++) {
        fw_event_record *record = fw_event_ring_claim(w->ring);
        if (!record)
            continue;
        record->key = (fw_key){w->number, i};
        memset(record->text, (int)(i & 0xff), sizeof record->text);
        fw_event_ring_push(record);
        w->pushed++;
    }
    return NULL;
}

/* Every record is whole, each writer's come in order, and what is not there was dropped. */
static void several_writers(void **state)
{
    (void)state;
    fw_event_ring ring;
    writer writers[WRITERS];
    uint64_t last[WRITERS] = {0}, read = 0, pushed = 0;
    assert_int_equal(fw_event_ring_init(&ring), 0);
    for (uint64_t i = 0; i < WRITERS; i++) {
        writers[i] = (writer){.ring = &ring, .number = i};
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_many, &writers[i]), 0);
    }
    for (;;) {
        const fw_event_record *record = fw_event_ring_peek(&ring);
        /* Relaxed: counts; the last records are taken below. */
        if (read + fw_load_relaxed(&ring.dropped) == (uint64_t)WRITERS * EACH)
            break;
        if (!record)
            continue;
        assert_true(record->key.high < WRITERS);
        assert_true(record->key.low > last[record->key.high]);
        last[record->key.high] = record->key.low;
        for (size_t at = 0; at < sizeof record->text; at += 117)
            assert_int_equal((unsigned char)record->text[at], record->key.low & 0xff);
        fw_event_ring_pop(&ring);
        read++;
    }
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(writers[i].thread, NULL);
        pushed += writers[i].pushed;
    }
    assert_int_equal(read, pushed);
    fw_event_ring_fini(&ring);
}

/* --- the room --- */

typedef struct heard {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t count, dropped;
    char last[2048];
} heard;

static void hear(void *context, const char *name, uint64_t number, fw_span json)
{
    heard *h = context;
    int64_t count = 0, id = 0;
    fw_json object = fw_json_parse(json);
    assert_int_equal(object.type, FW_JSON_OBJECT);
    assert_true(fw_json_int(fw_json_get(object, "id"), &id));
    assert_int_equal(id, number);
    pthread_mutex_lock(&h->lock);
    if (strcmp(name, "events.dropped") == 0) {
        assert_true(fw_json_int(fw_json_get(object, "count"), &count));
        h->dropped += (size_t)count;
    } else {
        h->count++;
        snprintf(h->last, sizeof h->last, "%.*s", (int)json.len, json.ptr);
    }
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
}

static void wait_for(heard *h, size_t count)
{
    pthread_mutex_lock(&h->lock);
    while (h->count + h->dropped < count)
        pthread_cond_wait(&h->changed, &h->lock);
    pthread_mutex_unlock(&h->lock);
}

static void begin(heard *h, fw_events **events, fw_atomic(unsigned) * listeners)
{
    *h = (heard){.count = 0};
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->changed, NULL);
    assert_int_equal(fw_events_start(events, listeners, "here"), 0);
    fw_events_add_sink(*events, hear, h);
}

static void json_of_an_event(void **state)
{
    (void)state;
    heard h;
    fw_events *events;
    fw_atomic(unsigned) listeners = 0;
    char long_error[600];
    memset(long_error, 'x', sizeof long_error);
    begin(&h, &events, &listeners);
    fw_events_listen(events, 1);
    fw_event event = {.kind = FW_EVENT_RETRIED,
                      .is_task = true,
                      .has_level = true,
                      .level = FW_LOW,
                      .attempt = 2,
                      .id = text_of("a\"b"),
                      .task = text_of("tidy"),
                      .worker = text_of("w1"),
                      .error = {long_error, sizeof long_error},
                      .more = text_of("\"delay_s\": 1.5"),
                      .dur_ns = 1500000};
    fw_events_post(events, &event);
    wait_for(&h, 1);
    fw_json json = fw_json_parse(text_of(h.last));
    fw_span got;
    char buffer[512];
    assert_true(fw_json_string(fw_json_get(json, "error"), buffer, sizeof buffer, &got));
    assert_int_equal(got.len, 256);
    assert_true(fw_json_string(fw_json_get(json, "task_id"), buffer, sizeof buffer, &got));
    assert_memory_equal(got.ptr, "a\"b", 3);
    assert_non_null(strstr(h.last, "\"task\": \"tidy\", \"priority\": \"low\", \"attempt\": 2, "
                                   "\"worker\": \"w1\", \"dur_ms\": 1.500, "));
    assert_non_null(strstr(h.last, ", \"delay_s\": 1.5}"));
    fw_events_listen(events, -1);
    assert_int_equal(fw_load_relaxed(&listeners), 0);
    fw_events_stop(events);
    fw_events_destroy(events);
}

/* Nobody wakes the thread, so the ring fills: what is lost is told as a number. */
static void drops_are_told(void **state)
{
    (void)state;
    heard h;
    fw_events *events;
    fw_events_stats stats;
    fw_atomic(unsigned) listeners = 0;
    begin(&h, &events, &listeners);
    fw_event event = {.kind = FW_EVENT_WORKER_JOINED, .worker = text_of("w"), .dur_ns = -1};
    for (int i = 0; i < FW_EVENT_PLACES + 100; i++)
        fw_events_post(events, &event);
    fw_store_relaxed(&listeners, 1);
    /* The thread may not sleep yet; then it needs no waking. */
    fw_events_turn(events);
    fw_events_stop(events);
    assert_int_equal(h.count, FW_EVENT_PLACES);
    assert_int_equal(h.dropped, 100);
    fw_events_snapshot(events, &stats);
    assert_int_equal(stats.dropped, 100);
    assert_int_equal(stats.told, FW_EVENT_PLACES + 1);
    fw_events_destroy(events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_lap_and_no_more),
        cmocka_unit_test(a_claim_that_is_not_pushed_holds_up_the_reader),
        cmocka_unit_test(several_writers),
        cmocka_unit_test(json_of_an_event),
        cmocka_unit_test(drops_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
