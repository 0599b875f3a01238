/* frame_pipe_test.c - net/frame_pipe.c: frames between control plane and subworker, whole, cut off
 * and damaged. SPDX-License-Identifier: Apache-2.0 */
#include "net/frame_pipe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static fw_span span(const char *text)
{
    return (fw_span){text, strlen(text)};
}

static const fw_reply_to from = {.connection = 9};
static const fw_key some_key = {0x0123456789ab4def, 0x8123456789abcdef};

static uint64_t random_state = 88172645463325252u;
static uint64_t random64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

static void assert_span(fw_span got, fw_span wanted)
{
    assert_int_equal(got.len, wanted.len);
    if (wanted.len > 0)
        assert_memory_equal(got.ptr, wanted.ptr, wanted.len);
}

static void assert_bytes(const unsigned char *got, size_t len, const unsigned char *wanted,
                         size_t wanted_len)
{
    assert_int_equal(len, wanted_len);
    assert_memory_equal(got, wanted, len);
}

/* What docs/PROTOCOL.md says. */
static void the_documented_bytes_are_written(void **state)
{
    (void)state;
    unsigned char data[512];
    fw_frame_writer writer;
    fw_assignment task = {.lease = 7,
                          .attempt = 2,
                          .task = {.key = some_key,
                                   .name = span("add"),
                                   .args = span("[5, 3]"),
                                   .level = FW_NORMAL,
                                   .timeout_ns = 9}};
    fw_frame_begin(&writer, data, sizeof data, FW_FRAME_TASKS, 0);
    assert_true(fw_frame_add_task(&writer, &task));
    static const unsigned char tasks[] = {
        0xf7, 1,    5,    0,    1,    0,    0,    0,    7,    0,    0,    0,    0,
        0,    0,    0,    9,    0,    0,    0,    0,    0,    0,    0,    2,    0,
        0,    0,    6,    0,    3,    0,    6,    0,    0,    0,    1,    0x23, 0x45,
        0x67, 0x89, 0xab, 0x4d, 0xef, 0x81, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
        'a',  'd',  'd',  '[',  '5',  ',',  ' ',  '3',  ']'};
    assert_bytes(data, fw_frame_end(&writer), tasks, sizeof tasks);

    fw_order order = {.kind = FW_ORDER_RECALL, .lease = 7, .id = span("j")};
    fw_frame_begin(&writer, data, sizeof data, FW_FRAME_ORDERS, 0);
    assert_true(fw_frame_add_order(&writer, &order));
    static const unsigned char orders[] = {0xf7, 1, 6, 0, 1, 0, 0, 0, 2, 1,  0,
                                           0,    7, 0, 0, 0, 0, 0, 0, 0, 'j'};
    assert_bytes(data, fw_frame_end(&writer), orders, sizeof orders);

    fw_result_view view = {.status = FW_FAILURE,
                           .result = span("8"),
                           .error = span("why"),
                           .started_wall_ns = 1,
                           .finished_wall_ns = 4};
    fw_frame_begin(&writer, data, sizeof data, FW_FRAME_RESULTS, 0);
    assert_true(fw_frame_add_lease_result(&writer, 7, &view));
    assert_true(fw_frame_add_return(&writer, 8, FW_REFUSED_RECALLED));
    static const unsigned char results[] = {
        0xf7, 1, 0x82, 0, 2,   0,   0,   0,   7, 0, 0, 0, 0, 0, 0, 0, 1, 0x16, 0, 0, 1, 0, 0, 0,
        1,    0, 0,    0, 0,   0,   0,   0,   4, 0, 0, 0, 0, 0, 0, 0, 3, 0,    0, 0, 0, 0, 0, 0,
        3,    0, 0,    0, '8', 'w', 'h', 'y', 8, 0, 0, 0, 0, 0, 0, 0, 2, 4,    0, 0, 0, 0, 0, 0};
    assert_bytes(data, fw_frame_end(&writer), results, sizeof results);

    static const unsigned char drain[] = {0xf7, 1, 7, 1, 0, 0, 0, 0};
    assert_bytes(data, fw_frame_write_drain(data, sizeof data, true), drain, sizeof drain);
    fw_beat beat = {.slots = 1, .running = 2, .queued = 3, .draining = true, .done = 4};
    static const unsigned char beats[] = {0xf7, 1, 0x83, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0,
                                          3,    0, 0,    0, 1, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0};
    assert_bytes(data, fw_frame_write_beat(data, sizeof data, &beat), beats, sizeof beats);
    assert_int_equal(fw_frame_write_beat(data, sizeof beats - 1, &beat), 0);
    assert_int_equal(fw_frame_write_drain(data, sizeof drain - 1, true), 0);
}

