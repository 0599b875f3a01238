/* table_test.c - the hash table against a plain list, with hashes that collide as badly as they
 * can. SPDX-License-Identifier: Apache-2.0 */
#include "entries.h"

#include "cache/table.h"

enum { KEYS = 400 };

typedef struct row {
    fw_entry *entry; /* NULL: not in the table */
    uint64_t hash;
    uint32_t place;
} row;

static fw_entry *entry_of(uint64_t number)
{
    fw_cache_item item = item_of(number, "x");
    fw_entry *entry = create_entry(&item, 0, 0);
    assert_non_null(entry);
    return entry;
}

static void check_all(fw_table table, const row *rows)
{
    for (uint64_t i = 0; i < KEYS; i++) {
        assert_ptr_equal(fw_table_find(table, rows[i].hash, key_of(i)), rows[i].entry);
        assert_int_equal(fw_table_place(table, rows[i].hash, key_of(i)),
                         rows[i].entry ? rows[i].place : FW_PLACE_NONE);
    }
}

/* mask: which bits of the hash differ at all between keys. */
static void one_history(uint64_t *random, uint64_t mask, size_t room)
{
    static row rows[KEYS];
    fw_table table = fw_table_create(room);
    assert_true(table != 0);
    size_t count = 0, most = fw_table_places(table);
    for (uint64_t i = 0; i < KEYS; i++)
        rows[i] = (row){.hash = next_random(random) & mask};
    for (int step = 0; step < 3000; step++) {
        row *r = &rows[next_random(random) % KEYS];
        uint64_t number = (uint64_t)(r - rows);
        if (!r->entry && count < most) {
            r->entry = entry_of(number);
            r->place = fw_table_insert(table, r->hash, r->entry);
            count++;
        } else if (r->entry && next_random(random) % 3 == 0) {
            fw_entry_free(r->entry);
            r->entry = entry_of(number);
            fw_table_replace(table, r->place, r->entry);
        } else if (r->entry) {
            fw_table_remove(table, r->place, r->hash);
            fw_entry_free(r->entry);
            r->entry = NULL;
            count--;
        }
        if (step % 50 == 0)
            check_all(table, rows);
    }
    check_all(table, rows);
    for (uint64_t i = 0; i < KEYS; i++) {
        if (rows[i].entry) {
            fw_table_remove(table, rows[i].place, rows[i].hash);
            fw_entry_free(rows[i].entry);
            rows[i].entry = NULL;
        }
    }
    check_all(table, rows);
    fw_table_destroy(table);
}

static void finds_what_is_there_and_nothing_else(void **state)
{
    (void)state;
    uint64_t random = seed_of_run();
    const uint64_t masks[] = {UINT64_MAX, UINT64_C(0xff00000000), UINT64_C(0x0300000000), 0,
                              UINT32_MAX, UINT64_C(0x80000000)};
    for (unsigned i = 0; i < sizeof masks / sizeof *masks; i++) {
        one_history(&random, masks[i], KEYS);
        one_history(&random, masks[i], 20);
    }
}

/* Every place can be used, and what no bucket had room for is found behind it. */
static void fills_to_the_last_place(void **state)
{
    (void)state;
    fw_table table = fw_table_create(1);
    size_t most = fw_table_places(table);
    fw_entry *entries[64];
    assert_true(most <= 64);
    for (uint64_t i = 0; i < most; i++) {
        entries[i] = entry_of(i);
        fw_table_insert(table, UINT32_MAX, entries[i]);
    }
    for (uint64_t i = 0; i < most; i++)
        assert_ptr_equal(fw_table_find(table, UINT32_MAX, key_of(i)), entries[i]);
    assert_null(fw_table_find(table, UINT32_MAX, key_of(most)));
    for (uint64_t i = 0; i < most; i++)
        fw_entry_free(entries[i]);
    fw_table_destroy(table);
}

static void sizes_grow_in_small_steps(void **state)
{
    (void)state;
    size_t last = 0;
    for (size_t room = 1; room < 200000; room += room / 50 + 1) {
        fw_table table = fw_table_create(room);
        assert_true(fw_table_room(table) >= room);
        assert_true(fw_table_room(table) <= room + room / 3 + 22);
        assert_true(fw_table_bytes(table) >= last);
        last = fw_table_bytes(table);
        fw_table_destroy(table);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_is_there_and_nothing_else),
        cmocka_unit_test(fills_to_the_last_place),
        cmocka_unit_test(sizes_grow_in_small_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
