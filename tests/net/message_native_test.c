/* message_native_test.c - offers between native peers: written, read back, and bad ones.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/message_json.h"

static fw_span span(const char *text)
{
    return (fw_span){text, strlen(text)};
}

static void assert_span(fw_span got, const char *wanted)
{
    assert_int_equal(got.len, strlen(wanted));
    assert_memory_equal(got.ptr, wanted, got.len);
}

static void a_registration_comes_back(void **state)
{
    (void)state;
    fw_buffer text = {0};
    fw_scratch scratch = {NULL};
    fw_registration r;
    fw_complaint complaint;
    fw_reply_to reply = {.form = FW_REPLY_JSON};
    fw_native_offer offer = {.present = true,
                             .version = 1,
                             .slots = 4,
                             .impl = span("fastworker/0.1.0"),
                             .epoch = span("e-1"),
                             .pull = span("tcp://h:4"),
                             .token = span("s\"e"),
                             .tasks = span("[\"add\", \"m\\u00fcl\", \"mul\"]"),
                             .task_count = 3,
                             .beat_ns = 2500000000};
    fw_json_write_registration_request(&text, span("sw1"), span("tcp://h:5561"), "active", true,
                                       &offer);
    fw_span message = {text.data, text.len};
    assert_int_equal(fw_json_registration_read(&r, &complaint, &scratch, message, &reply), 0);
    assert_span(r.id, "sw1");
    assert_span(r.address, "tcp://h:5561");
    assert_span(r.status, "active");
    assert_true(r.heartbeat);
    assert_true(r.offer.present);
    assert_int_equal(r.offer.slots, 4);
    assert_span(r.offer.epoch, "e-1");
    assert_span(r.offer.pull, "tcp://h:4");
    assert_true(r.offer.beat_ns == 2500000000);
    assert_span(r.offer.token, "s\"e");
    fw_native_tasks walk = fw_native_tasks_of(&r.offer);
    fw_span name;
    assert_true(fw_native_tasks_next(&walk, &name));
    assert_span(name, "add");
    assert_true(fw_native_tasks_next(&walk, &name));
    assert_span(name, "m\xc3\xbcl");
    assert_true(fw_native_tasks_next(&walk, &name));
    assert_span(name, "mul");
    assert_false(fw_native_tasks_next(&walk, &name));
    fw_buffer_fini(&text);
    fw_scratch_fini(&scratch);
}

static void what_is_no_offer(void **state)
{
    static const char *const texts[] = {
        "null",
        "[]",
        "{}",
        "{\"v\": 1}",
        "{\"v\": 1, \"epoch\": \"e\"}",
        "{\"v\": 0, \"epoch\": \"e\", \"pull\": \"tcp://h:1\"}",
        "{\"v\": 1, \"epoch\": 5, \"pull\": \"tcp://h:1\"}",
        "{\"v\": 1, \"epoch\": \"e\\u0000\", \"pull\": \"tcp://h:1\"}",
        "{\"v\": -1, \"epoch\": \"e\", \"pull\": \"tcp://h:1\"}",
    };
    (void)state;
    fw_scratch scratch = {NULL};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        fw_native_offer offer;
        fw_json_native_read(&offer, &scratch, fw_json_parse(span(texts[i])));
        assert_false(offer.present);
    }
    fw_scratch_fini(&scratch);
}

static void odd_members_are_passed_over(void **state)
{
    (void)state;
    fw_scratch scratch = {NULL};
    fw_native_offer offer;
    fw_json_native_read(&offer, &scratch,
                        fw_json_parse(span("{\"v\": 1, \"epoch\": \"e\", \"pull\": \"p\", "
                                           "\"slots\": 99999999999, \"hb\": 1e300, "
                                           "\"tasks\": [1, \"\", [\"a\"], {\"c\": \"d\"}, "
                                           "\"x\\u0000y\", \"b\\\\\", null]}")));
    assert_true(offer.present);
    assert_int_equal(offer.slots, 65535);
    assert_true(offer.beat_ns == 0);
    fw_native_tasks walk = fw_native_tasks_of(&offer);
    fw_span name;
    assert_true(fw_native_tasks_next(&walk, &name));
    assert_span(name, "b\\");
    assert_false(fw_native_tasks_next(&walk, &name));
    fw_scratch_fini(&scratch);
}

/* 16,384 names of 255 bytes each are looked at, and no more. */
static void names_are_bounded(void **state)
{
    (void)state;
    enum { SOME = 16400 };
    char name[300];
    fw_buffer text = {0};
    fw_scratch scratch = {NULL};
    fw_native_offer offer;
    memset(name, 'n', sizeof name);
    fw_buffer_text(&text, "{\"v\": 1, \"epoch\": \"e\", \"pull\": \"p\", \"tasks\": [");
    for (int i = 0; i < SOME; i++)
        fw_buffer_format(&text, "%s\"%.*s\"", i ? "," : "", i == 1 ? 256 : i == 2 ? 255 : 3, name);
    fw_buffer_text(&text, "]}");
    fw_json_native_read(&offer, &scratch, fw_json_parse((fw_span){text.data, text.len}));
    assert_true(offer.present);
    fw_native_tasks walk = fw_native_tasks_of(&offer);
    fw_span got;
    size_t count = 0, longest = 0;
    for (; fw_native_tasks_next(&walk, &got); count++)
        longest = got.len > longest ? got.len : longest;
    assert_int_equal(count, 16384 - 1);
    assert_int_equal(longest, 255);
    fw_buffer_fini(&text);
    fw_scratch_fini(&scratch);
}

static void acknowledgements(void **state)
{
    (void)state;
    fw_native_offer native;
    fw_scratch scratch = {NULL};
    fw_span error;
    fw_span plain = span("{\"status\": \"registered\", \"subworker_id\": \"a\"}");
    assert_int_equal(fw_json_registration_answer_read(&native, &error, &scratch, plain), 0);
    assert_false(native.present);
    fw_span full = span("{\"status\": \"registered\", \"native\": {\"v\": 1, \"epoch\": \"x\", "
                        "\"results\": \"tcp://h:5552\"}}");
    assert_int_equal(fw_json_registration_answer_read(&native, &error, &scratch, full), 0);
    assert_true(native.present);
    assert_span(native.results, "tcp://h:5552");
    fw_span refused = span("{\"status\": \"error\", \"error\": \"too\\u0020many\"}");
    assert_int_equal(fw_json_registration_answer_read(&native, &error, &scratch, refused),
                     -FW_EINVAL);
    assert_span(error, "too many");
    assert_int_equal(fw_json_registration_answer_read(&native, &error, &scratch, span("{")),
                     -FW_EPROTO);
    assert_int_equal(fw_json_registration_answer_read(&native, &error, &scratch, span("{}")),
                     -FW_EPROTO);
    fw_scratch_fini(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_registration_comes_back),
        cmocka_unit_test(what_is_no_offer),
        cmocka_unit_test(odd_members_are_passed_over),
        cmocka_unit_test(names_are_bounded),
        cmocka_unit_test(acknowledgements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
