/* app/manage/limits.h - limits and pauses as operators ask for them at the management port.
 *
 *   {"action": "limits"}                                            all of them, and the queues
 *   {"action": "limit_set", "task": t, "max_running": n, "rate": r, "burst": b,
 *    "key_max_running": n, "key_rate": r, "key_burst": b}
 *   {"action": "pause", "task": t | "priority": p | "all": true, "for_seconds": s}
 *   {"action": "resume_queue", "task": t | "priority": p | "all": true}
 * What limit_set does not name stays as it is; 0 takes a limit away. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef FW_APP_LIMITS_H
#define FW_APP_LIMITS_H

#include "app/life/lifecycle.h"
#include "base/json.h"

/* Limits per key go by the option `key` of tasks from now on; before there are any. */
void fw_limits_begin(fw_engine *engine);
/* False: none of these actions. Otherwise the answer, as fw_manage_answer gives it. Any thread. */
bool fw_limits_answer(fw_lifecycle *life, fw_span action, fw_json request, fw_buffer *out);

#endif
