/* registry_test.c - registrations, beats, silence, and readers that never wait.
 * SPDX-License-Identifier: Apache-2.0 */
#include "net/registry.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rcu.h"

static fw_span span(const char *text)
{
    return (fw_span){text, strlen(text)};
}

static fw_registry *make(size_t workers_max)
{
    fw_registry_config config = {
        .workers_max = workers_max, .stale_ns = 30 * FW_NS_PER_S, .gone_ns = 600 * FW_NS_PER_S};
    fw_registry *registry = fw_registry_create(&config);
    assert_non_null(registry);
    return registry;
}

static int note(fw_registry *registry, const char *id, const char *address, const char *status,
                int64_t at_s)
{
    char error[128];
    fw_registration r = {.id = span(id), .address = span(address), .status = span(status)};
    return fw_registry_note(registry, error, sizeof error, &r, at_s * FW_NS_PER_S);
}

/* A native one's registration or beat. */
static int offer(fw_registry *registry, const char *id, const char *epoch, const char *tasks,
                 bool beat, int64_t at_s)
{
    char error[128];
    fw_registration r = {.id = span(id),
                         .address = span("tcp://h:1"),
                         .status = span("active"),
                         .heartbeat = beat,
                         .offer = {.present = true,
                                   .version = 1,
                                   .slots = 4,
                                   .impl = span("fastworker/1"),
                                   .epoch = span(epoch),
                                   .token = span("secret"),
                                   .pull = span("tcp://h:7"),
                                   .tasks = span(tasks),
                                   .task_count = 2}};
    return fw_registry_note(registry, error, sizeof error, &r, at_s * FW_NS_PER_S);
}

typedef struct seen {
    char ids[64], last_address[256];
    size_t active;
} seen;

static bool look(void *context, const fw_worker_entry *worker)
{
    seen *s = context;
    size_t used = strlen(s->ids);
    if (used + 1 < sizeof s->ids)
        s->ids[used] = worker->id[0]; /* ids are letters here */
    snprintf(s->last_address, sizeof s->last_address, "%s", worker->address);
    /* Relaxed: one thread. */
    s->active += fw_load_relaxed(&worker->state) == FW_WORKER_ACTIVE;
    return true;
}

static seen look_at(fw_registry *registry)
{
    seen s = {.ids = ""};
    fw_registry_each(registry, look, &s);
    return s;
}

static void silence_makes_inactive_then_gone(void **state)
{
    (void)state;
    fw_registry *registry = make(10);
    assert_int_equal(note(registry, "a", "tcp://h:1", "active", 0), 0);
    assert_int_equal(note(registry, "b", "tcp://h:2", "active", 0), 0);
    assert_int_equal(note(registry, "b", "tcp://h:2", "active", 25), 0);
    fw_registry_sweep(registry, 31 * FW_NS_PER_S);
    assert_string_equal(look_at(registry).ids, "ab");
    assert_int_equal(look_at(registry).active, 1);
    assert_int_equal(note(registry, "a", "tcp://h:1", "active", 40), 0);
    assert_int_equal(look_at(registry).active, 2);
    fw_registry_sweep(registry, 626 * FW_NS_PER_S);
    assert_string_equal(look_at(registry).ids, "a");
    fw_registry_sweep(registry, 2000 * FW_NS_PER_S);
    assert_string_equal(look_at(registry).ids, "");
    fw_registry_destroy(registry);
    fw_rcu_barrier();
}

/* C-094: a known id with another address is another process. */
static void C_094_a_new_address_is_taken(void **state)
{
    (void)state;
    fw_registry *registry = make(10);
    note(registry, "a", "tcp://h:1", "active", 0);
    note(registry, "a", "tcp://h:9", "active", 1);
    assert_string_equal(look_at(registry).ids, "a");
    assert_string_equal(look_at(registry).last_address, "tcp://h:9");
    note(registry, "a", "tcp://h:9", "inactive", 2);
    assert_int_equal(look_at(registry).active, 0);
    fw_registry_destroy(registry);
    fw_rcu_barrier();
}

