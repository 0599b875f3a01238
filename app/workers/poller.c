/* app/workers/poller.c - see app/workers/poller.h.
 *
 * Key invariants: P1 a ticket is taken out under the poller's lock by whoever answers it; P2 a
 * lease is in the table from the answer that gives it to its end, its lapse, or the unit's end, and
 * whoever takes it out of the table claims it; P3 the lock is not
 * held when the dispatcher is called, because it may call back. Covered by
 * tests/app/worker_api_test.py. SPDX-License-Identifier: Apache-2.0 */
#include "app/workers/poller.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/events/event_posts.h"
#include "app/life/lifecycle_parts.h"
#include "app/life/notes.h"
#include "app/life/task_options.h"
#include "app/workers/poller_unit.h"
#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/rcu.h"

typedef struct held {
    uint64_t lease;
    int64_t given_ns, renewed_ns;
} held;

typedef struct fw_poller {
    pthread_mutex_t lock;
    bool waits; /* ticket is good */
    fw_web_ticket ticket;
    int64_t until_ns, lease_ns;
    unsigned most, count;
    held leases[];
} fw_poller;

struct fw_poller *fw_poller_create(unsigned most)
{
    fw_poller *poller = calloc(1, sizeof *poller + most * sizeof poller->leases[0]);
    if (!poller)
        return NULL;
    FW_ASSERT(pthread_mutex_init(&poller->lock, NULL) == 0);
    poller->most = most;
    return poller;
}

void fw_poller_free(struct fw_poller *poller)
{
    if (!poller)
        return;
    FW_ASSERT(!poller->waits);
    pthread_mutex_destroy(&poller->lock);
    free(poller);
}

/* --- the names of leases --- */

static unsigned run_of(const fw_workers *workers)
{
    const char *epoch = fw_net_epoch(workers->life->net);
    return (unsigned)fw_key_from_text((fw_span){epoch, strlen(epoch)}).low;
}

static int write_lease(const fw_unit *unit, uint64_t lease, char text[FW_LEASE_TEXT])
{
    return snprintf(text, FW_LEASE_TEXT, "%08x-%x-%016llx", run_of(unit->workers), unit->place,
                    (unsigned long long)lease);
}

/* The unit that has that place now, if it is a poller. In a read section. */
static fw_unit *find_lease(fw_workers *workers, fw_span text, uint64_t *lease)
{
    char copy[FW_LEASE_TEXT];
    unsigned run, place;
    unsigned long long number;
    int end = 0;
    if (text.len >= sizeof copy)
        return NULL;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    if (sscanf(copy, "%8x-%x-%16llx%n", &run, &place, &number, &end) != 3 ||
        (size_t)end != text.len || run != run_of(workers) || place > FW_PLACES_MAX)
        return NULL;
    *lease = number;
    /* [unit-place] acquire: the unit; it stays while we are in a read section. */
    fw_unit *unit = fw_load_acquire(&workers->by_place[place]);
    return unit && unit->poller ? unit : NULL;
}

/* Under the lock. */
static held *lease_in(fw_poller *poller, uint64_t lease)
{
    for (unsigned i = 0; i < poller->count; i++) {
        if (poller->leases[i].lease == lease)
            return &poller->leases[i];
    }
    return NULL;
}

/* Takes it out of the table. => false: it is not there. */
static bool take_out(fw_poller *poller, uint64_t lease, held *out)
{
    pthread_mutex_lock(&poller->lock);
    held *found = lease_in(poller, lease);
    if (found) {
        *out = *found;
        *found = poller->leases[--poller->count];
    }
    pthread_mutex_unlock(&poller->lock);
    return found != NULL;
}

/* --- answers --- */

static void add_span(fw_buffer *out, const char *before, fw_span json)
{
    fw_buffer_text(out, before);
    fw_buffer_add(out, json.ptr, json.len);
}

