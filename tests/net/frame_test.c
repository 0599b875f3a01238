/* frame_test.c - frames there and back, byte by byte; frame_damage_test.c has the rest
 * (net/frame_read.c, net/frame_answer.c, net/frame_write.c). SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "net/frame.h"

static fw_span span(const char *text)
{
    return (fw_span){text, strlen(text)};
}

static void assert_span(fw_span got, fw_span wanted)
{
    assert_int_equal(got.len, wanted.len);
    if (wanted.len > 0)
        assert_memory_equal(got.ptr, wanted.ptr, wanted.len);
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

static fw_span random_bytes(char *room, size_t most)
{
    size_t len = random64() % (most + 1);
    for (size_t i = 0; i < len; i++)
        room[i] = (char)random64();
    return (fw_span){room, len};
}

/* ---- What docs/PROTOCOL.md shows ---- */

static void the_documented_bytes_are_written(void **state)
{
    (void)state;
    unsigned char data[256];
    fw_frame_writer writer;
    fw_frame_begin(&writer, data, sizeof(data), FW_FRAME_SUBMIT, FW_FRAME_WANTS_RESULTS);
    fw_submission task = {
        .key = some_key, .name = span("add"), .args = span("[5, 3]"), .level = FW_NORMAL};
    assert_true(fw_frame_add_submission(&writer, &task));
    task = (fw_submission){.id = span("job-7"),
                           .name = span("add"),
                           .kwargs = span("{\"a\": 1}"),
                           .level = FW_HIGH,
                           .timeout_ns = 1000000000};
    assert_true(fw_frame_add_submission(&writer, &task));
    static const unsigned char submit[] = {
        0xf7, 1,    1,    1,    2,    0,    0,    0,    0x06, 0,    3,    0,    6,    0,    0,
        0,    0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0x4d, 0xef, 0x81, 0x23, 0x45, 0x67, 0x89, 0xab,
        0xcd, 0xef, 'a',  'd',  'd',  '[',  '5',  ',',  ' ',  '3',  ']',  0x19, 0,    3,    0,
        0,    0,    0,    0,    8,    0,    0,    0,    21,   0,    0,    0,    'a',  'd',  'd',
        '{',  '"',  'a',  '"',  ':',  ' ',  '1',  '}',  1,    5,    0,    0,    'j',  'o',  'b',
        '-',  '7',  3,    8,    0,    0,    0x00, 0xca, 0x9a, 0x3b, 0,    0,    0,    0,
    };
    assert_int_equal(fw_frame_end(&writer), sizeof(submit));
    assert_memory_equal(data, submit, sizeof(submit));

    fw_frame_begin(&writer, data, sizeof(data), FW_FRAME_ANSWER, 0);
    assert_true(fw_frame_add_accepted(&writer, 0x80000001, 0, FW_QUEUED, NULL));
    assert_true(fw_frame_add_accepted(&writer, 0x80000001, 1, FW_QUEUED, NULL));
    assert_true(fw_frame_add_refused(&writer, 0x80000002, 0, 1, FW_EFULL, "full"));
    fw_result_view result = {
        .status = FW_SUCCESS, .result = span("8"), .started_wall_ns = 1, .finished_wall_ns = 2};
    assert_true(fw_frame_add_result(&writer, 0x80000001, 1, &result));
    static const unsigned char answer[] = {
        0xf7, 1,    0x81, 0, 3, 0, 0, 0, 1, 0, 0,   0x80, 0,   0,   1, 1, 2, 0,    0, 0, 2,   0,
        0,    0x80, 0,    0, 2, 4, 1, 0, 4, 0, 'f', 'u',  'l', 'l', 1, 0, 0, 0x80, 1, 0, 3,   5,
        1,    0,    0,    0, 0, 0, 0, 0, 2, 0, 0,   0,    0,   0,   0, 0, 1, 0,    0, 0, '8',
    };
    assert_int_equal(fw_frame_end(&writer), sizeof(answer));
    assert_memory_equal(data, answer, sizeof(answer));

    fw_frame_begin(&writer, data, sizeof(data), FW_FRAME_QUERY, 0);
    fw_query query = {.kind = FW_QUERY_WAIT, .key = some_key, .wait_ns = 1500000001};
    assert_true(fw_frame_add_query(&writer, &query));
    query = (fw_query){.kind = FW_QUERY_CANCEL, .id = span("job-7")};
    assert_true(fw_frame_add_query(&writer, &query));
    static const unsigned char ask[] = {
        0xf7, 1,    2,    0,    2,    0,    0,    0,    2,    0,    0,    0,    0xdd, 5,    0,
        0,    0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0x4d, 0xef, 0x81, 0x23, 0x45, 0x67, 0x89, 0xab,
        0xcd, 0xef, 1,    5,    0,    0,    0,    0,    0,    0,    'j',  'o',  'b',  '-',  '7',
    };
    assert_int_equal(fw_frame_end(&writer), sizeof(ask));
    assert_memory_equal(data, ask, sizeof(ask));
}

