/* app/manage/dead_manage.h - what operators do with the dead: look, run again, forget, change; by
 * id or by filter. JSON in, JSON out, one function per action, for the management port and for
 * HTTP.
 *
 *   dead         filter, limit                  {"tasks": [...], "total": n}
 *   dead_retry   task_ids, or filter or all;    {"done": [ids], "unknown": [ids]}, by filter also
 *   dead_delete    dry_run, limit                 "matched": n, "dry_run": bool
 *   dead_edit    task_id, and what changes:     {"task_id": id, "retried": bool}
 *                  task, args, kwargs, priority, timeout, max_retries, retry_delay, options; retry
 *
 * A filter is any of name, error (a part of it), priority, older_than (seconds since death). What
 * fails is told as in app/manage/manage.h. Any thread. Covered by tests/app/dead_manage_test.py.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_DEAD_MANAGE_H
#define FW_APP_DEAD_MANAGE_H

#include "app/life/lifecycle.h"
#include "base/json.h"

void fw_dead_write_list(fw_lifecycle *life, fw_json request, fw_buffer *out);
/* again: run again; otherwise forget. */
void fw_dead_change(fw_lifecycle *life, fw_json request, bool again, fw_buffer *out);
void fw_dead_edit_one(fw_lifecycle *life, fw_json request, fw_buffer *out);
/* Does it when the action is one of these. */
bool fw_dead_answer(fw_lifecycle *life, fw_span action, fw_json request, fw_buffer *out);

#endif
