/* frame_damage_test.c - frames that are cut off, damaged, or wrong (net/frame_read.c,
 * net/frame_answer.c). SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "net/frame.h"

static fw_span span(const char *text)
{
    return (fw_span){text, strlen(text)};
}

static const fw_reply_to from = {.connection = 9, .request = 0x12345678, .detour = 3};
static const fw_key some_key = {0x0123456789ab4def, 0x8123456789abcdef};

static uint64_t random_state = 88172645463325252u;
static uint64_t random64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

/* One frame of each type, with everything in it. */
static size_t sample(unsigned char *data, size_t capacity, int which)
{
    fw_frame_writer writer;
    fw_submission task = {.key = some_key,
                          .name = span("add"),
                          .args = span("[1]"),
                          .kwargs = span("{\"a\":1}"),
                          .eta_wall_ns = 1,
                          .timeout_ns = 2,
                          .max_retries = 3,
                          .callback = span("{\"address\":\"tcp://h:1\"}")};
    fw_query query = {.kind = FW_QUERY_WAIT, .id = span("job-7"), .wait_ns = 5};
    fw_result_view result = {.status = FW_FAILURE, .result = span("null"), .error = span("why")};
    fw_hello hello = {.software = span("test"), .token = span("t")};
    switch (which) {
    case 0:
        fw_frame_begin(&writer, data, capacity, FW_FRAME_SUBMIT, FW_FRAME_ALL_OR_NONE);
        assert_true(fw_frame_add_submission(&writer, &task));
        task.key = (fw_key){0, 0};
        task.id = span("job-7");
        assert_true(fw_frame_add_submission(&writer, &task));
        return fw_frame_end(&writer);
    case 1:
        fw_frame_begin(&writer, data, capacity, FW_FRAME_QUERY, 0);
        assert_true(fw_frame_add_query(&writer, &query));
        query.key = some_key;
        assert_true(fw_frame_add_query(&writer, &query));
        return fw_frame_end(&writer);
    case 2:
        fw_frame_begin(&writer, data, capacity, FW_FRAME_ANSWER, 0);
        assert_true(fw_frame_add_accepted(&writer, 1, 0, FW_QUEUED, &some_key));
        assert_true(fw_frame_add_refused(&writer, 1, 1, 2, FW_EFULL, "full"));
        assert_true(fw_frame_add_result(&writer, 1, 0, &result));
        assert_true(fw_frame_add_pong(&writer, 2, span("tick")));
        assert_true(fw_frame_add_hello(&writer, 3, &hello));
        return fw_frame_end(&writer);
    default:
        return fw_frame_write_hello(data, capacity, &hello);
    }
}

/* Reads a copy without a byte to spare, all the way. Whether every part of it was taken. */
static bool read_copy(const unsigned char *data, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, data, len);
    fw_frame frame;
    fw_scratch scratch = {0};
    bool good = fw_frame_open(&frame, (fw_span){copy, len}, &from) == 0;
    uint32_t steps = 0;
    int step = 1;
    fw_submission task;
    fw_query query;
    fw_record record;
    fw_hello hello;
    assert_true(good ? frame.error == NULL : frame.error != NULL && frame.count > 0);
    while (frame.error == NULL && step != 0) {
        step = 0;
        if (frame.type == FW_FRAME_SUBMIT)
            step = fw_frame_next_submission(&frame, &task, &scratch);
        else if (frame.type == FW_FRAME_QUERY)
            step = fw_frame_next_query(&frame, &query);
        else if (frame.type == FW_FRAME_ANSWER)
            step = fw_frame_next_record(&frame, &record);
        else if (frame.type == FW_FRAME_HELLO)
            good = fw_frame_read_hello(&hello, fw_frame_hello(&frame)) == 0;
        good = good && step >= 0;
        assert_true(steps++ <= frame.count);
    }
    fw_scratch_fini(&scratch);
    free(copy);
    return good;
}

static void every_truncation_is_an_error(void **state)
{
    (void)state;
    unsigned char data[1024];
    for (int which = 0; which < 4; which++) {
        size_t len = sample(data, sizeof(data), which);
        assert_true(read_copy(data, len));
        /* A hello may end after any of its extras. */
        for (size_t cut = 0; cut < (which == 3 ? FW_FRAME_HEADER : len); cut++)
            assert_false(read_copy(data, cut));
        for (size_t cut = FW_FRAME_HEADER; cut < len; cut++)
            read_copy(data, cut);
        data[len] = 0;
        assert_false(read_copy(data, len + 1));
    }
}

