/* base/rcu.h - the one seam to liburcu (flavour bp: threads of NNG and h2o are not ours to
 * register).
 *
 * Readers bracket their look with fw_rcu_read_lock/unlock: no wait, no shared write. Writers unlink
 * an object and hand it to fw_rcu_retire; it is reclaimed after every reader that could have seen
 * it is gone. Retirements are gathered per thread and given to liburcu in batches, so one costs a
 * store in the common case. The backlog is counted and shown (fw_rcu_backlog). Under
 * ThreadSanitizer the two sides are annotated here and nowhere else, because Debian's liburcu is
 * not built with it. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_BASE_RCU_H
#define FW_BASE_RCU_H

#include <stddef.h>

/* Any thread, nests. No blocking call inside. */
void fw_rcu_read_lock(void);
void fw_rcu_read_unlock(void);

/* Whether this thread is inside one. */
int fw_rcu_is_reading(void);

/* Any thread, also inside a read section. reclaim(object) runs later on a thread of liburcu. */
void fw_rcu_retire(void *object, void (*reclaim)(void *object));
/* Hands over what this thread has gathered; called when a thread goes idle or ends. */
void fw_rcu_flush(void);
/* Waits until everything retired before (by this thread, and flushed by others) is reclaimed.
 * Blocks; never inside a read section. */
void fw_rcu_barrier(void);
/* Waits for the readers of now. Blocks; never inside a read section. */
void fw_rcu_synchronize(void);
/* Objects retired and not yet reclaimed, approximately. */
size_t fw_rcu_backlog(void);

#endif
