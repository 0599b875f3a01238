/* scratch_test.c - bytes stay where they are until the reset (net/scratch.c).
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "net/scratch.h"

static void bytes_stay(void **state)
{
    (void)state;
    fw_scratch scratch = {0};
    char *taken[500];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 500; i++) {
            size_t n = i % 50 == 0 ? 9000 : 36;
            taken[i] = fw_scratch_take(&scratch, n);
            assert_non_null(taken[i]);
            memset(taken[i], i & 0x7f, n);
        }
        for (int i = 0; i < 500; i++)
            assert_true(taken[i][0] == (i & 0x7f) && taken[i][35] == (i & 0x7f));
        fw_scratch_reset(&scratch);
    }
    fw_scratch_fini(&scratch);
    assert_null(scratch.first);
}

static void a_reset_keeps_one_block(void **state)
{
    (void)state;
    fw_scratch scratch = {0};
    fw_scratch_reset(&scratch);
    assert_non_null(fw_scratch_take(&scratch, 10));
    fw_scratch_block *block = scratch.first;
    assert_non_null(fw_scratch_take(&scratch, 1 << 20));
    fw_scratch_reset(&scratch);
    assert_ptr_equal(scratch.first, block);
    assert_null(fw_scratch_take(&scratch, (size_t)-1));
    fw_scratch_fini(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_stay),
        cmocka_unit_test(a_reset_keeps_one_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
