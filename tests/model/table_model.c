/* Every order of a reader that looks twice and a writer that removes an entry and puts in another,
 * which takes the same place: once the new one was found, it stays found (T1 and T2 of
 * cache/table.h). SPDX-License-Identifier: Apache-2.0 */
#include "explorer.h"

#include "cache/table.h"

/* One bucket; all keys have the same tag. */
static const uint64_t hash = UINT64_C(0x2a00000000);
static const fw_key sought = {1, 1}, stranger = {2, 2};
static fw_entry before, after;
static fw_table table;
static uint32_t place;

static void begin_with(fw_key key)
{
    before.key = key;
    after.key = sought;
    table = fw_table_create(1);
    place = fw_table_insert(table, hash, &before);
}

/* The key itself leaves and comes back. */
static void begin_same(void)
{
    begin_with(sought);
}

/* Another key leaves, and the sought one is new. */
static void begin_other(void)
{
    begin_with(stranger);
}

static void run(unsigned thread)
{
    if (thread == 0) {
        fw_table_remove(table, place, hash);
        place = fw_table_insert(table, hash, &after);
        return;
    }
    bool seen = fw_table_find(table, hash, sought) == &after;
    const fw_entry *again = fw_table_find(table, hash, sought);
    fw_model_check(!seen || again == &after);
    fw_model_check(!again || fw_key_equal(again->key, sought));
}

static void end(void)
{
    fw_model_check(fw_table_find(table, hash, sought) == &after);
    fw_table_destroy(table);
}

/* Replaced where it stands, the key is never missed. */
static void run_replace(unsigned thread)
{
    if (thread == 0) {
        fw_table_replace(table, place, &after);
        return;
    }
    const fw_entry *first = fw_table_find(table, hash, sought);
    const fw_entry *again = fw_table_find(table, hash, sought);
    fw_model_check(first && again && (first != &after || again == &after));
}

int main(void)
{
    const fw_model models[] = {
        {"table: a key leaves and comes back", 2, begin_same, run, end},
        {"table: a key comes where another left", 2, begin_other, run, end},
        {"table: a key is replaced", 2, begin_same, run_replace, end},
    };
    return fw_model_main(models, sizeof models / sizeof models[0], 4);
}
