/* app/compose/compose.h - what a task's options ask of its admission: a unique key, others to come
 * after, a group, a time to begin by.
 *
 * app/life/intake_composed.c calls this around the admission of a task that has options;
 * app/life/ending.c when such a task ends. Tasks without options never come here.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FW_APP_COMPOSE_H
#define FW_APP_COMPOSE_H

#include "app/compose/expiries.h"
#include "app/compose/graph.h"
#include "app/compose/unique.h"
#include "app/life/lifecycle.h"

/* A control plane's; a subworker has none. */
typedef struct fw_compose {
    fw_unique *unique;
    fw_named_groups *groups;
    fw_expiries *expiries;
} fw_compose;

enum {
    FW_UNIQUE_KEYS_MAX = 1 << 20,
    FW_GROUPS_MAX = 1 << 16,
    FW_GROUP_IDLE_S = 600,
    FW_AFTER_MAX = 10000 /* ids in one `after` */
};

/* 0 or -FW_ENOMEM. */
int fw_compose_create(fw_lifecycle *life, size_t tasks_max);
void fw_compose_destroy(fw_lifecycle *life);
/* About every 50 ms. */
void fw_compose_turn(fw_lifecycle *life, int64_t now_ns);

/* --- admission --- */

/* What the rules say about the options, whatever else there is. Pure. */
bool fw_options_agree(const fw_lifecycle *life, const fw_task_options *options,
                      const fw_submission *s, char error[FW_TASK_OPTIONS_ERROR]);
/* An id in `after`, one after the other. False: no more, or it is none. */
bool fw_after_next(fw_json_cursor *cursor, char room[6 * FW_ID_MAX + 2], fw_span *id);
static inline fw_json_cursor fw_after_open(const fw_task_options *options)
{
    return fw_json_open((fw_json){FW_JSON_ARRAY, options->after});
}
/* Has the id been here, as far as anybody knows? In a read section. */
bool fw_compose_knows(fw_lifecycle *life, fw_key key);
/* What the members of a batch ask for together; all 0: nothing yet. */
typedef struct fw_asked {
    size_t waits, keys, groups;
    fw_key group; /* the last one: one group's members mostly follow each other */
} fw_asked;
/* NULL: there is room for what it asks for, beside the others; it is added to these. Otherwise a
 * sentence. */
const char *fw_compose_refusal(const fw_lifecycle *life, const fw_task_options *options,
                               fw_asked *asked);

/* A dead task may be run again: nobody else has its unique key. Any thread. */
bool fw_compose_may_revive(fw_lifecycle *life, const fw_submission *s);

/* A task that is being admitted with options. */
typedef struct fw_wishes {
    const fw_task_options *options;
    fw_node *node; /* NULL: it waits for nobody */
    int64_t begin_by_ns;
    bool is_unique;
} fw_wishes;
/* When its payload is written, before it is admitted; and if it is not. */
void fw_wishes_mark(const fw_wishes *wishes, fw_task *task);

/* A run of a task whose record is marked as composed begins here, or was given to a worker. Any
 * thread; the caller keeps the task alive. */
void fw_compose_begun(fw_lifecycle *life, fw_task *task);

/* --- the end --- */

/* Of a task whose record is marked as composed. Any thread. */
void fw_compose_ended(fw_lifecycle *life, fw_task *task);

/* --- batches --- */

/* The ids of a batch, and those that others stand for. */
typedef struct fw_batch fw_batch;
/* Whether all options of a batch can be served: NULL if not, and error says why; *rc is -FW_EINVAL,
 * or -FW_EFULL if it may be sent again later. In a read section. */
fw_batch *fw_batch_open(fw_lifecycle *life, const fw_submission *items, size_t count, int *rc,
                        char error[FW_TASK_OPTIONS_ERROR]);
void fw_batch_close(fw_batch *batch);
/* A member is not run: the task that has its unique key stands for it. */
void fw_batch_stand_in(fw_batch *batch, const fw_submission *s, const fw_holder *holder);
/* The id of a member, or of what stands for it. */
fw_span fw_batch_id(const fw_batch *batch, size_t index);
fw_key fw_batch_key(const fw_batch *batch, fw_key key);

#endif
