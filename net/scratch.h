/* net/scratch.h - memory for the few texts of a message that do not stand in it as they are.
 *
 * An id that was made up, a name that was written with escapes: decoders take a few bytes here and
 * give out spans. Bytes never move; all are given back together by fw_scratch_reset, when whatever
 * was decoded since the last reset has been handed on. Nearly all messages need none. A zeroed
 * struct is a valid empty one. Owner only. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_SCRATCH_H
#define FW_NET_SCRATCH_H

#include <stddef.h>

typedef struct fw_scratch_block fw_scratch_block;
typedef struct fw_scratch {
    fw_scratch_block *first; /* newest; older ones hang behind it */
} fw_scratch;

/* n bytes, not cleared, that stay where they are until the reset. NULL: no memory. */
char *fw_scratch_take(fw_scratch *scratch, size_t n);
/* Gives back everything; one block of usual size is kept for the next messages. */
void fw_scratch_reset(fw_scratch *scratch);
void fw_scratch_fini(fw_scratch *scratch);

#endif
