/* latency_test.c - histograms of waits and runs, and what was waited behind.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/life/latency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const int64_t ms = 1000000;

static void every_time_has_its_bucket(void **state)
{
    (void)state;
    assert_int_equal(fw_latency_bucket(-5), 0);
    assert_int_equal(fw_latency_bucket(0), 0);
    assert_int_equal(fw_latency_bucket(INT64_MAX), FW_LATENCY_BUCKETS - 1);
    for (unsigned i = 0; i < FW_LATENCY_BUCKETS; i++) {
        int64_t low = fw_latency_bucket_ns(i), next = fw_latency_bucket_ns(i + 1);
        assert_true(low < next);
        assert_int_equal(fw_latency_bucket(low), i);
        assert_int_equal(fw_latency_bucket(next - 1), i);
        /* Four an octave: no bucket is wider than a quarter of where it begins. */
        if (i >= 4)
            assert_true((next - low) * 4 <= low);
    }
}

static void quantiles_lie_within_their_bucket(void **state)
{
    (void)state;
    uint64_t counts[FW_LATENCY_BUCKETS] = {0};
    assert_int_equal(fw_latency_quantile(counts, 0.5), 0);
    for (int64_t i = 1; i <= 1000; i++)
        counts[fw_latency_bucket(i * ms)]++;
    const double shares[] = {0.5, 0.9, 0.99, 1};
    for (int i = 0; i < 4; i++) {
        double exact = shares[i] * 1000 * (double)ms, got;
        got = (double)fw_latency_quantile(counts, shares[i]);
        assert_true(got > 0.8 * exact && got < 1.25 * exact);
    }
}

static void rows_are_added_up(void **state)
{
    (void)state;
    static fw_latency_counts counts;
    fw_latency *latency = fw_latency_create(2);
    assert_non_null(latency);
    const fw_latency_sample known = {FW_HIGH, 1, 1000 * ms, 1005 * ms, 2 * ms},
                            again = {FW_HIGH, 1, 0, 1005 * ms, 2 * ms};
    for (unsigned thread = 0; thread <= 2; thread++)
        fw_latency_note(latency, &known, thread);
    fw_latency_note(latency, &again, 2);
    fw_latency_read(latency, &counts);
    assert_int_equal(counts.wait[FW_HIGH][fw_latency_bucket(5 * ms)], 3);
    assert_int_equal(counts.run[FW_HIGH][fw_latency_bucket(2 * ms)], 4);
    assert_int_equal(counts.run[FW_LOW][fw_latency_bucket(2 * ms)], 0);
    fw_latency_destroy(latency);
}

/* inversion-note: a low task ran when the critical one came; another time it had ended before. */
static void the_less_urgent_one_before_is_named(void **state)
{
    (void)state;
    static fw_latency_counts counts;
    fw_latency_worst worst;
    fw_latency *latency = fw_latency_create(1);
    const fw_latency_sample low = {FW_LOW, 7, 1000 * ms, 1000 * ms, 50 * ms},
                            urgent = {FW_CRITICAL, 9, 1010 * ms, 1050 * ms, 1 * ms},
                            calm = {FW_CRITICAL, 9, 2000 * ms, 2001 * ms, 1 * ms};
    fw_latency_note(latency, &low, 0);
    fw_latency_note(latency, &urgent, 0);
    fw_latency_note(latency, &low, 0);
    fw_latency_note(latency, &calm, 0);
    fw_latency_note(latency, &urgent, 1);
    fw_latency_read(latency, &counts);
    assert_int_equal(counts.behind[FW_CRITICAL][FW_LOW], 1);
    assert_int_equal(counts.behind_ns[FW_CRITICAL][FW_LOW], 40 * ms);
    assert_int_equal(counts.behind[FW_LOW][FW_CRITICAL], 0);
    fw_latency_take_worst(latency, &worst);
    assert_int_equal(worst.wait_ns, 40 * ms);
    assert_int_equal(worst.name, 9);
    assert_int_equal(worst.behind, 7);
    assert_int_equal(worst.level, FW_CRITICAL);
    assert_int_equal(worst.behind_level, FW_LOW);
    fw_latency_take_worst(latency, &worst);
    assert_int_equal(worst.wait_ns, 0);
    fw_latency_destroy(latency);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_time_has_its_bucket),
        cmocka_unit_test(quantiles_lie_within_their_bucket),
        cmocka_unit_test(rows_are_added_up),
        cmocka_unit_test(the_less_urgent_one_before_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
