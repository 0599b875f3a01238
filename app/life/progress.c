/* app/life/progress.c - the notes of a task, and its progress in them: see app/life/notes.h.
 *
 * The list of what is to be sent on is a stack that many push to and one takes as a whole. Whoever
 * puts notes into it has set `listed` from false to true; the taker sets it back before it reads,
 * so a value that comes later lists them again.
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "app/events/event_posts.h"
#include "app/life/notes_priv.h"
#include "base/assert.h"
#include "base/clock.h"

static const int64_t post_gap_ns = 100 * FW_NS_PER_MS;

/* --- the notes --- */

static fw_notes *make(fw_task *task)
{
    fw_notes *notes = calloc(1, sizeof *notes);
    if (!notes)
        return NULL;
    notes->reply = fw_record_first(task);
    fw_store_relaxed(&notes->references, 1);
    fw_notes *before = NULL;
    /* [task-notes] acquire, release: the notes as they were made, by whoever was first. */
    if (fw_cas_acq_rel(&fw_record_of(task)->notes, &before, notes))
        return notes;
    free(notes);
    return before;
}

fw_notes *fw_notes_of(fw_task *task, bool make_some)
{
    /* [task-notes] acquire: the notes as they were made. */
    fw_notes *notes = fw_load_acquire(&fw_record_of(task)->notes);
    return notes || !make_some ? notes : make(task);
}

void fw_notes_release(fw_notes *notes)
{
    /* [notes-references] acquire, release: what the others did with it. */
    if (fw_sub_acq_rel(&notes->references, 1) != 1)
        return;
    /* Relaxed: nobody else is left. */
    fw_attempts_free(fw_load_relaxed(&notes->attempts));
    free(notes);
}

void fw_notes_drop(fw_task *task)
{
    /* Relaxed: nobody else has the task. */
    fw_notes *notes = fw_load_relaxed(&fw_record_of(task)->notes);
    if (FW_UNLIKELY(notes != NULL))
        fw_notes_release(notes);
}

/* --- what a task said --- */

static bool get(const fw_notes *notes, fw_progress_copy *copy)
{
    if (!fw_latest_get(&notes->progress, &copy->value))
        return false;
    copy->view = (fw_progress_view){
        copy->value.first, copy->value.second, {copy->value.text, copy->value.len}};
    return true;
}

const fw_progress_view *fw_notes_read_progress(fw_task *task, fw_progress_copy *copy)
{
    const fw_notes *notes = fw_notes_of(task, false);
    return notes && get(notes, copy) ? &copy->view : NULL;
}

void fw_progress_write(fw_buffer *out, const fw_progress_view *progress)
{
    fw_buffer_format(out,
                     "\"done\": %" PRIu64 ", \"total\": %" PRIu64 ", \"note\": ", progress->done,
                     progress->total);
    fw_buffer_json_string(out, progress->note);
}

void fw_notes_begun(fw_task *task)
{
    fw_notes *notes = fw_notes_of(task, true);
    /* Relaxed, both: a number that stands alone. Without memory it counts as not begun. */
    if (notes)
        fw_store_relaxed(&notes->begun, fw_load_relaxed(&task->attempt));
}

bool fw_notes_has_begun(fw_task *task)
{
    const fw_notes *notes = fw_notes_of(task, false);
    /* Relaxed, both: as above. */
    return notes && fw_load_relaxed(&notes->begun) == fw_load_relaxed(&task->attempt);
}

/* --- sending it on --- */

static void list(fw_lifecycle *life, fw_notes *notes)
{
    /* [progress-listed] acquire, release: the value, to who takes the list. */
    if (fw_swap_acq_rel(&notes->listed, true))
        return;
    /* Relaxed: the caller keeps the task alive, and the task these. */
    fw_add_relaxed(&notes->references, 1);
    /* Relaxed: the swap checks it. */
    fw_notes *first = fw_load_relaxed(&life->told);
    do
        notes->next = first;
    /* [progress-told] release: the notes and the one behind them. */
    while (!fw_cas_release(&life->told, &first, notes));
}

/* Those who listen to events hear of it ten times a second, and of its end. */
static void post(fw_lifecycle *life, fw_task *task, fw_notes *notes,
                 const fw_progress_view *progress)
{
    int64_t now_ns = fw_now_ns();
    if (life->observer)
        life->observer->progress(life->observer->context, task, progress);
    /* Relaxed, both: one event more or less. */
    if (now_ns - fw_load_relaxed(&notes->posted_ns) < post_gap_ns &&
        (progress->total == 0 || progress->done < progress->total))
        return;
    fw_store_relaxed(&notes->posted_ns, now_ns);
    fw_buffer fields = {0};
    fw_progress_write(&fields, progress);
    if (!fields.failed)
        fw_post_progress(life, task, (fw_span){fields.data, fields.len});
    fw_buffer_fini(&fields);
}

int fw_notes_progress(fw_lifecycle *life, fw_task *task, uint64_t done, uint64_t total,
                      fw_span note)
{
    fw_notes *notes = fw_notes_of(task, true);
    if (!notes)
        return -FW_ENOMEM;
    if (!fw_latest_set(&notes->progress, done, total, note))
        return 0;
    if (notes->reply.form == FW_REPLY_LEASE)
        list(life, notes);
    else if (fw_is_heard(life))
        post(life, task, notes, &(fw_progress_view){done, total, note});
    return 0;
}

void fw_notes_forward(fw_lifecycle *life)
{
    fw_progress_copy copy;
    /* Relaxed: looked at ten times a second. */
    if (!fw_load_relaxed(&life->told))
        return;
    /* [progress-told] acquire: the notes and those behind them. */
    fw_notes *notes = fw_swap_acquire(&life->told, (fw_notes *)NULL);
    while (notes) {
        fw_notes *next = notes->next;
        /* [progress-listed] acquire, release: the value that listed it. */
        (void)fw_swap_acq_rel(&notes->listed, false);
        fw_result_view view = {.status = FW_RUNNING, .progress = &copy.view};
        if (get(notes, &copy) && life->net)
            fw_net_answer_result(life->net, &notes->reply, &view);
        fw_notes_release(notes);
        notes = next;
    }
}

/* --- showing it --- */

void fw_notes_write(fw_buffer *out, fw_task *task)
{
    fw_progress_copy copy;
    size_t before = out->len;
    if (fw_task_state(task) == FW_RUNNING && fw_notes_read_progress(task, &copy)) {
        fw_buffer_text(out, ", \"progress\": {");
        fw_progress_write(out, &copy.view);
        fw_buffer_text(out, "}");
        before = out->len;
    }
    fw_buffer_text(out, ", \"attempts\": ");
    if (!fw_notes_write_attempts(out, task))
        out->len = before;
}