static fw_frame open_frame(const unsigned char *data, size_t len, fw_frame_type type)
{
    fw_frame frame;
    assert_int_equal(fw_frame_open(&frame, (fw_span){(const char *)data, len}, &from), 0);
    assert_int_equal(frame.type, type);
    return frame;
}

static void tasks_survive(void **state)
{
    (void)state;
    unsigned char data[2048];
    fw_frame_writer writer;
    fw_scratch scratch = {0};
    fw_submission got;
    fw_assignment a = {.lease = UINT64_MAX - 1,
                       .attempt = 3,
                       .task = {.key = some_key,
                                .name = span("add"),
                                .args = span("[1]"),
                                .level = FW_CRITICAL,
                                .timeout_ns = 5 * FW_NS_PER_S,
                                .eta_wall_ns = 8, /* these three are not sent */
                                .max_retries = 4,
                                .callback = span("{}")}};
    fw_assignment b = a;
    b.lease = 2;
    b.attempt = 0;
    b.task.key = fw_key_from_text(span("job-7"));
    b.task.id = span("job-7");
    b.task.kwargs = span("{\"a\":1}");
    b.task.timeout_ns = 0;
    b.task.isolate = true;
    fw_frame_begin(&writer, data, sizeof data, FW_FRAME_TASKS, 0);
    size_t before = writer.len;
    assert_true(fw_frame_add_task(&writer, &a));
    assert_int_equal(writer.len - before, fw_frame_task_size(&a));
    before = writer.len;
    assert_true(fw_frame_add_task(&writer, &b));
    assert_int_equal(writer.len - before, fw_frame_task_size(&b));
    fw_frame frame = open_frame(data, fw_frame_end(&writer), FW_FRAME_TASKS);
    assert_int_equal(fw_frame_next_task(&frame, &got, &scratch), 1);
    assert_true(fw_reply_lease(&got.reply) == a.lease && got.reply.connection == 9);
    assert_int_equal(got.reply.form, FW_REPLY_LEASE);
    assert_true(fw_key_equal(got.key, some_key) && got.id.len == 0);
    assert_span(got.name, a.task.name);
    assert_span(got.args, a.task.args);
    assert_span(got.kwargs, span("{}"));
    assert_int_equal(got.level, FW_CRITICAL);
    assert_true(got.timeout_ns == 5 * FW_NS_PER_S && got.retry_count == 2 && !got.isolate);
    assert_true(got.max_retries == 0 && got.eta_wall_ns == 0 && got.callback.len == 0);
    assert_false(got.accept_only);
    assert_int_equal(fw_frame_next_task(&frame, &got, &scratch), 1);
    assert_true(fw_reply_lease(&got.reply) == 2 && fw_key_equal(got.key, b.task.key));
    assert_span(got.id, b.task.id);
    assert_span(got.kwargs, b.task.kwargs);
    assert_true(got.timeout_ns == 0 && got.retry_count == 0 && got.isolate);
    assert_int_equal(fw_frame_next_task(&frame, &got, &scratch), 0);
    fw_scratch_fini(&scratch);
}