/* ---- There and back ---- */

/* The texts of a submission made up by random_submission. */
typedef struct texts {
    char id[FW_ID_MAX], name[64], args[128], kwargs[64];
} texts;

static fw_span random_json(char *room, size_t most, char open, char close)
{
    fw_span inside = random_bytes(room + 1, most - 2);
    room[0] = open;
    room[inside.len + 1] = close;
    return (fw_span){room, inside.len + 2};
}

static fw_submission random_submission(texts *t)
{
    fw_submission s = {.args = span("[]"),
                       .kwargs = span("{}"),
                       .retry_delay_s = 60.0,
                       .retry_backoff = 2.0,
                       .retry_backoff_max_s = 3600.0};
    uint64_t dice = random64();
    s.name = random_bytes(t->name, sizeof(t->name));
    if (s.name.len == 0)
        s.name = span("n");
    s.level = dice & 3;
    if (dice & 0x10)
        s.key = fw_key_random();
    else if (dice & 0x20)
        s.id = random_bytes(t->id, sizeof(t->id));
    if (s.id.len > 0)
        s.key = fw_key_from_text(s.id);
    if (dice & 0x40)
        s.args = random_json(t->args, sizeof(t->args), '[', ']');
    if (dice & 0x80)
        s.kwargs = random_json(t->kwargs, sizeof(t->kwargs), '{', '}');
    if (dice & 0x100)
        s.callback = span("{\"address\": \"tcp://h:1\", \"data\": {\"k\": NaN}}");
    if (dice & 0x2000)
        s.options = span("{\"key\": \"k\"}");
    if (dice & 0x200)
        s.eta_wall_ns = (int64_t)(random64() >> 1);
    if (dice & 0x400)
        s.timeout_ns = (int64_t)(random64() >> 3);
    if (dice & 0x800)
        s.result_ttl_ns = (int64_t)(random64() >> 3);
    if (dice & 0x1000) {
        s.retry_count = (int32_t)(random64() >> 33);
        s.max_retries = 1 + (int32_t)(random64() >> 34);
        s.retry_delay_s = (double)(random64() >> 40) / 16;
        s.retry_backoff = 1.5;
        s.retry_backoff_max_s = 1e300;
    }
    return s;
}

static void assert_submission(const fw_submission *got, const fw_submission *sent)
{
    bool made_up = sent->key.high == 0 && sent->id.len == 0;
    if (made_up) {
        char text[FW_UUID_TEXT];
        fw_key_format(text, got->key);
        assert_span(got->id, (fw_span){text, sizeof(text)});
    } else {
        assert_true(fw_key_equal(got->key, sent->key));
        assert_span(got->id, sent->id);
    }
    assert_span(got->name, sent->name);
    assert_span(got->args, sent->args);
    assert_span(got->kwargs, sent->kwargs);
    assert_span(got->callback, sent->callback);
    assert_span(got->options, sent->options);
    assert_true(got->eta_wall_ns == sent->eta_wall_ns && got->timeout_ns == sent->timeout_ns);
    assert_true(got->result_ttl_ns == sent->result_ttl_ns && got->level == sent->level);
    assert_int_equal(got->retry_count, sent->retry_count);
    assert_int_equal(got->max_retries, sent->max_retries);
    assert_true(got->retry_delay_s == sent->retry_delay_s);
    assert_true(got->retry_backoff == sent->retry_backoff);
    assert_true(got->retry_backoff_max_s == sent->retry_backoff_max_s);
    assert_int_equal(got->reply.flags & FW_WANTS_ID, made_up ? FW_WANTS_ID : 0);
}

