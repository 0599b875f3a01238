/* limits_keys_stress_test.c - several threads submit, run, complete, cancel, set limits per key and
 * pause, at the own pool and at places elsewhere that come and go: never do more of a key run than
 * its limit says, tasks of a key that run one by one run in their order, every task is done once,
 * and no key is left. Also covers engine/limits_table.c. FW_SEED and FW_STRESS_TASKS: see
 * limits_crowd.h. SPDX-License-Identifier: Apache-2.0 */
#include "limits_crowd.h"

/* Of each key of names 0 to 2 one, two, one may run at once, that stays; of name 2 no more than
 * three at all; of name 3 it changes all the time. */
enum { NAMES = 4, FIXED = 3, KEYS = 24, LIVE_MAX = 1000 };
static const unsigned most[FIXED] = {1, 2, 1};

typedef struct content {
    uint32_t submitter, number; /* of the submitter */
    uint32_t key;               /* 0: none */
    char text[8];
} content;

static fw_atomic(unsigned) disorder; /* too early */
static fw_atomic(unsigned) running[NAMES][KEYS], of_name;
static fw_atomic(uint32_t) latest[KEYS][FW_LEVELS][SUBMITTERS]; /* of name 0: the last that began */

static content *content_of(fw_task *task)
{
    return (void *)task->payload;
}

static fw_span key_of(void *context, fw_task *task)
{
    const content *of = content_of(task);
    (void)context;
    return (fw_span){of->text, strlen(of->text)};
}

static void fill(fw_task *task, uint32_t who, uint32_t i, uint64_t dice)
{
    content *of = content_of(task);
    task->name = (uint16_t)((dice >> 8) % NAMES);
    *of = (content){who, i + 1, (uint32_t)((dice >> 16) % KEYS), ""};
    if (of->key > 0)
        snprintf(of->text, sizeof of->text, "k%u", of->key);
}

static void begin(crowd *c, fw_task *task)
{
    const content *of = content_of(task);
    unsigned now = fw_add_seq_cst(&running[task->name][of->key], 1) + 1;
    if (task->name < FIXED && of->key > 0 && now > most[task->name])
        fw_add_seq_cst(&c->over, 1);
    if (task->name == 2 && fw_add_seq_cst(&of_name, 1) + 1 > 3)
        fw_add_seq_cst(&c->over, 1);
    if (task->name != 0 || of->key == 0)
        return;
    fw_atomic(uint32_t) *last = &latest[of->key][task->level][of->submitter];
    /* One that is given back comes again. */
    if (of->number < fw_load_seq_cst(last))
        fw_add_seq_cst(&disorder, 1);
    fw_store_seq_cst(last, of->number);
}

static void end(crowd *c, fw_task *task)
{
    (void)c;
    if (task->name == 2)
        fw_sub_seq_cst(&of_name, 1);
    fw_sub_seq_cst(&running[task->name][content_of(task)->key], 1);
}

static bool look(void *context, const fw_limit_view *view)
{
    (void)context;
    assert_in_range(view->name, 0, NAMES - 1);
    assert_in_range(view->keys, 0, KEYS);
    return true;
}

static void meddle(crowd *c, uint64_t dice)
{
    int64_t soon_ns = fw_now_ns() + (int64_t)(dice >> 40) % FW_NS_PER_MS;
    switch (dice >> 8 & 7) {
    case 0:
    case 1:
        assert_int_equal(fw_limit_set_keys(c->engine, 3, dice >> 16 & 3,
                                           dice & 1 << 20 ? 100000 : 0, dice >> 24 & 15),
                         0);
        break;
    case 2:
        assert_int_equal(fw_limit_pause(c->engine, FW_PAUSE_NAME, dice >> 16 & 3, soon_ns), 0);
        break;
    case 3:
        assert_int_equal(fw_limit_pause(c->engine, FW_PAUSE_LEVEL, dice >> 16 & 3, soon_ns), 0);
        break;
    case 4:
        assert_int_equal(fw_limit_set(c->engine, 3, dice >> 16 & 3, dice & 1 << 20 ? 100000 : 0, 0),
                         0);
        break;
    default:
        fw_limit_each(c->engine, look, c);
        end_one(c, dice, dice & 1 << 20);
    }
}

static bool is_idle(void *context, const fw_limit_view *view)
{
    (void)context;
    assert_int_equal(view->running, 0);
    assert_int_equal(view->keys, 0);
    for (unsigned level = 0; level < FW_LEVELS; level++)
        assert_int_equal(view->waiting[level], 0);
    return true;
}

/* Without a rate, whose buckets keep keys for a while. */
static void settle(crowd *c)
{
    assert_int_equal(fw_limit_set_keys(c->engine, 3, 1, 0, 0), 0);
    assert_int_equal(fw_engine_drain(c->engine, 60 * FW_NS_PER_S), 0);
    /* Cancelled ones may lie in lanes and lines. */
    fw_engine_halt(c->engine);
    fw_dispatch_flush(c->engine);
    fw_limit_each(c->engine, is_idle, c);
}

static void limits_hold_whatever_happens(void **state)
{
    static const uint32_t desk_names[] = {0, 2};
    static const crowd_calls calls = {sizeof(content), LIVE_MAX, NAMES,  desk_names, 2, fill,
                                      begin,           end,      meddle, NULL};
    static crowd c;
    (void)state;
    open_crowd(&c, &calls);
    fw_limit_key_by(c.engine, key_of, NULL);
    for (uint32_t name = 0; name < FIXED; name++)
        assert_int_equal(fw_limit_set_keys(c.engine, name, most[name], 0, 0), 0);
    assert_int_equal(fw_limit_set(c.engine, 2, 3, 0, 0), 0);
    run_crowd(&c);
    settle(&c);
    assert_int_equal(fw_load_seq_cst(&disorder), 0);
    close_crowd(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_hold_whatever_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
