/* app/compose/then_task.h - the task that follows a group: the option `then` as a submission.
 *
 * {"task": NAME, "id", "args", "kwargs", "priority", "timeout", "result_ttl", "max_retries",
 * "callback", "options"}, all but the name may be left away. Without an id it gets that of the
 * member that brought it, with ".then" behind: so sending the group again never makes a second one.
 * Pure. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_THEN_TASK_H
#define FW_APP_THEN_TASK_H

#include "app/life/task_options.h"
#include "net/net.h"

typedef struct fw_then_task {
    fw_submission submission;
    char name[1024], id[FW_ID_MAX + 1];
} fw_then_task;

/* object: the option's value. False: error has a sentence. Spans are borrowed from the object and
 * from out: do not copy it. */
bool fw_then_task_read(fw_then_task *out, char error[FW_TASK_OPTIONS_ERROR], fw_span object,
                       const fw_submission *member);

#endif
