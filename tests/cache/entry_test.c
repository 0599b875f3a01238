/* entry_test.c - blocks of every size and shape: what goes in comes out, and no byte more is
 * counted or used. SPDX-License-Identifier: Apache-2.0 */
#include "entries.h"

static char *pattern(size_t bytes, char first)
{
    char *text = malloc(bytes + 1);
    assert_non_null(text);
    for (size_t i = 0; i < bytes; i++)
        text[i] = (char)(first + i * 7);
    return text;
}

static void check_round_trip(const fw_cache_item *item)
{
    fw_cache_item out;
    fw_entry *entry = create_entry(item, 5 * SECOND, SECOND);
    assert_non_null(entry);
    fw_entry_read(entry, &out);
    assert_true(fw_key_equal(out.key, item->key));
    assert_int_equal(out.status, item->status);
    assert_int_equal(out.level, item->level);
    assert_int_equal(out.attempt, item->attempt);
    assert_int_equal(out.created_wall_ns, item->created_wall_ns);
    assert_int_equal(out.started_wall_ns, item->started_wall_ns);
    assert_int_equal(out.finished_wall_ns, item->finished_wall_ns);
    assert_int_equal(out.error.ptr == NULL, item->error.ptr == NULL);
    const fw_span *in_texts = &item->name, *out_texts = &out.name;
    /* name, result, error, callback and request stand in this order in the item. */
    for (int i = 0; i < 5; i++) {
        assert_int_equal(out_texts[i].len, in_texts[i].len);
        if (out_texts[i].len)
            assert_memory_equal(out_texts[i].ptr, in_texts[i].ptr, in_texts[i].len);
    }
    assert_int_equal(out.id.len, item->id.len);
    assert_memory_equal(out.id.ptr, item->id.len ? item->id.ptr : "", item->id.len);
    fw_entry_free(entry);
}

static void every_size_comes_back(void **state)
{
    (void)state;
    char *text = pattern(70000, 'a');
    for (size_t bytes = 0; bytes < 70000; bytes += bytes < 3000 ? 1 : 997) {
        fw_cache_item item = item_of(bytes, "");
        item.result = (fw_span){text, bytes};
        check_round_trip(&item);
    }
    free(text);
}

static void every_shape_comes_back(void **state)
{
    (void)state;
    char *text = pattern(1000, 'A');
    for (unsigned shape = 0; shape < 1u << 9; shape++) {
        fw_cache_item item = {.key = key_of(shape), .status = FW_CANCELLED, .level = shape % 4};
        item.attempt = (uint16_t)(shape * 127);
        item.created_wall_ns = shape & 1 ? 11 : 0;
        item.started_wall_ns = shape & 2 ? -12 : 0;
        item.finished_wall_ns = shape & 4 ? INT64_MAX : 0;
        if (shape & 8)
            item.id = (fw_span){text, 255};
        if (shape & 16)
            item.name = (fw_span){text + 1, 40};
        if (shape & 32)
            item.error = (fw_span){text + 2, shape & 1 ? 0 : 33};
        if (shape & 64)
            item.callback = (fw_span){text + 3, 44};
        if (shape & 128)
            item.request = (fw_span){text + 4, 555};
        if (shape & 256)
            item.result = (fw_span){text + 5, 66};
        check_round_trip(&item);
    }
    free(text);
}

static void too_long_parts_are_refused(void **state)
{
    (void)state;
    fw_cache_item item = item_of(1, "x");
    assert_true(fw_entry_plan_of(&item).bytes > 0);
    item.id.len = FW_ID_MAX + 1;
    assert_int_equal(fw_entry_plan_of(&item).bytes, 0);
    item.id.len = 0;
    item.name.len = UINT16_MAX + 1;
    assert_int_equal(fw_entry_plan_of(&item).bytes, 0);
    item.name.len = 0;
    item.result.len = (size_t)UINT32_MAX + 1;
    assert_int_equal(fw_entry_plan_of(&item).bytes, 0);
}

/* What is counted for an entry is what it needs and 16 bytes or an eighth. */
static void little_is_wasted(void **state)
{
    (void)state;
    for (size_t bytes = 0; bytes < 10000; bytes++) {
        fw_cache_item item = item_of(1, "");
        item.name.len = 0;
        item.result = (fw_span){"", bytes};
        size_t needed = sizeof(fw_entry) + bytes, counted = fw_entry_plan_of(&item).bytes;
        assert_true(counted >= needed);
        assert_true(counted <= needed + 16 || counted <= needed + needed / 8);
    }
}

static void classes_tell_what_is_in_use(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    static fw_entry *entries[COUNT];
    size_t before = 0, during = 0;
    fw_cache_item item = item_of(1, "twenty bytes of text");
    for (unsigned i = 0; i < fw_entry_classes(); i++)
        before += fw_entry_class_bytes(i);
    for (int i = 0; i < COUNT; i++)
        entries[i] = create_entry(&item, 0, 0);
    for (unsigned i = 0; i < fw_entry_classes(); i++)
        during += fw_entry_class_bytes(i);
    /* Up to two magazines of this thread count as used. */
    assert_true(during - before >=
                COUNT * fw_entry_plan_of(&item).bytes - 122 * fw_entry_plan_of(&item).bytes);
    assert_true(during - before <=
                COUNT * fw_entry_plan_of(&item).bytes + 122 * fw_entry_plan_of(&item).bytes);
    for (int i = 0; i < COUNT; i++)
        fw_entry_free(entries[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_comes_back),       cmocka_unit_test(every_shape_comes_back),
        cmocka_unit_test(too_long_parts_are_refused),  cmocka_unit_test(little_is_wasted),
        cmocka_unit_test(classes_tell_what_is_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