static void no_damage_crashes(void **state)
{
    (void)state;
    unsigned char data[1024], bad[1024];
    for (int which = 0; which < 4; which++) {
        size_t len = sample(data, sizeof(data), which);
        for (size_t at = 0; at < len; at++) {
            memcpy(bad, data, len);
            for (int value = 0; value < 256; value++) {
                bad[at] = (unsigned char)value;
                read_copy(bad, len);
            }
        }
        for (int round = 0; round < 20000; round++) {
            memcpy(bad, data, len);
            for (int i = 0; i < 3; i++)
                bad[FW_FRAME_HEADER + random64() % (len - FW_FRAME_HEADER)] =
                    (unsigned char)random64();
            read_copy(bad, len);
        }
    }
}

static void headers_are_strict(void **state)
{
    (void)state;
    unsigned char data[1024];
    static const struct {
        int at, value, err;
    } cases[] = {{0, 0xf6, -FW_EPROTO}, {1, 2, -FW_EPROTO}, {1, 0, -FW_EPROTO},
                 {2, 9, -FW_EPROTO},    {3, 4, -FW_EPROTO}, {4, 0, -FW_EPROTO},
                 {4, 1, -FW_EPROTO},    {4, 3, -FW_EPROTO}, {5, 4, -FW_EBIG},
                 {8, 0xff, -FW_EPROTO}, {9, 1, -FW_EPROTO}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fw_frame frame;
        size_t len = sample(data, sizeof(data), 0);
        data[cases[i].at] = (unsigned char)cases[i].value;
        assert_int_equal(fw_frame_open(&frame, (fw_span){(char *)data, len}, &from), cases[i].err);
        assert_non_null(frame.error);
        assert_int_equal(frame.reply.form, FW_REPLY_FRAME);
        assert_int_equal(frame.reply.request, from.request);
    }
    assert_true(fw_frame_is(span("\xf7")));
    assert_false(fw_frame_is(span("")));
    assert_false(fw_frame_is(span("{}")));
}

/* An item that is whole but wrong costs itself only. */
static void wrong_items_are_refused_one_by_one(void **state)
{
    (void)state;
    unsigned char data[4096];
    fw_submission good = {.key = some_key, .name = span("add"), .args = span("[]")}, bad[6], got;
    for (int i = 0; i < 6; i++)
        bad[i] = good;
    bad[0].args = span("{}");
    bad[1].kwargs = span("[1]");
    bad[2].timeout_ns = -5;
    bad[3].callback = span("{\"address\": 5}");
    bad[4].max_retries = -1;
    bad[5].args = span("[");
    fw_frame_writer writer;
    fw_frame_begin(&writer, data, sizeof(data), FW_FRAME_SUBMIT, 0);
    for (int i = 0; i < 6; i++) {
        assert_true(fw_frame_add_submission(&writer, &bad[i]));
        assert_true(fw_frame_add_submission(&writer, &good));
    }
    fw_frame frame;
    fw_scratch scratch = {0};
    assert_int_equal(fw_frame_open(&frame, (fw_span){(char *)data, fw_frame_end(&writer)}, &from),
                     0);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(fw_frame_next_submission(&frame, &got, &scratch), -FW_EINVAL);
        assert_non_null(frame.error);
        assert_int_equal(got.reply.item, 2 * i);
        assert_int_equal(fw_frame_next_submission(&frame, &got, &scratch), 1);
        assert_int_equal(got.reply.item, 2 * i + 1);
    }
    assert_int_equal(fw_frame_next_submission(&frame, &got, &scratch), 0);

    /* A key that no text leads to, and an extra that must be understood or may be ignored. */
    fw_frame_begin(&writer, data, sizeof(data), FW_FRAME_SUBMIT, 0);
    good.timeout_ns = 1;
    assert_true(fw_frame_add_submission(&writer, &good));
    fw_span message = {(char *)data, fw_frame_end(&writer)};
    size_t tag = message.len - 12;
    assert_int_equal(data[tag], 3);
    data[tag] = 0x7f;
    assert_int_equal(fw_frame_open(&frame, message, &from), 0);
    assert_int_equal(fw_frame_next_submission(&frame, &got, &scratch), -FW_EINVAL);
    data[tag] = 0x80;
    assert_int_equal(fw_frame_open(&frame, message, &from), 0);
    assert_int_equal(fw_frame_next_submission(&frame, &got, &scratch), 1);
    assert_true(got.timeout_ns == 0);
    data[FW_FRAME_HEADER + 8 + 6] = 0xfd;
    assert_int_equal(fw_frame_open(&frame, message, &from), 0);
    assert_int_equal(fw_frame_next_submission(&frame, &got, &scratch), -FW_EINVAL);
    fw_scratch_fini(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_truncation_is_an_error),
        cmocka_unit_test(no_damage_crashes),
        cmocka_unit_test(headers_are_strict),
        cmocka_unit_test(wrong_items_are_refused_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