/* A task that is whole but wrong has a lease all the same: it can be returned. */
static void wrong_tasks_can_be_returned(void **state)
{
    (void)state;
    unsigned char data[2048];
    fw_frame_writer writer;
    fw_scratch scratch = {0};
    fw_submission got;
    fw_assignment a = {.task = {.key = some_key, .name = span("add"), .args = span("{}")}};
    fw_frame_begin(&writer, data, sizeof data, FW_FRAME_TASKS, 0);
    a.lease = 1;
    assert_true(fw_frame_add_task(&writer, &a));
    a.task.args = span("[]");
    a.lease = 2;
    a.task.key = (fw_key){0, 0};
    assert_true(fw_frame_add_task(&writer, &a));
    a.lease = 3;
    a.task.key = some_key;
    size_t third = writer.len;
    assert_true(fw_frame_add_task(&writer, &a));
    data[third + 15] = 0x80; /* the limit is negative */
    a.lease = 4;
    assert_true(fw_frame_add_task(&writer, &a));
    fw_frame frame = open_frame(data, fw_frame_end(&writer), FW_FRAME_TASKS);
    for (uint64_t lease = 1; lease < 4; lease++) {
        assert_int_equal(fw_frame_next_task(&frame, &got, &scratch), -FW_EINVAL);
        assert_non_null(frame.error);
        assert_int_equal(got.reply.form, FW_REPLY_LEASE);
        assert_true(fw_reply_lease(&got.reply) == lease);
    }
    assert_int_equal(fw_frame_next_task(&frame, &got, &scratch), 1);
    assert_true(fw_reply_lease(&got.reply) == 4);
    fw_scratch_fini(&scratch);
}

static void orders_survive(void **state)
{
    (void)state;
    unsigned char data[1024];
    fw_frame_writer writer;
    fw_order got;
    fw_order sent[] = {{.kind = FW_ORDER_CANCEL, .lease = 5, .key = some_key},
                       {.kind = FW_ORDER_RECALL, .lease = UINT64_MAX, .id = span("job-7")}};
    sent[1].key = fw_key_from_text(sent[1].id);
    fw_frame_begin(&writer, data, sizeof data, FW_FRAME_ORDERS, 0);
    for (int i = 0; i < 2; i++)
        assert_true(fw_frame_add_order(&writer, &sent[i]));
    fw_frame frame = open_frame(data, fw_frame_end(&writer), FW_FRAME_ORDERS);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fw_frame_next_order(&frame, &got), 1);
        assert_true(got.kind == sent[i].kind && got.lease == sent[i].lease);
        assert_true(fw_key_equal(got.key, sent[i].key));
        assert_span(got.id, sent[i].id);
    }
    assert_int_equal(fw_frame_next_order(&frame, &got), 0);
    data[FW_FRAME_HEADER + 12 + 6] = 0xfd; /* not the version of a UUID */
    frame = open_frame(data, writer.len, FW_FRAME_ORDERS);
    assert_int_equal(fw_frame_next_order(&frame, &got), -FW_EINVAL);
    assert_int_equal(fw_frame_next_order(&frame, &got), 1);
}

static void results_survive(void **state)
{
    (void)state;
    unsigned char data[2048];
    fw_frame_writer writer;
    fw_lease_result got;
    fw_result_view sent[] = {
        {.status = FW_SUCCESS, .result = span("[1, 2]"), .started_wall_ns = 5},
        {.status = FW_FAILURE, .error = span(""), .started_wall_ns = 5, .finished_wall_ns = 11},
        {.status = FW_CANCELLED, .result = span("null"), .error = span("why"), .crashed = true}};
    static const fw_refusal reasons[] = {FW_REFUSED_FULL, FW_REFUSED_DRAINING,
                                         FW_REFUSED_UNKNOWN_NAME, FW_REFUSED_RECALLED,
                                         FW_REFUSED_MALFORMED};
    fw_frame_begin(&writer, data, sizeof data, FW_FRAME_RESULTS, 0);
    for (unsigned i = 0; i < 3; i++) {
        size_t before = writer.len;
        assert_true(fw_frame_add_lease_result(&writer, i, &sent[i]));
        assert_int_equal(writer.len - before, fw_frame_lease_result_size(&sent[i]));
    }
    for (unsigned i = 0; i < 5; i++)
        assert_true(fw_frame_add_return(&writer, 100 + i, reasons[i]));
    fw_frame frame = open_frame(data, fw_frame_end(&writer), FW_FRAME_RESULTS);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(fw_frame_next_result(&frame, &got), 1);
        assert_true(got.lease == i && !got.returned && got.view.status == sent[i].status);
        assert_span(got.view.result, sent[i].result);
        assert_span(got.view.error, sent[i].error);
        assert_int_equal(got.view.error.ptr != NULL, sent[i].error.ptr != NULL);
        assert_true(got.view.started_wall_ns == sent[i].started_wall_ns);
        assert_true(got.view.finished_wall_ns == sent[i].finished_wall_ns);
        assert_int_equal(got.accounted, i == 1);
        assert_int_equal(got.view.crashed, i == 2);
        assert_int_equal(got.ran_ns, i == 1 ? 6 : 0);
    }
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(fw_frame_next_result(&frame, &got), 1);
        assert_true(got.returned && got.lease == 100 + i && got.why == reasons[i]);
    }
    assert_int_equal(fw_frame_next_result(&frame, &got), 0);
}

