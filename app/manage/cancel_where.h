/* app/manage/cancel_where.h - cancels live tasks by what they are: name, level, group, age, state.
 *
 * At the management port:
 *   {"action": "cancel_where", "where": {"name": N, "priority": P, "group": G, "older": SECONDS,
 *    "status": S}, "dry_run": true}
 *   {"matched": n, "cancelled": {"queued": n, "scheduled": n, "retrying": n}, "asked": n,
 *    "late": n, "dry_run": false}
 * cancelled: ended here and now. asked: they run, were told, and will end as cancelled. late: over
 * before they were reached. All conditions hold; there is at least one, so that nobody cancels
 * everything by leaving it away. Tasks that come meanwhile may be missed. Any thread.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_CANCEL_WHERE_H
#define FW_APP_CANCEL_WHERE_H

#include "app/life/lifecycle.h"

typedef struct fw_where {
    fw_span name, group; /* empty: any */
    int level;           /* fw_prio; -1: any */
    int64_t older_ns;    /* submitted so long ago at least */
    fw_state state;      /* FW_UNKNOWN: any; RUNNING also stands for ASSIGNED */
} fw_where;

typedef struct fw_where_outcome {
    size_t matched, queued, scheduled, retrying, running, late;
} fw_where_outcome;

/* False: error says which condition is none. Texts are decoded into room, or borrowed. */
bool fw_where_read(fw_where *out, char error[160], char room[1024], fw_json where);
/* Counts by state what it cancels; dry: what it would. */
void fw_cancel_where(fw_lifecycle *life, fw_where_outcome *out, const fw_where *where, bool dry);
/* What it came to, as above. */
void fw_cancel_where_write(fw_buffer *out, const fw_where_outcome *outcome, bool dry);
/* False: that is not the action. */
bool fw_cancel_where_answer(fw_lifecycle *life, fw_span action, fw_json request, fw_buffer *out);

#endif