static void random_submissions_survive(void **state)
{
    (void)state;
    static texts room[50];
    static unsigned char data[64 * 1024];
    fw_submission sent[50], got;
    fw_scratch scratch = {0};
    for (int round = 0; round < 300; round++) {
        uint8_t flags = (uint8_t)(random64() & (FW_FRAME_WANTS_RESULTS | FW_FRAME_ALL_OR_NONE));
        uint32_t count = 1 + (uint32_t)(random64() % 50);
        fw_frame_writer writer;
        fw_frame_begin(&writer, data, sizeof(data), FW_FRAME_SUBMIT, flags);
        for (uint32_t i = 0; i < count; i++) {
            sent[i] = random_submission(&room[i]);
            size_t before = writer.len;
            assert_true(fw_frame_add_submission(&writer, &sent[i]));
            assert_int_equal(writer.len - before, fw_frame_submission_size(&sent[i]));
        }
        fw_frame frame;
        fw_span message = {(char *)data, fw_frame_end(&writer)};
        assert_int_equal(fw_frame_open(&frame, message, &from), 0);
        assert_int_equal(frame.count, count);
        assert_int_equal(frame.flags, flags);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(fw_frame_next_submission(&frame, &got, &scratch), 1);
            assert_submission(&got, &sent[i]);
            assert_int_equal(got.reply.item, i);
            assert_int_equal(got.reply.form, FW_REPLY_FRAME);
            assert_int_equal(got.reply.request, from.request);
            assert_true(got.reply.connection == from.connection && got.reply.detour == from.detour);
            assert_int_equal(got.accept_only, (flags & FW_FRAME_WANTS_RESULTS) == 0);
            assert_int_equal(got.reply.flags & FW_WANTS_RESULT,
                             got.accept_only ? 0 : FW_WANTS_RESULT);
        }
        assert_int_equal(fw_frame_next_submission(&frame, &got, &scratch), 0);
        fw_scratch_reset(&scratch);
    }
    fw_scratch_fini(&scratch);
}

static void queries_survive(void **state)
{
    (void)state;
    unsigned char data[4096];
    fw_frame_writer writer;
    fw_frame frame;
    fw_query got, sent[3] = {{.kind = FW_QUERY_GET, .key = some_key},
                             {.kind = FW_QUERY_CANCEL, .id = span("job-7")},
                             {.kind = FW_QUERY_WAIT, .key = some_key, .wait_ns = 25000000000}};
    sent[1].key = fw_key_from_text(sent[1].id);
    fw_frame_begin(&writer, data, sizeof(data), FW_FRAME_QUERY, 0);
    for (int i = 0; i < 3; i++)
        assert_true(fw_frame_add_query(&writer, &sent[i]));
    fw_span message = {(char *)data, fw_frame_end(&writer)};
    assert_int_equal(fw_frame_open(&frame, message, &from), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fw_frame_next_query(&frame, &got), 1);
        assert_int_equal(got.kind, sent[i].kind);
        assert_true(fw_key_equal(got.key, sent[i].key));
        assert_span(got.id, sent[i].id);
        assert_true(got.wait_ns == sent[i].wait_ns && got.native);
        assert_int_equal(got.reply.item, i);
    }
    assert_int_equal(fw_frame_next_query(&frame, &got), 0);
    data[FW_FRAME_HEADER] = 3;
    assert_int_equal(fw_frame_open(&frame, message, &from), 0);
    assert_int_equal(fw_frame_next_query(&frame, &got), -FW_EINVAL);
    assert_int_equal(fw_frame_next_query(&frame, &got), 1);
}

