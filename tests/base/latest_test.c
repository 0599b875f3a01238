/* latest_test.c - the latest value: whole, whoever writes at the same time.
 * SPDX-License-Identifier: Apache-2.0 */
#include "base/latest.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static fw_span span(const char *text)
{
    return (fw_span){text, strlen(text)};
}

static void what_was_said_last_is_read(void **state)
{
    (void)state;
    fw_latest latest = {.turn = 0};
    fw_latest_value value;
    char longer[200];
    assert_false(fw_latest_get(&latest, &value));
    fw_latest_forget(&latest);
    assert_false(fw_latest_get(&latest, &value));
    assert_true(fw_latest_set(&latest, 1, 2, span("one")));
    assert_true(fw_latest_set(&latest, 3, 4, span("a second one")));
    assert_true(fw_latest_get(&latest, &value));
    assert_int_equal(value.first, 3);
    assert_int_equal(value.second, 4);
    assert_int_equal(value.len, 12);
    assert_memory_equal(value.text, "a second one", 12);
    uint32_t turn = fw_latest_turn(&latest);
    assert_true(fw_latest_set(&latest, 5, 6, (fw_span){0}));
    assert_true(fw_latest_turn(&latest) != turn);
    assert_true(fw_latest_get(&latest, &value));
    assert_int_equal(value.len, 0);
    memset(longer, 'x', sizeof longer);
    assert_true(fw_latest_set(&latest, 7, 8, (fw_span){longer, sizeof longer}));
    assert_true(fw_latest_get(&latest, &value));
    assert_int_equal(value.len, FW_LATEST_TEXT_MAX);
    fw_latest_forget(&latest);
    assert_false(fw_latest_get(&latest, &value));
    assert_true(fw_latest_set(&latest, 9, 10, span("again")));
    assert_true(fw_latest_get(&latest, &value));
    /* The count comes around and is never "none". */
    fw_store_relaxed(&latest.turn, UINT32_MAX);
    assert_true(fw_latest_set(&latest, 11, 12, span("around")));
    assert_true(fw_latest_get(&latest, &value) && value.first == 11);
}

static void one_that_sleeps_while_it_writes_holds_up_nobody(void **state)
{
    (void)state;
    fw_latest latest = {.turn = 0};
    fw_latest_value value;
    assert_true(fw_latest_set(&latest, 1, 1, span("kept")));
    fw_store_relaxed(&latest.busy, true);
    assert_false(fw_latest_set(&latest, 2, 2, span("lost")));
    assert_true(fw_latest_get(&latest, &value) && value.first == 1);
    /* Another process may have written anything there. */
    fw_store_relaxed(&latest.places[fw_latest_turn(&latest) % 2].len, 1 << 20);
    assert_true(fw_latest_get(&latest, &value) && value.len == 0);
}

enum { WRITERS = 3, READS = 20000 };

typedef struct stage {
    fw_latest latest;
    fw_atomic(bool) over;
} stage;

/* Both numbers and every byte of the text say the same. */
static void *say(void *argument)
{
    stage *s = argument;
    char text[FW_LATEST_TEXT_MAX];
    /* Relaxed: a flag. */
    for (uint64_t n = 1; !fw_load_relaxed(&s->over); n++) {
        memset(text, (int)('a' + n % 26), sizeof text);
        fw_latest_set(&s->latest, n, n * 3, (fw_span){text, 1 + n % sizeof text});
    }
    return NULL;
}

static void values_are_whole(void **state)
{
    (void)state;
    static stage s;
    pthread_t writers[WRITERS];
    fw_latest_value value;
    size_t whole = 0;
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&writers[i], NULL, say, &s), 0);
    for (size_t reads = 0; whole < READS && reads < READS * 1000u; reads++) {
        if (!fw_latest_get(&s.latest, &value))
            continue;
        whole++;
        assert_int_equal(value.second, value.first * 3);
        assert_int_equal(value.len, 1 + value.first % FW_LATEST_TEXT_MAX);
        for (size_t i = 0; i < value.len; i++)
            assert_int_equal(value.text[i], 'a' + value.first % 26);
    }
    /* Relaxed: a flag. */
    fw_store_relaxed(&s.over, true);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i], NULL);
    assert_true(whole > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_said_last_is_read),
        cmocka_unit_test(one_that_sleeps_while_it_writes_holds_up_nobody),
        cmocka_unit_test(values_are_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