/* C-093: bad input has a sentence for an answer. */
static void C_093_bad_input_is_explained(void **state)
{
    (void)state;
    char error[128] = "", longer[300];
    fw_registry *registry = make(2);
    memset(longer, 'x', sizeof longer);
    fw_registration r = {.id = span(""), .address = span("tcp://h:1"), .status = span("active")};
    assert_int_equal(fw_registry_note(registry, error, sizeof error, &r, 0), -FW_EINVAL);
    assert_non_null(strstr(error, "subworker_id"));
    r.id = (fw_span){longer, sizeof longer};
    assert_int_equal(fw_registry_note(registry, error, sizeof error, &r, 0), -FW_EINVAL);
    r.id = span("a");
    r.address = span("");
    assert_int_equal(fw_registry_note(registry, error, sizeof error, &r, 0), -FW_EINVAL);
    assert_non_null(strstr(error, "address"));
    assert_int_equal(note(registry, "a", "x", "active", 0), 0);
    assert_int_equal(note(registry, "b", "x", "active", 0), 0);
    assert_int_equal(note(registry, "c", "x", "active", 0), -FW_EFULL);
    fw_registry_destroy(registry);
    fw_rcu_barrier();
}

static fw_atomic(int) stop;

static void *keep_reading(void *argument)
{
    size_t total, active;
    /* Relaxed: a flag. */
    while (!fw_load_relaxed(&stop)) {
        fw_registry_count(argument, &total, &active);
        assert_true(active <= total);
    }
    return NULL;
}

static void readers_go_on_meanwhile(void **state)
{
    (void)state;
    fw_registry *registry = make(64);
    pthread_t readers[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, keep_reading, registry), 0);
    for (int round = 0; round < 3000; round++) {
        char id[16], address[16];
        snprintf(id, sizeof id, "w%d", round % 64);
        snprintf(address, sizeof address, "h%d", round / 64);
        assert_int_equal(note(registry, id, address, "active", round), 0);
        if (round % 100 == 99)
            fw_registry_sweep(registry, (round + 580) * FW_NS_PER_S);
    }
    /* Relaxed: a flag. */
    fw_store_relaxed(&stop, 1);
    for (int i = 0; i < 2; i++)
        pthread_join(readers[i], NULL);
    fw_registry_destroy(registry);
    fw_rcu_barrier();
}

static void states_follow_word_and_silence(void **state)
{
    (void)state;
    fw_registry *registry = make(10);
    assert_int_equal(fw_registry_state(registry, span("a"), 0), FW_WORKER_GONE);
    assert_int_equal(note(registry, "a", "tcp://h:1", "active", 0), 0);
    assert_int_equal(fw_registry_state(registry, span("a"), 0), FW_WORKER_ACTIVE);
    assert_int_equal(fw_registry_state(registry, span("a"), 31 * FW_NS_PER_S), FW_WORKER_STALE);
    fw_registry_touch(registry, span("a"), 25 * FW_NS_PER_S);
    assert_int_equal(fw_registry_state(registry, span("a"), 31 * FW_NS_PER_S), FW_WORKER_ACTIVE);
    assert_int_equal(note(registry, "a", "tcp://h:1", "inactive", 30), 0);
    fw_registry_touch(registry, span("a"), 32 * FW_NS_PER_S);
    assert_int_equal(fw_registry_state(registry, span("a"), 33 * FW_NS_PER_S), FW_WORKER_DRAINING);
    assert_string_equal(fw_worker_state_name(FW_WORKER_DRAINING), "draining");
    fw_registry_destroy(registry);
    fw_rcu_barrier();
}

static void silence_and_words_turn_the_state(void **state)
{
    (void)state;
    fw_registry *registry = make(10);
    assert_false(fw_registry_touch(registry, span("a"), 0));
    note(registry, "a", "tcp://h:1", "resting", 0);
    assert_int_equal(look_at(registry).active, 0);
    note(registry, "a", "tcp://h:1", "active", 1);
    assert_int_equal(look_at(registry).active, 1);
    fw_registry_sweep(registry, 32 * FW_NS_PER_S);
    assert_int_equal(look_at(registry).active, 0);
    assert_true(fw_registry_touch(registry, span("a"), 43 * FW_NS_PER_S));
    assert_int_equal(look_at(registry).active, 1);
    note(registry, "a", "tcp://h:1", "inactive", 82);
    fw_registry_sweep(registry, 120 * FW_NS_PER_S);
    /* Heard of, and still unwilling. */
    assert_true(fw_registry_touch(registry, span("a"), 121 * FW_NS_PER_S));
    assert_int_equal(fw_registry_state(registry, span("a"), 122 * FW_NS_PER_S), FW_WORKER_DRAINING);
    fw_registry_destroy(registry);
    fw_rcu_barrier();
}

