/* net/detour.h - the way back for requests that came through devices.
 *
 * A direct peer's request has one word, which travels in fw_reply_to. A device puts words in front;
 * an answer has to repeat them all. They are kept here, per connection, under a number that fits
 * into fw_reply_to, until the last answer has been written. Hardly anybody uses this: a short list
 * under a mutex. Any thread; blocks only for another's look. SPDX-License-Identifier: Apache-2.0 */
#ifndef FW_NET_DETOUR_H
#define FW_NET_DETOUR_H

#include <pthread.h>

#include "net/sp.h"

typedef struct fw_detour fw_detour;
typedef struct fw_detours {
    pthread_mutex_t lock;
    /* Under lock. */
    fw_detour *first;
    uint32_t last_number;
} fw_detours;

enum { FW_DETOUR_BYTES = FW_SP_WORDS_MAX * FW_SP_WORD_BYTES };

void fw_detours_init(fw_detours *detours);
void fw_detours_fini(fw_detours *detours);
/* Keeps words for one use. The number, never 0; 0: no memory. */
uint32_t fw_detours_add(fw_detours *detours, fw_span words);
/* So many more answers will come this way. */
void fw_detours_expect(fw_detours *detours, uint32_t number, uint32_t uses);
/* Copies the words; how many bytes, or 0 if the number is unknown. */
size_t fw_detours_read(fw_detours *detours, unsigned char out[FW_DETOUR_BYTES], uint32_t number);
/* So many uses are over; after the last one the number is forgotten. */
void fw_detours_end(fw_detours *detours, uint32_t number, uint32_t uses);

#endif
