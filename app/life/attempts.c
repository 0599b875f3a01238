/* app/life/attempts.c - how the earlier runs of a task failed: see app/life/notes.h.
 *
 * The list is replaced as a whole, because failures are rare and readers many threads: they see the
 * old one or the new one, in a read section. Bounded by count and by bytes of each text.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "app/life/notes_priv.h"
#include "base/rcu.h"

typedef struct attempt {
    unsigned number;
    uint32_t at, len; /* in the texts */
    int64_t ended_wall_ns;
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
static size_t cut(fw_span text)
{
    size_t len = text.len < FW_ATTEMPT_TEXT_MAX ? text.len : FW_ATTEMPT_TEXT_MAX;
    while (len > 0 && len < text.len && ((unsigned char)text.ptr[len] & 0xc0) == 0x80)
        len--;
    return len;
}

static void append(fw_attempts *to, uint32_t *used, unsigned number, int64_t ended_wall_ns,
                   const char *text, size_t len)
{
    to->items[to->count++] = (attempt){number, *used, (uint32_t)len, ended_wall_ns};
    if (len > 0)
        memcpy(to->texts + *used, text, len);
    *used += (uint32_t)len;
}

/* The old ones without the oldest if there are too many, and the new one. NULL: no memory. */
static fw_attempts *with(const fw_attempts *old, unsigned number, fw_span error,
                         int64_t ended_wall_ns)
{
    unsigned first = old && old->count == FW_ATTEMPTS_KEPT ? 1 : 0;
    unsigned count = old ? old->count : 0;
    size_t bytes = cut(error);
    uint32_t used = 0;
    for (unsigned i = first; i < count; i++)
        bytes += old->items[i].len;
    fw_attempts *all = calloc(1, sizeof *all + bytes);
    if (!all)
        return NULL;
    for (unsigned i = first; i < count; i++)
        append(all, &used, old->items[i].number, old->items[i].ended_wall_ns,
               old->texts + old->items[i].at, old->items[i].len);
    append(all, &used, number, ended_wall_ns, error.ptr, cut(error));
    return all;
}

void fw_notes_failed(fw_task *task, unsigned number, fw_span error, int64_t ended_wall_ns)
{
    fw_notes *notes = fw_notes_of(task, true);
    if (!notes)
        return;
    fw_latest_forget(&notes->progress);
    /* [attempts-list] acquire: the list of who ended the run before. */
    fw_attempts *old = fw_load_acquire(&notes->attempts);
    if (old && old->items[old->count - 1].number == number)
        return;
    fw_attempts *all = with(old, number, error, ended_wall_ns);
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
        fw_buffer_format(out, ", \"ended_unix\": %.3f}", (double)one->ended_wall_ns / 1e9);
    }
    fw_buffer_text(out, "]");
    return true;
}
