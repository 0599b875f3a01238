/* events_feed_test.c - events from many threads to frames: order, bounds, coalescing, what is kept.
 * SPDX-License-Identifier: Apache-2.0 */
#include "web/events_feed.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ALL = FW_EVENT_OTHER | FW_EVENT_STATS };

static fw_event_feed *begin(void)
{
    fw_event_feed *feed = fw_event_feed_create(1000);
    assert_non_null(feed);
    fw_event_feed_want(feed, ALL);
    return feed;
}

static bool post(fw_event_feed *feed, const char *name, const char *json)
{
    return fw_event_feed_post(feed, name, (fw_span){json, strlen(json)});
}

/* One turn; the frames of all kinds as text, which the caller frees. */
static char *turn(fw_event_feed *feed, int64_t now_ms, unsigned listeners)
{
    fw_buffer frames[FW_EVENT_KINDS] = {{0}};
    fw_event_feed_turn(feed, now_ms, listeners, frames);
    fw_buffer_add(&frames[ALL], "", 1);
    char *text = strdup(frames[ALL].data);
    for (int i = 0; i < FW_EVENT_KINDS; i++)
        fw_buffer_fini(&frames[i]);
    return text;
}

static unsigned count(const char *text, const char *word)
{
    unsigned n = 0;
    while ((text = strstr(text, word)) != NULL) {
        text += strlen(word);
        n++;
    }
    return n;
}

static void frames_have_id_name_and_data(void **state)
{
    (void)state;
    fw_event_feed *feed = begin();
    assert_true(post(feed, "task.queued", "{\"n\": 1}"));
    assert_true(post(feed, "task.started", "{\"n\":\n2}"));
    char *text = turn(feed, 1000, 1);
    assert_string_equal(text, "id: 1000\nevent: task.queued\ndata: {\"n\": 1}\n\n"
                              "id: 1001\nevent: task.started\ndata: {\"n\": 2}\n\n");
    free(text);
    assert_int_equal(fw_event_feed_last_id(feed), 1001);
    text = turn(feed, 1050, 1);
    assert_string_equal(text, "");
    free(text);
    fw_event_feed_destroy(feed);
}

static void nobody_there_means_nothing_is_taken(void **state)
{
    (void)state;
    fw_event_feed *feed = begin();
    fw_event_feed_want(feed, FW_EVENT_STATS);
    assert_true(fw_event_feed_is_wanted(feed, ALL));
    assert_false(fw_event_feed_is_wanted(feed, FW_EVENT_OTHER));
    fw_event_feed_want(feed, 0);
    assert_false(fw_event_feed_is_wanted(feed, ALL));
    assert_false(post(feed, "x", "{}"));
    fw_event_stats stats;
    fw_event_feed_snapshot(feed, &stats);
    assert_int_equal(stats.posted + stats.dropped, 0);
    fw_event_feed_destroy(feed);
}

static void figures_are_a_kind_of_their_own(void **state)
{
    (void)state;
    fw_event_feed *feed = begin();
    fw_buffer frames[FW_EVENT_KINDS] = {{0}};
    post(feed, "stats", "{}");
    post(feed, "task.queued", "{}");
    fw_event_feed_turn(feed, 1000, 1, frames);
    for (int i = 1; i < FW_EVENT_KINDS; i++) {
        fw_buffer_add(&frames[i], "", 1);
        assert_int_equal(count(frames[i].data, "event: stats"), (i & FW_EVENT_STATS) != 0);
        assert_int_equal(count(frames[i].data, "event: task"), (i & FW_EVENT_OTHER) != 0);
        fw_buffer_fini(&frames[i]);
    }
    fw_buffer since = {0};
    assert_true(fw_event_feed_since(feed, 999, FW_EVENT_OTHER, &since));
    fw_buffer_add(&since, "", 1);
    assert_string_equal(since.data, "id: 1001\nevent: task.queued\ndata: {}\n\n");
    fw_buffer_fini(&since);
    fw_event_feed_destroy(feed);
}

/* coalesce-note: with many listeners one frame a tenth of a second for each name, and no event
 * without a trace. */
