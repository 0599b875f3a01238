/* app/life/lifecycle_parts.h - what the files of the lifecycle share with each other and nobody
 * else. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_LIFECYCLE_PARTS_H
#define FW_APP_LIFECYCLE_PARTS_H

#include "app/life/lifecycle.h"
#include "app/life/observer.h"
#include "app/life/record.h"

/* An answered asker wants nothing more: native ones that did not ask for a result, and nobody. */
static inline bool fw_reply_wants_result(const fw_reply_to *reply)
{
    return reply->form != FW_REPLY_NONE &&
           (reply->form != FW_REPLY_FRAME || (reply->flags & FW_WANTS_RESULT) != 0);
}

/* The cache's item as an answer shows it; borrowed like the item. */
fw_result_view fw_view_of_item(const fw_cache_item *item);
static inline bool fw_state_is_over(fw_state state)
{
    return state == FW_SUCCESS || state == FW_FAILURE || state == FW_CANCELLED;
}

/* The present state of a live task, never a terminal one; id text in buffer when it comes from the
 * key; progress is borrowed until this thread calls it again. */
fw_result_view fw_view_of_task(fw_task *task, char buffer[FW_UUID_TEXT]);

/* The run that this thread has just ended, here or elsewhere; from run to done. */
typedef struct fw_last_run {
    fw_call_output output;
    unsigned thread;
    int64_t ran_ns; /* elsewhere, by the clock there; 0: by ours */
    bool crash;
    bool late; /* it failed, and its time was over */
} fw_last_run;
extern _Thread_local fw_last_run fw_my_run;
/* What a subworker's run wants to follow, as fw_result_view has it. */
int64_t fw_my_run_again_ns(void);
/* "Task timed out after 0.2s". */
fw_span fw_timeout_text(const fw_task *task, char *out, size_t capacity);

/* intake */
void fw_lifecycle_submit(void *context, const fw_submission *items, size_t count);
void fw_lifecycle_submit_batch(void *context, const fw_submission *items, size_t count,
                               const fw_reply_to *reply);
void fw_lifecycle_batch_refused(void *context, const fw_span *ids, size_t count, const char *error);
/* questions */
void fw_lifecycle_query(void *context, const fw_query *query);
/* ends */
fw_run fw_lifecycle_run(void *context, fw_task *task, unsigned thread);
void fw_lifecycle_done(void *context, fw_task *task, int why, int64_t ended_wall_ns);
/* When a failed run is followed by another: 0 never. */
int64_t fw_lifecycle_again(void *context, fw_task *task, int why);
/* Stores and answers a submission that ends without having been a task: a name nobody knows. */
void fw_lifecycle_end_unknown(fw_lifecycle *life, const fw_submission *s, bool acknowledge);

#endif