static void a_full_writer_changes_nothing(void **state)
{
    (void)state;
    unsigned char data[64];
    fw_frame_writer writer;
    fw_assignment task = {.task = {.key = some_key, .name = span("add"), .args = span("[1]")}};
    fw_order order = {.kind = FW_ORDER_CANCEL, .id = span("job-of-a-long-name-that-fills-it")};
    fw_result_view view = {.status = FW_SUCCESS, .result = span("12345678901234567")};
    fw_frame_begin(&writer, data, FW_FRAME_HEADER + 49, FW_FRAME_TASKS, 0);
    assert_false(fw_frame_add_task(&writer, &task));
    fw_frame_begin(&writer, data, FW_FRAME_HEADER + 43, FW_FRAME_ORDERS, 0);
    assert_false(fw_frame_add_order(&writer, &order));
    fw_frame_begin(&writer, data, FW_FRAME_HEADER + 56, FW_FRAME_RESULTS, 0);
    assert_false(fw_frame_add_lease_result(&writer, 1, &view));
    assert_true(writer.len == FW_FRAME_HEADER && writer.count == 0);
    assert_true(fw_frame_add_return(&writer, 1, FW_REFUSED_FULL));
    fw_frame_begin(&writer, data, FW_FRAME_HEADER + 15, FW_FRAME_RESULTS, 0);
    assert_false(fw_frame_add_return(&writer, 1, FW_REFUSED_FULL));
}

static void hellos_tell_who_speaks(void **state)
{
    (void)state;
    unsigned char data[256];
    fw_hello got, sent = {.software = span("test"),
                          .worker = span("sw1"),
                          .epoch = span("now"),
                          .expects = span("then"),
                          .token = span("t")};
    size_t len = fw_frame_write_hello(data, sizeof data, &sent);
    fw_frame frame = open_frame(data, len, FW_FRAME_HELLO);
    assert_int_equal(fw_frame_read_hello(&got, fw_frame_hello(&frame)), 0);
    assert_span(got.worker, sent.worker);
    assert_span(got.epoch, sent.epoch);
    assert_span(got.expects, sent.expects);
    assert_span(got.token, sent.token);
    assert_int_equal(fw_frame_write_hello(data, len - 1, &sent), 0);
}

/* ---- Damage ---- */

enum { SAMPLES = 5 };