static void many_of_a_name_become_one(void **state)
{
    (void)state;
    fw_event_feed *feed = begin();
    char json[64];
    for (int i = 0; i < 100; i++) {
        snprintf(json, sizeof json, "{\"n\": %d}", i);
        assert_true(post(feed, "task.success", json));
    }
    post(feed, "task.failure", "{\"rare\": 1}");
    char *text = turn(feed, 1000, 1000);
    assert_int_equal(count(text, "event: task.success"), 1);
    assert_non_null(strstr(text, "{\"n\": 0}"));
    assert_non_null(strstr(text, "{\"rare\": 1}"));
    free(text);
    text = turn(feed, 1050, 1000);
    assert_string_equal(text, "");
    free(text);
    text = turn(feed, 1100, 1000);
    assert_int_equal(count(text, "event: task.success"), 1);
    assert_non_null(strstr(text, "data: {\"coalesced\": 99, \"n\": 99}\n\n"));
    free(text);
    fw_event_stats stats;
    fw_event_feed_snapshot(feed, &stats);
    assert_int_equal(stats.coalesced, 98);
    /* Few listeners get them singly. */
    for (int i = 0; i < 20; i++)
        post(feed, "task.queued", "{}");
    text = turn(feed, 1300, 1);
    assert_int_equal(count(text, "event: task.queued"), 20);
    free(text);
    fw_event_feed_destroy(feed);
}

static void what_was_missed_is_told_as_far_as_it_is_kept(void **state)
{
    (void)state;
    fw_event_feed *feed = begin();
    int64_t now_ms = 0;
    for (int i = 0; i < FW_EVENTS_KEPT + 10; i++) {
        post(feed, "task.queued", "{}");
        free(turn(feed, now_ms += 200, 1));
    }
    fw_buffer since = {0};
    assert_int_equal(fw_event_feed_last_id(feed), 1000 + FW_EVENTS_KEPT + 9);
    assert_true(fw_event_feed_since(feed, 1000 + FW_EVENTS_KEPT + 7, ALL, &since));
    fw_buffer_add(&since, "", 1);
    assert_int_equal(count(since.data, "event:"), 2);
    since.len = 0;
    assert_true(fw_event_feed_since(feed, 1009, ALL, &since));
    fw_buffer_add(&since, "", 1);
    assert_int_equal(count(since.data, "event:"), FW_EVENTS_KEPT);
    since.len = 0;
    assert_false(fw_event_feed_since(feed, 1008, ALL, &since));
    since.len = 0;
    /* An id of another run, or of nobody. */
    assert_true(fw_event_feed_since(feed, UINT64_MAX / 2, ALL, &since));
    assert_int_equal(since.len, 0);
    fw_buffer_fini(&since);
    fw_event_feed_destroy(feed);
}

static void too_much_is_dropped_and_counted(void **state)
{
    (void)state;
    fw_event_feed *feed = begin();
    static char large[FW_EVENT_BYTES_MAX + 1];
    unsigned taken = 0, posted = 5000;
    fw_event_stats stats;
    assert_false(fw_event_feed_post(feed, "x", (fw_span){large, sizeof large}));
    for (unsigned i = 0; i < posted; i++)
        taken += post(feed, "task.queued", "{}");
    assert_in_range(taken, 1, posted - 1);
    free(turn(feed, 1000, 1));
    post(feed, "task.queued", "{}");
    fw_event_feed_snapshot(feed, &stats);
    assert_int_equal(stats.posted, taken + 1);
    assert_int_equal(stats.dropped, posted - taken + 1);
    fw_event_feed_destroy(feed);
}

/* --- many threads --- */

enum { THREADS = 4, POSTS = 400 };

static void *post_many(void *argument)
{
    fw_event_feed *feed = argument;
    char json[64];
    for (int i = 0; i < POSTS; i++) {
        snprintf(json, sizeof json, "{\"i\": %d}", i);
        fw_event_feed_post(feed, "task.queued", (fw_span){json, strlen(json)});
    }
    return NULL;
}

static void threads_post_while_frames_are_made(void **state)
{
    (void)state;
    fw_event_feed *feed = begin();
    pthread_t threads[THREADS];
    uint64_t frames = 0;
    fw_event_stats stats;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, feed), 0);
    int64_t now_ms = 0;
    for (int i = 0; i < 50; i++) {
        char *text = turn(feed, now_ms += 200, 1);
        frames += count(text, "event:");
        free(text);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < 2; i++) {
        char *text = turn(feed, now_ms += 200, 1);
        frames += count(text, "event:");
        free(text);
    }
    fw_event_feed_snapshot(feed, &stats);
    assert_int_equal(frames + stats.coalesced, stats.posted);
    assert_int_equal(stats.posted, THREADS * POSTS);
    fw_event_feed_destroy(feed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_have_id_name_and_data),
        cmocka_unit_test(nobody_there_means_nothing_is_taken),
        cmocka_unit_test(figures_are_a_kind_of_their_own),
        cmocka_unit_test(many_of_a_name_become_one),
        cmocka_unit_test(what_was_missed_is_told_as_far_as_it_is_kept),
        cmocka_unit_test(too_much_is_dropped_and_counted),
        cmocka_unit_test(threads_post_while_frames_are_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