static void write_task(fw_buffer *out, const fw_unit *unit, const fw_handout *handout)
{
    char id[FW_UUID_TEXT], lease[FW_LEASE_TEXT], error[FW_TASK_OPTIONS_ERROR];
    fw_task *task = handout->task;
    fw_task_options options;
    bool has = fw_task_options_read(&options, fw_record_options(task), error);
    write_lease(unit, handout->lease, lease);
    fw_buffer_format(out, "{\"lease\": \"%s\", \"id\": ", lease);
    fw_buffer_json_string(out, fw_record_id(task, id));
    fw_buffer_text(out, ", \"name\": ");
    fw_buffer_json_string(out, fw_name_text(fw_names_at(unit->workers->life->names, task->name)));
    add_span(out, ", \"args\": ", fw_record_args(task));
    add_span(out, ", \"kwargs\": ", fw_record_kwargs(task));
    fw_buffer_format(out, ", \"priority\": \"%s\", \"attempt\": %u, \"timeout\": ",
                     fw_prio_name((fw_prio)task->level), handout->attempt);
    if (fw_record_of(task)->limited)
        fw_buffer_json_double(out, (double)task->timeout_ns / 1e9);
    else
        fw_buffer_text(out, "null");
    add_span(out, ", \"headers\": ",
             has && options.headers.len > 0 ? options.headers : (fw_span){"{}", 2});
    fw_buffer_text(out, "}");
}

static void answer(const fw_web_ticket *ticket, const fw_unit *unit, const fw_handout *handouts,
                   size_t count)
{
    fw_web_answer reply = fw_web_answer_begin();
    fw_buffer_text(&reply.body, "{\"tasks\": [");
    for (size_t i = 0; i < count; i++) {
        fw_buffer_text(&reply.body, i == 0 ? "" : ", ");
        write_task(&reply.body, unit, &handouts[i]);
    }
    fw_buffer_text(&reply.body, "]}");
    fw_web_answer_later(ticket, &reply);
}

/* => true: the caller has the ticket. */
static bool take_ticket(fw_poller *poller, fw_web_ticket *ticket)
{
    pthread_mutex_lock(&poller->lock);
    bool waits = poller->waits;
    poller->waits = false;
    *ticket = poller->ticket;
    pthread_mutex_unlock(&poller->lock);
    return waits;
}

static void answer_empty(fw_unit *unit)
{
    fw_web_ticket ticket;
    if (take_ticket(unit->poller, &ticket))
        answer(&ticket, unit, NULL, 0);
}

static bool wants_tasks(fw_unit *unit)
{
    pthread_mutex_lock(&unit->poller->lock);
    bool waits = unit->poller->waits;
    pthread_mutex_unlock(&unit->poller->lock);
    /* Relaxed: a flag; one who is drained waits and gets nothing. */
    return waits && !fw_load_relaxed(&unit->held);
}

/* Tells the dispatcher what is true. Polls come and go on several threads: whoever has told it
 * looks again, so the last one to tell has told the truth. */
static void tell(fw_unit *unit)
{
    bool told;
    do {
        told = wants_tasks(unit);
        fw_dispatch_pause(unit->workers->engine, unit->place, !told);
    } while (told != wants_tasks(unit));
}

static void stop_waiting(fw_unit *unit)
{
    answer_empty(unit);
    tell(unit);
    fw_dispatch_flush(unit->workers->engine);
}

void fw_poller_close(fw_unit *unit)
{
    answer_empty(unit);
}

/* --- tasks for it --- */

/* => how many of them the poll that waits takes; then the ticket is the caller's. */
static size_t accept(fw_poller *poller, const fw_handout *handouts, size_t count,
                     fw_web_ticket *ticket)
{
    int64_t now_ns = fw_now_ns();
    pthread_mutex_lock(&poller->lock);
    size_t room = poller->waits ? poller->most - poller->count : 0;
    size_t n = count < room ? count : room;
    for (size_t i = 0; i < n; i++)
        poller->leases[poller->count++] = (held){handouts[i].lease, now_ns, now_ns};
    if (n > 0) {
        poller->waits = false;
        *ticket = poller->ticket;
    }
    pthread_mutex_unlock(&poller->lock);
    return n;
}

void fw_poller_send(fw_unit *unit, const fw_handout *handouts, size_t count)
{
    fw_engine *engine = unit->workers->engine;
    fw_web_ticket ticket;
    size_t n = accept(unit->poller, handouts, count, &ticket);
    fw_post_starts(unit, handouts, n);
    if (n > 0)
        answer(&ticket, unit, handouts, n);
    for (size_t i = n; i < count; i++) {
        fw_task *task = fw_dispatch_claim(engine, unit->place, handouts[i].lease);
        if (task)
            fw_dispatch_return(engine, task, handouts[i].lease, false);
    }
    tell(unit);
}

/* --- polls --- */