/* One frame of each type, with everything in it. */
static size_t sample(unsigned char *data, size_t capacity, int which)
{
    fw_frame_writer writer;
    fw_assignment task = {.lease = 1,
                          .attempt = 1,
                          .task = {.key = some_key,
                                   .name = span("add"),
                                   .args = span("[1]"),
                                   .kwargs = span("{\"a\":1}"),
                                   .timeout_ns = 5}};
    fw_order order = {.kind = FW_ORDER_CANCEL, .lease = 1, .key = some_key};
    fw_result_view view = {.status = FW_FAILURE, .result = span("null"), .error = span("why")};
    fw_beat beat = {.slots = 4, .done = 9};
    switch (which) {
    case 0:
        fw_frame_begin(&writer, data, capacity, FW_FRAME_TASKS, 0);
        assert_true(fw_frame_add_task(&writer, &task));
        task.task.key = (fw_key){0, 0};
        task.task.id = span("job-7");
        assert_true(fw_frame_add_task(&writer, &task));
        return fw_frame_end(&writer);
    case 1:
        fw_frame_begin(&writer, data, capacity, FW_FRAME_ORDERS, 0);
        assert_true(fw_frame_add_order(&writer, &order));
        order.key = (fw_key){0, 0};
        order.id = span("job-7");
        assert_true(fw_frame_add_order(&writer, &order));
        return fw_frame_end(&writer);
    case 2:
        fw_frame_begin(&writer, data, capacity, FW_FRAME_RESULTS, 0);
        assert_true(fw_frame_add_lease_result(&writer, 1, &view));
        assert_true(fw_frame_add_return(&writer, 2, FW_REFUSED_FULL));
        return fw_frame_end(&writer);
    case 3:
        return fw_frame_write_drain(data, capacity, true);
    default:
        return fw_frame_write_beat(data, capacity, &beat);
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
    assert_true(good ? frame.error == NULL : frame.error != NULL && frame.count > 0);
    uint32_t steps = 0;
    for (int step = 1; frame.error == NULL && step != 0;) {
        fw_submission task;
        fw_order order;
        fw_lease_result result;
        step = 0;
        if (frame.type == FW_FRAME_TASKS)
            step = fw_frame_next_task(&frame, &task, &scratch);
        else if (frame.type == FW_FRAME_ORDERS)
            step = fw_frame_next_order(&frame, &order);
        else if (frame.type == FW_FRAME_RESULTS)
            step = fw_frame_next_result(&frame, &result);
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
    for (int which = 0; which < SAMPLES; which++) {
        size_t len = sample(data, sizeof data, which);
        assert_true(read_copy(data, len));
        for (size_t cut = 0; cut < len; cut++)
            assert_false(read_copy(data, cut));
        data[len] = 0;
        assert_false(read_copy(data, len + 1));
    }
}

static void no_damage_crashes(void **state)
{
    (void)state;
    unsigned char data[1024], bad[1024];
    for (int which = 0; which < SAMPLES; which++) {
        size_t len = sample(data, sizeof data, which);
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
                bad[random64() % len] = (unsigned char)random64();
            read_copy(bad, len);
        }
    }
}

static void numbers_are_strict(void **state)
{
    (void)state;
    unsigned char data[1024];
    static const struct {
        int which, at, value, err;
    } cases[] = {{0, 4, 0, -FW_EPROTO},     {0, 5, 5, -FW_EBIG},       {0, 3, 1, -FW_EPROTO},
                 {0, 28, 0xff, -FW_EPROTO}, {1, 8, 0, -FW_EPROTO},     {1, 8, 3, -FW_EPROTO},
                 {0, 26, 2, -FW_EPROTO},    {1, 10, 1, -FW_EPROTO},    {2, 16, 0, -FW_EPROTO},
                 {2, 16, 3, -FW_EPROTO},    {2, 17, 0x80, -FW_EPROTO}, {2, 17, 0x0f, -FW_EPROTO},
                 {2, 18, 2, -FW_EPROTO},    {2, 4, 1, -FW_EPROTO},     {3, 3, 2, -FW_EPROTO},
                 {3, 4, 1, -FW_EPROTO},     {4, 4, 1, -FW_EPROTO},     {4, 3, 1, -FW_EPROTO}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fw_frame frame;
        size_t len = sample(data, sizeof data, cases[i].which);
        data[cases[i].at] = (unsigned char)cases[i].value;
        assert_int_equal(fw_frame_open(&frame, (fw_span){(char *)data, len}, &from), cases[i].err);
        assert_non_null(frame.error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_documented_bytes_are_written),
        cmocka_unit_test(tasks_survive),
        cmocka_unit_test(wrong_tasks_can_be_returned),
        cmocka_unit_test(orders_survive),
        cmocka_unit_test(results_survive),
        cmocka_unit_test(a_full_writer_changes_nothing),
        cmocka_unit_test(hellos_tell_who_speaks),
        cmocka_unit_test(every_truncation_is_an_error),
        cmocka_unit_test(no_damage_crashes),
        cmocka_unit_test(numbers_are_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
