/* app/life/observer.h - somebody in this process who is told what happens to tasks, as it happens.
 *
 * For who tries tasks (app/trial). He counts as one listener to events (fw_is_heard), so that
 * nothing is asked for his sake where nobody listens; unlike events, what he is told is complete
 * and comes on the thread on which it happens, before it goes on. Borrowed arguments.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_OBSERVER_H
#define FW_APP_OBSERVER_H

#include "cache/cache.h"
#include "engine/engine.h"
#include "net/message.h"

typedef struct fw_observer {
    void *context;
    void (*begun)(void *context, fw_task *task, fw_span name, unsigned attempt);
    /* A run failed and another follows; maybe twice about one run, of which the first counts. */
    void (*failed)(void *context, fw_task *task, fw_span error, int64_t delay_ns);
    void (*progress)(void *context, fw_task *task, const fw_progress_view *progress);
    /* Its end is stored. */
    void (*ended)(void *context, const fw_cache_item *item);
} fw_observer;

#endif
