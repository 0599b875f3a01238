/* arena_test.c - memory of a call is aligned, apart, reused, and not hoarded.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void pieces_are_aligned_and_apart(void **state)
{
    (void)state;
    fw_arena arena;
    assert_true(fw_arena_init(&arena));
    unsigned char *pieces[200];
    for (size_t i = 0; i < 200; i++) {
        pieces[i] = fw_arena_alloc(&arena, i * 7);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % FW_ARENA_ALIGN, 0);
        memset(pieces[i], (int)i, i * 7);
    }
    for (size_t i = 0; i < 200; i++) {
        for (size_t j = 0; j < i * 7; j++)
            assert_int_equal(pieces[i][j], i);
    }
    fw_arena_fini(&arena);
}

static void equal_calls_settle_in_one_block(void **state)
{
    (void)state;
    fw_arena arena;
    assert_true(fw_arena_init(&arena));
    const fw_arena_block *settled = NULL;
    for (int call = 0; call < 20; call++) {
        fw_arena_reset(&arena);
        if (call == 10)
            settled = arena.block;
        for (int i = 0; i < 100; i++)
            assert_non_null(fw_arena_alloc(&arena, 1000));
    }
    assert_ptr_equal(arena.block, settled);
    assert_null(arena.block->next);
    fw_arena_fini(&arena);
}

static void large_blocks_are_given_back(void **state)
{
    (void)state;
    fw_arena arena;
    assert_true(fw_arena_init(&arena));
    assert_non_null(fw_arena_alloc(&arena, 100));
    char *large = fw_arena_alloc(&arena, FW_ARENA_KEEP * 3);
    assert_non_null(large);
    memset(large, 1, FW_ARENA_KEEP * 3);
    fw_arena_reset(&arena);
    assert_null(arena.block->next);
    assert_true(arena.block->capacity <= FW_ARENA_KEEP);
    fw_arena_fini(&arena);
}

static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    fw_arena arena;
    assert_true(fw_arena_init(&arena));
    assert_null(fw_arena_alloc(&arena, SIZE_MAX));
    assert_null(fw_arena_alloc(&arena, SIZE_MAX - 8));
    assert_null(fw_arena_alloc(&arena, SIZE_MAX / 2 + 1));
    assert_non_null(fw_arena_alloc(&arena, 0));
    fw_arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_and_apart),
        cmocka_unit_test(equal_calls_settle_in_one_block),
        cmocka_unit_test(large_blocks_are_given_back),
        cmocka_unit_test(impossible_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
