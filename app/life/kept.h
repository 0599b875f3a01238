/* app/life/kept.h - what is kept of an ended task beside its result: its arguments, how its runs
 * before the last failed, and where it ran last.
 *
 * Members of a JSON object as text, kept by the cache as part of the result's entry and within its
 * bounds. Of most tasks there is nothing: one that succeeds in its first run costs a comparison.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_KEPT_H
#define FW_APP_KEPT_H

#include "app/life/lifecycle.h"
#include "base/json.h"

/* Of which tasks arguments are kept. */
enum { FW_KEEP_ARGS_NONE, FW_KEEP_ARGS_FAILED, FW_KEEP_ARGS_ALL };

static inline bool fw_kept_args_wanted(const fw_lifecycle *life, const fw_cache_item *item)
{
    return life->keep_args == FW_KEEP_ARGS_ALL ||
           (life->keep_args == FW_KEEP_ARGS_FAILED && item->status == FW_FAILURE);
}

/* Something is to be kept. */
static inline bool fw_kept_wanted(const fw_lifecycle *life, const fw_cache_item *item)
{
    return item->attempt > 1 || fw_kept_args_wanted(life, item);
}

/* Writes it: , "attempts": [...], "worker": "eu-1", "args": [...], "kwargs": {...}, each if it is
 * there. By whoever ends the task. ran: on this thread just now, or for the worker that this thread
 * speaks for. Inside a read section. */
void fw_kept_write(fw_buffer *out, const fw_lifecycle *life, fw_task *task,
                   const fw_cache_item *item, bool ran);
/* The arguments of a live task, whatever is kept later. Inside a read section. */
void fw_kept_write_args(fw_buffer *out, fw_task *task);

#endif
