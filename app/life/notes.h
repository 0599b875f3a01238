/* app/life/notes.h - what is known of a live task beside its state: how far it is, and how its
 * earlier runs failed.
 *
 * Most tasks have neither, and their record only an empty pointer. The notes are made by whoever
 * first has something to note, and go with the task's memory. Progress is the latest value
 * (base/latest.h). Of a subworker's task it also goes to the control plane, whatever the
 * task says, about ten times a second at most and never without the last value.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_NOTES_H
#define FW_APP_NOTES_H

#include "app/life/lifecycle.h"
#include "base/json.h"
#include "base/latest.h"

enum { FW_ATTEMPTS_KEPT = 8, FW_ATTEMPT_TEXT_MAX = 512, FW_ATTEMPT_WORKER_MAX = 64 };

/* The task's run says how far it is. Any thread of a run, or who hears of it; the caller keeps the
 * task alive. 0 or -FW_ENOMEM. */
int fw_notes_progress(fw_lifecycle *life, fw_task *task, uint64_t done, uint64_t total,
                      fw_span note);
/* What it said last; NULL: nothing. The copy is what the answer points to. In a read section. */
typedef struct fw_progress_copy {
    fw_progress_view view;
    fw_latest_value value;
} fw_progress_copy;
const fw_progress_view *fw_notes_read_progress(fw_task *task, fw_progress_copy *copy);

typedef struct fw_failed_run {
    unsigned attempt;
    fw_span error;
    const char *worker; /* NULL: here */
    unsigned thread;    /* here; UINT_MAX: not known */
    int64_t began_wall_ns, ended_wall_ns;
} fw_failed_run;
/* A run failed, and another one follows or not: who ends runs, one at a time per task. Twice for
 * one attempt counts once. Forgets the progress of the run. */
void fw_notes_failed(fw_task *task, const fw_failed_run *run);
/* [{"attempt": 1, "error": "...", "began_unix": 1.5, "ended_unix": 1.5, "thread": 2}, ...], the
 * last FW_ATTEMPTS_KEPT, or with "worker" instead of "thread". False, and nothing is written: none
 * failed. In a read section. */
bool fw_notes_write_attempts(fw_buffer *out, fw_task *task);
/* "done": 1, "total": 2, "note": "text" */
void fw_progress_write(fw_buffer *out, const fw_progress_view *progress);
/* The current run has begun where it was sent: for who asks when that place has gone. Any thread;
 * the caller keeps the task alive. */
void fw_notes_begun(fw_task *task);
bool fw_notes_has_begun(fw_task *task);
/* Both as members of an object that has some: , "progress": {...}, "attempts": [...] */
void fw_notes_write(fw_buffer *out, fw_task *task);

/* A subworker's: sends on what was said since. One thread, about ten times a second; the answers
 * are the caller's to flush. */
void fw_notes_forward(fw_lifecycle *life);
/* The task's memory goes. */
void fw_notes_drop(fw_task *task);

#endif
