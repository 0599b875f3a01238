/* app/trial/record.c - see app/trial/record.h. Covered by tests/app/trial_test.py.
 * SPDX-License-Identifier: Apache-2.0 */
#include "app/trial/record.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/clock.h"

void fw_trial_record_init(fw_trial_record *record)
{
    pthread_condattr_t monotonic;
    *record = (fw_trial_record){.count = 0};
    FW_ASSERT(pthread_mutex_init(&record->lock, NULL) == 0);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    FW_ASSERT(pthread_cond_init(&record->changed, &monotonic) == 0);
    pthread_condattr_destroy(&monotonic);
}

/* An outcome hands its texts out as constants; here they were made. */
static void free_text(const char *text)
{
    free((char *)(uintptr_t)text);
}

static void forget(fw_trial_record *record)
{
    for (size_t i = 0; i < record->outcome.attempt_count; i++)
        free_text(record->attempts[i].error);
    for (size_t i = 0; i < record->outcome.note_count; i++)
        free_text(record->notes[i].note);
    free_text(record->outcome.id);
    free_text(record->outcome.error);
    free_text(record->outcome.result.ptr);
    free(record->attempts);
    free(record->notes);
    record->attempts = NULL;
    record->notes = NULL;
    record->outcome = (fw_test_outcome){.state = FW_PENDING};
}

void fw_trial_record_fini(fw_trial_record *record)
{
    forget(record);
    for (size_t i = 0; i < record->count; i++)
        free(record->counts[i].name);
    free(record->counts);
    pthread_cond_destroy(&record->changed);
    pthread_mutex_destroy(&record->lock);
}

/* NULL: no memory, and nothing is shown. */
static char *copy_of(fw_span text)
{
    char *copy = malloc(text.len + 1);
    if (!copy)
        return NULL;
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return copy;
}

/* One more item of a list of count. NULL: no memory, the list is as it was. */
static void *grown(void *list, size_t count, size_t size)
{
    /* Doubled at each power of two. */
    if ((count & (count - 1)) != 0)
        return list;
    return realloc(list, (count ? 2 * count : 1) * size);
}

void fw_trial_record_watch(fw_trial_record *record, fw_key key, fw_span id)
{
    pthread_mutex_lock(&record->lock);
    forget(record);
    record->key = key;
    record->outcome.id = copy_of(id);
    record->begun_ns = fw_now_ns();
    record->watching = true;
    record->ended = false;
    pthread_mutex_unlock(&record->lock);
}

static bool is_watched(const fw_trial_record *record, fw_key key)
{
    return record->watching && !record->ended && fw_key_equal(record->key, key);
}

static int64_t since_ns(const fw_trial_record *record)
{
    return fw_now_ns() - record->begun_ns;
}

static void count_run(fw_trial_record *record, fw_span name)
{
    size_t i = 0;
    while (i < record->count && !(strlen(record->counts[i].name) == name.len &&
                                  memcmp(record->counts[i].name, name.ptr, name.len) == 0))
        i++;
    if (i == record->count) {
        char *text = copy_of(name);
        fw_trial_count_of *all = grown(record->counts, record->count, sizeof *all);
        if (!text || !all) {
            free(text);
            record->counts = all ? all : record->counts;
            return;
        }
        record->counts = all;
        record->counts[record->count++] = (fw_trial_count_of){text, 0};
    }
    record->counts[i].runs++;
}

static void begun(void *context, fw_task *task, fw_span name, unsigned attempt)
{
    fw_trial_record *record = context;
    fw_test_outcome *o = &record->outcome;
    pthread_mutex_lock(&record->lock);
    count_run(record, name);
    if (is_watched(record, task->key)) {
        fw_test_attempt *all = grown(record->attempts, o->attempt_count, sizeof *all);
        if (all) {
            record->attempts = all;
            all[o->attempt_count++] =
                (fw_test_attempt){.number = (int)attempt, .started_ns = since_ns(record)};
        }
    }
    pthread_mutex_unlock(&record->lock);
}

