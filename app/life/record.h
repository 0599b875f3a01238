/* app/life/record.h - what a task's payload means: what was asked for, and who first asked.
 *
 * The engine keeps the bytes and does not look. A record is written once, before the task is
 * admitted, and read only afterwards; further askers hang on the task's waiter list
 * (app/life/waiters).
 * Layout: the fixed part, then the extras if any, the lengths unless they are small, then args,
 * kwargs, callback, (for ids that are no UUID) the id, and the options, back to back. Every queued
 * task has the fixed part, so it has no byte too many.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_RECORD_H
#define FW_APP_RECORD_H

#include "app/life/names.h"
#include "engine/engine.h"
#include "net/net.h"

/* Rare; present only when one of them is not its default. */
typedef struct fw_record_extras {
    int64_t eta_wall_ns, result_ttl_ns;
    int32_t retry_count, max_retries;
    double retry_delay_s, retry_backoff, retry_backoff_max_s;
    uint32_t options_len; /* 0: none */
    struct fw_node *node; /* that may hold the task (app/compose/graph.h); NULL: none */
    int64_t begin_by_ns;  /* monotonic; 0: whenever */
} fw_record_extras;

/* In the flags of a reply of form FW_REPLY_NONE: a schedule is told the end (app/schedules). */
enum { FW_FOR_SCHEDULE = 128 };

typedef struct fw_record {
    fw_atomic(struct fw_notes *) notes; /* app/life/notes.h; NULL: none */
    /* The first asker's fw_reply_to, without its padding; form FW_REPLY_NONE: nobody waits. */
    uint64_t connection;
    uint32_t request, detour;
    uint16_t item;
    uint8_t form, flags;
    uint8_t has_extras : 1;
    uint8_t has_lengths : 1; /* fw_record_lengths; else there is no callback, and no id to keep */
    uint8_t has_id : 1;      /* as text; else the key is the UUID */
    uint8_t accept_only : 1;
    uint8_t limited : 1;          /* its time limit is its own, not the default */
    uint8_t isolate : 1;          /* in a process of its own, whatever its module says */
    uint8_t composed : 1;         /* its end is told to app/compose */
    fw_atomic(uint8_t) losses;    /* workers that went away with it; written by who has the task */
    uint8_t args_len, kwargs_len; /* 0: "[]", "{}" */
} fw_record;

/* The cache had the answer already: nothing runs, nothing is stored. In losses. */
enum { FW_RECORD_KNOWN = UINT8_MAX, FW_LOSSES_COUNTED = UINT8_MAX - 1 };

/* Bytes of payload a submission needs. */
size_t fw_record_size(const fw_submission *submission);
/* Fills the payload of a task that has fw_record_size bytes of it, and the task's own fields. */
void fw_record_write(fw_task *task, const fw_submission *submission, const fw_name *name,
                     int64_t created_wall_ns);

/* After that and before the task is admitted; only of one with options. */
void fw_record_note(fw_task *task, struct fw_node *node, int64_t begin_by_ns);

/* Borrowed from the task. */
static inline fw_record *fw_record_of(fw_task *task)
{
    return (fw_record *)(void *)task->payload;
}
static inline fw_reply_to fw_record_first(fw_task *task)
{
    const fw_record *record = fw_record_of(task);
    return (fw_reply_to){.connection = record->connection,
                         .request = record->request,
                         .item = record->item,
                         .form = record->form,
                         .flags = record->flags,
                         .detour = record->detour};
}
static inline bool fw_record_is_known(fw_task *task)
{
    /* Relaxed: said by who admitted it, before anybody else can end it. */
    return fw_load_relaxed(&fw_record_of(task)->losses) == FW_RECORD_KNOWN;
}
static inline bool fw_record_is_scheduled(fw_task *task)
{
    const fw_record *record = fw_record_of(task);
    return record->form == FW_REPLY_NONE && (record->flags & FW_FOR_SCHEDULE) != 0;
}
fw_span fw_record_args(fw_task *task);
fw_span fw_record_kwargs(fw_task *task);
fw_span fw_record_callback(fw_task *task);
fw_span fw_record_options(fw_task *task); /* empty: none */
/* The id as text; buffer holds it when it has to be made from the key. */
fw_span fw_record_id(fw_task *task, char buffer[FW_UUID_TEXT]);
/* NULL: all defaults. */
const fw_record_extras *fw_record_extras_of(fw_task *task);

#endif
