/* engine/child_wire.h - what a task thread and its isolated child say to each other.
 *
 * A stream socket; both ends are the same program on the same machine, so records are structs as
 * they lie in memory. The child says READY once, then for each CALL one RESULT or ERROR. With
 * the first CALL comes a descriptor of memory that both have (SCM_RIGHTS): an fw_latest with the
 * progress of the call, which the parent looks at now and then. The parent does not trust what
 * comes from a child: user code may have written anything anywhere. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef FW_ENGINE_CHILD_WIRE_H
#define FW_ENGINE_CHILD_WIRE_H

#include "base/key.h"

typedef enum fw_child_word {
    FW_CHILD_READY = 0x46574952, /* no bytes; or what is in its way, then it ends */
    FW_CHILD_CALL,
    FW_CHILD_RESULT,
    FW_CHILD_ERROR
} fw_child_word;

#define FW_CHILD_ANSWER_MAX ((size_t)256 << 20) /* a result that is larger fails its task */
#define FW_CHILD_PART_MAX   ((size_t)1 << 30)   /* of a call; far above the largest payload-max */

enum { FW_CHILD_PARTS = 5 };

/* Followed by id, name, args, kwargs and options. */
typedef struct fw_child_call_head {
    uint32_t word; /* FW_CHILD_CALL */
    int32_t attempt;
    uint32_t lengths[FW_CHILD_PARTS];
    uint32_t reserved;
    fw_key key;
    int64_t deadline_ns; /* the monotonic clock is the machine's, so it means the same to both */
} fw_child_call_head;

/* Followed by len bytes: JSON or a text. */
typedef struct fw_child_answer_head {
    uint32_t word;
    uint16_t given; /* 0: no result (null) or no text, and len is 0 */
    uint16_t again; /* fw_again of an ERROR */
    uint64_t len;
    int64_t again_ms;
} fw_child_answer_head;

#endif
