/* net/client_frames.c: gathering, answering, giving up and sending again. SPDX-License-Identifier:
 * Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/client_frames.h"

static void nobody(void *user, int err, const fw_result *r)
{
    (void)user;
    (void)err;
    (void)r;
}
static const fw_taker taker = {.fn = nobody};

static fw_submission task(uint64_t number)
{
    /* A key that looks like a version 4 UUID. */
    return (fw_submission){.key = {number << 16 | 0x4000, UINT64_C(0x8000000000000000) | number},
                           .name = {"echo", 4},
                           .args = {"[1, 2]", 6},
                           .kwargs = {"{}", 2},
                           .level = FW_NORMAL};
}

/* Everything that is to be written next counts as written. */
static size_t write_all(fw_frames *frames)
{
    struct iovec parts[64];
    size_t total = 0;
    int count;
    while ((count = fw_frames_parts(frames, parts, 64)) > 0) {
        size_t bytes = 0;
        for (int i = 0; i < count; i++)
            bytes += parts[i].iov_len;
        fw_frames_wrote(frames, bytes);
        total += bytes;
    }
    return total;
}

static void submit(fw_frames *frames, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++) {
        fw_submission item = task(i);
        assert_int_equal(fw_frames_submit(frames, &item, true, &taker), 0);
    }
}

static void answer(fw_frames *frames, fw_outgoing *frame, uint32_t item)
{
    fw_taker got;
    char *id;
    assert_true(fw_frames_take(frame, item, &got, &id));
    assert_ptr_equal(got.fn, nobody);
    free(id);
    fw_frames_settle(frames, frame);
}

static void gathers_until_full(void **state)
{
    (void)state;
    fw_frames frames;
    assert_int_equal(fw_frames_init(&frames, 4096), 0);
    submit(&frames, 0, 1000);
    /* 256 tasks a frame: three are full, one is open. */
    assert_int_equal(frames.closed, 3);
    assert_non_null(frames.open);
    fw_frames_close(&frames);
    assert_int_equal(frames.closed, 4);
    assert_int_equal(frames.newest->writer.count, 1000 - 3 * 256);
    assert_true(write_all(&frames) > 1000 * 30);
    assert_null(frames.unsent);
    /* Answered in any order; the frame goes with its last one. */
    fw_outgoing *frame = frames.oldest;
    uint32_t request = frame->request;
    for (uint32_t i = 256; i-- > 0;) {
        assert_ptr_equal(fw_frames_find(&frames, request), frame);
        answer(&frames, frame, i);
    }
    assert_null(fw_frames_find(&frames, request));
    assert_int_equal(frames.closed, 3);
    fw_frames_fini(&frames);
}

static void answers_an_item_once(void **state)
{
    (void)state;
    fw_frames frames;
    fw_taker got;
    char *id;
    assert_int_equal(fw_frames_init(&frames, 16), 0);
    submit(&frames, 0, 2);
    fw_frames_close(&frames);
    write_all(&frames);
    assert_true(fw_frames_take(frames.oldest, 1, &got, &id));
    assert_false(fw_frames_take(frames.oldest, 1, &got, &id));
    fw_frames_fini(&frames);
}

static void large_tasks_travel_alone(void **state)
{
    (void)state;
    fw_frames frames;
    char *args = malloc(100000);
    memset(args, ' ', 100000);
    assert_int_equal(fw_frames_init(&frames, 16), 0);
    submit(&frames, 0, 1);
    fw_submission large = task(1);
    large.args = (fw_span){args, 100000};
    assert_int_equal(fw_frames_submit(&frames, &large, true, &taker), 0);
    submit(&frames, 2, 3);
    fw_frames_close(&frames);
    assert_int_equal(frames.closed, 3);
    assert_int_equal(frames.oldest->newer->writer.count, 1);
    assert_true(write_all(&frames) > 100000);
    free(args);
    fw_frames_fini(&frames);
}

