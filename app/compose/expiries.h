/* app/compose/expiries.h - when tasks with the option `expires` are to have begun: a heap of
 * moments.
 *
 * Holds keys, not tasks: who is called when a moment has come finds out whether the task still
 * waits. Moments of tasks that have begun meanwhile stay until they come, or until the heap has no
 * more room; then they are cleared out. Under one lock: tasks without the option never come here.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_EXPIRIES_H
#define FW_APP_EXPIRIES_H

#include <stdbool.h>

#include "base/key.h"

typedef struct fw_expiries fw_expiries;

/* NULL: no memory. waits: whether a task still waits; in a read section. */
fw_expiries *fw_expiries_create(bool (*waits)(void *context, fw_key task), void *context,
                                size_t tasks_max);
void fw_expiries_destroy(fw_expiries *expiries);
/* False: full, or no memory. Any thread; in a read section. */
bool fw_expiries_add(fw_expiries *expiries, fw_key task, int64_t at_ns);
/* Takes the earliest whose time has come. False: none. Any thread. */
bool fw_expiries_take(fw_expiries *expiries, fw_key *task, int64_t now_ns);
size_t fw_expiries_count(fw_expiries *expiries);
/* The earliest; INT64_MAX: there is none. Any thread. */
int64_t fw_expiries_next_ns(fw_expiries *expiries);

#endif