static void random_answers_survive(void **state)
{
    (void)state;
    static unsigned char data[64 * 1024];
    static char room[40][2][200];
    fw_result_view sent[40];
    for (int round = 0; round < 300; round++) {
        int count = 1 + (int)(random64() % 40);
        fw_frame_writer writer;
        fw_frame_begin(&writer, data, sizeof(data), FW_FRAME_ANSWER, 0);
        for (int i = 0; i < count; i++) {
            sent[i] = (fw_result_view){.status = random64() % FW_UNKNOWN,
                                       .started_wall_ns = (int64_t)random64(),
                                       .finished_wall_ns = (int64_t)random64()};
            sent[i].result = random_bytes(room[i][0], 200);
            if (random64() & 1)
                sent[i].error = random_bytes(room[i][1], 200);
            size_t before = writer.len;
            assert_true(fw_frame_add_result(&writer, (uint32_t)i, (uint16_t)(7 * i), &sent[i]));
            assert_int_equal(writer.len - before, fw_frame_result_size(&sent[i]));
        }
        fw_frame frame;
        fw_record got;
        assert_int_equal(
            fw_frame_open(&frame, (fw_span){(char *)data, fw_frame_end(&writer)}, NULL), 0);
        for (int i = 0; i < count; i++) {
            assert_int_equal(fw_frame_next_record(&frame, &got), 1);
            assert_int_equal(got.kind, FW_RECORD_RESULT);
            assert_true(got.request == (uint32_t)i && got.item == 7 * i && got.count == 1);
            assert_true(got.status == sent[i].status && got.result.status == sent[i].status);
            assert_true(got.result.started_wall_ns == sent[i].started_wall_ns);
            assert_true(got.result.finished_wall_ns == sent[i].finished_wall_ns);
            assert_span(got.result.result, sent[i].result);
            assert_span(got.result.error, sent[i].error);
            assert_int_equal(got.result.error.ptr == NULL, sent[i].error.ptr == NULL);
        }
        assert_int_equal(fw_frame_next_record(&frame, &got), 0);
    }
}

/* ---- Acknowledgements ---- */

static void a_thousand_acceptances_are_one_record(void **state)
{
    (void)state;
    unsigned char data[256];
    fw_frame_writer writer;
    fw_frame frame;
    fw_record got;
    fw_frame_begin(&writer, data, sizeof(data), FW_FRAME_ANSWER, 0);
    for (int i = 0; i < 1000; i++)
        assert_true(fw_frame_add_accepted(&writer, 5, (uint16_t)i, FW_QUEUED, NULL));
    for (int i = 1000; i < 1010; i++)
        assert_true(fw_frame_add_refused(&writer, 5, (uint16_t)i, 1, FW_EFULL, NULL));
    assert_true(fw_frame_add_refused(&writer, 5, 1010, 14, FW_EFULL, NULL));
    assert_int_equal(fw_frame_end(&writer), FW_FRAME_HEADER + 2 * 12);
    /* Another request, a hole, another state, a text: each starts a record of its own. */
    assert_true(fw_frame_add_accepted(&writer, 6, 0, FW_QUEUED, NULL));
    assert_true(fw_frame_add_accepted(&writer, 6, 2, FW_QUEUED, NULL));
    assert_true(fw_frame_add_accepted(&writer, 6, 3, FW_SCHEDULED, NULL));
    assert_true(fw_frame_add_refused(&writer, 6, 4, 1, FW_EINVAL, "args"));
    assert_true(fw_frame_add_refused(&writer, 6, 5, 1, FW_EINVAL, NULL));
    assert_int_equal(fw_frame_open(&frame, (fw_span){(char *)data, fw_frame_end(&writer)}, NULL),
                     0);
    static const struct {
        int kind, request, item, count, what;
    } wanted[] = {
        {FW_RECORD_ACCEPTED, 5, 0, 1000, FW_QUEUED}, {FW_RECORD_REFUSED, 5, 1000, 24, FW_EFULL},
        {FW_RECORD_ACCEPTED, 6, 0, 1, FW_QUEUED},    {FW_RECORD_ACCEPTED, 6, 2, 1, FW_QUEUED},
        {FW_RECORD_ACCEPTED, 6, 3, 1, FW_SCHEDULED}, {FW_RECORD_REFUSED, 6, 4, 1, FW_EINVAL},
        {FW_RECORD_REFUSED, 6, 5, 1, FW_EINVAL}};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        assert_int_equal(fw_frame_next_record(&frame, &got), 1);
        assert_int_equal(got.kind, wanted[i].kind);
        assert_int_equal(got.request, wanted[i].request);
        assert_int_equal(got.item, wanted[i].item);
        assert_int_equal(got.count, wanted[i].count);
        assert_int_equal(got.kind == FW_RECORD_REFUSED ? got.err : (int)got.status, wanted[i].what);
        assert_int_equal(got.text.len, i == 5 ? 4 : 0);
    }
    assert_int_equal(fw_frame_next_record(&frame, &got), 0);
}