/* The names as numbers, ascending. NULL: no memory. */
static uint32_t *numbers_of(fw_workers *workers, fw_json tasks, size_t *count)
{
    uint32_t *numbers = malloc((fw_json_count(tasks) + 1) * sizeof *numbers);
    char room[6 * FW_NAME_MAX + 2];
    fw_span text;
    fw_json value;
    *count = 0;
    if (!numbers)
        return NULL;
    for (fw_json_cursor at = fw_json_open(tasks); fw_json_next(&at, &value);) {
        const fw_name *name = NULL;
        if (fw_json_string(value, room, sizeof room, &text))
            name = fw_names_add(workers->life->names, text);
        if (!name)
            continue;
        fw_name_announce(name);
        numbers[(*count)++] = name->index;
    }
    *count = fw_unit_sort_names(numbers, *count);
    return numbers;
}

static bool asks_the_same(fw_workers *workers, const fw_unit *unit, const fw_poll *poll)
{
    size_t count = 0;
    if (unit->slots != poll->most || unit->any != (poll->tasks.type != FW_JSON_ARRAY))
        return false;
    if (unit->any)
        return true;
    uint32_t *numbers = numbers_of(workers, poll->tasks, &count);
    bool same = numbers && count == unit->name_count &&
                memcmp(numbers, unit->names, count * sizeof *numbers) == 0;
    free(numbers);
    return same;
}

static fw_unit *create(fw_workers *workers, const fw_poll *poll)
{
    fw_unit *unit = calloc(1, sizeof *unit);
    if (!unit)
        return NULL;
    unit->workers = workers;
    unit->slots = poll->most;
    unit->any = poll->tasks.type != FW_JSON_ARRAY;
    unit->poller = fw_poller_create(poll->most);
    if (!unit->any)
        unit->names = numbers_of(workers, poll->tasks, &unit->name_count);
    snprintf(unit->id, sizeof unit->id, "%.*s", (int)poll->worker.len, poll->worker.ptr);
    snprintf(unit->address, sizeof unit->address, "http://%.60s", poll->peer);
    snprintf(unit->software, sizeof unit->software, "http");
    if (unit->poller && (unit->any || unit->names))
        return unit;
    fw_unit_free(unit);
    return NULL;
}

/* The unit of that poll, opened if there is none. NULL: error says why. In a read section. */
static fw_unit *unit_of(fw_workers *workers, const fw_poll *poll, int *status, char *error,
                        size_t capacity)
{
    fw_unit *unit = fw_unit_find(workers, poll->worker);
    *status = 409;
    if (unit && !unit->poller) {
        snprintf(error, capacity, "a worker of another kind is connected under this id");
        return NULL;
    }
    if (unit && asks_the_same(workers, unit, poll))
        return unit;
    if (unit) {
        pthread_mutex_lock(&unit->poller->lock);
        bool busy = unit->poller->count > 0;
        pthread_mutex_unlock(&unit->poller->lock);
        if (busy) {
            snprintf(error, capacity,
                     "tasks and max of a worker may change when it has nothing in hand");
            return NULL;
        }
        fw_unit_end(unit, "asks for other tasks now");
    }
    *status = 503;
    fw_dispatch_begin(workers->engine);
    unit = create(workers, poll);
    bool opened = unit && fw_unit_open(workers, unit);
    if (!opened)
        snprintf(error, capacity,
                 "the control plane ends, has no memory, or you ask twice at once");
    if (unit && !opened)
        fw_unit_free(unit);
    return opened ? unit : NULL;
}

/* Shown as a worker, and forgotten when it has not been heard of for long. */
static bool note(fw_workers *workers, const fw_poll *poll, char *error, size_t capacity)
{
    char address[128];
    int len = snprintf(address, sizeof address, "http://%.60s", poll->peer);
    fw_registration registration = {.id = poll->worker,
                                    .address = {address, (size_t)len},
                                    .status = {"active", 6},
                                    .concurrency = poll->most,
                                    .reply = {.form = FW_REPLY_NONE}};
    return fw_registry_note(workers->registry, error, capacity, &registration, fw_now_ns()) >= 0;
}

static void wait_for_tasks(fw_unit *unit, const fw_poll *poll, const fw_web_ticket *ticket)
{
    fw_poller *poller = unit->poller;
    answer_empty(unit); /* of two polls the later one counts */
    pthread_mutex_lock(&poller->lock);
    poller->ticket = *ticket;
    poller->waits = true;
    poller->until_ns = fw_now_ns() + poll->wait_ns;
    poller->lease_ns = poll->lease_ns;
    pthread_mutex_unlock(&poller->lock);
    tell(unit);
    fw_dispatch_flush(unit->workers->engine);
    if (poll->wait_ns == 0)
        stop_waiting(unit);
}

