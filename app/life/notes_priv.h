/* app/life/notes_priv.h - the notes from inside: for app/life/progress.c and app/life/attempts.c
 * only. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_NOTES_PRIV_H
#define FW_APP_NOTES_PRIV_H

#include "app/life/notes.h"
#include "app/life/record.h"

_Static_assert((int)FW_NOTE_MAX == (int)FW_LATEST_TEXT_MAX, "a note is a text");

typedef struct fw_attempts fw_attempts;

typedef struct fw_notes {
    /* Immutable. */
    fw_reply_to reply; /* of a lease: where to send it on */
    /* Shared, atomic. */
    fw_atomic(uint32_t) references;    /* the task's, and that of the list below */
    fw_latest progress;                /* done, total, note */
    fw_atomic(int64_t) posted_ns;      /* when an event told it last */
    fw_atomic(unsigned) begun;         /* the last attempt that said so; 0: none */
    fw_atomic(bool) listed;            /* in the list of what is to be sent on */
    fw_atomic(fw_attempts *) attempts; /* NULL: none. Replaced as a whole */
    struct fw_notes *next;             /* in the list; who took it has it */
} fw_notes;

/* The task's, made if there are none and `make`. NULL: none, or no memory. */
fw_notes *fw_notes_of(fw_task *task, bool make);
void fw_notes_release(fw_notes *notes);
void fw_attempts_free(fw_attempts *attempts);

#endif