/* The run that is not over yet; NULL: there is none. */
static fw_test_attempt *current(fw_trial_record *record)
{
    size_t count = record->outcome.attempt_count;
    if (count == 0 || record->attempts[count - 1].ended_ns != 0)
        return NULL;
    return &record->attempts[count - 1];
}

static void failed(void *context, fw_task *task, fw_span error, int64_t delay_ns)
{
    fw_trial_record *record = context;
    pthread_mutex_lock(&record->lock);
    fw_test_attempt *run = is_watched(record, task->key) ? current(record) : NULL;
    if (run) {
        run->ended_ns = since_ns(record);
        run->error = copy_of(error);
        run->wait_ns = delay_ns > 0 ? delay_ns : 1;
    }
    pthread_mutex_unlock(&record->lock);
}

static void progress(void *context, fw_task *task, const fw_progress_view *said)
{
    fw_trial_record *record = context;
    fw_test_outcome *o = &record->outcome;
    pthread_mutex_lock(&record->lock);
    fw_test_note *all = NULL;
    char *note = NULL;
    if (is_watched(record, task->key))
        all = grown(record->notes, o->note_count, sizeof *all);
    if (all) {
        record->notes = all;
        note = copy_of(said->note);
    }
    if (note) {
        /* Relaxed: it runs, so it is not changed. */
        all[o->note_count++] = (fw_test_note){.attempt = (int)fw_load_relaxed(&task->attempt),
                                              .at_ns = since_ns(record),
                                              .done = said->done,
                                              .total = said->total,
                                              .note = note};
    }
    pthread_mutex_unlock(&record->lock);
}

static void end(fw_trial_record *record, const fw_cache_item *item)
{
    fw_test_outcome *o = &record->outcome;
    fw_test_attempt *run = current(record);
    fw_span result = item->result.len > 0 ? item->result : (fw_span){"null", 4};
    o->state = item->status;
    o->ended_ns = since_ns(record);
    o->result = (fw_span){copy_of(result), result.len};
    if (!o->result.ptr)
        o->result.len = 0;
    if (item->status != FW_SUCCESS)
        o->error = copy_of(item->error);
    if (run) {
        run->ended_ns = o->ended_ns;
        if (item->status != FW_SUCCESS)
            run->error = copy_of(item->error);
    }
    record->ended = true;
    pthread_cond_signal(&record->changed);
}

static void ended(void *context, const fw_cache_item *item)
{
    fw_trial_record *record = context;
    pthread_mutex_lock(&record->lock);
    if (is_watched(record, item->key))
        end(record, item);
    pthread_mutex_unlock(&record->lock);
}

void fw_trial_record_end(fw_trial_record *record, const fw_cache_item *item)
{
    ended(record, item);
}

fw_observer fw_trial_record_observer(fw_trial_record *record)
{
    return (fw_observer){
        .context = record, .begun = begun, .failed = failed, .progress = progress, .ended = ended};
}

bool fw_trial_record_wait(fw_trial_record *record, int64_t real_ns)
{
    int64_t at_ns = fw_machine_ns(fw_now_ns()) + real_ns;
    const struct timespec at = {(time_t)(at_ns / FW_NS_PER_S), (long)(at_ns % FW_NS_PER_S)};
    pthread_mutex_lock(&record->lock);
    if (!record->ended && real_ns > 0)
        pthread_cond_timedwait(&record->changed, &record->lock, &at);
    bool over = record->ended;
    record->outcome.attempts = record->attempts;
    record->outcome.notes = record->notes;
    pthread_mutex_unlock(&record->lock);
    return over;
}

uint64_t fw_trial_record_count(fw_trial_record *record, const char *task)
{
    uint64_t runs = 0;
    pthread_mutex_lock(&record->lock);
    for (size_t i = 0; i < record->count; i++)
        if (strcmp(record->counts[i].name, task) == 0)
            runs = record->counts[i].runs;
    pthread_mutex_unlock(&record->lock);
    return runs;
}