bool fw_poller_poll(fw_workers *workers, const fw_poll *poll, const fw_web_ticket *ticket,
                    int *status, char *error, size_t capacity)
{
    fw_rcu_read_lock();
    fw_unit *unit = unit_of(workers, poll, status, error, capacity);
    if (unit && !note(workers, poll, error, capacity)) {
        *status = 400;
        fw_unit_end(unit, error);
        unit = NULL;
    }
    /* Whoever ended it meanwhile has answered nobody: the turn would not come to it any more. */
    if (unit)
        wait_for_tasks(unit, poll, ticket);
    if (unit && fw_unit_is_down(unit))
        answer_empty(unit);
    fw_rcu_read_unlock();
    return unit != NULL;
}

/* --- leases --- */

static void settle(fw_workers *workers)
{
    fw_dispatch_flush(workers->engine);
    fw_net_flush(workers->life->net);
}

bool fw_poller_end(fw_workers *workers, fw_span text, const fw_result_view *end)
{
    uint64_t lease = 0;
    held h;
    fw_rcu_read_lock();
    fw_unit *unit = find_lease(workers, text, &lease);
    fw_task *task = NULL;
    if (unit && take_out(unit->poller, lease, &h))
        task = fw_dispatch_claim(workers->engine, unit->place, lease);
    if (task && !end) {
        fw_dispatch_return(workers->engine, task, lease, false);
    } else if (task) {
        int64_t ran_ns = fw_now_ns() - h.given_ns;
        fw_lifecycle_note_result(end, ran_ns);
        fw_post_from(unit->id);
        fw_dispatch_end(workers->engine, task, lease, end->status == FW_SUCCESS, ran_ns);
        fw_post_from(NULL);
    }
    fw_rcu_read_unlock();
    settle(workers);
    return task != NULL;
}

bool fw_poller_beat(fw_workers *workers, fw_span text, const fw_progress_view *progress,
                    bool *cancel, int64_t *lease_ns)
{
    uint64_t lease = 0;
    fw_task *task = NULL;
    fw_rcu_read_lock();
    fw_unit *unit = find_lease(workers, text, &lease);
    if (unit) {
        pthread_mutex_lock(&unit->poller->lock);
        held *h = lease_in(unit->poller, lease);
        if (h)
            h->renewed_ns = fw_now_ns();
        *lease_ns = unit->poller->lease_ns;
        pthread_mutex_unlock(&unit->poller->lock);
        if (h)
            task = fw_dispatch_peek(workers->engine, unit->place, lease);
        fw_registry_touch(workers->registry, (fw_span){unit->id, strlen(unit->id)}, fw_now_ns());
    }
    *cancel = task && fw_task_cancel_requested(task);
    if (task && progress)
        (void)fw_notes_progress(workers->life, task, progress->done, progress->total,
                                progress->note);
    fw_rcu_read_unlock();
    return task != NULL;
}

/* --- the main thread --- */

/* One lease that has lapsed. => false: there is none. */
static bool lapse_one(fw_unit *unit, int64_t now_ns)
{
    fw_poller *poller = unit->poller;
    fw_engine *engine = unit->workers->engine;
    uint64_t lease = 0;
    held h;
    pthread_mutex_lock(&poller->lock);
    for (unsigned i = 0; i < poller->count && lease == 0; i++) {
        if (now_ns - poller->leases[i].renewed_ns > poller->lease_ns)
            lease = poller->leases[i].lease;
    }
    pthread_mutex_unlock(&poller->lock);
    if (lease == 0 || !take_out(poller, lease, &h))
        return false;
    fw_task *task = fw_dispatch_claim(engine, unit->place, lease);
    if (task) {
        static const char why[] = "its lease was not renewed";
        fw_log(FW_LOG_WARN, "worker.lapsed", "%s: %s", unit->id, why);
        pthread_mutex_lock(&unit->workers->lock);
        memcpy(unit->why, why, sizeof why);
        pthread_mutex_unlock(&unit->workers->lock);
        fw_dispatch_lose(engine, task, lease);
    }
    return true;
}

void fw_poller_turn(fw_unit *unit, int64_t now_ns)
{
    fw_poller *poller = unit->poller;
    pthread_mutex_lock(&poller->lock);
    bool over = poller->waits && now_ns >= poller->until_ns;
    pthread_mutex_unlock(&poller->lock);
    if (over)
        stop_waiting(unit);
    while (lapse_one(unit, now_ns))
        ;
}