static int64_t registered_at(fw_registry *registry, const char *id)
{
    fw_rcu_read_lock();
    int64_t at_ns = fw_registry_find(registry, span(id))->registered_wall_ns;
    fw_rcu_read_unlock();
    return at_ns;
}

/* The same process with other words is no new one; another epoch, address or kind is. */
static void one_process_registers_once(void **state)
{
    (void)state;
    fw_registry *registry = make(10);
    offer(registry, "a", "e1", "[]", false, 0);
    int64_t first_ns = registered_at(registry, "a");
    offer(registry, "a", "e1", "[\"x\"]", true, 7);
    assert_int_equal(registered_at(registry, "a"), first_ns);
    fw_rcu_read_lock();
    assert_int_equal(fw_registry_find(registry, span("a"))->offer.tasks.len, 5);
    fw_rcu_read_unlock();
    offer(registry, "a", "e2", "[\"x\"]", false, 9);
    assert_true(registered_at(registry, "a") > first_ns);
    assert_string_equal(look_at(registry).ids, "a");
    fw_registry_destroy(registry);
    fw_rcu_barrier();
}

/* The entry has copies of its own of all but the token. */
static void what_it_says_is_kept(void **state)
{
    (void)state;
    char tasks[] = "[\"add\", \"mul\"]";
    fw_registry *registry = make(10);
    offer(registry, "n", "e1", tasks, false, 0);
    memset(tasks, 'x', sizeof tasks - 1);
    fw_rcu_read_lock();
    const fw_worker_entry *entry = fw_registry_find(registry, span("n"));
    assert_non_null(entry);
    assert_true(entry->offer.present);
    assert_int_equal(entry->offer.slots, 4);
    assert_string_equal(entry->offer.epoch.ptr, "e1");
    assert_string_equal(entry->offer.pull.ptr, "tcp://h:7");
    assert_string_equal(entry->offer.impl.ptr, "fastworker/1");
    assert_int_equal(entry->offer.token.len, 0);
    fw_native_tasks walk = fw_native_tasks_of(&entry->offer);
    fw_span name;
    assert_true(fw_native_tasks_next(&walk, &name));
    assert_memory_equal(name.ptr, "add", 3);
    assert_true(fw_native_tasks_next(&walk, &name));
    assert_memory_equal(name.ptr, "mul", 3);
    assert_false(fw_native_tasks_next(&walk, &name));
    assert_null(fw_registry_find(registry, span("m")));
    fw_rcu_read_unlock();
    fw_registry_destroy(registry);
    fw_rcu_barrier();
}

static bool count_one(void *context, const fw_worker_entry *worker)
{
    size_t *next = context;
    char id[16];
    snprintf(id, sizeof id, "%zu", 2 * *next);
    assert_string_equal(worker->id, id);
    ++*next;
    return true;
}

/* Found one by one among ten thousand, in their order, also when every other one has gone. */
static void ten_thousand(void **state)
{
    (void)state;
    enum { MANY = 10000 };
    fw_registry *registry = make(MANY);
    char id[16], address[32];
    for (int i = 0; i < MANY; i++) {
        snprintf(id, sizeof id, "%d", i);
        snprintf(address, sizeof address, "tcp://h:%d", i);
        assert_int_equal(note(registry, id, address, "active", i % 2 ? 0 : 500), 0);
    }
    assert_int_equal(note(registry, "one more", "tcp://h:1", "active", 0), -FW_EFULL);
    /* A beat looks at a few entries, however many there are; ids are hashed with a secret. */
    assert_in_range(fw_registry_depth(registry), 2, 16);
    fw_registry_sweep(registry, 601 * FW_NS_PER_S);
    size_t next = 0;
    fw_registry_each(registry, count_one, &next);
    assert_int_equal(next, MANY / 2);
    assert_int_equal(fw_registry_state(registry, span("77"), 0), FW_WORKER_GONE);
    assert_int_equal(fw_registry_state(registry, span("78"), 500 * FW_NS_PER_S), FW_WORKER_ACTIVE);
    fw_registry_destroy(registry);
    fw_rcu_barrier();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence_makes_inactive_then_gone),
        cmocka_unit_test(C_094_a_new_address_is_taken),
        cmocka_unit_test(C_093_bad_input_is_explained),
        cmocka_unit_test(readers_go_on_meanwhile),
        cmocka_unit_test(states_follow_word_and_silence),
        cmocka_unit_test(silence_and_words_turn_the_state),
        cmocka_unit_test(one_process_registers_once),
        cmocka_unit_test(what_it_says_is_kept),
        cmocka_unit_test(ten_thousand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
