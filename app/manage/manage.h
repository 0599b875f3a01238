/* app/manage/manage.h - what operators ask at the management port: JSON with an `action`, JSON
 * back.
 *
 *   {"action": "workers"}                     {"workers": [{"id": ..., "state": ...}, ...]}
 *   {"action": "stats"}                       see app/manage/overview.h
 *   {"action": "drain", "worker": "sw1"}      {"worker": "sw1", "state": "draining"}
 *   {"action": "resume", "worker": "sw1"}     {"worker": "sw1", "state": "active"}
 * The dead are in app/manage/dead_manage.h, limits and pauses in app/manage/limits.h, cancelling by
 * filter in app/manage/cancel_where.h. Anything that fails: {"status": "error", "error": "...",
 * "code": "unknown" | "invalid"}. Any thread. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_MANAGE_H
#define FW_APP_MANAGE_H

#include "app/workers/workers.h"
#include "base/json.h"

/* request: a JSON object that was checked; action: its member of that name. */
void fw_manage_answer(fw_lifecycle *life, fw_span action, fw_span request, fw_buffer *out);

#endif