static void made_up_ids_are_told(void **state)
{
    (void)state;
    unsigned char data[256];
    fw_key ids[3] = {some_key, {0, 0}, fw_key_random()};
    fw_frame_writer writer;
    fw_frame frame;
    fw_record got;
    fw_frame_begin(&writer, data, sizeof(data), FW_FRAME_ANSWER, 0);
    assert_true(fw_frame_add_accepted(&writer, 5, 0, FW_QUEUED, &ids[0]));
    assert_true(fw_frame_add_accepted(&writer, 5, 1, FW_QUEUED, &ids[2]));
    assert_true(fw_frame_add_accepted(&writer, 5, 2, FW_QUEUED, NULL));
    assert_true(fw_frame_add_accepted_run(&writer, 6, 0, 3, FW_QUEUED, ids));
    assert_int_equal(fw_frame_open(&frame, (fw_span){(char *)data, fw_frame_end(&writer)}, NULL),
                     0);
    assert_int_equal(fw_frame_next_record(&frame, &got), 1);
    assert_int_equal(got.count, 2);
    assert_memory_equal(got.ids, "\x01\x23\x45\x67\x89\xab\x4d\xef\x81\x23\x45\x67\x89\xab\xcd\xef",
                        16);
    assert_int_equal(fw_frame_next_record(&frame, &got), 1);
    assert_true(got.count == 1 && got.ids == NULL);
    assert_int_equal(fw_frame_next_record(&frame, &got), 1);
    static const unsigned char zero[16] = {0};
    assert_memory_equal(got.ids + 16, zero, 16);
    assert_int_equal(fw_frame_next_record(&frame, &got), 0);
}

static void a_full_writer_changes_nothing(void **state)
{
    (void)state;
    unsigned char data[FW_FRAME_HEADER + 40], larger[200];
    fw_frame_writer writer;
    fw_frame_begin(&writer, data, sizeof(data), FW_FRAME_ANSWER, 0);
    fw_result_view result = {.status = FW_SUCCESS, .result = span("\"twelve bytes\"")};
    assert_false(fw_frame_add_result(&writer, 1, 0, &result));
    result.result = span("123456789abc");
    assert_true(fw_frame_add_result(&writer, 1, 0, &result));
    assert_false(fw_frame_add_accepted(&writer, 1, 0, FW_QUEUED, NULL));
    assert_false(fw_frame_add_refused(&writer, 1, 0, 1, FW_EFULL, "text"));
    assert_int_equal(fw_frame_end(&writer), sizeof(data));
    /* Elsewhere there is more room. */
    memcpy(larger, data, sizeof(data));
    fw_frame_move(&writer, larger, sizeof(larger));
    assert_true(fw_frame_add_accepted(&writer, 1, 0, FW_QUEUED, NULL));
    fw_frame frame;
    assert_int_equal(fw_frame_open(&frame, (fw_span){(char *)larger, fw_frame_end(&writer)}, NULL),
                     0);
    assert_int_equal(frame.count, 2);

    static unsigned char many[FW_FRAME_ITEMS_MAX * 16];
    fw_submission task = {.name = span("n")};
    fw_frame_begin(&writer, many, sizeof(many), FW_FRAME_SUBMIT, 0);
    for (int i = 0; i < FW_FRAME_ITEMS_MAX; i++)
        assert_true(fw_frame_add_submission(&writer, &task));
    assert_false(fw_frame_add_submission(&writer, &task));
}

