/* app/life/retry.h - when a task that failed is tried again.
 *
 * What the submission asks for counts; where it asks for no retries, what the configuration file
 * says of the task's name, then what its module says. A run may itself say when, or that there is
 * to be none. A program that asks for another try by its exit status (app/exec_tasks) gets up to
 * three where nobody has said how many. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_RETRY_H
#define FW_APP_RETRY_H

#include "app/life/lifecycle.h"

/* What the author of a module says of a name; before the first task. 0 or -FW_ENOMEM. */
int fw_retry_note(fw_lifecycle *life, uint32_t name, const fw_task_info *task);
void fw_retry_forget(fw_lifecycle *life);

/* output: of the run that failed; NULL: it ended otherwise. Monotonic, 0: not again. */
int64_t fw_retry_due_ns(const fw_lifecycle *life, fw_task *task, const fw_call_output *output);

#endif
