/* app/life/intake_chunk.h - a chunk of submissions on its way in: for app/life/intake.c, which
 * admits them, and app/life/intake_composed.c, which does so for those with options.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_APP_INTAKE_CHUNK_H
#define FW_APP_INTAKE_CHUNK_H

#include "app/compose/compose.h"
#include "app/life/lifecycle_parts.h"

enum { FW_CHUNK = 256 };

/* What became of each request of a chunk. */
typedef enum fw_fate {
    FATE_QUEUED,
    FATE_SCHEDULED,
    FATE_HELD, /* waits for others: its node has it */
    FATE_JOINED,
    FATE_KNOWN,
    FATE_ENDED,
    FATE_REFUSED
} fw_fate;

typedef struct fw_chunk {
    const fw_submission *items;
    size_t count;
    bool batch;               /* one acknowledgement for all, which is not given here */
    bool in_line;             /* one that waits for room: not told when there is none */
    bool again;               /* they were dead: what they came after is long over */
    fw_task *tasks[FW_CHUNK]; /* ours, to be enqueued or scheduled */
    uint8_t fates[FW_CHUNK];
    const fw_name *name;     /* of the one before; NULL: none */
    int64_t now_ns, wall_ns; /* one reading for all: a clock costs as much as a table */
} fw_chunk;

/* intake.c. One request; wishes: NULL without options. The caller is in a read section. */
fw_fate fw_intake_admit(fw_lifecycle *life, fw_chunk *c, size_t i, fw_task *spare,
                        const fw_wishes *wishes);
void fw_intake_hand_over(fw_lifecycle *life, fw_chunk *c);
int fw_intake_join(fw_lifecycle *life, const fw_chunk *c, const fw_submission *s, fw_task *live);
void fw_intake_answer(fw_lifecycle *life, const fw_chunk *c, const fw_submission *s,
                      const fw_cache_item *item);
bool fw_intake_reserve(fw_lifecycle *life, const fw_submission *items, size_t count,
                       fw_task **spares);

/* One that waited for room, and is answered. False: there is still none. */
bool fw_intake_retry(fw_lifecycle *life, const fw_submission *s);
/* A batch, which is answered unless it is refused. As fw_lifecycle_submit_all. */
int fw_intake_batch(fw_lifecycle *life, const fw_submission *items, size_t count,
                    const fw_reply_to *reply, char error[FW_TASK_OPTIONS_ERROR]);

/* intake_composed.c. */
fw_fate fw_intake_admit_composed(fw_lifecycle *life, fw_chunk *c, size_t i, fw_task *spare);
bool fw_intake_is_composed(const fw_submission *items, size_t count);
/* All or none, when fw_intake_is_composed. reply: told when they are in; NULL: nobody, and a single
 * one whose unique key is taken is -FW_EDUP. 0, -FW_EINVAL, -FW_EFULL. */
int fw_intake_composed(fw_lifecycle *life, const fw_submission *items, size_t count,
                       const fw_reply_to *reply, char error[FW_TASK_OPTIONS_ERROR]);

#endif
