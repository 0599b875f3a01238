/* engine/call.h - one run of a task function: what fw_call is made of, and where its memory comes
 * from.
 *
 * A fw_call lives on the stack of fw_call_run. What is handed out (strings, results, error texts)
 * lives in the thread's arena and text buffer, which stay from call to call. The outcome is what
 * the function said last; a negative return value makes it a failure in any case.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_ENGINE_CALL_H
#define FW_ENGINE_CALL_H

#include <stdbool.h>

#include "base/json.h"
#include "engine/arena.h"
#include "engine/bell.h"
#include "engine/modules.h"

enum {
    FW_CALL_TEXT_KEEP = 256 * 1024, /* bytes of result kept from call to call */
    FW_CALL_ERROR_MAX = 64 * 1024,  /* bytes of an error text */
    FW_CALL_NOTE_MAX = 120          /* bytes of a progress note */
};

/* Owner only: one task thread. */
typedef struct fw_call_thread {
    fw_arena arena;
    fw_buffer text;  /* the result or the error of the last call */
    fw_buffer aside; /* what `after` says */
    bool running;
    bool has_id;
    char id[FW_ID_MAX + 1];
    fw_bell bell; /* shared: see there */
} fw_call_thread;

typedef enum fw_outcome { FW_OUTCOME_NONE = 0, FW_OUTCOME_RESULT, FW_OUTCOME_ERROR } fw_outcome;

struct fw_call {
    /* Immutable while it runs; other threads may read them (fw_cancelled). */
    const fw_call_input *input;
    const fw_task_entry *entry;
    void *state, *tls;
    fw_call_thread *thread;
    /* Owner only. */
    fw_outcome outcome;
    fw_again again;
    int64_t again_ms;
    fw_span told; /* to `after` */
};

/* The id as text: the task's own, or the key's in `buffer`. */
static inline fw_span fw_call_input_id(const fw_call_input *input, char buffer[FW_UUID_TEXT])
{
    if (input->id.len > 0)
        return input->id;
    fw_key_format(buffer, input->key);
    return (fw_span){buffer, FW_UUID_TEXT};
}

/* Of zeroed memory; `bell` may be in use already. False: no memory. */
bool fw_call_thread_init(fw_call_thread *thread);
void fw_call_thread_fini(fw_call_thread *thread);
/* Runs the entry's function. state and tls are its module's. The output is valid until the next
 * run. */
void fw_call_run(fw_call_thread *thread, fw_call_output *output, const fw_task_entry *entry,
                 void *state, void *tls, const fw_call_input *input);

/* Makes the call's descriptor readable, if it has one and is cancelled. Any thread. */
static inline void fw_call_wake(fw_call_thread *thread)
{
    fw_bell_ring(&thread->bell);
}

/* Building an error text piece by piece: begin empties and returns the thread's text; end makes it
 * the call's outcome and this thread's fw_errmsg, and returns -FW_EINVAL. */
fw_buffer *fw_call_error_begin(fw_call *call);
int fw_call_error_end(fw_call *call);
/* The longest beginning of at most max bytes that does not end inside a UTF-8 sequence. */
size_t fw_call_cut_text(const char *text, size_t len, size_t max);
/* What fw_errmsg returns on this thread from now on; cut to what fits. */
void fw_errmsg_set(const char *text, size_t len);

#endif
