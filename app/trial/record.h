/* app/trial/record.h - what a trial sees of tasks: the runs of one of them, and how many there were
 * of all.
 *
 * Written by the observer on any thread, read by the trial's; one lock. Texts and lists are the
 * record's own and stay as they are once the task has ended.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_TRIAL_RECORD_H
#define FW_APP_TRIAL_RECORD_H

#include <pthread.h>
#include <stdbool.h>

#include "app/life/observer.h"
#include "fastworker/test.h"

typedef struct fw_trial_count {
    char *name;
    uint64_t runs;
} fw_trial_count_of;

typedef struct fw_trial_record {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Under the lock. */
    bool watching, ended;
    fw_key key;
    int64_t begun_ns;
    fw_test_outcome outcome;
    fw_test_attempt *attempts;
    fw_test_note *notes;
    fw_trial_count_of *counts;
    size_t count;
} fw_trial_record;

void fw_trial_record_init(fw_trial_record *record);
void fw_trial_record_fini(fw_trial_record *record);
/* The observer that writes it. */
fw_observer fw_trial_record_observer(fw_trial_record *record);

/* Forgets the last task and watches this one. */
void fw_trial_record_watch(fw_trial_record *record, fw_key key, fw_span id);
/* It had ended before. */
void fw_trial_record_end(fw_trial_record *record, const fw_cache_item *item);
/* Whether it has ended; waits up to so many nanoseconds of real time for that. */
bool fw_trial_record_wait(fw_trial_record *record, int64_t real_ns);
uint64_t fw_trial_record_count(fw_trial_record *record, const char *task);

#endif