static void sends_again_only_what_is_unanswered(void **state)
{
    (void)state;
    fw_frames frames;
    fw_frame read;
    fw_submission item;
    fw_scratch scratch = {.first = NULL};
    const fw_reply_to reply = {.request = 0};
    assert_int_equal(fw_frames_init(&frames, 64), 0);
    submit(&frames, 0, 10);
    fw_frames_close(&frames);
    submit(&frames, 10, 20);
    fw_frames_close(&frames);
    write_all(&frames);
    uint32_t before = frames.oldest->request;
    for (uint32_t i = 0; i < 10; i += 2)
        answer(&frames, frames.oldest, i);
    fw_frames_rewind(&frames);
    assert_null(fw_frames_find(&frames, before));
    assert_ptr_equal(frames.unsent, frames.oldest);
    fw_outgoing *frame = frames.oldest;
    assert_int_equal(frame->waiting, 5);
    const fw_span body = {(const char *)frame->writer.data, frame->writer.len};
    assert_int_equal(fw_frame_open(&read, body, &reply), 0);
    assert_int_equal(read.count, 5);
    for (uint64_t i = 1; fw_frame_next_submission(&read, &item, &scratch) == 1; i += 2) {
        assert_true(fw_key_equal(item.key, task(i).key));
        assert_memory_equal(item.args.ptr, "[1, 2]", 6);
    }
    assert_int_equal(frame->newer->waiting, 10);
    write_all(&frames);
    answer(&frames, frame, 4);
    fw_scratch_fini(&scratch);
    fw_frames_fini(&frames);
}

static void given_up_requests_do_not_leave(void **state)
{
    (void)state;
    fw_frames frames;
    fw_waiter waiter = {.left = 1};
    const fw_taker waits = {.waiter = &waiter};
    fw_submission item = task(1);
    assert_int_equal(fw_frames_init(&frames, 4), 0);
    /* Many more than there are places, without a connection. */
    for (int i = 0; i < 100; i++) {
        size_t dropped = 0;
        assert_int_equal(fw_frames_submit(&frames, &item, true, &waits), 0);
        fw_frames_close(&frames);
        fw_frames_abandon(&frames, &waiter, &dropped);
        assert_int_equal(dropped, 1);
        assert_int_equal(frames.closed, 0);
    }
    /* Half written, it has to go on; the rest of it is nobody's. */
    size_t dropped = 0;
    assert_int_equal(fw_frames_submit(&frames, &item, true, &waits), 0);
    fw_frames_close(&frames);
    fw_frames_wrote(&frames, 7);
    fw_frames_abandon(&frames, &waiter, &dropped);
    assert_int_equal(frames.closed, 1);
    assert_true(write_all(&frames) > 0);
    assert_int_equal(frames.closed, 0);
    fw_frames_fini(&frames);
}

static void batches_have_a_frame_of_their_own(void **state)
{
    (void)state;
    fw_frames frames;
    static fw_submission items[FW_FRAME_ITEMS_MAX + 1];
    for (uint64_t i = 0; i <= FW_FRAME_ITEMS_MAX; i++)
        items[i] = task(i);
    assert_int_equal(fw_frames_init(&frames, 4096), 0);
    submit(&frames, 0, 1);
    assert_int_equal(fw_frames_submit_all(&frames, items, FW_FRAME_ITEMS_MAX, &taker), 0);
    assert_int_equal(frames.closed, 2);
    assert_int_equal(frames.newest->waiting, FW_FRAME_ITEMS_MAX);
    assert_int_equal(fw_frames_submit_all(&frames, items, FW_FRAME_ITEMS_MAX + 1, &taker),
                     -FW_EBIG);
    assert_int_equal(fw_frames_submit_all(&frames, items, 0, &taker), -FW_EBIG);
    fw_frames_fini(&frames);
}

static void keeps_text_ids(void **state)
{
    (void)state;
    fw_frames frames;
    fw_taker got;
    char *id;
    const fw_query query = {
        .kind = FW_QUERY_GET, .key = fw_key_from_text((fw_span){"mine", 4}), .id = {"mine", 4}};
    assert_int_equal(fw_frames_init(&frames, 4), 0);
    assert_int_equal(fw_frames_query(&frames, &query, &taker), 0);
    fw_frames_close(&frames);
    assert_true(fw_frames_take(frames.oldest, 0, &got, &id));
    assert_string_equal(id, "mine");
    free(id);
    fw_frames_fini(&frames);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gathers_until_full),
        cmocka_unit_test(answers_an_item_once),
        cmocka_unit_test(large_tasks_travel_alone),
        cmocka_unit_test(sends_again_only_what_is_unanswered),
        cmocka_unit_test(given_up_requests_do_not_leave),
        cmocka_unit_test(batches_have_a_frame_of_their_own),
        cmocka_unit_test(keeps_text_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
