/* app/life/attempts.c - how the earlier runs of a task failed: see app/life/notes.h.
 *
 * The list is replaced as a whole, because failures are rare and readers many threads: they see the
 * old one or the new one, in a read section. Bounded by count and by bytes of each text.
 * SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "app/life/notes_priv.h"
#include "base/rcu.h"

typedef struct attempt {
    unsigned number, thread;
    uint32_t at, len, worker_len; /* in the texts: the error, behind it the worker */
    int64_t began_wall_ns, ended_wall_ns;
} attempt;

/* Immutable once it is published. */
struct fw_attempts {
    unsigned count;
    attempt items[FW_ATTEMPTS_KEPT]; /* the latest is last */
    char texts[];
};

static void free_one(void *object)
{
    free(object);
}

void fw_attempts_free(fw_attempts *attempts)
{
    free(attempts);
}

/* Not inside a UTF-8 sequence. */
static size_t cut(fw_span text, size_t most)
{
    size_t len = text.len < most ? text.len : most;
    while (len > 0 && len < text.len && ((unsigned char)text.ptr[len] & 0xc0) == 0x80)
        len--;
    return len;
}

/* one: its texts are error, and worker; where they go is filled in. */
static void append(fw_attempts *to, uint32_t *used, attempt one, const char *error,
                   const char *worker)
{
    one.at = *used;
    to->items[to->count++] = one;
    if (one.len > 0)
        memcpy(to->texts + *used, error, one.len);
    *used += one.len;
    if (one.worker_len > 0)
        memcpy(to->texts + *used, worker, one.worker_len);
    *used += one.worker_len;
}

/* The old ones without the oldest if there are too many, and the new one. NULL: no memory. */
static fw_attempts *with(const fw_attempts *old, const fw_failed_run *run)
{
    unsigned first = old && old->count == FW_ATTEMPTS_KEPT ? 1 : 0;
    unsigned count = old ? old->count : 0;
    fw_span worker = {run->worker, run->worker ? strlen(run->worker) : 0};
    attempt now = {.number = run->attempt,
                   .thread = run->thread,
                   .len = (uint32_t)cut(run->error, FW_ATTEMPT_TEXT_MAX),
                   .worker_len = (uint32_t)cut(worker, FW_ATTEMPT_WORKER_MAX),
                   .began_wall_ns = run->began_wall_ns,
                   .ended_wall_ns = run->ended_wall_ns};
    size_t bytes = now.len + now.worker_len;
    uint32_t used = 0;
    for (unsigned i = first; i < count; i++)
        bytes += old->items[i].len + old->items[i].worker_len;
    fw_attempts *all = calloc(1, sizeof *all + bytes);
    if (!all)
        return NULL;
    for (unsigned i = first; i < count; i++) {
        const char *text = old->texts + old->items[i].at;
        append(all, &used, old->items[i], text, text + old->items[i].len);
    }
    append(all, &used, now, run->error.ptr, worker.ptr);
    return all;
}

void fw_notes_failed(fw_task *task, const fw_failed_run *run)
{
    fw_notes *notes = fw_notes_of(task, true);
    if (!notes)
        return;
    fw_latest_forget(&notes->progress);
    /* [attempts-list] acquire: the list of who ended the run before. */
    fw_attempts *old = fw_load_acquire(&notes->attempts);
    if (old && old->items[old->count - 1].number == run->attempt)
        return;
    fw_attempts *all = with(old, run);
    /* Two may decide about one run, its end and its deadline: the first one's word is kept.
     * [attempts-list] acquire, release: the list. */
    if (all && !fw_cas_acq_rel(&notes->attempts, &old, all))
        free(all);
    else if (all && old)
        fw_rcu_retire(old, free_one);
}

bool fw_notes_write_attempts(fw_buffer *out, fw_task *task)
{
    const fw_notes *notes = fw_notes_of(task, false);
    /* [attempts-list] acquire: the list. */
    const fw_attempts *all = notes ? fw_load_acquire(&notes->attempts) : NULL;
    if (!all)
        return false;
    for (unsigned i = 0; i < all->count; i++) {
        const attempt *one = &all->items[i];
        fw_buffer_format(out, "%s{\"attempt\": %u, \"error\": ", i > 0 ? ", " : "[", one->number);
        fw_buffer_json_string(out, (fw_span){all->texts + one->at, one->len});
        if (one->began_wall_ns != 0)
            fw_buffer_format(out, ", \"began_unix\": %.6f", (double)one->began_wall_ns / 1e9);
        fw_buffer_format(out, ", \"ended_unix\": %.6f", (double)one->ended_wall_ns / 1e9);
        if (one->worker_len > 0) {
            fw_buffer_text(out, ", \"worker\": ");
            fw_buffer_json_string(out, (fw_span){all->texts + one->at + one->len, one->worker_len});
        } else if (one->thread != UINT_MAX) {
            fw_buffer_format(out, ", \"thread\": %u", one->thread);
        }
        fw_buffer_text(out, "}");
    }
    fw_buffer_text(out, "]");
    return true;
}