static void pings_and_hellos(void **state)
{
    (void)state;
    unsigned char data[256];
    fw_frame frame;
    fw_record got;
    size_t len = fw_frame_write_ping(data, sizeof(data), span("tick"));
    assert_int_equal(fw_frame_open(&frame, (fw_span){(char *)data, len}, &from), 0);
    assert_span(fw_frame_ping(&frame), span("tick"));
    assert_int_equal(fw_frame_write_ping(data, 11, span("tick")), 0);

    fw_hello said = {.software = span("test/1"),
                     .token = span("secret"),
                     .items_max = 1024,
                     .message_max = 1 << 26,
                     .capabilities = FW_CAPABLE_WAIT | FW_CAPABLE_CANCEL,
                     .open_requests_max = 77},
             heard;
    len = fw_frame_write_hello(data, sizeof(data), &said);
    assert_int_equal(fw_frame_open(&frame, (fw_span){(char *)data, len}, &from), 0);
    assert_int_equal(fw_frame_read_hello(&heard, fw_frame_hello(&frame)), 0);
    assert_span(heard.token, said.token);

    fw_frame_writer writer;
    fw_frame_begin(&writer, data, sizeof(data), FW_FRAME_ANSWER, 0);
    assert_true(fw_frame_add_pong(&writer, 4, span("tick")));
    size_t before = writer.len;
    said.token.len = 0;
    assert_true(fw_frame_add_hello(&writer, 5, &said));
    assert_int_equal(writer.len - before, fw_frame_hello_size(&said));
    assert_int_equal(fw_frame_open(&frame, (fw_span){(char *)data, fw_frame_end(&writer)}, NULL),
                     0);
    assert_int_equal(fw_frame_next_record(&frame, &got), 1);
    assert_true(got.kind == FW_RECORD_PONG && got.request == 4);
    assert_span(got.text, span("tick"));
    assert_int_equal(fw_frame_next_record(&frame, &got), 1);
    assert_true(got.kind == FW_RECORD_HELLO && got.request == 5);
    assert_int_equal(fw_frame_read_hello(&heard, got.text), 0);
    assert_span(heard.software, said.software);
    assert_true(heard.token.len == 0 && heard.items_max == 1024 && heard.open_requests_max == 77);
    assert_true(heard.message_max == 1 << 26 && heard.capabilities == said.capabilities);
    assert_int_equal(fw_frame_read_hello(&heard, (fw_span){got.text.ptr, got.text.len - 1}),
                     -FW_EPROTO);
}

static void long_texts_are_cut_between_characters(void **state)
{
    (void)state;
    static unsigned char data[4096];
    static char text[2 * FW_FRAME_TEXT_MAX];
    for (size_t i = 0; i + 1 < sizeof(text); i++)
        text[i] = i % 2 == 0 ? 'x' : 'y';
    memcpy(text + FW_FRAME_TEXT_MAX - 1, "\xc3\xa9", 2);
    fw_frame_writer writer;
    fw_frame frame;
    fw_record got;
    fw_frame_begin(&writer, data, sizeof(data), FW_FRAME_ANSWER, 0);
    assert_true(fw_frame_add_refused(&writer, 1, 0, 1, FW_EINVAL, text));
    assert_int_equal(writer.len - FW_FRAME_HEADER, fw_frame_refused_size(text));
    assert_int_equal(fw_frame_open(&frame, (fw_span){(char *)data, fw_frame_end(&writer)}, NULL),
                     0);
    assert_int_equal(fw_frame_next_record(&frame, &got), 1);
    assert_int_equal(got.text.len, FW_FRAME_TEXT_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_documented_bytes_are_written),
        cmocka_unit_test(random_submissions_survive),
        cmocka_unit_test(queries_survive),
        cmocka_unit_test(random_answers_survive),
        cmocka_unit_test(a_thousand_acceptances_are_one_record),
        cmocka_unit_test(made_up_ids_are_told),
        cmocka_unit_test(a_full_writer_changes_nothing),
        cmocka_unit_test(pings_and_hellos),
        cmocka_unit_test(long_texts_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
