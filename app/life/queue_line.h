/* app/life/queue_line.h - submissions that wait for room in a full queue (queue-full block), or for
 * others to give way to them (shed-low).
 *
 * No thread waits: a submission is copied, and the main thread tries it again every few
 * milliseconds, the highest level first. It is accepted, or refused when its time is over, or
 * forgotten when its client has gone. While some wait, newcomers of their level and below go behind
 * them; higher ones do not.
 *
 * Key invariants: W1 each is answered once; W2 at most FW_LINE_MAX wait, and a sixteenth of
 * queue-max-bytes: more are refused at once; W3 one that is refused holds up none that is smaller.
 * Roles: any thread adds, under a lock; one thread at a time takes a turn, and only it removes.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_QUEUE_LINE_H
#define FW_APP_QUEUE_LINE_H

#include "base/atomic.h"
#include "net/message.h"
#include "web/web.h"

struct fw_lifecycle;
struct fw_queue_line;

typedef enum fw_queue_full { FW_FULL_REJECT = 0, FW_FULL_BLOCK, FW_FULL_SHED } fw_queue_full;

enum { FW_LINE_MAX = 4096 };

/* Who waits. One with neither reply nor ticket is a single task, answered by its own reply. */
typedef struct fw_line_ask {
    const fw_submission *items; /* copied */
    size_t count;
    const fw_reply_to *reply; /* of a batch */
    /* Over HTTP: told once, on any thread, with 0 or as fw_lifecycle_submit_all returned;
     * -FW_EFULL: its time is over, or the program ends. */
    const fw_web_ticket *ticket;
    void (*told)(void *context, const struct fw_line_ask *ask, int rc, const char *error);
    void *context;
    /* The asker's, for told. */
    int64_t wait_ns;
    bool many;
} fw_line_ask;

typedef struct fw_queue_line_config {
    fw_queue_full mode; /* not FW_FULL_REJECT */
    int64_t wait_ns;
    size_t bytes_max;
} fw_queue_line_config;

/* Sets life->line. 0 or -FW_ENOMEM. */
int fw_queue_line_create(struct fw_lifecycle *life, const fw_queue_line_config *config);
/* Nobody adds any more. */
void fw_queue_line_destroy(struct fw_lifecycle *life);

/* False: refuse it now. Any thread. */
bool fw_queue_line_wait(struct fw_lifecycle *life, const fw_line_ask *ask);
bool fw_queue_line_wait_alone(struct fw_lifecycle *life, const fw_submission *s);
/* The refusal that all hear. */
void fw_refuse_full(struct fw_lifecycle *life, const fw_submission *s);
/* Somebody of that level or a higher one waits. Any thread. */
bool fw_queue_line_is_before(const struct fw_lifecycle *life, unsigned level);
bool fw_queue_line_goes_behind(const struct fw_lifecycle *life, const fw_submission *items,
                               size_t count);
/* Tries those that wait. => when it wants to be called again, in ns from now; INT64_MAX: when
 * somebody waits. */
int64_t fw_queue_line_turn(struct fw_lifecycle *life, int64_t now_ns);
/* All that wait are refused, and everybody later. On the thread that takes turns. */
void fw_queue_line_close(struct fw_lifecycle *life);

void fw_queue_line_note_shed(struct fw_queue_line *line);
typedef struct fw_queue_line_stats {
    size_t waiting;
    uint64_t accepted, refused, gone, shed;
} fw_queue_line_stats;
void fw_queue_line_snapshot(const struct fw_lifecycle *life, fw_queue_line_stats *out);

#endif
